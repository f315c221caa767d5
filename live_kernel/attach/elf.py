"""One ELF file: where its sections lie, and its symbols.

Used by `runtime` and `levers`, in the launcher and the command line. Rule: reads headers and
tables through a descriptor, never whole files; believes no size that a file claims. What
it raises on a file that is none, or is damaged, is in `DAMAGED`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection

from ..records import NamedTuple

DAMAGED = (OSError, struct.error, ValueError, IndexError, OverflowError)

_LARGEST_TABLE = 1 << 24
"""Bytes; tables of section headers, of symbols and of names take less."""

_LOADED = 1
"""PT_LOAD."""


class Section(NamedTuple):
    """`address`: as linked. `offset` and `size`: in the file."""

    address: int
    offset: int
    size: int


class File:
    """An ELF file of 64 bits, little-endian, by its descriptor, which stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._header = os.pread(descriptor, 64, 0)
        if self._header[:6] != b"\x7fELF\x02\x01":
            raise ValueError("no ELF file of 64 bits, little-endian")
        (kind,) = struct.unpack_from("<H", self._header, 16)
        self.is_relocated = kind == 3
        """ET_DYN: it may be loaded anywhere."""

    def read(self, size: int, offset: int) -> bytes:
        """Part of a file that anybody may have made: it may claim any size."""
        if size > _LARGEST_TABLE:
            raise ValueError("no table of an ELF file is as large")
        return os.pread(self._descriptor, size, offset)

    def section(self, wanted: bytes) -> Section | None:
        """A section by its name; None also where the file is stripped of its headers."""
        (table,) = struct.unpack_from("<Q", self._header, 40)
        size, count, names_at = struct.unpack_from("<HHH", self._header, 58)
        raw = self.read(size * count, table)
        sections = [struct.unpack_from("<IIQQQQ", raw, i * size) for i in range(count)]
        if not sections:
            return None
        names = self.read(sections[names_at][5], sections[names_at][4])
        for name, _, _, address, offset, length in sections:
            if names[name : name + len(wanted) + 1] == wanted + b"\0":
                return Section(address, offset, length)
        return None

    def linked_at(self) -> int:
        """The lowest address of what is loaded."""
        (table,) = struct.unpack_from("<Q", self._header, 32)
        size, count = struct.unpack_from("<HH", self._header, 54)
        raw = self.read(size * count, table)
        segments = [struct.unpack_from("<IIQQ", raw, i * size) for i in range(count)]
        return int(min(address for kind, _, _, address in segments if kind == _LOADED))

    def symbols(self, wanted: Collection[bytes]) -> dict[bytes, range]:
        """The addresses, as linked, of those of these names that the file exports."""
        table, texts = self.section(b".dynsym"), self.section(b".dynstr")
        if table is None or texts is None:
            return {}
        names = self.read(texts.size, texts.offset)
        longest = max(map(len, wanted), default=0)
        found: dict[bytes, range] = {}
        entries = self.read(table.size // 24 * 24, table.offset)
        for name, _, _, section, address, size in struct.iter_unpack("<IBBHQQ", entries):
            if not section:
                continue
            end = names.find(b"\0", name, name + longest + 1)  # all others' names may be endless
            if end >= 0 and (text := names[name:end]) in wanted:
                found[text] = range(address, address + size)
        return found
