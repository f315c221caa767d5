"""One target, from the launcher's side: getting in, cells, questions, getting out.

Runs on the launcher's reactor; only the injection itself runs on a thread of
its own, because it may wait. Rule: everything that affects the state of an
attachment lives here, and its state only ever moves forward:

    INJECTING ──▶ ATTACHED ──▶ LOST      the target or its agent went away
        │             └──────▶ DETACHED  we let go
        └────────▶ FAILED              it could not be entered, or we gave up

The launcher itself is detached when it has no attachment, or one that has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..attach import ending
from ..attach.processes import Process
from ..errors import AgentLost, LiveKernelError, TargetBlocked
from . import answers, losing
from .entering import Channels, Entering
from .reactor import Reactor, Timer
from .standstill import Standstill

if TYPE_CHECKING:
    from .system import Command

Message = dict[str, Any]

ABANDON_AFTER = 2.0
"""Seconds that an interrupted cell has to stop, before its thread is left to itself."""

FLUSH_AFTER = 0.06
"""Seconds after which the agent is asked for what it holds back: see `agent/output.py`."""

ANSWER_WITHIN = 5.0

MOST_COMMANDS = 100
"""Commands that run beside the launcher at a time for one target; a child and four files each."""

MOST_UNREAD = 1 << 24
"""Bytes that an agent may leave unread, and still be given what it asks for."""


class State(Enum):
    """Where an attachment stands; the value is the word shown to users."""

    INJECTING = "injecting"
    ATTACHED = "attached"
    DETACHED = "detached"
    FAILED = "failed"
    LOST = "lost"


class Owner(Protocol):
    """Who is told what happens to an attachment. Called on the reactor's thread."""

    def on_attached(self) -> None: ...
    def on_failed(self, error: LiveKernelError) -> None: ...
    def on_blocked(self, error: TargetBlocked) -> None: ...
    def on_cell(self, cell: int, events: list[Message], done: Message | None) -> None: ...
    def on_undelivered(self, cell: int) -> None: ...
    def on_input_wanted(self, cell: int, prompt: str, password: bool) -> None: ...
    def on_prompt(self, cell: int, prompt: str) -> None: ...
    def on_notice(self, text: str) -> None: ...
    def on_lost(self, error: AgentLost) -> None: ...


class Run:
    """A cell that runs in the target; or a message that is delivered there, which may not work."""

    __slots__ = ("is_delivery", "is_interrupted")

    def __init__(self, is_delivery: bool) -> None:
        self.is_delivery = is_delivery
        self.is_interrupted = False


