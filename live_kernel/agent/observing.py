"""Expressions of a session that only looks: `%watch`, `if` and `--log`, read from memory.

Runs in the target, on a worker's thread, or on the program's in the middle of what it does;
loaded late, by such a session alone. What an expression may be made of is checked before it
is begun; what it meets is read as `lookup.py` does. Rule: no code of the program's or of the
user's is run, be it a call, a property, an operator or a `__repr__`; where only code could
tell, NotRead says so. One thing is left: the keys of a dictionary in which something is
looked up may compare themselves.
"""

from __future__ import annotations

import builtins
import operator
from collections import deque

from .actions import Refused
from .compiling import ONLY_AST
from .lookup import ABSENT, Unread, class_name, exact, is_a, is_exactly, read_attribute, type_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Names = Mapping[str, Any]

_SCALARS = exact(int, float, bool, str, bytes, type(None))
_NUMBERS = exact(int, float, bool)
_BOUNDS = exact(int, type(None))
_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, range)
_TABLES = exact(dict, list, tuple, str, bytes, range, deque)

_NODES = frozenset(
    {
        *("Name", "Constant", "Attribute", "Subscript", "Slice", "Tuple", "List", "Load", "Call"),
        *("UnaryOp", "Not", "USub", "UAdd", "BoolOp", "And", "Or", "IfExp"),
        *("BinOp", "Add", "Sub", "Mult", "Div", "FloorDiv", "Mod"),
        *("Compare", "Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "Is", "IsNot", "In", "NotIn"),
    }
)
"""Of what an expression may be made (see `ast`)."""

_CALLED = ("len", "type", "sum", "min", "max")

_ALLOWED = (
    "It may have names, attributes, items, literals, comparisons, arithmetic and len(), type(), "
    "sum(), min(), max() of what is built in."
)


class NotRead(Exception):
    """Only code of the program could tell what is wanted."""


class Expression:
    """An expression that fits. Raises Refused for one that does not, or is none."""

    def __init__(self, text: str) -> None:
        try:
            tree: Any = compile(text, "<expression>", "eval", ONLY_AST, dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise Refused("ExpressionInvalid", f"{text!r} is no expression: {error}") from None
        self._body = tree.body
        self.items = _items(self._body, text)
        _check(self._body, text)

    def value(self, names: Names) -> Any:
        """What it is now. Raises NotRead, or what Python raises for such things."""
        return _read(self._body, names)


def _items(body: Any, text: str) -> list[str]:
    """As what the items of a tuple are written, if it is one."""
    raw = text.encode()
    items = body.elts if type(body).__name__ == "Tuple" else []
    return [raw[each.col_offset : each.end_col_offset].decode() for each in items]


def _check(node: Any, text: str) -> None:
    kind = type(node).__name__
    if kind not in _NODES or (kind == "Call" and not _is_known_call(node)):
        what = "calls something" if kind == "Call" else f"has a {kind} in it"
        raise Refused(
            "OnlyLooks",
            f"{text!r} {what}: this session only looks at the program, and runs no code in it.",
            _ALLOWED,
        )
    inner = node.args if kind == "Call" else [getattr(node, name) for name in node._fields]
    for each in inner:
        for child in each if type(each) is list else [each]:
            if hasattr(child, "_fields"):
                _check(child, text)


def _is_known_call(node: Any) -> bool:
    is_plain = len(node.args) == 1 and not node.keywords
    return is_plain and getattr(node.func, "id", "") in _CALLED


def _read(node: Any, names: Names) -> Any:
    return _READERS[type(node).__name__](node, names)


def _name(node: Any, names: Names) -> Any:
    try:
        return names[node.id]
    except KeyError:
        raise NameError(f"name {node.id!r} is not defined") from None


def _attribute(node: Any, names: Names) -> Any:
    owner = _read(node.value, names)
    found = read_attribute(owner, node.attr)
    kind = class_name(owner if is_a(owner, type) else type(owner))
    if found is ABSENT:
        raise AttributeError(f"{kind!r} has no attribute {node.attr!r} of its own")
    if type(found) is Unread:
        raise NotRead(f"{kind}.{node.attr} is computed, which would run code of the program")
    return found


def _item(node: Any, names: Names) -> Any:
    owner, key = _read(node.value, names), _read(node.slice, names)
    if not (is_exactly(owner, _TABLES) or _keeps(owner, dict, "__getitem__", "__missing__")):
        raise NotRead(f"an item of {_kind(owner)} would run its code")
    if not (is_exactly(key, _SCALARS) or type(key) is slice or _is_plain(key)):
        raise NotRead(f"{_kind(key)} as a key would run its code")
    return dict.__getitem__(owner, key) if is_a(owner, dict) else owner[key]


def _is_plain(key: object) -> bool:
    """A tuple of what is plain: it compares itself without anybody's code."""
    return type(key) is tuple and all(is_exactly(each, _SCALARS) for each in key)


def _keeps(owner: object, base: type, *methods: str) -> bool:
    """Does its class do these as the built-in one does, such as a dictionary that counts?"""
    if not is_a(owner, base):
        return False
    return all(type_entry(type(owner), name) is type_entry(base, name) for name in methods)


def _slice(node: Any, names: Names) -> slice:
    parts = [node.lower, node.upper, node.step]
    bounds = [None if part is None else _read(part, names) for part in parts]
    if not all(is_exactly(bound, _BOUNDS) for bound in bounds):
        raise NotRead("only numbers can bound a slice here")
    return slice(*bounds)


def _call(node: Any, names: Names) -> Any:
    name, argument = node.func.id, _read(node.args[0], names)
    if _name(node.func, names) is not getattr(builtins, name):
        raise NotRead(f"{name} is the program's own here, which would run its code")
    if name == "type":
        return type(argument)
    if name == "len":
        return _length(argument)
    if not is_exactly(argument, exact(list, tuple, set, frozenset, deque)):
        raise NotRead(f"{name}() of {_kind(argument)} would run its code")
    values = tuple(argument)
    if not all(is_exactly(each, _NUMBERS) for each in values):
        raise NotRead(f"{name}() is made of numbers only here")
    function: Callable[[Sequence[float]], float] = getattr(builtins, name)
    return function(values)


def _length(value: Any) -> int:
    for base in _SIZED:
        if _keeps(value, base, "__len__"):
            return base.__len__(value)
    raise NotRead(f"len() of {_kind(value)} would run its code")


def truth(value: object) -> bool:
    """Does it count as true? Raises NotRead where its class says so in code."""
    if is_exactly(value, _SCALARS):
        return bool(value)
    if all(type_entry(type(value), name) is ABSENT for name in ("__bool__", "__len__")):
        return True
    return _length(value) > 0


def _unary(node: Any, names: Names) -> Any:
    value = _read(node.operand, names)
    kind = type(node.op).__name__
    if kind == "Not":
        return not truth(value)
    if not is_exactly(value, _NUMBERS):
        raise NotRead(f"the sign of {_kind(value)} would run its code")
    return -value if kind == "USub" else +value


def _bool(node: Any, names: Names) -> Any:
    ends_with = type(node.op).__name__ == "Or"
    value = None
    for each in node.values:
        value = _read(each, names)
        if truth(value) is ends_with:
            break
    return value


def _either(node: Any, names: Names) -> Any:
    return _read(node.body if truth(_read(node.test, names)) else node.orelse, names)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}


def _binary(node: Any, names: Names) -> Any:
    left, right = _read(node.left, names), _read(node.right, names)
    if not (is_exactly(left, _NUMBERS) and is_exactly(right, _NUMBERS)):
        raise NotRead(f"arithmetic with {_kind(left)} and {_kind(right)} would run their code")
    return _ARITHMETIC[type(node.op).__name__](left, right)


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}


