"""What the launcher has its local kernel do: `%%local` cells, questions about them, moves.

Runs on the launcher's reactor. The kernel is started by the first who needs it, and
what it says is published as the output of whoever asked.
Rule: everything that is asked of it is answered once, also if it ends.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import LiveKernelError, LocalKernelLost
from .execution import Done, Execution
from .frontend import Frontend
from .questions import Questions
from .reactor import Reactor
from .wire import Content, Request

if TYPE_CHECKING:
    from .local_kernel import LocalKernel


MARK = "%%local"
"""The first line of a cell that runs here."""

_ANSWER_WITHIN = 5.0
"""Seconds after which a front-end that asks about code is told that nothing was found."""

_SILENT_FOR = 1.0
"""Seconds without a word, after the reply, for which a cell's last output is waited for."""

_REMEMBERED = 1000
"""Requests whose outputs are still passed on when they come later, from threads and widgets."""

_OUTPUTS = {"stream", "display_data", "update_display_data", "clear_output", "execute_result"}
_COMMS = {"comm_open", "comm_msg", "comm_close"}


class Relay:
    """Something that was asked of the local kernel, and on whose behalf.

    `execution` is None for what is no cell; `answered(content)` is called once, with the
    reply's content, after all that was published before it.
    """

    def __init__(
        self, parent: Content, execution: Execution | None, answered: Callable[[Content], None]
    ) -> None:
        self.parent, self.execution, self.answered = parent, execution, answered
        self.request: Request | None = None if execution is None else execution.request
        self.reply: Content | None = None
        self.is_idle = False
        self.heard = 0.0
        self.error: Content | None = None
        """An error that was published, which may yet turn out to be the cell's own."""


