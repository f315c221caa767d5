"""What is known of each program; the list of them, its filter and its selection.

Pure. Rule: who is selected stays so, as long as it is there and fits the filter, wherever it
moves in the list; a process is known by its pid and the moment of its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ..attach.metering import UNKNOWN, Use
from ..attach.processes import Candidate, Process
from ..launcher.rails import NO_RAILS, Rails


class Entry:
    """One process. `kernels`: others that are attached to it, in words. `name`: under which it is
    supervised.
    """

    def __init__(
        self,
        candidate: Candidate,
        rails: Rails = NO_RAILS,
        use: Use = UNKNOWN,
        kernels: Sequence[str] = (),
        name: str = "",
    ) -> None:
        self.candidate, self.rails, self.use = candidate, rails, use
        self.kernels, self.name = tuple(kernels), name

    @property
    def process(self) -> Process:
        return self.candidate.process

    @property
    def key(self) -> tuple[int, int]:
        return self.process.pid, self.process.start_time

    @cached_property
    def text(self) -> str:
        """In which the words of the filter are sought."""
        process = self.process
        parts = (str(process.pid), process.username, self.name, self.rails.banner, *process.cmdline)
        return " ".join(parts).lower()


class Listing:
    """The entries that fit the filter, and the one that is selected."""

    def __init__(self) -> None:
        self.shown: list[Entry] = []
        self.position = 0
        self.is_loaded = False
        self._all: list[Entry] = []
        self._words: list[str] = []

    @property
    def selected(self) -> Entry | None:
        return self.shown[self.position] if self.shown else None

    @property
    def total(self) -> int:
        """How many there are, whether or not they fit."""
        return len(self._all)

    def take(self, entries: Sequence[Entry]) -> None:
        """What there is now."""
        self._all, self.is_loaded = list(entries), True
        self._show()

    def filter(self, text: str) -> None:
        """Show those in which each of the words stands."""
        self._words = text.lower().split()
        self._show()

    def move(self, by: int) -> None:
        """Select another, so many further down; the first and the last are the ends."""
        self.position = max(0, min(self.position + by, len(self.shown) - 1))

    def _show(self) -> None:
        before = self.selected
        self.shown = [each for each in self._all if all(w in each.text for w in self._words)]
        self.shown.sort(key=self._rank)
        keys = [each.key for each in self.shown]
        if before is not None and before.key in keys:
            self.position = keys.index(before.key)
        else:
            self.move(0)

    def _rank(self, entry: Entry) -> bool:
        """First the very pid that was typed."""
        return str(entry.process.pid) not in self._words
