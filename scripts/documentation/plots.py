"""Plots of what changes from run to run: small ones of one kind, two in a row.

Called where the documentation is built. Pure: figures in, SVG out; the colours are those of
the drawings in docs/pictures. Rule: a line is told by words beside it, not by its colour
alone, and each of its points tells its figures when it is pointed at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

COLUMNS = 2
WIDTH, HEIGHT = 425, 214
"""Of one plot, in the units in which letters are 12 to 14 high."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 134, 42, 34
_APART = 14
_TICKS = 4
_LABELS = 3
"""So many runs have room for their names below a plot."""

_STYLE = """
.lk { --lk-ink: #1b1f24; --lk-soft: #57606a; --lk-panel: #f5f8f8; --lk-edge: #b8c4c4;
  --lk-mark: #0b7a70; --lk-warm: #b45309; }
@media (prefers-color-scheme: dark) {
  .lk { --lk-ink: #e6edf3; --lk-soft: #a5b0ba; --lk-panel: #1c2528; --lk-edge: #4c5a5e;
    --lk-mark: #5fd3c4; --lk-warm: #fbbf77; }
}
.lk text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  fill: var(--lk-ink); }
.lk .lk-head { font-weight: 600; font-size: 13px; }
.lk .lk-soft { fill: var(--lk-soft); }
.lk .lk-mid { text-anchor: middle; }
.lk .lk-end { text-anchor: end; }
.lk .lk-warm { fill: var(--lk-warm); }
.lk .lk-grid { stroke: var(--lk-edge); stroke-width: 1; opacity: 0.5; }
.lk .lk-budget { stroke: var(--lk-warm); stroke-width: 1.5; stroke-dasharray: 5 4; }
.lk .lk-series path { fill: none; stroke-width: 2; }
.lk .lk-series .lk-range { stroke-width: 5; opacity: 0.3; }
.lk .lk-0 { color: var(--lk-mark); } .lk .lk-1 { color: var(--lk-ink); }
.lk .lk-2 { color: var(--lk-soft); } .lk .lk-3 { color: #8672d8; }
.lk .lk-series path { stroke: currentcolor; } .lk .lk-series circle { fill: currentcolor; }
.lk .lk-series text { fill: currentcolor; }
"""
_COLOURS = 4


