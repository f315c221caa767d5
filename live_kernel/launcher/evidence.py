"""Whether the source of a program is still what it was when something was set up there.

Pure, but for the sources, which are read as the program sees its files. Rule: a line is known by
its text and its neighbours, not by its number; what can't be told for certain is not guessed.
"""

from __future__ import annotations

import builtins
import symtable
from collections.abc import Iterator

from ..errors import LiveKernelError
from .setup import SourceLine
from .sources import Sources

_SHOWN = 60
"""Characters of a line that an error shows."""


class Changed(LiveKernelError):
    """The source has changed, so that something can't be set up again as it was."""

    kind = "changed"


def line_at(sources: Sources, file: str, number: int) -> SourceLine | None:
    """How this line stands now; None if the file can't be read, or has no such line."""
    lines = [line.strip() for line in sources.lines(file)]
    if not 0 < number <= len(lines) or not lines[number - 1]:
        return None
    return _line(lines, file, number)


def _line(lines: list[str], file: str, number: int) -> SourceLine:
    before = lines[number - 2] if number > 1 else ""
    after = lines[number] if number < len(lines) else ""
    return SourceLine(file, number, lines[number - 1], before, after)


def find_again(was: SourceLine, sources: Sources) -> int:
    """The number that this line has now. Raises Changed."""
    lines = [line.strip() for line in sources.lines(was.file)]
    if not lines:
        raise Changed(f"the file {was.file} can't be read any more", "")
    there = [_line(lines, was.file, n) for n, text in enumerate(lines, 1) if text == was.text]
    if not there:
        at_present = lines[was.number - 1] if was.number <= len(lines) else ""
        now = f"reads `{_cut(at_present)}` now" if at_present else "is empty now, or not there"
        raise Changed(f"line {was.number} {now}, and read `{_cut(was.text)}`", "")
    return _likeliest(was, there)


def _likeliest(was: SourceLine, there: list[SourceLine]) -> int:
    """Of lines with the same text: the one with both neighbours, or with one of them in the old
    place; or else the only one.
    """
    neighbours = (was.before, was.after)
    for fits in (
        [each for each in there if (each.before, each.after) == neighbours],
        [each for each in there if each.number == was.number and _shares_one(was, each)],
        there if len(there) == 1 else [],
    ):
        if any(each.number == was.number for each in fits):
            return was.number
        if len(fits) == 1:
            return fits[0].number
    numbers = ", ".join(str(each.number) for each in there[:5])
    raise Changed(f"`{_cut(was.text)}` stands on the lines {numbers}: it can't be told which", "")


def _shares_one(was: SourceLine, now: SourceLine) -> bool:
    return was.before == now.before or was.after == now.after


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def names_used(code: str) -> list[str]:
    """The global names, other than builtins, that the functions in this code read.

    Raises Changed where it can't be read with the Python of the kernel.
    """
    try:
        table = symtable.symtable(code, "<patch>", "exec")
    except (SyntaxError, ValueError):
        raise Changed("the kernel's Python can't read the patch", "") from None
    symbols = table.get_symbols()
    own = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported()}
    used = {each.get_name() for each in symbols if each.is_referenced()}
    used |= {name for child in table.get_children() for name in _globals(child)}
    return sorted(used - own - set(dir(builtins)))


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    yield from (each.get_name() for each in table.get_symbols() if each.is_global())
    for child in table.get_children():
        yield from _globals(child)
