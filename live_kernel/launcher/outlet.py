"""What comes of a request, as Jupyter's messages.

Runs on the launcher's reactor. Rule: whatever is published here has the request
as its parent, and no other.
"""

from __future__ import annotations

from typing import Any

from ..plain import plain
from .frontend import Frontend
from .wire import Content, Request

_EVENTS = {
    "stream": ("stream", ("name", "text")),
    "display": ("display_data", ("data", "metadata", "transient")),
    "update": ("update_display_data", ("data", "metadata", "transient")),
    "clear": ("clear_output", ("wait",)),
}
"""Events of the link that are Jupyter's messages under another name."""


class Outlet:
    """Where the output of one request goes: to all front-ends, as an answer to it."""

    def __init__(self, request: Request, frontend: Frontend) -> None:
        self.request = request
        self.count = 0
        """The number of the input, where the request is one."""
        self.payload: list[Content] = []
        """What the front-end is asked to do afterwards: sent with the reply, where there is one."""
        self._frontend = frontend

    def for_later(self) -> Outlet:
        """Where output goes that comes after the answer: it keeps nothing of what was asked."""
        later = Outlet(self.request.as_parent(), self._frontend)
        later.count = self.count
        return later

    def publish(self, kind: str, content: Content) -> None:
        """Publish something as this request's output."""
        self._frontend.publish(kind, content, self.request.header)

    def show(self, event: dict[str, Any]) -> None:
        """Publish an event that the agent sent."""
        kind = event["event"]
        if kind == "result":
            content = {key: event[key] for key in ("data", "metadata")}
            self.publish("execute_result", {"execution_count": self.count, **content})
        elif kind == "error":
            self.publish("error", error_in(event))
        elif kind == "comm":
            self._publish_comm(event)
        elif kind == "page":
            self.page(event["data"], event["start"])
        elif kind == "next_input":
            fields = {"text": event["text"], "replace": event["replace"]}
            self.add_payload({"source": "set_next_input", **fields})
        else:
            message, names = _EVENTS[kind]
            self.publish(message, {name: event[name] for name in names})

    def _publish_comm(self, event: dict[str, Any]) -> None:
        buffers = [buffer or b"" for buffer in event["buffers"]]
        self._frontend.publish(
            event["kind"], event["content"], self.request.header, event["metadata"], buffers
        )

    def add_payload(self, payload: Content) -> None:
        """Have the front-end do something after the cell: of each kind, what was said last."""
        self.payload = [each for each in self.payload if each["source"] != payload["source"]]
        self.payload.append(payload)

    def print(self, text: str, stream: str = "stdout") -> None:
        """Publish a line of our own."""
        self.publish("stream", {"name": stream, "text": plain(text) + "\n"})

    def display(self, data: dict[str, Any]) -> None:
        """Publish a MIME bundle of our own."""
        self.publish("display_data", {"data": data, "metadata": {}, "transient": {}})

    def note(self, text: str) -> None:
        """Show a word of the kernel's own, which is none of the cell's output."""
        self.display({"text/plain": plain(text)})

    def page(self, data: dict[str, Any], start: int = 0) -> None:
        """Have the front-end show help in its pager, from line `start` on."""
        self.add_payload({"source": "page", "data": data, "start": start})


def error_in(message: dict[str, Any]) -> Content:
    """The error of an event or an outcome, and nothing that the sender has put beside it."""
    return {name: message["error"][name] for name in ("ename", "evalue", "traceback")}
