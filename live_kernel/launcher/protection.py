"""The guard rails of a kernel's present attach, and what its user has been told and has said.

Runs on the launcher's reactor; owned by the target. Rule: who asks for fewer rails than were
there gets them by a new attach, whose agent is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from ..attach.processes import Process
from ..errors import ConfigBroken, OnlyLooks
from ..records import NamedTuple
from . import rails
from .rails import NO_RAILS, Rails


class Found(NamedTuple):
    """What holds for an attach: `rails` are all of them, `guard` what the configuration sets."""

    rails: Rails
    guard: Rails


class Protection:
    """What guards the target, as long as `is_there()`."""

    def __init__(self, is_there: Callable[[], bool]) -> None:
        self._is_there = is_there
        self.given = NO_RAILS
        """What is asked for all attaches of this kernel."""
        self._found = Found(NO_RAILS, NO_RAILS)
        self.agreed = False
        """The user has said yes to all cells of this attach."""
        self._was_refused = self._is_strip_due = False

    def of(self, process: Process, asked: Rails) -> Found:
        """What would hold for an attach to this process, with what was asked for it.

        Raises ConfigBroken.
        """
        from . import guards  # not before there is a target

        guard = guards.of(process)
        return Found(self._own().plus(asked).plus(guard), guard)

    def _own(self) -> Rails:
        """What is asked for all attaches. Raises ConfigBroken."""
        return self.given.plus(rails.from_environment(os.environ))

    @property
    def rails(self) -> Rails:
        """Those of the present attach, or what is known of the next one."""
        if self._is_there():
            return self._found.rails
        with suppress(ConfigBroken):
            return self._own()
        return self.given

    @property
    def guard(self) -> Rails:
        """Of the present attach, what the configuration sets."""
        return self._found.guard if self._is_there() else NO_RAILS

    # -- attaches

    def is_within(self, found: Found) -> bool:
        """Can the present attach go on with these?"""
        return bool(found.rails.observe) == bool(self._found.rails.observe)

    def go_on(self, found: Found) -> None:
        """The present attach goes on with these."""
        self.agreed &= found.rails.confirm == self._found.rails.confirm
        self._found = found
        self.tell()

    def begin(self, found: Found) -> None:
        """A new attach begins with these."""
        self._found = found
        self.agreed = self._was_refused = False

    def tell(self) -> None:
        """At the next occasion, show what holds."""
        self._is_strip_due = self.rails.is_told

    def take_strip(self, process: Process | None) -> list[dict[str, str]]:
        """What is to be shown now, once."""
        if not self._is_strip_due:
            return []
        from .showing import banners

        self._is_strip_due = False
        return [banners.bundle(self.rails, process)]

    # -- what is refused

    def only_looks(self, what: str, process: Process | None) -> OnlyLooks:
        """The error that refuses something; `what` is the subject of its sentence."""
        by = self.rails.observe
        whom = "at programs" if process is None else f"at {process}"
        text = f"{what} is refused: this kernel only looks {whom}, and runs nothing in it ({by})."
        others = "%threads, %stack, %watch and other looks work."
        return OnlyLooks(text, f"{others} {rails.remedy(by, 'observe')}")

    def refuse_message(self, process: Process | None) -> str | None:
        """None if what a front-end says on a comm may be delivered, for code of the program's is
        run by it; else why not, said once.
        """
        if not self.rails.observe and (not self.rails.confirm or self.agreed):
            return None
        why = "only looks" if self.rails.observe else "asks before each cell"
        was_told, self._was_refused = self._was_refused, True
        more = "" if self.rails.observe else " Answering `a` to the next cell lets them through."
        text = f"The kernel {why}: what widgets say does not reach {process}.{more}"
        return "" if was_told else text
