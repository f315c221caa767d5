"""Objects as memory shows them: classes, dictionaries, attributes.

Runs in the target, mostly on the thread `control`, while the program and its
cells go on. What is found may change the next moment; so containers are
copied in one step of C before they are walked.
Rule: memory is read, code of the program is not run. No property, no
`__getattr__`, no `__class__`, no metaclass is asked: only `type(x)`, the
dictionaries of its bases and the object's own. The one door to code of the
program is `listed`.
"""

from __future__ import annotations

import functools
import types
from _collections import _tuplegetter  # type: ignore[import-not-found]
from itertools import islice

from .asking import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

ENTRY_LIMIT = 100_000
"""So many entries of a dictionary, or of what `__dir__` lists, are looked at."""

ABSENT: Any = object()
"""Stands where there is nothing."""


class Unread:
    """Stands for a value that only code of the program could tell.

    `cls` is the class that it is promised to have. If that is still to be found
    out, `entry` is the property or other descriptor, found for instances of `owner`.
    """

    __slots__ = ("cls", "entry", "owner")

    def __init__(
        self, cls: type | None = None, entry: object = ABSENT, owner: type | None = None
    ) -> None:
        self.cls, self.entry, self.owner = cls, entry, owner


# Types.

bases: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
"""The class and its bases in the order of look-up."""

class_dict: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
"""The class's own dictionary."""

class_name: Callable[[type], str] = type.__dict__["__qualname__"].__get__
"""The class's qualified name."""


def module_name(cls: type) -> str:
    """The name of the module that the class says it is from."""
    found = type.__dict__["__module__"].__get__(cls)
    return found if type(found) is str else ""


def full_name(cls: type) -> str:
    """The class's name with its module's in front, as far as it is no built-in."""
    module = module_name(cls)
    return class_name(cls) if module in ("builtins", "") else f"{module}.{class_name(cls)}"


def exact(*classes: type) -> frozenset[int]:
    """Types for `is_exactly`, by their ids: they are built in and never go away."""
    return frozenset(map(id, classes))


def is_exactly(value: object, classes: frozenset[int]) -> bool:
    """Is it of one of the types? (`type(value) in (a, b)` would run the `==` of a metaclass.)"""
    return id(type(value)) in classes


def is_a(value: object, cls: type | tuple[type, ...]) -> bool:
    """`isinstance` by the true type; the real one would also ask `value.__class__`."""
    return issubclass(type(value), cls)


BUILTIN_METHODS = exact(
    types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType
)
_METHODS = exact(types.FunctionType, functools._lru_cache_wrapper)
_SLOTS = exact(types.MemberDescriptorType, types.GetSetDescriptorType, _tuplegetter)
_FUNCTIONS = exact(
    *(types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType),
    *(classmethod, staticmethod),
)
_FOREIGN_FUNCTIONS = ("ufunc", "_ArrayFunctionDispatcher", "cython_function_or_method")


def kind_of(value: object) -> str:
    """The word that front-ends have for such a value (or entry of a class)."""
    if is_exactly(value, _FUNCTIONS | _METHODS | BUILTIN_METHODS):
        return "function"
    if class_name(type(value)) in _FOREIGN_FUNCTIONS:
        return "function"
    if is_a(value, type):
        return "class"
    if is_a(value, types.ModuleType):
        return "module"
    return "instance" if getter_of(value) is ABSENT else "property"


# Dictionaries.


def type_entry(cls: type, name: str) -> Any:
    """What the class or the first base that has it says under a name, as it is; or ABSENT."""
    for base in bases(cls):
        entries = class_dict(base)
        if name in entries:
            return entries[name]
    return ABSENT


def own_dict(owner: object) -> Mapping[str, Any]:
    """The object's own dictionary; empty if it has none, or one that must be asked for."""
    slot = type_entry(type(owner), "__dict__")
    try:
        found = slot.__get__(owner) if is_exactly(slot, _SLOTS) else None
    except Exception:
        return {}
    return found if is_a(found, (dict, types.MappingProxyType)) else {}  # type: ignore[return-value]


def own_entry(owner: object, name: str) -> Any:
    """What the object's own dictionary says under a name; or ABSENT."""
    entries = own_dict(owner)
    if is_a(entries, dict):
        return dict.get(entries, name, ABSENT)  # type: ignore[call-overload]
    return entries.get(name, ABSENT)


def items(entries: Mapping[Any, Any], limit: int = ENTRY_LIMIT) -> list[tuple[Any, Any]]:
    """A copy of the first entries, whatever other threads do meanwhile."""
    pairs = dict.items(entries) if is_a(entries, dict) else entries.items()  # type: ignore[arg-type]
    return list(islice(pairs, limit))