def _compare(node: Any, names: Names) -> bool:
    left = _read(node.left, names)
    for operation, each in zip(node.ops, node.comparators, strict=True):
        right = _read(each, names)
        if not _holds(type(operation).__name__, left, right):
            return False
        left = right
    return True


def _holds(name: str, left: Any, right: Any) -> bool:
    if name in ("Is", "IsNot"):
        return (left is right) is (name == "Is")
    if name in ("In", "NotIn"):
        return _is_in(left, right) is (name == "In")
    if not (is_exactly(left, _SCALARS) and is_exactly(right, _SCALARS)):
        raise NotRead(f"comparing {_kind(left)} with {_kind(right)} would run their code")
    return _COMPARED[name](left, right)


def _is_in(value: Any, container: Any) -> bool:
    if not is_exactly(value, _SCALARS):
        raise NotRead(f"to look for {_kind(value)} would run its code")
    if is_exactly(container, exact(str, bytes, range)):
        return value in container
    if is_exactly(container, exact(list, tuple, deque)):
        return any(is_exactly(each, _SCALARS) and each == value for each in tuple(container))
    for base in (dict, set, frozenset):
        if _keeps(container, base, "__contains__"):
            return base.__contains__(container, value)
    raise NotRead(f"to look into {_kind(container)} would run its code")


def _kind(value: object) -> str:
    return class_name(type(value))


_READERS: dict[str, Callable[[Any, Names], Any]] = {
    "Name": _name,
    "Constant": lambda node, _: node.value,
    "Attribute": _attribute,
    "Subscript": _item,
    "Slice": _slice,
    "Tuple": lambda node, names: tuple(_read(each, names) for each in node.elts),
    "List": lambda node, names: [_read(each, names) for each in node.elts],
    "Call": _call,
    "UnaryOp": _unary,
    "BoolOp": _bool,
    "IfExp": _either,
    "BinOp": _binary,
    "Compare": _compare,
}
