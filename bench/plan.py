"""How much a run measures.

Runs in the benchmark. Rule: a quick run takes fewer samples of the same things.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`quick`: fewer samples. `times`: so many times the rounds."""

    quick: bool
    times: int = 1

    def rounds(self, quick: int, full: int) -> int:
        return (quick if self.quick else full) * self.times
