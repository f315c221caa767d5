"""A pdb that asks the front-end, wherever it stops.

Runs in the target, on the thread that stops: a cell's, or one of the program's that the
user has entered. pdb is made for a process that may stand still, has a terminal, and has
no other debugger; here none of this holds.
Rule: only the thread that stops is traced, only frames that are not ours are shown, and
when the debugger leaves nothing of it is left in frames, modules, or pdb's own tables.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

from .frames import OURS, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from .cell import Cell

    _Base = Any
else:
    _Base = object

PROMPT = "ipdb> "
"""IPython's, by which front-ends know a debugger."""

_CONTINUED = "...   "
"""pdb's own, for a statement of several lines."""


class Conversation:
    """Both the stdin and the stdout of a debugger: what it asks goes to the front-end."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._prompt = PROMPT

    def write(self, text: str) -> int:
        """Write to the cell's output; a prompt waits for its question."""
        if text in (PROMPT, _CONTINUED) or (text[:1] == "(" and text[-2:] == ") "):
            self._prompt = text
        else:
            with self._cell.interruption:
                self._cell.output.write("stdout", text)
        return len(text)

    def flush(self) -> None:
        """Nothing: to ask sends what was written before."""

    def readline(self) -> str:
        """The user's line. Raises KeyboardInterrupt; "" where there is nobody to ask."""
        return self.ask(self._prompt)

    def ask(self, prompt: str) -> str:
        """As `readline`, with another prompt for once."""
        self._cell.interruption.forget()  # whoever is asked has seen what became of it
        try:
            return self._cell.ask(prompt, is_code=True) + "\n"
        except EOFError:
            return ""


class WithoutReadline:
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


def pdb_with(mixin: type[Prompting], cell: Cell, *arguments: Any) -> Any:
    """A new debugger. pdb is loaded by the first that is needed, and with it asyncio and more."""
    import pdb

    with WithoutReadline():
        return type("Pdb", (mixin, pdb.Pdb), {})(cell, *arguments)


