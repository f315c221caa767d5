"""What launchers left behind that were killed in the middle of an attach.

Runs in a later launcher, on a thread that may wait. A private directory is locked
as long as its launcher lives (`landing.py`); the system lets go of the lock however
that ends. Rule: only what is our own user's (root: anyone's, and as that user), old,
and nobody's any more; and a script that still waits in a program is taken back
before its file goes.
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
    for directory in {landing.runtime_directory(os.geteuid()), landing.EVERYBODYS}:
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
                if landing.SCRIPT in os.listdir(descriptor):
                    _take_back(str(path / name / landing.SCRIPT))
                with acting_as(_other_owner(os.fstat(descriptor))):
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


def _take_back(script: str) -> None:
    for candidate in processes.candidates():
        if candidate.attachable and slot.waiting_script(candidate.process) == script:
            slot.clear(candidate.process, script)
