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

import hmac
import socket
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from ..attach import ending, injector, slot
from ..attach.landing import SCRIPT, Landing
from ..attach.processes import Process
from ..errors import AgentFailed, AgentLost, LiveKernelError, TargetBlocked
from ..link import frames, messages
from .reactor import Reactor, Timer

if TYPE_CHECKING:
    from .system import Command

Message = dict[str, Any]

NUDGE_AFTER = 0.02
"""Seconds after which a target that did not react is looked at, and nudged if it idles in epoll."""

BLOCKED_AFTER = 0.5
"""Seconds after which the user is told that the target's main thread is blocked."""

CHECK_EVERY = 0.5
"""Seconds between looks at whether our script still waits in a blocked target."""

STARTED_WITHIN = 5.0
"""Seconds that the agent has to connect once its bootstrap has run."""

ABANDON_AFTER = 2.0
"""Seconds that an interrupted cell has to stop, before its thread is left to itself."""

FLUSH_AFTER = 0.06
"""Seconds after which the agent is asked for what it holds back: see `agent/output.py`."""

_ANSWER_WITHIN = 5.0
_INJECTED_WITHIN = 20.0


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
    def on_input_wanted(self, prompt: str, password: bool) -> None: ...
    def on_notice(self, text: str) -> None: ...
    def on_lost(self, error: AgentLost) -> None: ...


