"""Input for cells: the front-end is asked, never the program's own stdin.

Runs in the target: the cell's thread waits here, the control thread brings the
answer. Rule: an interrupt, a detach or a front-end that has gone ends the wait.
"""

from __future__ import annotations

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .cells import Cell


class StdinNotImplementedError(NotImplementedError):
    """This front-end can't be asked for input (ipykernel's name for it)."""

    __module__ = "builtins"  # the package's name in a target would only puzzle people


class Input:
    """The question that a cell of this session waits for at present, if any."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._waiting: native.Signal | None = None
        self._value: str | None = None

    def ask(self, cell: Cell, prompt: str, password: bool) -> str:
        """Ask the front-end. Raises StdinNotImplementedError, or EOFError if nobody answers."""
        if not cell.allow_input:
            raise StdinNotImplementedError("input() was called, but this front-end can't be asked")
        with cell.interruption:
            cell.output.flush()
            self._waiting, self._value = native.Signal(), None
            request = {"op": "input", "cell": cell.number, "prompt": prompt, "password": password}
            self._send(request)
            self._waiting.wait()
            self._waiting = None
        return self._answer()

    def _answer(self) -> str:
        if self._value is None:
            raise EOFError("the front-end left without an answer")
        return self._value

    def reply(self, value: str | None) -> None:
        """The answer is here (None: there will be none)."""
        self._value = value
        self.cancel()

    def cancel(self) -> None:
        """There will be no answer: the cell was interrupted, or the session ends."""
        waiting = self._waiting
        if waiting is not None:
            waiting.set()
