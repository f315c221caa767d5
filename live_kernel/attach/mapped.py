"""What a process has mapped: pieces of files, and the functions of its Python in them.

Runs in the launcher, on a thread that may wait. Rule: reads only. Files are opened as the
process has them, whatever stands at their paths here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator

from ..records import NamedTuple
from . import elf, proc
from .runtime import Runtime, open_regular


class Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    flags: str
    path: str


def mappings(pid: int) -> Iterator[Mapping]:
    """Raises OSError."""
    for line in proc.lines(pid, "maps"):
        span, flags, _, _, _, path = [*line.split(None, 5), ""][:6]
        start, end = (int(part, 16) for part in span.split("-"))
        yield Mapping(start, end, flags, path)


def functions(pid: int, found: Runtime, wanted: Collection[bytes]) -> dict[bytes, range]:
    """Where those of these functions lie in process `pid` that its Python exports.

    Raises OSError, also where the file is damaged.
    """
    section, symbols = _read(pid, found.path, lambda file: file.section(b".PyRuntime"), wanted)
    if section is None or found.address is None:
        return {}
    return _moved(symbols, found.address - section.address)


def functions_of_c(pid: int, wanted: Collection[bytes]) -> dict[bytes, range]:
    """Likewise, of its C library."""
    for each in mappings(pid):
        if os.path.basename(each.path).startswith(("libc.", "libc-", "ld-musl")):
            linked_at, symbols = _read(pid, each.path, lambda file: file.linked_at(), wanted)
            return _moved(symbols, each.start - linked_at)
    return {}


def _read[T](
    pid: int, path: str, what: Callable[[elf.File], T], wanted: Collection[bytes]
) -> tuple[T, dict[bytes, range]]:
    """Something of a file, and its symbols, which tell where they were linked."""
    name = f"/proc/{pid}/root{path}"
    if proc.link(pid, "exe") in (path, f"{path} (deleted)"):
        name = f"/proc/{pid}/exe"
    descriptor = open_regular(name)
    try:
        file = elf.File(descriptor)
        return what(file), file.symbols(wanted)
    except elf.DAMAGED as error:
        raise OSError(f"{path} is damaged") from error
    finally:
        os.close(descriptor)


def _moved(symbols: dict[bytes, range], by: int) -> dict[bytes, range]:
    """The process tells how far they were moved."""
    return {name: range(at.start + by, at.stop + by) for name, at in symbols.items()}
