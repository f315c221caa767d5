"""`%patch`: a function of the notebook's in the place of one of the program's.

Runs in the target, on a cell's thread; put back there or, at detach, on `control`. All
sessions of the process share the list of what stands, since one may patch what another
has put there. Rule: when a patch goes, what was below it comes back, and not what another
session had put there and has taken away since.
"""

from __future__ import annotations

import builtins

from . import brief, forks, functions, native, references, replacements
from .actions import Refused
from .frames import OURS
from .lookup import class_name, is_a

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell
    from .functions import Found
    from .ledger import Entry, Ledger
    from .namespace import Namespace
    from .references import Place
    from .shell import Shell

_HEAP_TYPE = 1 << 9

_standing: list[Patch] = []
"""Of all sessions, the oldest first."""

_lock = native.RLock()


class Patch:
    """One function in the place of another."""

    def __init__(self, name: str, before: Any, after: Any, ledger: Ledger) -> None:
        self.name, self.before, self.after, self._ledger = name, before, after, ledger
        self.places: list[Place] = []
        self.failed: list[str] = []
        self.in_frames = 0
        self.is_over = False
        self.left: list[str] = []
        """Names that the program has bound anew, and that were left so."""
        self._entry: Entry

    def is_of(self, ledger: Ledger) -> bool:
        """Has this session made it?"""
        return self._ledger is ledger

    def begin(self) -> None:
        """Bind the new function everywhere; over an older one of this session, in its place."""
        with _lock:
            older = next((p for p in _standing if p.after is self.before), None)
            self._entry = self._ledger.record(f"%patch {self.name}", self._end)
            _standing.append(self)
            self._replace()
            if older is not None and older.is_of(self._ledger):
                self._inherit(older)

    def _replace(self) -> None:
        self.places, self.failed = references.replace(self.before, self.after)
        self.in_frames = references.replace_in_frames(self.before, self.after)

    def _inherit(self, older: Patch) -> None:
        """Take the older one's place, and what it would put back."""
        older.is_over = True
        _standing.remove(older)
        self._ledger.strike(older._entry)
        self._skip(older)
        known = {(id(place.owner), place.name) for place in self.places}
        self.places += [p for p in older.places if (id(p.owner), p.name) not in known]

    def _skip(self, gone: Patch) -> None:
        """What was below us is no more: below us is what was below that."""
        self.before = gone.before
        originals = {(id(place.owner), place.name): place for place in gone.places}
        for place in self.places:
            below = originals.get((id(place.owner), place.name))
            if below is not None and below.after is place.before:
                place.before = below.before

    def undo(self) -> None:
        """Put the original back, unless that has been done."""
        self._entry.undo()

    def _end(self) -> None:
        with _lock:
            if self.is_over:
                return
            self.is_over = True
            _standing.remove(self)
            above = next((p for p in _standing if p.before is self.after), None)
            if above is not None:
                above._skip(self)
            others = {(id(place.owner), place.name) for p in _standing for place in p.places}
            for place in self.places:
                is_put_back = place.put_back()
                if not is_put_back and (id(place.owner), place.name) not in others:
                    self.left.append(str(place))
            # Whoever has taken it over by name meanwhile, or has it in a variable.
            references.replace(self.after, self.before)
            references.replace_in_frames(self.after, self.before)


def _put_back_in_child() -> None:
    """In a forked child, which outlives us; whoever had the lock is not there."""
    global _lock
    _lock = native.RLock()
    while _standing:
        for place in _standing.pop().places:
            place.put_back()


forks.in_child.append(_put_back_in_child)


