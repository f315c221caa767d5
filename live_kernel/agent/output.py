"""What one cell has produced and the launcher has not yet got.

Runs in the target, written to by the cell's thread and by those that the cell
started, emptied by them and by the control thread. Rule: a short cell leaves
in one send; text waits at most `FLUSH_AFTER` in here while somebody writes,
and the launcher asks for the rest with `flush`. What comes after the cell's
end, from what it has left running, is sent the same way.

Garbage may be collected at any point in here, and with it run a `__del__` of the
program's that prints, on the same thread: it must neither wait for itself nor
come between. So whoever has the lock does what others left for it, in turn.
"""

from __future__ import annotations

from time import monotonic

from .native import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]
    Deliver = Callable[[list[Event], dict[str, Any] | None], None]

FLUSH_AFTER = 0.05
"""Seconds for which output may be gathered before a write sends it on."""

FLUSH_SIZE = 1 << 16
"""Characters of text that are sent on at once, however young."""


_UNSENDABLE = (TypeError, ValueError, MemoryError, RecursionError)
"""What `deliver` raises for what can't be sent, whoever listens."""


class Output:
    """The pending events of one cell.

    `deliver(events, done)` sends; it is called with the lock held, so that what
    was written first arrives first, and may block where the launcher is slow:
    that slows the cell, which is what is wanted.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._lock = RLock()
        self._is_taken = False
        self._to_do: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._events: list[Event] = []
        self._texts: list[str] = []
        self._stream = ""
        self._size = 0
        self._sent_at = monotonic()
        self.closed = False
        """The cell's outcome is sent; what is written now comes late."""
        self.dropped = False
        """Nobody is there any more to whom it could be sent: what is written is lost."""

    def write(self, stream: str, text: str) -> None:
        """Add text of `stdout` or `stderr`."""
        if text:
            with self._lock:
                self._do(self._write, stream, text)

    def add(self, event: Event) -> None:
        """Add an event other than text."""
        with self._lock:
            self._do(self._add, event)

    def flush(self) -> None:
        """Send what there is."""
        with self._lock:
            self._do(self._flush)

    def flush_unless_busy(self) -> None:
        """Send what there is, unless somebody is sending, who may wait for a slow launcher."""
        if self._lock.acquire(False):
            try:
                self._do(self._flush)
            finally:
                self._lock.release()

    def finish(self, done: dict[str, Any]) -> None:
        """Send what there is together with the cell's outcome."""
        with self._lock:
            self._do(self._finish, done)

    def close(self) -> None:
        """Drop what there is and what comes, where nobody is there to take it."""
        self.closed = self.dropped = True

    def _do(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do it now; but if we are within another action, when that is done."""
        self._to_do.append((action, arguments))
        if self._is_taken:
            return
        self._is_taken = True
        try:
            while self._to_do:
                action, arguments = self._to_do.pop(0)
                action(*arguments)
        finally:
            self._is_taken = False

    def _write(self, stream: str, text: str) -> None:
        if stream != self._stream:
            self._seal()
            self._stream = stream
        self._texts.append(text)
        self._size += len(text)
        if self._size > FLUSH_SIZE or monotonic() - self._sent_at > FLUSH_AFTER:
            self._send(None)

    def _add(self, event: Event) -> None:
        self._seal()
        self._events.append(event)
        if monotonic() - self._sent_at > FLUSH_AFTER:
            self._send(None)

    def _flush(self) -> None:
        if self._events or self._texts:
            self._send(None)

    def _finish(self, done: dict[str, Any]) -> None:
        if not self.closed:
            self._send(done)
            self.closed = True
            self._sent_at = -FLUSH_AFTER  # nobody asks for the first that comes late

    def _seal(self) -> None:
        """Turn the text gathered so far into an event."""
        if self._texts:
            text = "".join(self._texts)
            self._events.append({"event": "stream", "name": self._stream, "text": text})
            self._texts.clear()
            self._size = 0

    def _send(self, done: dict[str, Any] | None) -> None:
        self._seal()
        events, self._events = self._events, []
        if not self.dropped:
            try:
                self._deliver(events, done)
            except _UNSENDABLE as error:
                self._send_instead(error, done)
            except OSError:
                self.close()  # the launcher is gone, and the session ends
        self._sent_at = monotonic()

    def _send_instead(self, error: Exception, done: dict[str, Any] | None) -> None:
        """Say that there was something; and a cell ends even if its outcome can't be sent."""
        text = f"Some output could not be sent to the front-end: {error}"
        events = [{"event": "stream", "name": "stderr", "text": text + "\n"}]
        try:
            self._deliver(events, done)
        except _UNSENDABLE as failure:
            name, text = type(failure).__name__, f"the outcome could not be sent: {failure}"
            as_message = {"ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}
            self._deliver([], {"status": "error", "error": as_message})
