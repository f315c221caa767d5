"""What one cell has produced and the launcher has not yet got.

Runs in the target, written to by the cell's thread and by those that the cell
started, emptied by them and by the control thread. Rule: a short cell leaves
in one send; text waits at most `FLUSH_AFTER` in here while somebody writes,
and the launcher asks for the rest with `flush`. What comes after the cell's
end, from what it has left running, is sent the same way.

Garbage may be collected at any point in here, and with it run a `__del__` of the
program's that prints, on the same thread: it must neither wait for itself nor
come between. So whoever has the lock does what others left for it, in turn.

On the program's main thread nobody waits: a cell that awaits writes from the program's
event loop. What would have to be sent from there is left to a thread of ours.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from ..link.limits import enough_for, written
from . import native
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
"""Characters and bytes that are sent on at once, however young."""

PIECE = 1 << 17
"""Characters of text that are packed at once: other threads wait for it, and front-ends keep a
thousand messages before they say that they don't come along."""

_EVENT = 100
"""Characters that an event takes beside its data."""

MOST_LEFT = 1 << 22
"""Characters and bytes that the main thread may leave unsent; what it writes beyond is dropped."""

_UNSENDABLE = (TypeError, ValueError, MemoryError, RecursionError)
"""What `deliver` raises for what can't be sent, whoever listens."""


