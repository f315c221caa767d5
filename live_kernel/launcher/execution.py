"""Cells, as Jupyter asks for them: one at a time, in order.

Runs on the launcher's reactor. Owns the queue of execute requests and the one
that runs. Rule: every execute request is answered exactly once, between its
own busy and idle.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..errors import LiveKernelError
from .frontend import Frontend
from .wire import Content, Request, now

_EVENTS = {
    "stream": ("stream", ("name", "text")),
    "display": ("display_data", ("data", "metadata", "transient")),
    "update": ("update_display_data", ("data", "metadata", "transient")),
    "clear": ("clear_output", ("wait",)),
}
"""Events of the link that are Jupyter's messages under another name."""

BATCH_GAP = 0.1
"""Seconds that may pass between two cells which a notebook sends at once ("Run All")."""


class Execution:
    """One execute request on its way to an answer."""

    def __init__(self, request: Request, frontend: Frontend) -> None:
        content = request.content
        self.request = request
        self.code = str(content.get("code", ""))
        self.silent = bool(content.get("silent", False))
        self.keeps_history = bool(content.get("store_history", True)) and not self.silent
        expressions = content.get("user_expressions")
        self.expressions: dict[str, str] = expressions if isinstance(expressions, dict) else {}
        self.allows_input = bool(content.get("allow_stdin", True))
        self.stops_on_error = bool(content.get("stop_on_error", True))
        self.notebook = str(request.header.get("session")) if "cellId" in request.metadata else None
        self.sent_at = _seconds(request.header.get("date"))
        self.count = 0
        self.payload: list[Content] = []
        self._frontend = frontend

    def publish(self, kind: str, content: Content) -> None:
        """Publish something as this cell's output."""
        self._frontend.publish(kind, content, self.request.header)

    def show(self, event: dict[str, Any]) -> None:
        """Publish an event that the agent sent."""
        kind = event["event"]
        if kind == "result":
            content = {key: event[key] for key in ("data", "metadata")}
            self.publish("execute_result", {"execution_count": self.count, **content})
        elif kind == "error":
            self.publish("error", event["error"])
        elif kind == "page":
            self.page(event["data"], event["start"])
        elif kind == "next_input":
            fields = {"text": event["text"], "replace": event["replace"]}
            self.add_payload({"source": "set_next_input", **fields})
        else:
            message, names = _EVENTS[kind]
            self.publish(message, {name: event[name] for name in names})

    def add_payload(self, payload: Content) -> None:
        """Have the front-end do something after the cell: of each kind, what was said last."""
        self.payload = [each for each in self.payload if each["source"] != payload["source"]]
        self.payload.append(payload)

    def print(self, text: str, stream: str = "stdout") -> None:
        """Publish a line of our own."""
        self.publish("stream", {"name": stream, "text": text + "\n"})

    def display(self, data: dict[str, Any]) -> None:
        """Publish a MIME bundle of our own."""
        self.publish("display_data", {"data": data, "metadata": {}, "transient": {}})

    def page(self, data: dict[str, Any], start: int = 0) -> None:
        """Have the front-end show help in its pager, from line `start` on."""
        self.add_payload({"source": "page", "data": data, "start": start})


