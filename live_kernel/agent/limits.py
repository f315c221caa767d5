"""The limits of the cell that runs, and what becomes of what is over them.

Runs in the target, on threads of cells. Rule: nothing is sent that would stall the
program while it is packed, or the browser that shows it; who sees less is told.
"""

from __future__ import annotations

from ..link.limits import DEFAULTS, enough_for, written
from .lookup import is_a
from .streams import current_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..link.limits import Limits

_IN_LINE = 20
"""Characters that a number of a long list is taken to have."""

_DEEPEST = 50


def present() -> Limits:
    """Those of the cell on whose behalf the current code runs."""
    cell = current_cell.get()
    return DEFAULTS if cell is None else cell.limits


def remedy(name: str, size: int) -> str:
    """The words that show something of this size."""
    return f"%limits {name} {written(enough_for(size))} shows"


def kept(data: dict[str, Any]) -> dict[str, Any]:
    """A MIME bundle without what is too large in it; its text says what was left out."""
    limits = present()
    notes = []
    for mime, content in list(data.items()):
        name = "image" if is_a(content, (bytes, bytearray)) or _is_coded(mime) else "html"
        limit = limits[name]
        if mime == "text/plain" or not limit:
            continue
        size = _size(content, limit)
        if size > limit:
            del data[mime]
            notes.append(
                f"… {mime} left out: it has {size:,} characters or more, and the limit is "
                f"{limit:,}; {remedy(name, size)} it"
            )
    if notes:
        data["text/plain"] = "\n".join([str(data.get("text/plain", "")), *notes]).lstrip("\n")
    return data


def _is_coded(mime: str) -> bool:
    """Is it a picture, which may come as base64? SVG is a text."""
    return mime == "application/pdf" or (mime.startswith("image/") and "svg" not in mime)


def _size(content: Any, limit: int, depth: int = 0) -> int:
    """Characters that it takes, roughly; not counted much beyond the limit."""
    if is_a(content, (str, bytes, bytearray)):
        return len(content)
    if is_a(content, dict):
        parts: Any = content.values()
    elif is_a(content, (list, tuple)):
        if content and is_a(content[0], (int, float)) and is_a(content[-1], (int, float)):
            return _IN_LINE * len(content)
        parts = content
    else:
        return _IN_LINE
    size = 0
    for part in parts if depth < _DEEPEST else ():
        size += _size(part, limit, depth + 1) + 2
        if size > limit:
            break
    return size
