"""`%%main`, `%%loop`, `%%thread`, `%%own`, `%place`: on which thread of the program a cell runs.

Runs on the launcher's reactor. Rule: here it is only written down; the agent goes there
(see `agent/held.py` and `agent/places.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from .. import durations
from ..execution import Done, Execution
from .command import Command

_LIMIT = "--at-most"


class Placed(Command):
    """Base of the commands that say where the code below them runs."""

    kind: ClassVar[str]
    words = (_LIMIT,)

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        execution.place = self.place(argument)
        done(None)

    def place(self, argument: str) -> dict[str, Any]:
        """The place, as the link's `run` has it. Raises CommandMisused."""
        words, limit = self._limited(argument.replace("=", " ").split())
        if words:
            raise self.misused(f"{self.usage.split()[0]} does not take {' '.join(words)!r}.")
        return {"kind": self.kind} | limit

    def _limited(self, words: list[str]) -> tuple[list[str], dict[str, float]]:
        """What stands there without `--at-most`, and what that says."""
        if _LIMIT not in words:
            return words, {}
        at = words.index(_LIMIT)
        try:
            return words[:at] + words[at + 2 :], {"at_most": durations.parse(words[at + 1])}
        except (ValueError, IndexError) as error:
            what = str(error) if isinstance(error, ValueError) else f"{_LIMIT} what?"
            raise self.misused(what) from None


class OnMain(Placed):
    """Run the cell on the program's main thread, which it holds meanwhile.

    For what belongs to that thread: a GUI, a handle of sqlite, signal handlers. It runs at the
    thread's next safe point, also where that waits for something: the wait goes on afterwards.
    Output, errors, input() and interrupts are as in any cell. Ctrl-C and other signals of the
    program reach it when the cell has ended. With --at-most the cell is interrupted when it has
    held the thread for that long, and the program goes on.
    """

    usage = "%%main [--at-most 2s]"
    kind = "main"


class InLoop(Placed):
    """Run the cell in the program's running asyncio loop, as a callback there.

    Cells that await run there by themselves. With --at-most the cell is interrupted when it has
    kept the loop from its other work for that long at a time.
    """

    usage = "%%loop [--at-most 2s]"
    kind = "loop"


class OnThread(Placed):
    """Run the cell on a thread of the program, which it holds meanwhile.

    ID is the thread's name, its Python ident or its native id, as %threads shows them; without
    it, the thread whose names cells see. It runs at the thread's next safe point; a thread that
    waits for a lock comes to one when it gets that.
    """

    usage = "%%thread [NAME|ID] [--at-most 2s]"
    kind = "thread"

    def place(self, argument: str) -> dict[str, Any]:
        words, limit = self._limited(argument.split())
        return {"kind": self.kind, "thread": " ".join(words)} | limit


class OnOwn(Placed):
    """Run the cell on the kernel's own thread in the program, beside whatever that does.

    So do all cells for which nothing else is said.
    """

    usage = "%%own"
    kind = "own"


class Place(Command):
    """Show where cells run, or have all cells of this session run elsewhere.

        %place main --at-most 2s     on the main thread
        %place loop                  in the program's event loop
        %place thread NAME|ID        on one of its threads
        %place own                   on the kernel's own thread, as in the beginning

    What stands above a cell (%%main, say) goes for that cell alone.
    """

    words = ("main", "loop", "own", "thread", _LIMIT)
    usage = "%place [main | loop | own | thread NAME|ID] [--at-most 2s]"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        kind, _, rest = argument.strip().partition(" ")
        if kind:
            if kind not in _PLACES:
                raise self.misused(f"There is no place {kind!r}.")
            self._target.place = _PLACES[kind](self._means).place(rest)
        execution.print(f"Cells run {described(self._target.place)}.")
        done(None)


_PLACES: dict[str, type[Placed]] = {each.kind: each for each in (OnMain, InLoop, OnThread, OnOwn)}

_WORDS = {
    "own": "on the kernel's own thread in the program",
    "main": "on the program's main thread",
    "loop": "in the program's event loop",
    "thread": "on the program's thread",
}


def described(place: dict[str, Any]) -> str:
    """A place in words: `on the program's main thread, which each may hold for 2 s`."""
    text = _WORDS[place.get("kind", "own")]
    if place.get("kind") == "thread":
        text += f" {place['thread']}" if place["thread"] else " whose names they see"
    if "at_most" in place:
        text += f", which each may hold for {place['at_most']:g} s at most"
    return text
