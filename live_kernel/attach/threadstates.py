"""The threads that a target's Python has, and who holds its GIL, read from its memory.

Runs in the launcher, on a thread that may wait. CPython lists its threads and the GIL's
holder in the state of the interpreter; where in it, `_Py_DebugOffsets` says (see
`runtime.py`). Rule: reads a process that goes on running; what comes back was true at one
moment of the reading, and what can't be told is left out.
"""

from __future__ import annotations

import struct

from ..records import NamedTuple
from . import permission, runtime
from .runtime import Read, Runtime
from .stackwalk import POSITIONS, Frame, Walker

_MOST = 10_000
"""Threads of a list that may change while it is read."""


class _Positions(NamedTuple):
    """Where fields of `_Py_DebugOffsets` lie, in words of 8 bytes from its start."""

    thread_id: int
    native_thread_id: int
    threads_head: int = 9
    gil_enabled: int = 17
    gil_locked: int = 18
    gil_holder: int = 19
    thread_next: int = 24


_POSITIONS = {(3, 14): _Positions(27, 28), (3, 15): _Positions(30, 31)}
_WORDS = 64


class ThreadState(NamedTuple):
    """One thread of Python's: its number in Python, the system's, and has it the GIL?

    `stack`: its frames, innermost first, where they were asked for.
    """

    ident: int
    native: int
    holds_gil: bool
    stack: tuple[Frame, ...] = ()


def thread_states(pid: int, *, with_stacks: bool = False) -> list[ThreadState]:
    """The threads of the main interpreter, newest first; none if they can't be told.

    Takes about a millisecond. Raises OSError: the process is gone, or not for us.
    """
    found = runtime.find(pid)
    if found is None or found.version is None or found.version[:2] not in _POSITIONS:
        return []
    with permission.memory(pid) as read:
        return _read(found, found.version[:2], read, with_stacks)


def _read(
    found: Runtime, version: tuple[int, int], read: Read, with_stacks: bool
) -> list[ThreadState]:
    at = _POSITIONS[version]
    interpreter = runtime.main_interpreter(found, read)
    if interpreter is None or found.address is None:
        return []
    offsets = struct.unpack(f"<{_WORDS}Q", read(found.address, _WORDS * 8))
    can_walk = with_stacks and not found.free_threaded
    walker = Walker(read, offsets, POSITIONS[version]) if can_walk else None
    holder = _holder(interpreter, offsets, at, found, read)
    states: list[ThreadState] = []
    state = _word(read, interpreter + offsets[at.threads_head])
    while state and len(states) < _MOST:
        ident = _word(read, state + offsets[at.thread_id])
        native = _word(read, state + offsets[at.native_thread_id])
        stack = () if walker is None else tuple(walker.stack(state))
        states.append(ThreadState(ident, native, state == holder, stack))
        state = _word(read, state + offsets[at.thread_next])
    return states


def _holder(
    interpreter: int, offsets: tuple[int, ...], at: _Positions, found: Runtime, read: Read
) -> int:
    """The state of the thread that has the GIL at this moment; 0 if none, or there is no GIL.

    The last holder stays on record when it has let go.
    """
    if found.free_threaded and not _flag(read, interpreter + offsets[at.gil_enabled]):
        return 0
    if not _flag(read, interpreter + offsets[at.gil_locked]):
        return 0
    return _word(read, interpreter + offsets[at.gil_holder])


def _word(read: Read, address: int) -> int:
    return int(struct.unpack("<Q", read(address, 8))[0])


def _flag(read: Read, address: int) -> bool:
    return bool(struct.unpack("<i", read(address, 4))[0] > 0)
