"""Compiling and running cells.

Runs in the target, on the cells' thread. Rule: whatever a cell does, its
outcome is sent once, and the thread is fit for the next cell.
"""

from __future__ import annotations

import contextvars

from . import tracebacks
from .display import bundle, display
from .helping import Help
from .interrupt import Interruption
from .names import Names, direct_global_writes
from .output import Output
from .places import LoopRun, OwnLoop, program_loop
from .shell import Shell
from .streams import current_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .ledger import Ledger
    from .namespace import Namespace
    from .output import Deliver
    from .shell import Errands

    Ask = Callable[["Cell", str, bool], str]

ONLY_AST = 0x400
TOP_LEVEL_AWAIT = 0x2000
FUTURE_ANNOTATIONS = 0x1000000
IS_COROUTINE = 0x80


class Cell:
    """One cell while it runs: who asked for it, where its output goes, how it is stopped."""

    def __init__(self, request: dict[str, Any], deliver: Deliver, ask: Ask) -> None:
        self.number: int = request["cell"]
        self.count: int = request["count"]
        self.code: str = request["code"]
        self.silent: bool = request["silent"]
        self.expressions: dict[str, str] = request["expressions"]
        self.allow_input: bool = request["allow_input"]
        self.output = Output(deliver)
        self.interruption = Interruption()
        self.in_loop: LoopRun | None = None
        self.source: str = request.get("source", self.code)
        self.shell: Shell | None = None
        self._ask = ask

    def interrupt(self) -> None:
        """Stop the cell's code where it stands. Called on the control thread."""
        if self.in_loop is not None:
            self.in_loop.interrupt()
        else:
            self.interruption.request()

    def ask(self, prompt: str, password: bool = False) -> str:
        """A line of input from the front-end. Raises EOFError where there is none to be had."""
        return self._ask(self, prompt, password)

    def emit(self, kind: str, data: Any, metadata: Any, transient: Any) -> None:
        """Send a MIME bundle: `kind` is display or update."""
        event = {"event": kind, "data": data, "metadata": metadata, "transient": transient or {}}
        with self.interruption:
            self.output.add(event)

    def report(self, error: BaseException) -> None:
        """Tell of an error beside the cell's own outcome, on its stderr."""
        text = "\n".join(tracebacks.as_message(error)["traceback"])
        with self.interruption:
            self.output.write("stderr", text + "\n")


class Compiled:
    """A cell's code: its statements, and its last expression apart from them."""

    def __init__(self, parts: list[CodeType], shows_last: bool) -> None:
        self.parts = parts
        self.shows_last = shows_last
        self.names = Names(*parts)
        self.is_coroutine = any(part.co_flags & IS_COROUTINE for part in parts)


