"""From the text at a cursor to a live object, its attributes and its parameters.

Runs in the target, mostly on the thread `control`, while the program and its
cells go on. What is found may change the next moment; so containers are
copied in one step of C before they are walked.
Rule: memory is read, code of the program is not run. No property, no
`__getattr__`, no `__class__`, no metaclass is asked: only `type(x)`, the
dictionaries of its bases and the object's own. The one door to code of the
program is `ask`, which lists at most so many things and never raises.
"""

from __future__ import annotations

import builtins
import collections
import functools
import sys
from itertools import islice
from types import (
    BuiltinFunctionType,
    CellType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from re import Pattern
    from typing import Any, Protocol

    class Names(Protocol):
        """What a cell sees, builtins aside: scratch, frame locals, frame globals."""

        def lookup(self, name: str) -> object:
            """The value of a name. Raises KeyError."""

        def names(self) -> Iterable[str]:
            """All names, in the order in which they are looked up."""

    type Step = tuple[str, str]


ENTRY_LIMIT = 100_000
"""So many entries of a dictionary, or of what `__dir__` lists, are looked at."""

EXPRESSION_LIMIT = 10_000
"""Characters of an expression; a longer one is a literal that nobody points at."""


class _Absent:
    """The type of ABSENT."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""Stands where there is nothing."""


# Text: where the cursor is.


class Opening:
    """A bracket or a string that is still open at the cursor.

    `text` is the bracket or the quote; `body` the index where the contents
    begin; `prefix` the letters before a string's quote.
    """

    __slots__ = ("body", "prefix", "start", "text")

    def __init__(self, start: int, text: str, body: int, prefix: str = "") -> None:
        self.start = start
        self.text = text
        self.body = body
        self.prefix = prefix

    @property
    def is_string(self) -> bool:
        """A string, not a bracket."""
        return self.text[0] in "\"'"


class Scan:
    """The code before an index, read once from its beginning.

    `open`: what is open there, the innermost last. `starts`: from the index
    behind each closed bracket or string to the index where it begins.
    `statement`: where the logical line begins. `in_comment`: nothing to do here.
    """

    def __init__(self, code: str, end: int) -> None:
        self.code = code
        self.end = end
        self.open: list[Opening] = []
        self.starts: dict[int, int] = {}
        self.statement = 0
        self.in_comment = False
        position = 0
        while position < end:
            position = self._next(position)

    @property
    def string(self) -> Opening | None:
        """The string in which the index lies."""
        return self.open[-1] if self.open and self.open[-1].is_string else None

    def _next(self, position: int) -> int:
        inside = self.string
        token = _token(inside).search(self.code, position, self.end)
        if token is None:
            return self.end
        if inside is not None:
            self._in_string(inside, token.group(), token.end())
        else:
            self._in_code(token.group("quote"), token.group(), token.end())
        return token.end()

    def _in_string(self, string: Opening, token: str, end: int) -> None:
        if token == string.text:
            self.open.pop()
            self.starts[end] = string.start
        elif token == "\n":  # never closed; what follows is code again
            self.open.pop()
            self._line_ends(end)
        elif token == "{":
            self.open.append(Opening(end - 1, "{", end))

    def _in_code(self, quote: str | None, token: str, end: int) -> None:
        if quote:
            self.open.append(Opening(end - len(token), quote, end, token[: -len(quote)].lower()))
        elif token in "([{":
            self.open.append(Opening(end - 1, token, end))
        elif token in ")]}":
            if self.open and self.open[-1].text + token in ("()", "[]", "{}"):
                self.starts[end] = self.open.pop().start
        elif token in "\n;":
            self._line_ends(end)
        elif token[0] == "#":
            self.in_comment = end == self.end

    def _line_ends(self, end: int) -> None:
        if not self.open:
            self.statement = end

    def word_start(self, end: int) -> int:
        """Where the identifier that ends at an index begins."""
        start = end
        while start and is_word(self.code[start - 1]):
            start -= 1
        return start

    def skip_space(self, end: int) -> int:
        """The index behind the last character before `end` that is no white space."""
        while end and self.code[end - 1] in " \t\n\\":
            end -= 1
        return end

    def dot_before(self, start: int) -> int | None:
        """The index of the dot that makes the word at `start` an attribute."""
        end = self.skip_space(start)
        if not end or self.code[end - 1] != "." or self.code[end - 2 : end] == "..":
            return None
        return end - 1

    def primary(self, end: int) -> list[Step]:
        """The steps of the expression that ends at an index: a name, its attributes and so on."""
        return self.primary_from(end)[1]

    def primary_from(self, end: int) -> tuple[int, list[Step]]:
        """Where that expression begins, and its steps; none if there is no such expression."""
        steps: list[Step] = []
        end = self.skip_space(end)
        while True:
            start = self.starts.get(end)
            if start is not None:
                follows = self.code[start] in "([" and self._ends_value(start)
                steps.append(self._bracket(start, end, follows))
                if not follows:
                    break
                end = start
                continue
            start = self.word_start(end)
            if start == end or self.code[start].isdigit():
                return end, []
            dot = self.dot_before(start)
            steps.append(("name" if dot is None else "attribute", self.code[start:end]))
            if dot is None:
                break
            end = self.skip_space(dot)
        return start, steps[::-1]

    def _ends_value(self, end: int) -> bool:
        """Does something end here that can be called or subscripted?"""
        return end in self.starts or (end > 0 and is_word(self.code[end - 1]))

    def _bracket(self, start: int, end: int, follows: bool) -> Step:
        text = self.code[start:end]
        if not follows:
            return ("group" if text[0] == "(" else "literal"), text
        return ("call" if text[0] == "(" else "item"), text[1:-1]

    def flat(self, opening: Opening) -> str:
        """What stands in an open bracket before the index, without what is nested in it."""
        parts = []
        end = self.end
        while end > opening.body:
            start = self.starts.get(end, end - 1)
            parts.append(self.code[start:end] if start == end - 1 else "…")
            end = start
        return "".join(reversed(parts))


def is_word(character: str) -> bool:
    """Can the character stand in an identifier?"""
    return character.isalnum() or character == "_" or ("a" + character).isidentifier()


_TOKENS: dict[str, Pattern[str]] = {}


def _token(string: Opening | None) -> Pattern[str]:
    """What to look for next: in code, or in such a string."""
    if string is None:
        key = ""
    else:
        key = string.text + ("f" if "f" in string.prefix or "t" in string.prefix else "")
    return _TOKENS.get(key) or _TOKENS.setdefault(key, _token_pattern(key))


def _token_pattern(key: str) -> Pattern[str]:
    import re

    if not key:
        return re.compile(
            r"""(?:(?<!\w)[bfrtuBFRTU]{1,2})?(?P<quote>\"{3}|'{3}|"|')"""
            r"""|[()\[\]{};\n]|\\\n|\#[^\n]*"""
        )
    quote = key.removesuffix("f")
    parts = [r"\\.", quote]
    if len(quote) == 1:
        parts.append("\n")
    if key.endswith("f"):
        parts += [r"\{\{", r"\{"]
    return re.compile("|".join(parts), re.DOTALL)


# Objects: what their memory says.

_bases_of = type.__dict__["__mro__"].__get__
_dict_of = type.__dict__["__dict__"].__get__
_module_of = type.__dict__["__module__"].__get__
_name_of = type.__dict__["__qualname__"].__get__
_getter_of = property.__dict__["fget"].__get__
_function_of = {
    staticmethod: staticmethod.__dict__["__func__"].__get__,
    classmethod: classmethod.__dict__["__func__"].__get__,
}


def exact(*types: type) -> frozenset[int]:
    """Types for `is_exactly`, by their ids: they are built in and never go away."""
    return frozenset(map(id, types))


def is_exactly(value: object, types: frozenset[int]) -> bool:
    """Is it of one of the types? (`type(value) in (a, b)` would run the `==` of a metaclass.)"""
    return id(type(value)) in types


class Promised:
    """The `self` of a method whose object is not known, only its class."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls


def class_of(owner: object) -> type:
    """The class in which the attributes of the `self` of a method are found."""
    if type(owner) is Promised:
        return owner.cls
    return owner if is_a(owner, type) else type(owner)  # type: ignore[return-value]


def is_a(value: object, cls: type | tuple[type, ...]) -> bool:
    """`isinstance` by the true type; the real one would also ask `value.__class__`."""
    return issubclass(type(value), cls)


_BUILTIN_METHODS = exact(MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)
_FIELD = type(collections.namedtuple("_", "a").__dict__["a"])
_SLOTS = exact(MemberDescriptorType, GetSetDescriptorType, _FIELD)
_AS_THEY_ARE = exact(FunctionType) | _SLOTS | _BUILTIN_METHODS
"""What a class gives for an entry of such a type is the entry."""

_COMPUTED = ("__annotations__", "__annotate__", "__doc__", "__isabstractmethod__")
"""Attributes whose built-in getters may run code of the program."""


class Reading:
    """What was found without running anything: a value, or no more than its class.

    `value` is ABSENT where only code of the program could tell it; then `cls` is
    the class that annotations promise, if any, and `entry` the property or other
    descriptor that was left alone.
    """

    __slots__ = ("cls", "entry", "value")

    def __init__(
        self, value: object = ABSENT, cls: type | None = None, entry: object = ABSENT
    ) -> None:
        self.value = value
        self.cls = cls
        self.entry = entry

    @property
    def is_live(self) -> bool:
        """Is there the value itself?"""
        return self.value is not ABSENT

    @property
    def tells(self) -> bool:
        """Is anything known?"""
        return self.is_live or self.cls is not None or self.entry is not ABSENT


def bases(cls: type) -> tuple[type, ...]:
    """The class and its bases in the order of look-up."""
    return _bases_of(cls) or ()


def class_dict(cls: type) -> Mapping[str, Any]:
    """The class's own dictionary."""
    found: Mapping[str, Any] = _dict_of(cls)
    return found


def class_name(cls: type) -> str:
    """The class's qualified name."""
    return str(_name_of(cls))


def module_name(cls: type) -> str:
    """The name of the module that the class says it is from."""
    found = _module_of(cls)
    return found if type(found) is str else ""


def full_name(cls: type) -> str:
    """The class's name with its module's in front, as far as it is no built-in."""
    module = module_name(cls)
    return class_name(cls) if module in ("builtins", "") else f"{module}.{class_name(cls)}"


def type_entry(cls: type, name: str) -> Any:
    """What the class or the first base that has it says under a name, as it is; or ABSENT."""
    for base in bases(cls):
        entries = _dict_of(base)
        if name in entries:
            return entries[name]
    return ABSENT


def own_dict(owner: object) -> Mapping[str, Any]:
    """The object's own dictionary; empty if it has none, or one that must be asked for."""
    slot = type_entry(type(owner), "__dict__")
    if is_exactly(slot, _SLOTS):
        try:
            found = slot.__get__(owner)
        except Exception:
            return {}
        if is_a(found, (dict, MappingProxyType)):
            return found  # type: ignore[no-any-return]
    return {}


def own_entry(owner: object, name: str) -> Any:
    """What the object's own dictionary says under a name; or ABSENT."""
    entries = own_dict(owner)
    if is_a(entries, dict):
        return dict.get(entries, name, ABSENT)  # type: ignore[call-overload]
    return entries.get(name, ABSENT)


def items(entries: Mapping[Any, Any], limit: int = ENTRY_LIMIT) -> list[tuple[Any, Any]]:
    """A copy of the first entries, whatever other threads do meanwhile."""
    pairs = dict.items(entries) if is_a(entries, dict) else entries.items()  # type: ignore[arg-type]
    return list(islice(pairs, limit))


def ask(function: Callable[..., Any], *arguments: object, limit: int = ENTRY_LIMIT) -> list[Any]:
    """List what a function of the program gives, at most `limit` things; nothing if it fails."""
    try:
        return list(islice(function(*arguments), limit))
    except BaseException:  # the program's code may raise anything; here nobody wants to know
        return []


def read_attribute(owner: object, name: str) -> Reading | None:
    """An attribute of a live object; None if there is no sign of it."""
    cls = type(owner)
    entry = type_entry(cls, name)
    if issubclass(cls, type):
        return _read_on_class(owner, name, entry)  # type: ignore[arg-type]
    if not _is_data_descriptor(entry):
        own = own_entry(owner, name)
        if own is not ABSENT:
            return Reading(own)
    return None if entry is ABSENT else bind(entry, owner, cls)


def _read_on_class(owner: type, name: str, meta_entry: Any) -> Reading | None:
    if _is_data_descriptor(meta_entry) and name not in _COMPUTED:
        return bind(meta_entry, owner, type(owner))
    entry = type_entry(owner, name)
    if entry is not ABSENT:
        return _bind_to_class(entry, owner)
    return None if meta_entry is ABSENT else bind(meta_entry, owner, type(owner))


def _is_data_descriptor(entry: Any) -> bool:
    """Does Python's own rule put the entry of the class before the object's dictionary?

    For descriptors written in Python the dictionary is believed all the same: an
    ORM's column keeps its value there under its own name.
    """
    return is_exactly(entry, _SLOTS) or is_a(entry, property)


def bind(entry: Any, owner: object, cls: type) -> Reading | None:
    """What an entry of a class gives for one of its instances."""
    kind = type(entry)
    if kind is FunctionType or is_cached_function(entry):
        return Reading(MethodType(entry, owner))
    if is_exactly(entry, _BUILTIN_METHODS) or (is_exactly(entry, _SLOTS) and _may_be_read(entry)):
        return _read_slot(entry, owner, cls)
    if issubclass(kind, classmethod):
        return Reading(MethodType(wrapped_function(entry), cls))
    return _read_descriptor(entry, cls)


def _bind_to_class(entry: Any, owner: type) -> Reading | None:
    kind = type(entry)
    if issubclass(kind, classmethod):
        return Reading(MethodType(wrapped_function(entry), owner))
    if kind is ClassMethodDescriptorType:
        return _read_slot(entry, None, owner)
    if issubclass(kind, property) or is_cached_function(entry) or is_exactly(entry, _AS_THEY_ARE):
        return Reading(entry)
    return _read_descriptor(entry, owner)


def _read_descriptor(entry: Any, cls: type) -> Reading:
    """The part that instances and classes share."""
    kind = type(entry)
    if issubclass(kind, staticmethod):
        return Reading(wrapped_function(entry))
    getter = getter_of(entry)
    if getter is not ABSENT:
        return Reading(cls=returned_class(getter, cls), entry=entry)
    accessor = own_entry(entry, "_accessor")  # such as `.str` and `.dt` in pandas and xarray
    if is_a(accessor, type):
        return Reading(cls=accessor, entry=entry)
    if type_entry(kind, "__get__") is not ABSENT and not is_foreign_function(entry):
        return Reading(entry=entry)
    return Reading(entry)


def _may_be_read(entry: Any) -> bool:
    """Slots are memory. The getters of extension modules might be anything."""
    if type(entry) is not GetSetDescriptorType:
        return True
    return module_name(entry.__objclass__) == "builtins" and entry.__name__ not in _COMPUTED


def _read_slot(entry: Any, owner: object, cls: type) -> Reading | None:
    try:
        return Reading(entry.__get__(owner, cls))
    except Exception:  # a slot that is empty
        return None


def is_cached_function(value: object) -> bool:
    """Was it made by functools.lru_cache?"""
    return type(value) is functools._lru_cache_wrapper


_FOREIGN_FUNCTIONS = ("ufunc", "_ArrayFunctionDispatcher", "cython_function_or_method")


def is_foreign_function(value: object) -> bool:
    """Is it a function by the name of its class? Extension modules have function types too."""
    return class_name(type(value)) in _FOREIGN_FUNCTIONS


def wrapped_function(entry: Any) -> Any:
    """The function in a staticmethod or a classmethod."""
    kind = staticmethod if is_a(entry, staticmethod) else classmethod
    return _function_of[kind](entry)


def getter_of(entry: object) -> Any:
    """The function behind a property or a cached property; or ABSENT."""
    if is_a(entry, property):
        return _getter_of(entry)
    if is_a(entry, functools.cached_property):
        return own_entry(entry, "func")
    return ABSENT


def read_promised(cls: type, name: str) -> Reading | None:
    """An attribute of an instance of which only the class is known."""
    entry = type_entry(cls, name)
    if is_exactly(entry, _BUILTIN_METHODS):
        return Reading(entry)
    if type_entry(type(entry), "__get__") is not ABSENT and not is_exactly(entry, _SLOTS):
        return bind(entry, Promised(cls), cls)
    for base in bases(cls):
        note = notes_of(base).get(name)
        if note is not None:
            return Reading(cls=_class_named(note, _Scope(_globals_of(base)), cls))
    if entry is ABSENT or is_exactly(entry, _SLOTS):
        return Reading() if entry is not ABSENT or name in _assigned_names(cls) else None
    return Reading(entry)


def _assigned_names(cls: type) -> list[str]:
    """The names that methods assign on `self`, as the compiler noted them."""
    found: list[str] = []
    for base in bases(cls):
        names = class_dict(base).get("__static_attributes__")
        found += names if type(names) is tuple else ()
    return found


def attribute_entries(reading: Reading) -> dict[str, Any]:
    """The attributes to offer, each with its entry as it stands in memory.

    A `__dir__` of the program decides what is offered, if it answers.
    """
    if not reading.is_live:
        return {} if reading.cls is None else _promised_entries(reading.cls)
    owner = reading.value
    of_class = is_a(owner, type)
    found: dict[str, Any] = {}
    for base in reversed(bases(owner if of_class else type(owner))):  # type: ignore[arg-type]
        found.update(_dict_of(base))
    if not of_class:
        own = items(own_dict(owner))
        found.update({name: entry for name, entry in own if type(name) is str})
    listed = _listed(owner)
    if listed:
        found = {name: found.get(name, ABSENT) for name in listed}
    return {name: entry for name, entry in found.items() if type(name) is str}


def _promised_entries(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(_assigned_names(cls), ABSENT)
    for base in reversed(bases(cls)):
        found.update(dict.fromkeys(notes_of(base), ABSENT))
        found.update(_dict_of(base))
    return found


def _listed(owner: object) -> list[str]:
    """What the program's own `__dir__`, if there is one, lists."""
    function: Any = type_entry(type(owner), "__dir__")
    arguments = [owner]
    if is_a(owner, ModuleType) and type(function) is not FunctionType:
        function, arguments = own_entry(owner, "__dir__"), []
    if type(function) is not FunctionType:
        return []
    return [str.__str__(name) for name in ask(function, *arguments) if is_a(name, str)]


# Annotations: what the program says that it would return.


def returned_class(function: Any, owner: type | None = None) -> type | None:
    """The class that calling a function gives, by its annotation."""
    plain = plain_function(function)
    if plain is None or plain.__code__.co_flags & _MAKES_GENERATOR:
        return None
    note = notes_of(plain).get("return")
    return None if note is None else _class_named(note, _scope_of(plain), owner)


_MAKES_GENERATOR = 0x20 | 0x80 | 0x200
"""CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR: the annotation is not what the call gives."""


def notes_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function or a class as text; their names are not evaluated."""
    try:
        annotate, notes = _annotation_sources(thing)
        if type(annotate) is not FunctionType:
            return notes if type(notes) is dict else {}
        import annotationlib

        return dict(annotationlib.call_annotate_function(annotate, annotationlib.Format.STRING))
    except Exception:
        return {}


def _annotation_sources(thing: Any) -> tuple[object, object]:
    """The function that computes annotations, or else those that are there already."""
    if type(thing) is FunctionType:
        return thing.__annotate__, None if thing.__annotate__ else thing.__annotations__
    # Straight from the dictionary: asking the class for them would leave entries in it.
    entries = class_dict(thing)
    return entries.get("__annotate_func__"), entries.get("__annotations__")


def _class_named(note: object, scope: _Scope, owner: type | None) -> type | None:
    """The class that an annotation means: `X`, `"X"`, `X | None`, `Optional[X]`, `X[...]`."""
    if not is_a(note, str):
        return note if is_a(note, type) else None  # type: ignore[return-value]
    text = str(note).strip("'\" ").removesuffix("| None").removeprefix("None |").strip()
    head, _, inner = text.partition("[")
    name = head.rpartition(".")[2]
    if name == "Optional":
        return _class_named(inner.removesuffix("]"), scope, owner)
    if name == "Self":
        return owner
    for base in () if owner is None else bases(owner):  # a class that is local to a function, say
        if class_name(base).rpartition(".")[2] == head:
            return base
    reading = read_text(head, scope)
    found = reading.value if reading else None
    return found if is_a(found, type) else None  # type: ignore[return-value]


def _globals_of(cls: type) -> dict[str, Any]:
    return own_dict(sys.modules.get(module_name(cls)))  # type: ignore[return-value]


def _scope_of(function: FunctionType) -> _Scope:
    """Where the names in a function's annotations are looked up."""
    annotate = function.__annotate__
    if type(annotate) is not FunctionType:
        return _Scope(function.__globals__)
    cells = zip(annotate.__code__.co_freevars, annotate.__closure__ or (), strict=False)
    return _Scope(function.__globals__, dict(cells))


class _Scope:
    """A function's globals, and the cells of the functions around it, as Names."""

    def __init__(self, entries: dict[str, Any], cells: dict[str, CellType] | None = None) -> None:
        self._entries = entries
        self._cells = cells or {}

    def lookup(self, name: str) -> object:
        if name in self._cells:
            try:
                return self._cells[name].cell_contents
            except ValueError:  # not assigned yet
                raise KeyError(name) from None
        return self._entries[name]

    def names(self) -> Iterable[str]:
        return [*self._cells, *self._entries]


# Expressions: one step after the other.


def read_text(text: str, names: Names) -> Reading | None:
    """What an expression of names, attributes and constant subscripts means."""
    text = text.strip()
    if len(text) > EXPRESSION_LIMIT:
        return None
    start, steps = Scan(text, len(text)).primary_from(len(text))
    return None if start else read_steps(steps, names)


def read_steps(steps: list[Step], names: Names) -> Reading | None:
    """What an expression, taken apart by `Scan.primary`, means."""
    reading: Reading | None = None
    for kind, text in steps:
        reading = _STEPS[kind](reading or Reading(), text, names)
        if reading is None:
            return None
    return reading


def _read_name(_: Reading, name: str, names: Names) -> Reading | None:
    try:
        return Reading(names.lookup(name))
    except KeyError:
        value = builtins.__dict__.get(name, ABSENT)
        return None if value is ABSENT else Reading(value)


def _read_group(_: Reading, text: str, names: Names) -> Reading | None:
    inner = text[1:-1].strip()
    return Reading(cls=tuple) if "," in inner or not inner else read_text(inner, names)


def _read_literal(_: Reading, text: str, _names: Names) -> Reading | None:
    if text[0] == "[":
        return Reading(cls=list)
    if text[0] == "{":
        return Reading(cls=dict if ":" in text or not text[1:-1].strip() else set)
    prefix = text[:2].partition("'")[0].partition('"')[0]
    return Reading(cls=bytes if "b" in prefix.lower() else str)


def _read_attribute(reading: Reading, name: str, _names: Names) -> Reading | None:
    if reading.is_live:
        return read_attribute(reading.value, name) or _column(reading.value, name)
    return None if reading.cls is None else read_promised(reading.cls, name)


def _read_call(reading: Reading, _text: str, _names: Names) -> Reading | None:
    """What a call would give, by class or annotation; it is not made."""
    called = reading.value
    if is_a(called, type):
        return None if called is type or called is super else Reading(cls=called)  # type: ignore[arg-type]
    owner = class_of(called.__self__) if type(called) is MethodType else None
    return Reading(cls=returned_class(called, owner))


_SUBSCRIPTS: dict[Any, Callable[[Any, Any], Any]] = {
    dict.__getitem__: lambda owner, key: dict.get(owner, key, ABSENT),
    list.__getitem__: list.__getitem__,
    tuple.__getitem__: tuple.__getitem__,
}
"""How to read an item of an object whose class did not change `__getitem__`."""


def _read_item(reading: Reading, text: str, names: Names) -> Reading | None:
    if not reading.is_live:
        return Reading()
    owner = reading.value
    method = type_entry(type(owner), "__getitem__")
    if not is_exactly(method, _BUILTIN_METHODS) or method not in _SUBSCRIPTS:
        found = _column(owner, _constant(text.strip(), names))
        return found or Reading(cls=returned_class(method, type(owner)))
    if ":" in text and not is_a(owner, dict):
        return Reading(cls=type(owner))
    get, key = _SUBSCRIPTS[method], _constant(text.strip(), names)
    try:
        value = ABSENT if key is ABSENT else get(owner, key)
    except (IndexError, TypeError):
        return None
    return Reading(value)


def _column(owner: object, key: object) -> Reading | None:
    """What a column of a pandas DataFrame is, where pandas would have to be asked for itself."""
    if type(key) is not str or not _is_frame(owner):
        return None
    if not any(type(column) is str and column == key for column in keys_of(owner)):
        return None
    series = own_entry(sys.modules.get("pandas"), "Series")
    return Reading(cls=series) if is_a(series, type) else None


def _is_frame(owner: object) -> bool:
    """Is it a pandas DataFrame?"""
    return any(
        class_name(base) == "DataFrame" and module_name(base).startswith("pandas")
        for base in bases(type(owner))
    )


def keys_of(owner: object) -> list[Any]:
    """The keys to offer for a subscript: those that the class names, or a dictionary's own."""
    cls = type(owner)
    function = type_entry(cls, "_ipython_key_completions_")
    if function is ABSENT and _is_frame(owner):
        function = type_entry(cls, "keys")
    if type(function) is FunctionType:
        keys = ask(function, owner)
    elif is_a(owner, dict):
        keys = list(islice(dict.__iter__(owner), ENTRY_LIMIT))  # type: ignore[arg-type]
    else:
        return []
    return [str.__str__(key) if is_a(key, str) else key for key in keys]


_CONSTANTS = exact(str, bytes, int, bool)


def _constant(text: str, names: Names) -> Any:
    """The subscript's value: a literal, or a name that stands for a constant; else ABSENT."""
    if text.removeprefix("-").isdecimal() and len(text) < 20:
        return int(text)
    if text[:1] and text[-1] in "\"'":
        return _string_value(text)
    reading = read_text(text, names)
    value = reading.value if reading else ABSENT
    return value if is_exactly(value, _CONSTANTS) else ABSENT


_ESCAPES = {"\\\\": "\\", "\\'": "'", '\\"': '"', "\\n": "\n", "\\t": "\t", "\\r": "\r"}


def _string_value(text: str) -> Any:
    """The value of a string literal; ABSENT for the rarer escapes and for f-strings.

    `ast.literal_eval` would warn of a wrong escape on the program's stderr.
    """
    scan = Scan(text, len(text) - 1)
    string = scan.string
    if string is None or string.start or set(string.prefix) & set("ft"):
        return ABSENT
    body = unescape(text[string.body : -len(string.text)], string.prefix)
    if body is ABSENT or "b" not in string.prefix:
        return body
    return body.encode() if body.isascii() else ABSENT


def unescape(body: str, prefix: str) -> Any:
    """The value of the inside of a string literal, or ABSENT."""
    if "\\" not in body or "r" in prefix:
        return body
    import re

    pairs = re.findall(r"\\.", body, re.DOTALL)
    if any(pair not in _ESCAPES for pair in pairs):
        return ABSENT
    return re.sub(r"\\.", lambda match: _ESCAPES[match.group()], body)


_STEPS: dict[str, Callable[[Reading, str, Names], Reading | None]] = {
    "name": _read_name,
    "group": _read_group,
    "literal": _read_literal,
    "attribute": _read_attribute,
    "call": _read_call,
    "item": _read_item,
}


# Callables: what they take.


class Parameter:
    """One parameter. `mark` is how it is written: "/", "", "*", "k" (keyword only), "**"."""

    __slots__ = ("default", "mark", "name")

    def __init__(self, name: str, mark: str = "", default: Any = ABSENT) -> None:
        self.name = name
        self.mark = mark
        self.default = default


def plain_function(called: object) -> FunctionType | None:
    """The Python function behind methods, partials and decorators that say what they wrap."""
    for _ in range(_WRAPPERS):
        if type(called) is MethodType:
            called = called.__func__
        elif is_a(called, functools.partial):
            called = _PARTIAL["func"].__get__(called)
        else:
            wrapped = own_entry(called, "__wrapped__")
            if wrapped is ABSENT:
                break
            called = wrapped
    return called if type(called) is FunctionType else None


_WRAPPERS = 20
"""So many layers of decorators; a function may also wrap itself."""

_PARTIAL = functools.partial.__dict__
_class_text = type.__dict__["__text_signature__"].__get__
_TEXTS = exact(BuiltinFunctionType, MethodWrapperType) | _BUILTIN_METHODS


def parameters(called: object, depth: int = 0) -> list[Parameter] | None:
    """What can be passed to a callable; None if nothing in memory tells."""
    if depth > _WRAPPERS:
        return None
    if type(called) is MethodType:
        return _without_first(parameters(called.__func__, depth + 1))
    if is_a(called, functools.partial):
        return _of_partial(called, depth)
    plain = plain_function(called)
    if plain:
        return _of_code(plain)
    text = text_signature(called)
    if text:
        return _of_text(text)
    if is_a(called, type):
        return _of_class(called, depth)  # type: ignore[arg-type]
    call = type_entry(type(called), "__call__")
    return _without_first(parameters(call, depth + 1)) if type(call) is FunctionType else None


def _without_first(found: list[Parameter] | None) -> list[Parameter] | None:
    """The parameters of a bound method: its object is passed already."""
    return found[1:] if found and not found[0].mark.startswith("*") else found


def _of_code(function: FunctionType) -> list[Parameter]:
    code = function.__code__
    names, count, only = code.co_varnames, code.co_argcount, code.co_posonlyargcount
    defaults = function.__defaults__ or ()
    named = function.__kwdefaults__ or {}
    last = count + code.co_kwonlyargcount
    found = [Parameter(name, "/" if i < only else "") for i, name in enumerate(names[:count])]
    for parameter, default in zip(reversed(found), reversed(defaults), strict=False):
        parameter.default = default
    if code.co_flags & 0x04:  # CO_VARARGS
        found.append(Parameter(names[last], "*"))
    found += [Parameter(name, "k", named.get(name, ABSENT)) for name in names[count:last]]
    if code.co_flags & 0x08:  # CO_VARKEYWORDS
        found.append(Parameter(names[last + bool(code.co_flags & 0x04)], "**"))
    return found


def _of_partial(called: object, depth: int) -> list[Parameter] | None:
    found = parameters(_PARTIAL["func"].__get__(called), depth + 1)
    if found is None:
        return None
    given = len(_PARTIAL["args"].__get__(called))
    return [p for i, p in enumerate(found) if i >= given or p.mark not in ("", "/")]


def _of_class(cls: type, depth: int) -> list[Parameter] | None:
    fields = type_entry(cls, "__pydantic_fields__")
    if type(fields) is dict:  # its __init__ says **data
        return [Parameter(name, "k") for name in fields]
    for name in ("__init__", "__new__"):
        entry = type_entry(cls, name)
        made = wrapped_function(entry) if is_a(entry, staticmethod) else entry
        if plain_function(made):
            return _without_first(parameters(made, depth + 1))
    plain = all(type_entry(cls, n) is object.__dict__[n] for n in ("__init__", "__new__"))
    return [] if plain else None


def _of_text(text: str) -> list[Parameter]:
    """From `(iterable, /, *, key=None)`. A default with commas only yields parts without a name."""
    found: list[Parameter] = []
    mark = ""
    for part in text[1:-1].split(", "):
        name = part.partition("=")[0]
        if name == "/":
            for parameter in found:
                parameter.mark = "/"
        elif name == "*":
            mark = "k"
        elif name.startswith("*"):
            mark = "k"
            found.append(Parameter(name.lstrip("*"), name[: name.count("*")]))
        elif name.isidentifier():
            found.append(Parameter(name, mark))
    return found


def text_signature(called: object) -> str:
    """The signature that something built in brings along as text; or ""."""
    kind = type(called)
    if is_exactly(called, _TEXTS):
        text = called.__text_signature__  # type: ignore[attr-defined]
    else:
        text = _class_text(called) if issubclass(kind, type) else None
    if type(text) is not str:
        return ""
    if "\n" in text:
        text = f"({', '.join(part.strip() for part in text[1:-1].split(',') if part.strip())})"
    if not text.startswith("($"):
        return text
    if is_exactly(called, _BUILTIN_METHODS):  # of the class: its object is still to be passed
        return text.replace("($", "(")
    rest = text[1:-1].partition(", ")[2]
    return f"({rest.removeprefix('/').removeprefix(', ')})"


def signature(called: object, annotated: bool = False, width: int = 0) -> str:
    """A callable's signature as Python writes it, "" if it is not known. No `repr` is run.

    One that is longer than `width`, if there is one, has a line for each parameter.
    """
    text = text_signature(called)
    if text:
        return text
    found = parameters(called)
    if found is None:
        return ""
    plain = plain_function(called) if annotated else None
    if annotated and is_a(called, type):
        plain = plain_function(type_entry(called, "__init__"))  # type: ignore[arg-type]
    notes = notes_of(plain) if plain else {}
    returned = f" -> {_note_text(notes['return'])}" if "return" in notes else ""
    if is_a(called, type):
        returned = ""
    written = list(_written(found, notes))
    text = f"({', '.join(written)}){returned}"
    if width and len(text) > width:
        text = "\n".join(["(", *(f"    {part}," for part in written), f"){returned}"])
    return text


def _written(found: list[Parameter], notes: dict[str, Any]) -> Iterator[str]:
    """Each parameter as text, with the bare `/` and `*` where they are due."""
    before = ""
    for parameter in found:
        mark = parameter.mark
        if before == "/" and mark != "/":
            yield "/"
        if mark == "k" and before not in ("*", "k"):
            yield "*"
        yield _parameter_text(parameter, notes)
        before = mark
    if before == "/":
        yield "/"


def _parameter_text(parameter: Parameter, notes: dict[str, Any]) -> str:
    text = parameter.name
    if parameter.mark.startswith("*"):
        text = parameter.mark + text
    note = notes.get(parameter.name)
    if note is not None:
        text += f": {_note_text(note)}"
    if parameter.default is ABSENT:
        return text
    return text + (" = " if note is not None else "=") + _value_text(parameter.default)


def _note_text(note: object) -> str:
    return note if type(note) is str else _value_text(note)


_SHORT = 100
_PLAIN = exact(bool, float, complex, type(None), type(...))
_TEXT = exact(str, bytes)
_SIZED = exact(str, bytes, tuple, list, dict)


def _value_text(value: object) -> str:
    """A default value, for which no code of the program is run."""
    if is_exactly(value, _PLAIN):
        return repr(value)
    if type(value) is int and value.bit_length() < _SHORT:
        return repr(value)
    if is_exactly(value, _SIZED) and (not value or is_exactly(value, _TEXT)):
        return repr(value) if len(value) <= _SHORT else "..."  # type: ignore[arg-type]
    if type(value) is FunctionType:
        return value.__qualname__
    return class_name(value) if is_a(value, type) else f"<{class_name(type(value))}>"  # type: ignore[arg-type]
