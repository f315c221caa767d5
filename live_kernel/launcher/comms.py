"""Comms between the target and the front-ends: which are open, and who gets what is said.

Runs on the launcher's reactor. Rule: what a front-end says goes to the shell
that it names; but first to the one from which the target has spoken on that
comm, if a cell awaits there: it may await this very answer.
"""

from __future__ import annotations

from typing import Any

from .attachment import State
from .execution import Queue, Turn
from .frontend import Frontend
from .outlet import Outlet
from .recording import Recorder
from .shells import Shells, UnknownSubshell
from .target import CellRun, Target
from .wire import Content, Request

_REMEMBERED = 1000
"""Questions on comms of which it is known which shell has asked them."""

_MOST = 100_000
"""Comms that are known; of more, those opened first are forgotten."""


class Comms:
    """The comms that are open."""

    def __init__(
        self, frontend: Frontend, target: Target, shells: Shells, recorder: Recorder
    ) -> None:
        self._frontend, self._target, self._shells = frontend, target, shells
        self._recorder = recorder
        self._targets: dict[str, str] = {}
        self._speaker: dict[str, str] = {}
        self._asked: dict[tuple[str, str], str] = {}

    def info(self, target: str | None) -> Content:
        """The content of a `comm_info_reply`: all comms, or those for one target name."""
        return {
            name: {"target_name": of}
            for name, of in self._targets.items()
            if target is None or of == target
        }

    # -- from the target ----------------------------------------------------------------

    def on_event(self, event: dict[str, Any], subshell: str) -> None:
        """The target opens, uses or closes a comm, by a cell of that subshell."""
        name, content = event["content"]["comm_id"], event["content"]
        if event["kind"] == "comm_close":
            self._forget(name)
            return
        if event["kind"] == "comm_open":
            self._targets[name] = str(content.get("target_name", ""))
        self._speaker[name] = subshell
        for known in (self._targets, self._speaker):
            if len(known) > _MOST:
                del known[next(iter(known))]
        question = _question(content)
        if question is not None:
            self._asked[name, question] = subshell
            if len(self._asked) > _REMEMBERED:
                del self._asked[next(iter(self._asked))]

    def _forget(self, name: str) -> None:
        self._targets.pop(name, None)
        self._speaker.pop(name, None)

    def close_all(self) -> None:
        """The target is left, or gone: nobody speaks on its comms any more."""
        for name in list(self._targets):
            self._frontend.publish("comm_close", {"comm_id": name, "data": {}}, None)
        self._targets.clear()
        self._speaker.clear()
        self._asked.clear()

    # -- from a front-end ---------------------------------------------------------------

    def on_message(self, request: Request, queue: Queue) -> None:
        """`comm_open`, `comm_msg` or `comm_close`: busy, the delivery, idle; there is no reply.

        `queue` is that of the shell for which it is.
        """
        self._frontend.status("busy", request.header)
        name = request.content.get("comm_id")
        if not isinstance(name, str) or self._target.state is not State.ATTACHED:
            self.end(request)
            return
        refusal = self._target.protection.refuse_message(self._target.process)
        if refusal is not None:
            if refusal:
                Outlet(request, self._frontend).print(refusal, "stderr")
            self.end(request)
            return
        of = self._targets.get(name) or str(request.content.get("target_name", ""))
        self._recorder.said(request.kind, of, self._target.process)
        if request.kind == "comm_open":
            self._targets[name] = str(request.content.get("target_name", ""))
        elif request.kind == "comm_close":
            self._forget(name)
        Delivery(self, request, queue).begin(self._awaiting(name, request.content))

    def _awaiting(self, name: str, content: Content) -> str | None:
        """The subshell in which a cell runs that may await what is said on this comm."""
        speaker = self._asked.pop((name, _question(content) or ""), None)
        if speaker is None:
            speaker = self._speaker.get(name, "")
        try:
            return None if self._shells.named(speaker).running is None else speaker
        except UnknownSubshell:
            return None

    def deliver(self, delivery: Delivery, subshell: str, meanwhile: bool) -> None:
        """Bring it to a shell of the target; the delivery is told what becomes of it."""
        request = delivery.request
        if self._target.state is not State.ATTACHED:
            delivery.ended()
            return
        outlet = Outlet(request, self._frontend)

        def produced(events: list[Content]) -> None:
            for event in events:
                if event["event"] == "comm":
                    self.on_event(event, subshell)
                outlet.show(event)

        message = {
            "subshell": subshell,
            "kind": request.kind,
            "content": request.content,
            "metadata": request.metadata,
            "buffers": [bytes(buffer) for buffer in request.buffers],
            "parent": request.header,
            "meanwhile": meanwhile,
        }
        self._target.deliver(
            message,
            CellRun(produced, delivery.ended, delivery.ended, undelivered=delivery.undelivered),
        )

    def end(self, request: Request) -> None:
        self._frontend.status("idle", request.header)


class Delivery:
    """What a front-end says on a comm, on its way to the target.

    It takes its turn among the cells of its shell. If a cell runs that may await it, it is
    offered to that one meanwhile; when that takes it, there is nothing left for its turn.
    """

    def __init__(self, comms: Comms, request: Request, queue: Queue) -> None:
        self.request = request
        self._comms, self._queue = comms, queue
        self._turn: Turn | None = None
        self._is_offered = self._is_over = False

    def begin(self, awaiting: str | None) -> None:
        """`awaiting`: the subshell whose cell may await it, if one runs."""
        if awaiting is not None:
            self._is_offered = True
            self._comms.deliver(self, awaiting, meanwhile=True)
        if not self._is_over:
            self._queue.add_turn(self._on_turn)

    def _on_turn(self, turn: Turn) -> None:
        self._turn = turn
        if self._is_over:
            self._queue.end_turn(turn)
        elif not self._is_offered:
            self._deliver()

    def _deliver(self) -> None:
        self._comms.deliver(self, self.request.subshell, meanwhile=False)

    def undelivered(self) -> None:
        """Nobody could take it: it waits for its turn, unless that has come."""
        if not self._is_offered:
            self.ended()  # its shell has gone
            return
        self._is_offered = False
        if self._turn is not None:
            self._deliver()

    def ended(self, _outcome: object = None) -> None:
        """It has been dealt with, or never will be."""
        self._is_over = True
        self.request.buffers = ()  # whatever is remembered of it, these may be large
        self._comms.end(self.request)
        if self._turn is not None:
            self._queue.end_turn(self._turn)


def _question(content: Content) -> str | None:
    """The id by which an answer on a comm refers to what was asked, where there is one."""
    data = content.get("data")
    inner = data.get("content") if isinstance(data, dict) else None
    number = inner.get("id") if isinstance(inner, dict) else None
    return number if isinstance(number, str) else None
