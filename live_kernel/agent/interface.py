"""What `get_ipython()` returns in a cell as long as there is no real IPython.

Runs in the target, on the thread of a cell. What people and libraries ask most is
answered here; whatever else is asked for brings up a real IPython (`ipython.py`),
to which everything is passed on from then on.
Rule: a target whose cells use no magic is never made to load one.
"""

from __future__ import annotations

import sys

from . import limits
from .display import bundle, json_safe
from .streams import current_cell, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .shell import Shell


class Publisher:
    """`get_ipython().display_pub`: where IPython's own `display` and `clear_output` end."""

    is_publishing = False

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: object = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: object,
    ) -> None:
        """Show a MIME bundle as the cell's output."""
        cell = running_cell()
        if cell is not None:
            kind = "update" if update else "display"
            data, metadata = limits.kept(json_safe(data)), json_safe(metadata or {})
            cell.emit(kind, data, metadata, json_safe(transient or {}))

    def clear_output(self, wait: bool = False) -> None:
        """Remove the cell's output, now or when there is more."""
        cell = running_cell()
        if cell is not None:
            with cell.interruption:
                cell.output.add({"event": "clear", "wait": bool(wait)})


class Formatter:
    """`get_ipython().display_formatter`, as far as it goes without IPython."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def format(self, obj: object, include: Any = None, exclude: Any = None) -> Any:
        cell = current_cell.get()
        return bundle(obj, include, exclude, None if cell is None else cell.report)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell.real().display_formatter, name)


class Interface:
    """The object itself: what IPython's users know, the rest passed on to the real one."""

    def __init__(self, shell: Shell) -> None:
        vars(self).update(_shell=shell, display_pub=Publisher(), display_formatter=Formatter(shell))
        vars(self).update(shell.parents.interface())

    @property
    def user_ns(self) -> dict[str, Any]:
        scratch: dict[str, Any] = self._shell.namespace.scratch
        return scratch

    def get_ipython(self) -> Any:
        return self._shell.present()

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """`%name line`"""
        if self._shell.helps(magic_name, line):
            return None
        return self._shell.real().run_line_magic(magic_name, line, _stack_depth + 1)

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """`%%name line` and the rest of the cell"""
        return self._shell.real().run_cell_magic(magic_name, line, cell)

    def system(self, command: str) -> None:
        """`!command`"""
        self._shell.system(self._shell.expand(command, sys._getframe(1)))

    def getoutput(self, command: str, split: bool = True, depth: int = 0) -> Any:
        """`x = !command`"""
        return self._shell.getoutput(self._shell.expand(command, sys._getframe(depth + 1)), split)

    def sees(self, name: str) -> Any:
        """Does a cell see this name?"""
        return self._shell.sees(name)

    def object_inspect(self, oname: str, detail_level: int = 0) -> Any:
        """What IPython knows of an object, as a dictionary."""
        return self._shell.real().object_inspect(oname, detail_level)

    def ev(self, expr: str) -> Any:
        """The value of an expression, among the names of the cells."""
        return self._shell.real().ev(expr)

    def ex(self, cmd: str) -> None:
        """Run statements, among the names of the cells."""
        self._shell.real().ex(cmd)

    def run_cell(self, raw_cell: str, *arguments: Any, **options: Any) -> Any:
        """Run a cell inside the one that runs; its error is shown, not raised."""
        return self._shell.real().run_cell(raw_cell, *arguments, **options)

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Have the front-end fill its next input cell, or this one, with `text`."""
        offer_input(text, replace)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_repr_", "_ipython_")):  # asked of anything that is shown
            raise AttributeError(name)
        return getattr(self._shell.real(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._shell.real(), name, value)

    def __repr__(self) -> str:
        return "<IPython in a live program>"


def offer_input(text: str, replace: bool) -> None:
    """Have the front-end fill its next input cell."""
    cell = running_cell()
    if cell is not None:
        with cell.interruption:
            cell.output.add({"event": "next_input", "text": str(text), "replace": bool(replace)})
