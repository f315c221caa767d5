"""The kernel's commands that are carried out in the target, as cells without code of the user's.

Runs in the target, on the thread of a cell, in the cell's context. An action shows what
it has to show as the cell's output, and may last: it is interrupted like any cell.
Rule: what an action changes is entered in the session's ledger.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .cell import Cell
    from .shell import Shell

    Action = Callable[[Cell, Shell, dict[str, Any]], object]


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
    action = _ACTIONS.get(cell.action["name"])
    if action is None:
        raise Refused("ActionUnknown", f"this agent knows no action {cell.action['name']!r}")
    cell.interruption.begin()
    try:
        action(cell, shell, cell.action)
    finally:
        cell.interruption.end()
        cell.end()


def _bind(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import rebinding

    rebinding.bind(cell, shell, action)


def _watch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import watching

    watching.watch(cell, shell, action)


def _unwatch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import watching

    watching.unwatch(cell, shell, action)


def _trace(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import tracing

    tracing.trace(cell, shell, action)


def _untrace(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import tracing

    tracing.untrace(cell, shell, action)


def _patch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import patching

    patching.patch(cell, shell, action)


def _unpatch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    from . import patching

    patching.unpatch(cell, shell, action)


def _break(cell: Cell, shell: Shell, options: dict[str, Any]) -> None:
    from . import debugging

    debugging.break_(cell, shell, options)


def _unbreak(cell: Cell, shell: Shell, options: dict[str, Any]) -> None:
    from . import debugging

    debugging.unbreak(cell, shell, options)


def _enter(cell: Cell, shell: Shell, options: dict[str, Any]) -> None:
    from . import debugging

    debugging.enter(cell, shell, options)


_ACTIONS: dict[str, Action] = {
    "bind": _bind,
    "break": _break,
    "unbreak": _unbreak,
    "enter": _enter,
    "patch": _patch,
    "unpatch": _unpatch,
    "trace": _trace,
    "untrace": _untrace,
    "watch": _watch,
    "unwatch": _unwatch,
}
