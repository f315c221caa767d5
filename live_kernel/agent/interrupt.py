"""Stopping a cell by an exception in the thread that runs it.

Runs in the target; the control thread interrupts, the cell's thread is
interrupted. Rule: an exception is sent only while the cell's code runs, never
into the agent's own half-done work and never into the program's.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]  # `functools` loads more

from .native import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class CellInterrupted(BaseException):
    """KeyboardInterrupt for a cell in the program's event loop.

    asyncio ends the whole loop for a KeyboardInterrupt that reaches it; this one
    would only be logged.
    """


class Interruption:
    """Whether, and where, one cell may be interrupted at the moment.

    As a context manager it shields the agent's own work inside the cell's
    thread: an interrupt that falls into it is raised when it ends.

    `thread` is the ident of the thread that runs the cell's code; `exception`
    the class that it gets.
    """

    def __init__(self) -> None:
        self.thread = get_ident()
        self.exception: type[BaseException] = KeyboardInterrupt
        self.requested = False
        self.send: Callable[[], object] | None = None
        """What sends a signal instead of an exception, where that goes: see `strike`."""
        self.is_on_its_way = False
        """A signal has been sent, and its handler has not run yet."""
        self._sent = self._raised = 0
        self._is_over = False
        self._depth = 1  # shielded until the cell's code begins
        self._waiting = False

    def __enter__(self) -> None:
        if get_ident() == self.thread:
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if get_ident() == self.thread:
            self._depth -= 1
            self._raise_if_waiting()

    def begin(self) -> None:
        """The cell's code begins: from here on it may be interrupted."""
        self._depth = 0
        self._raise_if_waiting()

    def end(self) -> None:
        """The cell's code has ended: nothing is sent from here on."""
        self._depth = 1

    def finish(self) -> None:
        """The cell is over: there is nothing to be interrupted any more."""
        self._depth, self._is_over = 1, True

    def _raise_if_waiting(self) -> None:
        if self._waiting and self._depth == 0:
            self._waiting = False
            self._sent += 1
            self._raised += 1
            raise self.exception

    def request(self) -> None:
        """Interrupt the cell, now or as soon as the shield is lifted.

        Raises Exception where the program does not let us have what that takes.
        """
        if self._is_over:
            return
        self.requested = True
        try:
            send = self.send or _sender(self.thread, self._counted())
        except Exception:
            self._waiting = True  # raised as soon as the cell calls something of ours
            if self._depth:
                return
            raise
        # Between the test and the call there is no point at which CPython hands
        # over the interpreter lock, so that the cell can't step behind its shield.
        if self._depth:
            self._waiting = True
        else:
            self._sent += 1
            self.is_on_its_way = self.send is not None
            send()

    def strike(self) -> None:
        """On the cell's thread, in the handler of the signal that was sent: raise the exception,
        now or as soon as the shield is lifted. (One that was sent again comes for nothing.)
        """
        if not self.is_on_its_way:
            return
        self.is_on_its_way = False
        if self._is_over:
            return
        if self._depth:
            self._waiting = True
        else:
            self._raised += 1
            raise self.exception

    def forget(self) -> None:
        """The interrupt was answered, and the cell goes on: it counts no longer."""
        self.requested = False

    @property
    def was_caught(self) -> bool:
        """Has the cell's code got each interrupt that was sent, and gone on nevertheless?"""
        return 0 < self._sent <= self._raised

    def _counted(self) -> type[BaseException]:
        """The exception's class, which notes that it was raised; by name and kind the same."""

        def note(_exception: object, *_: object) -> None:
            self._raised += 1

        kind = self.exception
        names = {"__init__": note, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        return type(kind.__name__, (kind,), names)


def _sender(thread: int, exception: type[BaseException]) -> Callable[[], object]:
    """What raises an exception in a thread, at its next bytecode boundary.

    It is C code all through: see `request`.
    """
    from . import capi

    function = capi.function("PyThreadState_SetAsyncExc")
    send: Callable[[], object] = partial(function, capi.Word(thread), capi.Object(exception))
    return send
