"""Whether a thread keeps the interpreter lock while it waits outside Python.

Runs in the launcher. C code may wait without letting go of the lock; then nothing that is
Python's runs in the whole process, and the process can't say so. Rule: a look takes about a
millisecond and never raises; for the same lock to be kept in the same wait at two looks means
that it is kept for good.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from ..records import NamedTuple
from . import blocked, proc
from .processes import Process
from .registers import Wait
from .threadstates import thread_states


class Holder(NamedTuple):
    """The thread that has the lock. `number`: as its own pid namespace has it."""

    number: int
    name: str
    syscall: str
    wait: Wait

    def __str__(self) -> str:
        return (
            f"thread {self.number} ({self.name}) keeps the interpreter lock while it waits in "
            + (self.syscall)
        )


def holder(process: Process) -> Holder | None:
    """The thread that has the lock at this moment, if it waits for something outside Python."""
    with suppress(OSError, ValueError, StopIteration, struct.error):
        number = next(each.native for each in thread_states(process.pid) if each.holds_gil)
        thread = proc.outer_thread(process.pid, number)
        if thread is None:
            return None
        seen = blocked.of_thread(process, thread)
        if seen.state in ("S", "D") and seen.wait is not None and seen.syscall is not None:
            name = proc.read(process.pid, f"task/{thread}/comm").decode(errors="replace").strip()
            return Holder(number, name, seen.syscall, seen.wait)
    return None
