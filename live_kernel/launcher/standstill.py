"""Telling whoever waits for a cell that its program has been stopped.

Runs on the launcher's reactor, as long as cells run. A program that was stopped by
a signal, or is held by a debugger, can't say so itself. Rule: a look is one read
from /proc; a stop is told of once, and only if it lasts from one look to the next.
"""

from __future__ import annotations

from collections.abc import Callable

from ..attach import proc, processes
from ..errors import LiveKernelError, TargetStopped
from .reactor import Reactor

LOOK_EVERY = 1.0
"""Seconds between two looks."""


class Standstill:
    """Looks at the process `pid` while `is_awaited()`; `tell(text)` gets what to tell the user."""

    def __init__(
        self,
        pid: int,
        reactor: Reactor,
        is_awaited: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._pid = pid
        self._reactor = reactor
        self._is_awaited, self._tell = is_awaited, tell
        self._is_looking = self._stood = self._was_told = False

    def look_on(self) -> None:
        """Begin to look, unless that is going on already."""
        if not self._is_looking:
            self._is_looking, self._stood, self._was_told = True, False, False
            self._reactor.later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        self._is_looking = self._is_awaited()
        if not self._is_looking:
            return
        stands = self._stands()
        if stands and self._stood and not self._was_told:
            self._was_told = self._told_why()
        self._was_told = self._was_told and stands
        self._stood = stands
        self._reactor.later(LOOK_EVERY, self._look)

    def _stands(self) -> bool:
        try:
            return proc.stat(self._pid).state in ("T", "t")
        except OSError:
            return False  # its end is told by others

    def _told_why(self) -> bool:
        try:
            processes.identify(self._pid)
        except TargetStopped as error:
            self._tell(f"{error.explain()}\nThis cell goes on when the program does.\n")
            return True
        except LiveKernelError:
            pass  # it has gone on in the meantime, or has ended
        return False
