"""`help()` in a cell: Python's own words, as the cell's output.

Runs in the target, on the thread of a cell. Python's `help` chooses a pager for
the whole process when it is first called, and might start one in the program's
terminal; this one neither asks for a pager nor leaves a choice of one behind.
Rule: `pydoc` is loaded by the first help, not before.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Help:
    """Show help on an object, a module's name or a topic; without any, ask what for.

    `ask`: reads a line from the front-end.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def __call__(self, *request: object) -> None:
        import pydoc

        if len(request) > 1:
            raise TypeError(f"help() takes at most 1 argument ({len(request)} given)")
        helper: Any = pydoc.Helper(output=sys.stdout)
        helper.getline = self._ask
        helper(*request)

    def __repr__(self) -> str:
        return "Type help() for interactive help, or help(object) for help about object."
