"""Whether the launcher still answers, while a thread of the program stands still for it.

Runs in the target, on the threads that wait: one at a breakpoint, one of a cell whose code
holds a thread of the program. A launcher that is killed hangs up; one that is stopped (SIGSTOP,
Ctrl-Z, a frozen container) would hold the thread for ever. Rule: the program is held for nobody
who does not answer; and nobody is asked while nothing is held.
"""

from __future__ import annotations

from time import monotonic

from .native import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_EVERY = 1.0
"""Seconds between two looks of who waits."""

MISSED = 5
"""Looks in a row without an answer after which the launcher counts as gone. (Looks, not seconds:
a program that was itself stopped meanwhile has not looked.)"""


class Attendance:
    """`ask()` sends the launcher a question, waiting for nobody; `gone()` ends the session."""

    def __init__(self, ask: Callable[[], object], gone: Callable[[], object]) -> None:
        self._ask, self._gone = ask, gone
        self._missed = 0
        self._next = 0.0
        self._lock = Lock()

    def look(self) -> None:
        """Look, unless somebody has just done so. Raises nothing."""
        if monotonic() < self._next or not self._lock.acquire(False):
            return
        try:
            self._next = monotonic() + LOOK_EVERY - 0.1
            self._missed += 1
            if self._missed == MISSED + 1:
                self._gone()
            elif self._missed == 1:
                self._ask()
        finally:
            self._lock.release()

    def answered(self) -> None:
        """The launcher is there."""
        self._missed = 0
