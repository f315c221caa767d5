"""What one cell has produced and the launcher has not yet got.

Runs in the target, written to by the cell's thread and by those that the cell
started, emptied by them and by the control thread. Rule: a short cell leaves
in one send; text waits at most `FLUSH_AFTER` in here while somebody writes,
and the launcher asks for the rest with `flush`.
"""

from __future__ import annotations

from time import monotonic

from .native import Lock

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


class Output:
    """The pending events of one cell.

    `deliver(events, done)` sends; it is called with the lock held, so that what
    was written first arrives first, and may block where the launcher is slow:
    that slows the cell, which is what is wanted.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._lock = Lock()
        self._events: list[Event] = []
        self._texts: list[str] = []
        self._stream = ""
        self._size = 0
        self._sent_at = monotonic()
        self.closed = False

    def write(self, stream: str, text: str) -> None:
        """Add text of `stdout` or `stderr`."""
        if not text:
            return
        with self._lock:
            if stream != self._stream:
                self._seal()
                self._stream = stream
            self._texts.append(text)
            self._size += len(text)
            if self._size > FLUSH_SIZE or monotonic() - self._sent_at > FLUSH_AFTER:
                self._send(None)

    def add(self, event: Event) -> None:
        """Add an event other than text."""
        with self._lock:
            self._seal()
            self._events.append(event)
            if monotonic() - self._sent_at > FLUSH_AFTER:
                self._send(None)

    def flush(self) -> None:
        """Send what there is."""
        with self._lock:
            self._send_pending()

    def flush_unless_busy(self) -> None:
        """Send what there is, unless somebody is sending, who may wait for a slow launcher."""
        if self._lock.acquire(False):
            try:
                self._send_pending()
            finally:
                self._lock.release()

    def _send_pending(self) -> None:
        if self._events or self._texts:
            self._send(None)

    def finish(self, done: dict[str, Any]) -> None:
        """Send what there is together with the cell's outcome; nothing is taken after that."""
        with self._lock:
            if not self.closed:
                self._send(done)
                self.closed = True

    def close(self) -> None:
        """Drop what there is and take nothing more."""
        self.closed = True

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
        if not self.closed:
            self._deliver(events, done)
        self._sent_at = monotonic()
