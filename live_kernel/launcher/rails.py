"""The guard rails of one attach: whether it only looks, asks before each cell, leaves when idle.

Pure; used by the launcher, the API and the command line. They are set on command lines, by
variables, by `%attach`, and by the guards of the user's configuration (`guards.py`).
Rule: rails add up. Nobody who sets fewer takes away what another has set.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigBroken
from ..records import NamedTuple
from . import durations

_NO = ("", "0", "no", "off", "false")

OBSERVE = "LIVE_KERNEL_OBSERVE"
"""`1`: the kernel only looks at programs, as with `--observe`."""

CONFIRM = "LIVE_KERNEL_CONFIRM"
"""`1`: each cell asks first, as with `--confirm`."""

IDLE = "LIVE_KERNEL_IDLE"
"""After what time without use the kernel detaches, such as `30m`, as with `--idle`."""


class Rails(NamedTuple):
    """`observe`, `confirm` and `idle_by` say who has set each, and are empty where nobody has.

    `idle`: seconds after which an unused attach ends; 0 for never. `banner`, `colour`: as the
    first guard that fits has them.
    """

    observe: str = ""
    confirm: str = ""
    idle: float = 0.0
    idle_by: str = ""
    banner: str = ""
    colour: str = ""

    def plus(self, other: Rails) -> Rails:
        """Both together; where both set the same, it is said to be the first's."""
        later = not self.idle or 0 < other.idle < self.idle
        return Rails(
            self.observe or other.observe,
            self.confirm or other.confirm,
            other.idle if later else self.idle,
            other.idle_by if later else self.idle_by,
            self.banner or other.banner,
            self.colour or other.colour,
        )

    def allows_idle(self, seconds: float) -> bool:
        """May it be left after so long (0: never) where it is to be after `idle` at the latest?"""
        return not self.idle or 0 < seconds <= self.idle

    @property
    def is_told(self) -> bool:
        """Is there anything of which the user must be told at attach?"""
        return bool(self.banner or self.observe or self.confirm or self.idle)

    def in_words(self) -> str:
        """`only looks (--observe); asks before each cell (guard 1 of …)`; empty for none."""
        words = []
        if self.observe:
            words.append(f"only looks, and runs no cells ({self.observe})")
        elif self.confirm:
            words.append(f"asks before each cell ({self.confirm})")
        if self.idle:
            words.append(
                f"detaches after {durations.written(self.idle)} without use ({self.idle_by})"
            )
        return "; ".join(words)


NO_RAILS = Rails()


def from_environment(environment: Mapping[str, str]) -> Rails:
    """The variables LIVE_KERNEL_OBSERVE, LIVE_KERNEL_CONFIRM, LIVE_KERNEL_IDLE.

    Whatever is no "no" is a yes. Raises ConfigBroken for what is no span of time.
    """

    def said(name: str) -> str:
        return "" if environment.get(name, "").strip().lower() in _NO else name

    text = environment.get(IDLE, "").strip()
    if text.lower() in _NO:
        return Rails(said(OBSERVE), said(CONFIRM))
    try:
        return Rails(said(OBSERVE), said(CONFIRM), durations.parse(text), IDLE)
    except ValueError as error:
        raise ConfigBroken(
            f"The variable {IDLE} is not understood, so that nothing is attached: {error}.",
            f"For example: {IDLE}=30m, or {IDLE}=off",
        ) from None


def remedy(by: str, rail: str) -> str:
    """How somebody who may gets an attach without this rail; `by`: who has set it."""
    if by.startswith("%attach"):
        return f"%attach PID, without --{rail}, attaches anew for cells."
    if by.startswith("["):
        return f"Where that is wanted all the same: take `{rail}` out of {by}, and attach anew."
    return f"For cells, start a kernel without {by}."
