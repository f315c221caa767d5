"""What a name stands for: `obj?`, `obj??` and the tooltip at a cursor.

Runs in the target on the thread `control`, also while a cell runs.
Rule: `inspect` raises nothing and runs no property (see `lookup`). The one thing
of the program that it runs is an instance's `repr`, bounded in length and time.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MethodType, ModuleType

from .asking import PATIENCE, ask, may_ask
from .cursor import Scan, is_word
from .expressions import promised_class, read_text
from .lookup import (
    ABSENT,
    Unread,
    bases,
    class_dict,
    class_name,
    class_of,
    full_name,
    getter_of,
    is_a,
    is_exactly,
    kind_of,
    module_name,
    own_entry,
    type_entry,
)
from .pretty import SCALARS, failure, pretty
from .signatures import plain_function, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .expressions import Names

REPR_LIMIT = 2_000
DOC_LIMIT = 100_000
SOURCE_LIMIT = 400_000
"""Characters of the parts of a page."""

LATE = "<repr not shown: it takes more than {:g} s, or earlier ones are still running>"
SUBCLASSES = 10
SIGNATURE_WIDTH = 75


def inspect(code: str, cursor: int, detail: int, names: Names) -> dict[str, Any]:
    """The page about what is at a cursor, or about what is called around it."""
    for text in _candidates(code, max(0, min(cursor, len(code)))):
        reply = inspect_name(text, detail, names)
        if reply["found"]:
            return reply
    return {"found": False, "data": {}}


def inspect_name(name: str, detail: int, names: Names) -> dict[str, Any]:
    """The page about an expression of names, attributes and constant subscripts."""
    try:
        value = read_text(name, names)
        if value is not ABSENT:
            page = Page(detail, name.strip())
            page.describe(value)
            return {"found": True, "data": {"text/plain": page.text()}}
    except BaseException:  # of the program's making; there is just no page then
        pass
    return {"found": False, "data": {}}


def _candidates(code: str, cursor: int) -> Iterator[str]:
    """The expressions that may be meant, the likeliest first."""
    end = cursor
    while end < len(code) and is_word(code[end]):
        end += 1
    scan = Scan(code, end)
    if scan.string is None and not scan.in_comment:
        end = scan.skip_space(end)
        while code[end - 1 : end] == ")" and scan.follows_value(scan.starts.get(end, 0)):
            end = scan.starts[end]
        yield scan.primary(end)
    scan = Scan(code, cursor)
    for opening in reversed(scan.open):
        if opening.text == "(":
            yield scan.primary(opening.start)


class Page:
    """The sections about one thing, in IPython's words and order."""

    def __init__(self, detail: int, name: str) -> None:
        self._detail = detail
        self._name = name
        self._sections: list[tuple[str, str]] = []

    def describe(self, value: Any) -> None:
        """Fill the page."""
        if type(value) is Unread:
            self._unread(value)
        elif is_a(value, type):
            self._class(value)
        elif kind_of(value) == "function":
            self._function(value)
        else:
            self._instance(value)

    def text(self) -> str:
        """The page as text, with titles in red as IPython's are."""
        width = max((len(title) for title, _ in self._sections), default=0)
        lines = []
        for title, text in self._sections:
            space = "\n" if "\n" in text else " " * (width - len(title) + 1)
            lines.append(f"\x1b[31m{title}:\x1b[39m{space}{text}")
        return "\n".join(lines)

    def _add(self, title: str, text: str) -> None:
        if text:
            self._sections.append((title, text))

    def _doc_or_source(self, thing: object) -> None:
        source = source_of(thing) if self._detail else ""
        if source:
            self._add("Source", source)
        else:
            self._add("Docstring", docstring_of(thing) or "<no docstring>")

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

    def _instance(self, value: object) -> None:
        cls = type(value)
        call = type_entry(cls, "__call__")
        is_called = type(call) is FunctionType
        if is_called:
            self._add("Call signature", self._signature(MethodType(call, value)))
        elif is_a(value, functools.partial):
            self._add("Signature", self._signature(value))
        self._add("Type", full_name(cls))
        self._add("String form", _string_form(value))
        self._add("Length", _length(value))
        is_module = is_a(value, ModuleType)
        described = value if is_module else cls
        self._add("File", _place_text(described))
        own = "" if is_module else docstring_of(value)
        if own and not self._detail:
            self._add("Docstring", own)
            self._add("Class docstring", docstring_of(cls))
        else:
            self._doc_or_source(described)
        init = type_entry(cls, "__init__")
        if type(init) is FunctionType:
            self._add("Init docstring", docstring_of(init))
        if is_called:
            self._add("Call docstring", docstring_of(call))

    def _unread(self, value: Unread) -> None:
        """What is known of a value that only code of the program could tell."""
        if value.entry is not ABSENT:
            self._add("Type", full_name(type(value.entry)))
            self._add("Value", "not read, because that would run code of the program")
        promised = promised_class(value)
        if promised is not None:
            self._add("Promised type", full_name(promised))
        getter = getter_of(value.entry)
        if getter is not ABSENT:
            self._doc_or_source(getter)
            self._add("File", _place_text(getter))
        elif promised is not None:
            self._doc_or_source(promised)

    def _signature(self, value: object) -> str:
        text = signature(value, annotated=True, width=SIGNATURE_WIDTH)
        return self._name + text if text else ""


