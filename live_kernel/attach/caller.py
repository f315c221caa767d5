"""Whose code it is that waits: Python's own, or that of a library which Python has called.

Runs in the launcher. Python's own code is ready for an interrupted system call (PEP 475);
others' code may not be. The thread's stack is searched for addresses that calls have left
there, from the innermost to the first that lies in Python's interpreter loop.
Rule: reads only. Old addresses may lie on a stack, so that the answer is a good guess.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from . import mapped, permission, runtime
from .mapped import Mapping
from .runtime import Read

_DEPTH = 4096
"""Bytes of stack that are looked at, at most."""

_LOOP = b"_PyEval_EvalFrameDefault"

_NOBODYS = ("libc.", "libc-", "ld-", "libpthread", "[")
"""The C library and the kernel's own page: through them everybody waits."""


def library(pid: int, stack: int) -> str:
    """The library in which the thread waits whose stack pointer is there; "" for Python itself,
    or where it can't be told. Raises OSError.
    """
    found = runtime.find(pid)
    if found is None:
        return ""
    loop = range(0)
    with suppress(OSError):
        loop = mapped.functions(pid, found, [_LOOP]).get(_LOOP, loop)
    every = list(mapped.mappings(pid))
    code = [each for each in every if "x" in each.flags]
    end = next((each.end for each in every if each.start <= stack < each.end), stack)
    with permission.memory(pid) as read:
        words = read(stack, min(_DEPTH, end - stack) // 8 * 8)
        for address, place in _returns(words, code, read):
            if address in loop:
                break
            if _is_foreign(place.path, found.path):
                return os.path.basename(place.path)
    return ""


def _is_foreign(path: str, python: str) -> bool:
    if path.removesuffix(" (deleted)") == python or "/lib-dynload/" in path:
        return False
    name = os.path.basename(path)
    return name != "" and not name.startswith(_NOBODYS)


def _returns(words: bytes, code: Sequence[Mapping], read: Read) -> Iterator[tuple[int, Mapping]]:
    """Addresses to which calls will return, and where each lies."""
    for (word,) in struct.iter_unpack("<Q", words):
        for each in code:
            if each.start + 8 <= word < each.end and _follows_call(read(word - 8, 8)):
                yield word, each


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
