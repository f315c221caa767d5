"""What goes on in a session beside its cells, of one kind: numbered, listed, ended.

Runs in the target, on cells' threads. Rule: what has begun is in its list until it has
ended, and the list goes with the session.
"""

from __future__ import annotations

from . import beats, native
from .actions import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .cell import Cell
    from .ledger import Ledger
    from .shell import Shell

    class Lasting(Protocol):
        """Something that lasts; `over` is set when it has ended."""

        number: int
        title: str
        over: native.Signal

        def end(self, why: str) -> None: ...


class Ongoing:
    """All of one kind in one session, each begun by an action.

    `subject`: the action's field that says what it is about. `done` is what is done to them,
    `ender` what ends them.
    """

    subject = done = ender = ""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.beats = beats.of(shell.ledger)
        self.all: dict[int, Any] = {}
        self._count = 0

    def next_number(self) -> int:
        """A number that none of them has had."""
        self._count += 1
        return self._count

    def begin(self, cell: Cell, action: dict[str, Any]) -> Lasting:
        """Begin one. Raises Refused."""
        raise NotImplementedError

    def show_list(self) -> None:
        """Print them as the output of the cell that runs."""
        for each in self.all.values():
            print(f"{each.number:>3}  {each.title}")
        if not self.all:
            print(f"Nothing is {self.done}.")

    def end(self, which: str) -> None:
        """End the only one, that of a number, or all. Raises Refused."""
        for each in self._meant(which):
            each.end(f"ended by {self.ender}")

    def _meant(self, which: str) -> list[Any]:
        if which == "all" or (not which and len(self.all) == 1):
            return list(self.all.values())
        if which.isdecimal() and int(which) in self.all:
            return [self.all[int(which)]]
        if not self.all:
            raise Refused("NothingThere", f"Nothing is {self.done}.")
        text = f"Which one? {self.done.capitalize()}: {', '.join(map(str, self.all))}."
        raise Refused("NothingThere", text, f"{self.ender} N, or {self.ender} all")


_all: dict[tuple[type, Ledger], Any] = {}


def of(kind: type[Ongoing], shell: Shell) -> Any:
    """All of this kind in the session."""
    key = kind, shell.ledger
    if key not in _all:
        _all[key] = kind(shell)
        shell.ledger.record(f"the list of what is {kind.done}", lambda: _all.pop(key, None))
    return _all[key]


def begin(kind: type[Ongoing], cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """Begin one, and wait for its end unless it is to go on beside; about nothing, list them."""
    every = of(kind, shell)
    if not action[kind.subject]:
        every.show_list()
        return
    with cell.interruption:
        begun = every.begin(cell, action)
    if not action["beside"]:
        _wait_for(begun, cell)


def _wait_for(begun: Lasting, cell: Cell) -> None:
    """Keep the cell until the end of what it has begun; an interrupt is one way to end it."""
    try:
        while not begun.over.wait(0.1):
            pass
    except KeyboardInterrupt:
        with cell.interruption:
            begun.end("ended by interrupt")
