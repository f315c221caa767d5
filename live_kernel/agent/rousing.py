"""Making a thread of the program look up from what it waits in.

Runs in the target, on threads of ours. A call of the system that a signal interrupts
returns early; Python then looks for work that waits for this thread, does it, and goes on
waiting for the rest of the time (PEP 475). Rule: the signal is one that the program does
not use and that does nothing by itself, so that one which comes too late does no harm; its
handler is a function in C, and is there only for the moment.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`

from . import capi, dispositions, native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ledger import Ledger

UNHEEDED = (_signal.SIGURG, _signal.SIGWINCH)
"""Signals that do nothing where there is no handler (signal(7))."""


_LATER = 2
"""Attempts with the first of them alone. The program may have blocked it for that thread."""


class Rouser:
    """Rouses threads, as long as it is open; `ledger` has the handlers that it sets."""

    def __init__(self, ledger: Ledger) -> None:
        self._check = capi.Word(capi.address_of("PyErr_CheckSignals"))
        self._on_main_thread = capi.function("Py_AddPendingCall")
        self._mine: set[int] = set()
        self._attempts = 0
        self._is_closed = False
        self._entry = ledger.record("a signal handler that does nothing", self._give_back)

    def rouse(self, thread: int) -> None:
        """Have a thread look for what waits for it, if what it waits in can be interrupted."""
        if thread == native.main_ident():  # a wait for a lock looks for calls of that kind only
            self._on_main_thread(self._check, None)
        self._attempts += 1
        for number in UNHEEDED:
            if self._is_mine(number):
                try:
                    _signal.pthread_kill(thread, number)
                except (OSError, ValueError):
                    pass  # it has ended
                if self._attempts <= _LATER:
                    break

    def close(self) -> None:
        """Give the handlers back."""
        self._entry.undo()

    def _is_mine(self, number: int) -> bool:
        """See to it that the signal has our handler, unless somebody needs it."""
        if number in self._mine and not _is_harmless(number):
            self._mine.discard(number)
            _let_go(number)
        if number not in self._mine and not self._is_closed and _take(number):
            self._mine.add(number)
        return number in self._mine

    def _give_back(self) -> None:
        self._is_closed = True  # at a detach, while somebody still uses it
        while self._mine:
            _let_go(self._mine.pop())


_lock = native.SafeLock()
_taken: dict[int, tuple[int, bytes]] = {}
"""The signals that have our handler: for how many rousers, and what there was before."""


def programs_own(number: int) -> bytes:
    """The disposition of a signal, whether or not it has our handler at the moment."""
    with _lock:
        if number in _taken and _is_harmless(number):
            return _taken[number][1]
        return dispositions.read(number)


def _take(number: int) -> bool:
    """Set our handler for a signal, unless the program has one."""
    with _lock:
        present = dispositions.read(number)
        if number not in _taken:
            if not dispositions.is_free(present):
                return False
            dispositions.write(number, dispositions.harmless())
        elif not _is_harmless(number):
            return False
        count, before = _taken.get(number, (0, present))
        _taken[number] = count + 1, before
    return True


def _let_go(number: int) -> None:
    """Set what there was before, unless somebody has set another one meanwhile."""
    with _lock:
        count, before = _taken.pop(number)
        if count > 1:
            _taken[number] = count - 1, before
        elif _is_harmless(number):
            dispositions.write(number, before)


def _is_harmless(number: int) -> bool:
    present, harmless = dispositions.read(number), dispositions.harmless()
    return dispositions.handler(present) == dispositions.handler(harmless)
