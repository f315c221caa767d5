"""One attachment, seen from inside the target.

Two threads: `control` (begun by the bootstrap) reads the control channel,
answers what must be answered while a cell runs, and ends the session; `cells`
reads the cells channel and runs them. Each reads its own socket and no other.
Each subshell adds a thread, which gets its cells by way of the control channel.
Rule: the session ends with its launcher. When the control channel closes,
whatever the reason, the ledger is undone and all threads are gone.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from time import monotonic

from ..link import messages
from . import answers, asking, forks, native
from .cell import Cell
from .cells import Cells
from .channel import Channel
from .errands import Errands
from .frames import binding_after, default_binding
from .lanes import Inbox, Lane
from .ledger import Entry, Ledger
from .namespace import Namespace
from .stdin import Input
from .tracebacks import forget_sources, sources_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .attendance import Attendance

    Message = dict[str, Any]

_EARLY = 100
"""So many interrupts are remembered; there are as many cells at once as there are shells."""

_sessions: set[Session] = set()
"""The sessions of this process: see `forks.py`."""


def _free_number() -> int:
    """The least number, from 1 on, that no session has: it is part of the names of its cells."""
    taken = {session.number for session in _sessions}
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


class Session:
    """The agent of one launcher. `serve` runs it to its end, on the calling thread."""

    def __init__(self, place: str, token: str) -> None:
        path = place + "/link"
        native.begin_thread("live-kernel-ctl")
        self.ledger = Ledger()
        self._control = Channel("control", path, token)
        self.ledger.record("the link's control channel", self._say_goodbye)
        only_looks = self._await_welcome()
        self._cells_channel = self._second_channel(path, token)
        self.ledger.record("the link's cells channel", self._cells_channel.close)
        sources = sources_read()
        self.ledger.record("sources read meanwhile", lambda: forget_sources(sources))
        self.begun = monotonic()
        self.namespace = Namespace(default_binding(), {})
        self.ledger.record("the scratch namespace", self.namespace.release)
        if only_looks:
            self.namespace.only_looks = True
            asking.leave_in_peace(self.ledger)
        self.number = _free_number()
        mark = f" #{self.number}" if self.number > 1 else ""
        self._errands = Errands(self._cells_channel.send)
        self.cells = Cells(self.namespace, self.ledger, mark, self._errands)
        self._input = Input(self._control.send)
        self._main = Lane(self._cells_channel.received)
        self._lanes = {"": self._main}
        self.cells.shell.latest_cell = self._main.present
        self.cells.shell.notice = self.notice
        self.cells.shell.look_out = self._look_out
        self._attendance: Attendance | None = None
        self._subshells: dict[str, tuple[Inbox, Entry]] = {}
        self._late: set[Cell] = set()
        """Cells that have ended, and have sent something since the launcher last asked."""
        self._early: deque[int] = deque(maxlen=_EARLY)
        """The cells that were interrupted last, be it before they began."""
        self._is_closing = False
        self._failure = ""
        """What of the agent has failed, so that the session has to end."""
        self.pid = os.getpid()

    def _second_channel(self, path: str, token: str) -> Channel:
        try:
            return Channel("cells", path, token)
        except BaseException:
            self.ledger.close()
            raise

    def _await_welcome(self) -> bool:
        """Returns whether the session only looks."""
        try:
            for message in self._control.received():
                if message["op"] == "welcome":
                    self._control.wait_without_limit()
                    return bool(message.get("observe"))
            raise ConnectionError("the launcher left before it said welcome")
        except BaseException:
            self.ledger.close()
            raise

    def serve(self) -> None:
        """Answer the launcher until it lets go or is gone; then undo everything."""
        _sessions.add(self)
        try:
            forks.watch(self, self.ledger)
            self._cells_channel.wait_without_limit()
            self._start(self._main)
            self._control.send({"op": "ready", **self.description()})
            self._control_loop()
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._close()

    # -- the control channel ------------------------------------------------------------

    def _control_loop(self) -> None:
        for message in self._control.received():
            if message["op"] == "detach":
                return
            getattr(self, f"_on_{message['op']}")(message)

    def _on_welcome(self, message: Message) -> None:
        """Said once more: nothing to do."""

    def _on_run(self, message: Message) -> None:
        """For a subshell; those of the main shell come on the other channel."""
        self._hand_over(message)

    def _on_comm(self, message: Message) -> None:
        """A message of a comm: for a subshell, or for the loop in which a cell awaits meanwhile.

        It may be what the cell awaits. A lane that computes can't take it; the launcher will
        bring it again when the cell has ended.
        """
        if message["meanwhile"]:
            is_taken = self._deliver_meanwhile(message)
        else:
            is_taken = self._hand_over(message)
        if not is_taken:
            self._control.send({"op": "undelivered", "cell": message["cell"]})

    def _deliver_meanwhile(self, message: Message) -> bool:
        """Deliver it in the loop in which that lane's cell awaits. Returns whether one does."""
        lane = self._lanes.get(message["subshell"])
        in_loop = None if lane is None or lane.running is None else lane.running.in_loop
        if lane is None or in_loop is None:
            return False
        cell = self._cell_for(lane, message)
        cell.context = lane.context.copy()
        return in_loop.call(self.cells.deliver, cell, message)

    def _hand_over(self, message: Message) -> bool:
        """Give something to a subshell's thread. Returns whether there is one."""
        inbox, _ = self._subshells.get(message.get("subshell", ""), (None, None))
        if inbox is not None:
            inbox.put(message)
        return inbox is not None

    def _on_subshell(self, message: Message) -> None:
        """Begin a subshell, or end one: after the cell that it runs."""
        name = message["id"]
        if message["wanted"] and name not in self._lanes:
            self.namespace.share()
            inbox = Inbox()
            lane = self._lanes[name] = Lane(inbox.received)
            entry = self.ledger.record("the thread of a subshell", inbox.close)
            self._subshells[name] = inbox, entry
            self._start(lane)
        elif not message["wanted"] and name in self._subshells:
            del self._lanes[name]
            self._subshells.pop(name)[1].undo()

    def _on_interrupt(self, message: Message) -> None:
        number = message["cell"]
        self._early.append(number)  # it may be on its way to its thread, on the other channel
        lane = self._lane_of(number)
        if lane is not None and lane.running is not None:
            self._interrupt(lane.running)
            self._input.reply(number, None)
            self._errands.cancel(number)

    def _interrupt(self, cell: Cell) -> None:
        """Stop a cell; where the program refuses what that takes, the launcher abandons it, or it
        ends where it next calls us.
        """
        try:
            cell.interrupt()
        except Exception as error:
            if not self._is_closing:
                self.notice(f"The cell can't be interrupted: {type(error).__name__}: {error}.")

    def _lane_of(self, number: int) -> Lane | None:
        """The lane that runs this cell at present."""
        for lane in list(self._lanes.values()):
            cell = lane.running
            if cell is not None and cell.number == number:
                return lane
        return None

    def _on_abandon(self, message: Message) -> None:
        """The cell's thread is stuck outside Python: leave it to itself, go on with a new one."""
        lane = self._lane_of(message["cell"])
        cell = None if lane is None else lane.running
        if lane is None or cell is None:
            return
        if cell.interruption.was_caught:
            self.notice(_CAUGHT)
            return
        lane.leave_thread()
        self._start(lane)  # first: there may be no more threads to be had
        cell.output.finish(_abandoned())
        cell.output.close()

    def _on_flush(self, message: Message) -> None:
        for lane in list(self._lanes.values()):
            cell = lane.running
            if cell is not None:
                cell.output.flush_unless_busy()
        for cell in list(self._late):
            if not cell.output.holds_back:
                self._late.discard(cell)  # before it is flushed, which brings it back if need be
            if not cell.output.flush_unless_busy():
                self._late.add(cell)  # whoever sends may be followed by what is held back

    def _on_input(self, message: Message) -> None:
        self._input.reply(message["cell"], message["value"])

    def _on_audience(self, message: Message) -> None:
        """Whether there is a front-end: without one, nothing of the program may wait for one."""
        shell = self.cells.shell
        shell.is_alone = not message["present"]
        if shell.is_alone:
            for do in list(shell.on_alone):
                do()

    def _on_here(self, message: Message) -> None:
        if self._attendance is not None:
            self._attendance.answered()

    def _look_out(self) -> None:
        """On a thread that waits while one of the program is held: is the launcher there?"""
        from . import attendance

        if self._attendance is None:
            ask = {"op": "there"}
            self._attendance = attendance.Attendance(
                lambda: self._control.send_if_free(ask), self._end_unattended
            )
        self._attendance.look()

    def _end_unattended(self) -> None:
        self._control.send_if_free({"op": "bye", "reason": "unattended", "detail": ""})
        self._end_from_here()

    def _on_ran(self, message: Message) -> None:
        self._errands.reply(message)

    def _on_lent(self, message: Message) -> None:
        self._errands.reply(message)

    def _on_ask(self, message: Message) -> None:
        answer = answers.answer(self, message)
        self._control.send({"op": "answer", "id": message["id"], "answer": answer})

    def description(self) -> Message:
        """What the launcher is told of the target and of what cells see."""
        binding = self.namespace.binding
        said = {"observes": self.namespace.only_looks}
        return {"python": sys.version.split()[0], "binding": binding.as_message(), **said}

    @property
    def is_running(self) -> bool:
        """Does the main shell run a cell?"""
        return self._main.running is not None

    def number_of_sessions(self) -> int:
        """How many launchers are attached to this process."""
        return len(_sessions)

    def notice(self, text: str) -> None:
        """Tell the user something, beside the output of the cell that runs or is run next."""
        self._control.send({"op": "notice", "text": text})

    # -- the lanes ----------------------------------------------------------------------

    def _start(self, lane: Lane) -> None:
        native.start(self._cells_loop, lane, name="live-kernel")

    def _cells_loop(self, lane: Lane) -> None:
        try:
            for message in lane.receive():
                if message["op"] in ("run", "comm") and not self._run(lane, message):
                    return
        except BaseException as error:  # nothing may reach the program's stderr
            self._fail(error)
        if os.getpid() != self.pid:
            os._exit(0)  # a cell forked, and this is the child, back from its cell
        lane.ended.set()
        if lane is self._main:
            if self._cells_channel.was_taken:
                self._fail(ConnectionError())
            self._end_from_here()

    def _run(self, lane: Lane, message: Message) -> bool:
        """Run one cell. Returns whether this thread is still the one that runs the lane's."""
        cell = self._cell_for(lane, message)
        cell.context = lane.context
        lane.running = cell
        if cell.number in self._early:
            cell.interrupt()
        if self.namespace.only_looks and not messages.is_look(message):
            cell.output.finish(_refused())
        elif message["op"] == "comm":
            self.cells.deliver(cell, message)
        else:
            self._find_binding()
            lane.latest = cell
            self.cells.run(cell)
        if lane.running is not cell:
            return False
        lane.running = None
        return True

    def _cell_for(self, lane: Lane, message: Message) -> Cell:
        def deliver(events: list[Message], done: Message | None) -> None:
            if cell.output.closed:
                self._late.add(cell)
            if done is not None:
                for late in list(self._late):  # it may have waited for what they left running
                    late.output.flush_unless_busy()
            produced = {"op": "cell", "cell": cell.number, "events": events, "done": done}
            try:
                self._cells_channel.send(produced)
            except OSError:
                self._end_from_here()
                raise

        cell = Cell(message, deliver, self._input.ask, lane)
        cell.hang_up = lambda: self._input.reply(cell.number, None)
        return cell

    def _fail(self, error: BaseException) -> None:
        """The session has to end for this: keep what is to be said of it."""
        if self._is_closing or self._failure:
            return
        if self._cells_channel.was_taken:
            self._failure = _TAKEN
        elif not isinstance(error, OSError):  # the launcher has gone, and knows
            self._failure = f"{type(error).__name__}: {error}"
        if self._failure:
            self._say_bye("failed", self._failure)  # before the other connection ends

    def _end_from_here(self) -> None:
        """The cells channel has broken: end the session by way of the other one."""
        if not self._is_closing:
            self._control.shut()

    def _find_binding(self) -> None:
        """Find the bound frame anew; once its function has returned, say so and bind elsewhere."""
        binding = self.namespace.binding
        if binding.is_gone():
            self.namespace.bind(binding_after(binding))
            now = self.namespace.binding.describe()
            self.notice(f"{binding.how_gone()}; cells now see {now}")

    # -- the end ------------------------------------------------------------------------

    def _close(self) -> None:
        """Undo everything, say goodbye, and let go of the sockets."""
        self._is_closing = True
        lanes = list(self._lanes.values())
        running = [(lane, lane.running) for lane in lanes if lane.running is not None]
        try:
            self._stop(lanes, [cell for _, cell in running])
        finally:
            self.ledger.close()
            _sessions.discard(self)
        for lane, cell in running:
            self._insist(lane, cell)

    def _stop(self, lanes: list[Lane], running: list[Cell]) -> None:
        """End the cells that run, and the threads that run them."""
        for cell in running:
            cell.output.close()
            self._interrupt(cell)
        for lane in lanes:
            lane.is_over = True
        self._input.cancel()
        self._errands.cancel()
        self._cells_channel.shut()
        for inbox, _ in self._subshells.values():
            inbox.close()
        deadline = monotonic() + 0.5
        for lane in lanes:
            if lane.ended.wait(max(0.0, deadline - monotonic())) or lane.running is None:
                continue
            elsewhere = lane.running.in_loop or lane.running.held
            if elsewhere is not None:
                elsewhere.give_up()
        # A thread that is stuck in its cell outside Python ends when the cell does.

    def _insist(self, lane: Lane, cell: Cell) -> None:
        """Interrupt a cell that catches its interrupts, and goes on, some more times."""
        for _ in range(50):
            if lane.ended.wait(0.2) or not cell.interruption.was_caught:
                return
            cell.interrupt()

    def _say_goodbye(self) -> None:
        """The last entry of the ledger: tell the launcher how the undoing went, and hang up."""
        if not self._failure:
            self._say_bye("detached", "; ".join(self.ledger.failures))
        self._control.shut()
        self._control.close()

    def _say_bye(self, reason: str, detail: str) -> None:
        try:
            self._control.send({"op": "bye", "reason": reason, "detail": detail})
        except Exception as error:
            del error  # the launcher is gone, which is why we leave; or there is no memory for it

    def exiting(self) -> None:
        """The interpreter exits: give back what outlives us, tell the launcher, delay nothing."""
        try:
            self._control.send_or_drop({"op": "bye", "reason": "exit", "detail": ""})
        except (OSError, ValueError):
            pass  # it will notice by itself

    def forked(self) -> None:
        """In a forked child: let go of the parent's connections without a word on them."""
        self._control.close()
        self._cells_channel.close()
        for lane in self._lanes.values():
            lane.is_over = True
        self.cells.forked()
        _sessions.discard(self)


_TAKEN = "the program has closed the kernel's connections, as those do that close all files"
_CAUGHT = "The cell has caught the interrupt and goes on. Interrupt it again to stop it."


def _refused() -> Message:
    text = "This session only looks at the program: the agent in it runs no code for it."
    error = {"ename": "OnlyLooks", "evalue": text, "traceback": [f"OnlyLooks: {text}"]}
    return {"status": "error", "error": error}


def _abandoned() -> Message:
    text = (
        "The cell did not stop: its thread is in a call that Python can't interrupt. The kernel "
        "has left it to itself and goes on with a new thread; the call may still have its effect."
    )
    error = {"ename": "KeyboardInterrupt", "evalue": text, "traceback": [text]}
    return {"status": "error", "error": error}


def begin(place: str, token: str) -> Callable[[], None]:
    """Meet the launcher. Returns what then runs the session to its end and raises nothing.

    Raises OSError, or whatever else is in the way, while the launcher can still be told.
    """
    try:
        session = Session(place, token)
    except BaseException:
        native.end_thread()
        raise

    def run() -> None:
        try:
            session.serve()
        except BaseException as error:
            del error  # nothing may reach the program's stderr; the launcher sees the link close
        native.end_thread()

    return run
