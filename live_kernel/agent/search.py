"""Names that fit a pattern: `np.s*?` and `%psearch`.

Runs in the target, on the thread of a cell. Rule: as for completion, no property
is run and no more than `MATCH_LIMIT` names are found.
"""

from __future__ import annotations

import builtins

from .completion import MATCH_LIMIT
from .expressions import attribute_of, entries_of, read_name
from .lookup import ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .expressions import Names


def search(pattern: str, names: Names) -> list[str]:
    """The names, with those of their owners, that fit a pattern as files do in a shell.

    Capitals in the pattern count; names with an underscore fit where the pattern has it, too.
    """
    first, *rest = pattern.strip().split(".")
    seen = dict.fromkeys([*names.names(), *builtins.__dict__])
    found = [(name, read_name(name, names)) for name in _fitting(seen, first)]
    for part in rest:
        found = [pair for name, value in found for pair in _attributes(name, value, part)]
        del found[MATCH_LIMIT:]
    return sorted(name for name, _ in found)[:MATCH_LIMIT]


def _attributes(owner: str, value: Any, pattern: str) -> list[tuple[str, Any]]:
    entries = {} if value is ABSENT else entries_of(value)
    return [(f"{owner}.{n}", attribute_of(value, n)) for n in _fitting(entries, pattern)]


def _fitting(names: Iterable[str], pattern: str) -> list[str]:
    import re
    from fnmatch import translate

    fits = re.compile(translate(pattern), re.IGNORECASE if pattern.islower() else 0).match
    shown = [name for name in names if not name.startswith("_") or pattern.startswith("_")]
    return [name for name in shown if fits(name)][:MATCH_LIMIT]
