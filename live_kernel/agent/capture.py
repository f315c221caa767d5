"""Keeping what a cell produces instead of sending it: `%%capture`.

Runs in the target, on the thread of a cell. Rule: only what this cell produces is
kept; the program's own output takes its way.
"""

from __future__ import annotations

from .streams import running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell

    Message = dict[str, Any]


def is_captured() -> bool:
    """Does the output of the running cell go into an object rather than to the front-end?"""
    cell = running_cell()
    return cell is not None and isinstance(cell.output, Captured)


class Captured:
    """Stands in for a cell's Output while `%%capture` keeps what the cell produces.

    Only what this cell writes is kept; IPython's own way, a `sys.stdout` of its own,
    would keep what the program writes meanwhile.
    """

    def __init__(self, cell: Cell, streams: dict[str, Any], outputs: list[Any] | None) -> None:
        self._cell, self._output = cell, cell.output
        self._streams, self._outputs = streams, outputs

    def __enter__(self) -> None:
        self._cell.output = self  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        self._cell.output = self._output

    def gather(self, stream: str, text: str) -> bool:
        """Nothing waits to be sent: see `write`."""
        return False

    def write(self, stream: str, text: str) -> None:
        kept = self._streams.get(stream)
        if kept is None:
            self._output.write(stream, text)
        else:
            kept.write(text)

    def add(self, event: Message) -> None:
        kind = event["event"]
        if self._outputs is None or kind not in ("display", "update", "result"):
            self._output.add(event)
            return
        kept = {key: event[key] for key in ("data", "metadata", "transient") if key in event}
        self._outputs.append(kept | ({"update": True} if kind == "update" else {}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)
