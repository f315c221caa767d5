"""What launchers left behind that were killed in the middle of an attach.

Runs in the watchdog of a directory as soon as its launcher has been killed (`watchdog.py`), and
in a later launcher, on a thread that may wait, for where the watchdog was killed too. A private
directory is locked as long as its launcher lives (`landing.py`); the system lets go of the lock
however that ends. Rule: only what is our own user's (root: anyone's, and as that user), old,
and nobody's any more; and a script that still waits in a program is taken back
before its file goes, which stays where that can't be.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import LiveKernelError
from . import grounds, landing, proc, processes, realm, slot
from .acting import acting_as

OLD = 60.0
"""Seconds after which a directory that nobody has locked is not one in the making."""

_RELEASED_WITHIN = 2.0
"""Seconds within which the system lets go of what a killed launcher has locked."""

_BEING_READ = 0.2
"""Seconds for which a script may be on its way from the slot to its end: its files stay for that
long, since the interpreter complains on the program's stderr about one that it can't open.
"""


def sweep_all() -> None:
    """Wherever a launcher of ours may have left something. Raises nothing."""
    directories = {landing.EVERYBODYS}
    with suppress(OSError):  # none is fit for new ones
        directories.add(landing.runtime_directory(os.geteuid()))
    for directory in directories:
        sweep(directory)
    with suppress(OSError):
        for pid in proc.pids():
            if realm.of(pid).has_other_files:  # of few, and quick to tell
                with suppress(LiveKernelError):
                    sweep_in(processes.identify(pid))


def sweep(directory: Path) -> None:
    """Remove the private directories of dead launchers in `directory`. Raises nothing."""
    with suppress(OSError):
        parent = os.open(directory, grounds.OPENED)
        try:
            _sweep(parent, directory)
        finally:
            os.close(parent)


def sweep_in(process: processes.Process) -> None:
    """The same among the files of a program that sees others than we. Raises nothing."""
    with suppress(OSError), grounds.of(process.pid, process.uid) as found:
        for ground in found:
            _sweep(ground.descriptor, ground.path)


def main() -> None:
    """For `watchdog.py`: remove the directory that is named in argv, whose launcher has ended.

    With the pid and the start time of the process that it was made for, if there is one.
    """
    path, told = Path(sys.argv[1]), [int(each) for each in sys.argv[2:]]
    process = None
    with suppress(OSError, LiveKernelError):
        process = processes.found_again(*told) if told else None
    with suppress(OSError):
        if process is None or not process.has_other_files:
            _remove_released(path, os.open(path.parent, grounds.OPENED), process)
            return
        with grounds.of(process.pid, process.uid) as found:
            for ground in found:
                if ground.path == path.parent:
                    _remove_released(path, ground.descriptor, process)


def _remove_released(path: Path, parent: int, process: processes.Process | None) -> None:
    """Remove one directory as soon as nobody has it locked. Raises OSError."""
    descriptor = landing.opened(path.name, parent)
    deadline = time.monotonic() + _RELEASED_WITHIN
    while not landing.lock(descriptor):
        if time.monotonic() > deadline:
            return  # somebody lives who uses it
        time.sleep(0.01)
    _remove(path, parent, descriptor, [] if process is None else [process])


def _sweep(parent: int, path: Path) -> None:
    """`path`: what programs call the directory whose descriptor is `parent`."""
    for name, descriptor in _abandoned(parent):
        try:
            with suppress(OSError):
                candidates = _which_may_have_scripts(os.fstat(descriptor).st_uid)
                _remove(path / name, parent, descriptor, candidates)
        finally:
            os.close(descriptor)


def _remove(
    path: Path, parent: int, descriptor: int, candidates: Iterable[processes.Process]
) -> None:
    """`candidates`: in which a script of it may wait. Where one can't be taken back, all stays: in
    the place of a directory that is gone, whoever came first could put another.
    """
    if landing.SCRIPT in os.listdir(descriptor):
        script = str(path / landing.SCRIPT)
        waits = [process for process in candidates if slot.waiting_script(process) == script]
        cleared = [slot.clear(process, script) for process in waits]
        if not all(cleared):
            return
        if not waits:
            time.sleep(_BEING_READ)
    with acting_as(_other_owner(os.fstat(descriptor))):
        landing.remove(path.name, parent, descriptor)


def _which_may_have_scripts(owner: int) -> Iterator[processes.Process]:
    """Where the directory is another user's, only programs of that user's: a name means nothing,
    which anybody can give to a directory of his own.
    """
    is_ours = owner in (0, os.geteuid())
    for candidate in processes.candidates():
        if is_ours or candidate.process.uid == owner:
            yield candidate.process


def _abandoned(parent: int) -> Iterator[tuple[str, int]]:
    """Each of them, and its descriptor, through which it is locked by us now."""
    for name in os.listdir(f"/proc/self/fd/{parent}"):
        if landing.NAME.fullmatch(name):
            with suppress(OSError):
                descriptor = landing.opened(name, parent)
                status = os.fstat(descriptor)
                is_ours = os.geteuid() in (0, status.st_uid)
                is_old = time.time() - status.st_ctime > OLD
                if is_ours and is_old and landing.lock(descriptor):
                    yield name, descriptor
                else:
                    os.close(descriptor)


def _other_owner(status: os.stat_result) -> tuple[int, int] | None:
    return None if status.st_uid == os.geteuid() else (status.st_uid, status.st_gid)
