"""The breakpoints that a session has set in the running program.

Runs in the target: set and removed on threads of cells, hit on whatever thread comes by.
Rule: a breakpoint costs nothing but where it is; who hits it is told of at once below the
cell that set it; and only threads of the program wait there, never one of ours.
"""

from __future__ import annotations

import sys

from . import conditions, debugger, entering, line_events, locations, native, stops
from .frames import is_ours
from .stops import Stop, prepare
from .streams import current_cell
from .telling import Telling, on_a_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .cell import Cell
    from .shell import Shell

_tables: dict[Shell, Table] = {}
"""Of the sessions that have set breakpoints."""


def of(shell: Shell) -> Table:
    """The breakpoints of this session."""
    if shell not in _tables:
        table = _tables[shell] = Table(shell)
        shell.ledger.record("the table of breakpoints", lambda: _tables.pop(shell, None))
        shell.on_alone.append(table.let_all_go)
    return _tables[shell]


class Table:
    """The breakpoints of one session, by number, and the threads that wait at them."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.breakpoints: dict[int, Breakpoint] = {}
        self.stops: list[Stop] = []
        """The latest last."""
        self._last = 0

    def set(self, cell: Cell, location: locations.Location, condition: str, log: str) -> Breakpoint:
        """Set one. Raises Refused."""
        if not log:
            prepare()
        made = Breakpoint(self, self._last + 1, cell, location, condition, log)
        made.entry = self.shell.ledger.record(f"a breakpoint at {location.text}", made.remove)
        try:
            line_events.watch(location.spots, made.on_hit)
        except BaseException:
            made.entry.undo()
            raise
        self._last += 1
        self.breakpoints[made.number] = made
        return made

    def let_all_go(self) -> None:
        """Nobody is there any more to take up the threads that wait."""
        for stop in list(self.stops):
            stop.let_go()

    def stop_for(self, thread: int) -> Stop | None:
        """That of this thread, or (0) the latest."""
        found = [stop for stop in self.stops if thread in (0, stop.thread)]
        return found[-1] if found else None


class Breakpoint:
    """One breakpoint. `condition` and `log` are expressions, or empty."""

    entry: Any
    """Of the ledger."""

    def __init__(
        self,
        table: Table,
        number: int,
        cell: Cell,
        location: locations.Location,
        condition: str,
        log: str,
    ) -> None:
        self.number, self.location = number, location
        self.condition, self.log = condition, log
        self.hits = 0
        self._table = table
        namespace = table.shell.namespace
        self._condition = self._log = None
        if condition:
            self._condition = conditions.Condition(condition, namespace, self._failed)
        if log:
            self._log = conditions.Expression(log, namespace)
        self._cell, self._telling = cell, Telling(cell)

    @property
    def name(self) -> str:
        return f"Breakpoint {self.number} at {self.location.text}"

    def remove(self) -> None:
        """Watch the place no longer, and let those go who wait there."""
        line_events.unwatch(self.location.spots, self.on_hit)
        self._table.breakpoints.pop(self.number, None)
        for stop in list(self._table.stops):
            if stop.breakpoint is self:
                stop.let_go()

    def as_row(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "place": self.location.text,
            "file": self.location.spots[0][0].co_filename,
            "condition": self.condition,
            "log": self.log,
            "hits": self.hits,
            "waiting": [stop.name for stop in self._table.stops if stop.breakpoint is self],
        }

    # -- on the thread that comes by ----------------------------------------------------

    def on_hit(self, frame: FrameType) -> None:
        """A thread is at the place."""
        if self._condition is not None and not self._condition.holds(frame):
            return
        self.hits += 1
        if self._log is not None:
            if self._telling.may_tell():
                self._tell(_logged(frame, self._log))
        else:
            self._stop(frame)

    def _failed(self, how: str) -> None:
        self._tell(f"{self.name}: {how}. Where it does, the program goes on.", "stderr")

    def _stop(self, frame: FrameType) -> None:
        thread = native.get_ident()
        entered = entering.on(thread)
        cell = current_cell.get()
        if stops.passed.pop(thread, None) == (id(frame), frame.f_lasti):
            pass  # the user was there just now, and has let it go
        elif entered is not None:
            entered.at_breakpoint(frame, self.name)
        elif cell is not None and not cell.output.closed and not cell.action:
            if cell.ledger is self._table.shell.ledger:  # else it is another session's
                debugger.stop_here(cell, frame, self.name)
        elif _began_with_us(frame):
            pass  # it looks at the program, for completions or a display: nobody waits there
        elif self._table.shell.is_alone:
            self._tell(f"{self.name} is passed over: no front-end is connected.", "stderr")
        elif native.on_main_thread() and stops.is_to_get_signals():
            pass  # it has just been let go for them, which must find it at work of its own
        else:
            self._wait(frame, thread)

    def _wait(self, frame: FrameType, thread: int) -> None:
        stop = Stop(self, thread, self._table.shell)
        self._table.stops.append(stop)
        stop.entry = self._table.shell.ledger.record("a thread at a breakpoint", stop.let_go)
        try:
            if self.number in self._table.breakpoints and not self._table.shell.is_alone:
                self._announce(frame, stop)
                stop.wait(frame)
        finally:
            self._table.stops.remove(stop)
            stop.entry.undo()

    def _announce(self, frame: FrameType, stop: Stop) -> None:
        code = frame.f_code
        where = (
            f"{locations.called({code.co_qualname})} at {locations.short(code)}:{frame.f_lineno}"
        )
        text = (
            f"Breakpoint {self.number} is hit: {stop.name} waits in {where}.{_loop_waits()}\n"
            f"%enter takes it up; %unbreak {self.number} removes the breakpoint and lets it go on."
        )
        self._tell(text, "stderr")
        if self._cell.output.closed:  # else the user sees it by now
            on_a_thread(lambda: self._table.shell.notice(text))

    def _tell(self, text: str, stream: str = "stdout") -> None:
        self._telling.tell(text, stream)


def _logged(frame: FrameType, expression: conditions.Expression) -> str:
    where = f"{locations.short(frame.f_code)}:{frame.f_lineno}"
    try:
        text = expression.text_of(expression.value(frame))
    except Exception as error:
        text = f"raises {conditions.as_raised(error)}"
    return f"{where} {expression.text} = {text}"


def is_thread_of_ours(thread: int) -> bool:
    """Has the agent started this thread?"""
    frame = sys._current_frames().get(thread)
    return frame is not None and _began_with_us(frame)


def _began_with_us(frame: FrameType) -> bool:
    while frame.f_back is not None:
        frame = frame.f_back
    return is_ours(frame)


def _loop_waits() -> str:
    """What to say where the thread runs an event loop."""
    events: Any = sys.modules.get("asyncio.events")
    if events is None or events._get_running_loop() is None:
        return ""
    return " It runs the program's event loop, so that all tasks of the loop wait, too."
