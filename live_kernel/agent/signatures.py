"""Callables: what they take, and what they promise to return.

Runs in the target, on the thread `control`, and on a cell's to show a function.
Rule: a signature is read from the function's code and defaults, annotations as
text. No `__signature__`, no `repr` of a default and no name in an annotation is
evaluated.
"""

from __future__ import annotations

import builtins
import functools
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType

from .lookup import (
    ABSENT,
    BUILTIN_METHODS,
    class_dict,
    class_name,
    exact,
    is_a,
    is_exactly,
    items,
    module_name,
    own_entry,
    type_entry,
    wrapped_function,
)
from .results import built_in_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    type Parameter = tuple[str, str, Any]
    """Name; "/", "", "*", "k" (keyword only) or "**"; default value, or ABSENT."""


_PARTIAL = functools.partial.__dict__
_text_of_class = type.__dict__["__text_signature__"].__get__
_TEXTS = exact(BuiltinFunctionType, MethodWrapperType) | BUILTIN_METHODS


def plain_function(called: object) -> FunctionType | None:
    """The Python function behind methods, partials and decorators that say what they wrap."""
    for _ in range(20):  # so many layers; a function may also wrap itself
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


# What is taken.


def parameters(called: object) -> list[Parameter] | None:
    """What can be passed to a callable; None if nothing in memory tells."""
    made, passed = called, 0
    if is_a(called, type):
        fields = type_entry(called, "__pydantic_fields__")  # type: ignore[arg-type]
        if type(fields) is dict:  # its __init__ says **data
            return [(name, "k", ABSENT) for name in fields]
        made, passed = _maker(called), 1  # type: ignore[arg-type]
    elif type(called) is MethodType:
        passed = 1
    elif is_a(called, functools.partial):
        passed = len(_PARTIAL["args"].__get__(called))
    elif plain_function(called) is None:
        made, passed = type_entry(type(called), "__call__"), 1
    plain = plain_function(made)
    if plain is None:
        text = text_signature(called)
        return _of_text(text) if text else None
    found = _of_code(plain)
    while passed and found and not found[0][1].startswith("*"):
        del found[0]
        passed -= 1
    return found


def _maker(cls: type) -> object:
    """The function that takes what is passed to the class."""
    makers = (wrapped_function(type_entry(cls, name)) for name in ("__init__", "__new__"))
    return next((maker for maker in makers if plain_function(maker)), None)


def _of_code(function: FunctionType) -> list[Parameter]:
    code = function.__code__
    names, count = code.co_varnames, code.co_argcount
    last = count + code.co_kwonlyargcount
    values = function.__defaults__ or ()
    defaults = dict(zip(names[count - len(values) : count], values, strict=False))
    defaults |= function.__kwdefaults__ or {}
    found = [(name, "/" if i < code.co_posonlyargcount else "") for i, name in enumerate(names)]
    del found[count:]
    if code.co_flags & 0x04:  # CO_VARARGS
        found.append((names[last], "*"))
    found += [(name, "k") for name in names[count:last]]
    if code.co_flags & 0x08:  # CO_VARKEYWORDS
        found.append((names[last + bool(code.co_flags & 0x04)], "**"))
    return [(name, mark, defaults.get(name, ABSENT)) for name, mark in found]


def _of_text(text: str) -> list[Parameter]:
    """What `(iterable, /, *, key=None)` takes by keyword."""
    parts = text[1:-1].rpartition("/")[2].split(",")
    names = [part.partition("=")[0].strip() for part in parts]
    return [(name, "k", ABSENT) for name in names if name.isidentifier()]


def text_signature(called: object) -> str:
    """The signature that something built in brings along as text; or ""."""
    if is_exactly(called, _TEXTS):
        text = called.__text_signature__  # type: ignore[attr-defined]
    else:
        text = _text_of_class(called) if is_a(called, type) else None
    if type(text) is not str:
        return ""
    text = " ".join(text.split())  # some have several lines
    if is_exactly(called, BUILTIN_METHODS):  # of the class: its object is still to be passed
        return text.replace("($", "(")
    if not text.startswith("($"):
        return text
    rest = text[1:-1].partition(", ")[2]
    return f"({rest.removeprefix('/').removeprefix(', ')})"


# How it is written.


