"""Running cells.

Runs in the target, on the cells' thread. Rule: whatever a cell does, its
outcome is sent once, and the thread is fit for the next cell.
"""

from __future__ import annotations

import os

from . import actions, tracebacks
from .additions import additions
from .compiling import Compiled, Compiler
from .display import bundle
from .in_loops import InLoops
from .names import Names
from .places import program_loop
from .shell import Shell
from .streams import current_cell, keeps_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .cell import Cell
    from .errands import Errands
    from .ledger import Ledger
    from .namespace import Namespace


class Cells:
    """Runs the cells of one session, one after the other."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, mark: str, errands: Errands | None = None
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._mark = mark
        self._compiler = Compiler(namespace)
        self._in_loops = InLoops(namespace, ledger, self._show)
        self.shell = Shell(namespace, ledger, self, errands)
        self._parts = 0
        self._pid = os.getpid()
        namespace.additions.update(additions())

    def forked(self) -> None:
        """In a forked child: nothing of a cell's may stay among the process's finders."""
        self.shell.imports.leave()

    def run(self, cell: Cell) -> None:
        """Run a cell and send its outcome. Raises nothing."""
        self._run(cell, lambda: self._outcome(cell))

    def deliver(self, cell: Cell, message: dict[str, Any]) -> None:
        """Hand a comm's message from the front-end to whoever waits for it. Raises nothing."""

        def receive() -> dict[str, Any]:
            cell.context.run(self._receive, cell, message)
            return {"status": "ok", "expressions": {}}

        self._run(cell, receive)

    def _receive(self, cell: Cell, message: dict[str, Any]) -> None:
        _enter(cell)
        cell.interruption.begin()
        try:
            self.shell.comms.receive(message)
        finally:
            cell.interruption.end()

    def _run(self, cell: Cell, outcome: Callable[[], dict[str, Any]]) -> None:
        cell.shell, cell.ledger = self.shell, self._ledger
        streams = split.enter(self._ledger)
        imports = self.shell.imports.enter()
        try:
            done = outcome()
        except BaseException as error:  # an interrupt that came too late to matter
            done = {"status": "error", "error": tracebacks.as_message(error)}
        cell.interruption.finish()
        self._namespace.let_go(cell)
        imports.undo()
        streams.undo()
        cell.output.finish(done)

    def _outcome(self, cell: Cell) -> dict[str, Any]:
        try:
            if cell.action:
                cell.context.run(self._act, cell)
            else:
                self._execute(cell)
            expressions = cell.context.run(self._evaluate_all, cell)
            return {"status": "ok", "expressions": expressions}
        except actions.Refused as refusal:
            return {"status": "error", "error": refusal.as_message()}
        except BaseException as error:
            cell.interruption.end()
            cell.context.run(self.shell.after_error, cell, error)
            interrupted, mode = cell.interruption.requested, self.shell.error_mode
            message = tracebacks.as_message(error, interrupted, mode)
            if message["ename"] == "UsageError":  # a magic's: the text says it all
                message["traceback"] = [f"UsageError: {message['evalue']}"]
            elif message["ename"] == "BdbQuit":  # nothing has gone wrong
                message["traceback"] = ["BdbQuit: the cell was ended from the debugger"]
            return {"status": "error", "error": message}

    def _act(self, cell: Cell) -> None:
        _enter(cell)
        actions.act(cell, self.shell)

    def _execute(self, cell: Cell) -> None:
        filename = f"<In [{cell.count}]{self._mark}>"
        if not cell.silent:
            tracebacks.remember_source(filename, cell.source, self._ledger)
            self._remember_input(cell)
        cell.context.run(_enter, cell)  # Python may warn of the code, too
        compiled, written = cell.context.run(self._compiler.compile, cell.code, filename)
        if compiled.names.imported:
            split.expect(compiled.names.imported)
        scope = cell.context.run(self._namespace.prepare, compiled.names)
        try:
            if cell.place:
                self._run_there(cell, compiled, scope)
            elif compiled.is_coroutine or self._in_loops.are_wanted(compiled):
                self._in_loops.run(cell, compiled, scope)
            else:
                cell.context.run(self._run_here, cell, compiled, scope)
        finally:
            self._namespace.settle(written)

    def magics(self) -> list[str]:
        """The magics of the real IPython, if the session has brought one up."""
        return self.shell.magics()

    def awaits(self, code: str) -> bool:
        """Is there an `await` at the top level of this code?"""
        try:
            return "await" in code and self._compiler.compile(code, "<cell>")[0].is_coroutine
        except (SyntaxError, ValueError):
            return False

    def _run_here(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> None:
        value = None
        self.shell.trigger("pre_execute", "pre_run_cell")
        try:
            cell.interruption.begin()
            for part in compiled.parts:
                value = eval(part, *scope)
            cell.interruption.end()
            if compiled.shows_last:
                self._show(cell, value)
        finally:
            if os.getpid() != self._pid:
                os._exit(0)  # the cell forked, and this is the child: not another of the program
            cell.interruption.end()
            cell.end()
            self.shell.trigger("post_execute", "post_run_cell")

    def run_inside(self, code: str) -> object:
        """Run code as a cell inside the one that runs, and show its value, which is returned."""
        cell = current_cell.get()
        if cell is None:
            raise RuntimeError("this works in a cell, and in threads and tasks it started")
        with cell.interruption:
            self._parts += 1
            filename = f"<In [{cell.count}]{self._mark}, part {self._parts}>"
            tracebacks.remember_source(filename, code, self._ledger)
            compiled, written = self._compiler.compile(code, filename)
            around = self._namespace.scratch["__builtins__"]
            scope = self._namespace.prepare(compiled.names)
        value = None
        try:
            if compiled.is_coroutine:
                value = self._in_loops.await_inside(cell, compiled, scope)
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

    def _run_there(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> None:
        """Where the user wants it: in the program's loop, or on one of its threads."""
        kind, at_most = cell.place["kind"], cell.place.get("at_most")
        if kind == "loop":
            loop = program_loop()
            if loop is None:
                raise actions.Refused("NoEventLoop", "The program runs no event loop.", _NO_LOOP)
            self._in_loops.run(cell, compiled, scope, loop, at_most)
            return
        if compiled.is_coroutine:
            raise actions.Refused("AwaitHolds", _AWAITS_THERE, _USE_LOOP)
        from . import held

        own = cell.interruption.thread
        binding = self._namespace.binding
        thread = held.thread_meant(kind, cell.place.get("thread", ""), binding.thread)
        run = cell.held = held.ThreadRun(cell, thread, at_most)
        try:
            run.run(lambda: cell.context.run(self._run_here, cell, compiled, scope))
        finally:
            cell.held, cell.interruption.thread = None, own

    def _show(self, cell: Cell, value: object) -> None:
        """Display the value of the last expression, and keep it as `_` and in `Out`."""
        if value is None or cell.silent:
            return
        self._remember_output(cell, value)
        cell.interruption.begin()
        failures: list[BaseException] = []
        data, metadata = self.shell.bundle(value, cell.report, failures.append)
        cell.interruption.end()
        if data:  # it may have displayed itself
            cell.output.add({"event": "result", "data": data, "metadata": metadata})
        if failures:  # the `__repr__` is the cell's last step, as it were
            raise failures[0]

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
            code = self._compiler.compile_one(text, "<user expression>", "eval")
            scope = self._namespace.prepare(Names(code))
            cell.interruption.begin()
            data, metadata = bundle(eval(code, *scope), on_error=cell.report)
            cell.interruption.end()
            return {"status": "ok", "data": data, "metadata": metadata}
        except BaseException as error:
            cell.interruption.end()
            return {"status": "error", **tracebacks.as_message(error)}


_NO_LOOP = "A cell that awaits runs in a loop of the kernel's own, without %%loop."
_AWAITS_THERE = "A cell that awaits can't hold a thread: what it awaits might need that thread."
_USE_LOOP = "%%loop runs it in the program's event loop."


def _enter(cell: Cell) -> None:
    """In a cell's context: from here on, what is written belongs to it."""
    current_cell.set(cell)
    keeps_cell.set(False)
