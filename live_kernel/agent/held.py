"""Cells on a thread of the program, which each of them holds while it runs.

Runs in the target: on the cells' thread, which waits meanwhile, and on the thread that is
held. For what belongs to one thread: a GUI, a handle of sqlite, a thread-local. Rule:
the thread is held by what the user asked for, for no longer than he allows, and goes on as
if it had only been slow.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`
from math import inf
from time import monotonic

from . import attendance, dispositions, native, threads
from .actions import Refused
from .rousing import programs_own
from .slots import SlotsUnknown
from .visits import ThreadGone, Visit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Cell

_TOLD_AFTER = 1.0
"""Seconds of waiting for the thread after which the user is told of it."""

_INSISTING, _INSISTS_AFTER = 50, 0.1
"""How often, and after how many seconds each time, a signal is sent again."""

_LEFT_WITHIN = 1.0
"""Seconds within which the thread is the program's again when the cell has ended there."""

_INTERRUPTS = (_signal.SIGURG, _signal.SIGWINCH)
"""Signals by which a cell on the main thread may be interrupted: never SIGINT, the program's."""


class ThreadRun:
    """A piece of a cell's code on one thread, given by its Python ident.

    `at_most`: seconds for which it may hold the thread; then it is interrupted. None: for
    any time.
    """

    def __init__(self, cell: Cell, thread: int, at_most: float | None = None) -> None:
        self._cell, self._thread, self._at_most = cell, thread, at_most
        self._visit: Visit | None = None

    def run(self, code: Callable[[], object]) -> None:
        """Run it to its end. Raises what it raised; Refused, where there is no such thread."""
        visit = self._visit = Visit(
            self._thread, lambda: self._hold(code), self._cell.ledger, self._asked_to_end
        )
        try:
            visit.begin()
        except (ThreadGone, SlotsUnknown) as error:
            raise Refused("ThreadUnreachable", f"The cell can't run there: {error}.") from None
        if not visit.arrived.wait(_TOLD_AFTER) and not visit.ended.is_set:
            self._tell(_WAITS.format(self._name()))
            visit.ended_or_arrived()
        if self._at_most is not None and not self._is_left_within(self._at_most):
            self._tell(_TOO_LONG.format(self._name(), self._at_most))
            self.interrupt()
        self._is_left_within(inf)
        self._cell.may_hold.discard(self._thread)
        visit.see_off(_LEFT_WITHIN)
        if visit.error is not None:
            raise visit.error

    def _is_left_within(self, seconds: float) -> bool:
        """Wait for the end of it there, as long as somebody is there to whom it matters."""
        visit, shell, until = self._visit, self._cell.shell, monotonic() + seconds
        assert visit is not None
        while not visit.ended.wait(max(0.0, min(until - monotonic(), attendance.LOOK_EVERY))):
            if monotonic() >= until:
                return False
            if shell is not None:
                shell.look_out()
        return True

    def _hold(self, code: Callable[[], object]) -> None:
        """On the thread that is held."""
        interruption, output = self._cell.interruption, self._cell.output
        interruption.thread = self._thread
        self._cell.may_hold.add(self._thread)
        if not native.on_main_thread():
            code()
            return
        output.may_wait_on_main = True
        try:
            with _Interrupts(self._cell):
                code()
        finally:
            output.may_wait_on_main = False

    def interrupt(self) -> None:
        """Stop the cell: before it has begun, or where it stands."""
        if self._visit is not None and self._visit.cancel():
            self._visit.error = KeyboardInterrupt()
            self._cell.interruption.requested = True
        else:
            self._cell.interruption.request()
            native.start(self._insist, name="live-kernel")

    def _insist(self) -> None:
        """On a thread of ours: send the signal again until it is heard.

        One that comes just before the thread begins to wait does not end that wait.
        """
        interruption = self._cell.interruption
        for _ in range(_INSISTING):
            native.Signal().wait(_INSISTS_AFTER)
            send = interruption.send
            if send is None or not interruption.is_on_its_way:
                return
            send()

    def give_up(self) -> None:
        """Wait no longer; what runs on the thread runs on."""
        if self._visit is not None:
            self._visit.cancel()
            self._visit.ended.set()

    def _asked_to_end(self, signal: str) -> None:
        self._tell(_ENDING.format(signal))
        self._cell.interruption.request()

    def _tell(self, text: str) -> None:
        with self._cell.interruption:
            self._cell.output.write("stderr", text + "\n")
            self._cell.output.flush()

    def _name(self) -> str:
        return "the main thread" if self._thread == native.main_ident() else "that thread"


_WAITS = (
    "Waiting for {}: it runs no Python code at the moment. The cell runs as soon as it does; "
    "interrupt gives it up."
)
_TOO_LONG = "The cell has held {} for {:g} s: it is interrupted, as was asked for."
_ENDING = "The program was sent {}: the cell is interrupted, then the program gets it."


class _Interrupts:
    """On the main thread, while a cell runs there: how it is interrupted, also where it waits."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._number = 0

    def __enter__(self) -> None:
        free = (_signal.SIG_DFL, _signal.SIG_IGN)
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        for number in _INTERRUPTS:
            self._before = _signal.getsignal(number)
            if self._before in free and number not in blocked:
                self._number, self._disposition = number, programs_own(number)
                self._entry = self._cell.ledger.record("a signal handler, for a cell", self._leave)
                _signal.signal(number, self._on_signal)
                self._cell.interruption.send = self._send
                break

    def _send(self) -> None:
        _signal.pthread_kill(native.main_ident(), self._number)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._cell.interruption.strike()

    def __exit__(self, *_: object) -> None:
        if self._number:
            self._cell.interruption.send = None
            self._leave()  # the entry may be spent: at a detach another thread has undone it
            self._entry.undo()

    def _leave(self) -> None:
        if native.on_main_thread() and _signal.getsignal(self._number) == self._on_signal:
            _signal.signal(self._number, self._before)
            dispositions.write(self._number, self._disposition)


def thread_meant(kind: str, text: str, bound: int) -> int:
    """The Python ident of the thread on which a cell is to run; `bound`: where its names are.

    Raises Refused.
    """
    if kind == "main":
        return native.main_ident()
    return thread_named(text) if text else bound or native.main_ident()


def thread_named(text: str) -> int:
    """The Python ident of the thread that is meant: by that, its native id or its name.

    Raises Refused.
    """
    if text == "main":
        return native.main_ident()
    found = threads.named(text)
    if len(found) == 1:
        return found[0].ident
    what = "No thread is" if not found else f"{len(found)} threads are"
    raise Refused("ThreadUnknown", f"{what} called {text!r}.", "%threads shows which there are.")
