"""Values of Python in a command: `{expression}` and `$name`, as IPython reads them.

Runs in the target, on the thread of a cell. Rule: what has no such value is left as
it is: the system's shell has variables that look alike.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CONVERSIONS: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}


def expanded(text: str, evaluate: Callable[[str], Any]) -> Any:
    """The pieces of a command, as IPython reads it: Python's format, and `$name` besides."""
    import _string  # type: ignore[import-not-found]  # what string.Formatter is made of

    for literal, field, spec, conversion in _string.formatter_parser(text):
        yield from _dollars(literal, evaluate)
        if field is not None:
            value = evaluate(field)
            if conversion:
                value = _CONVERSIONS[conversion](value)
            yield format(value, spec or "")


def _dollars(literal: str, evaluate: Callable[[str], Any]) -> Any:
    """`$name` and `$name.attribute` outside single quotes; `$$` stands for a dollar."""
    import re

    done = 0
    for match in re.finditer(r"\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", literal):
        yield literal[done : match.start()]
        done = match.end()
        name = match.group(1)
        yield name if name.startswith("$") else _value_or_itself(name, evaluate)
    yield literal[done:]


def _value_or_itself(name: str, evaluate: Callable[[str], Any]) -> str:
    first, dot, rest = name.partition(".")
    if not first.isidentifier():
        return "$" + name
    try:
        evaluate(first)
    except NameError:
        return "$" + name
    return str(evaluate(first + dot + rest))
