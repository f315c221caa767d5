"""Changes to the target that its sessions share.

Runs in the target, on threads of cells. What a change is, its owner knows. Rule: it
stands as long as there is a session that needs it, and the last one takes it back.
"""

from __future__ import annotations

from .native import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger


class Shared:
    """One such change. `undo` takes it back; no two threads make or undo it at once."""

    def __init__(self, what: str, undo: Callable[[], object]) -> None:
        self._what, self._undo = what, undo
        self._ledgers: set[Ledger] = set()
        self._lock = Lock()

    def is_needed_by(self, ledger: Ledger) -> bool:
        """Has this session said so? Asked before each cell, without the lock."""
        return ledger in self._ledgers

    def need(self, ledger: Ledger, make: Callable[[], object]) -> None:
        """This session needs the change, from here on until it ends: `make` it, or add to it."""
        with self._lock:
            if ledger not in self._ledgers:
                self._ledgers.add(ledger)
                ledger.record(self._what, lambda: self._leave(ledger))
            make()

    def _leave(self, ledger: Ledger) -> None:
        with self._lock:
            self._ledgers.discard(ledger)
            if not self._ledgers:
                self._undo()
