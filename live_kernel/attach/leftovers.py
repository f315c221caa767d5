"""What launchers left behind that were killed in the middle of an attach.

Runs in a later launcher, on a thread that may wait. A private directory is locked
as long as its launcher lives (`landing.py`); the system lets go of the lock however
that ends. Rule: only what is our own user's, old, and nobody's any more; and a script
that still waits in a program is taken back before its file goes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from . import landing, processes, slot

OLD = 60.0
"""Seconds after which a directory that nobody has locked is not one in the making."""


def sweep(directory: Path) -> None:
    """Remove the private directories of dead launchers in `directory`. Raises nothing."""
    with suppress(OSError):
        for path, descriptor in list(_abandoned(directory)):
            with suppress(OSError):
                if (path / landing.SCRIPT).exists():
                    _take_back(str(path / landing.SCRIPT))
                landing.remove(path, descriptor)
            os.close(descriptor)


def _abandoned(directory: Path) -> Iterator[tuple[Path, int]]:
    """Each of them, and its descriptor, through which it is locked by us now."""
    for path in directory.iterdir():
        if landing.NAME.fullmatch(path.name):
            with suppress(OSError):
                descriptor = landing.opened(path)
                status = os.fstat(descriptor)
                is_ours = status.st_uid == os.geteuid() and time.time() - status.st_ctime > OLD
                if is_ours and landing.lock(descriptor):
                    yield path, descriptor
                else:
                    os.close(descriptor)


def _take_back(script: str) -> None:
    for candidate in processes.candidates():
        if candidate.attachable and slot.waiting_script(candidate.process) == script:
            slot.clear(candidate.process, script)
