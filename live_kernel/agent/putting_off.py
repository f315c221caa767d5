"""Signals that reach the program while its main thread runs a cell.

Runs in the target, on the main thread. Python calls the program's handlers there, in the
middle of the cell: what they raise, such as the KeyboardInterrupt of Ctrl-C, would end the
cell and never reach the program. Rule: who has sent a signal means the program; it gets
each as soon as its thread is its own again, and where it is asked to end, the cell ends first.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .ledger import Ledger

_ASKS_TO_END = {getattr(_signal, name): name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")}


class PutOff:
    """As a context manager, on the main thread: puts off what the program handles in Python.

    `on_end(name)` is called there when the program is asked to end.
    """

    def __init__(self, ledger: Ledger, on_end: Callable[[str], object]) -> None:
        self._ledger, self._on_end = ledger, on_end
        self._handlers: dict[int, tuple[Any, Any]] = {}
        self._arrived: list[int] = []

    @property
    def has_any(self) -> bool:
        """Has anything come?"""
        return bool(self._arrived)

    def __enter__(self) -> None:
        self._entry = self._ledger.record("signal handlers, for a cell", self._give_back)
        for number in _signal.valid_signals():
            handler = _signal.getsignal(number)
            if callable(handler) and not _only_wakes(handler):
                self._handlers[number] = handler, self._put_off
                _signal.signal(number, self._put_off)

    def _put_off(self, number: int, _frame: object) -> None:
        if number not in self._arrived:
            self._arrived.append(number)
        if number in _ASKS_TO_END:
            self._on_end(_ASKS_TO_END[number])

    def __exit__(self, *_: object) -> None:
        self._give_back()  # the entry may be spent: at a detach another thread has undone it
        self._entry.undo()

    def _give_back(self) -> None:
        """(Only the main thread may. At a detach meanwhile the block gives them back.)"""
        if native.on_main_thread():
            for number, (handler, ours) in self._handlers.items():
                if _signal.getsignal(number) == ours:
                    _signal.signal(number, handler)

    def hand_on(self) -> None:
        """On another thread, once the main one is the program's: send on what has come."""
        for number in self._arrived:
            _signal.pthread_kill(native.main_ident(), number)


def _only_wakes(handler: Any) -> bool:
    """Is this asyncio's or uvloop's, which does nothing, since a descriptor wakes the loop?"""
    return getattr(handler, "__name__", "") in ("_sighandler_noop", "__signal_handler_noop")
