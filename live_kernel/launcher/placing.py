"""Where a cell runs, as it is written and as the link has it.

Pure; used by the kernel's commands and by the public API. Rule: a place is a dictionary as
the link's `run` takes it: `kind`, for a thread which one, and perhaps `at_most`, in seconds.
"""

from __future__ import annotations

from typing import Any

from ..errors import CommandMisused
from . import durations

LIMIT = "--at-most"

USAGES = {
    "main": "%%main [--at-most 2s]",
    "loop": "%%loop [--at-most 2s]",
    "thread": "%%thread [NAME|ID] [--at-most 2s]",
    "own": "%%own",
}
"""The kinds of place, and how each is written above a cell."""

_WORDS = {
    "own": "on the kernel's own thread in the program",
    "main": "on the program's main thread",
    "loop": "in the program's event loop",
    "thread": "on the program's thread",
}


def parse(kind: str, argument: str) -> dict[str, Any]:
    """The place of this kind; `argument` stands behind it. Raises CommandMisused."""
    words = argument.replace(LIMIT + "=", LIMIT + " ").split()
    place: dict[str, Any] = {"kind": kind}
    if LIMIT in words and kind != "own":
        at = words.index(LIMIT)
        place["at_most"] = _limit(kind, " ".join(words[at + 1 : at + 2]))
        del words[at : at + 2]
    if kind == "thread":
        place["thread"] = " ".join(words)
    elif words:
        raise _misused(kind, f"It does not take {' '.join(words)!r}.")
    return place


def _limit(kind: str, text: str) -> float:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise _misused(kind, f"{LIMIT}: {error}.") from None


def _misused(kind: str, what: str) -> CommandMisused:
    return CommandMisused(what, f"Usage: {USAGES[kind]}")


def of_cell(code: str) -> tuple[dict[str, Any], str]:
    """The place that a cell's first line names, if it does, and the cell without that line.

    Raises CommandMisused.
    """
    blank = code[: len(code) - len(code.lstrip())]
    first, newline, rest = code[len(blank) :].partition("\n")
    name, _, argument = first.strip().partition(" ")
    kind = name.removeprefix("%%")
    if name == kind or kind not in USAGES:
        return {}, code
    return parse(kind, argument), blank + newline + rest


def written(place: dict[str, Any]) -> str:
    """As `%place` takes it: `main --at-most 2s`."""
    words = [place.get("kind", "own"), place.get("thread", "")]
    limit = f"{LIMIT} {place['at_most']:g}s" if "at_most" in place else ""
    return " ".join(filter(None, [*words, limit]))


def described(place: dict[str, Any]) -> str:
    """In words: `on the program's main thread, which each may hold for 2 s at most`."""
    kind = place.get("kind", "own")
    text = _WORDS[kind]
    if kind == "thread":
        text += f" {place['thread']}" if place["thread"] else " whose names they see"
    if "at_most" in place:
        text += f", which each may hold for {place['at_most']:g} s at most"
    return text
