"""`%enter`: a cell that debugs a thread of the program.

Runs in the target: the cell's thread merely waits; the debugger runs on the thread that is
entered, in the middle of what that does. It comes there by a breakpoint at which the
thread waits, or by a visit.
Rule: whatever ends the conversation (the user, an interrupt, a detach, a front-end or
launcher that has gone), the program's thread runs on, untraced.
"""

from __future__ import annotations

import contextlib
import sys

from . import native, stops
from .actions import Refused
from .entered import ProgramDebugger
from .frames import is_ours
from .prompting import pdb_with
from .streams import current_cell, keeps_cell
from .telling import on_a_thread
from .tracebacks import forget_sources, sources_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .cell import Cell
    from .shell import Shell
    from .visits import Visit

_TOLD_AFTER = 1.0
"""Seconds of waiting for the thread after which the user is told of it."""

_LOOKED_AFTER = 0.25
"""Seconds after which it is looked whether the thread is there still."""

_LEFT_WITHIN = 0.3
"""Seconds for which a detach waits for a thread to be left. One that waits for a lock is left as
it wakes: our trace function takes itself off then."""

_entered: dict[int, Entered] = {}
"""By thread."""


def on(thread: int) -> Entered | None:
    """Who debugs this thread at present."""
    return _entered.get(thread)