def _string_form(value: object) -> str:
    def text() -> str:
        try:
            return pretty(value, REPR_LIMIT)
        except BaseException as error:
            return failure(error)

    if not may_ask():
        from . import brief

        return str(brief.brief(value))
    found = text() if is_exactly(value, SCALARS) else ask(text)
    return LATE.format(PATIENCE) if found is None else found


def _length(value: object) -> str:
    """The length of what is built in; other objects' `len` is their own code."""
    for base in (str, bytes, bytearray, list, tuple, dict, set, frozenset):
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
            return _dedented(_shortened(doc, DOC_LIMIT))
    return ""


def _dedented(doc: str) -> str:
    """A docstring without the margin of its lines behind the first (see PEP 257)."""
    first, *rest = doc.expandtabs().splitlines() or [""]
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in rest)]).strip()


def _docstrings(thing: Any) -> Iterator[Any]:
    if is_a(thing, type):
        yield from (class_dict(base).get("__doc__") for base in bases(thing) if base is not object)
        return
    yield own_entry(thing, "__doc__")
    if kind_of(thing) == "function":
        yield thing.__doc__
    if type(thing) is MethodType and type(thing.__func__) is FunctionType:
        for base in bases(class_of(thing.__self__)):  # those of the methods that it overrides
            entry = class_dict(base).get(thing.__func__.__name__)
            yield entry.__doc__ if type(entry) is FunctionType else None


# Source.


def source_of(thing: object) -> str:
    """The source text, "" if it is not there or is not that of the thing any more."""
    file, line = place_of(thing)
    lines = _lines(file) if file else []
    if not line:
        return _shortened("".join(lines), SOURCE_LIMIT)
    import inspect as standard

    try:
        block = "".join(standard.getblock(lines[line - 1 :]))
    except Exception:  # what is no Python any more: the errors of tokenize are many
        return ""
    return _shortened(block, SOURCE_LIMIT).rstrip() if _defined_name(thing) in block else ""


def place_of(thing: Any) -> tuple[str, int]:
    """The file, if it is known, and line where a thing is defined; line 0 for a module."""
    if is_a(thing, ModuleType):
        return _file_of(thing), 0
    if is_a(thing, type):
        return _place_of_class(thing)
    plain = plain_function(thing)
    return (plain.__code__.co_filename, plain.__code__.co_firstlineno) if plain else ("", 0)


def _place_of_class(cls: type) -> tuple[str, int]:
    """From the line that the compiler noted, and the file of a method or else of the module."""
    line = class_dict(cls).get("__firstlineno__")
    if type(line) is not int:
        return _found_place(cls)
    for method in _own_methods(cls):
        if method.__code__.co_firstlineno >= line:
            return method.__code__.co_filename, line
    file = _file_of(sys.modules.get(module_name(cls)))
    # A class of a cell claims to be of the module that the cell is bound to.
    head = "".join(_lines(file)[line - 1 : line + 9]) if file else ""
    return (file, line) if f"class {_defined_name(cls)}" in head else ("", 0)


def _own_methods(cls: type) -> list[FunctionType]:
    """The functions among a class's entries that were written in its own block."""
    functions = [plain_function(entry) for entry in list(class_dict(cls).values())]
    start = class_name(cls) + "."
    return [each for each in functions if each and each.__qualname__.startswith(start)]


def _found_place(cls: type) -> tuple[str, int]:
    """Of a class that has lost its line, as those do that say they are of another module."""
    for method in _own_methods(cls)[:1]:
        file, before = method.__code__.co_filename, method.__code__.co_firstlineno
        head = f"class {_defined_name(cls)}"
        for line, text in reversed(list(enumerate(_lines(file)[:before], 1))):
            if text.lstrip().startswith((head + "(", head + ":", head + "[")):
                return file, line
    return "", 0


def _file_of(module: object) -> str:
    file = own_entry(module, "__file__")
    return file if type(file) is str else ""


def _place_text(thing: object) -> str:
    file, line = place_of(thing)
    return f"{file}:{line}" if line else file


def _defined_name(thing: Any) -> str:
    """A word that the source must contain."""
    if is_a(thing, type):
        return class_name(thing).rpartition(".")[2]
    plain = plain_function(thing)
    return plain.__code__.co_name.strip("<>") if plain else ""


def _lines(file: str) -> list[str]:
    """The lines of a file, or of a cell, without leaving them in the program's memory."""
    import linecache

    known = file in linecache.cache
    lines = linecache.getlines(file)
    if not known:
        linecache.cache.pop(file, None)
    return lines
