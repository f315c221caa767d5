"""A process's threads, stacks and tasks, read from outside: it need not answer, nor let us in.

Runs in the launcher, on a thread that may wait: some milliseconds, and up to 0.1 s where
the target's own interpreter must read tasks that ours can't. What a thread waits in comes from
/proc, who has the GIL and Python's stacks from `threadstates.py`, the tasks from `unwind.py`.
Rule: never raises; what can't be learned is left out. Nothing is done to the target.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..records import NamedTuple
from . import blocked, interpreter, proc, unwind
from .blocked import Blocked, Frame
from .processes import Process
from .threadstates import ThreadState, thread_states

_TIMEOUT = 2.0
_MOST = 2000
"""Threads that are looked at."""

_OURS = "live-kernel"
"""How the names of the agent's threads begin."""

_AGENT = "/live_kernel/agent/"


class Thread(NamedTuple):
    """One thread as the system sees it, and what Python calls it.

    `native`: the system's number, as the process's own pid namespace has it. `ident`: 0 where
    Python does not know it. `seconds`: of processor time, since it began.
    """

    native: int
    ident: int
    name: str
    holds_gil: bool
    seconds: float
    state: Blocked

    @property
    def is_kernels(self) -> bool:
        return self.name.startswith(_OURS)


def threads(process: Process) -> list[Thread]:
    """The threads of a process, without their stacks; none if it has ended."""
    numbers: list[int] = []
    states: list[ThreadState] = []
    with suppress(OSError, ValueError):
        if proc.stat(process.pid).start_time == process.start_time:
            numbers = sorted(map(int, os.listdir(f"/proc/{process.pid}/task")))[:_MOST]
    seen = [_thread(process, number) for number in numbers]
    with suppress(OSError, ValueError, struct.error):
        states = thread_states(process.pid)
    known = {state.native: state for state in states}
    return [_known(each, known.get(each.native)) for each in seen]


def _thread(process: Process, number: int) -> Thread:
    name, seconds = "", 0.0
    with suppress(OSError, ValueError, IndexError):
        name = proc.read(process.pid, f"task/{number}/comm").decode(errors="replace").strip()
        seconds = _seconds(process.pid, number)
    state = blocked.of_thread(process, number)
    if number == process.pid:
        name = "MainThread"
    return Thread(proc.inner_thread(process.pid, number), 0, name, False, seconds, state)


def _known(thread: Thread, state: ThreadState | None) -> Thread:
    if state is None:
        return thread
    return thread._replace(ident=state.ident, holds_gil=state.holds_gil)


def _seconds(pid: int, number: int) -> float:
    """Processor time of a thread: to the nanosecond, or else in ticks."""
    with suppress(OSError, ValueError, IndexError):
        return int(proc.read(pid, f"task/{number}/schedstat").split()[0]) / 1e9
    fields = proc.read(pid, f"task/{number}/stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / proc.TICKS_PER_SECOND


class Inside(NamedTuple):
    """What Python does there: stacks by thread id, innermost first, and asyncio's tasks."""

    stacks: dict[int, list[Frame]]
    tasks: list[dict[str, Any]]


def python(process: Process, *, with_tasks: bool = False) -> Inside:
    """The stacks and, if wanted, the tasks, as far as they can be read."""
    stacks: dict[int, Iterable[Any]] = {}
    tasks: list[dict[str, Any]] = []
    with suppress(OSError, ValueError, struct.error):
        states = thread_states(process.pid, with_stacks=True)
        stacks = {state.native: state.stack for state in states if state.stack}
    if with_tasks or not stacks:
        with suppress(Exception):
            more, tasks = _unwound(process)
            stacks = stacks or more
    told = {number: _without_ours(map(Frame._make, frames)) for number, frames in stacks.items()}
    return Inside(told, tasks)


def _without_ours(frames: Iterable[Frame]) -> list[Frame]:
    return [frame for frame in frames if _AGENT not in frame.file]


def _unwound(process: Process) -> tuple[dict[int, Any], list[dict[str, Any]]]:
    """Raises whatever goes wrong. What a process says of itself is plain data, or an error."""
    if blocked.can_unwind(process):
        with suppress(ImportError, RuntimeError, OSError):
            return unwind.everything(process.pid)
    source = Path(unwind.__file__).read_text()
    told = interpreter.run(process, source, str(process.pid), timeout=_TIMEOUT)
    return unwind.told(told.stdout)
