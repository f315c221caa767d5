"""pdb for the code of a cell, and what that calls.

Runs in the target, on the thread of a cell. Rule: it stops in the cell's own lines as if
they were one function, and what we do between them is not shown.
"""

from __future__ import annotations

from opcode import opname

from .frames import is_ours
from .prompting import Prompting, pdb_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .cell import Cell


class CellDebugger(Prompting):
    """pdb for the code of a cell, and what that calls."""

    def __init__(self, cell: Cell) -> None:
        self._awaits_code = False
        super().__init__(cell)

    # -- where it stops -----------------------------------------------------------------

    def stop_at(self, frame: FrameType, commands: Any = None) -> None:
        """Stop in this frame, behind the call that led here."""
        import bdb

        self.rcLines.extend(commands or ())
        self._awaits_code = False
        bdb.Bdb.set_trace(self, frame)  # pdb's would be found there by the program's debuggers
        self.untrace(only_ours=True)

    def converse_at(self, frame: FrameType) -> None:
        from bdb import BdbQuit

        self._awaits_code = False
        super().converse_at(frame)
        if self.quitting:
            raise BdbQuit

    def await_code(self) -> None:
        """Stop at the first line of a cell's code."""
        self.reset()
        self._awaits_code = True
        self.start_trace()

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        """What Python calls: only for code of the cell, and what that calls in its turn."""
        if self._cell.output.closed:
            self.stop_trace()  # on a thread that the cell has left behind
            return None
        is_top = _is_top(frame)
        if is_ours(frame) or (self._awaits_code and not is_top):
            return None
        if is_top:
            self._awaits_code = False
        try:
            return super().trace_dispatch(frame, event, arg)
        finally:
            # What we do with the cell's value, or before its next part, is no code of the cell.
            self._awaits_code = is_top and event == "return"
            if self._awaits_code and self.stopframe is frame and _has_ended(frame):
                self.set_step()  # `next` goes on in the next part, also behind an `await`

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        if not _is_top(frame):
            super().user_call(frame, argument_list)

    def user_line(self, frame: FrameType) -> None:
        if frame.f_lineno:  # a cell that is one expression has an empty part before it
            super().user_line(frame)

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        if not _is_top(frame):  # nothing has returned: it is one part of the cell that has ended
            super().user_return(frame, return_value)

    # -- the prompt ---------------------------------------------------------------------

    def _cmdloop(self) -> None:
        try:
            self.names()
            self.cmdloop()
        except KeyboardInterrupt:
            self._cell.interruption.forget()
            self.message("\nKeyboardInterrupt: the debugger has ended, and the cell goes on")
            self.cmdqueue.clear()
            self.leave()

    def names(self) -> Any:
        """Let what is typed see all names, as any cell may."""
        if self._cell.shell is None or not _is_top(self.curframe):
            return super().names()
        return self._cell.shell.scope()

    def execute(self, text: str) -> None:
        names = self.names()
        if _is_top(self.curframe) or not self._exec_in_closure(text, *names):
            self.evaluate_or_run(text, names)

    def do_quit(self, arg: str) -> Any:
        """q(uit) | exit

        End the cell. The program goes on.
        """
        self._user_requested_quit = True
        self.set_quit()
        return 1

    do_q = do_exit = do_quit

    def do_interact(self, arg: str) -> None:
        """interact

        Not in a cell: it would make the program one with a prompt. Type statements here.
        """
        self.error("not in a cell of a live program; statements can be typed at this prompt")

    def _create_recursive_debugger(self) -> Any:
        return pdb_with(CellDebugger, self._cell)


def _is_top(frame: FrameType) -> bool:
    """Does it run the code of a cell itself, rather than what that calls?"""
    code = frame.f_code
    return code.co_name == "<module>" and code.co_filename.startswith("<In [")


def _has_ended(frame: FrameType) -> bool:
    """Does it return, rather than wait for something?"""
    return opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN_")
