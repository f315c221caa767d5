"""What a cell finds among its builtins beyond Python's own: `display`, `get_ipython`, …

Runs in the target, on threads of cells. Rule: these are seen by cells only; the
program's builtins stay as they are.
"""

from __future__ import annotations

from .display import display
from .helping import Help
from .streams import current_cell, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def additions() -> dict[str, object]:
    """What a cell finds among its builtins beyond Python's own."""

    def show(*objects: object, **options: Any) -> Any:
        """Display objects in the notebook, as IPython's `display` does."""
        return display(*objects, emit=emit, on_error=report, **options)

    def emit(*event: Any) -> None:  # of the cell that runs when a handle is updated
        cell = running_cell()
        if cell is None:
            raise RuntimeError("display() works in a cell, and in threads and tasks it started")
        cell.emit(*event)

    def report(error: BaseException) -> None:
        cell = running_cell()
        if cell is not None:
            cell.report(error)

    def ask(prompt: object = "", /) -> str:
        """Read a line from the front-end, as the built-in `input` does from a terminal."""
        cell = running_cell()
        if cell is None:
            raise EOFError("input() works in a cell, and in threads and tasks it started")
        return cell.ask(str(prompt))

    def leave(code: object = None, /) -> None:
        """End this cell. The program goes on; `%detach` leaves it."""
        raise SystemExit(code)

    def get_ipython() -> Any:
        """IPython's interface to the cell that runs: magics, commands, display."""
        cell = current_cell.get()
        return None if cell is None or cell.shell is None else cell.shell.present()

    show.__name__ = show.__qualname__ = "display"
    ask.__name__ = ask.__qualname__ = "input"
    leave.__name__ = leave.__qualname__ = "exit"
    names = {"display": show, "input": ask, "exit": leave, "quit": leave}
    return names | {"get_ipython": get_ipython, "help": Help(ask)}
