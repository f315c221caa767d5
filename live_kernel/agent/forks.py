"""What becomes of a session when the program forks or exits.

Runs in the target: in the forking thread, there and in the child, and in the main
thread at the interpreter's exit. Rule: a child carries no live agent, and an exit is
never delayed. `os.register_at_fork` has no inverse, so that these hooks stay for
the life of the process; without a session they do nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
from _functools import partial  # type: ignore[import-not-found]  # `functools` loads more

from . import native
from .streams import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .ledger import Ledger
    from .session import Session

_watched: set[Session] = set()
_is_hooked = False

_MOST_ENDING = 4
"""Threads of which it is looked whether they are ours, and about to end; a fork is not to wait."""

in_child: list[Callable[[], object]] = []
"""What is to be done there besides, as modules that few sessions need have entered it here."""


def watch(session: Session, ledger: Ledger) -> None:
    """Keep this session out of forked children, and have it told of the exit."""
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        os.register_at_fork(before=_prepare, after_in_child=_forget_all)
    _watched.add(session)
    ledger.record("the fork hook's session", lambda: _watched.discard(session))
    ledger.record("a filter of warnings, for a fork", _warning.forget)
    atexit.register(session.exiting)
    ledger.record("an atexit callback", lambda: atexit.unregister(session.exiting))


class _Warning:
    """Keeps Python from warning of our threads when a program forks that has but one of its own.

    Python does so after the hooks have been run; so this stays among the filters of warnings
    until it has been asked about that one, as what a warning's text is to match.
    """

    def __init__(self) -> None:
        self._filters: list[Any] = []
        self._filter = ("ignore", self, DeprecationWarning, None, 0)

    def expect(self) -> None:
        """Be the first to be asked."""
        import _warnings  # part of the interpreter, and so is its list

        self.forget()
        self._filters = getattr(sys.modules.get("warnings"), "filters", _warnings.filters)
        self._filters.insert(0, self._filter)

    def match(self, text: str) -> bool:
        """Is it the warning in question?"""
        if not (text.startswith("This process (pid=") and "multi-threaded" in text):
            return False
        self.forget()
        return True

    def forget(self) -> None:
        """Be among the filters no more."""
        for index, each in enumerate(self._filters):
            if each is self._filter:
                del self._filters[index]
                return


_warning = _Warning()


def _prepare() -> None:
    """In the program, which is about to fork."""
    if not _watched:
        return
    try:
        if _has_one_thread():
            _warning.expect()
    except BaseException as error:
        del error  # it forks all the same


def _has_one_thread() -> bool:
    """Has the program one thread of its own, beside ours?

    One of ours that ends is no more in our list, but the system still has it, by its name.
    """
    # Each thread is a directory there.
    others = os.stat("/proc/self/task").st_nlink - 2 - len(native.ours)
    return others <= 1 or (others <= _MOST_ENDING and _named_otherwise() <= 1)


def _named_otherwise() -> int:
    """How many threads have no name of ours."""
    count = 0
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/comm", "rb") as file:
                count += not file.read().startswith(b"live-kernel")
        except FileNotFoundError:
            pass  # it has ended by now
    return count


def _forget_all() -> None:
    """In the child: close the parent's connections, give back the streams, forget the sessions."""
    native.ours.clear()
    sessions = list(_watched)
    _watched.clear()
    if sessions:
        steps: list[Callable[[], object]] = [session.forked for session in sessions]
        steps += [_warning.forget, split.forget]
        steps += [partial(atexit.unregister, session.exiting) for session in sessions]
        for step in steps + in_child:
            _attempt(step)


def _attempt(step: Callable[[], object]) -> None:
    """The child is the program's: nothing of ours may disturb it, nor keep the rest from it."""
    try:
        step()
    except BaseException as error:
        del error
