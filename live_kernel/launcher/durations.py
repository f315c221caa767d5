"""Spans of time as people write them: `2s`, `500ms`, `1.5 min`.

Pure. Rule: a number without a unit is in seconds.
"""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "": 1.0}
_FORM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)")


def parse(text: str) -> float:
    """Seconds, more than none. Raises ValueError."""
    found = _FORM.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{text!r} is no span of time such as 2s, 500ms or 1min")
    return seconds


def written(seconds: float) -> str:
    """`500 ms`, `2 s`, `30 min`, `1.5 h`: as `parse` reads it."""
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"
