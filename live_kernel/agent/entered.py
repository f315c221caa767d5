"""pdb on a thread of the program.

Runs in the target, on the thread that the user has entered, on top of the program's frames.
What is typed sees and changes the names of the frame that is shown, as a cell's code does
where cells are bound to it. Rule: quitting is leaving; nothing that is typed here raises into
the program, and nothing but what the user assigns is written to its namespaces.
"""

from __future__ import annotations

import os

from . import line_events, stops
from .compiling import Compiler
from .frames import Binding, is_ours
from .names import Names
from .prompting import Prompting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .cell import Cell
    from .entering import Entered

_SUSPENDS = 0x20 | 0x80 | 0x200
"""Flags of the code of generators, coroutines, and both."""

_PROMPT, _CONTINUED = ">>> ", "... "


class Standing(Binding):
    """The frame at which the debugger stands."""

    def __init__(self, frame: FrameType, thread: int) -> None:
        super().__init__(str(frame.f_globals.get("__name__") or "__main__"), frame, thread)
        self._frame = frame

    def frame(self) -> FrameType:
        return self._frame

    def is_gone(self) -> bool:
        return False


class ProgramDebugger(Prompting):
    """Stops a thread of the program, and no other."""

    def __init__(self, cell: Cell, entered: Entered) -> None:
        self._entered = entered
        self._namespace = entered.shell.namespace
        self._compiler = Compiler(self._namespace)
        self._pid = os.getpid()
        self._returned: list[Any] = []
        self._is_detached = False
        self.is_evaluating = False
        super().__init__(cell)

    # -- where it stops -----------------------------------------------------------------

    def reset(self) -> None:
        """(pdb's would go through all of the program's `linecache`.)"""
        self.botframe: Any = None
        self._set_stopinfo(None, None)
        self.forget()

    def _is_over(self) -> bool:
        return self._entered.is_over or os.getpid() != self._pid  # nobody is asked in a fork

    def is_wanted(self) -> bool:
        if self._is_over() or self._is_detached:
            return False
        return self.stoplineno != -1 or self.returnframe is not None or bool(self.breaks)

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        """What Python calls."""
        if self._is_over():
            self._entered.finish()
            return None
        if is_ours(frame):
            return None
        is_last = event == "return" and frame is self.botframe
        try:
            traced = super().trace_dispatch(frame, event, arg)
        except BaseException as error:
            self._entered.finish()
            if isinstance(error, Exception):
                return None  # a mistake of ours, or of pdb's
            raise  # by a signal handler of the program's
        if (
            event == "line"
            and self._is_over()
            and line_events.is_watched(frame.f_code, frame.f_lineno)
        ):
            stops.passed[self._entered.thread] = id(frame), frame.f_lasti
        if is_last and not self._is_over():
            self.message("The thread has ended.")
            self._entered.finish()
        if traced is not None and frame.f_code.co_flags & _SUSPENDS:
            self._traced_before.setdefault(frame, None)  # it may be elsewhere when we leave
        return None if self._is_over() else traced

    def interaction(self, frame: FrameType | None, tb_or_exc: Any) -> None:
        before = self._namespace.binding
        ask = super().interaction
        try:
            if not self._is_over():
                self._entered.talk(lambda: ask(frame, tb_or_exc))
        finally:
            self._namespace.bind(before)
            self._namespace.let_go(self._cell)
            self._returned.clear()
            if not self.is_wanted():
                self.set_continue()  # also where it was an interrupt: pdb is to trace no caller
                self._entered.finish()

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        """(pdb's writes the value into the frame, which may be a module's.)"""
        self._returned = [return_value]
        self.message("--Return--")
        self.message(f"->{self._safe_repr(return_value, 'retval')}")
        self.interaction(frame, None)

    def user_exception(self, frame: FrameType, exc_info: Any) -> None:
        _, error, traceback = exc_info
        self.message(self._format_exc(error))
        self.interaction(frame, traceback)

    def set_convenience_variable(self, frame: FrameType, name: str, value: Any) -> None:
        """None: they would stand among the program's globals while its other threads run."""

    # -- the prompt ---------------------------------------------------------------------

    def _cmdloop(self) -> None:
        try:
            self.cmdloop()
        except KeyboardInterrupt:
            self.message("\nKeyboardInterrupt: the debugger has ended, and the program goes on")
            self._is_detached = True
        finally:
            self.cmdqueue.clear()

    def _bind(self) -> None:
        self._namespace.bind(Standing(self.curframe, self._entered.thread))

    def setup(self, f: Any, tb: Any) -> None:
        super().setup(f, tb)
        self._bind()  # for completions, too

    def _select_frame(self, number: int) -> None:
        super()._select_frame(number)
        self._bind()

    def execute(self, text: str) -> None:
        self._bind()
        compiled, written = self._compiler.compile(text, "<stdin>")
        if compiled.is_coroutine:
            raise SyntaxError("nothing can be awaited here: the event loop stands still")
        try:
            self._evaluating(compiled.parts, compiled.names, compiled.shows_last)
        finally:
            self._namespace.settle(written)
            self._namespace.let_go(self._cell)

    def _evaluating(self, parts: list[Any], names: Names, shows_last: bool) -> Any:
        """Run code of the user's, which can be interrupted."""
        scope = self._namespace.prepare(names)
        value = None
        interruption = self._cell.interruption
        try:
            self.is_evaluating = True
            interruption.begin()
            for part in parts:
                value = eval(part, *scope)
            if shows_last:
                self.displayhook(value)
        finally:
            interruption.end()
            self.is_evaluating = False
        return value

    def _getval(self, arg: str) -> Any:
        """Of `p` and its like, which see what a cell would."""
        try:
            self._bind()
            code = compile(arg, "<stdin>", "eval")
            return self._evaluating([code], Names(code), False)
        except BaseException:
            self._error_exc()
            raise
        finally:
            self._namespace.let_go(self._cell)

    def do_retval(self, arg: str) -> None:
        """retval

        Print what the function returns, where it has come to that.
        """
        if self._returned:
            self.message(self._safe_repr(self._returned[0], "retval"))
        else:
            self.error("Not yet returned!")

    do_rv = do_retval

    def do_interact(self, arg: str) -> None:
        """interact

        Type statements at a prompt of Python's own, in the names of this frame. `exit`, or the
        end of the input, leads back to the debugger.
        """
        import codeop

        self.message("Statements see and change the names of this frame; exit leads back.")
        lines: list[str] = []
        while True:
            line = self.conversation.ask(_CONTINUED if lines else _PROMPT)
            if not line or (not lines and line.strip() in _EXITS):
                return
            lines.append(line)
            text = "".join(lines)
            try:
                if codeop.compile_command(text, "<stdin>", "single") is None:
                    continue
                self.execute(text)
            except BaseException:
                self._error_exc()
            lines.clear()

    def do_debug(self, arg: str) -> None:
        """debug

        Not on a thread of the program.
        """
        self.error("there is one debugger on a thread of the program, and this is it")

    def do_run(self, arg: str) -> None:
        """run

        Not here: the program runs, and is never started anew from here.
        """
        self.error("the program runs, and is never started anew from here")

    do_restart = do_run

    # -- the end ------------------------------------------------------------------------

    def leave(self) -> None:
        """As any debugger, and hold no frame of the program's."""
        super().leave()
        for name in ("stopframe", "returnframe", "botframe", "cmdframe"):
            setattr(self, name, None)

    def set_continue(self) -> None:
        """Run on, to the next breakpoint that was set at this prompt, or for good."""
        self._set_stopinfo(self.botframe, None, -1)

    def do_detach(self, arg: str) -> Any:
        """detach | q(uit) | exit

        Leave the debugger, with the breakpoints set at its prompt. The program runs on. So
        does the end of the input, or an interrupt.
        """
        self._is_detached = True
        self.set_continue()
        return 1

    do_quit = do_q = do_exit = do_detach


_EXITS = {"exit", "exit()", "quit", "quit()"}
