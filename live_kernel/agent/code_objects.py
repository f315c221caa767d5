"""What code objects the program holds: in modules, classes, decorators, closures, and frames.

Runs in the target, on the thread of a cell. Rule: only what objects hold in dictionaries,
cells and slots of Python's own types is looked at; no attribute is computed.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from types import CodeType, FunctionType, MethodType, ModuleType

from .frames import OURS, is_user_code
from .lookup import class_dict, exact, is_a, is_exactly, module_name, own_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

DEEPEST = 6
"""Steps from what a module holds to a function that is found: through a table, a wrapper."""

_LARGEST = 1000
"""Entries of a table that are looked at: a registry of functions has fewer."""

_METHODS = exact(staticmethod, classmethod, MethodType)
_SEQUENCES = exact(list, tuple, set, frozenset)
_HOLDS_NONE = exact(str, bytes, int, float, complex, bool, type(None), ModuleType)


def modules() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The program's modules: their names and what is in them."""
    for name, module in list(sys.modules.items()):
        names = own_dict(module)
        if names and not (name == OURS or name.startswith(OURS + ".")):
            yield name, names


def file_of(names: Mapping[str, Any]) -> str:
    """Of the module in which these are; empty where it has none."""
    file = names.get("__file__")
    return file if type(file) is str else ""


def running() -> list[CodeType]:
    """Of the frames that all threads run now."""
    found: dict[int, CodeType] = {}
    for frame in list(sys._current_frames().values()):
        each = frame
        while each is not None:
            found[id(each.f_code)] = each.f_code
            each = each.f_back  # type: ignore[assignment]
    return list(found.values())


def with_inner(code: CodeType) -> Iterator[CodeType]:
    """This code and all that it would make functions and classes of."""
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from with_inner(constant)


def with_qualified_name(name: str) -> list[CodeType]:
    """Those of the user's modules and running functions whose full name ends so."""
    found: dict[int, CodeType] = {}
    for module, outer in _of_the_user():
        for code in with_inner(outer):
            full = f".{module}.{code.co_qualname.replace('<locals>.', '')}"
            if full.endswith("." + name):
                found[id(code)] = code
    return list(found.values())


def _of_the_user() -> Iterator[tuple[object, CodeType]]:
    """With the name of the module, where that is known."""
    for module, names in modules():
        if is_user_code(file_of(names) or "<frozen "):
            for function in functions_in(names, module):
                yield function.__module__, function.__code__
    for code in running():
        if is_user_code(code.co_filename):
            yield "", code


def functions_in(
    names: Mapping[str, Any], module: str | None, deepest: int = DEEPEST
) -> Iterator[FunctionType]:
    """All functions that are held by these names, each once, the outer before the inner.

    Classes of other modules than this are left out; None: no class at all is looked into.
    """
    seen: set[int] = set()
    waiting = deque((value, 0) for value in list(names.values()))
    while waiting:
        value, depth = waiting.popleft()
        if id(value) in seen or depth > deepest:
            continue
        seen.add(id(value))
        if type(value) is FunctionType:
            yield value
        waiting.extend((inner, depth + 1) for inner in _held_by(value, module))


def _held_by(value: Any, module: str | None) -> list[Any]:
    kind = type(value)
    if kind is FunctionType:
        return _held_by_function(value)
    if is_a(value, type):
        return list(class_dict(value).values()) if module == module_name(value) else []
    if is_exactly(value, _METHODS):
        return [value.__func__]
    if kind is property:
        return [value.fget, value.fset, value.fdel]
    if is_exactly(value, _SEQUENCES):
        return _some_of(value)
    if kind is dict:
        return _some_of(value.values())
    return _held_by_object(value)


def _some_of(values: Iterable[Any]) -> list[Any]:
    return [each for each in list(values)[:_LARGEST] if not is_exactly(each, _HOLDS_NONE)]


def _held_by_function(function: FunctionType) -> list[Any]:
    held = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    return _some_of([*function.__dict__.values(), *held])


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it raises where nothing is in it
    except ValueError:
        return True
    return False


def _held_by_object(value: Any) -> list[Any]:
    """What decorators of other kinds hold: partial, cached_property, those of frameworks."""
    if is_a(value, functools.partial):
        return [functools.partial.__dict__["func"].__get__(value)]
    held = own_dict(value)
    if type(held) is not dict or is_a(value, ModuleType):
        return []
    return [each for each in list(held.values())[:_LARGEST] if _holds_at_once(each)]


def _holds_at_once(value: Any) -> bool:
    return type(value) is FunctionType or is_exactly(value, _METHODS) or is_a(value, type)
