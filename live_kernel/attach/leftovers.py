"""What launchers left behind that were killed in the middle of an attach.

Runs in a later launcher, on a thread that may wait. A private directory is locked
as long as its launcher lives (`landing.py`); the system lets go of the lock however
that ends. Rule: only what is our own user's (root: anyone's, and as that user), old,
and nobody's any more; and a script that still waits in a program is taken back
before its file goes, which stays where that can't be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import LiveKernelError
from . import grounds, landing, proc, processes, realm, slot
from .acting import acting_as

OLD = 60.0
"""Seconds after which a directory that nobody has locked is not one in the making."""


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


def _sweep(parent: int, path: Path) -> None:
    """`path`: what programs call the directory whose descriptor is `parent`."""
    for name, descriptor in _abandoned(parent):
        try:
            with suppress(OSError):
                owner = os.fstat(descriptor)
                has_script = landing.SCRIPT in os.listdir(descriptor)
                if has_script and not _take_back(str(path / name / landing.SCRIPT), owner.st_uid):
                    continue
                with acting_as(_other_owner(owner)):
                    landing.remove(name, parent, descriptor)
        finally:
            os.close(descriptor)


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


def _take_back(script: str, owner: int) -> bool:
    """Whether it is certain that no program will run it any more: whoever came first could put
    another in the place of a directory that is gone.

    Where the directory is another user's, only programs of that user's are looked at: a name
    means nothing, which anybody can give to a directory of his own.
    """
    found = (candidate.process for candidate in processes.candidates())
    is_ours = owner in (0, os.geteuid())
    likely = [process for process in found if is_ours or process.uid == owner]
    waits = [process for process in likely if slot.waiting_script(process) == script]
    cleared = [slot.clear(process, script) for process in waits]
    return all(cleared)
