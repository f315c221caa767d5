"""How long a target has not been used, and what of all that runs there counts as use.

Pure; owned by the target. Rule: what lasts until somebody ends it is no use of its own, and
neither is a thread of the program that stands still until somebody answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

from .rails import Rails

_LASTING = ("watch", "trace")
"""Actions that go on by themselves. One that was told for how long is use until then."""


class Run(Protocol):
    """What runs in the target."""

    holds: bool
    """It holds a thread of the program."""
    lasts: bool
    """It goes on until it is ended."""
    awaits: bool
    """It waits for an answer of the user's."""
    is_silent: bool
    """A front-end has sent it of its own accord."""


class Use:
    """The use of one target."""

    def __init__(self) -> None:
        self._last = self._kept_until = 0.0
        self._limit: float | None = None
        self.has_breakpoints = False
        """A thread of the program may wait at one."""

    def begin(self) -> None:
        """It is attached."""
        self._kept_until, self.has_breakpoints = 0.0, False
        self.go_on()

    def go_on(self) -> None:
        """It is used at this moment."""
        self._last = time.monotonic()

    def note(self, request: dict[str, Any], run: Run) -> None:
        """Something begins to run: see whether it is use for as long as it does."""
        run.is_silent = bool(request.get("silent"))
        self.end(run)
        action = request.get("action") or {}
        name, seconds = action.get("name"), action.get("seconds") or 0.0
        run.holds = name == "enter" or "place" in request
        run.lasts = name in _LASTING and not seconds
        if name in _LASTING:
            self._kept_until = max(self._kept_until, time.monotonic() + seconds)
        self.has_breakpoints |= name == "break"

    def end(self, run: Run) -> None:
        """It has been used for this until now."""
        if not run.is_silent:
            self.go_on()

    def is_on(self, runs: Iterable[Run]) -> bool:
        """Is it in use, with these running there?"""
        if time.monotonic() < self._kept_until:
            return True
        return any(not (run.lasts or (run.holds and run.awaits)) for run in runs)

    # -- after how long it is left

    def limit(self, rails: Rails, guard: Rails) -> tuple[float, str]:
        """Seconds without use after which it is left, 0 for never; and who has set that.

        `guard`: what the configuration sets, which `%idle` does not make longer.
        """
        if self._limit is None:
            return rails.idle, rails.idle_by
        if guard.allows_idle(self._limit):
            return self._limit, "%idle"
        return guard.idle, guard.idle_by

    def set_limit(self, seconds: float) -> None:
        """What `%idle` says."""
        self._limit = seconds

    def rest(self, limit: float) -> float:
        """Seconds until it has not been used for that long."""
        return self._last + limit - time.monotonic()
