"""The slot for a script from outside: one for each target, and no queue (PEP 768).

Runs in the launcher, on a thread that may wait. `sys.remote_exec` says nothing
of what became of a script, and overwrites one that has not run yet; so the slot
is looked at from outside. Rule: never clear what another has left there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from . import permission, runtime
from .processes import Process

_LOOK_EVERY = 0.05


def waiting_script(process: Process) -> str | None:
    """The path of the script that waits to be run; "" for none, None if it can't be told."""
    with suppress(OSError):
        found = runtime.find(process.pid)
        with permission.memory(process.pid) as read:
            at = runtime.slot(found, read) if found is not None else None
            if at is None:
                return None
            if not int.from_bytes(read(at.pending, 4), "little"):
                return ""
            raw = read(at.path, runtime.SCRIPT_PATH_SIZE)
            return os.fsdecode(raw.partition(b"\0")[0])
    return None


def clear(process: Process, script: str) -> bool:
    """Take back `script` if it has not run. Returns whether it is certain that it never will."""
    with suppress(OSError):
        if waiting_script(process) != script:
            return waiting_script(process) is not None
        found = runtime.find(process.pid)
        with permission.memory(process.pid) as read:
            at = runtime.slot(found, read) if found is not None else None
        if at is not None:
            memory = os.open(f"/proc/{process.pid}/mem", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(memory, bytes(4), at.pending)
            finally:
                os.close(memory)
            return True
    return False


def wait_until_free(process: Process, wanted: Callable[[], bool]) -> None:
    """Wait while somebody else's script waits there, as long as `wanted()`."""
    while waiting_script(process) and wanted():
        time.sleep(_LOOK_EVERY)
