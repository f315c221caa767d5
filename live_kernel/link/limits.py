"""How much a cell may show: one table, for both sides.

The launcher shows and changes it (`%limits`) and sends what is changed with each
cell; the agent keeps to it. Rule: a limit is a whole number, 0 where there is none,
and whatever is cut or left out says so, with the words that show it after all.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Limits = Mapping[str, int]

DEFAULTS = {
    "repr": 1_000_000,
    "items": 1000,
    "html": 20_000_000,
    "image": 50_000_000,
    "print": 10_000_000,
}
"""A browser takes ten times as much before it stalls, on the machines that we know."""

MEANINGS = {
    "repr": "characters of a value's text",
    "items": "items of each list, dict, set and the like in it",
    "html": "characters of HTML, SVG, Markdown, LaTeX, JSON, JavaScript",
    "image": "bytes of a picture, or of a PDF",
    "print": "characters that are written at once",
}

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse(text: str) -> int:
    """The number that a user means: `1_000`, `500kB`, `2.5 MB`, `off`. Raises ValueError."""
    plain = text.strip().lower().replace("_", "").replace(",", "")
    if plain in ("off", "none", "0"):
        return 0
    number = plain.removesuffix("b").rstrip("kmg")
    unit = plain.removesuffix("b")[len(number) :]
    try:
        limit = int(float(number) * _UNITS[unit])
    except (KeyError, OverflowError, ValueError):
        limit = -1
    if limit < 1:
        raise ValueError(f"{text.strip()!r} is no size")
    return limit


def written(limit: int) -> str:
    """A limit as a user would write it: `20MB`, `1000`, `off`."""
    if not limit:
        return "off"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if limit >= max(size, 10_000):
            return f"{limit / size:g}{unit}"
    return str(limit)


def enough_for(size: int) -> int:
    """A limit that lets this through, in round figures."""
    step = int("1" + "0" * (len(str(size)) - 2))
    return -(-size // step) * step


def are_limits(values: object) -> bool:
    """Can this be sent as limits?"""
    return isinstance(values, dict) and all(
        name in DEFAULTS and type(value) is int and value >= 0 for name, value in values.items()
    )
