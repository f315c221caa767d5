"""Numbers as they came, as a small picture: SVG for notebooks, block characters for consoles.

Runs in the target, on the thread of the beats. Rule: it is readable on light and on dark
ground alike, so text has the colour of the text around it.
"""

from __future__ import annotations

from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Line = Sequence[tuple[float, float]]
    """Points: time, and value, which is NaN where there was none."""

BLOCKS = "▁▂▃▄▅▆▇█"
COLOURS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#eab308", "#06b6d4", "#84715f")
"""Of middle brightness, for either ground."""

_WIDTH, _HEIGHT = 600, 90
_LEFT, _RIGHT, _BOTTOM, _TOP = 4, 140, 16, 6
_NAME = 14
"""Characters of a line's name that there is room for."""


def blocks(values: Sequence[float], width: int = 24) -> str:
    """The last values as a line of blocks."""
    shown = values[-width:]
    known = [value for value in shown if isfinite(value)]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)

    def block(value: float) -> str:
        if not isfinite(value):
            return " "
        return BLOCKS[int((value - low) / span * (len(BLOCKS) - 1) + 0.5) if span else 0]

    return "".join(map(block, shown))


def number(value: float) -> str:
    """A number in a few characters."""
    if isfinite(value) and value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.4g}"


def clock(seconds: float) -> str:
    """A stretch of time: `0.5 s`, `2 min 5 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def svg(lines: Mapping[str, Line]) -> str:
    """Lines over a common axis of time, each labelled with its last value."""
    points = [(when, value) for line in lines.values() for when, value in line if isfinite(value)]
    if not points:
        return ""
    first, last = min(when for when, _ in points), max(when for when, _ in points)
    low, high = min(value for _, value in points), max(value for _, value in points)
    frame = _Frame(first, last, low, high)
    drawn = [
        frame.line(name, line, COLOURS[place % len(COLOURS)], place)
        for place, (name, line) in enumerate(lines.items())
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'style="max-width:100%;font:11px sans-serif" fill="currentColor" role="img">'
        + frame.axis()
        + "".join(drawn)
        + "</svg>"
    )


class _Frame:
    """Where times and values are in the picture."""

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self._first, self._span = first, last - first
        self._low, self._height = low, high - low
        self._right = _WIDTH - _RIGHT
        self._floor = _HEIGHT - _BOTTOM

    def _x(self, when: float) -> float:
        share = (when - self._first) / self._span if self._span else 1.0
        return _LEFT + share * (self._right - _LEFT)

    def _y(self, value: float) -> float:
        share = (value - self._low) / self._height if self._height else 0.5
        return self._floor - share * (self._floor - _TOP)

    def axis(self) -> str:
        """The line of time, from when to when; the least and the greatest value."""
        y, text = self._floor + 2, _HEIGHT - 3
        bounds = ((_TOP + 4, self._low + self._height), (self._floor, self._low))
        values = "".join(
            f'<text x="{_LEFT}" y="{place}" opacity="0.6">{number(value)}</text>'
            for place, value in bounds[: 2 if self._height else 1]
        )
        return (
            f'<path d="M{_LEFT} {y}H{self._right}" stroke="currentColor" opacity="0.3"/>'
            f'<text x="{_LEFT}" y="{text}" opacity="0.6">-{clock(self._span)}</text>'
            f'<text x="{self._right}" y="{text}" opacity="0.6" text-anchor="end">now</text>{values}'
        )

    def line(self, name: str, line: Line, colour: str, place: int) -> str:
        """One line, with gaps where there was no number, and its last value."""
        path, pen = [], "M"
        for when, value in line:
            if isfinite(value):
                path.append(f"{pen}{self._x(when):.1f} {self._y(value):.1f}")
                pen = "L"
            else:
                pen = "M"
        if not path:
            return ""
        when, value = next((w, v) for w, v in reversed(line) if isfinite(v))
        label = f"{_cut(name)} {number(value)}".strip()
        y = _TOP + 5 + 11 * place if name else self._y(value) + 4
        return (
            f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            f'<circle cx="{self._x(when):.1f}" cy="{self._y(value):.1f}" r="2.5" fill="{colour}"/>'
            f'<text x="{self._right + 6}" y="{y:.1f}" fill="{colour}">{_escaped(label)}</text>'
        )


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
