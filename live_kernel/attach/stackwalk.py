"""The Python stacks of another process, read from its memory.

Runs in the launcher, on a thread that may wait: some microseconds a frame. CPython's own
`_remote_debugging` would do, but that of 3.14 sees only the frames inside of the last call
from C, and reads no other version's.
Rule: reads a process that goes on running; whatever makes no sense ends that stack. Of a
free-threaded Python, whose objects look otherwise, nothing is read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..records import NamedTuple
from .runtime import Read

Frame = tuple[str, int, str]
"""File, line (0 where unknown), qualified name."""

_DEEPEST = 2000
_LONGEST_NAME = 4096
_LARGEST_TABLE = 1 << 20
"""So many frames, characters and bytes are believed."""

_MOST_READS = 1 << 20
_MOST_BYTES = 1 << 26
"""For all stacks of one look together: a second or two, whatever the memory holds."""

_OF_C = 3
"""FRAME_OWNED_BY_INTERPRETER and above: no function's frame, but a mark where C has called."""

_TABLE = re.compile(
    rb"(?:[\x80-\xe7\xf8-\xff][\x00-\x7f]{0,8}"
    rb"|[\xe8-\xf7][\x40-\x7f]{0,6}[\x00-\x3f][\x00-\x7f]{0,24})*+",
    re.DOTALL,
)
"""Entries of a table of lines, each with its line's number whole. Python reads a number to its
end, wherever that is: of a table without ends, the whole rest for each entry, which takes hours.
"""

_TAGS = 7
"""Low bits of a reference in a frame that say something else."""


class Positions(NamedTuple):
    """Where fields of `_Py_DebugOffsets` lie, in words of 8 bytes from its start."""

    previous: int
    executable: int
    instruction: int
    owner: int
    filename: int
    qualname: int
    linetable: int
    first_line: int
    code: int
    current_frame: int = 26


POSITIONS = {
    (3, 14): Positions(32, 33, 34, 36, 40, 42, 43, 44, 48),
    (3, 15): Positions(40, 41, 42, 44, 48, 50, 51, 52, 56),
}


class Walker:
    """Reads stacks of one process; `offsets` are the words of its `_Py_DebugOffsets`."""

    def __init__(self, read: Read, offsets: tuple[int, ...], at: Positions) -> None:
        self._memory, self._offsets, self._at = read, offsets, at
        self._codes: dict[int, _Code] = {}
        self._reads, self._bytes_left = _MOST_READS, _MOST_BYTES

    def stack(self, state: int) -> list[Frame]:
        """The frames of the thread with this state, innermost first, as far as they make sense."""
        found: list[Frame] = []
        try:
            for frame in self._frames(state):
                found.append(frame)  # noqa: PERF402 - what was found before an error counts
        except (OSError, ValueError, struct.error):
            pass
        return found

    def _read(self, address: int, size: int) -> bytes:
        """A program may have made its memory to keep us busy. Raises ValueError, OSError."""
        self._reads -= 1
        self._spend(size)
        return self._memory(address, size)

    def _spend(self, size: int) -> None:
        self._bytes_left -= size
        if self._reads < 0 or self._bytes_left < 0:
            raise ValueError("more than any program's stacks take")

    def _frames(self, state: int) -> Iterator[Frame]:
        offsets, at = self._offsets, self._at
        frame = self._word(state + offsets[at.current_frame])
        for _ in range(_DEEPEST):
            if not frame:
                return
            owner = self._read(frame + offsets[at.owner], 1)[0]
            if owner < _OF_C:
                code = self._code(self._word(frame + offsets[at.executable]) & ~_TAGS)
                instruction = self._word(frame + offsets[at.instruction])
                self._spend(code.cost(instruction))
                yield code.file, code.line(instruction), code.name
            frame = self._word(frame + offsets[at.previous])

    def _code(self, address: int) -> _Code:
        if address not in self._codes:
            offsets, at = self._offsets, self._at
            self._codes[address] = _Code(
                self._text(self._word(address + offsets[at.filename])),
                self._text(self._word(address + offsets[at.qualname])),
                self._bytes(self._word(address + offsets[at.linetable])),
                struct.unpack("<i", self._read(address + offsets[at.first_line], 4))[0],
                address + offsets[at.code],
            )
        return self._codes[address]

    def _word(self, address: int) -> int:
        return int(struct.unpack("<Q", self._read(address, 8))[0])

    def _bytes(self, address: int) -> bytes:
        size = self._word(address + 16)
        if size > _LARGEST_TABLE:
            raise ValueError("no table of lines is as large")
        return self._read(address + 32, size)

    def _text(self, address: int) -> str:
        """A str that is stored as those of identifiers and file names are: compact."""
        length = self._word(address + 16)
        if length > _LONGEST_NAME:
            raise ValueError("no name is as long")
        bits = struct.unpack("<I", self._read(address + 32, 4))[0] >> _STATE_SHIFT
        size, is_compact, is_ascii = bits & 7, bits & 8, bits & 16
        if size not in _ENCODINGS or not is_compact:
            raise ValueError("no kind of a str")
        data = self._read(address + (40 if is_ascii else 56), length * size)
        return data.decode(_ENCODINGS[size], "replace")


_STATE_SHIFT = 2
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}


class _Code:
    """What is needed of a code object."""

    def __init__(self, file: str, name: str, table: bytes, first_line: int, begin: int) -> None:
        self.file, self.name = file, name
        self._begin = begin
        if not _TABLE.fullmatch(table):
            raise ValueError("no table of lines")
        # Python's own reading of such a table, whose form has not changed since 3.11.
        self._table = _template.__code__.replace(co_linetable=table, co_firstlineno=first_line)
        self._lines: dict[int, int] = {}

    def cost(self, instruction: int) -> int:
        """Bytes of the table that have to be gone through for this one's line."""
        return 0 if instruction - self._begin in self._lines else len(self._table.co_linetable)

    def line(self, instruction: int) -> int:
        """The line of an instruction; 0 where it has none, or is in a copy of the code."""
        offset = instruction - self._begin
        if offset not in self._lines:
            every = self._table.co_lines()  # never as a list, which takes much more than the table
            found = (line for start, end, line in every if start <= offset < end)
            self._lines[offset] = next(found, None) or 0
        return self._lines[offset]


def _template() -> None:
    """Lends its code object."""
