"""Asking code of the program for an answer that may never come.

Runs in the target. `ask` is called on the thread `control`; the program's code
runs on a thread of its own, which ends with it.
Rule: whoever asks goes on after `PATIENCE` seconds. The code is left to come to
its end: stopped half-way, it might keep a lock of the program for ever. As long
as several have not come to theirs, nothing more is asked.
"""

from __future__ import annotations

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .ledger import Ledger

PATIENCE = 1.0
"""Seconds to wait for an answer."""

LATE_LIMIT = 3

_late: list[native.Signal] = []
"""Of each question that was not answered in time: set when it is."""


_in_peace: set[int] = set()
"""Threads that look for sessions which run no code: on their behalf, nothing is asked."""


def leave_in_peace(ledger: Ledger) -> None:
    """Ask nothing on behalf of the present thread, until its session ends."""
    thread = native.get_ident()
    _in_peace.add(thread)
    ledger.record("the thread that asks nothing", lambda: _in_peace.discard(thread))


def may_ask() -> bool:
    """May the present thread ask?"""
    return native.get_ident() not in _in_peace


def ask(function: Callable[[], Any]) -> Any:
    """What a function that runs code of the program returns; None if it fails or takes too long,
    or nothing may be asked here.
    """
    if not may_ask():
        return None
    _late[:] = [ended for ended in _late if not ended.is_set]
    if len(_late) >= LATE_LIMIT:
        return None
    answers: list[Any] = []
    ended = native.Signal()

    def answer() -> None:
        try:
            answers.append(function())
        except BaseException:  # whatever the program raises: it must not reach its stderr
            pass
        ended.set()

    native.start(answer, name="live-kernel")
    if not ended.wait(PATIENCE):
        _late.append(ended)
    return answers[0] if answers else None
