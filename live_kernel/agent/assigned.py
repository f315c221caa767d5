"""What a name means that the code before the cursor binds, though it has not run yet.

Runs in the target, on the thread `control`. `frame = pd.DataFrame()` in the line
above, `for order in orders:`, `with open(...) as file:`, `import json as j`.
Rule: the text is read, not run, and what has run already is believed where the
text gives no more than a promise.
"""

from __future__ import annotations

import sys
from itertools import islice

from .expressions import attribute_of, read_text
from .lookup import ABSENT, Unread, exact, is_exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from re import Match
    from typing import Any

    from .expressions import Names

LINE_LIMIT = 20
"""So many lines may a value have that is assigned."""

DEPTH_LIMIT = 10
"""So many assignments are followed, one to the other."""

_BINDINGS = (
    r"^[ \t]*{0}[ \t]*(?::[^=\n]+)?=(?!=)[ \t]*(?P<value>.+)"
    r"|\bfor[ \t]+{0}[ \t]+in[ \t]+(?P<each>[^:\n\]]+)"
    r"|^[ \t]*(?:async[ \t]+)?with[ \t]+(?P<entered>.+)[ \t]as[ \t]+{0}[ \t]*:"
    r"|^[ \t]*import[ \t]+(?:(?P<module>[\w.]+)[ \t]+as[ \t]+{0}|(?P<plain>{0}))[ \t]*$"
    r"|^[ \t]*from[ \t]+(?P<package>[\w.]+)[ \t]+import[ \t]"
    r"(?:.*?\b(?P<member>\w+)[ \t]+as[ \t]+{0}\b|.*?\b(?P<same>{0})\b)"
)


class Assigned:
    """Names as they are once the code has run. `names`: as they are now."""

    def __init__(self, code: str, names: Names, depth: int = 0) -> None:
        self._code, self._names, self._depth = code, names, depth

    def names(self) -> Iterable[str]:
        """All names that are there now."""
        return self._names.names()

    def local_names(self) -> Iterable[str]:
        """The bound function's variables."""
        return self._names.local_names()

    def lookup(self, name: str) -> Any:
        """The value of a name, maybe Unread. Raises KeyError."""
        value = self._bound(name) if name in self._code else ABSENT
        if value is ABSENT:
            return self._names.lookup(name)
        if type(value) is Unread:
            try:
                return self._names.lookup(name)
            except KeyError:
                pass
        return value

    def _bound(self, name: str) -> Any:
        import re

        if self._depth > DEPTH_LIMIT or not name.isidentifier():
            return ABSENT
        pattern = re.compile(_BINDINGS.format(re.escape(name)), re.MULTILINE)
        found = list(pattern.finditer(self._code))
        return self._value(found[-1]) if found else ABSENT

    def _value(self, found: Match[str]) -> Any:
        before = Assigned(self._code[: found.start()], self._names, self._depth + 1)
        parts = found.groupdict()
        if parts["value"]:
            return self._assigned(found.start("value"), before)
        if parts["each"]:
            return _element(read_text(parts["each"], before))
        if parts["entered"]:
            return read_text(parts["entered"], before)
        module = sys.modules.get(parts["module"] or parts["plain"] or parts["package"])
        member = parts["member"] or parts["same"]
        if module is None or not member:
            return module or ABSENT
        return attribute_of(module, member)

    def _assigned(self, start: int, before: Assigned) -> Any:
        """The value that begins there, however many lines it has."""
        lines = self._code[start:].splitlines(keepends=True)[:LINE_LIMIT]
        for text in (lines[0].partition(";")[0], *map("".join, _beginnings(lines))):
            value = read_text(text, before)
            if value is not ABSENT:
                return value
        return ABSENT


def _beginnings(lines: list[str]) -> Iterable[list[str]]:
    return (lines[: count + 1] for count in range(len(lines)))


_CONTAINERS = exact(list, tuple, dict, set, frozenset)


def _element(container: Any) -> Any:
    """One of what a container has, as an example of all."""
    if not is_exactly(container, _CONTAINERS):
        return ABSENT
    return next(islice(container, 1), ABSENT)