class Queue:
    """The execute requests of one kernel.

    `run(execution)` starts one; whoever runs it calls `succeed` or `fail` in the end.
    `remember(number, code)` is told of each that belongs to the history.
    """

    def __init__(
        self,
        frontend: Frontend,
        run: Callable[[Execution], None],
        remember: Callable[[int, str], None],
    ) -> None:
        self._frontend = frontend
        self._run = run
        self._remember = remember
        self._waiting: deque[Execution] = deque()
        self._is_starting = False
        self.running: Execution | None = None
        self.count = 0
        self._failed: Execution | None = None
        self._failed_at = 0.0

    def add(self, request: Request) -> None:
        """Take a request; run it now or after those before it."""
        execution = Execution(request, self._frontend)
        if self._is_of_a_failed_batch(execution):
            self._abort(execution)
        else:
            self._waiting.append(execution)
            self._next()

    def _is_of_a_failed_batch(self, execution: Execution) -> bool:
        """Did this cell start its way together with one that has failed meanwhile?

        A notebook takes longer to send its cells than we do to run one. By its own clock it has
        sent them at once; who has seen the failure (or has interrupted the cell) comes later.
        Other clients, which answer a failure within a millisecond, send no cell id.
        """
        failed = self._failed
        if failed is None or execution.notebook is None or execution.notebook != failed.notebook:
            return False
        if time.monotonic() - self._failed_at > BATCH_GAP:
            return False
        if failed.sent_at is None or execution.sent_at is None:
            return True
        return execution.sent_at - failed.sent_at < BATCH_GAP

    def _next(self) -> None:
        """Start what waits. A cell that ends at once leaves the next one to the loop that runs."""
        if self._is_starting:
            return
        self._is_starting = True
        try:
            while self.running is None and self._waiting:
                self._start(self._waiting.popleft())
        finally:
            self._is_starting = False

    def _start(self, execution: Execution) -> None:
        self.running = execution
        self._begin(execution)
        try:
            self._run(execution)
        except LiveKernelError as error:
            self.fail(execution, error)
        except Exception as error:
            if self.running is execution:
                self.fail(execution, LiveKernelError(f"live-kernel has failed: {error!r}"))
            raise

    def _begin(self, execution: Execution) -> None:
        execution.request.started = now()
        self._frontend.status("busy", execution.request.header)
        if execution.keeps_history:
            self.count += 1
            self._remember(self.count, execution.code)
        execution.count = self.count
        if not execution.silent:
            content = {"code": execution.code, "execution_count": execution.count}
            execution.publish("execute_input", content)

    def succeed(self, execution: Execution, expressions: Content | None = None) -> None:
        """The cell has run."""
        content = {"user_expressions": expressions or {}, "payload": execution.payload}
        self._answer(execution, {"status": "ok", "execution_count": execution.count, **content})
        self._go_on(execution)

    def fail(self, execution: Execution, error: LiveKernelError) -> None:
        """The cell could not be run, for a reason of ours."""
        name = type(error).__name__
        lines = [f"\x1b[0;31m{name}\x1b[0m: {error}", *error.remedy.splitlines()]
        self.fail_with(execution, {"ename": name, "evalue": str(error), "traceback": lines})

    def fail_with(self, execution: Execution, error: Content) -> None:
        """The cell has raised: publish the error, answer, and abort what was sent behind it."""
        if not execution.silent:
            execution.publish("error", error)
        if execution.stops_on_error:
            self._frontend.take_in("shell")  # what was sent before the failure could be known
        content = {"execution_count": execution.count, "payload": execution.payload}
        self._answer(execution, {"status": "error", **error, **content})
        if execution.stops_on_error:
            self._failed, self._failed_at = execution, time.monotonic()
            self._abort_waiting()
        self._go_on(execution)

    def _answer(self, execution: Execution, content: Content) -> None:
        self._frontend.reply(execution.request, "execute_reply", content)
        self._frontend.status("idle", execution.request.header)

    def _go_on(self, execution: Execution) -> None:
        if self.running is execution:
            self.running = None
            self._next()

    def _abort_waiting(self) -> None:
        while self._waiting:
            self._abort(self._waiting.popleft())

    def _abort(self, execution: Execution) -> None:
        """Answer without running it. It gets no number: a front-end would show it as run."""
        if self._failed is not None and execution.notebook == self._failed.notebook:
            self._failed, self._failed_at = execution, time.monotonic()
        self._frontend.status("busy", execution.request.header)
        self._answer(execution, {"status": "aborted"})


def _seconds(date: object) -> float | None:
    """The time of a message's header, in seconds; None where it has none that makes sense."""
    try:
        return datetime.fromisoformat(str(date)).timestamp()
    except (ValueError, OverflowError):
        return None
