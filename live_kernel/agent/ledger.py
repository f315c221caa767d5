"""The ledger: every change made to the target, with its inverse.

Runs in the target, in whichever thread makes the change. Rule: an inverse is
recorded at the moment of the change, runs at most once, in reverse order, and
one that fails does not keep the others from running.
"""

from __future__ import annotations

from .native import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Inverse = Callable[[], object]


class Entry:
    """One change. `undo` takes it back early; closing the ledger does the same."""

    __slots__ = ("_inverse", "_ledger", "what")

    def __init__(self, ledger: Ledger, what: str, inverse: Inverse) -> None:
        self._ledger = ledger
        self._inverse: Inverse | None = inverse
        self.what = what

    def undo(self) -> None:
        """Take the change back, unless that has been done."""
        inverse, self._inverse = self._inverse, None
        self._ledger.strike(self)
        if inverse is not None:
            inverse()


class Ledger:
    """The changes of one session that stand at present, oldest first."""

    def __init__(self) -> None:
        self._entries: dict[Entry, None] = {}  # in the order of the changes
        self.failures: list[str] = []
        """What could not be undone, and why."""
        self._lock = Lock()

    def record(self, what: str, inverse: Inverse) -> Entry:
        """Enter a change that has just been made (or is about to be: `inverse` must bear that)."""
        entry = Entry(self, what, inverse)
        with self._lock:
            self._entries[entry] = None
        return entry

    def strike(self, entry: Entry) -> None:
        """Forget a change that has been undone."""
        with self._lock:
            self._entries.pop(entry, None)

    def standing(self) -> list[str]:
        """What is changed at present, in words."""
        with self._lock:
            return [entry.what for entry in self._entries]

    def close(self) -> None:
        """Undo everything, newest first."""
        while True:
            with self._lock:
                if not self._entries:
                    return
                entry, _ = self._entries.popitem()
            try:
                entry.undo()
            except BaseException as error:
                self.failures.append(f"{entry.what}: {type(error).__name__}: {error}")