class Cells:
    """Runs the cells of one session, one after the other."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, mark: str, errands: Errands | None = None
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._mark = mark
        self._context = contextvars.Context()
        self._own_loop: OwnLoop | None = None
        self._future_flags = 0
        self._shell = Shell(namespace, ledger, self, errands)
        self._parts = 0
        namespace.additions.update(additions())

    def forked(self) -> None:
        """In a forked child: nothing of a cell's may stay among the process's finders."""
        self._shell.imports.leave()

    def leave_thread(self) -> None:
        """The thread that runs a cell is left to itself; the next cell comes on another."""
        # A context can be entered by one thread at a time.
        self._context = self._context.copy()

    def run(self, cell: Cell) -> None:
        """Run a cell and send its outcome. Raises nothing."""
        cell.shell = self._shell
        streams = split.enter(self._ledger)
        imports = self._shell.imports.enter()
        try:
            done = self._outcome(cell)
        except BaseException as error:  # an interrupt that came too late to matter
            done = {"status": "error", "error": tracebacks.as_message(error)}
        cell.interruption.finish()
        self._namespace.let_go()
        imports.undo()
        streams.undo()
        cell.output.finish(done)

    def _outcome(self, cell: Cell) -> dict[str, Any]:
        try:
            self._execute(cell)
            expressions = self._context.run(self._evaluate_all, cell)
            return {"status": "ok", "expressions": expressions}
        except BaseException as error:
            cell.interruption.end()
            self._shell.last_error = error
            interrupted, mode = cell.interruption.requested, self._shell.error_mode
            message = tracebacks.as_message(error, interrupted, mode)
            if message["ename"] == "UsageError":  # a magic's: the text says it all
                message["traceback"] = [f"UsageError: {message['evalue']}"]
            return {"status": "error", "error": message}

    def _execute(self, cell: Cell) -> None:
        filename = f"<In [{cell.count}]{self._mark}>"
        if not cell.silent:
            tracebacks.remember_source(filename, cell.source, self._ledger)
            self._remember_input(cell)
        self._context.run(current_cell.set, cell)  # Python may warn of the code, too
        compiled, written = self._context.run(self._compile, cell.code, filename)
        if compiled.names.imported:
            split.expect(compiled.names.imported)
        scope = self._namespace.prepare(compiled.names)
        try:
            if compiled.is_coroutine:
                self._run_in_loop(cell, compiled, scope)
            else:
                self._context.run(self._run_here, cell, compiled, scope)
        finally:
            self._namespace.settle(written)

    def _await_inside(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> object:
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
            cell.in_loop = None
            cell.interruption.thread, cell.interruption.exception = thread, KeyboardInterrupt
            cell.interruption.begin()
        return result[-1]

    def magics(self) -> list[str]:
        """The magics of the real IPython, if the session has brought one up."""
        return self._shell.magics()

    def awaits(self, code: str) -> bool:
        """Is there an `await` at the top level of this code?"""
        try:
            return "await" in code and self._compile(code, "<cell>")[0].is_coroutine
        except (SyntaxError, ValueError):
            return False

    def _compile(self, source: str, filename: str) -> tuple[Compiled, set[str]]:
        """The code, and those of the program's globals that its functions assign."""
        compiled = self._compile_tree(self._parse(source, filename), source, filename)
        declared, visible = self._namespace.stored_globally(compiled.names)
        if visible:
            tree = direct_global_writes(self._parse(source, filename), declared, visible)
            compiled = self._compile_tree(tree, source, filename)
        return compiled, declared

    def _parse(self, source: str, filename: str) -> Any:
        return self._compile_one(source, filename, "exec", ONLY_AST)

    def _compile_one(self, source: Any, filename: str, mode: str, flags: int = 0) -> Any:
        flags |= TOP_LEVEL_AWAIT | self._future_flags
        return compile(source, filename, mode, flags, dont_inherit=True)

    def _compile_tree(self, tree: Any, source: str, filename: str) -> Compiled:
        import _ast

        last = tree.body[-1] if tree.body else None
        shows_last = isinstance(last, _ast.Expr)
        if shows_last:
            tree.body.pop()
        parts = [self._compile_one(tree, filename, "exec")]
        self._future_flags |= parts[0].co_flags & FUTURE_ANNOTATIONS
        if shows_last:
            expression = _ast.Expression(last.value)  # type: ignore[union-attr]
            parts.append(self._compile_one(expression, filename, "eval"))
        return Compiled(parts, shows_last and not source.rstrip().endswith(";"))

    def _run_here(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> None:
        current_cell.set(cell)
        value = None
        self._shell.trigger("pre_execute", "pre_run_cell")
        try:
            cell.interruption.begin()
            for part in compiled.parts:
                value = eval(part, *scope)
            cell.interruption.end()
            if compiled.shows_last:
                self._show(cell, value)
        finally:
            cell.interruption.end()
            self._shell.trigger("post_execute", "post_run_cell")

    def run_inside(self, code: str) -> object:
        """Run code as a cell inside the one that runs, and show its value, which is returned."""
        cell = current_cell.get()
        if cell is None:
            raise RuntimeError("this works in a cell, and in threads and tasks it started")
        with cell.interruption:
            self._parts += 1
            filename = f"<In [{cell.count}]{self._mark}, part {self._parts}>"
            tracebacks.remember_source(filename, code, self._ledger)
            compiled, written = self._compile(code, filename)
            around = self._namespace.scratch["__builtins__"]
            scope = self._namespace.prepare(compiled.names)
        value = None
        try:
            if compiled.is_coroutine:
                value = self._await_inside(cell, compiled, scope)
            else:
                for part in compiled.parts:
                    value = eval(part, *scope)
        finally:
            self._namespace.settle(written)
            self._namespace.scratch["__builtins__"] = around
        if compiled.shows_last:
            self._show(cell, value)
            cell.interruption.begin()
        return value

    def _run_in_loop(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> None:
        self._context.run(current_cell.set, cell)
        thread = cell.interruption.thread
        cell.in_loop = LoopRun(self._loop(), cell.interruption)
        result: list[Any] = []
        try:
            cell.in_loop.run(_in_turn(compiled.parts, scope, result), self._context)
        finally:
            cell.in_loop = None
            cell.interruption.thread = thread
            cell.interruption.exception = KeyboardInterrupt
        if compiled.shows_last:
            self._context.run(self._show, cell, result[-1])

    def _loop(self) -> Any:
        """The program's event loop if it runs one, else our own."""
        loop = program_loop()
        if loop is None:
            if self._own_loop is None or self._own_loop.loop.is_closed():
                self._own_loop = OwnLoop(self._ledger)
            loop = self._own_loop.loop
        return loop

    def _show(self, cell: Cell, value: object) -> None:
        """Display the value of the last expression, and keep it as `_` and in `Out`."""
        if value is None or cell.silent:
            return
        self._remember_output(cell, value)
        cell.interruption.begin()
        data, metadata = self._shell.bundle(value, cell.report)
        cell.interruption.end()
        if data:  # or it has displayed itself
            cell.output.add({"event": "result", "data": data, "metadata": metadata})

    def _remember_input(self, cell: Cell) -> None:
        scratch = self._namespace.scratch
        inputs = scratch.setdefault("In", [""])
        while len(inputs) <= cell.count:
            inputs.append("")
        inputs[cell.count] = cell.source
        scratch["_iii"], scratch["_ii"] = scratch.get("_ii", ""), scratch.get("_i", "")
        scratch["_i"] = inputs[cell.count - 1]
        scratch[f"_i{cell.count}"] = cell.source

    def _remember_output(self, cell: Cell, value: object) -> None:
        scratch = self._namespace.scratch
        scratch.setdefault("Out", {})[cell.count] = value
        scratch["___"], scratch["__"] = scratch.get("__"), scratch.get("_")
        scratch["_"] = scratch[f"_{cell.count}"] = value

    def _evaluate_all(self, cell: Cell) -> dict[str, Any]:
        return {key: self._evaluate(cell, text) for key, text in cell.expressions.items()}

    def _evaluate(self, cell: Cell, text: str) -> dict[str, Any]:
        """One of the request's `user_expressions`."""
        try:
            code = self._compile_one(text, "<user expression>", "eval")
            scope = self._namespace.prepare(Names(code))
            cell.interruption.begin()
            data, metadata = bundle(eval(code, *scope), on_error=cell.report)
            cell.interruption.end()
            return {"status": "ok", "data": data, "metadata": metadata}
        except BaseException as error:
            cell.interruption.end()
            return {"status": "error", **tracebacks.as_message(error)}


async def _in_turn(parts: list[CodeType], scope: tuple[Any, Any], result: list[Any]) -> None:
    """Run the parts of a cell, awaiting those that await."""
    for part in parts:
        value = eval(part, *scope)
        if part.co_flags & IS_COROUTINE:
            value = await value
        result.append(value)


def additions() -> dict[str, object]:
    """What a cell finds among its builtins beyond Python's own."""

    def show(*objects: object, **options: Any) -> Any:
        """Display objects in the notebook, as IPython's `display` does."""
        return display(*objects, emit=emit, on_error=report, **options)

    def emit(*event: Any) -> None:  # of the cell that runs when a handle is updated
        cell = current_cell.get()
        if cell is None:
            raise RuntimeError("display() works in a cell, and in threads and tasks it started")
        cell.emit(*event)

    def report(error: BaseException) -> None:
        cell = current_cell.get()
        if cell is not None:
            cell.report(error)

    def ask(prompt: object = "", /) -> str:
        """Read a line from the front-end, as the built-in `input` does from a terminal."""
        cell = current_cell.get()
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
