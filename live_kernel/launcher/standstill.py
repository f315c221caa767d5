"""Telling whoever waits for a cell that nothing runs in its program.

Runs on the launcher's reactor, as long as cells run. A program that was stopped by
a signal, or is held by a debugger, can't say so itself, nor can one of which a thread
keeps the interpreter lock in C code. Rule: a look takes a millisecond; a standstill is
told of once, and only if it lasts from one look to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..attach import proc, processes
from ..attach.processes import Process
from ..errors import LiveKernelError, TargetStopped
from .reactor import Reactor

if TYPE_CHECKING:
    from ..attach.holding import Holder

LOOK_EVERY = 1.0
"""Seconds between two looks."""

_NOTHING_RUNS = (
    "No Python code runs in the program until that call returns, this cell neither, and an "
    "interrupt can't end it. %threads and %stack show from outside where it stands."
)


class Standstill:
    """Looks at `process` while `is_awaited()`; `tell(text)` gets what to tell the user."""

    def __init__(
        self,
        process: Process,
        reactor: Reactor,
        is_awaited: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._process, self._pid = process, process.pid
        self._reactor = reactor
        self._is_awaited, self._tell = is_awaited, tell
        self._is_looking = self._stood = self._was_told = False
        self._holder: Holder | None = None
        self._was_told_of: Holder | None = None

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
        if not stands:
            self._look_for_holder()
        self._reactor.later(LOOK_EVERY, self._look)

    def _look_for_holder(self) -> None:
        """Does a thread keep the interpreter lock, in the wait in which it did a look ago?"""
        from ..attach import holding  # few cells last so long

        before, self._holder = self._holder, holding.holder(self._process)
        if self._holder is not None and self._holder == before != self._was_told_of:
            self._was_told_of = self._holder
            self._tell(f"{self._process}: {self._holder}, in C code. {_NOTHING_RUNS}\n")

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