class Attachment:
    """An attach to `process`, begun at once; `owner` is told how it goes."""

    def __init__(self, process: Process, reactor: Reactor, owner: Owner) -> None:
        self.process = process
        self.state = State.INJECTING
        self.ready: Message = {}
        self.since = time.time()
        self._reactor = reactor
        self._owner = owner
        self._landing: Landing | None = None
        self._injecting: threading.Thread | None = None
        self._scheduled = False
        self._script = ""
        self._silent_since = time.monotonic()
        self._channels: dict[str, Channel] = {}
        self._timers: list[Timer] = []
        self._flush: Timer | None = None
        self._cell: int | None = None
        self._is_interrupted = False
        self._commands: dict[int, Command] = {}
        self._questions: dict[int, Callable[[Message], None]] = {}
        self._serial = 0
        self._farewell: Message | None = None
        self._death = ending.Watch(process.pid)
        if self._death.descriptor is not None:
            reactor.read(self._death.descriptor, self._on_death)
        reactor.call(self._begin)

    # -- getting in ---------------------------------------------------------------------

    def _begin(self) -> None:
        if self.state is not State.INJECTING:
            return
        try:
            self._landing = Landing(self.process.uid, self.process.gid)
            self._script = str(self._landing.path / SCRIPT)
        except OSError as error:
            self._fail(
                AgentFailed(self.process.pid, f"no private directory could be made: {error}")
            )
            return
        self._reactor.read(self._landing.listener, self._on_connection)
        self._timers.append(self._reactor.later(BLOCKED_AFTER, self._look))
        self._injecting = in_background(self._inject)

    def _inject(self) -> None:
        """On a thread of its own: schedule the bootstrap, behind anyone who came first."""
        landing = self._landing
        assert landing is not None
        failure: LiveKernelError
        try:
            if not slot.when_free(
                self.process,
                lambda: injector.inject(self.process, landing),
                lambda: self.state is State.INJECTING,
            ):
                return
        except LiveKernelError as error:
            failure = error
        except Exception as error:  # whatever it is, nobody else would tell the user
            detail = f"{type(error).__name__}: {error}"
            failure = AgentFailed(self.process.pid, f"{self.process} was not entered: {detail}")
        else:
            self._scheduled = True
            self._reactor.call(self._on_scheduled)
            return
        self._reactor.call(lambda: self._fail(failure))

    def _on_scheduled(self) -> None:
        if self.state is State.INJECTING:
            self._timers.append(self._reactor.later(NUDGE_AFTER, self._nudge))

    def _nudge(self) -> None:
        """The main thread did not react at once: wake it if it idles in its event loop."""
        in_background(lambda: _nudge_if_idle(self.process))

    def _look(self) -> None:
        """Find out, beside the reactor, why the target does not react, and tell the owner."""
        in_background(self._look_from_outside)

    def _look_from_outside(self) -> None:
        from ..attach import blocked

        _nudge_if_idle(self.process)
        seen = blocked.describe(self.process)
        error = TargetBlocked(self.process.pid, seen.sentence, seen.remedy)
        self._reactor.call(lambda: self._on_blocked(error))

    def _on_blocked(self, error: TargetBlocked) -> None:
        if self.state is not State.INJECTING:
            return
        if not self._channels:
            self._owner.on_blocked(error)
        self._timers.append(self._reactor.later(CHECK_EVERY, self._check))

    def _check(self) -> None:
        """As long as nothing happens: see whether our script still waits to be run."""
        in_background(self._check_slot)

    def _check_slot(self) -> None:
        waiting = slot.waiting_script(self.process) if self._scheduled else None
        self._reactor.call(lambda: self._on_checked(waiting))

    def _on_checked(self, waiting: str | None) -> None:
        """`waiting`: what is in the target's slot; "" for nothing, None if unknown."""
        if self.state is not State.INJECTING:
            return
        if waiting is None or waiting == self._script or self._channels:
            self._silent_since = time.monotonic()
        elif waiting:
            self._silent_since = time.monotonic()
            self._inject_again()
        elif time.monotonic() - self._silent_since > STARTED_WITHIN:
            detail = f"its bootstrap has run, and nothing came for {STARTED_WITHIN:.0f} s"
            self._fail(AgentFailed(self.process.pid, _could_not_start(self.process, detail)))
            return
        self._timers.append(self._reactor.later(CHECK_EVERY, self._check))

    def _inject_again(self) -> None:
        """Somebody else's script has taken the place of ours: schedule it again after theirs."""
        if self._injecting is None or not self._injecting.is_alive():
            self._scheduled = False
            self._injecting = in_background(self._inject)

    def _on_connection(self) -> None:
        """The agent connects, twice; nobody else is let in."""
        accepted = self._landing.accept() if self._landing is not None else None
        if accepted is None:
            return
        connection, pid = accepted
        Channel(connection, self, pid)

    def introduce(self, channel: Channel, hello: Message) -> bool:
        """The first message on a connection. Returns whether it is the agent's."""
        if hello.get("op") == "bye":  # it could not even be loaded
            self._fail(
                AgentFailed(self.process.pid, _could_not_start(self.process, hello["detail"]))
            )
            return False
        name = hello.get("channel", "")
        token = "" if self._landing is None else self._landing.token
        if (
            hello.get("op") != "hello"
            or self.state is not State.INJECTING
            or name in self._channels
            or not hmac.compare_digest(str(hello["token"]).encode(), token.encode())
            or not self._is_the_target(channel.peer, hello["pid"])
        ):
            return False
        if hello["protocol"] != messages.PROTOCOL:
            self._fail(AgentFailed(self.process.pid, "the agent speaks another protocol version"))
            return False
        self._channels[name] = channel
        if name == "control":
            channel.send({"op": "welcome"})
        self._attached_if_whole()
        return True

    def _is_the_target(self, peer: int, said: int) -> bool:
        """By the kernel's word. A peer in another pid namespace has pid 0 here: then by its own."""
        return peer == self.process.pid or (peer == 0 and said > 0)

    def _on_ready(self, message: Message) -> None:
        self.ready = message
        self._attached_if_whole()

    def _attached_if_whole(self) -> None:
        """Attached means: the agent is ready, and both of its connections are here."""
        if not self.ready or set(self._channels) != set(messages.CHANNELS):
            return
        self.state = State.ATTACHED
        self.since = time.time()
        self._leave_landing()
        self._owner.on_attached()

    def _fail(self, error: LiveKernelError) -> None:
        if self.state is State.INJECTING:
            self._end(State.FAILED)
            self._owner.on_failed(error)

    def give_up(self) -> None:
        """Stop trying to get in; a script that has not run yet will do nothing."""
        if self.state is State.INJECTING:
            self._end(State.FAILED)

    def _disarm(self) -> None:
        """See to it that a script which has not run yet never does, before its file goes."""
        if self._injecting is not None:
            self._injecting.join(_INJECTED_WITHIN)
        if self._scheduled and not self._channels:
            injector.disarm(self.process, self._script)

    def _leave_landing(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._landing is not None:
            self._reactor.forget(self._landing.listener)
            self._landing.close()
            self._landing = None

    # -- attached -----------------------------------------------------------------------

    def run(self, cell: int, request: Message) -> None:
        """Run a cell; `request` holds the other fields of the link's `run`."""
        self._cell, self._is_interrupted = cell, False
        self._channels["cells"].send({"op": "run", "cell": cell, **request})
        self._flush_later()

    def hold_output(self, hold: bool) -> None:
        """Take no more from the cell for now, so that it waits instead of filling our memory."""
        channel = self._channels.get("cells")
        if channel is None:
            return
        if hold and not self._is_interrupted:
            channel.pause()
        else:
            channel.resume()
        for command in self._commands.values():
            command.hold(hold and not self._is_interrupted)

    def interrupt(self) -> None:
        """Interrupt the cell that runs; leave its thread to itself if that does not help."""
        if self._cell is not None and self.state is State.ATTACHED:
            cell = self._cell
            self._is_interrupted = True
            self.hold_output(False)  # a cell that waits to be read from can't be interrupted
            self._send("interrupt", cell=cell)
            for command in self._commands.values():
                command.interrupt()
            self._timers.append(self._reactor.later(ABANDON_AFTER, lambda: self._abandon(cell)))

    def _abandon(self, cell: int) -> None:
        if self._cell == cell and self.state is State.ATTACHED:
            self._send("abandon", cell=cell)

    def answer_input(self, value: str | None) -> None:
        """What the user typed; None if there is nobody to type."""
        if self._cell is not None and self.state is State.ATTACHED:
            self._send("input", cell=self._cell, value=value)

    def ask(self, about: str, answered: Callable[[Message], None], **details: Any) -> None:
        """Ask the agent something; `answered` is called once, with {} if no answer comes."""
        if self.state is not State.ATTACHED:
            answered({})
            return
        self._serial += 1
        number = self._serial
        self._questions[number] = answered
        self._reactor.later(_ANSWER_WITHIN, lambda: self._on_answer(number, {}))
        self._send("ask", id=number, about=about, **details)

    def _on_answer(self, number: int, answer: Message) -> None:
        answered = self._questions.pop(number, None)
        if answered is not None:
            answered(answer)

    def _send(self, operation: str, **fields: Any) -> None:
        self._channels["control"].send({"op": operation, **fields})

    def _flush_later(self) -> None:
        """Whatever the cell wrote last is fetched once it has waited in the agent for a while."""
        if self._flush is None:
            self._flush = self._reactor.later(FLUSH_AFTER, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._cell is None or self.state is not State.ATTACHED:
            return
        if not self._channels["cells"].is_paused:
            self._send("flush")

    def on_message(self, message: Message) -> None:
        """A valid message from the agent, after its hello."""
        match message:
            case {"op": "ready"} if self.state is State.INJECTING:
                self._on_ready(message)
            case {"op": "cell", "cell": cell, "events": events, "done": done}:
                self._on_cell(cell, events, done)
            case {"op": "system"}:
                self._on_system(message)
            case {"op": "lend", "id": number, "needed": needed}:
                self._on_lend(number, needed)
            case {"op": "answer", "id": number, "answer": answer}:
                self._on_answer(number, answer)
            case {"op": "input", "prompt": prompt, "password": password}:
                self._owner.on_input_wanted(prompt, password)
            case {"op": "notice", "text": text}:
                self._owner.on_notice(text)
            case {"op": "bye"}:
                self._farewell = message

    def _on_cell(self, cell: int, events: list[Message], done: Message | None) -> None:
        if cell != self._cell:
            return
        if done is not None:
            self._cell = None
        else:
            self._flush_later()
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

        if self._cell is None or number in self._commands:
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

    def _on_lend(self, number: int, needed: bool) -> None:
        """A cell is about to use IPython: lend ours, if there is none in the target."""
        from . import commands, lending  # needed by few

        path, modules = lending.ipython() if needed else ([], [])
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

    def on_closed(self, channel: Channel) -> None:
        """The agent's end of a connection has closed."""
        if channel not in self._channels.values():
            return
        if self.state is State.ATTACHED:
            # A target that died takes a moment to be reported dead; then we know how.
            self._reactor.forget(channel.socket)
            self._timers.append(self._reactor.later(0.1, self._lose))
        elif self.state is State.DETACHED:
            self._channels = {n: c for n, c in self._channels.items() if c is not channel}
        elif self.state is State.INJECTING:
            self._fail(AgentFailed(self.process.pid, _could_not_start(self.process, "it hung up")))

    def _on_death(self) -> None:
        """The target has ended."""
        if self._death.descriptor is not None:
            self._reactor.forget(self._death.descriptor)
        # Its parent may collect it a moment later, and only then is it known how it ended.
        self._timers.append(self._reactor.later(0.02, self._lose))

    def _lose(self) -> None:
        if self.state not in (State.ATTACHED, State.INJECTING):
            return
        error = AgentLost(self.process.pid, self._how_lost(), _LOST_REMEDY)
        was_attached = self.state is State.ATTACHED
        self._end(State.LOST)
        if was_attached:
            self._owner.on_lost(error)
        else:
            self._owner.on_failed(error)

    def _how_lost(self) -> str:
        who = str(self.process)
        if self._death.has_ended():
            return f"{who} {self._death.how()}"
        if self._farewell is not None and self._farewell["reason"] == "exit":
            return f"{who} is exiting: its interpreter shuts down"
        return f"the agent in {who} has gone, while the program runs on"

    def _end(self, state: State) -> None:
        self.state = state
        self._cell = None
        for channel in list(self._channels.values()):
            channel.close()
        if not self.ready:
            self._disarm()
        self._channels.clear()
        self._leave_landing()
        if self._death.descriptor is not None:
            self._reactor.forget(self._death.descriptor)
        self._death.close()
        for command in self._commands.values():
            command.close()
        self._commands.clear()
        for number in list(self._questions):
            self._on_answer(number, {})


_LOST_REMEDY = "The kernel is detached. Name another program with %attach PID or %attach TEXT."


def _could_not_start(process: Process, detail: str) -> str:
    return f"the agent could not start in {process}: {detail}"


def _nudge_if_idle(process: Process) -> None:
    from ..attach import blocked, wake  # a target that reacts at once needs neither

    if blocked.main_thread_is_in_epoll(process.pid):
        wake.nudge(process.pid)


def in_background(work: Callable[[], None]) -> threading.Thread:
    """Do something that may wait, without holding up the reactor."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class Channel:
    """One of the link's two connections, on the reactor. It introduces itself first."""

    def __init__(self, connection: socket.socket, attachment: Attachment, peer: int) -> None:
        self.socket = connection
        self.peer = peer
        self._attachment = attachment
        self._reactor = attachment._reactor
        self._decoder = frames.Decoder()
        self._is_known = False
        self._unsent = bytearray()
        self.is_paused = False
        connection.setblocking(False)
        self._reactor.read(connection, self._receive)

    def pause(self) -> None:
        """Leave what arrives in the socket, until `resume`: then the agent has to wait."""
        self.is_paused = True
        self._reactor.forget(self.socket)

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._reactor.read(self.socket, self._receive)

    def send(self, message: Message) -> None:
        """Send a message. What the agent does not take at once is sent as it reads."""
        self._unsent += b"".join(frames.encode(message))
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            self._reactor.later(0.01, self._write)
        except OSError:
            self._unsent.clear()  # closed by the peer: reading will say so

    def _receive(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        try:
            for message in self._decoder.feed(data):
                self._handle(message)
        except frames.FrameError:
            self._hang_up()

    def _handle(self, message: Message) -> None:
        if not messages.from_agent(message):
            raise frames.FrameError("a message that the protocol does not allow")
        if self._is_known:
            self._attachment.on_message(message)
        elif self._attachment.introduce(self, message):
            self._is_known = True
        else:
            self.close()

    def _hang_up(self) -> None:
        self.close()
        self._attachment.on_closed(self)

    def close(self) -> None:
        self._reactor.forget(self.socket)
        self.socket.close()
