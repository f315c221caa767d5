"""The time as messages and the journal carry it: ISO 8601, in UTC.

Runs in the launcher. Rule: a cell asks for the time a dozen times, so this is quick: the text of
the present second is kept.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

_second, _text = 0, ""


def now() -> str:
    """To the microsecond: `2026-11-26T09:30:00.125000Z`."""
    second, rest = divmod(time.time_ns(), 10**9)
    return f"{_of(second)}.{rest // 1000:06d}Z"


def stamp() -> str:
    """To the millisecond: `2026-11-26T09:30:00.125Z`."""
    second, rest = divmod(time.time_ns(), 10**9)
    return f"{_of(second)}.{rest // 1000000:03d}Z"


def _of(second: int) -> str:
    global _second, _text
    if second != _second:
        _text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        _second = second
    return _text
