"""Which function of the program is called so.

Runs in the target, on the thread of a cell. First what a cell would see under that name, then
what modules hold. Rule: as in `held_code.py`, no attribute is computed.
"""

from __future__ import annotations

import sys

from .actions import Refused
from .frames import is_user_code
from .held_code import dictionary, file_of, functions_in, inner_codes, modules, running_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .namespace import Namespace

_MOST_NAMED = 8


def called(name: str, namespace: Namespace) -> list[CodeType]:
    """The code of the function that is meant. Raises Refused."""
    value = _value_of(name, namespace)
    return [_code_of(name, value)] if value is not _NOTHING else _by_name(name)


def listed(texts: list[str]) -> str:
    """The first of them."""
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more


_NOTHING = object()


def _value_of(name: str, namespace: Namespace) -> Any:
    """What a cell would see under this name; or a module that has it."""
    first, *rest = name.split(".")
    try:
        return _inside(namespace.lookup(first), rest)
    except LookupError:
        pass
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:count]))
        if module is not None:
            try:
                return _inside(module, parts[count:])
            except LookupError:
                continue
    return _NOTHING


def _inside(value: Any, names: list[str]) -> Any:
    """An attribute, by names, without computing anything. Raises LookupError."""
    for name in names:
        places = [dictionary(value) or {}, *(vars(kind) for kind in _kinds(value))]
        value = next((place[name] for place in places if name in place), _NOTHING)
        if value is _NOTHING:
            raise LookupError(name)
    return value


def _kinds(value: Any) -> tuple[type, ...]:
    kinds: tuple[type, ...] = type.__getattribute__(
        value if issubclass(type(value), type) else type(value), "__mro__"
    )
    return kinds


def _code_of(name: str, value: Any) -> CodeType:
    """Of the function that is meant by a value, inside its decorators. Raises Refused."""
    own = name.rpartition(".")[2]
    if issubclass(type(value), type):
        value = next((vars(k)["__init__"] for k in _kinds(value) if "__init__" in vars(k)), value)
    elif not (found := list(functions_in({own: value}, None))) and "__call__" in vars(type(value)):
        value = vars(type(value))["__call__"]
    found = list(functions_in({own: value}, None))
    if not found:
        raise Refused(
            "NoPythonCode",
            f"{name} is {_kind_of(value)}, which is not written in Python.",
            "A breakpoint needs a function of Python, or a line.",
        )
    named = [each for each in found if each.__code__.co_name == own]
    # The last is the innermost: what a decorator has made holds what it was given.
    code: CodeType = (named or found[:1])[-1].__code__
    return code


def _kind_of(value: Any) -> str:
    return f"a {type(value).__name__}"


def _by_name(name: str) -> list[CodeType]:
    """Of the one function of the user's modules that has this name. Raises Refused."""
    found: dict[int, CodeType] = {}
    for module, names in modules():
        if is_user_code(file_of(names) or "<frozen "):
            for function in functions_in(names, module):
                for code in inner_codes(function.__code__):
                    if _ends_with(code, name):
                        found[id(code)] = code
    for running in running_codes():
        for code in inner_codes(running):
            if _ends_with(code, name) and is_user_code(code.co_filename):
                found[id(code)] = code
    places = sorted({f"{code.co_filename}:{code.co_firstlineno}" for code in found.values()})
    if not places:
        raise Refused(
            "FunctionUnknown",
            f"Nothing in the program is called {name!r}.",
            "Name the place, as in %break app.py:12, or import the function in a cell.",
        )
    if len(places) > 1:
        raise Refused(
            "PlaceAmbiguous",
            f"{len(places)} functions are called {name!r}: {listed(places)}.",
            "Name one by its file and line, as in %break app.py:12.",
        )
    return list(found.values())


def _ends_with(code: CodeType, name: str) -> bool:
    plain = code.co_qualname.replace("<locals>.", "")
    return plain == name or plain.endswith("." + name)
