"""What a process has mapped: pieces of files, and the functions of its Python in them.

Runs in the launcher, on a thread that may wait. Rule: reads only. Files are opened as the
process has them, whatever stands at their paths here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from . import elf, proc
from .runtime import Runtime


class Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    flags: str
    path: str


def mappings(pid: int) -> Iterator[Mapping]:
    """Raises OSError."""
    for line in proc.read(pid, "maps").decode(errors="replace").splitlines():
        span, flags, _, _, _, path = [*line.split(None, 5), ""][:6]
        start, end = (int(part, 16) for part in span.split("-"))
        yield Mapping(start, end, flags, path)


def functions(pid: int, found: Runtime, wanted: Collection[bytes]) -> dict[bytes, range]:
    """Where those of these functions lie in process `pid` that its Python exports.

    Raises OSError, also where the file is damaged.
    """
    path = f"/proc/{pid}/root{found.path}"
    if proc.link(pid, "exe") in (found.path, f"{found.path} (deleted)"):
        path = f"/proc/{pid}/exe"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        file = elf.File(descriptor)
        section, symbols = file.section(b".PyRuntime"), file.symbols(wanted)
    except elf.DAMAGED as error:
        raise OSError(f"{found.path} is damaged") from error
    finally:
        os.close(descriptor)
    if section is None or found.address is None:
        return {}
    moved = found.address - section.address  # the file tells where they were linked
    return {name: range(at.start + moved, at.stop + moved) for name, at in symbols.items()}