class Local:
    """The local kernel of one launcher: none, or one."""

    def __init__(self, reactor: Reactor, questions: Questions) -> None:
        self.reactor = reactor
        self._questions = questions
        self._frontend: Frontend
        self._kernel: LocalKernel | None = None
        self._waiting: list[tuple[Callable[[], None], Callable[[LiveKernelError], None]]] = []
        self._relays: dict[str, Relay] = {}
        self._parents: OrderedDict[str, Content] = OrderedDict()
        self._comms: set[str] = set()
        self._serial = 0
        self._fate = ""

    def connect(self, frontend: Frontend) -> None:
        """Publish over this front-end from now on."""
        self._frontend = frontend

    @property
    def is_there(self) -> bool:
        """Has it been started, and not ended?"""
        return self._kernel is not None

    @property
    def is_running(self) -> bool:
        """Does a cell run in it, or wait for it to start?"""
        return bool(self._waiting) or any(relay.execution for relay in self._relays.values())

    # -- the kernel ---------------------------------------------------------------------

    def when_ready(
        self, ready: Callable[[], None], failed: Callable[[LiveKernelError], None]
    ) -> None:
        """Call one of both: as soon as the kernel answers, which this may have to start."""
        if self._kernel is not None:
            self._kernel.look()  # what has just been killed is not asked any more
        try:
            self._kernel = self._kernel or self._new_kernel()
        except OSError as error:
            failed(LocalKernelLost(f"The local kernel could not be started: {error}"))
            return
        if self._kernel.is_ready:
            ready()
        else:
            self._waiting.append((ready, failed))

    def _new_kernel(self) -> LocalKernel:
        from .local_kernel import LocalKernel  # few need it

        return LocalKernel(self.reactor, self._on_ready, self._on_message, self._on_end)

    def _on_ready(self) -> None:
        assert self._kernel is not None
        self._kernel.send("shell", "execute_request", _SILENTLY | {"code": _LOSE_NO_OUTPUT})
        waiting, self._waiting = self._waiting, []
        for ready, _ in waiting:
            ready()

    def _on_end(self, how: str) -> None:
        """The kernel has ended, by itself or by somebody else's doing."""
        assert self._kernel is not None
        was_ready, pid = self._kernel.is_ready, self._kernel.pid
        self._kernel = None
        self._comms.clear()
        self._fate = f"The local kernel (pid {pid}) {how}"
        error = LocalKernelLost(self._fate + _WHILE[was_ready], _REMEDY[was_ready])
        waiting, self._waiting = self._waiting, []
        relays, self._relays = self._relays, {}
        if waiting or any(relay.execution for relay in relays.values()):
            self._fate = ""  # they tell it
        for _, failed in waiting:
            failed(error)
        for relay in relays.values():
            relay.answered(_as_reply(error))

    def _retire(self) -> None:
        """A cell has ended it; the next one finds a new one."""
        if self._kernel is not None:
            self._kernel.retire()
            self._kernel = None
            self._comms.clear()

    def interrupt(self) -> None:
        """Interrupt what runs in it, or who waits for it; between cells, nothing."""
        waiting, self._waiting = self._waiting, []
        for _, failed in waiting:
            failed(LocalKernelLost("Interrupted while the local kernel was starting.", ""))
        if self._kernel is not None and any(relay.execution for relay in self._relays.values()):
            self._kernel.interrupt()

    def hold_output(self, hold: bool) -> None:
        """Front-ends take messages more slowly than its cell makes them (or no longer do)."""
        if self._kernel is not None:
            self._kernel.hold(hold)

    def close(self, within: float) -> None:
        """End it, within so many seconds."""
        if self._kernel is not None:
            self._kernel.close(within)
            self._kernel = None

    # -- cells --------------------------------------------------------------------------

    def run(self, code: str, execution: Execution, done: Done) -> None:
        """Run a cell; `done` is called with what it raised, or None."""

        def answered(reply: Content) -> None:
            for payload in reply.get("payload") or ():
                if payload.get("source") == "ask_exit":  # that is for the local kernel, not us
                    self._retire()
                else:
                    execution.add_payload(payload)
            execution.values = reply.get("user_expressions") or {}
            done(error_of(reply))

        def ready() -> None:
            self._tell_fate(execution)
            self._set_count(execution.count)
            content = {
                "code": code,
                "silent": execution.silent,
                "store_history": execution.keeps_history,
                "user_expressions": execution.expressions,
                "allow_stdin": execution.allows_input,
                "stop_on_error": False,  # what was sent behind it is the queue's affair
            }
            relay = Relay(execution.request.header, execution, answered)
            self._send("execute_request", content, relay, execution.request)

        self.when_ready(ready, done)

    def _tell_fate(self, execution: Execution) -> None:
        """What became of the last kernel, if nobody has been told."""
        fate, self._fate = self._fate, ""
        if fate:
            text = f"{fate}. A new one has been started, with none of its variables."
            execution.print(text, "stderr")

    def _set_count(self, count: int) -> None:
        """Have it count cells as the notebook does, which shows in `Out` and tracebacks."""
        assert self._kernel is not None
        code = f"__import__('IPython').get_ipython().execution_count = {count}"
        self._kernel.send("shell", "execute_request", _SILENTLY | {"code": code})

    def evaluate(
        self, expression: str, execution: Execution, answered: Callable[[Content], None]
    ) -> None:
        """Have an expression of ours evaluated on behalf of a cell.

        `answered` gets what an execute_reply tells of a user expression, with its status.
        """

        def replied(reply: Content) -> None:
            values = reply.get("user_expressions") or {}
            answered(values.get("it", reply))

        content = _SILENTLY | {"code": "", "user_expressions": {"it": expression}}
        relay = Relay(execution.request.header, execution, replied)
        self._send("execute_request", content, relay)

    def _send(
        self, kind: str, content: Content, relay: Relay, request: Request | None = None
    ) -> str:
        assert self._kernel is not None
        metadata, buffers = (request.metadata, request.buffers) if request else ({}, ())
        number = self._kernel.send("shell", kind, content, metadata, buffers)
        self._relays[number] = relay
        self._parents[number] = relay.parent
        if len(self._parents) > _REMEMBERED:
            self._parents.popitem(last=False)
        return number

    # -- questions about code -----------------------------------------------------------

    def ask(self, kind: str, content: Content, answered: Callable[[Content], None]) -> None:
        """Ask it to complete or inspect; `answered` is called once, with {} for want of an answer.

        Whoever asks about a `%%local` cell will want to run it: this starts the kernel.
        """
        is_open = True

        def answer_once(reply: Content) -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                answered(reply if reply.get("status") == "ok" else {})

        def ready() -> None:
            self._send(kind, content, Relay({}, None, answer_once))

        self.reactor.later(_ANSWER_WITHIN, lambda: answer_once({}))
        self.when_ready(ready, lambda _error: answer_once({}))

    def complete(
        self, code: str, cursor: int, start: int, answered: Callable[[Content], None]
    ) -> None:
        """Complete within the cell whose own code begins at `start`."""

        def shift(reply: Content) -> None:
            places = {"cursor_start": cursor, "cursor_end": cursor}
            places = {key: int(reply.get(key, at - start)) + start for key, at in places.items()}
            answered({"matches": [], "metadata": {}} | reply | places)

        self.ask("complete_request", {"code": code[start:], "cursor_pos": cursor - start}, shift)

    # -- widgets ------------------------------------------------------------------------

    def takes(self, request: Request) -> bool:
        """Pass on what a front-end says to a comm of the local kernel. Returns whether it is."""
        name = request.content.get("comm_id")
        if request.kind not in _COMMS or not isinstance(name, str) or name not in self._comms:
            return False
        if self._kernel is not None:
            relay = Relay(request.header, None, lambda _reply: None)
            self._relays.pop(self._send(request.kind, request.content, relay, request), None)
        return True

    # -- what it says -------------------------------------------------------------------

    def _on_message(self, channel: str, message: Request) -> None:
        number = str(message.parent.get("msg_id"))
        relay = self._relays.get(number)
        if relay is not None:
            relay.heard = time.monotonic()
        if channel == "iopub":
            self._on_published(number, relay, message)
        elif channel == "stdin" and message.kind == "input_request":
            self._on_input_request(relay, message.content)
        elif channel == "shell" and relay is not None:
            relay.reply = message.content
            self._end_if_silent(number, relay)
        self._end_if_whole(number, relay)

    def _on_published(self, number: str, relay: Relay | None, message: Request) -> None:
        parent = self._parents.get(number)
        if message.kind == "status":
            self._on_status(message.content.get("execution_state"), relay, parent)
        elif parent is None:
            return
        elif message.kind == "error":
            if relay is not None:
                self._publish_error(relay)
                relay.error = message.content
        elif message.kind in _OUTPUTS or message.kind in _COMMS:
            self._publish(message, relay, parent)

    def _publish(self, message: Request, relay: Relay | None, parent: Content) -> None:
        if relay is not None:
            self._publish_error(relay)
        content = message.content
        if message.kind == "execute_result":
            if relay is None or relay.execution is None:
                return
            content = content | {"execution_count": relay.execution.count}
        if message.kind == "comm_open":
            self._comms.add(str(content.get("comm_id")))
        elif message.kind == "comm_close":
            self._comms.discard(str(content.get("comm_id")))
        if message.kind in _COMMS:
            more = message.metadata, message.buffers
            self._frontend.publish(message.kind, content, parent, *more)
        else:
            self._frontend.publish(message.kind, content, parent)

    def _on_status(self, state: Any, relay: Relay | None, parent: Content | None) -> None:
        """A cell's busy and idle are the queue's to tell; those of a widget's messages are ours."""
        if relay is not None:
            relay.is_idle |= state == "idle"
        elif parent is not None and parent.get("msg_type") in _COMMS:
            self._frontend.status(str(state), parent)

    def _publish_error(self, relay: Relay) -> None:
        """An error that the cell has shown, and outlived."""
        error, relay.error = relay.error, None
        if error is not None:
            self._frontend.publish("error", error, relay.parent)

    def _on_input_request(self, relay: Relay | None, content: Content) -> None:
        if relay is None or relay.request is None:
            return
        prompt, password = str(content.get("prompt", "")), bool(content.get("password"))

        def answered(value: str | None) -> None:
            if value is not None and self._kernel is not None:
                self._kernel.send("stdin", "input_reply", {"value": value})

        self._questions.ask(self._frontend, relay.request, prompt, password, answered)

    def _end_if_whole(self, number: str, relay: Relay | None) -> None:
        if relay is not None and relay.reply is not None and relay.is_idle:
            self._end(number, relay)

    def _end_if_silent(self, number: str, relay: Relay) -> None:
        """Its idle may be late: it waits until the front-ends take what comes before it."""
        if number not in self._relays:
            return
        rest = relay.heard + _SILENT_FOR - time.monotonic()
        if rest > 0:
            self.reactor.later(rest, lambda: self._end_if_silent(number, relay))
        else:
            self._end(number, relay)

    def _end(self, number: str, relay: Relay) -> None:
        """The reply is there, and what belongs before it (or that was lost)."""
        if self._relays.pop(number, None) is None:
            return
        reply = relay.reply or {}
        if reply.get("status") == "ok":
            self._publish_error(relay)
        relay.answered(reply)

    # -- descriptors --------------------------------------------------------------------

    def hand_over(self, descriptor: int) -> int:
        """Give the kernel a descriptor. Returns the number by which it knows it."""
        assert self._kernel is not None
        self._serial += 1
        self._kernel.hand_over(self._serial, descriptor)
        return self._serial

    def next_number(self) -> int:
        """A number for a descriptor that the kernel is going to send."""
        self._serial += 1
        return self._serial

    def take_over(self, number: int) -> int | None:
        """The descriptor that the kernel has sent by this number, if it has."""
        return None if self._kernel is None else self._kernel.take_over(number)


