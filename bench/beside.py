"""Ours beside several peers at once, of which some may not be there.

Runs in the benchmark. Rule: a peer that can't be driven is shown in the table with the
reason, and never makes the benchmark fail; ours does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .samples import OURS, REFERENCE, Budget, Row, Samples, in_turns, scaled

type Action = Callable[[], float]


@dataclass
class Comparison:
    """The samples of all that could be driven, and why the others could not."""

    samples: Samples = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def row(
        self, name: str, peer: str, unit: str = "ms", budget: Budget | None = None, digits: int = 2
    ) -> Row:
        """The row of ours against one of the peers; its name is the same for all of them."""
        taken = {OURS: self.samples[OURS]}
        if peer in self.absent:
            note = f"not measured here: {self.absent[peer]}"
            return Row(name, unit, peer, budget, taken, note, digits)
        return Row(
            name, unit, peer, budget, {**taken, REFERENCE: self.samples[peer]}, digits=digits
        )

    def scaled(self, factor: float) -> Comparison:
        """The same in another unit."""
        return Comparison(scaled(self.samples, factor), self.absent)


def compare(
    actions: Mapping[str, Action], rounds: int, warm_up: int = 1, each: int = 1
) -> Comparison:
    """`in_turns`, in which a peer whose action fails is left out from then on."""
    absent: dict[str, str] = {}
    patient = {
        name: action if name == OURS else _forgiving(name, action, absent)
        for name, action in actions.items()
    }
    samples = in_turns(patient, rounds, warm_up, each)
    present = {name: taken for name, taken in samples.items() if name not in absent}
    return Comparison(present, absent)


def _forgiving(name: str, action: Action, absent: dict[str, str]) -> Action:
    def act() -> float:
        if name in absent:
            return math.nan
        try:
            return action()
        except Exception as error:
            absent[name] = f"{type(error).__name__}: {error}"
            return math.nan

    return act
