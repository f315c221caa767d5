"""The kernel's commands that are carried out in the target, as cells without code of the user's.

Runs in the target, on the thread of a cell, in the cell's context. An action shows what
it has to show as the cell's output, and may last: it is interrupted like any cell.
Rule: what an action changes is entered in the session's ledger.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .cell import Cell
    from .shell import Shell


class Refused(Exception):
    """An action can't be done. `name`: what kind of error the user sees; `remedy`: what to do."""

    def __init__(self, name: str, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.name, self.remedy = name, remedy

    def as_message(self) -> dict[str, Any]:
        """As Jupyter messages carry errors, as the launcher's own look."""
        lines = [f"\x1b[0;31m{self.name}\x1b[0m: {self}", *self.remedy.splitlines()]
        return {"ename": self.name, "evalue": str(self), "traceback": lines}


def act(cell: Cell, shell: Shell) -> None:
    """Do what the cell asks for. Raises Refused, and whatever the action raises."""
    name = cell.action["name"]
    if name not in _ACTIONS:
        raise Refused("ActionUnknown", f"this agent knows no action {name!r}")
    module, function = _ACTIONS[name]
    cell.interruption.begin()
    try:
        getattr(module(), function)(cell, shell, cell.action)
    finally:
        cell.interruption.end()
        cell.end()


# Modules that are loaded by the first action of theirs.


def _rebinding() -> ModuleType:
    from . import rebinding

    return rebinding


def _watching() -> ModuleType:
    from . import watching

    return watching


def _tracing() -> ModuleType:
    from . import tracing

    return tracing


def _patching() -> ModuleType:
    from . import patching

    return patching


def _debugging() -> ModuleType:
    from . import debugging

    return debugging


_ACTIONS: dict[str, tuple[Callable[[], ModuleType], str]] = {
    "bind": (_rebinding, "bind"),
    "watch": (_watching, "watch"),
    "unwatch": (_watching, "unwatch"),
    "trace": (_tracing, "trace"),
    "untrace": (_tracing, "untrace"),
    "patch": (_patching, "patch"),
    "unpatch": (_patching, "unpatch"),
    "break": (_debugging, "break_"),
    "unbreak": (_debugging, "unbreak"),
    "enter": (_debugging, "enter"),
}
"""Each in its module, by the name of its function: that takes the cell, the shell, the fields."""
