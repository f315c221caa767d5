"""Comms between the target and the front-ends: which are open, and who gets what is said.

Runs on the launcher's reactor. Rule: what a front-end says goes to the shell
that it names; but first to the one from which the target has spoken on that
comm, if a cell awaits there: it may await this very answer.
"""

from __future__ import annotations

from typing import Any

from ..errors import AgentLost
from .attachment import State
from .execution import Queue, Turn
from .frontend import Frontend
from .outlet import Outlet
from .shells import Shells, UnknownSubshell
from .target import CellRun, Target
from .wire import Content, Request

_REMEMBERED = 1000
"""Questions on comms of which it is known which shell has asked them."""


class Comms:
    """The comms that are open."""

    def __init__(self, frontend: Frontend, target: Target, shells: Shells) -> None:
        self._frontend, self._target, self._shells = frontend, target, shells
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

    def on_message(self, request: Request) -> None:
        """`comm_open`, `comm_msg` or `comm_close`: busy, the delivery, idle; there is no reply."""
        self._frontend.status("busy", request.header)
        name = request.content.get("comm_id")
        if not isinstance(name, str) or self._target.state is not State.ATTACHED:
            self._end(request)
            return
        if request.kind == "comm_open":
            self._targets[name] = str(request.content.get("target_name", ""))
        elif request.kind == "comm_close":
            self._forget(name)
        speaker = self._asked.pop((name, _question(request.content) or ""), None)
        if speaker is None:
            speaker = self._speaker.get(name, "")
        if self._runs_a_cell(speaker):
            self._send(request, speaker, None)
        else:
            self._queue_up(request)

    def _runs_a_cell(self, subshell: str) -> bool:
        try:
            queue = self._shells.named(subshell)
        except UnknownSubshell:
            return False
        return queue.running is not None and not queue.has_turns

    def _queue_up(self, request: Request) -> None:
        """Deliver it when the shell that it names has come to it."""
        try:
            queue = self._shells.of(request)
        except UnknownSubshell:
            self._end(request)
            return
        subshell = str(request.header.get("subshell_id") or "")
        queue.add_turn(lambda turn: self._send(request, subshell, (queue, turn)))

    def _send(self, request: Request, subshell: str, turn: tuple[Queue, Turn] | None) -> None:
        """Deliver it: when its turn has come, or (None) to the cell that awaits there meanwhile."""
        outlet = Outlet(request, self._frontend)

        def produced(events: list[Content]) -> None:
            for event in events:
                if event["event"] == "comm":
                    self.on_event(event, subshell)
                outlet.show(event)

        def ended(_outcome: Content | AgentLost | None = None) -> None:
            self._end(request)
            if turn is not None:
                queue, mine = turn
                queue.end_turn(mine)

        def undelivered() -> None:
            if turn is None:
                self._queue_up(request)
            else:
                ended()

        if self._target.state is not State.ATTACHED:
            ended()
            return
        message = {
            "subshell": subshell,
            "kind": request.kind,
            "content": request.content,
            "metadata": request.metadata,
            "buffers": [bytes(buffer) for buffer in request.buffers],
            "parent": request.header,
            "meanwhile": turn is None,
        }
        run = CellRun(produced, ended, ended, undelivered=undelivered)
        self._target.deliver(message, run)

    def _end(self, request: Request) -> None:
        self._frontend.status("idle", request.header)


def _question(content: Content) -> str | None:
    """The id by which an answer on a comm refers to what was asked, where there is one."""
    data = content.get("data")
    inner = data.get("content") if isinstance(data, dict) else None
    number = inner.get("id") if isinstance(inner, dict) else None
    return number if isinstance(number, str) else None
