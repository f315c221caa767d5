"""Stacks that were sampled: a table of the functions, and a flame graph.

Pure: counted stacks in, text or SVG out. Rule: the width of a frame is the part of all
samples in which it was there; what is too narrow to be seen is left out.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

type Stacks = Counter[tuple[str, ...]]
"""How often each stack was met; the outermost frame stands first."""

WIDTH, ROW = 1200, 18
_NARROWEST = 1.5
_LETTER = 6.6
"""Units that a letter takes, about."""

_HUES = ("24", "172", "205", "265")
"""One for each outermost frame."""


def parsed(text: str) -> Stacks:
    """Lines of `frame;frame;frame count`, as profilers write them."""
    stacks: Stacks = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[tuple(stack.split(";"))] += int(count)
    return stacks


def table(stacks: Stacks, most: int = 30) -> str:
    """The functions in which most samples were taken: in themselves, and in what they call."""
    total = stacks.total() or 1
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for frame in set(stack):
            within[frame] += count
    roots = Counter(stack[0] for stack in stacks.elements())
    sides = ", ".join(f"{root} {count / total:.0%}" for root, count in roots.most_common())
    lines = [f"{total} samples: {sides}", f"{'itself':>7} {'within':>7}"]
    for frame, count in own.most_common(most):
        lines.append(f"{count / total:>7.1%} {within[frame] / total:>7.1%}  {frame}")
    return "\n".join(lines)


def graph(title: str, stacks: Stacks) -> str:
    """The flame graph as an SVG, the outermost frames at its top."""
    frames = [*_laid_out(stacks)]
    depth = max((row for row, *_ in frames), default=0) + 1
    height = (depth + 2) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="6" y="{ROW - 4}" font-size="13">{escape(title)}, {stacks.total()} samples:'
        " the wider, the more time; point at a frame for its name</text>",
    ]
    hues = dict(zip(dict.fromkeys(root for *_, root in frames), _HUES * len(frames), strict=False))
    for row, x, width, name, share, root in frames:
        y, colour = (row + 1.5) * ROW, _colour(name, hues[root])
        shown = escape(name[: int((width - 6) / _LETTER)]) if width > 30 else ""
        lines.append(
            f'<g><title>{escape(name)}: {share:.1%}</title><rect x="{x:.1f}" y="{y}"'
            f' width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{colour}"/>'
            f'<text x="{x + 3:.1f}" y="{y + 12.5}">{shown}</text></g>'
        )
    return "\n".join([*lines, "</svg>\n"])


def _colour(name: str, hue: str) -> str:
    return f"hsl({hue} 75% {72 + zlib.crc32(name.encode()) % 16}%)"


type _Below = Mapping[tuple[str, ...], int]

type _Frame = tuple[int, float, float, str, float, str]
"""Row, x, width, name, share of all samples, outermost frame."""


def _laid_out(stacks: Stacks) -> Iterator[_Frame]:
    total = stacks.total()

    def lay(below: _Below, row: int, x: float, root: str) -> Iterator[_Frame]:
        by_frame: dict[str, Counter[tuple[str, ...]]] = {}
        for stack, count in below.items():
            if stack:
                by_frame.setdefault(stack[0], Counter())[stack[1:]] += count
        for name, rest in sorted(by_frame.items()):
            width = WIDTH * rest.total() / total
            if width >= _NARROWEST:
                yield row, x, width, name, rest.total() / total, root or name
                yield from lay(rest, row + 1, x, root or name)
            x += width

    return lay(stacks, 0, 0.0, "")
