"""A value in a few words, from memory alone.

Runs in the target, on threads of the program, in the middle of its calls. Rule: no code
of the program is run, be it a `__repr__` or a property, and the time that it takes does
not depend on how large the value is.
"""

from __future__ import annotations

import sys
from itertools import islice
from types import FunctionType, MethodType, ModuleType

from .lookup import (
    class_name,
    exact,
    is_a,
    is_exactly,
    items,
    module_name,
    own_dict,
    own_entry,
)
from .pretty import sendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

TEXT = 60
"""Characters of a text that are shown."""

ITEMS = 4
"""Items of a container, and attributes of an object."""

DEPTH = 2
BITS = 256
"""Of a whole number; to write out a longer one takes long."""

_CONSTANTS = exact(bool, type(None), type(...))
_ELSEWHERE = {("datetime", "date"), ("datetime", "timedelta"), ("decimal", "Decimal")}
"""Types of the standard library whose `__repr__` is C and looks at nothing else."""


def brief(value: object, depth: int = DEPTH) -> str:
    """A value in a few words."""
    kind = type(value)
    if is_exactly(value, _CONSTANTS):
        return repr(value)
    if is_a(value, (str, bytes, bytearray)):
        return _text(value)
    if is_a(value, (int, float, complex)):
        return _number(value)
    if id(kind) in _CONTAINERS:
        begin, end, write = _CONTAINERS[id(kind)]
        return begin + (write(value, depth - 1) if depth else "…") + end
    if is_a(value, type):
        return _name_of(value)
    if is_exactly(value, _NAMED):
        return f"<{class_name(kind)} {_name_of(value)}>"
    if _is_of_the_library(kind):
        return repr(value)
    return _object(value, depth)


def _text(value: Any) -> str:
    base = next(base for base in (str, bytes, bytearray) if is_a(value, base))
    length = base.__len__(value)
    shown = base.__getitem__(value, slice(TEXT))
    return sendable(base.__repr__(shown)) + ("…" if length > TEXT else "")


def _number(value: Any) -> str:
    for base in (float, complex):
        if is_a(value, base):
            return base.__repr__(value)
    bits = int.bit_length(value)
    return int.__repr__(value) if bits <= BITS else f"<int of {bits} bits>"


def _sequence(first: Iterable[Any], length: int, depth: int) -> str:
    shown = [brief(item, depth) for item in first]
    if length > ITEMS:
        shown.append(f"… {length} in all")
    return ", ".join(shown)


def _list(value: Any, depth: int) -> str:
    return _sequence(list.__getitem__(value, slice(ITEMS)), len(value), depth)


def _tuple(value: Any, depth: int) -> str:
    return _sequence(value[:ITEMS], len(value), depth) + ("," if len(value) == 1 else "")


def _dict(value: Any, depth: int) -> str:
    pairs = list(islice(value.items(), ITEMS))
    shown = [f"{brief(key, depth)}: {brief(item, depth)}" for key, item in pairs]
    if len(value) > ITEMS:
        shown.append(f"… {len(value)} in all")
    return ", ".join(shown)


def _set(value: Any, depth: int) -> str:
    return _sequence(list(islice(value, ITEMS)), len(value), depth)


_CONTAINERS: dict[int, tuple[str, str, Callable[[Any, int], str]]] = {
    id(list): ("[", "]", _list),
    id(tuple): ("(", ")", _tuple),
    id(dict): ("{", "}", _dict),
    id(set): ("{", "}", _set),
    id(frozenset): ("frozenset({", "})", _set),
}

_NAMED = exact(FunctionType, MethodType, ModuleType, type(len))


def _name_of(value: object) -> str:
    """A class's, function's or module's name, as long as that is a text."""
    if is_a(value, type):
        return sendable(class_name(value))  # type: ignore[arg-type]
    if type(value) is MethodType:
        value = value.__func__
    if type(value) is FunctionType:
        return sendable(value.__qualname__)
    name = own_entry(value, "__name__") if is_a(value, ModuleType) else value.__name__  # type: ignore[attr-defined]
    return sendable(name) if is_a(name, str) else "?"


def _is_of_the_library(kind: type) -> bool:
    place = module_name(kind), class_name(kind)
    return place in _ELSEWHERE and own_entry(sys.modules.get(place[0]), place[1]) is kind


def _object(value: object, depth: int) -> str:
    """Any other: its class, and what its own dictionary says first."""
    words = [sendable(class_name(type(value)))]
    if is_a(value, BaseException):
        words += [brief(each, 0) for each in _arguments(value)[:ITEMS]]
    for name, item in items(own_dict(value), ITEMS) if depth else ():
        if type(name) is str and not name.startswith("_"):
            words.append(f"{sendable(name[:TEXT])}={brief(item, 0)}")
    return f"<{' '.join(words)}>"


_arguments: Callable[[object], tuple[Any, ...]] = BaseException.__dict__["args"].__get__


def as_error(error: BaseException) -> str:
    """An exception, as in the last line of a traceback, without its `__str__`."""
    words = ", ".join(brief(each, 1) for each in _arguments(error)[:ITEMS])
    return f"{sendable(class_name(type(error)))}({words})"


def listed(texts: Sequence[str], most: int = 8) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def plural(count: int, noun: str) -> str:
    """`1 value`, `2 values`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