def error_of(reply: Content) -> Content | None:
    """What a reply tells of an exception; None if there was none."""
    if reply.get("status") == "ok":
        return None
    name = str(reply.get("ename", "Aborted"))
    text = str(reply.get("evalue", "The local kernel has not run it."))
    return {"ename": name, "evalue": text, "traceback": reply.get("traceback") or [text]}


def body_start(code: str) -> int | None:
    """Where the code of a `%%local` cell begins, behind its first line; None for other cells."""
    before = len(code) - len(code.lstrip())
    first, end, _ = code[before:].partition("\n")
    if first.split()[:1] != [MARK] or not end:
        return None
    return before + len(first) + 1


def _as_reply(error: LiveKernelError) -> Content:
    lines = [f"\x1b[0;31m{type(error).__name__}\x1b[0m: {error}", *error.remedy.splitlines()]
    return {
        "status": "error",
        "ename": type(error).__name__,
        "evalue": str(error),
        "traceback": lines,
    }


_SILENTLY: Content = {
    "silent": True,
    "store_history": False,
    "user_expressions": {},
    "allow_stdin": False,
    "stop_on_error": False,
}

BRIDGE = "__import__('live_kernel.beside.bridge', fromlist=['bridge'])"
"""Our own code in the local kernel, as an expression there."""

_LOSE_NO_OUTPUT = f"{BRIDGE}.lose_no_output()"

_WHILE = {True: "", False: " before it was ready"}
_REMEDY = {
    True: "The next %%local cell starts a new one, which has none of its variables.",
    False: "Its last words are in the log of Jupyter. It is a stock ipykernel: try whether "
    "`python -m ipykernel_launcher` starts in the kernel's environment.",
}
