"""Taking turns, medians and spreads, and the rows of the table.

Runs in the benchmark. Rule: ours and its peer are sampled alternately, and
each round in the opposite order of the one before, so that a machine that
grows warm or busy does so for both.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .estimates import Interval, Statistic, by_rounds, interval, undisturbed, usual

OURS, REFERENCE = "ours", "reference"

type Samples = dict[str, list[float]]


def in_turns(
    actions: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1, each: int = 1
) -> Samples:
    """Sample every action `rounds` times `each`, in turns, after `warm_up` unrecorded rounds."""
    samples: Samples = {name: [] for name in actions}
    order = list(actions)
    for number in range(-warm_up, rounds):
        gc.collect()
        gc.disable()
        try:
            for name in order:
                taken = [actions[name]() for _ in range(each)]
                if number >= 0:
                    samples[name].extend(taken)
        finally:
            gc.enable()
        order.reverse()
    return samples


@dataclass(frozen=True)
class Budget:
    """A limit for `ours` alone (in the row's unit) or for `ratio`, from above or from below."""

    limit: float
    of: str = "ratio"
    at_least: bool = False

    def is_met(self, ours: float, ratio: float | None) -> bool | None:
        value = ratio if self.of == "ratio" else ours
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass
class Row:
    """One line of the table. Values are medians, `samples` what they are the medians of.

    `against` says who the reference is. One thing beside several peers is several rows of
    the same name, one after the other. A row that was not measured says why in `note`; so
    does one that has samples of ours alone, of its peer.
    `is_paired`: the ratio is the median of the rounds' own ratios, in which what
    changes slowly cancels out; else that of the medians.
    `measurement`, what the command line calls it, is put there by who asked for it.
    """

    name: str
    unit: str
    against: str
    budget: Budget | None = None
    samples: Samples = field(default_factory=dict)
    note: str = ""
    digits: int = 2
    is_paired: bool = False
    measurement: str = ""

    def median(self, who: str) -> float | None:
        taken = self.samples.get(who)
        return statistics.median(taken) if taken else None

    def spread(self, who: str) -> tuple[float, float] | None:
        """The middle half of the samples: its least and its greatest."""
        taken = self.samples.get(who, [])
        return quartiles(taken) if len(taken) > 1 else None

    @property
    def ratios(self) -> list[float]:
        """Those of the rounds."""
        ours, reference = self.samples.get(OURS, []), self.samples.get(REFERENCE, [])
        return [mine / other for mine, other in zip(ours, reference, strict=True)]

    @property
    def ratio(self) -> float | None:
        ours, reference = self.samples.get(OURS), self.samples.get(REFERENCE)
        ratio = self._usual(ours, reference) if ours and reference else math.inf
        return ratio if math.isfinite(ratio) else None

    @property
    def interval(self) -> Interval | None:
        """The ratio, and between what it lies with a probability of 95 %."""
        return self._estimate(self._usual, 0.95)

    def undisturbed(self, level: float = 0.95) -> Interval | None:
        """The ratio as it is beside any neighbour: of the fastest samples, for they are times.

        What is counted per second, where more is better, has the usual ratio.
        """
        is_time = not (self.is_paired or (self.budget and self.budget.at_least))
        return self._estimate(undisturbed if is_time else self._usual, level)

    @property
    def _usual(self) -> Statistic:
        return by_rounds if self.is_paired else usual

    def _estimate(self, statistic: Statistic, level: float) -> Interval | None:
        ours, reference = self.samples.get(OURS), self.samples.get(REFERENCE)
        if not ours or not reference:
            return None
        found = interval(ours, reference, statistic, level)
        return found if all(map(math.isfinite, found)) else None

    @property
    def met(self) -> bool | None:
        ours = self.median(OURS)
        if self.budget is None or ours is None:
            return None
        return self.budget.is_met(ours, self.ratio)

    def as_json(self) -> dict[str, Any]:
        budget = self.budget
        return {
            "measurement": self.measurement,
            "name": self.name,
            "ours": _rounded(self.median(OURS)),
            "reference": _rounded(self.median(REFERENCE)),
            "ratio": _rounded(self.ratio),
            "budget": None if budget is None else budget.limit,
            "met": self.met,
            "budget_of": None if budget is None else budget.of,
            "at_least": budget is not None and budget.at_least,
            "unit": self.unit,
            "digits": self.digits,
            "is_paired": self.is_paired,
            "against": self.against,
            "spread": {who: self.spread(who) for who in self.samples},
            "samples": {who: [_rounded(x) for x in taken] for who, taken in self.samples.items()},
            "note": self.note,
        }


def quartiles(taken: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile."""
    first, _, third = statistics.quantiles(taken, n=4, method="inclusive")
    return round(first, 6), round(third, 6)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def scaled(samples: Samples, factor: float) -> Samples:
    """The samples in another unit."""
    return {who: [value * factor for value in taken] for who, taken in samples.items()}