class Attachment:
    """An attach to `process`, begun at once; `owner` is told how it goes.

    `wake`: where it is blocked, it is to be woken. `observe`: the agent is to run no code.
    """

    def __init__(
        self,
        process: Process,
        reactor: Reactor,
        owner: Owner,
        wake: bool = False,
        observe: bool = False,
    ) -> None:
        self.process = process
        self.state = State.INJECTING
        self.ready: Message = {}
        self.since = time.time()
        self._observes = observe
        self._reactor = reactor
        self._owner = owner
        self._channels: Channels = {}
        self._timers: list[Timer] = []
        self._flush: Timer | None = None
        self._asks_again = False
        self._has_late = False
        """A cell that had ended has written something since the agent was last asked."""
        self._cells: dict[int, Run] = {}
        self._commands: dict[int, Command] = {}
        self._questions: dict[int, tuple[str, Callable[[Message], None]]] = {}
        self.processor_times: dict[int, tuple[float, float]] = {}
        """Of the target's threads, when they were last looked at: seconds used, and the time."""
        self._serial = 0
        self._is_held = False
        self._farewell: Message | None = None
        self._was_misused = False
        self._standstill = Standstill(process, reactor, lambda: bool(self._cells), self._tell_cells)
        self._death = ending.Watch(process.pid)
        if self._death.descriptor is not None:
            reactor.read(self._death.descriptor, self._on_death)
        self._entering = Entering(
            process,
            reactor,
            self._on_entered,
            self._on_failed,
            owner.on_blocked,
            self._death.has_become_another,
            wake,
            observe,
        )

    @property
    def is_called(self) -> bool:
        """Is the bootstrap scheduled, or was it?"""
        return self.state is not State.INJECTING or self._entering.is_scheduled

    # -- getting in ---------------------------------------------------------------------

    def _on_entered(self, channels: Channels, ready: Message) -> None:
        self._channels, self.ready = channels, ready
        for name, channel in channels.items():
            channel.on_message = self._on_message
            channel.on_closed = lambda name=name: self._on_closed(name)  # type: ignore[misc]
        self.state = State.ATTACHED
        self.since = time.time()
        self._owner.on_attached()

    def _on_failed(self, error: LiveKernelError) -> None:
        self._end(State.FAILED)
        self._owner.on_failed(error)

    def wake(self) -> None:
        """Wake the target that is being entered, if it is blocked."""
        if self.state is State.INJECTING:
            self._entering.wake()

    def give_up(self) -> None:
        """Stop trying to get in; a script that has not run yet will do nothing."""
        if self.state is State.INJECTING:
            self._end(State.FAILED)

    # -- attached -----------------------------------------------------------------------

    def run(self, cell: int, request: Message) -> None:
        """Run a cell, or deliver what is said on a comm; `request` is the rest of the link's
        `run` or `comm`. Raises ValueError where it is more than the link carries.
        """
        is_for_main = not request.get("subshell") and not request.get("meanwhile")
        self._post("cells" if is_for_main else "control", {"cell": cell, **request})
        self._cells[cell] = Run(request["op"] == "comm")
        self._standstill.look_on()
        self._flush_later()

    def _tell_cells(self, text: str) -> None:
        """Tell the user something where he waits for it: beside the output of what runs."""
        event = {"event": "stream", "name": "stderr", "text": text}
        for cell in list(self._cells):
            self._owner.on_cell(cell, [event], None)

    def set_subshell(self, name: str, wanted: bool) -> None:
        """Begin a subshell in the target, or end one."""
        self._send("subshell", id=name, wanted=wanted)

    def tell_audience(self, present: bool) -> None:
        """Tell the agent whether anybody is there who could answer."""
        self._send("audience", present=present)

    def hold_output(self, hold: bool) -> None:
        """Take no more from the cells for now, so that they wait instead of filling our memory."""
        self._is_held = hold
        channel = self._channels.get("cells")
        if channel is None:
            return
        # A cell that waits to be read from can't be interrupted.
        hold = hold and not any(run.is_interrupted for run in self._cells.values())
        if hold:
            channel.pause()
        elif channel.is_paused:
            channel.resume()
            self._flush_later()  # nothing was asked for meanwhile
        for command in self._commands.values():
            command.hold(hold)

    def interrupt(self) -> None:
        """Interrupt the cells that run; leave a thread to itself where that does not help."""
        if self.state is not State.ATTACHED:
            return
        for run in self._cells.values():
            run.is_interrupted = True
        self.hold_output(self._is_held)
        for cell in self._cells:
            self._send("interrupt", cell=cell)
            self._reactor.later(ABANDON_AFTER, partial(self._abandon, cell))
        for command in self._commands.values():
            command.interrupt()

    def _abandon(self, cell: int) -> None:
        if cell in self._cells and self.state is State.ATTACHED:
            self._send("abandon", cell=cell)
            # Where it catches its interrupts, and goes on, it must wait for front-ends again.
            self._cells[cell].is_interrupted = False
            self.hold_output(self._is_held)

    def answer_input(self, cell: int, value: str | None) -> None:
        """What the user typed; None if there is nobody to type."""
        if cell in self._cells and self.state is State.ATTACHED:
            self._send("input", cell=cell, value=value)

    def ask(
        self,
        about: str,
        answered: Callable[[Message], None],
        within: float = ANSWER_WITHIN,
        **details: Any,
    ) -> None:
        """Ask the agent something; `answered` is called once, with {} if no answer comes within
        so many seconds.
        """
        if self.state is not State.ATTACHED:
            answered({})
            return
        self._serial += 1
        number = self._serial
        self._questions[number] = about, answered
        self._reactor.later(within, lambda: self._on_answer(number, {}))
        self._send("ask", id=number, about=about, **details)

    def _on_answer(self, number: int, answer: Message) -> None:
        about, answered = self._questions.pop(number, ("", None))
        if answered is not None:
            answered(answer if answers.makes_sense(about, answer) else {})

    def _send(self, operation: str, **fields: Any) -> None:
        self._post("control", {"op": operation, **fields})

    def _post(self, channel: str, message: Message) -> None:
        """Send on a channel, unless the agent has just closed it: then we will soon know why."""
        if channel in self._channels:
            self._channels[channel].send(message)

    def _flush_later(self) -> None:
        """Whatever cells wrote last is fetched once it has waited in the agent for a while.

        What is written soon after a message waits in there, and would wait for ever if it were
        asked for before it is written: so who speaks shortly before that is asked once more.
        """
        if self._flush is None:
            self._flush = self._reactor.later(FLUSH_AFTER, self._flush_now)
        else:
            self._asks_again = True

    def _flush_now(self) -> None:
        self._flush = None
        again, self._asks_again = self._asks_again, False
        if self.state is not State.ATTACHED:
            return
        channel = self._channels.get("cells")
        if channel is not None and not channel.is_paused:
            self._has_late = self._has_late and again
            self._send("flush")
            if again:
                self._flush_later()

    def _on_message(self, message: Message) -> None:
        """A valid message from the agent that is ready."""
        match message:
            case {"op": "cell", "cell": cell, "events": events, "done": done}:
                self._on_cell(cell, events, done)
            case {"op": "system"}:
                self._on_system(message)
            case {"op": "lend", "id": number, "cell": cell, "needed": needed}:
                self._on_lend(number, cell, needed)
            case {"op": "answer", "id": number, "answer": answer}:
                self._on_answer(number, answer)
            case {"op": "undelivered", "cell": cell}:
                self._on_undelivered(cell)
            case {"op": "input", "cell": cell, "prompt": prompt, "password": password}:
                self._owner.on_input_wanted(cell, prompt, password)
            case {"op": "prompt", "cell": cell, "prompt": prompt}:
                self._owner.on_prompt(cell, prompt)
            case {"op": "notice", "text": text}:
                self._owner.on_notice(text)
            case {"op": "there"}:
                self._send("here")
            case {"op": "bye"}:
                self._farewell = message

    def _on_undelivered(self, cell: int) -> None:
        if cell in self._cells and self._cells[cell].is_delivery:
            del self._cells[cell]
            self._owner.on_undelivered(cell)

    def _is_read(self) -> bool:
        """Does the agent take what it is told? Else nothing that it asks for is answered."""
        return sum(channel.unsent for channel in self._channels.values()) < MOST_UNREAD

    def _on_cell(self, cell: int, events: list[Message], done: Message | None) -> None:
        if done is not None and self._cells.pop(cell, None) is None:
            return  # it has had its outcome
        if done is None and cell not in self._cells:
            self._has_late = True
        if done is None or self._cells:
            self._flush_later()
        elif self._flush is not None and not self._has_late:
            self._flush.cancel()
            self._flush, self._asks_again = None, False
        self._owner.on_cell(cell, events, done)

    def _on_system(self, message: Message) -> None:
        """A cell wants a command run. (Only a cell that somebody here has asked for may.)"""
        from .system import CAPTURED, REFUSED, Command

        number, cell, captures = message["id"], message["cell"], message["capture"]
        output: list[tuple[str, str]] = []
        size = 0

        def write(stream: str, text: str) -> None:
            nonlocal size
            if not captures:
                self._on_cell(cell, [{"event": "stream", "name": stream, "text": text}], None)
            elif size < CAPTURED:
                size += len(text)
                output.append((stream, text))

        def ended(status: int) -> None:
            self._commands.pop(number, None)
            if self.state is State.ATTACHED:
                self._send("ran", id=number, status=status, output=output)

        if not self._is_read():
            return
        is_welcome = cell in self._cells and not self._observes
        if not is_welcome or number in self._commands or len(self._commands) >= MOST_COMMANDS:
            self._send("ran", id=number, status=REFUSED, output=[])
            return
        self._commands[number] = Command(
            message["command"],
            message["text"],
            message["environment"],
            self.process,
            self._reactor,
            write,
            ended,
        )

    def _on_lend(self, number: int, cell: int, needed: bool) -> None:
        """A cell is about to use IPython: lend ours, if there is none in the target."""
        if not self._is_read():
            return
        from . import commands, lending  # needed by few

        needed &= not self._observes
        refusal = lending.refusal(self.process) if needed else ""
        if refusal:
            self._on_cell(cell, [{"event": "stream", "name": "stderr", "text": refusal}], None)
        path, modules = lending.ipython() if needed and not refusal else ([], [])
        helps = {name: commands.help_text(name) for name in commands.COMMANDS}
        self._send("lent", id=number, path=path, modules=modules, commands=helps)

    # -- getting out --------------------------------------------------------------------

    def detach(self, within: float = 1.0) -> None:
        """Let go of the target. Returns when the agent has undone its changes, or after `within`
        seconds, in which case it does so by itself as soon as it can.
        """
        if self.state is State.INJECTING:
            self._end(State.FAILED)
            return
        if self.state is not State.ATTACHED:
            return
        self.state = State.DETACHED
        self._send("detach")
        self._reactor.run_until(lambda: self._farewell is not None or not self._channels, within)
        self._end(State.DETACHED)

    @property
    def leftovers(self) -> str:
        """What the agent could not undo when it left, in words; empty as it should be."""
        return str(self._farewell["detail"]) if self._farewell else ""

    def _on_closed(self, name: str) -> None:
        """The agent's end of a connection has closed."""
        channel = self._channels.pop(name, None)
        self._was_misused |= channel is not None and channel.broke_protocol
        if self.state is State.ATTACHED:
            # A target that died takes a moment to be reported dead; then we know how.
            self._timers.append(self._reactor.later(0.1, self._lose))

    def _on_death(self) -> None:
        """The target has ended."""
        if not self._death.has_ended():
            return  # somebody else's descriptor, of the same number, was readable
        if self._death.descriptor is not None:
            self._reactor.forget(self._death.descriptor)
        # Its parent may collect it a moment later, and only then is it known how it ended.
        self._timers.append(self._reactor.later(0.02, self._lose))

    def _lose(self) -> None:
        if self.state not in (State.ATTACHED, State.INJECTING):
            return
        error = losing.lost(self.process, self._death, self._farewell, self._was_misused)
        was_attached = self.state is State.ATTACHED
        self._end(State.LOST)
        if was_attached:
            self._owner.on_lost(error)
        else:
            self._owner.on_failed(error)

    def _end(self, state: State) -> None:
        self.state = state
        self._cells.clear()
        self._entering.give_up()
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        for timer in self._timers:
            timer.cancel()
        if self._death.descriptor is not None:
            self._reactor.forget(self._death.descriptor)
        self._death.close()
        for command in self._commands.values():
            command.close()
        self._commands.clear()
        for number in list(self._questions):
            self._on_answer(number, {})
