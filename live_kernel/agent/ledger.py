"""The ledger: every change made to the target, with its inverse.

Runs in the target, in whichever thread makes the change. Rule: an inverse is
recorded at the moment of the change, runs at most once, in reverse order, and
one that fails does not keep the others from running. There is no lock: on the
program's main thread its signal handlers may raise anywhere, also where a lock
has just been got. Each step is one operation of a dict, which is done or is not.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Inverse = Callable[[], object]


class Entry:
    """One change. `undo` takes it back early; closing the ledger does the same."""

    __slots__ = ("_ledger", "what")

    def __init__(self, ledger: Ledger, what: str) -> None:
        self._ledger = ledger
        self.what = what

    def undo(self) -> None:
        """Take the change back, unless that has been done."""
        inverse = self._ledger.strike(self)
        if inverse is not None:
            inverse()


class Ledger:
    """The changes of one session that stand at present, oldest first."""

    def __init__(self) -> None:
        self._entries: dict[Entry, Inverse] = {}  # in the order of the changes
        self.failures: list[str] = []
        """What could not be undone, and why."""

    def record(self, what: str, inverse: Inverse) -> Entry:
        """Enter a change that has just been made (or is about to be: `inverse` must bear that)."""
        entry = Entry(self, what)
        self._entries[entry] = inverse
        return entry

    def strike(self, entry: Entry) -> Inverse | None:
        """Forget a change that has been undone, or is undone by who gets its inverse here.

        None: somebody has got it before.
        """
        return self._entries.pop(entry, None)

    def standing(self) -> list[str]:
        """What is changed at present, in words."""
        return [entry.what for entry in list(self._entries)]

    def close(self) -> None:
        """Undo everything, newest first."""
        while self._entries:
            try:
                entry, inverse = self._entries.popitem()
            except KeyError:
                return  # somebody has just taken the last one back
            try:
                inverse()
            except BaseException as error:
                self.failures.append(f"{entry.what}: {type(error).__name__}: {error}")