class Prompting(_Base):  # type: ignore[misc]
    """Stands before pdb's own class among the bases of a debugger that is made."""

    def __init__(self, cell: Cell) -> None:
        import bdb

        self._cell = cell
        self._before: Any = None
        self._traced_before: dict[FrameType, Any] = {}
        self._stopped_at: tuple[int, int] | None = None
        self._marked: list[dict[str, Any]] = []
        self._breakpoint: Any = bdb.Breakpoint
        self._first_breakpoint: int = bdb.Breakpoint.next
        self._file_mtime_table: dict[str, float] = {}  # of its own, not of the class
        self.conversation = screen = Conversation(cell)
        super().__init__(
            stdin=screen,
            stdout=screen,
            skip=[OURS, f"{OURS}.*"],
            nosigint=True,
            readrc=False,
            mode="inline",
            backend="settrace",
        )
        self.prompt = PROMPT

    # -- where it stops -----------------------------------------------------------------

    def _hang_on(self, frame: FrameType) -> None:
        """Have this frame and those below it traced, as soon as the thread is."""
        each: FrameType | None = frame
        while each is not None:
            if not is_ours(each):
                self._take_frame(each)
            self.botframe = each
            each = each.f_back

    def _take_frame(self, frame: FrameType) -> None:
        if frame.f_trace != self.trace_dispatch:
            self._traced_before[frame] = frame.f_trace
            self.frame_trace_lines_opcodes[frame] = frame.f_trace_lines, frame.f_trace_opcodes
        frame.f_trace = self.trace_dispatch
        frame.f_trace_lines = True

    def converse_at(self, frame: FrameType) -> None:
        """Ask what to do, in this very place, and trace on from here if that is wanted."""
        is_first = sys.gettrace() != self.trace_dispatch
        if is_first:
            self.reset()
        self._hang_on(frame)
        with self.set_enterframe(frame):
            self.interaction(frame, None)
        self._stopped_at = None
        if is_first and self.is_wanted():
            self.start_trace()

    def is_wanted(self) -> bool:
        """Is there anything at which it is to stop?"""
        return not self.quitting and (self.stoplineno != -1 or bool(self.breaks))

    def stands_at(self, frame: FrameType) -> bool:
        """Is this where it has stopped by itself just now? Python tells of a line twice."""
        at, self._stopped_at = self._stopped_at, None
        return at == (id(frame), frame.f_lasti)

    def interaction(self, frame: FrameType | None, tb_or_exc: Any) -> None:
        self._stopped_at = None if frame is None else (id(frame), frame.f_lasti)
        super().interaction(frame, tb_or_exc)

    def start_trace(self) -> None:
        if sys.gettrace() != self.trace_dispatch:
            self._before = sys.gettrace()
        sys.settrace(self.trace_dispatch)

    def stop_trace(self) -> None:
        if sys.gettrace() == self.trace_dispatch:
            sys.settrace(self._before)

    def get_stack(self, f: Any, t: Any) -> tuple[list[Any], int]:
        stack, index = super().get_stack(f, t)
        below = [entry for entry in stack[: index + 1] if not is_ours(entry[0])]
        above = [entry for entry in stack[index + 1 :] if not is_ours(entry[0])]
        return below + above, max(0, len(below) - 1)

    def _load_breaks(self) -> None:
        """Those of the program's debuggers are not for us."""

    # -- the prompt ---------------------------------------------------------------------

    def names(self) -> tuple[dict[str, Any], Any]:
        """The globals and locals for a statement that is typed."""
        return self.curframe.f_globals, self.curframe.f_locals

    def default(self, line: str) -> None:
        """A statement. pdb's own would change the `sys.stdout` of the whole program for it."""
        line = line[1:].strip() if line.startswith("!") else line
        try:
            _, text, _ = self._read_code(line)
            if text is not None:
                self.execute(text)
        except BaseException:
            self._error_exc()

    @contextmanager
    def _enable_multiline_input(self) -> Iterator[None]:
        """(pdb's loads readline for it.)"""
        yield

    def execute(self, text: str) -> None:
        """Run a statement, or show an expression."""
        raise NotImplementedError

    def evaluate_or_run(self, text: str, names: tuple[dict[str, Any], Any]) -> None:
        """Run a statement, or show an expression, with these globals and locals."""
        try:
            code = compile(text, "<stdin>", "eval")
        except SyntaxError:
            exec(compile(text, "<stdin>", "exec"), *names)
        else:
            self.displayhook(eval(code, *names))

    # -- the end ------------------------------------------------------------------------

    def leave(self) -> None:
        """Trace no longer, and leave nothing in frames, in pdb's classes or in modules."""
        self.stop_trace()
        self.untrace()
        self.forget()
        for file, lines in list(self.breaks.items()):
            for line in list(lines):
                self.clear_break(file, line)
        made = self._breakpoint.bpbynumber[self._first_breakpoint :]
        if made and not any(made):
            del self._breakpoint.bpbynumber[self._first_breakpoint :]
            self._breakpoint.next = self._first_breakpoint

    def untrace(self, only_ours: bool = False) -> None:
        """Take ourselves off the frames that are being run, and give them back as they were."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            self._untrace_frame(frame, only_ours)
            frame = frame.f_back
        for frame in [*self._traced_before, *self.frame_trace_lines_opcodes]:
            self._untrace_frame(frame, only_ours)

    def _untrace_frame(self, frame: FrameType, only_ours: bool) -> None:
        if only_ours and not is_ours(frame):
            return
        before = self._traced_before.pop(frame, None)
        if frame.f_trace == self.trace_dispatch:
            frame.f_trace = before
        changed = self.frame_trace_lines_opcodes.pop(frame, None)
        if changed is not None:
            frame.f_trace_lines, frame.f_trace_opcodes = changed

    def set_convenience_variable(self, frame: FrameType, name: str, value: Any) -> None:
        super().set_convenience_variable(frame, name, value)
        self._marked.append(frame.f_globals)

    def forget(self) -> None:
        super().forget()
        while self._marked:
            self._marked.pop().pop("__pdb_convenience_variables", None)
