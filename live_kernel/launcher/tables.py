"""Processes as tables, for people: text and HTML of the same rows.

Runs in the launcher. Rule: what a process calls itself is shown escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ..attach.processes import Candidate

_WIDEST = 60
_COLUMNS = ("PID", "Python", "User", "Up", "Command", "Attach")


def duration(seconds: float) -> str:
    """A time span, roughly: `42 s`, `13 min`, `5 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def printable(text: str) -> str:
    """Text without anything that a terminal would obey."""
    return "".join(
        c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def row(candidate: Candidate) -> tuple[str, ...]:
    """The cells of one process: pid, Python, user, uptime, command, verdict."""
    process = candidate.process
    return (
        str(process.pid),
        process.version_text,
        process.username,
        duration(process.uptime),
        printable(process.title),
        "yes" if candidate.error is None else f"no: {candidate.error.kind}",
    )


def as_text(candidates: Sequence[Candidate]) -> str:
    """Aligned columns, each command cut to a width that fits a terminal."""
    rows = [tuple(map(_cut, cells)) for cells in [_COLUMNS, *map(row, candidates)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    )


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def as_html(candidates: Sequence[Candidate]) -> str:
    """The same as a table; why a process can't be attached to is its row's tooltip."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _COLUMNS)
    body = "".join(_html_row(candidate) for candidate in candidates)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(candidate: Candidate) -> str:
    import html  # with its thousands of entities

    why = "" if candidate.error is None else candidate.error.explain()
    cells = "".join(f"<td style='text-align:left'>{html.escape(c)}</td>" for c in row(candidate))
    return f"<tr title='{html.escape(why, quote=True)}'>{cells}</tr>"


def as_bundle(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Both, as a MIME bundle; a sentence where there is nothing to show."""
    if not candidates:
        return {"text/plain": NOBODY}
    return {"text/plain": as_text(candidates), "text/html": as_html(candidates)}


NOBODY = "No process of CPython 3.14 or later that could be attached to runs on this machine."