class Entered:
    """One `%enter`: a cell, and the thread of the program that it debugs."""

    def __init__(self, cell: Cell, shell: Shell, thread: int) -> None:
        stops.prepare()
        self.cell, self.shell, self.thread = cell, shell, thread
        self.ended = native.Signal()
        """The cell has nothing to wait for any more."""
        self.is_over = False
        """Nothing is to be asked any more, and the thread not to be traced."""
        self._is_left = native.Signal()
        self._is_talking = False
        self._visit: Visit | None = None
        self._sources = sources_read()
        self.debugger: Any = pdb_with(ProgramDebugger, cell, self)
        """Made here, on the cell's thread: pdb takes long to load."""

    # -- on the cell's thread -----------------------------------------------------------

    def attend(self, call: Callable[[Entered], object]) -> None:
        """Debug the thread, which `call` asks for, and wait for the end of it."""
        cell = self.cell
        if on(self.thread) is not None:
            raise Refused("ThreadEntered", "That thread is being debugged already.")
        _entered[self.thread] = self
        own = cell.interruption.thread
        cell.held = self
        cell.may_hold.add(self.thread)
        entry = self.shell.ledger.record("a debugger on a thread of the program", self._leave)
        cell.interruption.end()
        try:
            call(self)
            while not self.ended.wait(_LOOKED_AFTER):
                self._look_after()
                if self._is_talking:
                    self.shell.look_out()
        finally:
            self.is_over = True
            if self._visit is not None and self._visit.cancel():
                self.finish()
            if self._is_left.is_set:
                entry.undo()
            cell.held, cell.interruption.thread = None, own
            cell.may_hold.discard(self.thread)

    def visit(self) -> None:
        """Go to the thread, which runs or waits for something of its own. Raises Refused."""
        from . import slots, visits

        visit = self._visit = visits.Visit(self.thread, self._on_visit, self.shell.ledger)
        try:
            visit.begin()
        except (visits.ThreadGone, slots.SlotsUnknown) as error:
            raise Refused("ThreadUnreachable", f"It can't be entered: {error}.") from None
        if not visit.arrived.wait(_TOLD_AFTER) and not visit.ended.is_set:
            self.tell(_WAITS)

    def _look_after(self) -> None:
        if self.thread not in sys._current_frames():
            self.tell("The thread has ended.")
            self.finish()
        elif self._visit is not None and self._visit.ended.is_set and self._visit.error is not None:
            self.tell(f"It can't be entered: {self._visit.error}.")
            self.finish()

    def tell(self, text: str) -> None:
        self.cell.output.write("stderr", text + "\n")
        self.cell.output.flush()

    # -- on any thread of ours ----------------------------------------------------------

    def interrupt(self) -> None:
        """The user has had enough of it."""
        if self.debugger.is_evaluating:
            self.cell.interruption.request()
        else:
            self.tell("KeyboardInterrupt: the debugger has ended, and the program goes on.")
            self.let_go()

    def let_go(self) -> None:
        """Let the thread run on, wherever it is now; the cell ends."""
        self.is_over = True
        self.cell.may_ask = False
        self.cell.hang_up()  # a prompt that is open gets no answer
        if not self._is_talking:
            on_a_thread(self._take_off)
            self.ended.set()

    give_up = let_go

    def _take_off(self) -> None:
        """Have a thread that runs, or waits, traced no longer; one that does nothing is roused."""
        from . import slots, visits

        visit = visits.Visit(self.thread, self.finish, self.shell.ledger)
        with contextlib.suppress(visits.ThreadGone, slots.SlotsUnknown):
            if not self._is_left.is_set:
                visit.begin()
                self._is_left.wait(_LEFT_WITHIN)
                visit.cancel()

    def _leave(self) -> None:
        """The session ends."""
        self.let_go()
        if not self._is_left.wait(_LEFT_WITHIN):
            self.debugger.untrace()  # as far as that can be done from here
            forget_sources(self._sources)

    # -- on the thread that is debugged -------------------------------------------------

    def converse(self, frame: FrameType) -> None:
        """The first prompt, where the thread stands. Raises nothing of ours."""
        try:
            if not self.is_over:
                self.debugger.converse_at(frame)
        except Exception as error:  # a mistake of ours, or of pdb's
            if not self.is_over:  # else it has been told to end
                self.tell(f"The debugger has failed: {error!r}")
            self.is_over = True
        finally:
            if self.is_over or not self.debugger.is_wanted():
                self.finish()

    def _on_visit(self) -> None:
        stop = stops.waiting.get(self.thread)
        if stop is not None and stop.ledger is not self.shell.ledger:
            self.tell("The thread has come to a breakpoint of another session.")
            self.finish()
        if self._is_talking or self.is_over:
            return
        if stop is not None and stop.take_up(self):
            return  # it has come to a breakpoint meanwhile, and is asked there
        frame: FrameType | None = sys._getframe()
        while frame is not None and is_ours(frame):
            frame = frame.f_back
        if frame is None:
            self.finish()
        else:
            self.converse(frame)

    def at_breakpoint(self, frame: FrameType, name: str) -> None:
        """A thread that is debugged hits a breakpoint of the session's, or of another's."""
        if self.is_over or self._is_talking or self.debugger.stands_at(frame):
            return
        if self._visit is not None:
            self._visit.cancel()  # it is here before we were there
        self.debugger.message(name)
        self.converse(frame)

    def talk(self, conversation: Callable[[], object]) -> None:
        """For as long as somebody is asked: what is written is the cell's."""
        from . import putting_off

        cell, is_main = self.cell, native.on_main_thread()
        tokens = current_cell.set(cell), keeps_cell.set(False)
        cell.interruption.thread = self.thread
        put_off = putting_off.PutOff(self.shell.ledger, self._asked_to_end)
        self._is_talking = True
        try:
            if is_main:
                cell.output.may_wait_on_main = True
                with put_off:
                    conversation()
            else:
                conversation()
        finally:
            self._is_talking = False
            cell.output.may_wait_on_main = False
            current_cell.reset(tokens[0])
            keeps_cell.reset(tokens[1])
            stops.hand_on_later()

    def _asked_to_end(self, signal: str) -> None:
        """On the main thread, in a signal handler."""
        self.tell(f"The program was sent {signal}: the debugger ends, and the program gets it.")
        self.is_over = True
        raise EOFError

    def finish(self) -> None:
        """It is over: leave nothing here. (On another thread, if this one has ended.)"""
        self.is_over = True
        self.debugger.leave()
        forget_sources(self._sources)
        if _entered.get(self.thread) is self:
            del _entered[self.thread]
        self._is_left.set()
        self.ended.set()


_WAITS = (
    "Waiting for that thread: it runs no Python code at the moment. It is entered as soon as it "
    "does; interrupt gives it up."
)
