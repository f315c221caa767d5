"""What becomes of a session when the program forks or exits.

Runs in the target: in the forking thread of the child, and in the main thread
at the interpreter's exit. Rule: a child carries no live agent, and an exit is
never delayed. `os.register_at_fork` has no inverse, so that one hook stays for
the life of the process; without a session it does nothing.
"""

from __future__ import annotations

import atexit
import os

from .streams import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger
    from .session import Session

_watched: set[Session] = set()
_is_hooked = False

in_child: list[Callable[[], object]] = []
"""What is to be done there besides, as modules that few sessions need have entered it here."""


def watch(session: Session, ledger: Ledger) -> None:
    """Keep this session out of forked children, and have it told of the exit."""
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        os.register_at_fork(after_in_child=_forget_all)
    _watched.add(session)
    ledger.record("the fork hook's session", lambda: _watched.discard(session))
    atexit.register(session.exiting)
    ledger.record("an atexit callback", lambda: atexit.unregister(session.exiting))


def _forget_all() -> None:
    """In the child: close the parent's connections, give back the streams, forget the sessions."""
    if not _watched:
        return
    try:
        split.forget()
        for session in list(_watched):
            session.forked()
            atexit.unregister(session.exiting)
        _watched.clear()
        for forget in in_child:
            forget()
    except BaseException as error:
        del error  # the child is the program's; nothing of ours may disturb it
