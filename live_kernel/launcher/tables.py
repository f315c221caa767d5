"""Tables for people, among them that of processes: text and HTML of the same rows.

Runs in the launcher. Rule: what a process calls itself, and what it calls its own, is
shown escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..attach.processes import Candidate
from ..errors import ConfigBroken
from ..plain import on_one_line, plain
from ..records import NamedTuple
from . import durations
from .rails import Rails

_WIDEST = 60
_LONGEST = 2000
"""Characters of a cell, or of its tooltip, on a page."""

_COLUMNS: tuple[str, ...] = ("PID", "Python", "User", "Up", "Command", "Attach")


def duration(seconds: float) -> str:
    """A time span, roughly: `42 s`, `13 min`, `5 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def row(candidate: Candidate) -> tuple[str, ...]:
    """The cells of one process: pid, Python, user, uptime, command, verdict."""
    process = candidate.process
    return (
        str(process.pid),
        process.version_text,
        process.username,
        duration(process.uptime),
        on_one_line(process.title),
        "yes" if candidate.error is None else f"no: {candidate.error.kind}",
    )


class Table(NamedTuple):
    """Rows of cells under their headings; each row's title is its tooltip in HTML.

    `marked`: the row that stands out, if any does. `more`: lines below the table.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    titles: Sequence[str] = ()
    caption: str = ""
    more: Sequence[str] = ()
    marked: int = -1

    def as_text(self) -> str:
        """Aligned columns, each cell cut to a width that fits a terminal."""
        rows = [tuple(map(_shown, cells)) for cells in [self.columns, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in rows
        ]
        above = [on_one_line(self.caption)] if self.caption else []
        return "\n".join([*above, *lines, *map(on_one_line, self.more)])

    def as_html(self) -> str:
        """The same, escaped."""
        import html  # with its thousands of entities

        above = html.escape(on_one_line(self.caption))
        caption = f"<caption {_LEFT}>{above}</caption>" if above else ""
        head = "".join(f"<th scope='col' {_LEFT}>{html.escape(c)}</th>" for c in self.columns)
        body = "".join(map(self._html_row, range(len(self.rows))))
        below = "".join(f"<div>{html.escape(on_one_line(line))}</div>" for line in self.more)
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return table + below

    def _html_row(self, number: int) -> str:
        import html

        title = _cut(self.titles[number] if self.titles else "", _LONGEST)
        mark = " aria-current='true' style='font-weight:bold'" if number == self.marked else ""
        texts = [html.escape(on_one_line(_cut(cell, _LONGEST))) for cell in self.rows[number]]
        cells = "".join(f"<td {_LEFT}>{text}</td>" for text in texts)
        return f"<tr title='{html.escape(plain(title), quote=True)}'{mark}>{cells}</tr>"

    def as_bundle(self) -> dict[str, str]:
        """Both, as a MIME bundle."""
        return {"text/plain": self.as_text(), "text/html": self.as_html()}


_LEFT = "style='text-align:left;white-space:pre'"


def _shown(text: str) -> str:
    return on_one_line(_cut(text, _WIDEST))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def of_candidates(candidates: Sequence[Candidate]) -> Table:
    """Processes, and what guards them; why one can't be attached to is its row's tooltip."""
    why = ["" if each.error is None else each.error.explain() for each in candidates]
    from . import guards

    rows, columns, more = [row(each) for each in candidates], _COLUMNS, [""]
    try:
        guarded = [in_short(rails) for rails in guards.of_all(candidates)]
    except ConfigBroken as error:
        guarded, more = [], [error.explain()]
    if any(guarded):
        columns = (*columns, "Guard")
        rows = [(*cells, guard) for cells, guard in zip(rows, guarded, strict=True)]
    return Table(columns, rows, why, more=[line for text in more for line in text.splitlines()])


def in_short(rails: Rails) -> str:
    """Banner and rails in a few words."""
    words = [on_one_line(rails.banner)]
    words += [name for name in ("observe", "confirm") if getattr(rails, name)]
    words += [f"idle {durations.written(rails.idle)}"] if rails.idle else []
    return ", ".join(filter(None, words))


def as_text(candidates: Sequence[Candidate]) -> str:
    """The processes in aligned columns."""
    return of_candidates(candidates).as_text()


def as_html(candidates: Sequence[Candidate]) -> str:
    """The processes as a table of a page."""
    return of_candidates(candidates).as_html()


def as_bundle(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Both, as a MIME bundle; a sentence where there is nothing to show."""
    return of_candidates(candidates).as_bundle() if candidates else {"text/plain": NOBODY}


NOBODY = "No process of CPython 3.14 or later that could be attached to runs on this machine."
