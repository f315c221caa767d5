"""What cells may ask and say of the request behind their output (ipykernel's words for it).

Runs in the target, on threads of cells. Widgets that collect output, and threads
that outlive their cell, use these. Rule: a parent is told by value; whose output
something is, the context alone decides (`streams.py`).
"""

from __future__ import annotations

from .streams import current_cell, keeps_cell, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell
    from .shell import Shell


class Parent(dict[str, object]):
    """A request of the front-end, as `get_parent` tells of it. It knows its cell."""

    __slots__ = ("cell",)

    def __init__(self, cell: Cell) -> None:
        header = dict(cell.parent)
        super().__init__(
            header=header,
            msg_id=header.get("msg_id", ""),
            msg_type=header.get("msg_type", ""),
            parent_header={},
            metadata={},
            content={"code": cell.source},
        )
        self.cell = cell


class Parents:
    """`get_parent` and what goes with it, for the cells of one session."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def interface(self) -> dict[str, Any]:
        """What an interface of IPython's offers of this, by name."""
        names = ("get_parent", "set_parent", "set_thread_parent", "reset_thread_parent")
        return {name: getattr(self, name) for name in names} | {"kernel": Kernel(self)}

    def get_parent(self, channel: str = "shell") -> dict[str, object]:
        """The request to which output belongs that is written now."""
        cell = running_cell() if channel == "shell" else None
        return {} if cell is None else Parent(cell)

    def set_parent(self, parent: dict[str, object], channel: str = "shell") -> None:
        """Have the rest of this thread's or task's output go to that request."""
        self.set_thread_parent(parent, channel)

    def set_thread_parent(self, parent: dict[str, object], channel: str = "shell") -> Any:
        """The same; `reset_thread_parent` takes back what is returned here."""
        if not isinstance(parent, Parent):
            raise TypeError("set_thread_parent() takes what get_parent() has returned")
        return current_cell.set(parent.cell), keeps_cell.set(True)

    def reset_thread_parent(self, token: Any) -> None:
        """Undo `set_thread_parent`."""
        cell, keeps = token
        keeps_cell.reset(keeps)
        current_cell.reset(cell)


class Kernel:
    """`get_ipython().kernel`: as much of ipykernel's as libraries ask for."""

    def __init__(self, parents: Parents) -> None:
        self._parents = parents
        self.get_parent = parents.get_parent
        self.set_parent = parents.set_parent

    @property
    def shell(self) -> Any:
        return self._parents._shell.present()

    @property
    def comm_manager(self) -> Any:
        return self._parents._shell.comms.manager()

    @property
    def _parent_header(self) -> dict[str, object]:
        return self.get_parent()

    @property
    def _parent_ident(self) -> dict[str, list[bytes]]:
        """Who asked: front-ends identify themselves by their sessions."""
        header = self.get_parent().get("header")
        session = header.get("session", "") if isinstance(header, dict) else ""
        return {"shell": [str(session).encode()]}
