"""pdb in a cell: it asks the front-end, and stops that cell and nothing else.

Runs in the target, on the thread of a cell (or one that the cell started). pdb is
made for a process that may stand still, has a terminal, and ends with `q`; here
none of this holds. So `breakpoint()`, `pdb.set_trace()` and their like are answered
here while a cell runs, if it is a cell that calls them.
Rule: only the thread that stops is traced, only frames that are not ours are shown,
and when the cell's code ends nothing of the debugger is left on it.
"""

from __future__ import annotations

import sys
from opcode import opname

from . import native
from .frames import OURS, is_ours
from .streams import Replaced, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .cell import Cell

    _Base = Any
else:
    _Base = object

_PROMPT = "ipdb> "
"""IPython's, by which front-ends know a debugger."""

_CONTINUED = "...   "
"""pdb's own, for a statement of several lines."""


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
            self._debuggers[thread] = _new_debugger(self._cell)
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
        self._debugger = _new_debugger(cell)

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
        with _WithoutReadline():
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


# The debugger.


class Conversation:
    """Both the stdin and the stdout of a debugger: what it asks goes to the front-end."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._prompt = _PROMPT

    def write(self, text: str) -> int:
        """Write to the cell's output; a prompt waits for its question."""
        if text in (_PROMPT, _CONTINUED) or (text[:1] == "(" and text[-2:] == ") "):
            self._prompt = text
        else:
            with self._cell.interruption:
                self._cell.output.write("stdout", text)
        return len(text)

    def flush(self) -> None:
        """Nothing: to ask sends what was written before."""

    def readline(self) -> str:
        """The user's line. Raises KeyboardInterrupt; "" where there is nobody to ask."""
        self._cell.interruption.forget()  # whoever is asked has seen what became of it
        try:
            return self._cell.ask(self._prompt) + "\n"
        except EOFError:
            return ""


class _WithoutReadline:
    """While a debugger is made: it would load readline, which takes over the terminal."""

    def __enter__(self) -> None:
        modules: Any = sys.modules
        self._present = modules.get("readline", False)
        modules["readline"] = None

    def __exit__(self, *_: object) -> None:
        if self._present is False:
            del sys.modules["readline"]
        else:
            sys.modules["readline"] = self._present


def _new_debugger(cell: Cell) -> Any:
    """pdb is loaded by the first cell that needs it, and with it asyncio and more."""
    import pdb

    return type("Pdb", (_Debugger, pdb.Pdb), {})(cell)


class _Debugger(_Base):  # type: ignore[misc]
    """Stands before pdb's own class among the bases of the debugger that is made."""

    def __init__(self, cell: Cell) -> None:
        import bdb

        self._cell = cell
        self._before: Any = None
        self._awaits_code = False
        self._marked: list[dict[str, Any]] = []
        self._breakpoint: Any = bdb.Breakpoint
        self._first_breakpoint: int = bdb.Breakpoint.next
        self._file_mtime_table: dict[str, float] = {}  # of its own, not of the class
        screen = Conversation(cell)
        super().__init__(
            stdin=screen,
            stdout=screen,
            skip=[OURS, f"{OURS}.*"],
            nosigint=True,
            readrc=False,
            mode="inline",
            backend="settrace",
        )
        self.prompt = _PROMPT

    # -- where it stops -----------------------------------------------------------------

    def stop_at(self, frame: FrameType, commands: Any = None) -> None:
        """Stop in this frame, behind the call that led here."""
        import bdb

        self.rcLines.extend(commands or ())
        self._awaits_code = False
        bdb.Bdb.set_trace(self, frame)  # pdb's would be found there by the program's debuggers
        self._untrace(only_ours=True)

    def await_code(self) -> None:
        """Stop at the first line of a cell's code."""
        self.reset()
        self._awaits_code = True
        self.start_trace()

    def start_trace(self) -> None:
        if sys.gettrace() != self.trace_dispatch:
            self._before = sys.gettrace()
        sys.settrace(self.trace_dispatch)

    def stop_trace(self) -> None:
        if sys.gettrace() == self.trace_dispatch:
            sys.settrace(self._before)

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

    def get_stack(self, f: Any, t: Any) -> tuple[list[Any], int]:
        stack, index = super().get_stack(f, t)
        below = [entry for entry in stack[: index + 1] if not is_ours(entry[0])]
        above = [entry for entry in stack[index + 1 :] if not is_ours(entry[0])]
        return below + above, max(0, len(below) - 1)

    def _load_breaks(self) -> None:
        """Those of the program's debuggers are not for us."""

    # -- the prompt ---------------------------------------------------------------------

    def _cmdloop(self) -> None:
        try:
            self._names_of_cells()
            self.cmdloop()
        except KeyboardInterrupt:
            self._cell.interruption.forget()
            self.message("\nKeyboardInterrupt: the debugger has ended, and the cell goes on")
            self.cmdqueue.clear()
            self.leave()

    def _names_of_cells(self) -> Any:
        """Let what is typed see all names, as any cell may. Returns globals and locals."""
        if self._cell.shell is None or not _is_top(self.curframe):
            return self.curframe.f_globals, self.curframe.f_locals
        return self._cell.shell.scope()

    def default(self, line: str) -> None:
        """A statement. pdb's own would change the `sys.stdout` of the whole program for it."""
        line = line[1:].strip() if line.startswith("!") else line
        try:
            _, text, _ = self._read_code(line)
            if text is not None:
                self._execute(text)
        except BaseException:
            self._error_exc()

    def _execute(self, text: str) -> None:
        names = self._names_of_cells()
        if not _is_top(self.curframe) and self._exec_in_closure(text, *names):
            return
        try:
            code = compile(text, "<stdin>", "eval")
        except SyntaxError:
            exec(compile(text, "<stdin>", "exec"), *names)
        else:
            self.displayhook(eval(code, *names))

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
        return type(self)(self._cell)

    # -- the end ------------------------------------------------------------------------

    def leave(self) -> None:
        """Trace no longer, and leave nothing in frames, in pdb's classes or in modules."""
        self.stop_trace()
        self._untrace()
        self.forget()
        for file, lines in list(self.breaks.items()):
            for line in list(lines):
                self.clear_break(file, line)
        made = self._breakpoint.bpbynumber[self._first_breakpoint :]
        if made and not any(made):
            del self._breakpoint.bpbynumber[self._first_breakpoint :]
            self._breakpoint.next = self._first_breakpoint

    def _untrace(self, only_ours: bool = False) -> None:
        """Take ourselves off the frames that are being run, and give them back as they were."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_trace == self.trace_dispatch and (not only_ours or is_ours(frame)):
                frame.f_trace = None
            frame = frame.f_back
        for changed, (lines, opcodes) in list(self.frame_trace_lines_opcodes.items()):
            if not only_ours or is_ours(changed):
                changed.f_trace_lines, changed.f_trace_opcodes = lines, opcodes
                del self.frame_trace_lines_opcodes[changed]

    def set_convenience_variable(self, frame: FrameType, name: str, value: Any) -> None:
        super().set_convenience_variable(frame, name, value)
        self._marked.append(frame.f_globals)

    def forget(self) -> None:
        super().forget()
        while self._marked:
            self._marked.pop().pop("__pdb_convenience_variables", None)


def _is_top(frame: FrameType) -> bool:
    """Does it run the code of a cell itself, rather than what that calls?"""
    code = frame.f_code
    return code.co_name == "<module>" and code.co_filename.startswith("<In [")


def _has_ended(frame: FrameType) -> bool:
    """Does it return, rather than wait for something?"""
    return opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN_")
