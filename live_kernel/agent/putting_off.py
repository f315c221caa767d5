"""Signals that reach the program while its main thread runs a cell.

Runs in the target, on the main thread. Python calls the program's handlers there, in the
middle of the cell: what they raise, such as the KeyboardInterrupt of Ctrl-C, would end the
cell and never reach the program. Rule: who has sent a signal means the program; it gets
each as soon as its thread is its own again, and where it is asked to end, the cell ends first.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`

from . import dispositions, forks, native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from .ledger import Entry, Ledger

_ASKS_TO_END = {getattr(_signal, name): name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")}

_DOES_NOTHING = "_sighandler_noop"
"""The name of asyncio's function that does nothing."""

_arrived: list[int] = []
"""The signals that the program has yet to be sent, each once, in their order."""

forks.in_child.append(_arrived.clear)  # they were the parent's


class PutOff:
    """As a context manager, on the main thread: puts off what the program handles in Python.

    `on_end(name)` is called there when the program is asked to end.
    """

    def __init__(self, ledger: Ledger, on_end: Callable[[str], object]) -> None:
        self._ledger, self._on_end = ledger, on_end
        self._handlers: dict[int, tuple[Any, Any, bytes]] = {}
        self._entry: Entry | None = None

    def __enter__(self) -> Self:
        try:
            self._entry = self._ledger.record("signal handlers, for a cell", self._give_back)
            for number in _signal.valid_signals():
                self._replace(number, _signal.getsignal(number))
        except BaseException:  # one that has come just now, handled by the program
            self.__exit__()
            raise
        return self

    def _replace(self, number: int, handler: Any) -> None:
        ours = self._instead_of(handler, number) if callable(handler) else None
        if ours is not None:
            self._handlers[number] = handler, ours, dispositions.read(number)
            _signal.signal(number, ours)

    def _instead_of(self, handler: Any, number: int) -> Any:
        """What is to be called, or None for the handler itself."""
        if not _only_wakes(handler):
            return self._put_off
        if number not in _ASKS_TO_END:
            return None

        def passed_on(number: int, frame: object) -> None:
            handler(number, frame)
            self._on_end(_ASKS_TO_END[number])

        passed_on.__name__ = _DOES_NOTHING  # for whoever puts off what is put off already
        return passed_on

    def _put_off(self, number: int, _frame: object) -> None:
        if number not in _arrived:
            _arrived.append(number)
        if number in _ASKS_TO_END:
            self._on_end(_ASKS_TO_END[number])

    def __exit__(self, *_: object) -> None:
        try:
            self._give_back()  # the entry may be spent: at a detach another thread has undone it
        finally:
            if self._entry is not None:
                self._entry.undo()

    def _give_back(self) -> None:
        """(Only the main thread may. At a detach meanwhile the block gives them back.)

        With them what only the system knows, such as whether it restarts a call.
        """
        if not native.on_main_thread():
            return
        error: BaseException | None = None
        while self._handlers:
            try:
                self._restore_all()
            except BaseException as raised:  # by a handler that is the program's again
                error = raised
        if error is not None:
            raise error

    def _restore_all(self) -> None:
        for number, (handler, ours, disposition) in list(self._handlers.items()):
            if _signal.getsignal(number) == ours:
                _signal.signal(number, handler)
                dispositions.write(number, disposition)
            self._handlers.pop(number, None)


def has_any() -> bool:
    """Has anything come that is to be handed on?"""
    return bool(_arrived)


def hand_on() -> None:
    """On another thread, once the main one is the program's: send on what has come, each once."""
    while _arrived:
        _signal.pthread_kill(native.main_ident(), _arrived.pop(0))


def _only_wakes(handler: Any) -> bool:
    """Is this an event loop's own, which does nothing, or notes the number for the loop?

    The system has written to a descriptor by then, at which the loop wakes: it calls what the
    program wants called. asyncio's is a function of this name, uvloop's a method of the loop.
    """
    if getattr(handler, "__name__", "") == _DOES_NOTHING:
        return True
    return hasattr(type(getattr(handler, "__self__", None)), "call_soon_threadsafe")
