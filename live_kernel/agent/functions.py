"""Finding a function by the name that a user has for it: for `%break`, `%trace` and `%patch`.

Runs in the target, on a cell's thread. `app.price`, `app.Order.total` or `price` means
what a cell sees under that name, else what a loaded module has; and where only its code is
wanted, else the one function of the user's modules whose qualified name ends so, such as
one within another. Rule: attributes are read from memory; no property and no `__getattr__`
of the program is run for it.
"""

from __future__ import annotations

import builtins
import sys
from types import FunctionType, MethodType, ModuleType

from . import code_objects
from .actions import Refused
from .brief import brief, listed
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
from .signatures import plain_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
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
    found = _sought(name, namespace)
    if found is None:
        raise _unknown(name)
    return found


def _sought(name: str, namespace: Namespace) -> Found | None:
    """What a cell sees, or a module has; None if there is nothing. Raises Refused."""
    parts = _parts(name)
    try:
        first = namespace.lookup(parts[0])
    except KeyError:
        first = vars(builtins).get(parts[0], ABSENT)
    found = None if first is ABSENT else _walk(first, parts, 1)
    for count in range(len(parts) - 1, 0, -1):
        if found is not None:
            break
        module = _module_called(".".join(parts[:count]))
        if module is not None:
            found = _walk(module, parts, count)
    return found


def _module_called(name: str) -> Any:
    """The loaded module of this name, or the main one, if it was started by it: `python -m NAME`,
    or `python NAME.py`. None if there is none.
    """
    module = sys.modules.get(name)
    main = sys.modules.get("__main__")
    if module is not None or main is None:
        return module
    spec, file = own_entry(main, "__spec__"), own_entry(main, "__file__")
    names = [getattr(spec, "name", None)]
    if spec in (None, ABSENT) and type(file) is str:
        names.append(file.rpartition("/")[2].removesuffix(".py"))
    return main if name in names else None


def _unknown(name: str) -> Refused:
    return Refused(
        "NoSuchFunction",
        f"There is no {name!r}, neither for a cell nor in a loaded module.",
        "A module that the program has not loaded can be imported in a cell first.",
    )


def _parts(name: str) -> list[str]:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise Refused(
            "NoSuchFunction",
            f"{name!r} is no name of a function.",
            "For example: module.function, module.Class.method",
        )
    return parts


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


class Code:
    """The code that runs when a function is called, and what the user should know of it.

    `objects`: where a module has been loaded anew, what runs still may be older code.
    """

    def __init__(self, name: str, objects: list[CodeType], notes: list[str]) -> None:
        self.name, self.objects, self.notes = name, objects, notes
        if {*objects[0].co_freevars} - {"__class__"}:  # which `super()` needs
            notes.append("it is a closure: this is about all that the same lines have made")


def code_of(name: str, namespace: Namespace) -> Code:
    """The code of the function that a user means by this name. Raises Refused."""
    name = name.replace("<locals>.", "")
    found = _sought(name, namespace)
    if found is not None:
        return Code(name, [_innermost(found).__code__], found.notes)
    objects = code_objects.with_qualified_name(name)
    places = sorted({f"{code.co_filename}:{code.co_firstlineno}" for code in objects})
    if not places:
        raise _unknown(name)
    if len(places) > 1:
        raise Refused(
            "AmbiguousFunction",
            f"{len(places)} functions are called {name!r}: {listed(places)}.",
            "Name its module, class or outer function, too; %break takes app.py:12 as well.",
        )
    return Code(name, objects, [])


def _innermost(found: Found) -> FunctionType:
    """The Python function that is called in the end, behind decorators. Raises Refused."""
    function = found.function
    if is_a(function, type):
        made = type_entry(function, "__init__")
        if type(made) is not FunctionType:
            raise _no_code(found, f"is a class without a Python `__init__`: {brief(function)}")
        found.notes.append(f"{found.name} is a class: this is about its __init__")
        return made
    plain = _behind_decorators(function, found.name.rpartition(".")[2])
    if plain is None:
        called = type_entry(type(function), "__call__")
        plain = called if type(called) is FunctionType else None
        if plain is None:
            raise _no_code(found, f"has no Python code: it is {brief(function)}")
        found.notes.append(f"{found.name} is an object: this is about its class's __call__")
    elif plain is not function:
        how = f"decorated: this is about {_name_of(plain)}"
        if class_name(type(function)) == "_lru_cache_wrapper":
            how = "a cached function: calls that the cache answers are not seen"
        found.notes.append(f"{found.name} is {how}")
    return plain


def _behind_decorators(function: Any, name: str) -> FunctionType | None:
    """The function that is wrapped, or else held, under its own name; None if there is none."""
    plain = plain_function(function)
    is_named_so = plain is not None and plain.__code__.co_name == name
    # What has the name may still be what somebody has put around it, under its name.
    depth = 1 if is_named_so else code_objects.DEEPEST
    held = code_objects.functions_in({name: plain or function}, None, depth)
    named = [each for each in held if each.__code__.co_name == name]
    # The last is the innermost: what a decorator has made holds what it was given.
    return named[-1] if named else plain


def _name_of(function: FunctionType) -> str:
    """`price() at app.py:12`."""
    code = function.__code__
    file = code.co_filename.rpartition("/")[2]
    return f"{function.__qualname__}() at {file}:{code.co_firstlineno}"


def _no_code(found: Found, why: str) -> Refused:
    return Refused(
        "NotAPythonFunction",
        f"{found.name} {why}",
        "Only functions that are written in Python can be traced, or stopped in.",
    )