@dataclass(frozen=True)
class Point:
    """`run`: the number of the run, on the axis of all. `text`: what it says when pointed at."""

    run: int
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Series:
    """One line, with the words at its end."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Plot:
    """`unit` is said with the title; `limit` is drawn across, with `limit_text` at its end."""

    title: str
    unit: str
    series: Sequence[Series]
    limit: float | None = None
    limit_text: str = ""


def drawing(title: str, plots: Sequence[Plot], runs: Sequence[str]) -> str:
    """All plots of a topic in one SVG; `runs`: what stands below the axis, the oldest first."""
    rows = math.ceil(len(plots) / COLUMNS)
    size = f"0 0 {COLUMNS * WIDTH} {rows * HEIGHT}"
    told = f"{title}: {len(plots)} plots over {len(runs)} runs"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lk" viewBox="{size}" role="img"'
        f' aria-label="{escape(told)}">',
        f"<style>{_STYLE}</style>",
    ]
    for number, plot in enumerate(plots):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        lines += [f'<g transform="translate({x} {y})">', *_plot(plot, runs), "</g>"]
    return "\n".join([*lines, "</svg>"])


class Scale:
    """Values to heights: from zero, or near the values where these differ little, or by powers."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        self._is_log = low > 0 and high > 8 * low
        if self._is_log:
            self._low, self._high = low / 1.3, high * 1.3
        elif low > 0.7 * high:
            margin = max(0.15 * (high - low), 0.005 * high)
            self._low, self._high = low - margin, high + margin
        else:
            self._low, self._high = 0.0, high * 1.1 or 1.0

    def y(self, value: float) -> float:
        bottom, top = HEIGHT - _BOTTOM, _TOP
        share = (self._on(value) - self._on(self._low)) / (
            self._on(self._high) - self._on(self._low)
        )
        return round(bottom - share * (bottom - top), 1)

    def _on(self, value: float) -> float:
        return math.log(value) if self._is_log else value

    def ticks(self) -> list[float]:
        """Round values within it, a few of them."""
        if self._is_log:
            return self._powers()
        step = _round_step((self._high - self._low) / _TICKS)
        first = math.ceil(self._low / step)
        return [number * step for number in range(first, int(self._high / step + 1e-9) + 1)]

    def _powers(self) -> list[float]:
        powers = range(math.floor(math.log10(self._low)), math.ceil(math.log10(self._high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            within = [value for value in found if self._low <= value <= self._high]
            if len(within) <= _TICKS + 1:
                break
        return within


def _round_step(least: float) -> float:
    """1, 2 or 5 and zeros: the first that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _plot(plot: Plot, runs: Sequence[str]) -> Iterator[str]:
    points = [point for series in plot.series for point in series.points]
    values = [value for point in points for value in (point.low, point.high)]
    scale = Scale([*values, *([plot.limit] if plot.limit is not None else [])])
    yield f'<text class="lk-head" x="8" y="18">{escape(plot.title)}</text>'
    yield f'<text class="lk-soft" x="8" y="34">{escape(plot.unit)}</text>'
    yield from _axes(scale, runs)
    ends = [scale.y(series.points[-1].value) for series in plot.series]
    if plot.limit is not None:
        ends.append(scale.y(plot.limit))
        yield f'<path class="lk-budget" d="M{_LEFT} {ends[-1]} H{WIDTH - _RIGHT}"/>'
    labels = _apart(ends)
    if plot.limit is not None:
        yield _at_the_end(plot.limit_text, labels.pop(), "lk-warm")
    for number, (series, label) in enumerate(zip(plot.series, labels, strict=True)):
        yield f'<g class="lk-series lk-{number % _COLOURS}">'
        yield from _series(series, scale, len(runs))
        yield _at_the_end(series.name, label) + "</g>"


def _axes(scale: Scale, runs: Sequence[str]) -> Iterator[str]:
    right = WIDTH - _RIGHT
    for tick in scale.ticks():
        y = scale.y(tick)
        yield f'<path class="lk-grid" d="M{_LEFT} {y} H{right}"/>'
        yield f'<text class="lk-soft lk-end" x="{_LEFT - 6}" y="{y + 4:.1f}">{tick:g}</text>'
    every = math.ceil(len(runs) / _LABELS)
    for number in range(len(runs) - 1, -1, -every):
        place = f'x="{_x(number, len(runs))}" y="{HEIGHT - 14}"'
        yield f'<text class="lk-soft lk-mid" {place}>{escape(runs[number])}</text>'


def _x(run: int, runs: int) -> float:
    """Runs are as far from each other as there is room, the newest at the right."""
    width = WIDTH - _LEFT - _RIGHT
    return round(_LEFT + width * (run + 0.5) / runs, 1)


def _at_the_end(text: str, y: float, kind: str = "lk-name") -> str:
    """Words to the right of a line."""
    return f'<text class="{kind}" x="{WIDTH - _RIGHT + 6}" y="{y + 4:.1f}">{escape(text)}</text>'


def _series(series: Series, scale: Scale, runs: int) -> Iterator[str]:
    places = [(_x(point.run, runs), scale.y(point.value)) for point in series.points]
    yield '<path d="M' + " L".join(f"{x} {y}" for x, y in places) + '"/>'
    for point, (x, y) in zip(series.points, places, strict=True):
        low, high = scale.y(point.low), scale.y(point.high)
        yield f'<path class="lk-range" d="M{x} {low} V{high}"/>'
        yield f'<circle cx="{x}" cy="{y}" r="3.5"><title>{escape(point.text)}</title></circle>'


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights of labels, moved down where they would lie on one another."""
    placed: dict[int, float] = {}
    above = -math.inf
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        above = placed[number] = max(heights[number], above + _APART)
    excess = max(0.0, above - (HEIGHT - _BOTTOM)) if placed else 0.0
    return [placed[number] - excess for number in range(len(heights))]
