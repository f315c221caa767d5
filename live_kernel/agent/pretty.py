"""A value as text, as a user of IPython expects it.

Runs in the target on the thread of a cell, on `control` for inspection.
Rule: what a `repr` of the program raises becomes part of the text, and the text
is bounded. Only an interrupt (KeyboardInterrupt, or what else is no Exception)
passes through, because the reason for it may be this very repr.

The layout is Oppen's. Text is held back in a line as long as it is not known
whether the group around it fits; when the line overflows, the outermost group
with a break in that line is broken, at all of its breaks.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MappingProxyType, SimpleNamespace

from .lookup import (
    bases,
    class_dict,
    class_name,
    exact,
    full_name,
    is_exactly,
    items,
    own_dict,
)
from .signatures import signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    type Handler = Callable[[Printer, Any], None]

WIDTH = 79
ITEMS = 1000
"""So many items of a container are shown."""

LIMIT = 1_000_000
"""Characters of a whole text."""

DEPTH = 80
"""Containers in containers; each costs several frames of a stack that we share."""

CAUGHT = (Exception, SystemExit, GeneratorExit)
"""What a `repr` may raise without ending more than itself."""


def pretty(value: object, limit: int = LIMIT) -> str:
    """The text/plain of a value."""
    printer = Printer(limit)
    printer.pretty(value)
    return printer.finish()


def failure(error: BaseException) -> str:
    """What stands in the place of a text that could not be had."""
    name = class_name(type(error))
    try:
        text = str(error)
    except CAUGHT:
        text = "(and its text can't be shown either)"
    return f"<repr failed: {name}: {text[:500]}>"


class _Break:
    """A place where the line may end: otherwise `space` stands there."""

    __slots__ = ("group", "indentation", "space")

    def __init__(self, space: str, indentation: int, group: _Group) -> None:
        self.space = space
        self.indentation = indentation
        self.group = group


class _Group:
    """What is broken at all of its breaks or at none. As a context manager it closes itself."""

    __slots__ = ("broken", "close", "depth", "indent", "printer")

    def __init__(self, printer: Printer, depth: int, indent: int, close: str) -> None:
        self.printer = printer
        self.depth = depth
        self.indent = indent
        self.close = close
        self.broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.printer.end_group(self.indent, self.close)


class Printer:
    """Writes one text. `_repr_pretty_(printer, cycle)` methods are handed it, too."""

    def __init__(self, limit: int = LIMIT, width: int = WIDTH) -> None:
        self.max_width = width
        self.indentation = 0
        self._limit = limit
        self._written = 0
        self._column = 0
        self._lines: list[str] = []
        self._held: list[str | _Break] = []
        self._held_width = 0
        self._groups = [_Group(self, 0, 0, "")]
        self._inside: set[int] = set()

    # What `_repr_pretty_` methods use.

    def text(self, text: str) -> None:
        """Write text that is not broken."""
        if self.is_full or not text:
            return
        text = _exact(text)[: self._limit + 1]
        self._written += len(text)
        if self._held:
            self._held.append(text)
            self._held_width += len(text)
            self._fit()
        else:
            self._lines.append(text)
            self._column += len(text)

    def breakable(self, sep: str = " ") -> None:
        """Write `sep`, or end the line if the group does not fit in it."""
        if self.is_full:
            return
        group = self._groups[-1]
        if group.broken:
            self._release()
            self._end_line(self.indentation)
            return
        self._held.append(_Break(sep, self.indentation, group))
        self._held_width += len(sep)
        self._fit()

    def break_(self) -> None:
        """End the line in any case, and so break all groups around."""
        for group in self._groups:
            group.broken = True
        self._release()
        self._end_line(self.indentation)

    def group(self, indent: int = 0, open: str = "", close: str = "") -> _Group:  # noqa: A002
        """A group, as a context manager. (The names of arguments are those of IPython.)"""
        return self.begin_group(indent, open, close)

    def begin_group(self, indent: int = 0, open: str = "", close: str = "") -> _Group:  # noqa: A002
        """Begin a group whose continuation lines are indented by so much more."""
        self.text(open)
        group = _Group(self, len(self._groups), indent, close)
        self._groups.append(group)
        self.indentation += indent
        return group

    def end_group(self, dedent: int = 0, close: str = "") -> None:
        """End the innermost group."""
        if len(self._groups) > 1:
            self._groups.pop()
        self.indentation -= dedent
        self.text(close)

    def indent(self, indent: int) -> _Group:
        """Indent the lines that begin in this context, which is a group as well."""
        return self.begin_group(indent)

    def pretty(self, value: object) -> None:
        """Write a value. Raises nothing of its `repr`'s making."""
        if self.is_full:
            return
        if id(type(value)) in SCALARS:  # is_exactly(), for speed
            self.text(_scalar(value, self.room))
            return
        depth, indentation = len(self._groups), self.indentation
        try:
            self._pretty(value)
        except CAUGHT as error:
            del self._groups[depth:]
            self.indentation = indentation
            self.text(failure(error))

    # The parts.

    @property
    def room(self) -> int:
        """So many characters may still be written."""
        return max(0, self._limit - self._written)

    @property
    def is_full(self) -> bool:
        """Is the limit reached? Then nothing more is written."""
        return self._written > self._limit

    def finish(self) -> str:
        """The whole text."""
        self._release()
        text = "".join(self._lines)
        if self.is_full:
            text = f"{text[: self._limit]}\n… truncated after {self._limit:,} characters"
        return text

    def sequence(self, items: Sequence[object], write: Handler | None = None) -> None:
        """Write items with commas and breaks between them, the first thousand."""
        write = write or Printer.pretty
        for index, item in enumerate(items):
            if index:
                self.text(",")
                self.breakable()
            if index == ITEMS or self.is_full:
                self.text("...")
                return
            write(self, item)

    def _pretty(self, value: object) -> None:
        handler = _handler(type(value))
        if id(value) in self._inside or len(self._inside) > DEPTH:
            _short_for(self, value, handler)
            return
        self._inside.add(id(value))
        try:
            handler(self, value)
        finally:
            self._inside.discard(id(value))

    def _fit(self) -> None:
        while self._held and self._column + self._held_width > self.max_width:
            self._release(self._break_outermost())

    def _break_outermost(self) -> int:
        """Break the outermost group with a held break, and all around it: they span lines now.

        Returns how much of what is held belongs to it, up to its last break.
        """
        breaks = [(i, b.group) for i, b in enumerate(self._held, 1) if isinstance(b, _Break)]
        depth = min((group.depth for _, group in breaks), default=len(self._groups))
        for group in self._groups[:depth]:
            group.broken = True
        end, outermost = max(((i, g) for i, g in breaks if g.depth == depth), default=(0, None))
        if outermost:
            outermost.broken = True
        return end

    def _release(self, count: int | None = None) -> None:
        """Write what is held back: its broken breaks as ends of lines, the others as space.

        Text behind the last of them is not held back any longer, up to the next break.
        """
        held = self._held
        end = len(held) if count is None else count
        while end < len(held) and not isinstance(held[end], _Break):
            end += 1
        released = held[:end]
        del held[:end]
        for item in released:
            text = item.space if isinstance(item, _Break) else item
            self._held_width -= len(text)
            if isinstance(item, _Break) and item.group.broken:
                self._end_line(item.indentation)
            else:
                self._lines.append(text)
                self._column += len(text)

    def _end_line(self, indentation: int) -> None:
        self._lines.append("\n" + " " * indentation)
        self._written += 1 + indentation
        self._column = indentation


