"""What a session has set up in its program, as the commands that would set it up again.

Pure; owned by the launcher. Where cells look, breakpoints, watches, traces, patches, and what
IPython was told; with what each was about, so that it can be seen whether that is still so.
Rule: an item is a command and its argument, nothing else is ever carried out for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..records import NamedTuple

BINDING = "where cells look"
"""The slot of what there is one of."""

_VERSION = 1


class SourceLine(NamedTuple):
    """A line of a source file as it stood, with its neighbours; without indentation."""

    file: str
    number: int
    text: str
    before: str = ""
    after: str = ""


class Item(NamedTuple):
    """A command that has set up something.

    `slot`: of things with the same one, the latest holds; empty for any number of them. `mark`:
    the agent's name of it, as long as it stands. `line`: on which it was set. `source`: of the
    function that it has replaced. `trouble`: why it can't be done again, where that is known.
    """

    command: str
    argument: str
    slot: str = ""
    mark: str = ""
    line: SourceLine | None = None
    source: str = ""
    trouble: str = ""

    @property
    def magic(self) -> str:
        """As it would be typed."""
        joint = "" if self.argument.startswith("\n") or not self.argument else " "
        return f"{self.command}{joint}{self.argument}".rstrip()

    @property
    def title(self) -> str:
        """On one line."""
        return self.magic.partition("\n")[0]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps`."""
        kept = {"command": self.command, "argument": self.argument, "slot": self.slot}
        line = {} if self.line is None else {"line": list(self.line)}
        more = {name: getattr(self, name) for name in ("source", "trouble") if getattr(self, name)}
        return kept | line | more


class Setup:
    """What stands in the present program, the oldest first."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.left: list[Item] = []
        """What stood in the program before this one, and was not set up again."""
        self.is_told = False
        """The user has been told of that."""

    def add(self, item: Item) -> None:
        """Something was set up."""
        self.drop_slot(item.slot)
        self.items.append(item)

    def drop_slot(self, slot: str) -> None:
        """What there was one of is not there any more."""
        if slot:
            self.items = [each for each in self.items if each.slot != slot]

    def of_slot(self, slot: str) -> Item | None:
        return next((each for each in self.items if slot and each.slot == slot), None)

    def keep_standing(self, standing: Iterable[str]) -> None:
        """Forget what has ended: `standing` are the agent's names of all that there is."""
        there = Counter(standing)
        kept = []
        for item in reversed(self.items):  # of several with one name, the latest are there
            if not item.mark or there[item.mark] > 0:
                there[item.mark] -= 1
                kept.append(item)
        self.items = kept[::-1]

    def new_mark(self, standing: Iterable[str], beginning: str) -> str:
        """The name, which begins so, of what has just come to stand; empty if nothing has."""
        known = Counter(item.mark for item in self.items)
        fresh = Counter(name for name in standing if name.startswith(beginning)) - known
        return next(reversed(list(fresh.elements())), "")

    def leave(self) -> None:
        """The program is left, or has gone, and with it all that stood there."""
        if self.items:
            self.put_off(self.items)
            self.items, self.is_told = [], False

    def put_off(self, items: Sequence[Item]) -> None:
        """These are not set up; they may be later."""
        fresh = [item._replace(mark="") for item in items]
        known = {item.magic for item in fresh}
        self.left = [*fresh, *(item for item in self.left if item.magic not in known)]

    def take_left(self) -> list[Item]:
        """What is to be set up again, once."""
        left, self.left = self.left, []
        return left


def as_magics(items: Sequence[Item]) -> str:
    """The items as cells would have them: what takes a whole cell stands in one of its own."""
    cells: list[list[str]] = [[]]
    for item in items:
        if item.trouble:
            cells[-1].append(f"# {item.title}: {item.trouble}")
        elif item.command.startswith("%%"):
            cells += [[item.magic], []]
        else:
            cells[-1].append(item.magic)
    return "\n\n".join("\n".join(lines) for lines in cells if lines)


def to_json(items: Sequence[Item]) -> dict[str, Any]:
    """Plain values, for a file."""
    return {"version": _VERSION, "setup": [item.as_json() for item in items]}


def from_json(kept: object) -> list[Item]:
    """The items of a file. Raises ValueError for what is none of them."""
    match kept:
        case {"version": 1, "setup": list(rows)}:
            return [_item(row) for row in rows]
    raise ValueError("it is no set-up that was saved by this version")


def _item(row: Any) -> Item:
    match row:
        case {"command": str(command), "argument": str(argument), "slot": str(slot)}:
            source, trouble = row.get("source", ""), row.get("trouble", "")
            line = row.get("line")
            if isinstance(source, str) and isinstance(trouble, str):
                found = None if line is None else _line(line)
                return Item(command, argument, slot, "", found, source, trouble)
    raise ValueError("an entry of it makes no sense")


def _line(kept: object) -> SourceLine:
    match kept:
        case [str(file), int(number), str(text), str(before), str(after)]:
            return SourceLine(file, number, text, before, after)
    raise ValueError("a line of source in it makes no sense")
