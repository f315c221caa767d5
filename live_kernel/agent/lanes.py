"""The lanes of a session: one for the main shell, and one for each subshell (JEP 91).

Runs in the target. A lane is a thread that runs cells one after the other; the
main one reads them from the link, that of a subshell gets them from the control
thread through its inbox. Rule: a lane knows which cell it runs and which it ran
last; what a cell is, it does not know.
"""

from __future__ import annotations

import contextvars

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .cell import Cell

    Message = dict[str, Any]


class Lane:
    """Runs what `receive()` yields, in order, on one thread at a time."""

    def __init__(self, receive: Callable[[], Iterator[Message]]) -> None:
        self.receive = receive
        self.running: Cell | None = None
        self.latest: Cell | None = None
        self.context = contextvars.Context()
        self.ended = native.Signal()
        self.is_over = False
        """The session has ended: what its cells left running writes as the program does."""

    def present(self) -> Cell | None:
        """The cell that runs or ran last, which inherits what older ones have left running."""
        return None if self.is_over else self.latest

    def leave_thread(self) -> None:
        """The thread is left to itself, with the cell that it runs; there will be another."""
        self.running = None
        # A context can be entered by one thread at a time.
        self.context = self.context.copy()


class Inbox:
    """What the control thread has for the lane of a subshell."""

    def __init__(self) -> None:
        from _queue import SimpleQueue  # the interpreter's own, whatever gevent has replaced

        self._messages: SimpleQueue[Message | None] = SimpleQueue()

    def put(self, message: Message) -> None:
        self._messages.put(message)

    def close(self) -> None:
        """There will be no more."""
        self._messages.put(None)

    def received(self) -> Iterator[Message]:
        """Each message, until it is closed."""
        while (message := self._messages.get()) is not None:
            yield message
