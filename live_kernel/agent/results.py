"""What calls of built-in functions and methods give, for want of annotations.

Runs in the target, on the thread `control`. Rule: a class is named only where
every call gives it; what Python annotates itself is not repeated here.
"""

from __future__ import annotations

import builtins
from types import BuiltinFunctionType, MethodDescriptorType

from .lookup import bases, exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SAME = (
    "capitalize casefold center copy difference expandtabs intersection join ljust lower lstrip "
    "removeprefix removesuffix replace rjust rstrip strip swapcase symmetric_difference title "
    "translate union upper zfill"
)
"""Methods of built-in types whose result is of their own type."""

_METHODS: dict[type, dict[type, str]] = {
    str: {
        list: "rsplit split splitlines",
        tuple: "partition rpartition",
        str: "format format_map",
        bytes: "encode",
        int: "count find index rfind rindex",
    },
    bytes: {
        list: "rsplit split splitlines",
        tuple: "partition rpartition",
        str: "decode hex",
        int: "count find index rfind rindex",
    },
    dict: {
        type({}.items()): "items",
        type({}.keys()): "keys",
        type({}.values()): "values",
        tuple: "popitem",
    },
    list: {int: "count index"},
    tuple: {int: "count index"},
    int: {int: "bit_count bit_length conjugate", bytes: "to_bytes", tuple: "as_integer_ratio"},
    float: {str: "hex", bool: "is_integer", tuple: "as_integer_ratio"},
}

_FUNCTIONS: dict[type, str] = {
    str: "ascii bin chr format hex input oct repr",
    list: "dir sorted",
    int: "hash id len ord",
    bool: "all any callable hasattr isinstance issubclass",
    dict: "globals locals vars",
    tuple: "divmod",
}

_SELF = dict.fromkeys(_SAME.split())


def built_in_result(called: Any) -> type | None:
    """The class of what a built-in function or method returns, if it is always the same one."""
    if type(called) is MethodDescriptorType:
        return _of_method(called.__objclass__, called.__name__)
    if type(called) is not BuiltinFunctionType:
        return None
    if called is builtins.open:
        import io

        return io.TextIOWrapper  # as a rule: it depends on the mode
    owner = called.__self__
    if owner is not builtins:
        return _of_method(type(owner), called.__name__)
    return _found(_FUNCTIONS, called.__name__)


def _of_method(cls: type, name: str) -> type | None:
    for base in bases(cls):
        if id(base) in _KINDS:
            return base if name in _SELF else _found(_METHODS.get(base, {}), name)
    return None


_KINDS = exact(*_METHODS, bytearray, set, frozenset)


def _found(table: dict[type, str], name: str) -> type | None:
    return next((cls for cls, names in table.items() if name in names.split()), None)