class Output:
    """The pending events of one cell.

    `deliver(events, done)` sends; it is called with the lock held, so that what
    was written first arrives first, and may block where the launcher is slow:
    that slows the cell, which is what is wanted. `longest`: characters of one
    write, 0 for any number.
    """

    def __init__(self, deliver: Deliver, longest: int = 0) -> None:
        self._deliver = deliver
        self._longest = longest
        self._small = min(longest or FLUSH_SIZE, FLUSH_SIZE)
        self._lock = RLock()
        self._is_taken = False
        self._to_do: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._events: list[Event] = []
        self._texts: list[tuple[str, str]] = []
        self._size = 0
        self._sent_at = monotonic()
        self._left = self._left_gathered = self._left_sent = self._lost = 0
        self._is_carried = self._must_wait_for_nobody = False
        self.may_wait_on_main = False
        """The user has asked for a cell that holds the program's main thread."""
        self.closed = False
        """The cell's outcome is sent; what is written now comes late."""
        self.dropped = False
        """Nobody is there any more to whom it could be sent: what is written is lost."""

    def gather(self, stream: str, text: str) -> bool:
        """Take text that can wait for more to come, while the cell runs. Returns whether it was
        taken; else it is for `write`.

        One `print` comes here four times, and cells print much. So there is neither lock nor
        shield: one step of C takes it, and what an interrupt leaves undone is nobody's loss.
        """
        size = len(text)
        if not 0 < size <= self._small or self._size + size > FLUSH_SIZE:
            return False
        if text[-1] == "\n" and monotonic() - self._sent_at > FLUSH_AFTER:
            return False
        if native.get_ident() == native.main_ident():
            return False
        self._texts.append((stream, text))
        self._size += size
        if self.closed:  # by another thread, meanwhile
            self.flush()
        return True

    def write(self, stream: str, text: str) -> None:
        """Add text of `stdout` or `stderr`, and send what there is where that is due."""
        if self._longest and len(text) > self._longest:
            text = text[: self._longest] + _truncated(len(text), self._longest)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            self._act(len(piece), self._write, stream, piece)

    def add(self, event: Event) -> None:
        """Add an event other than text."""
        self._act(_size(event), self._add, event)

    def flush(self) -> None:
        """Send what there is."""
        self._act(0, self._flush)

    def _act(self, size: int, action: Callable[..., None], *arguments: Any) -> None:
        """Do something with the lock held; on the program's main thread, without waiting."""
        if native.on_main_thread() and not self.may_wait_on_main:
            self._leave(size, action, *arguments)
        else:
            with self._lock:
                self._do(action, *arguments)

    def _leave(self, size: int, action: Callable[..., None], *arguments: Any) -> None:
        room = _EVENT + size
        if self._left - self._left_sent + room > MOST_LEFT:
            self._lost += size
            return
        self._left += room
        if not native.got(self._lock, waits=False):
            # Whoever has the lock does it.
            self._to_do.append((self._gather, (room, action, arguments)))
            return
        around, self._must_wait_for_nobody = self._must_wait_for_nobody, True
        try:
            self._do(self._gather, room, action, arguments)
        finally:
            self._must_wait_for_nobody = around
            self._lock.release()

    def _gather(self, room: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Do what the main thread has left, which is now among what is sent next."""
        self._left_gathered += room
        action(*arguments)

    def _carry(self) -> None:
        """Have a thread that may wait send what there is, unless one is at it."""
        if not self._is_carried:
            self._is_carried = True
            try:
                native.start(self._carry_away, name="live-kernel")
            except RuntimeError:  # no thread is to be had: the launcher asks for it, too
                self._is_carried = False

    def _carry_away(self) -> None:
        self.flush()
        self._is_carried = False

    def flush_unless_busy(self) -> bool:
        """Send what there is, unless somebody is sending, who may wait for a slow launcher.
        Returns whether nobody is.
        """
        if not self._lock.acquire(False):
            return False
        try:
            self._do(self._flush)
        finally:
            self._lock.release()
        return True

    @property
    def holds_back(self) -> bool:
        """Does what is written now wait to be asked for?"""
        return not self._is_due()

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
                action, arguments = self._to_do.popleft()
                action(*arguments)
        finally:
            self._is_taken = False

    def _write(self, stream: str, text: str) -> None:
        self._texts.append((stream, text))
        self._size += len(text)
        # `print` writes the end of its line by itself, and that had better come along: the
        # launcher asks for an unfinished line while the cell runs; later nobody does.
        is_whole = self.closed or text[-1] == "\n"
        if self._size > FLUSH_SIZE or (is_whole and self._is_due()):
            self._send(None)

    def _is_due(self) -> bool:
        return monotonic() - self._sent_at > FLUSH_AFTER

    def _add(self, event: Event) -> None:
        self._seal()
        self._events.append(event)
        self._size += _EVENT + _size(event)
        if self._size > FLUSH_SIZE or self._is_due():
            self._send(None)

    def _flush(self) -> None:
        if self._events or self._texts:
            self._send(None)

    def _finish(self, done: dict[str, Any]) -> None:
        if not self.closed:
            self._send(done)
            self.closed = True
            self._sent_at = -FLUSH_AFTER  # nobody asks for the first that comes late
            self._flush()  # what other threads have gathered while the outcome was sent

    def _seal(self) -> None:
        """Turn the text gathered so far into events, one for each run of the same stream."""
        count = len(self._texts)  # others may go on gathering, behind these
        gathered = self._texts[:count]
        del self._texts[:count]
        stream = ""
        texts: list[str] = []
        for name, text in gathered:
            if name != stream:
                self._add_text(stream, texts)
                stream, texts = name, []
            texts.append(text)
        self._add_text(stream, texts)

    def _add_text(self, stream: str, texts: list[str]) -> None:
        if texts:
            self._events.append({"event": "stream", "name": stream, "text": "".join(texts)})

    def _send(self, done: dict[str, Any] | None) -> None:
        if self._must_wait_for_nobody:
            self._carry()
            return
        self._seal()
        self._size = 0
        gathered, self._left_gathered = self._left_gathered, 0
        if self._lost:
            self._events.append(_stderr(_LOST.format(self._lost)))
            self._lost = 0
        events, self._events = self._events, []
        if not self.dropped:
            try:
                self._deliver(events, done)
            except _UNSENDABLE as error:
                self._send_instead(error, done)
            except OSError:
                self.close()  # the launcher is gone, and the session ends
        self._left_sent += gathered
        self._sent_at = monotonic()

    def _send_instead(self, error: Exception, done: dict[str, Any] | None) -> None:
        """Say that there was something; and a cell ends even if its outcome can't be sent."""
        text = f"Some output could not be sent to the front-end: {error}"
        events = [_stderr(text)]
        try:
            self._deliver(events, done)
        except _UNSENDABLE as failure:
            name, text = type(failure).__name__, f"the outcome could not be sent: {failure}"
            as_message = {"ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}
            self._deliver([], {"status": "error", "error": as_message})


_LOST = (
    "{:,} characters of output are missing here: the front-end took none in, and the program's "
    "main thread waits for no front-end."
)


def _stderr(line: str) -> Event:
    return {"event": "stream", "name": "stderr", "text": line + "\n"}


def _size(event: Event) -> int:
    """About how much there is to be sent, in characters and bytes."""
    return sum(len(value) for value in event.get("data", {}).values() if hasattr(value, "__len__"))


def _truncated(length: int, longest: int) -> str:
    return (
        f"\n… truncated after {longest:,} of {length:,} characters that were written at once; "
        f"%limits print {written(enough_for(length))} shows them all\n"
    )
