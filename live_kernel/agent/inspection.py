"""What a name stands for: `obj?`, `obj??` and the tooltip at a cursor.

Runs in the target on the thread `control`, also while a cell runs.
Rule: `inspect` raises nothing and runs no property (see `lookup`). The one thing
of the program that it runs is an instance's `repr`, whose text is bounded.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodType, ModuleType

from .completion import kind_of
from .lookup import (
    ABSENT,
    Reading,
    Scan,
    bases,
    class_dict,
    class_name,
    class_of,
    full_name,
    getter_of,
    is_a,
    is_word,
    module_name,
    own_dict,
    own_entry,
    plain_function,
    read_steps,
    read_text,
    signature,
    type_entry,
)
from .pretty import failure, pretty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .lookup import Names, Step

    type Place = tuple[str, int]

REPR_LIMIT = 2_000
DOC_LIMIT = 100_000
SOURCE_LIMIT = 400_000
"""Characters of the parts of a page."""

SUBCLASSES = 10
SIGNATURE_WIDTH = 75


def inspect(code: str, cursor: int, detail: int, names: Names) -> dict[str, Any]:
    """The page about what is at a cursor, or about what is called around it."""
    try:
        for steps in _candidates(code, max(0, min(cursor, len(code)))):
            reading = read_steps(steps, names)
            if reading is not None and reading.tells:
                return _found(reading, detail, _written(steps))
    except BaseException:  # of the program's making; there is just no page then
        pass
    return {"found": False, "data": {}}


def inspect_name(name: str, detail: int, names: Names) -> dict[str, Any]:
    """The page about an expression of names, attributes and constant subscripts."""
    try:
        reading = read_text(name, names)
        if reading is not None and reading.tells:
            return _found(reading, detail, name.strip())
    except BaseException:  # as above
        pass
    return {"found": False, "data": {}}


def _found(reading: Reading, detail: int, name: str) -> dict[str, Any]:
    page = Page(detail, name)
    page.describe(reading)
    return {"found": True, "data": {"text/plain": page.text()}}


def _candidates(code: str, cursor: int) -> Iterator[list[Step]]:
    """The expressions that may be meant, the likeliest first."""
    end = cursor
    while end < len(code) and is_word(code[end]):
        end += 1
    scan = Scan(code, end)
    if scan.string is None and not scan.in_comment:
        steps = scan.primary(end)
        while steps and steps[-1][0] == "call":
            steps.pop()
        if steps:
            yield steps
    scan = Scan(code, cursor)
    for opening in reversed(scan.open):
        if opening.text == "(":
            yield scan.primary(opening.start)


_WRITTEN = {"attribute": ".{}", "item": "[{}]", "call": "({})"}


def _written(steps: list[Step]) -> str:
    return "".join(_WRITTEN.get(kind, "{}").format(text) for kind, text in steps)


class Page:
    """The sections about one thing, in IPython's words and order."""

    def __init__(self, detail: int, name: str) -> None:
        self._detail = detail
        self._name = name
        self._sections: list[tuple[str, str]] = []

    def describe(self, reading: Reading) -> None:
        """Fill the page."""
        value = reading.value
        if not reading.is_live:
            self._unread(reading)
        elif is_a(value, type):
            self._class(value)
        elif is_a(value, ModuleType):
            self._module(value)
        elif kind_of(value) == "function":
            self._function(value)
        else:
            self._instance(value)

    def text(self) -> str:
        """The page as text, with titles in red."""
        width = max((len(title) for title, _ in self._sections), default=0)
        return "\n".join(_section(title, text, width) for title, text in self._sections)

    def _add(self, title: str, text: str) -> None:
        if text:
            self._sections.append((title, text))

    def _doc_or_source(self, thing: object, title: str = "Docstring") -> None:
        source = source_of(thing) if self._detail else ""
        if source:
            self._add("Source", source)
        else:
            self._add(title, docstring_of(thing) or "<no docstring>")

    def _function(self, value: object) -> None:
        self._add("Signature", self._signature(value))
        self._doc_or_source(value)
        self._add("File", _place_text(value))
        self._add("Type", full_name(type(value)))

    def _class(self, value: Any) -> None:
        self._add("Init signature", self._signature(value))
        self._doc_or_source(value)
        init = type_entry(value, "__init__")
        if type(init) is FunctionType:
            self._add("Init docstring", docstring_of(init))
        self._add("File", _place_text(value))
        self._add("Type", full_name(type(value)))
        below = type.__subclasses__(value)
        more = ", ..." if len(below) > SUBCLASSES else ""
        self._add("Subclasses", ", ".join(class_name(cls) for cls in below[:SUBCLASSES]) + more)

    def _module(self, value: object) -> None:
        self._add("Type", "module")
        self._add("String form", _string_form(value))
        self._add("File", _place_text(value))
        self._doc_or_source(value)

    def _instance(self, value: object) -> None:
        cls = type(value)
        self._add("Type", full_name(cls))
        self._add("String form", _string_form(value))
        self._add("Length", _length(value))
        self._add("File", _place_text(cls))
        own = own_entry(value, "__doc__")
        if is_a(own, str):
            self._add("Docstring", _shortened(own, DOC_LIMIT))
        self._doc_or_source(cls, "Class docstring")
        call = type_entry(cls, "__call__")
        if type(call) is FunctionType:
            self._add("Call signature", self._signature(MethodType(call, value)))
            self._add("Call docstring", docstring_of(call))

    def _unread(self, reading: Reading) -> None:
        """What is known of a value that only code of the program could tell."""
        if reading.entry is not ABSENT:
            self._add("Type", full_name(type(reading.entry)))
            self._add("Value", "not read, because that would run code of the program")
        if reading.cls is not None:
            self._add("Promised type", full_name(reading.cls))
        getter = getter_of(reading.entry)
        if getter is not ABSENT:
            self._doc_or_source(getter)
            self._add("File", _place_text(getter))
        elif reading.cls is not None:
            self._doc_or_source(reading.cls, "Class docstring")

    def _signature(self, value: object) -> str:
        text = signature(value, annotated=True, width=SIGNATURE_WIDTH)
        return self._name + text if text else ""


