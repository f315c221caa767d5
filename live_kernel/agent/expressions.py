"""What an expression stands for, and what could follow it.

Runs in the target, on the thread `control`.
Rule: a value is read from memory (see `lookup`). Where only a call or a property
would tell, it is not made: the answer is `Unread`, with the class that the
annotation promises. ABSENT is what nothing is known of.
"""

from __future__ import annotations

import builtins
from itertools import islice
from types import FunctionType, MethodType

from . import arrays, lookup
from .lookup import ABSENT, Unread, bases, is_a, is_exactly, own_entry, type_entry
from .signatures import notes_of, returned_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    class Names(Protocol):
        """What a cell sees, builtins aside: scratch, frame locals, frame globals."""

        def lookup(self, name: str) -> object:
            """The value of a name. Raises KeyError."""

        def names(self) -> Iterable[str]:
            """All names, in the order in which they are looked up."""

        def local_names(self) -> Iterable[str]:
            """Those of the bound function's variables."""


LENGTH_LIMIT = 10_000
"""Characters of an expression; a longer one is a literal that nobody points at."""

_WARNED_OF = r"\\[^\\'\"nrtx\n]|\b\d[\w.]*(?:and|else|for|i[fns]|not|or)"
"""What Python's parser may warn of, on the program's stderr."""

_ONLY_AST = 0x400


def read_text(text: str, names: Names) -> Any:
    """What an expression of names, attributes, subscripts and calls means."""
    import re

    if not text.strip() or len(text) > LENGTH_LIMIT or re.search(_WARNED_OF, text):
        return ABSENT
    try:
        tree: Any = compile(f"({text}\n)", "<text>", "eval", _ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError):
        return ABSENT
    return _read(tree.body, names)


def read_name(name: str, names: Names) -> Any:
    """What a name means."""
    try:
        return names.lookup(name)
    except KeyError:
        return builtins.__dict__.get(name, ABSENT)


def promised_class(value: Unread) -> type | None:
    """The class that an unread value is promised to have."""
    if value.cls is None:
        accessor = own_entry(value.entry, "_accessor")  # such as `.str` and `.dt` of pandas
        getter = lookup.getter_of(value.entry)
        value.cls = (
            accessor
            if is_a(accessor, type)
            else arrays.axis_class(value.entry) or returned_class(getter, value.owner)
        )
    return value.cls


def attribute_of(value: Any, name: str) -> Any:
    """An attribute of a value, read or not."""
    if value is ABSENT:
        return ABSENT
    if type(value) is not Unread:
        found = lookup.read_attribute(value, name)
        return _promise(arrays.column_class(value, name)) if found is ABSENT else found
    cls = promised_class(value)
    entry = ABSENT if cls is None else type_entry(cls, name)
    if cls is None or entry is ABSENT or is_exactly(entry, lookup.BUILTIN_METHODS):
        return entry
    return lookup.bind(entry, value, cls)


def entries_of(value: Any) -> dict[str, Any]:
    """The attributes to offer of a value, read or not, each with its entry."""
    if type(value) is not Unread:
        return lookup.attribute_entries(value)
    cls = promised_class(value)
    found: dict[str, Any] = {}
    for base in () if cls is None else reversed(bases(cls)):
        entries = lookup.class_dict(base)
        assigned = entries.get("__static_attributes__")  # on `self`, in methods
        found |= dict.fromkeys(assigned if type(assigned) is tuple else (), ABSENT)
        found |= dict.fromkeys(notes_of(base), ABSENT) | dict(entries)
    return found


# The parts of an expression.


def _read(node: Any, names: Names) -> Any:
    kind = type(node).__name__
    if kind in _DISPLAYS:
        return Unread(_DISPLAYS[kind])
    return _READERS[kind](node, names) if kind in _READERS else ABSENT


def _call(node: Any, names: Names) -> Any:
    called = _read(node.func, names)
    if is_a(called, type):
        return ABSENT if called is type or called is super else Unread(called)
    owner = lookup.class_of(called.__self__) if type(called) is MethodType else None
    return _promise(returned_class(called, owner))


def _item(node: Any, names: Names) -> Any:
    owner = _read(node.value, names)
    key = _read(node.slice, names)
    key = key if is_exactly(key, _CONSTANTS) else ABSENT
    method = type_entry(type(owner), "__getitem__")
    get = _SUBSCRIPTS.get(id(method))
    try:
        found = arrays.item_of(owner, key) if get is None else get(owner, key)
    except (IndexError, TypeError):
        return ABSENT
    if get is not None or found is not ABSENT:
        return found
    return _promise(arrays.column_class(owner, key) or returned_class(method, type(owner)))


def _negative(node: Any, names: Names) -> Any:
    value = _read(node.operand, names)
    return -value if type(value) is int and type(node.op).__name__ == "USub" else ABSENT


def _promise(cls: type | None) -> Any:
    return ABSENT if cls is None else Unread(cls)


_CONSTANTS = lookup.exact(str, bytes, int, bool)

_SUBSCRIPTS: dict[int, Callable[[Any, Any], Any]] = {
    id(dict.__getitem__): lambda owner, key: dict.get(owner, key, ABSENT),
    id(list.__getitem__): list.__getitem__,
    id(tuple.__getitem__): tuple.__getitem__,
    id(str.__getitem__): str.__getitem__,
    id(bytes.__getitem__): bytes.__getitem__,
}
"""How to read an item of an object whose class did not change `__getitem__`."""

_DISPLAYS = {"List": list, "Tuple": tuple, "Dict": dict, "Set": set, "JoinedStr": str}

_READERS: dict[str, Callable[[Any, Names], Any]] = {
    "Name": lambda node, names: read_name(node.id, names),
    "Constant": lambda node, _: node.value,
    "Attribute": lambda node, names: attribute_of(_read(node.value, names), node.attr),
    "Call": _call,
    "Subscript": _item,
    "UnaryOp": _negative,
}


# What can be subscripted.


def keys_of(owner: object) -> list[Any]:
    """The keys to offer for a subscript: those that the class names, or a dictionary's own."""
    fields = arrays.fields_of(owner)
    if fields:
        return fields
    function = type_entry(type(owner), "_ipython_key_completions_")
    if function is ABSENT:
        function = arrays.keys_function(owner)
    if type(function) is FunctionType:
        keys = lookup.listed(function, owner)
    elif is_a(owner, dict):
        keys = list(islice(dict.__iter__(owner), lookup.ENTRY_LIMIT))  # type: ignore[arg-type]
    else:
        return []
    return [key if type(key) is str or not is_a(key, str) else str.__str__(key) for key in keys]
