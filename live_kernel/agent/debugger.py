"""pdb in a cell: it asks the front-end, and stops that cell and nothing else.

Runs in the target, on the thread of a cell (or one that the cell started).
`breakpoint()`, `pdb.set_trace()` and their like are answered here while a cell runs, if
it is a cell that calls them.
Rule: when the cell's code ends nothing of the debugger is left on its threads.
"""

from __future__ import annotations

import sys

from . import native
from .frames import is_ours
from .prompting import Conversation, WithoutReadline, pdb_with
from .stepping import CellDebugger
from .streams import Replaced, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .cell import Cell


class Debugging:
    """What debuggers know of one cell: one for each thread of it that has stopped."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._debuggers: dict[int, Any] = {}
        self._refused: set[str] = set()

    def debugger(self) -> Any:
        """That of the present thread."""
        thread = native.get_ident()
        if thread not in self._debuggers:
            self._debuggers[thread] = pdb_with(CellDebugger, self._cell)
        return self._debuggers[thread]

    def may_stop(self, frame: FrameType, what: str) -> bool:
        """Can somebody be asked, and may this thread wait for an answer? Says so if not, once."""
        why = ""
        if not self._cell.allow_input:
            why = "this front-end can't be asked for input"
        elif not self._cell.may_wait_here():
            why = "it is reached on the program's main thread, which would stand still"
        if why:
            text = f"{frame.f_code.co_filename}:{frame.f_lineno}: {what} is passed over: {why}.\n"
            if text not in self._refused:
                self._refused.add(text)
                self._cell.output.write("stderr", text)
        return not why

    def leave(self) -> None:
        """The cell's code has ended."""
        while self._debuggers:
            self._debuggers.popitem()[1].leave()


def _debugging(cell: Cell) -> Debugging:
    if cell.debugging is None:
        cell.debugging = Debugging(cell)
        cell.at_end.append(cell.debugging.leave)
    return cell.debugging


# What cells call.


def stop(cell: Cell, frame: FrameType, what: str, header: Any = None, commands: Any = None) -> None:
    """Ask the front-end what to do, from this frame on."""
    debugging = _debugging(cell)
    if debugging.may_stop(frame, what):
        debugger = debugging.debugger()
        if header is not None:
            debugger.message(header)
        debugger.stop_at(frame, commands)


def stop_here(cell: Cell, frame: FrameType, what: str) -> None:
    """Ask the front-end what to do, in the very place at which a thread of the cell stands."""
    debugging = _debugging(cell)
    if debugging.may_stop(frame, what):
        debugger = debugging.debugger()
        if not debugger.stands_at(frame):
            debugger.message(what)
            debugger.converse_at(frame)


def post_mortem(cell: Cell, error: BaseException) -> None:
    """Look at the frames in which an exception was raised."""
    traceback = error.__traceback__
    while traceback is not None and is_ours(traceback.tb_frame):
        traceback = traceback.tb_next
    if traceback is None:
        cell.output.write("stderr", f"There is no frame to look at: {error!r} has none.\n")
    elif _debugging(cell).may_stop(sys._getframe(1), "the debugger"):
        with _OneOff(cell) as debugger:
            debugger.reset()
            debugger.interaction(None, error)


def step_through(cell: Cell, run: Callable[[], object]) -> None:
    """Call `run`, which runs code of the cell, and stop at its first line."""
    if not _debugging(cell).may_stop(sys._getframe(1), "the debugger"):
        run()
        return
    from bdb import BdbQuit

    with _OneOff(cell) as debugger:
        debugger.await_code()
        try:
            run()
        except BdbQuit:
            pass  # the user has seen enough of it


class _OneOff:
    """A debugger that is done when the block is."""

    def __init__(self, cell: Cell) -> None:
        self._debugger = pdb_with(CellDebugger, cell)

    def __enter__(self) -> Any:
        return self._debugger

    def __exit__(self, *_: object) -> None:
        self._debugger.leave()


def _breakpoint_of_cells(original: Callable[..., Any]) -> Any:
    """`sys.breakpointhook`: that of the program stays for the program."""

    def breakpointhook(*arguments: Any, **options: Any) -> Any:
        cell = running_cell()
        if cell is None:
            return original(*arguments, **options)
        return stop(cell, sys._getframe(1), "breakpoint()", **options)

    return breakpointhook


def _set_trace_of_cells(original: Callable[..., Any]) -> Any:
    """`pdb.set_trace`."""

    def set_trace(*arguments: Any, **options: Any) -> Any:
        cell = running_cell()
        if cell is None:
            return original(*arguments, **options)
        return stop(cell, sys._getframe(1), "pdb.set_trace()", **options)

    return set_trace


def _post_mortem_of_cells(original: Callable[..., Any]) -> Any:
    """`pdb.post_mortem`."""

    def post_mortem_of(t: Any = None) -> None:
        cell = running_cell()
        error = sys.exception() if t is None else t
        if cell is None or error is None:
            original(t)
        elif isinstance(error, BaseException):
            post_mortem(cell, error)
        else:  # a traceback, as it used to be
            post_mortem(cell, Exception("whose traceback was given").with_traceback(error))

    return post_mortem_of


def _last_of_cells(original: Callable[[], Any]) -> Any:
    """`pdb.pm`: the last error of a cell is not `sys.last_exc`, which is the program's."""

    def pm() -> None:
        cell = running_cell()
        error = None if cell is None or cell.shell is None else cell.shell.last_error
        if cell is None or error is None:
            original()
        else:
            post_mortem(cell, error)

    return pm


def _pdb_of_cells(original: Callable[..., Any]) -> Any:
    """`pdb.Pdb.__init__`: one that a cell makes for itself asks the front-end, too."""

    def begin(
        self: Any,
        completekey: Any = "tab",
        stdin: Any = None,
        stdout: Any = None,
        *arguments: Any,
        **options: Any,
    ) -> None:
        cell = running_cell()
        if cell is None:
            original(self, completekey, stdin, stdout, *arguments, **options)
            return
        if stdin is None and stdout is None:
            stdin = stdout = Conversation(cell)
            options |= {"nosigint": True, "readrc": False, "backend": "settrace"}
        cell.at_end.append(_what_it_leaves(self))
        with WithoutReadline():
            original(self, completekey, stdin, stdout, *arguments, **options)

    return begin


def _what_it_leaves(debugger: Any) -> Callable[[], None]:
    """What takes back what pdb's own debugger leaves on the thread and in its class."""
    pdb: Any = vars(sys.modules["pdb"])["Pdb"]
    traced, last = sys.gettrace(), pdb._last_pdb_instance

    def put_back() -> None:
        if getattr(sys.gettrace(), "__self__", None) is debugger:
            sys.settrace(traced)
        if pdb._last_pdb_instance is debugger:
            pdb._last_pdb_instance = last

    return put_back


REPLACED = (
    Replaced("sys", "", "breakpointhook", _breakpoint_of_cells),
    Replaced("pdb", "", "set_trace", _set_trace_of_cells),
    Replaced("pdb", "", "post_mortem", _post_mortem_of_cells),
    Replaced("pdb", "", "pm", _last_of_cells),
    Replaced("pdb", "Pdb", "__init__", _pdb_of_cells),
)
