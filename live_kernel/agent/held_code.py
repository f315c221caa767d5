"""What code the program holds: in modules, classes, decorators, closures, and frames.

Runs in the target, on the thread of a cell. Rule: only what objects hold in dictionaries,
cells and slots of Python's own types is looked at; no attribute is computed.
"""

from __future__ import annotations

import functools
import sys
from collections import deque

from .frames import OURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FunctionType
    from typing import Any

_DEEPEST = 6
"""Steps from what a module holds to a function that is found: through a table, a wrapper."""

_LARGEST = 1000
"""Entries of a table that are looked at: a registry of functions has fewer."""


def _function() -> None: ...


_FUNCTION: Any = type(_function)
_CODE: Any = type(_function.__code__)
_METHOD: Any = type(_FUNCTION.__get__(_function, 0))


_WITH_FUNC = (functools.partial, functools.partialmethod, functools.cached_property)
_HOLDS_NONE = (str, bytes, int, float, complex, type(None), type(sys))


def modules() -> Iterator[tuple[str, dict[str, Any]]]:
    """The program's modules: their names and what is in them."""
    for name, module in list(sys.modules.items()):
        names = dictionary(module)
        if names and not (name == OURS or name.startswith(OURS + ".")):
            yield name, names


def dictionary(thing: object) -> dict[str, Any] | None:
    """What it holds by names, if it does, without asking it."""
    try:
        found = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


def file_of(names: dict[str, Any]) -> str:
    """Of the module in which these are; empty where it has none."""
    file = names.get("__file__")
    return file if isinstance(file, str) else ""


def running_codes() -> list[CodeType]:
    """Of the frames that all threads run now."""
    found: dict[int, CodeType] = {}
    for frame in list(sys._current_frames().values()):
        each = frame
        while each is not None:
            found[id(each.f_code)] = each.f_code
            each = each.f_back  # type: ignore[assignment]
    return list(found.values())


def inner_codes(code: CodeType) -> Iterator[CodeType]:
    """This code and all that it would make functions and classes of."""
    yield code
    for constant in code.co_consts:
        if type(constant) is _CODE:
            yield from inner_codes(constant)


def functions_in(names: dict[str, Any], module: str | None) -> Iterator[FunctionType]:
    """All functions that are held by these names, each once, the outer before the inner.

    Classes of other modules than this are left out; None: no class at all is looked into.
    """
    seen: set[int] = set()
    waiting = deque((value, 0) for value in list(names.values()))
    while waiting:
        value, depth = waiting.popleft()
        if id(value) in seen or depth > _DEEPEST:
            continue
        seen.add(id(value))
        if type(value) is _FUNCTION:
            yield value
        waiting.extend((inner, depth + 1) for inner in _held_by(value, module))


def _held_by(value: Any, module: str | None) -> list[Any]:
    kind = type(value)
    if kind is _FUNCTION:
        return _held_by_function(value)
    if issubclass(kind, type):
        own = vars(value)
        return list(own.values()) if module and own.get("__module__") == module else []
    if kind in (staticmethod, classmethod, _METHOD):
        return [value.__func__]
    if kind is property:
        return [value.fget, value.fset, value.fdel]
    if kind in (list, tuple, set, frozenset):
        return [each for each in list(value)[:_LARGEST] if _may_hold(each)]
    if kind is dict:
        return [each for each in list(value.values())[:_LARGEST] if _may_hold(each)]
    return _held_by_object(value)


def _held_by_function(function: Any) -> list[Any]:
    held = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    return [each for each in (*function.__dict__.values(), *held) if _may_hold(each)]


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it raises where nothing is in it
    except ValueError:
        return True
    return False


def _held_by_object(value: Any) -> list[Any]:
    """What decorators of other kinds hold: partial, cached_property, those of frameworks."""
    if issubclass(type(value), _WITH_FUNC):
        return [value.func]
    try:
        held = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return []
    if type(held) is not dict or type(value) is type(sys):
        return []
    return [each for each in list(held.values())[:_LARGEST] if _holds_at_once(each)]


def _may_hold(value: Any) -> bool:
    return type(value) not in _HOLDS_NONE


def _holds_at_once(value: Any) -> bool:
    kind = type(value)
    return kind in (_FUNCTION, _METHOD, staticmethod, classmethod) or issubclass(kind, type)
