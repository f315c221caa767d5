"""Finding a function by the name that a user has for it.

Runs in the target, on a cell's thread. `app.price`, `app.Order.total` or `price` means
what a cell sees under that name, else what a loaded module has. Rule: attributes are
read from memory; no property and no `__getattr__` of the program is run for it.
"""

from __future__ import annotations

import builtins
import sys
from types import FunctionType, MethodType, ModuleType

from .actions import Refused
from .brief import brief
from .lookup import (
    ABSENT,
    bases,
    class_dict,
    class_name,
    getter_of,
    is_a,
    own_entry,
    read_attribute,
    type_entry,
    wrapped_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .namespace import Namespace


class Found:
    """What stands under a name: the `entry` as it is in memory, and the `function` in it.

    `home`: the class that has it, if one does. `notes`: what the user should know of it.
    `is_of_one_object`: an object has it to itself, which is neither module nor class.
    """

    def __init__(self, name: str, entry: Any, home: type | None = None) -> None:
        self.name, self.entry, self.home = name, entry, home
        self.is_of_one_object = False
        self.notes: list[str] = []
        self.function: Any = self._function()

    def _function(self) -> Any:
        entry = self.entry
        getter = getter_of(entry)
        if getter is not ABSENT:
            self.notes.append(f"{self.name} is a property: this is about its getter")
            return getter
        if type(entry) is MethodType:
            owner = type(entry.__self__)
            self.notes.append(f"{self.name} is a method: this is about all that share it, not only")
            self.notes[-1] += f" about that of one {class_name(owner)}"
            return entry.__func__
        return wrapped_function(entry)


def find(name: str, namespace: Namespace) -> Found:
    """What a user means by this name. Raises Refused."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise Refused(
            "NoSuchFunction",
            f"{name!r} is no name of a function.",
            "For example: module.function, module.Class.method",
        )
    try:
        first = namespace.lookup(parts[0])
    except KeyError:
        first = vars(builtins).get(parts[0], ABSENT)
    found = None if first is ABSENT else _walk(first, parts, 1)
    for count in range(len(parts) - 1, 0, -1):
        if found is not None:
            break
        module = sys.modules.get(".".join(parts[:count]))
        if module is not None:
            found = _walk(module, parts, count)
    if found is None:
        raise Refused(
            "NoSuchFunction",
            f"There is no {name!r}, neither for a cell nor in a loaded module.",
            "A module that the program has not loaded can be imported in a cell first.",
        )
    return found


def _walk(owner: Any, parts: list[str], position: int) -> Found | None:
    """What is found from here on; None if there is no such attribute."""
    name = ".".join(parts)
    if position == len(parts):
        return Found(name, owner)
    for part in parts[position:-1]:
        owner = read_attribute(owner, part)
        if owner is ABSENT:
            return None
    last = parts[-1]
    cls = owner if is_a(owner, type) else type(owner)
    if not is_a(owner, type) and own_entry(owner, last) is not ABSENT:
        found = Found(name, own_entry(owner, last))
        found.is_of_one_object = not is_a(owner, ModuleType)
        return found
    entry = type_entry(cls, last)
    if entry is ABSENT:
        return None
    home = next(base for base in bases(cls) if last in class_dict(base))
    found = Found(name, entry, home)
    if home is not cls:
        found.notes.append(f"{name} is inherited: it is {class_name(home)}.{last}")
    elif cls is not owner:
        found.notes.append(f"{name} is that of all instances of {class_name(cls)}")
    return found


def innermost(found: Found) -> FunctionType:
    """The Python function that is called in the end, behind decorators. Raises Refused."""
    from .signatures import plain_function

    function = found.function
    if is_a(function, type):
        made = type_entry(function, "__init__")
        if type(made) is not FunctionType:
            raise _no_code(found, f"is a class without a Python `__init__`: {brief(function)}")
        found.notes.append(f"{found.name} is a class: this is about its __init__")
        return made
    plain = plain_function(function)
    if plain is None:
        called = type_entry(type(function), "__call__")
        plain = called if type(called) is FunctionType else None
        if plain is None:
            raise _no_code(found, f"has no Python code: it is {brief(function)}")
        found.notes.append(f"{found.name} is an object: this is about its class's __call__")
    elif plain is not function:
        kind = class_name(type(function))
        how = "a cached function: calls that the cache answers are not seen" * (
            kind == "_lru_cache_wrapper"
        )
        found.notes.append(f"{found.name} is {how or f'decorated: this is about {name_of(plain)}'}")
    return plain


def name_of(function: FunctionType) -> str:
    """`price() at app.py:12`."""
    code = function.__code__
    file = code.co_filename.rpartition("/")[2]
    return f"{function.__qualname__}() at {file}:{code.co_firstlineno}"


def _no_code(found: Found, why: str) -> Refused:
    return Refused(
        "NotAPythonFunction",
        f"{found.name} {why}",
        "Only functions that are written in Python can be traced.",
    )
