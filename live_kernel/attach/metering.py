"""What processes use: memory, and of a processor since the look before.

Runs in the launcher, the picker and Jupyter Server, on any one thread at a time. Rule: a process is
only looked at from outside, and nothing that slows it is read. (So its memory is the resident set.
For the proportional one the system walks all pages of the process with its memory map locked.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..records import NamedTuple
from . import proc


class Use(NamedTuple):
    """What a process uses. `processor`: of one processor, 1.0 for all of it; None where it has
    been looked at only once. `memory`: bytes that are resident. `seconds`: of processor time, all
    its life.
    """

    processor: float | None = None
    memory: int = 0
    threads: int = 0
    seconds: float = 0.0


UNKNOWN = Use()


class Meter:
    """Remembers processes between two looks, without which there is no share of a processor."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[int, float, float]] = {}

    def read(self, pid: int, start_time: int | None = None) -> Use | None:
        """What this process uses, or whichever has the pid now; None where it has ended, or can't
        be seen. `start_time`: in clock ticks after boot.
        """
        try:
            usage = proc.usage(pid)
        except (OSError, ValueError, IndexError):
            return None
        if start_time not in (None, usage.start_time):
            return None  # another one has its pid
        now = time.monotonic()
        of, then, used = self._before.get(pid, (0, now, 0.0))
        self._before[pid] = usage.start_time, now, usage.processor
        is_second = of == usage.start_time and now > then
        share = (usage.processor - used) / (now - then) if is_second else None
        return Use(share, usage.memory, usage.threads, usage.processor)

    def forget_all_but(self, pids: Iterable[int]) -> None:
        """Of the others no more is asked."""
        self._before = {pid: self._before[pid] for pid in pids if pid in self._before}