# What is written at once.

_SLICED = exact(str, bytes, bytearray)
SCALARS = exact(bool, complex, float, int, type(...), type(None)) | _SLICED


def _scalar(value: Any, limit: int) -> str:
    if is_exactly(value, _SLICED) and len(value) > limit:
        value = value[: limit + 1]
    try:
        return repr(value)
    except ValueError as error:  # an int with more digits than Python is willing to write
        return failure(error)


def _exact(text: str) -> str:
    """The text as a plain str without lone surrogates, which could not be sent."""
    text = str.__str__(text)
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


# Classes, and how their instances are written.


def _handler(cls: type) -> Handler:
    """How instances of a class are written: as its first base says that says anything."""
    for base in bases(cls):
        handler = _HANDLERS.get(base) if type(base) is type else None
        if handler is not None:
            return handler
        entries = class_dict(base)
        if "_repr_pretty_" in entries and callable(entries["_repr_pretty_"]):
            return _by_own_method
        if "__repr__" in entries and base is not object:
            return _by_repr
    return _by_address


def _short_for(printer: Printer, value: object, handler: Handler) -> None:
    """Write a value that contains itself, or is too deep inside others."""
    if handler is _by_own_method:
        value._repr_pretty_(printer, True)  # type: ignore[attr-defined]
        return
    brackets = _BRACKETS.get(handler, ("<", ">"))
    printer.text("...".join(brackets))


def _by_own_method(printer: Printer, value: Any) -> None:
    value._repr_pretty_(printer, False)


def _by_repr(printer: Printer, value: object) -> None:
    text = str.__str__(repr(value))[: printer.room + 1]
    with printer.group():
        for index, line in enumerate(text.splitlines()):
            if index:
                printer.break_()
            printer.text(line)


def _by_address(printer: Printer, value: object) -> None:
    printer.text(f"<{full_name(type(value))} at {id(value):#x}>")


def _name(value: object) -> str:
    return class_name(type(value)).rpartition(".")[2]


def _list_like(base: Any, start: str, end: str) -> Handler:
    def write(printer: Printer, value: Any) -> None:
        shown = list(islice(base.__iter__(value), ITEMS + 1))
        with printer.group(1, start, end):
            printer.sequence(shown)
            if base is tuple and len(shown) == 1:
                printer.text(",")

    return write


