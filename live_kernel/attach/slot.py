"""The slot for a script from outside: one for each target, and no queue (PEP 768).

Runs in the launcher, on a thread that may wait. `sys.remote_exec` says nothing
of what became of a script, and overwrites one that has not run yet; so the slot
is looked at from outside, and launchers take turns at it. Rule: never clear what
another has left there.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from . import permission, runtime
from .processes import Process

_LOOK_EVERY = 0.05
_TURN_EVERY, _TURN_WITHIN = 0.002, 3.0


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


def when_free(process: Process, fill: Callable[[], object], wanted: Callable[[], bool]) -> bool:
    """Call `fill`, which puts a script there, as soon as nobody else's waits there.

    Returns whether it came to that: only as long as `wanted()`.
    """
    latest = time.monotonic() + _TURN_WITHIN
    while wanted():
        with _turn(process) as is_ours:
            may_fill = is_ours or time.monotonic() > latest
            if may_fill and not waiting_script(process):
                fill()
                return True
        time.sleep(_LOOK_EVERY if is_ours else _TURN_EVERY)
    return False


@contextmanager
def _turn(process: Process) -> Iterator[bool]:
    """Whether no other launcher is at this target's slot; none comes to it meanwhile.

    The mark is an abstract Unix address: it needs no file, any user can set it, and it goes
    with its owner. One that stays for longer than a turn takes is not respected.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
        try:
            mark.bind(f"\0live-kernel/{process.pid}/{process.start_time}")
        except OSError as error:
            yield error.errno != errno.EADDRINUSE
        else:
            yield True