def listed(function: Callable[..., Iterable[Any]], *arguments: object) -> list[Any]:
    """What a function of the program lists, within bounds; nothing if it fails or hangs."""
    return ask(lambda: list(islice(function(*arguments), ENTRY_LIMIT))) or []


# Attributes.

_COMPUTED = ("__annotations__", "__annotate__", "__doc__", "__isabstractmethod__")
"""Attributes whose built-in getters may run code of the program."""


def read_attribute(owner: object, name: str) -> Any:
    """An attribute of an object: its value, Unread, or ABSENT if there is no sign of it."""
    cls, of_class = type(owner), is_a(owner, type)
    entry = type_entry(cls, name)
    # Of descriptors, only built-in ones go before the object's own dictionary: an
    # ORM's column keeps its value there under its own name.
    if name in _COMPUTED or not (is_exactly(entry, _SLOTS) or is_a(entry, property)):
        own = type_entry(owner, name) if of_class else own_entry(owner, name)  # type: ignore[arg-type]
        if own is not ABSENT:
            return bind(own, None, owner) if of_class else own  # type: ignore[arg-type]
    return ABSENT if entry is ABSENT else bind(entry, owner, cls)


def bind(entry: Any, owner: object, cls: type) -> Any:
    """What an entry of a class gives for an instance of it, or for itself (`owner` None)."""
    kind = type(entry)
    if is_a(entry, (classmethod, staticmethod)):
        function = wrapped_function(entry)
        return types.MethodType(function, cls) if is_a(entry, classmethod) else function
    if owner is None and kind is not types.ClassMethodDescriptorType:
        kept = is_exactly(entry, _METHODS | _SLOTS | BUILTIN_METHODS)
        if kept or getter_of(entry) is not ABSENT:
            return entry
    if is_exactly(entry, _METHODS):
        return types.MethodType(entry, owner)
    if is_exactly(entry, BUILTIN_METHODS) or _is_memory(entry):
        try:
            return entry.__get__(owner, cls)
        except Exception:  # a slot that is empty
            return ABSENT
    return entry if type_entry(kind, "__get__") is ABSENT else Unread(entry=entry, owner=cls)


def _is_memory(entry: Any) -> bool:
    """A slot is read without further ado; the getters of extension modules might do anything."""
    if type(entry) is not types.GetSetDescriptorType:
        return is_exactly(entry, _SLOTS)
    return module_name(entry.__objclass__) == "builtins" and entry.__name__ not in _COMPUTED


def wrapped_function(entry: Any) -> Any:
    """What is in a staticmethod or a classmethod, or else the thing itself."""
    for kind in (staticmethod, classmethod):
        if is_a(entry, kind):
            return kind.__dict__["__func__"].__get__(entry)
    return entry


def getter_of(entry: object) -> Any:
    """The function behind a property or a cached property; or ABSENT."""
    if is_a(entry, property):
        return property.__dict__["fget"].__get__(entry)
    return own_entry(entry, "func") if is_a(entry, functools.cached_property) else ABSENT


def class_of(owner: object) -> type:
    """The class among whose entries the attributes are: the thing itself if it is a class."""
    if type(owner) is Unread and owner.cls is not None:
        return owner.cls
    return owner if is_a(owner, type) else type(owner)  # type: ignore[return-value]


def attribute_entries(owner: object) -> dict[str, Any]:
    """The attributes to offer, each with its entry as it stands in memory.

    A `__dir__` of the program decides what is offered, if it answers.
    """
    found: dict[str, Any] = {}
    for base in reversed(bases(class_of(owner))):
        found.update(class_dict(base))
    if not is_a(owner, type):
        found.update({name: own for name, own in items(own_dict(owner)) if type(name) is str})
    names = _listed_attributes(owner)
    if names:
        found = {name: found.get(name, ABSENT) for name in names}
    return {name: entry for name, entry in found.items() if type(name) is str}


def _listed_attributes(owner: object) -> list[str]:
    """What the program's own `__dir__`, if there is one, lists."""
    of_class: Any = type_entry(type(owner), "__dir__")
    of_module = own_entry(owner, "__dir__") if is_a(owner, types.ModuleType) else ABSENT
    if type(of_class) is types.FunctionType:
        names = listed(of_class, owner)
    else:
        names = listed(of_module) if type(of_module) is types.FunctionType else []
    return [
        name if type(name) is str else str.__str__(name)
        for name in names
        if type(name) is str or is_a(name, str)
    ]
