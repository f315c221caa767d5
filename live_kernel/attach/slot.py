"""The slot for a script from outside: one for each target, and no queue (PEP 768).

Runs in the launcher, on a thread that may wait. `sys.remote_exec` says nothing
of what became of a script, and overwrites one that has not run yet; so the slot
is looked at from outside, and launchers take turns at it. Where that call does not
work, the slot is filled from outside, too. Rule: never clear what another has left
there.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..errors import DebuggingDisabled, PythonMismatch
from . import permission, runtime
from .processes import Process, still

_LOOK_EVERY = 0.05
_TURN_EVERY, _TURN_WITHIN = 0.002, 3.0


def waiting_script(process: Process) -> str | None:
    """The path of the script that waits to be run; "" for none, None if it can't be told."""
    with suppress(OSError, struct.error):  # it may end under our eyes
        found = runtime.find(process.pid)
        with permission.memory(process.pid) as read:
            at = runtime.slot(found, read) if found is not None else None
            return None if at is None else _script_at(at, read)
    return None


def _script_at(at: runtime.Slot, read: runtime.Read) -> str:
    if not int.from_bytes(read(at.pending, 4), "little"):
        return ""
    raw = read(at.path, runtime.SCRIPT_PATH_SIZE)
    return os.fsdecode(raw.partition(b"\0")[0])


class Taken(Exception):
    """Somebody else's script has come first."""


def fill(process: Process, script: str) -> None:
    """Leave a script there, in the way that PEP 768 documents: what `sys.remote_exec` does.

    Raises Taken; DebuggingDisabled, TargetNotFound or PythonMismatch; OSError where the memory is
    not for us to write.
    """
    found = runtime.find(process.pid)
    memory = permission.opened(process.pid)
    try:
        still(process)  # the descriptor is of this program's memory, and of no other's
        if found is not None:
            _fill(process, found, memory, os.fsencode(script))
    finally:
        os.close(memory)


def _fill(process: Process, found: runtime.Runtime, memory: int, script: bytes) -> None:
    read = permission.reader(memory)
    if runtime.remote_debugging(found, read) is False:
        raise DebuggingDisabled(process.pid, f"{process} has remote debugging switched off")
    at = runtime.slot(found, read) if runtime.is_as_in_its_file(found, read) else None
    if at is None or len(script) >= runtime.SCRIPT_PATH_SIZE:
        raise PythonMismatch(
            process.pid,
            f"{process}: its Python is not laid out as expected, or its main thread has ended",
        )
    if _script_at(at, read) not in ("", os.fsdecode(script)):
        raise Taken
    from . import vm  # ctypes: only where it is needed

    os.pwrite(memory, script + b"\0", at.path)
    os.pwrite(memory, (1).to_bytes(4, "little"), at.pending)
    # The one byte that holds the flag: the others tell the version of its instrumentation.
    vm.raise_flag(memory, at.breaker, runtime.PLEASE_STOP)


def clear(process: Process, script: str) -> bool:
    """Take back `script` if it has not run. Returns whether it is certain that it never will."""
    with suppress(OSError, struct.error):  # it may end under our eyes
        found = runtime.find(process.pid)
        # One descriptor for the look and the deed: it stays that of this program, also if
        # the process becomes another one (execve) in between.
        memory = permission.opened(process.pid)
        try:
            return found is not None and _clear(found, memory, script)
        finally:
            os.close(memory)
    return False


def _clear(found: runtime.Runtime, memory: int, script: str) -> bool:
    read = permission.reader(memory)
    at = runtime.slot(found, read)
    if at is None:
        return False
    if _script_at(at, read) == script:
        os.pwrite(memory, bytes(4), at.pending)
    return True


def when_free(process: Process, fill: Callable[[], object], wanted: Callable[[], bool]) -> bool:
    """Call `fill`, which puts a script there, as soon as nobody else's waits there.

    Returns whether it came to that: only as long as `wanted()`.
    """
    latest = time.monotonic() + _TURN_WITHIN
    while wanted():
        with _turn(process) as is_ours:
            may_fill = is_ours or time.monotonic() > latest
            if may_fill and not waiting_script(process):
                with suppress(Taken):
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
