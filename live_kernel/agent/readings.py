"""What is read of a value each time: its text, and the numbers in it.

Runs in the target, on a worker's thread, which may run code of the program's. Rule: the
value itself is not kept; its text is short, and what its `repr` raises is the text.
"""

from __future__ import annotations

from itertools import islice

from . import brief
from .lookup import ABSENT, exact, is_a, is_exactly, module_name, type_entry
from .pretty import Printer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LINES = 8
"""So many numbers of one value are drawn."""

LENGTH = 500
"""Characters of a value's text."""

_ITEMS = 20
_REAL = ("decimal", "fractions")
_CONTAINERS = exact(dict, tuple, list)
_NUMBERS = exact(int, float, bool)


class Reading:
    """One value at one time; of an error, its text."""

    __slots__ = ("at", "is_error", "numbers", "text")

    def __init__(self, at: float, text: str, numbers: dict[str, float], is_error: bool) -> None:
        self.at, self.text, self.numbers, self.is_error = at, text, numbers, is_error


def read(value: object, at: float, names: Sequence[str] = ()) -> Reading:
    """Text and numbers of a value; `names` are what the items of a tuple were written as."""
    printer = Printer(LENGTH, _ITEMS)
    printer.pretty(value)
    return Reading(at, printer.finish(), numbers_in(value, names), False)


def from_memory(value: Any, at: float, names: Sequence[str] = ()) -> Reading:
    """As `read`, without code of the program's: no `repr`, and only plain numbers."""
    if is_exactly(value, exact(dict)):
        items = {brief.brief(key): item for key, item in list(value.items())[: LINES + 1]}
    elif is_exactly(value, exact(tuple, list)):
        labels = names if len(names) == len(value) else [*map(str, range(len(value)))]
        items = dict(zip(labels, value, strict=False))
    else:
        items = {"": value}
    are_numbers = items and all(is_exactly(item, _NUMBERS) for item in items.values())
    found = items if are_numbers and len(items) <= LINES else {}
    return Reading(
        at, brief.brief(value), {name: float(item) for name, item in found.items()}, False
    )


def numbers_in(value: Any, names: Sequence[str] = ()) -> dict[str, float]:
    """Its numbers by their names; one that is alone has none. Nothing else may be among them."""
    alone = as_number(value)
    if alone is not None:
        return {"": alone}
    if not (is_exactly(value, _CONTAINERS) or is_a(value, tuple)):
        return {}
    if not 0 < len(value) <= LINES:
        return {}
    found = {}
    for name, item in _named(value, names):
        number = as_number(item)
        if number is None:
            return {}
        found[name] = number
    return found


def _named(value: Any, names: Sequence[str]) -> Iterable[tuple[str, Any]]:
    if is_exactly(value, exact(dict)):
        pairs = list(islice(value.items(), LINES))
        return [(key if type(key) is str else brief.brief(key), item) for key, item in pairs]
    fields = type_entry(type(value), "_fields")
    names = fields if type(fields) is tuple else names
    positions = [str(place) for place in range(len(value))]
    return zip(names if len(names) == len(value) else positions, list(value), strict=False)


def as_number(value: Any) -> float | None:
    """A plain number, or one of numpy, decimal or fractions; of anything else nothing."""
    if not is_a(value, (int, float)) and not _is_like_a_number(type(value)):
        return None
    try:
        return float(value)
    except Exception:  # too large, an array, or what a subclass may say
        return None


def _is_like_a_number(kind: type) -> bool:
    module = module_name(kind).partition(".")[0]
    if type_entry(kind, "__float__") is ABSENT:
        return False
    return module in _REAL or (module == "numpy" and type_entry(kind, "__len__") is ABSENT)