def _section(title: str, text: str, width: int) -> str:
    red = f"\x1b[31m{title}:\x1b[39m"  # as IPython's pages have it
    if "\n" in text:
        return f"{red}\n{text}"
    return red + " " * (width - len(title) + 1) + text


def _string_form(value: object) -> str:
    try:
        return pretty(value, REPR_LIMIT)
    except BaseException as error:  # an interrupt that nobody sent: the program's `repr` raised it
        return failure(error)


_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset)


def _length(value: object) -> str:
    """The length of what is built in; other objects' `len` is their own code."""
    for base in _SIZED:
        if is_a(value, base):
            return str(base.__len__(value))  # type: ignore[arg-type]
    return ""


def _shortened(text: str, limit: int) -> str:
    text = str.__str__(text)
    return text if len(text) <= limit else f"{text[:limit]}\n… truncated after {limit:,} characters"


# Docstrings.


def docstring_of(thing: object) -> str:
    """What the thing says about itself, or its bases about it."""
    for doc in _docstrings(thing):
        if is_a(doc, str):
            return _shortened(doc, DOC_LIMIT).strip()
    return ""


def _docstrings(thing: object) -> Iterator[Any]:
    if is_a(thing, type):
        for base in bases(thing):  # type: ignore[arg-type]
            if base is not object:
                yield class_dict(base).get("__doc__")
        return
    yield own_entry(thing, "__doc__")
    if kind_of(thing) == "function":
        yield thing.__doc__
        yield from _inherited_docstrings(thing)


def _inherited_docstrings(thing: object) -> Iterator[Any]:
    """Of the methods that a bound method overrides."""
    if type(thing) is not MethodType or type(thing.__func__) is not FunctionType:
        return
    for base in bases(class_of(thing.__self__)):
        entry = class_dict(base).get(thing.__func__.__name__)
        if type(entry) is FunctionType:
            yield entry.__doc__


# Source.


def source_of(thing: object) -> str:
    """The source text, "" if it is not there or is not that of the thing any more."""
    place = place_of(thing)
    if place is None:
        return ""
    file, line = place
    lines = _lines(file, thing)
    if not line:
        return _shortened("".join(lines), SOURCE_LIMIT)
    block = _block(lines[line - 1 :])
    name = _defined_name(thing)
    return _shortened(block, SOURCE_LIMIT).rstrip() if name in block else ""


def place_of(thing: object) -> Place | None:
    """The file and line where a function or class is defined; line 0 for a module."""
    if is_a(thing, type):
        return _place_of_class(thing)  # type: ignore[arg-type]
    if is_a(thing, ModuleType):
        file = own_entry(thing, "__file__")
        return (file, 0) if type(file) is str else None
    plain = plain_function(thing)
    return (plain.__code__.co_filename, plain.__code__.co_firstlineno) if plain else None


def _place_of_class(cls: type) -> Place | None:
    """From the line that the compiler noted, and the file of a method or else of the module."""
    line = class_dict(cls).get("__firstlineno__")
    if type(line) is not int:
        return None
    for entry in list(class_dict(cls).values()):
        method = plain_function(getter_of(entry) if getter_of(entry) is not ABSENT else entry)
        if method is None or not method.__qualname__.startswith(class_name(cls) + "."):
            continue
        if method.__code__.co_firstlineno >= line:
            return method.__code__.co_filename, line
    file = own_entry(sys.modules.get(module_name(cls)), "__file__")
    if type(file) is not str:
        return None
    # A class of a cell claims to be of the module that the cell is bound to.
    head = "".join(_lines(file, cls)[line - 1 : line + 9])
    return (file, line) if f"class {_defined_name(cls)}" in head else None


def _defined_name(thing: object) -> str:
    """A word that the source must contain."""
    if is_a(thing, type):
        return class_name(thing).rpartition(".")[2]  # type: ignore[arg-type]
    plain = plain_function(thing)
    return plain.__code__.co_name.strip("<>") if plain else ""


def _place_text(thing: object) -> str:
    place = place_of(thing)
    if place is None:
        return ""
    return f"{place[0]}:{place[1]}" if place[1] else place[0]


def _lines(file: str, thing: object) -> list[str]:
    """The lines of a file, or of a cell, without leaving them in the program's memory."""
    import linecache

    known = file in linecache.cache
    plain = plain_function(thing)
    scope = plain.__globals__ if plain else own_dict(thing)
    lines = linecache.getlines(file, scope if type(scope) is dict else None)
    if not known:
        linecache.cache.pop(file, None)
    return lines


def _block(lines: list[str]) -> str:
    import inspect as standard

    try:
        return "".join(standard.getblock(lines))
    except Exception:  # what is no Python any more: the errors of tokenize are many
        return ""
