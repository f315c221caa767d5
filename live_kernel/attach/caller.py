"""Whose code it is that waits: Python's own, or that of a library which Python has called.

Runs in the launcher. Python's own code is ready for an interrupted system call (PEP 475);
others' code may not be. The thread's stack is searched for the nearest address that a call has
left there, outside the C library.
Rule: reads only; an old address may lie on the stack, so that the answer is a good guess.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from . import levers, permission, runtime

_DEPTH = 4096
"""Bytes of stack that are looked at, beyond what the C library's own functions take."""

_BETWEEN = ("libc.", "libc-", "ld-", "libpthread", "[")


def library(pid: int, stack: int) -> str:
    """The library in which the thread waits whose stack pointer is there; "" for Python itself,
    or where it can't be told. Raises OSError.
    """
    found = runtime.find(pid)
    code = [each for each in levers.mappings(pid) if "x" in each.flags]
    with permission.memory(pid) as read:
        end = next((m.end for m in levers.mappings(pid) if m.start <= stack < m.end), stack)
        words = struct.iter_unpack("<Q", read(stack, min(_DEPTH, end - stack) // 8 * 8))
        for (word,) in words:
            place = next((each for each in code if each.start + 8 <= word < each.end), None)
            if place is None or not _follows_call(read(word - 8, 8)):
                continue
            name = os.path.basename(place.path)
            if name and not name.startswith(_BETWEEN):
                ours = found is not None and place.path.removesuffix(" (deleted)") == found.path
                return "" if ours or "/lib-dynload/" in place.path else name
    return ""


def _on_x86(before: bytes) -> bool:
    """A call to an address (E8), or through a register or memory (FF /2)."""
    if before[3] == 0xE8:
        return True
    at = (before[8 - length : 10 - length] for length in (2, 3, 4, 6, 7))
    return any(code[0] == 0xFF and code[1] >> 3 & 7 == 2 for code in at)


def _on_arm64(before: bytes) -> bool:
    """BL, or BLR and its like."""
    code = int.from_bytes(before[4:], "little")
    return code >> 26 == 0b100101 or code & 0xFFFFFC1F == 0xD63F0000


_FOLLOWS: dict[str, Callable[[bytes], bool]] = {"x86_64": _on_x86, "aarch64": _on_arm64}


def _follows_call(before: bytes) -> bool:
    """Whether these eight bytes of code end with a call."""
    follows = _FOLLOWS.get(os.uname().machine)
    return follows is None or follows(before)
