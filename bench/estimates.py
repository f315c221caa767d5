"""How sure a ratio is: intervals by drawing the samples again and again.

Runs in the benchmark; pure. Samples that follow each other are alike (the machine was
quiet, or was not), and those of ours and of the reference that were taken in the same
minute are, too. So whole stretches are drawn, the same ones for both. Rule: the same
samples always have the same interval.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

STRETCHES = 20
"""Into so many at most are the samples divided."""

DRAWS = 1000
UNDISTURBED = 0.1
"""Which quantile of the samples stands for what a thing takes when nobody disturbs it."""

type Statistic = Callable[[Sequence[float], Sequence[float]], float]


class Interval(NamedTuple):
    """A ratio, and between what it lies."""

    low: float
    value: float
    high: float


def usual(ours: Sequence[float], reference: Sequence[float]) -> float:
    """The ratio of the medians."""
    return _ratio(statistics.median(ours), statistics.median(reference))


def by_rounds(ours: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the rounds' own ratios, in which what changes slowly cancels out."""
    return statistics.median(map(_ratio, ours, reference))


def undisturbed(ours: Sequence[float], reference: Sequence[float]) -> float:
    """The ratio of the fastest tenths: neighbours only ever make a thing take longer."""
    return _ratio(_quantile(ours, UNDISTURBED), _quantile(reference, UNDISTURBED))


def interval(
    ours: Sequence[float],
    reference: Sequence[float],
    statistic: Statistic = usual,
    level: float = 0.95,
) -> Interval:
    """A statistic of the samples, and where it lies with the probability `level`.

    `reference` of a single sample is a constant. Raises ValueError where there is no sample.
    """
    if not ours or not reference:
        raise ValueError("there are no samples to estimate a ratio from")
    count = min(STRETCHES, len(ours), STRETCHES if len(reference) == 1 else len(reference))
    pairs = list(zip(_stretches(ours, count), _stretches(reference, count), strict=True))
    draw = random.Random(count)
    found = sorted(_of_drawn(draw.choices(pairs, k=count), statistic) for _ in range(DRAWS))
    outside = (1 - level) / 2
    return Interval(
        _quantile(found, outside), statistic(ours, reference), _quantile(found, 1 - outside)
    )


def _ratio(ours: float, reference: float) -> float:
    """Infinite where there is nothing to compare with."""
    return ours / reference if reference else math.inf


def _of_drawn(pairs: Sequence[tuple[Sequence[float], ...]], statistic: Statistic) -> float:
    drawn = ([each for piece in side for each in piece] for side in zip(*pairs, strict=True))
    return statistic(*drawn)


def _stretches(taken: Sequence[float], count: int) -> list[Sequence[float]]:
    """The samples in their order, in so many stretches; of a constant, itself each time."""
    if len(taken) == 1:
        return [taken] * count
    edges = [round(number * len(taken) / count) for number in range(count + 1)]
    return [taken[start:end] for start, end in itertools.pairwise(edges)]


def _quantile(taken: Sequence[float], share: float) -> float:
    """Between the two samples that are nearest to it."""
    ordered = sorted(taken)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
