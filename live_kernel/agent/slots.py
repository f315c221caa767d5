"""The slot for a script from outside that each thread has (PEP 768), used from inside.

Runs in the target. `sys.remote_exec` fills that of the main thread alone; the interpreter
looks into each thread's. Rule: a thread's state is found and read or written in one step,
made of functions written in C, between which the interpreter lock can't be handed over: or
the thread could end in the middle, and its memory be somebody else's.
"""

from __future__ import annotations

import os
import sys
from itertools import accumulate, chain, compress, repeat, takewhile, tee
from operator import attrgetter, or_

from . import capi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_COOKIE = int.from_bytes(b"xdebugpy", "little")
_FLAG_SIZE, _PATH_SIZE = 4, 512

_POSITIONS = {(3, 14): (27, 89, 90, 92, 93, 94), (3, 15): (30, 105, 106, 108, 109, 110)}
"""By version, the words of `_Py_DebugOffsets` that tell where these lie: in a thread's state its
ident, its eval breaker, and the slot; and in that its flag, its path, and the path's size
(Include/internal/pycore_debug_offsets.h).
"""

_PLEASE_STOP = 1 << 5
"""The bit of the eval breaker that the protocol says to set: the thread looks up from its work."""


_NO_THREAD = object()


class SlotsUnknown(Exception):
    """This Python is of a version, or a build, whose slots are not known."""


class Slots:
    """The slots of this interpreter's threads. Raises SlotsUnknown."""

    def __init__(self) -> None:
        table = capi.address_of("_PyRuntime")
        positions = _POSITIONS.get(sys.version_info[:2])
        if positions is None or capi.word_at(table) != _COOKIE:
            raise SlotsUnknown(f"no slots are known of Python {sys.version.split()[0]}")
        ident, breaker, slot, flag, path, size = (
            capi.word_at(table + 8 * word) for word in positions
        )
        if (path, size) != (flag + _FLAG_SIZE, _PATH_SIZE):
            raise SlotsUnknown("the slots of this Python look otherwise than expected")
        self._ident, self._slot = ident, slot + flag
        self._from_slot_to_breaker = breaker - self._slot
        self._interpreter = capi.function_on_address("PyInterpreterState_Get")(0)
        self._first = capi.function_on_address("PyInterpreterState_ThreadHead")
        self._following = capi.function_on_address("PyThreadState_Next")
        self._copy = capi.copying()
        self._content = capi.bytes_of(_FLAG_SIZE + _PATH_SIZE)

    def waiting(self, thread: int) -> str | None:
        """The path of the script that waits for a thread, given by its ident; "" for none.

        None where there is no such thread.
        """
        raw = next(map(bytes, map(self._content.from_address, self._addresses(thread))), None)
        if raw is None:
            return None
        return os.fsdecode(raw[_FLAG_SIZE:].partition(b"\0")[0]) if any(raw[:_FLAG_SIZE]) else ""

    def fill(self, thread: int, path: str) -> bool:
        """Have a thread run the script at this path. Returns whether there is such a thread.

        The thread looks into its slot as soon as it runs Python code.
        """
        flag = (1).to_bytes(_FLAG_SIZE, sys.byteorder)
        is_there = self._write(thread, flag + os.fsencode(path) + b"\0")
        return is_there and self._break(thread)

    def _break(self, thread: int) -> bool:
        """Set the bit in its eval breaker, and leave the others. Returns whether there is one."""
        breakers = map(self._from_slot_to_breaker.__add__, self._addresses(thread))
        changed, read = (map(capi.Word.from_address, each) for each in tee(breakers))
        bits = map(or_, map(attrgetter("value"), read), repeat(_PLEASE_STOP))
        return next(map(setattr, changed, repeat("value"), bits), _NO_THREAD) is not _NO_THREAD

    def empty(self, thread: int) -> bool:
        """Take back what waits in a slot. Returns whether there is such a thread."""
        return self._write(thread, bytes(_FLAG_SIZE))

    def _write(self, thread: int, data: bytes) -> bool:
        memory = capi.bytes_of(len(data))(*data)
        source, size = repeat(capi.address(memory)), repeat(len(data))
        return next(map(self._copy, self._addresses(thread), source, size), None) is not None

    def _addresses(self, thread: int) -> Iterator[int]:
        """Where the slot of a thread lies, if there is one. Nothing is looked up until it is asked
        for the first, and then all at once.
        """
        first = map(self._first, (self._interpreter,))
        states = takewhile(bool, accumulate(chain(first, repeat(0)), self._following))
        looked_at, taken = tee(states)
        idents = map(capi.Word.from_address, map(self._ident.__add__, looked_at))
        is_it = map(thread.__eq__, map(attrgetter("value"), idents))
        return map(self._slot.__add__, compress(taken, is_it))