def signature(called: object, annotated: bool = False, width: int = 0) -> str:
    """A callable's signature as Python writes it, "" if it is not known.

    One that is longer than `width`, if there is one, has a line for each parameter.
    """
    text = text_signature(called)
    found = None if text else parameters(called)
    if found is None:
        return text
    of_class = is_a(called, type)
    plain = plain_function(_maker(called) if of_class else called)  # type: ignore[arg-type]
    notes = notes_of(plain) if annotated and plain else {}
    notes = {k: v if type(v) is str else _value_text(v) for k, v in notes.items()}
    returned = f" -> {notes['return']}" if "return" in notes and not of_class else ""
    written = list(_written(found, notes))
    text = f"({', '.join(written)}){returned}"
    if width and len(text) > width:
        text = "\n".join(["(", *(f"    {part}," for part in written), f"){returned}"])
    return text


def _written(found: list[Parameter], notes: dict[str, str]) -> Iterator[str]:
    """Each parameter as text, with the bare `/` and `*` where they are due."""
    before = ""
    for name, mark, default in found:
        if before == "/" and mark != "/":
            yield "/"
        if mark == "k" and before not in ("*", "k"):
            yield "*"
        text = mark.strip("/k") + name
        if name in notes:
            text += f": {notes[name]}"
        if default is not ABSENT:
            text += (" = " if name in notes else "=") + _value_text(default)
        yield text
        before = mark
    if before == "/":
        yield "/"


_SCALARS = exact(bool, complex, float, int, type(None), type(...))
_TEXT = exact(str, bytes)
_EMPTY = exact(dict, list, tuple)


def _value_text(value: Any) -> str:
    """A default value or an annotation, for which no code of the program is run."""
    if is_exactly(value, _SCALARS):
        return repr(value)
    if is_exactly(value, _TEXT | _EMPTY):
        return repr(value) if len(value) <= 100 * is_exactly(value, _TEXT) else "..."
    if type(value) is FunctionType:
        return value.__qualname__
    return class_name(value) if is_a(value, type) else f"<{class_name(type(value))}>"


# What is promised.


def notes_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function or a class as text; their names are not evaluated."""
    if type(thing) is FunctionType:
        annotate: Any = thing.__annotate__
        notes: Any = None if annotate else thing.__annotations__
    else:  # from the dictionary: asking the class for them would leave entries in it
        annotate = class_dict(thing).get("__annotate_func__")
        notes = class_dict(thing).get("__annotations__")
    if type(annotate) is not FunctionType:
        return notes if type(notes) is dict else {}
    import annotationlib

    try:
        return dict(annotationlib.call_annotate_function(annotate, annotationlib.Format.STRING))
    except Exception:  # a function may have been put there that is none of the compiler's
        return {}


_RUNS_LATER = 0x20 | 0x80 | 0x200
"""CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR: the annotation is not what the call gives."""


def returned_class(function: Any, owner: type | None = None) -> type | None:
    """The class that calling a function gives, by its annotation; `Self` means `owner`."""
    plain = plain_function(function)
    if plain is None:
        return built_in_result(function)
    if plain.__code__.co_flags & _RUNS_LATER:
        return None
    return _class_named(notes_of(plain).get("return"), plain.__globals__, owner)


def _class_named(note: object, scope: dict[str, Any], owner: type | None) -> type | None:
    """The class that an annotation means: `X`, `"X"`, `X | None`, `Optional[X]`, `X[...]`."""
    if type(note) is not str:
        return note if is_a(note, type) else None  # type: ignore[return-value]
    text = note.strip("'\" ").removesuffix("| None").removeprefix("None |").strip()
    head, _, inner = text.partition("[")
    first, *rest = head.split(".")
    if head.endswith("Optional"):
        return _class_named(inner.removesuffix("]"), scope, owner)
    if head.endswith("Self"):
        return owner
    found = scope.get(first, builtins.__dict__.get(first, ABSENT))
    if found is ABSENT and not rest:
        found = _class_beside(first, scope)
    for part in rest:
        found = own_entry(found, part)
    return found if is_a(found, type) else None


def _class_beside(name: str, scope: dict[str, Any]) -> Any:
    """A class that another loaded module of the same package has under a name.

    What is imported for type checkers only is not among a module's own names.
    """
    package = str(scope.get("__name__", "")).partition(".")[0]
    for module in [m for n, m in items(sys.modules) if type(n) is str and n.startswith(package)]:
        found = own_entry(module, name)
        if package and is_a(found, type) and module_name(found).startswith(package):
            return found
    return ABSENT
