"""Where a function is referenced by name, and putting another in its place.

Runs in the target, on a cell's thread, or on `control` at detach. Names are those of
modules, of classes, and of the running functions' own variables. A class may have the
function within a staticmethod, a classmethod or a property: then that is made anew.
Rule: what is put back is the very object that was there; a name that has got another
value since is the program's. Places are held by weak references.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from types import CellType, FrameType, FunctionType, MethodType, ModuleType

from .frames import OURS, is_ours
from .lookup import (
    ABSENT,
    class_dict,
    class_name,
    exact,
    is_a,
    is_exactly,
    items,
    module_name,
    own_dict,
    own_entry,
    wrapped_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _weakref import ReferenceType
    from collections.abc import Iterable, Iterator
    from typing import Any

LARGE = 100_000_000
"""Bytes of memory from which on nobody looks for references among all objects: of a program
of this size that takes 12 ms, for which it stands still."""

_WRAPPERS = exact(staticmethod, classmethod, property, functools.cached_property)


class Place:
    """A name of a module or a class, what stood there, and what was put there."""

    def __init__(self, owner: Any, name: str, before: object, after: object) -> None:
        from _weakref import ref

        self._owner: ReferenceType[Any] = ref(owner)
        self.name, self.before, self.after = name, before, after

    @property
    def owner(self) -> Any:
        """The module or class; None if there is none any more."""
        return self._owner()

    def present(self) -> object:
        """What stands there now, or ABSENT."""
        owner = self.owner
        if owner is None:
            return ABSENT
        return class_dict(owner).get(self.name, ABSENT) if is_a(owner, type) else _of(owner, self)

    def put_back(self) -> bool:
        """Put back what stood there. Returns whether ours was still there."""
        if self.present() is not self.after:
            return False
        return _assign(self.owner, self.name, self.before)

    def __str__(self) -> str:
        owner = self.owner
        if is_a(owner, type):
            return f"{module_name(owner)}.{class_name(owner)}.{self.name}"
        return f"{own_entry(owner, '__name__')}.{self.name}"


def _of(module: ModuleType, place: Place) -> object:
    return own_dict(module).get(place.name, ABSENT)


def replace(before: object, after: object) -> tuple[list[Place], list[str]]:
    """Put one function in another's place under all names of modules and classes.

    Returns these, and the places that could not be changed, in words.
    """
    places, failed = [], []
    for owner, name, entry in _named(before):
        new = _with(entry, before, after)
        if _assign(owner, name, new):
            places.append(Place(owner, name, entry, new))
        else:
            failed.append(f"{class_name(owner)}.{name}")
    return places, failed


def _assign(owner: Any, name: str, value: object) -> bool:
    try:
        if is_a(owner, type):
            type.__setattr__(owner, name, value)
        else:
            own_dict(owner)[name] = value  # type: ignore[index]
    except (TypeError, AttributeError):  # a type that can't be changed
        return False
    return True


def _named(function: object) -> Iterator[tuple[Any, str, Any]]:
    """Each name of a module or a class that leads to the function, with its entry."""
    for owner, entries in _namespaces():
        is_class = is_a(owner, type)
        for name, entry in list(entries.items()):
            is_wrapper = is_class and id(type(entry)) in _WRAPPERS  # is_exactly(), for speed
            if entry is function or (is_wrapper and _leads_to(entry, function)):
                yield owner, name, entry


def _namespaces() -> Iterator[tuple[Any, Any]]:
    """The dictionaries of all loaded modules and all classes but our own."""
    seen = set()
    for module in list(sys.modules.values()):
        if not is_a(module, ModuleType) or _is_of_ours(own_entry(module, "__name__")):
            continue
        names = own_dict(module)
        if id(names) not in seen:
            seen.add(id(names))
            yield module, names
    waiting: list[type] = [object]
    known = {id(object)}
    while waiting:
        cls = waiting.pop()
        subclasses: list[type] = type.__subclasses__(cls)
        for each in subclasses:
            if id(each) not in known:
                known.add(id(each))
                waiting.append(each)
        if not _is_of_ours(module_name(cls)):
            yield cls, class_dict(cls)


def _is_of_ours(name: object) -> bool:
    return type(name) is str and (name == OURS or name.startswith(OURS + "."))


def _leads_to(entry: Any, function: object) -> bool:
    if type(entry) is property:
        return any(each is function for each in _accessors(entry))
    if type(entry) is functools.cached_property:
        return own_entry(entry, "func") is function
    return wrapped_function(entry) is function


def _accessors(entry: property) -> tuple[Any, Any, Any]:
    return entry.fget, entry.fset, entry.fdel


def _with(entry: Any, before: object, after: Any) -> object:
    """The entry with another function in it."""
    if type(entry) is property:
        getter, setter, deleter = (after if each is before else each for each in _accessors(entry))
        return property(getter, setter, deleter, entry.__doc__)
    if type(entry) is functools.cached_property:
        new = functools.cached_property(after)
        new.attrname = entry.attrname
        return new
    return type(entry)(after) if is_exactly(entry, _WRAPPERS) else after


# Running functions.


def replace_in_frames(before: object, after: object) -> int:
    """Do so in the variables of functions that run now. Returns in how many places."""
    count = 0
    for frame in list(_frames()):
        code, names = frame.f_code, frame.f_locals
        # A variable that inner functions share lives on in them, where nobody finds it again.
        for name in set(code.co_varnames).difference(code.co_cellvars):
            if names.get(name) is before:
                names[name] = after
                count += 1
    return count


def _frames() -> Iterator[FrameType]:
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_locals is not frame.f_globals and not is_ours(frame):
                yield frame
            frame = frame.f_back


# Other references.


def others(function: object, known: Iterable[object], overwritten: int) -> list[str] | None:
    """Which other objects lead to the function, in words; None where there are too many to ask.

    `overwritten`: so many variables of running functions had it, each of which CPython keeps in a
    tuple until that function returns.
    """
    if _memory() > LARGE:
        return None
    own = {id(known), *map(id, known), *(id(own_dict(each)) for each in known)}
    found: list[str] = []
    for each in gc.get_referrers(function):
        if type(each) is tuple and overwritten:
            overwritten -= 1
        elif id(each) not in own and not isinstance(each, FrameType):
            word = _described(each, function)
            if word:
                found.append(word)
    return found


def _memory() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return sys.maxsize


def _described(referrer: Any, function: object) -> str:
    """A container, closure and the like in words; nothing for what is ours."""
    kind = type(referrer)
    if _is_of_ours(module_name(kind)):
        return ""
    if is_a(referrer, dict):
        keys = [key for key, value in items(referrer) if value is function]
        if keys == ["__wrapped__"]:
            return "what a decorator has made of it"
        key = f" under {keys[0]!r}"[:60] if keys and type(keys[0]) is str else ""
        return f"a {class_name(kind)}{key}"
    words = {
        id(CellType): "a closure",
        id(FunctionType): "a function's attribute",
        id(MethodType): "a bound method",
    }
    return words.get(id(kind), f"a {class_name(kind)}")
