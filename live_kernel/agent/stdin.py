"""Input for cells: the front-end is asked, never the program's own stdin.

Runs in the target: the cell's thread waits here, the control thread brings the
answer. Rule: an interrupt, a detach or a front-end that has gone ends the wait, and
on the program's main thread, where its event loop may run, nobody waits unless the
user has asked for a cell that holds it.
"""

from __future__ import annotations

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .cell import Cell


_UNSUPPORTED = "was called, but this frontend does not support input requests."
"""ipykernel's words for it, too: there are programs that know them."""


class StdinNotImplementedError(NotImplementedError):
    """This front-end can't be asked for input (ipykernel's name for it)."""

    __module__ = "builtins"  # the package's name in a target would only puzzle people


class _Question:
    """What one cell asks, and the answer."""

    def __init__(self) -> None:
        self.settled = native.Signal()
        self.value: str | None = None


class Input:
    """The questions that cells of this session wait for at present: one of each at most."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._open: dict[int, _Question] = {}

    def ask(self, cell: Cell, prompt: str, password: bool, is_code: bool) -> str:
        """Ask the front-end. Raises StdinNotImplementedError, or EOFError if nobody answers."""
        if not cell.allow_input:
            called = "getpass" if password else "raw_input"
            raise StdinNotImplementedError(f"{called} {_UNSUPPORTED}")
        if cell.output.closed:
            raise EOFError("input() works while its cell runs; this one has ended")
        if not cell.may_wait_here():
            raise RuntimeError(_HOLDS_UP)
        with cell.interruption:
            cell.output.flush()
            question = self._open[cell.number] = _Question()
            request: dict[str, Any] = {"op": "prompt", "cell": cell.number, "prompt": prompt}
            if not is_code:
                request |= {"op": "input", "password": password}
            if cell.may_ask:  # else it was told to end, and by now nobody would answer
                self._send(request)
                question.settled.wait()
            self._open.pop(cell.number, None)
        if question.value is None:
            raise EOFError("the front-end left without an answer")
        return question.value

    def reply(self, cell: int, value: str | None) -> None:
        """The answer to a cell is here (None: there will be none)."""
        question = self._open.get(cell)
        if question is not None:
            question.value = value
            question.settled.set()

    def cancel(self) -> None:
        """There will be no answers: the session ends."""
        for cell in list(self._open):
            self.reply(cell, None)


_HOLDS_UP = (
    "input() would hold up the program's event loop, in which a cell that awaits runs: ask in a "
    "cell without await, or by `await asyncio.to_thread(input)`"
)
