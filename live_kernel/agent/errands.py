"""What cells want the launcher to do for them, and wait for.

Runs in the target, on any thread of a cell; the control thread brings the answers.
Rule: the program's main thread waits for what comes at once, and for nothing else.
"""

from __future__ import annotations

from . import native
from .streams import running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Message = dict[str, Any]

_AT_ONCE = 1.0
"""Seconds for which the program's main thread waits for what the launcher answers at once."""

_HOLDS_UP = (
    "a command would hold up the program's event loop, in which a cell that awaits runs: run it "
    "in a cell without await, or by `await asyncio.to_thread(get_ipython().system, ...)`"
)


class Errands:
    """What cells want the launcher to do; they wait for it. Called on any thread of a cell."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._serial = 0
        self._waiting: dict[int, tuple[int, native.Signal]] = {}
        """By number: the cell that waits, and for what."""
        self._answers: dict[int, Message] = {}
        self._lock = native.Lock()

    def ask(self, op: str, **fields: Any) -> Message:
        """Send a request, and return what the launcher answers. Raises OSError if it has gone."""
        cell = running_cell()
        if cell is None:
            raise RuntimeError("this works in a cell, and in threads and tasks it started")
        is_on_main = not cell.may_wait_here()
        if is_on_main and op == "system":
            raise RuntimeError(_HOLDS_UP)
        with cell.interruption:
            cell.output.flush()
            with self._lock:
                self._serial += 1
                number = self._serial
            waiting = native.Signal()
            self._waiting[number] = cell.number, waiting
            self._send({"op": op, "cell": cell.number, "id": number, **fields})
            waiting.wait(_AT_ONCE if is_on_main else -1)
            del self._waiting[number]
        answer = self._answers.pop(number, None)
        if answer is None:
            if cell.interruption.requested:
                raise KeyboardInterrupt
            raise OSError("the kernel has gone")
        return answer

    def reply(self, message: Message) -> None:
        """The launcher's answer."""
        if message["id"] in self._waiting:
            self._answers[message["id"]] = message
            self._waiting[message["id"]][1].set()

    def cancel(self, cell: int | None = None) -> None:
        """There will be no answers: this cell was interrupted, or (None) the session ends."""
        for asking, waiting in list(self._waiting.values()):
            if cell in (None, asking):
                waiting.set()


def nowhere(_message: Message) -> None:
    """Where there is no launcher: for a shell that stands alone."""
    raise OSError("there is no kernel to ask")
