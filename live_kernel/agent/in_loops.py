"""Running cells in an event loop: the program's, or one of our own.

Runs in the target, on the cells' thread, which waits meanwhile. A cell that awaits runs there,
and one that starts tasks, as in any notebook. Rule: whatever becomes of the loop, the cell's
thread comes back, and is told what the cell has raised.
"""

from __future__ import annotations

import contextvars

from .compiling import IS_COROUTINE
from .places import LoopRun, OwnLoop, program_loop
from .streams import current_cell, keeps_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .cell import Cell
    from .compiling import Compiled
    from .ledger import Ledger
    from .namespace import Namespace

_OF_THE_RUNNING_LOOP = {
    "create_task", "current_task", "ensure_future", "get_event_loop", "get_running_loop",
}  # fmt: skip
"""Functions of asyncio that work in a running loop only."""

_FUNCTION = type(lambda: 0)


class InLoops:
    """Runs the cells of one session that need a loop; `show(cell, value)` shows their values."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, show: Callable[[Cell, object], object]
    ) -> None:
        self._namespace, self._ledger, self._show = namespace, ledger, show
        self._own_loop: OwnLoop | None = None

    def are_wanted(self, compiled: Compiled) -> bool:
        """Does the code, which awaits nothing, start tasks, as in a notebook it may?

        There every cell runs in a loop. It is a loop's own method, or one of asyncio's functions.
        """
        names = {name for part in compiled.parts for name in part.co_names}
        return not names.isdisjoint(_OF_THE_RUNNING_LOOP) and any(map(self._is_of_asyncio, names))

    def _is_of_asyncio(self, name: str) -> bool:
        if name == "asyncio":
            return True
        try:
            value = self._namespace.lookup(name)
        except KeyError:
            return False
        if isinstance(value, _FUNCTION):
            return str(value.__module__).startswith("asyncio.")
        return hasattr(type(value), "call_soon_threadsafe")

    def run(
        self,
        cell: Cell,
        compiled: Compiled,
        scope: tuple[Any, Any],
        loop: Any = None,
        at_most: float | None = None,
    ) -> None:
        """Run a cell in `loop`, or else in the one that there is for cells, and show its value.

        `at_most`: seconds for which it may keep the loop from other work at a time.
        """
        # As with ipykernel, what a task writes after the end of its cell stays that cell's.
        cell.context.run(keeps_cell.set, True)
        thread = cell.interruption.thread
        cell.in_loop = LoopRun(loop or self._loop(), cell.interruption, at_most)
        result: list[Any] = []
        try:
            cell.in_loop.run(_in_turn(compiled.parts, scope, result), cell.context)
            self._leave_loop(cell, thread)
            if compiled.shows_last:
                cell.context.run(self._show, cell, result[-1])
        finally:
            self._leave_loop(cell, thread)
            cell.context.run(cell.end)

    def await_inside(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> object:
        """Run a coroutine to its end from within a cell on the cells' thread."""
        if cell.in_loop is not None:
            raise RuntimeError("a cell that awaits can't run another that does")
        thread = cell.interruption.thread
        cell.interruption.end()
        cell.in_loop = LoopRun(self._loop(), cell.interruption)
        result: list[Any] = []
        try:
            # In a copy: this thread is in the context itself.
            steps = _in_turn(compiled.parts, scope, result)
            cell.in_loop.run(steps, contextvars.copy_context())
        finally:
            self._leave_loop(cell, thread)
            cell.interruption.begin()
        return result[-1]

    def _leave_loop(self, cell: Cell, thread: int) -> None:
        """The cell's code is back on this thread."""
        if cell.in_loop is not None:
            if cell.in_loop.was_too_long:
                cell.output.write("stderr", _TOO_LONG.format(cell.place["at_most"]))
            self._split_for_tasks(cell, cell.in_loop)
        cell.in_loop = None
        cell.interruption.thread, cell.interruption.exception = thread, KeyboardInterrupt

    def _split_for_tasks(self, cell: Cell, run: LoopRun) -> None:
        """Keep the streams split as long as there are tasks that the cell has started."""
        for task in run.left_running(lambda context: context.get(current_cell) is cell):
            entry = split.enter(self._ledger)
            run.call(task.add_done_callback, lambda _task, entry=entry: entry.undo())

    def _loop(self) -> Any:
        """The program's event loop if it runs one, else our own."""
        loop = program_loop()
        if loop is None:
            if self._own_loop is None or self._own_loop.loop.is_closed():
                self._own_loop = OwnLoop(self._ledger)
            loop = self._own_loop.loop
        return loop


_TOO_LONG = "The cell has kept the event loop for {:g} s: it is interrupted, as was asked for.\n"


async def _in_turn(parts: list[CodeType], scope: tuple[Any, Any], result: list[Any]) -> None:
    """Run the parts of a cell, awaiting those that await."""
    for part in parts:
        value = eval(part, *scope)
        if part.co_flags & IS_COROUTINE:
            value = await value
        result.append(value)
