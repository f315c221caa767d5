"""How what is watched is shown: a display that is updated, a line that is rewritten, or lines.

Runs in the target, on the thread of the beats. A notebook updates one display in its place;
a console can't, but a cell that lasts may write over its own line. Rule: the first thing
that comes is shown at once, and the last word is a printed line wherever that is.
"""

from __future__ import annotations

from collections import deque
from math import inf, isfinite, nan
from time import monotonic, strftime

from . import brief, plots
from .plots import blocks, clock, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell
    from .readings import Reading

KEPT = 300
"""Values that are drawn."""

_LINE = 100
"""Characters of a line that is rewritten: a longer one would be broken by the terminal."""

_LINES = 200
"""Lines that are printed for a console beside which a watch goes on."""


class Numbers:
    """One line of the plot, and what is told of all of it at the end."""

    def __init__(self, since: int) -> None:
        self.points: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.since = since
        self.count, self.total, self.low, self.high = 0, 0.0, inf, -inf

    def add(self, when: float, value: float) -> None:
        self.points.append((when, value))
        if isfinite(value):
            self.count += 1
            self.total += value
            self.low, self.high = min(self.low, value), max(self.high, value)

    def told(self, name: str) -> str:
        """`min 3, mean 5.5, max 8`, behind its name."""
        if not self.count:
            return ""
        words = [
            f"{what} {number(value)}"
            for what, value in (
                ("min", self.low),
                ("mean", self.total / self.count),
                ("max", self.high),
            )
        ]
        return (f"{name}: " if name else "") + ", ".join(words)


class Series:
    """All that has been read of one expression."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.lines: dict[str, Numbers] = {}
        self.latest: Reading | None = None
        self.count = self.errors = self.errors_in_a_row = 0
        self.moved = self.ended = ""
        self.late = 0.0
        """Seconds for which the next value has been waited for, where that is long."""
        self._begun = monotonic()

    def add(self, reading: Reading, moved: str) -> None:
        """One more value."""
        self.latest, self.moved, self.late = reading, moved, 0.0
        self.count += 1
        self.errors += reading.is_error
        self.errors_in_a_row = self.errors_in_a_row + 1 if reading.is_error else 0
        for name, value in reading.numbers.items():
            if name not in self.lines and len(self.lines) < len(plots.COLOURS):
                self.lines[name] = Numbers(self.count)
            if name in self.lines:
                self.lines[name].add(reading.at, value)
        for name, line in self.lines.items():
            if name not in reading.numbers:
                line.add(reading.at, nan)

    @property
    def value(self) -> str:
        """The latest value, or what there is instead."""
        text = "…" if self.latest is None else self.latest.text
        if self.late:
            text += f" (still being evaluated after {clock(self.late)})"
        return text

    def line(self) -> str:
        """All of it in one line."""
        words = [f"{self.expression} = {' '.join(self.value.split())}"]
        words += [blocks([value for _, value in line.points]) for line in self.lines.values()]
        return "  ".join(filter(None, words))

    def summary(self) -> str:
        """The last word."""
        words = [f"{brief.plural(self.count, 'value')} in {clock(monotonic() - self._begun)}"]
        words += [line.told(name) for name, line in self.lines.items()]
        if self.errors:
            words.append(brief.plural(self.errors, "error"))
        text = "; ".join(filter(None, words))
        return f"%watch {self.expression}: {text} ({self.ended})"

    def bundle(self) -> dict[str, Any]:
        """As a display."""
        caption = [self.ended or f"at {strftime('%H:%M:%S')}", self.moved]
        spread = [line.told(name) for name, line in self.lines.items()]
        notes = " · ".join(filter(None, [*spread, *caption]))
        points = {name: list(line.points) for name, line in self.lines.items()}
        html = (
            '<div style="line-height:1.4">'
            f"<code>{_escaped(self.expression)}</code> = <code>{_escaped(self.value)}</code><br>"
            f"{plots.svg(points)}<div><small>{_escaped(notes)}</small></div></div>"
        )
        plain = [self.line(), f"  {notes}"]
        return {"text/plain": "\n".join(plain), "text/html": html}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _Display:
    """One display, updated in its place."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._name = f"live-kernel-watch-{cell.number}-{id(self):x}"
        self._kind = "display"

    def __call__(self, series: Series) -> None:
        transient = {"display_id": self._name}
        self._cell.emit(self._kind, series.bundle(), {}, transient)
        self._cell.output.flush()
        self._kind = "update"

    def last(self, series: Series) -> None:
        self(series)
        _print(self._cell, series.summary() + "\n")


class _Rewritten:
    """One line of a terminal."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def __call__(self, series: Series) -> None:
        line = series.line()
        if len(line) > _LINE:
            line = line[: _LINE - 1] + "…"
        _print(self._cell, f"\r\x1b[K{line}")

    def last(self, series: Series) -> None:
        self(series)
        _print(self._cell, f"\n{series.summary()}\n")


class _Lines:
    """A line for each value that differs, at most one a second."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._shown, self._shown_at, self._count = "", 0.0, 0

    def __call__(self, series: Series) -> None:
        text, now = series.value, monotonic()
        if text == self._shown or now - self._shown_at < 1.0 or self._count >= _LINES:
            return
        self._shown, self._shown_at = text, now
        self._count += 1
        more = "" if self._count < _LINES else "  (no more lines of this watch)"
        _print(self._cell, f"{series.line()}{more}\n")

    def last(self, series: Series) -> None:
        _print(self._cell, series.summary() + "\n")


def _print(cell: Cell, text: str) -> None:
    cell.output.write("stdout", text)
    cell.output.flush()


def shown_by(cell: Cell, updates: bool, beside: bool) -> Any:
    """What shows a series each time it is called, and its `last` word."""
    if updates:
        return _Display(cell)
    return _Lines(cell) if beside else _Rewritten(cell)