def patch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%patch` and `%%patch`: put a function there; without arguments, list what stands."""
    name = action["function"]
    if not name:
        _list(shell.ledger)
        return
    found = functions.find(name, shell.namespace)
    _refuse_what_cant_be(found)
    if action["code"]:
        function = replacements.defined(cell, shell, name, action["code"])
    else:
        function = _value_of(action["by"], shell)
    with cell.interruption:
        original = _original(found.function)
        function = replacements.settled(function, original, shell.namespace)
        if function is found.function:
            raise Refused("PatchedAlready", f"{name} is that very function already.")
        notes = [*found.notes, *replacements.differences(function, original)]
        replacements.dress(function, original)
        made = Patch(name, found.function, function, shell.ledger)
        made.begin()
        if not made.places:
            made.undo()
            raise Refused(
                "NotByName",
                f"No module and no class of the program has {name} under a name.",
                "What only a container or a closure holds must be changed there, in a cell.",
            )
        ours = [shell.namespace.scratch, *(place.before for place in made.places)]
        others = references.others(made.before, ours, made.in_frames)
    print("\n".join([_told(made), *_told_of_others(others), *(f"({note})" for note in notes)]))


def _original(function: Any) -> Any:
    """The program's own, below all patches."""
    for each in reversed(_standing):
        if each.after is function:
            function = each.before
    return function


def described(name: str, names: list[str], namespace: Namespace) -> dict[str, Any]:
    """The program's function of this name: its source, and which of these names a function in its
    place would not see.
    """
    from . import inspection

    try:
        function = _original(functions.find(name, namespace).function)
    except Refused as refusal:
        return {"refused": str(refusal), "remedy": refusal.remedy}
    module = replacements.globals_of(function, namespace)
    seen = (namespace.scratch, module, builtins.__dict__, namespace.additions)
    absent = [each for each in names if not any(each in one for one in seen)]
    return {"source": inspection.source_of(function), "absent": absent}


def _value_of(name: str, shell: Shell) -> Any:
    try:
        value = shell.namespace.lookup(name)
    except KeyError:
        raise Refused("NothingToPutThere", f"There is no name {name!r} in the notebook.") from None
    if not callable(value):
        raise Refused("NothingToPutThere", f"{name} can't be called.")
    return value


def _refuse_what_cant_be(found: Found) -> None:
    name, function = found.name, found.function
    if is_a(function, type):
        why = f"{name} is a class: what it has made would stay of the old one."
        raise Refused("CantPatch", why, f"Patch its methods: %%patch {name}.method")
    if not callable(function):
        raise Refused("CantPatch", f"{name} is no function.", "A value is assigned in a cell.")
    if found.is_of_one_object:
        why = f"{name} is an attribute of one object."
        raise Refused("CantPatch", why, "Assign it in a cell.")
    if any(function is each for each in vars(builtins).values()):
        why = f"{name} is a builtin, on which the whole process stands, and this kernel, too."
        raise Refused("CantPatch", why, "Patch the function that calls it.")
    if str(getattr(function, "__module__", "")).startswith(OURS):
        raise Refused("CantPatch", f"{name} is this kernel's own.")
    home = found.home
    if home is not None and not type.__dict__["__flags__"].__get__(home) & _HEAP_TYPE:
        why = f"{name} belongs to the type {class_name(home)}, which can't be changed."
        raise Refused("CantPatch", why, "Patch the function that calls it.")


def _told(made: Patch) -> str:
    names = sorted(map(str, made.places))
    text = f"{made.name} is patched under {brief.plural(len(names), 'name')}: "
    text += f"{brief.listed(names)}."
    if made.in_frames:
        text += f" {brief.plural(made.in_frames, 'variable')} of running functions, too."
    if made.failed:
        text += f" Not where it can't be changed: {', '.join(made.failed)}."
    return text


def _told_of_others(others: list[str] | None) -> list[str]:
    if others is None:
        return [
            "(Whether anything else still leads to the original was not looked into: the program "
            "is large, and would stand still for it.)"
        ]
    if not others:
        return []
    count = brief.plural(len(others), "other object")
    verb = "leads" if len(others) == 1 else "lead"
    return [f"The original is still what {count} {verb} to: {brief.listed(others)}."]


def unpatch(_cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%unpatch`: put back one function, or all."""
    which, own = action["which"], [p for p in _standing if p.is_of(shell.ledger)]
    if which and which != "all":
        chosen = [p for p in own if which in (p.name, p.name.rpartition(".")[2])]
    else:
        chosen = own if which == "all" or len(own) == 1 else []
    if not chosen:
        names = ", ".join(p.name for p in own) or "none"
        raise Refused("NotPatched", f"Which function? Patched by this notebook: {names}.")
    for each in reversed(chosen):
        each.undo()
        print(f"{each.name} is the program's own again.")
        if each.left:
            print(f"(Bound anew by the program meanwhile, and left so: {', '.join(each.left)})")


def _list(ledger: Ledger) -> None:
    for each in _standing:
        whose = "" if each.is_of(ledger) else "  (by another kernel)"
        print(f"{each.name}  {brief.plural(len(each.places), 'name')}{whose}")
    if not _standing:
        print("Nothing is patched.")