def _write_dict(printer: Printer, value: Any) -> None:
    _write_pairs(printer, items(value, ITEMS + 1))


def _write_pairs(printer: Printer, pairs: list[tuple[Any, Any]]) -> None:
    with printer.group(1, "{", "}"):
        printer.sequence(pairs, _write_pair)


def _write_pair(printer: Printer, pair: Any) -> None:
    printer.pretty(pair[0])
    printer.text(": ")
    printer.pretty(pair[1])


def _call(printer: Printer, name: str) -> _Group:
    return printer.group(len(name) + 1, f"{name}(", ")")


def _write_set(printer: Printer, value: Any) -> None:
    shown = _in_order(list(islice(set.__iter__(value), ITEMS + 1)))
    if type(value) is set and shown:
        _write_braces(printer, shown)
        return
    with _call(printer, _name(value)):
        if shown:
            _write_braces(printer, shown)


def _write_frozenset(printer: Printer, value: Any) -> None:
    shown = _in_order(list(islice(frozenset.__iter__(value), ITEMS + 1)))
    with _call(printer, _name(value)):
        if shown:
            _write_braces(printer, shown)


def _write_braces(printer: Printer, shown: list[Any]) -> None:
    with printer.group(1, "{", "}"):
        printer.sequence(shown)


def _in_order(shown: list[Any]) -> list[Any]:
    """Items of a set, sorted where that runs no code of the program and means something."""
    kinds = {id(type(item)) for item in shown}
    return sorted(shown) if len(kinds) == 1 and kinds <= _ORDERED else shown


_ORDERED = exact(int, str, bytes, float)


def _write_deque(printer: Printer, value: Any) -> None:
    with _call(printer, _name(value)):
        with printer.group(1, "[", "]"):
            printer.sequence(list(islice(deque.__iter__(value), ITEMS + 1)))
        if value.maxlen is not None:
            printer.text(",")
            printer.breakable()
            printer.text(f"maxlen={value.maxlen}")


def _write_defaultdict(printer: Printer, value: Any) -> None:
    with _call(printer, _name(value)):
        printer.pretty(value.default_factory)
        printer.text(",")
        printer.breakable()
        _write_dict(printer, value)


def _write_ordered(printer: Printer, value: Any) -> None:
    with _call(printer, _name(value)):
        if value:
            _write_dict(printer, value)


def _write_counter(printer: Printer, value: Any) -> None:
    try:
        pairs = Counter.most_common(value, ITEMS + 1)
    except TypeError:  # counts that can't be compared
        pairs = items(value, ITEMS + 1)
    with _call(printer, _name(value)):
        if pairs:
            _write_pairs(printer, pairs)


def _write_proxy(printer: Printer, value: Any) -> None:
    with _call(printer, _name(value)):
        _write_pairs(printer, list(islice(value.items(), ITEMS + 1)))


def _write_view(printer: Printer, value: Any) -> None:
    with _call(printer, _name(value)), printer.group(1, "[", "]"):
        printer.sequence(list(islice(value, ITEMS + 1)))


def _write_namespace(printer: Printer, value: Any) -> None:
    name = "namespace" if type(value) is SimpleNamespace else _name(value)
    with _call(printer, name):
        printer.sequence(items(own_dict(value), ITEMS + 1), _write_keyword)


def _write_keyword(printer: Printer, pair: Any) -> None:
    name = f"{pair[0]}="
    with printer.group(len(name), name):
        printer.pretty(pair[1])


def _write_class(printer: Printer, value: Any) -> None:
    printer.text(full_name(value))


def _write_function(printer: Printer, value: Any) -> None:
    module = value.__module__
    name = value.__qualname__
    if type(module) is str and module != "builtins":
        name = f"{module}.{name}"
    printer.text(f"<function {name}{signature(value, annotated=True)}>")


def _write_exception(printer: Printer, value: Any) -> None:
    with _call(printer, full_name(type(value))):
        printer.sequence(_args_of(value))


_args_of: Callable[[object], tuple[object, ...]] = BaseException.__dict__["args"].__get__

_HANDLERS: dict[type, Handler] = {
    list: _list_like(list, "[", "]"),
    tuple: _list_like(tuple, "(", ")"),
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_frozenset,
    deque: _write_deque,
    defaultdict: _write_defaultdict,
    OrderedDict: _write_ordered,
    Counter: _write_counter,
    MappingProxyType: _write_proxy,
    type({}.keys()): _write_view,
    type({}.values()): _write_view,
    type({}.items()): _write_view,
    SimpleNamespace: _write_namespace,
    type: _write_class,
    FunctionType: _write_function,
    BuiltinFunctionType: _write_function,
    BaseException: _write_exception,
}

_BRACKETS: dict[Handler, tuple[str, str]] = {
    _HANDLERS[list]: ("[", "]"),
    _HANDLERS[tuple]: ("(", ")"),
    _write_dict: ("{", "}"),
    _write_set: ("{", "}"),
    _write_deque: ("[", "]"),
}
