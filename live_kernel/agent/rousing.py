"""Making a thread of the program look up from what it waits in.

Runs in the target, on threads of ours. A call of the system that a signal interrupts
returns early; Python then looks for work that waits for this thread, does it, and goes on
waiting for the rest of the time (PEP 475). Rule: the signal is one that the program does
not use and that does nothing by itself, so that one which comes too late does no harm; its
handler is a function in C, and is there only for the moment.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`
import sys

from . import capi, native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .ledger import Entry, Ledger

_UNHEEDED = (_signal.SIGURG, _signal.SIGWINCH)
"""Signals that do nothing where there is no handler (signal(7))."""

_HANDLER_SIZE = 152
"""Bytes of a `struct sigaction` on 64-bit Linux: the handler, a mask of 128 bytes, flags."""


class Rouser:
    """Rouses threads, as long as it is open; `ledger` has the handler that it sets."""

    def __init__(self, ledger: Ledger) -> None:
        self._check = capi.Word(capi.address_of("PyErr_CheckSignals"))
        self._on_main_thread = capi.function("Py_AddPendingCall")
        self._set_handler = capi.function("sigaction")
        self._number = 0
        self._before: Any = None
        self._entry: Entry | None = None
        for number in _UNHEEDED:
            if self._take(number):
                self._entry = ledger.record("a signal handler that does nothing", self._give_back)
                break

    def look_up(self, thread: int) -> None:
        """Have a thread look for what waits for it as soon as it runs Python code."""
        if thread == native.main_ident():
            self._on_main_thread(self._check, None)

    def rouse(self, thread: int) -> None:
        """Have a thread look for what waits for it, if what it waits in can be interrupted."""
        self.look_up(thread)
        if self._number:
            try:
                _signal.pthread_kill(thread, self._number)
            except (OSError, ValueError):
                pass  # it has ended

    def close(self) -> None:
        """Give the handler back."""
        if self._entry is not None:
            self._entry.undo()

    def _take(self, number: int) -> bool:
        """Set our handler for a signal, unless the program has one."""
        nothing = capi.bytes_of(_HANDLER_SIZE)()
        before = capi.bytes_of(_HANDLER_SIZE)()
        if self._set_handler(capi.Word(number), None, capi.Word(capi.address(before))):
            return False
        if int.from_bytes(bytes(before)[:8], sys.byteorder) > 1:  # neither SIG_DFL nor SIG_IGN
            return False
        nothing[:8] = _harmless()
        self._set_handler(capi.Word(number), capi.Word(capi.address(nothing)), None)
        self._number, self._before = number, before
        return True

    def _give_back(self) -> None:
        present = capi.bytes_of(_HANDLER_SIZE)()
        self._set_handler(capi.Word(self._number), None, capi.Word(capi.address(present)))
        if bytes(present)[:8] != _harmless():
            return  # somebody has set another one meanwhile
        self._set_handler(capi.Word(self._number), capi.Word(capi.address(self._before)), None)
        self._number = 0


def _harmless() -> bytes:
    """The address of a function that takes an int, and does nothing."""
    return capi.address_of("abs").to_bytes(8, sys.byteorder)
