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

Key = tuple[int, int]
"""A process: its pid, and its start in clock ticks after boot."""


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
        self._before: dict[Key, tuple[float, float]] = {}

    def read(self, pid: int, start_time: int) -> Use | None:
        """What this process uses; None where it has ended, or can't be seen."""
        try:
            usage = proc.usage(pid)
        except (OSError, ValueError, IndexError):
            return None
        if usage.start_time != start_time:
            return None  # another one has its pid
        now, key = time.monotonic(), (pid, start_time)
        then, used = self._before.get(key, (now, 0.0))
        self._before[key] = now, usage.processor
        share = (usage.processor - used) / (now - then) if now > then else None
        return Use(share, usage.memory, usage.threads, usage.processor)

    def forget_all_but(self, keys: Iterable[Key]) -> None:
        """Of the others no more is asked."""
        self._before = {key: self._before[key] for key in keys if key in self._before}
