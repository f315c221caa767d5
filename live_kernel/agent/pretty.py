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
from contextlib import contextmanager
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MappingProxyType, SimpleNamespace

from .lookup import bases, class_dict, class_name, exact, full_name, is_exactly, items, own_dict
from .signatures import signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    type Handler = Callable[[Printer, Any], None]
    type Break = tuple[str, int, _Group]
    """What stands there if the line goes on, the indentation if it ends, and the group."""

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


def sendable(text: str) -> str:
    """The text as a plain str without lone surrogates, for which UTF-8 has no bytes."""
    text = str.__str__(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class _Group:
    """What is broken at all of its breaks or at none."""

    __slots__ = ("broken", "depth")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.broken = False


class Printer:
    """Writes one text. `_repr_pretty_(printer, cycle)` methods are handed it, too."""

    def __init__(self, limit: int = LIMIT, items: int = ITEMS) -> None:
        self.max_width = WIDTH
        self.indentation = 0
        self.limit = limit
        self.items = items
        self.whole = 0
        """Characters that there would have been, if they were counted."""
        self._written = 0
        self._column = 0
        self._lines: list[str] = []
        self._held: list[str | Break] = []
        self._held_width = 0
        self._groups = [_Group(0)]
        self._inside: set[int] = set()
        self.failure: Exception | SystemExit | GeneratorExit | None = None
        """What the value itself has raised, rather than one in it."""

    # What `_repr_pretty_` methods use. (The names of arguments are those of IPython.)

    def text(self, text: str) -> None:
        """Write text that is not broken."""
        if self.is_full or not text:
            return
        text = sendable(text)[: self.limit + 1]
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
            self._release(len(self._held))
            self._end_line(self.indentation)
            return
        self._held.append((sep, self.indentation, group))
        self._held_width += len(sep)
        self._fit()

    def break_(self) -> None:
        """End the line in any case, and so break all groups around."""
        for group in self._groups:
            group.broken = True
        self.breakable()

    @contextmanager
    def group(self, indent: int = 0, open: str = "", close: str = "") -> Iterator[None]:  # noqa: A002
        """A group whose continuation lines are indented by so much more."""
        self.begin_group(indent, open)
        try:
            yield
        finally:
            self.end_group(indent, close)

    indent = group

    def begin_group(self, indent: int = 0, open: str = "") -> None:  # noqa: A002
        """Begin a group."""
        self.text(open)
        self._groups.append(_Group(len(self._groups)))
        self.indentation += indent

    def end_group(self, dedent: int = 0, close: str = "") -> None:
        """End the innermost group."""
        if len(self._groups) > 1:
            self._groups.pop()
        self.indentation -= dedent
        self.text(close)

    def pretty(self, value: object) -> None:
        """Write a value. Raises nothing of its `repr`'s making."""
        if self.is_full:
            return
        if id(type(value)) in SCALARS:  # is_exactly(), for speed
            self.text(self._scalar(value))
            return
        depth, indentation = len(self._groups), self.indentation
        try:
            self._pretty(value)
        except CAUGHT as error:
            del self._groups[depth:]
            self.indentation = indentation
            self.failure = None if self._inside else error
            self.text(failure(error))

    # The parts.

    @property
    def is_full(self) -> bool:
        """Is the limit reached? Then nothing more is written."""
        return self._written > self.limit

    def finish(self) -> str:
        """The whole text."""
        self._release(len(self._held))
        text = "".join(self._lines)
        if self.is_full:
            whole = f" of {self.whole:,}" if self.whole else ""
            text = f"{text[: self.limit]}\n… truncated after {self.limit:,}{whole} characters"
        return text

    def sequence(self, items: Iterable[Any], write: Handler | None = None) -> None:
        """Write items with commas and breaks between them, the first thousand as a rule."""
        write = write or Printer.pretty
        for index, item in enumerate(items):
            if index:
                self.text(",")
                self.breakable()
            if index == self.items or self.is_full:
                self.text("...")
                return
            write(self, item)

    def _scalar(self, value: Any) -> str:
        if is_exactly(value, _SLICED) and len(value) > self.limit:
            self.cut(len(value) + 2)  # with its quotes
            value = value[: self.limit + 1]
        try:
            return repr(value)
        except ValueError as error:  # an int with more digits than Python is willing to write
            return failure(error)

    def cut(self, length: int) -> None:
        """A text of so many characters is not written to its end."""
        if not self._written:
            self.whole = length

    def _pretty(self, value: Any) -> None:
        write, short = _handler(type(value))
        if id(value) in self._inside or len(self._inside) > DEPTH:
            if write is _by_own_method:
                value._repr_pretty_(self, True)
            else:
                self.text(short)
            return
        self._inside.add(id(value))
        try:
            write(self, value)
        finally:
            self._inside.discard(id(value))

    def _fit(self) -> None:
        while self._held and self._column + self._held_width > self.max_width:
            self._release(self._break_outermost())

    def _break_outermost(self) -> int:
        """Break the outermost group with a held break, and all around it: they span lines now.

        Returns how much of what is held belongs to it, up to its last break.
        """
        breaks = [(i, b[2]) for i, b in enumerate(self._held, 1) if isinstance(b, tuple)]
        depth = min((group.depth for _, group in breaks), default=len(self._groups))
        for group in self._groups[:depth]:
            group.broken = True
        end = 0
        for index, group in breaks:
            if group.depth == depth:
                end, outermost = index, group
        if end:
            outermost.broken = True
        return end

    def _release(self, end: int) -> None:
        """Write what is held back: its broken breaks as ends of lines, the others as space.

        Text behind the last of them is not held back any longer, up to the next break.
        """
        held = self._held
        while end < len(held) and isinstance(held[end], str):
            end += 1
        released = held[:end]
        del held[:end]
        for item in released:
            text = item if isinstance(item, str) else item[0]
            self._held_width -= len(text)
            if isinstance(item, tuple) and item[2].broken:
                self._end_line(item[1])
            else:
                self._lines.append(text)
                self._column += len(text)

    def _end_line(self, indentation: int) -> None:
        self._lines.append("\n" + " " * indentation)
        self._written += 1 + indentation
        self._column = indentation


# How instances of a class are written.

_SLICED = exact(str, bytes, bytearray)
SCALARS = exact(bool, complex, float, int, type(...), type(None)) | _SLICED
"""Types whose instances are written at once."""


def _handler(cls: type) -> tuple[Handler, str]:
    """How instances of a class are written, as its first base says that says anything.

    With it comes what is written of one that contains itself, or is too deep inside others.
    """
    for base in bases(cls):
        if type(base) is type and base in _HANDLERS:
            return _HANDLERS[base], _SHORT.get(base, "<...>")
        entries = class_dict(base)
        if "_repr_pretty_" in entries and callable(entries["_repr_pretty_"]):
            return _by_own_method, ""
        if "__repr__" in entries and base is not object:
            return _by_repr, "<...>"
    return _by_address, "<...>"


def _by_own_method(printer: Printer, value: Any) -> None:
    value._repr_pretty_(printer, False)


def _by_repr(printer: Printer, value: object) -> None:
    text = str.__str__(repr(value))
    if len(text) > printer.limit:
        printer.cut(len(text))
        text = text[: printer.limit + 1]
    with printer.group():
        for index, line in enumerate(text.splitlines()):
            if index:
                printer.break_()
            printer.text(line)


def _by_address(printer: Printer, value: object) -> None:
    printer.text(f"<{full_name(type(value))} at {id(value):#x}>")


def _first(printer: Printer, iterable: Iterable[Any]) -> list[Any]:
    """What is shown of a container, and one more; copied at once, for others may change it."""
    return list(islice(iterable, printer.items + 1))


def _enclose(
    printer: Printer, brackets: str, shown: Iterable[Any], write: Handler | None = None
) -> None:
    with printer.group(1, brackets[0], brackets[1]):
        printer.sequence(shown, write)


def _write_list(printer: Printer, value: Any) -> None:
    _enclose(printer, "[]", _first(printer, list.__iter__(value)))


def _write_tuple(printer: Printer, value: Any) -> None:
    with printer.group(1, "(", ")"):
        printer.sequence(_first(printer, tuple.__iter__(value)))
        if tuple.__len__(value) == 1:
            printer.text(",")


def _write_dict(printer: Printer, value: Any) -> None:
    _enclose(printer, "{}", items(value, printer.items + 1), _write_pair)


def _write_pair(printer: Printer, pair: tuple[Any, Any]) -> None:
    printer.pretty(pair[0])
    printer.text(": ")
    printer.pretty(pair[1])


def _write_set(printer: Printer, value: Any) -> None:
    base = set if issubclass(type(value), set) else frozenset
    shown = _first(printer, base.__iter__(value))
    kinds = {id(type(item)) for item in shown}
    if len(kinds) == 1 and kinds <= _ORDERED:  # sorting runs no code of the program
        shown.sort()
    braces = partial(_enclose, printer, "{}", shown)
    if type(value) is set and shown:
        braces()
    else:
        _call(printer, value, *[braces] * bool(shown))


_ORDERED = exact(int, str, bytes, float)


def _call(printer: Printer, value: object, *write: Callable[[], None], name: str = "") -> None:
    """Write a value as a call of its class; `write` writes the arguments."""
    name = name or class_name(type(value)).rpartition(".")[2]
    with printer.group(len(name) + 1, f"{name}(", ")"):
        printer.sequence(write, lambda _, write_one: write_one())


def _write_deque(printer: Printer, value: Any) -> None:
    shown = _first(printer, deque.__iter__(value))
    length = [partial(printer.text, f"maxlen={value.maxlen}")] * (value.maxlen is not None)
    _call(printer, value, partial(_enclose, printer, "[]", shown), *length)


def _write_view(printer: Printer, value: Any) -> None:
    _call(printer, value, partial(_enclose, printer, "[]", _first(printer, value)))


def _write_mapping(printer: Printer, value: Any) -> None:
    """One of those that are written as a call, with a dict as the last argument."""
    kind, pairs = type(value), items(value, printer.items + 1)
    if issubclass(kind, Counter):
        try:
            pairs = Counter.most_common(value, printer.items + 1)
        except TypeError:  # counts that can't be compared
            pass
    write = [partial(_enclose, printer, "{}", pairs, _write_pair)]
    if issubclass(kind, defaultdict):
        write.insert(0, partial(printer.pretty, value.default_factory))
    elif issubclass(kind, dict) and not pairs:
        write = []
    _call(printer, value, *write)


def _write_namespace(printer: Printer, value: Any) -> None:
    name = "namespace" if type(value) is SimpleNamespace else ""
    pairs = items(own_dict(value), printer.items + 1)
    _call(printer, value, *(partial(_write_keyword, printer, *pair) for pair in pairs), name=name)


def _write_keyword(printer: Printer, name: str, value: object) -> None:
    with printer.group(len(name) + 1, f"{name}="):
        printer.pretty(value)


def _write_exception(printer: Printer, value: Any) -> None:
    write = (partial(printer.pretty, argument) for argument in _args_of(value))
    _call(printer, value, *write, name=full_name(type(value)))


_args_of: Callable[[object], tuple[object, ...]] = BaseException.__dict__["args"].__get__


def _write_function(printer: Printer, value: Any) -> None:
    name = value.__qualname__
    if type(value.__module__) is str and value.__module__ != "builtins":
        name = f"{value.__module__}.{name}"
    printer.text(f"<function {name}{signature(value, annotated=True)}>")


_HANDLERS: dict[type, Handler] = {
    list: _write_list,
    tuple: _write_tuple,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_set,
    deque: _write_deque,
    defaultdict: _write_mapping,
    OrderedDict: _write_mapping,
    Counter: _write_mapping,
    MappingProxyType: _write_mapping,
    type({}.keys()): _write_view,
    type({}.values()): _write_view,
    type({}.items()): _write_view,
    SimpleNamespace: _write_namespace,
    type: lambda printer, value: printer.text(full_name(value)),
    FunctionType: _write_function,
    BuiltinFunctionType: _write_function,
    BaseException: _write_exception,
}

_SHORT: dict[type, str] = {list: "[...]", tuple: "(...)", dict: "{...}"}
