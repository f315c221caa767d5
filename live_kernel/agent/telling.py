"""What is told below a cell that has ended, of what the program does meanwhile.

Runs in the target: told on threads of the program, sent by a thread of ours which is there as
long as there is something to be sent. Rule: who tells something waits for nobody, and of
what comes too fast some is left out, which is said.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Cell

AT_ONCE = 100
"""Lines that may come in a row."""

A_SECOND = 20.0
"""Lines that may come for long."""

_PAUSE = 0.05
"""Seconds for which lines are gathered."""

_LEFT_OUT_EVERY = 1.0
"""Seconds after which it is said how many lines were left out."""


_LEFT_OUT = "… {:,} more, left out: too many a second\n"


class Telling:
    """The late output of one cell."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._lines: deque[tuple[str, str]] = deque()
        self._lock = native.RLock()
        self._is_sent = False
        self._may, self._since = float(AT_ONCE), monotonic()
        self._left_out = 0

    def may_tell(self) -> bool:
        """Is there room for one more line? If not, it is counted as left out."""
        now = monotonic()
        self._may = min(AT_ONCE, self._may + (now - self._since) * A_SECOND)
        self._since = now
        if self._may < 1:
            self._left_out += 1
            if not self._is_sent:
                self._send_soon()
            return False
        self._may -= 1
        return True

    def tell(self, text: str, stream: str = "stdout") -> None:
        """Show a line below the cell."""
        self._lines.append((stream, text + "\n"))
        if not self._is_sent:
            self._send_soon()

    def _send_soon(self) -> None:
        if not native.got(self._lock, waits=False):
            return  # another thread is at it
        try:
            if not self._is_sent:
                self._is_sent = True
                if not on_a_thread(self._send_loop):
                    self._is_sent = False
        finally:
            self._lock.release()

    def _send_loop(self) -> None:
        """On a thread of ours: send what there is, until there is no more."""
        said_at = monotonic()
        while True:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            if self._left_out and monotonic() - said_at > _LEFT_OUT_EVERY:
                lines.append(("stdout", _LEFT_OUT.format(self._left_out)))
                self._left_out, said_at = 0, monotonic()
            self._send(lines)
            if not lines and not self._left_out:
                self._is_sent = False
                if not self._lines:
                    return
                self._is_sent = True
            native.Signal().wait(_PAUSE)

    def _send(self, lines: list[tuple[str, str]]) -> None:
        output = self._cell.output
        for stream, text in lines:
            output.write(stream, text)
        if lines:
            output.flush()


def on_a_thread(function: Callable[[], object]) -> bool:
    """Have it called by a thread of ours, since it may have to wait. Returns whether one is had."""

    def call() -> None:
        try:
            function()
        except BaseException as error:
            del error  # nothing may reach the program's stderr; the launcher has gone, say

    try:
        native.start(call, name="live-kernel")
    except RuntimeError:
        return False
    return True
