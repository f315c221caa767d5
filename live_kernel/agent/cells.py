"""Running cells.

Runs in the target, on the cells' thread. Rule: whatever a cell does, its
outcome is sent once, and the thread is fit for the next cell.
"""

from __future__ import annotations

import contextvars

from . import actions, tracebacks
from .additions import additions
from .compiling import IS_COROUTINE, Compiled, Compiler
from .display import bundle
from .names import Names
from .places import LoopRun, OwnLoop, program_loop
from .shell import Shell
from .streams import current_cell, keeps_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .cell import Cell
    from .errands import Errands
    from .ledger import Ledger
    from .namespace import Namespace

_OF_THE_RUNNING_LOOP = {
    "create_task", "current_task", "ensure_future", "get_event_loop", "get_running_loop",
}  # fmt: skip
"""Functions of asyncio that work in a running loop only."""

_FUNCTION = type(lambda: 0)


class Cells:
    """Runs the cells of one session, one after the other."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, mark: str, errands: Errands | None = None
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._mark = mark
        self._own_loop: OwnLoop | None = None
        self._compiler = Compiler(namespace)
        self.shell = Shell(namespace, ledger, self, errands)
        self._parts = 0
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
            elif compiled.is_coroutine or self._uses_running_loop(compiled):
                self._run_in_loop(cell, compiled, scope, self._loop())
            else:
                cell.context.run(self._run_here, cell, compiled, scope)
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
            self._leave_loop(cell, thread)
            cell.interruption.begin()
        return result[-1]

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

    def _uses_running_loop(self, compiled: Compiled) -> bool:
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

    def _run_there(self, cell: Cell, compiled: Compiled, scope: tuple[Any, Any]) -> None:
        """Where the user wants it: in the program's loop, or on one of its threads."""
        kind, at_most = cell.place["kind"], cell.place.get("at_most")
        if kind == "loop":
            loop = program_loop()
            if loop is None:
                raise actions.Refused("NoEventLoop", "The program runs no event loop.", _NO_LOOP)
            self._run_in_loop(cell, compiled, scope, loop, at_most)
            return
        if compiled.is_coroutine:
            raise actions.Refused("AwaitHolds", _AWAITS_THERE, _USE_LOOP)
        from . import held

        own = cell.interruption.thread
        binding = self._namespace.binding
        thread = held.thread_meant(kind, cell.place.get("thread", ""), binding.thread)
        cell.held = held.ThreadRun(cell, thread, at_most)
        try:
            cell.held.run(lambda: cell.context.run(self._run_here, cell, compiled, scope))
        finally:
            cell.held, cell.interruption.thread = None, own

    def _run_in_loop(
        self,
        cell: Cell,
        compiled: Compiled,
        scope: tuple[Any, Any],
        loop: Any,
        at_most: float | None = None,
    ) -> None:
        # As with ipykernel, what a task writes after the end of its cell stays that cell's.
        cell.context.run(keeps_cell.set, True)
        thread = cell.interruption.thread
        cell.in_loop = LoopRun(loop, cell.interruption, at_most)
        result: list[Any] = []
        try:
            cell.in_loop.run(_in_turn(compiled.parts, scope, result), cell.context)
            self._leave_loop(cell, thread)
            if compiled.shows_last:
                cell.context.run(self._show, cell, result[-1])
        finally:
            self._leave_loop(cell, thread)
            cell.context.run(cell.end)

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


_TOO_LONG = "The cell has kept the event loop for {:g} s: it is interrupted, as was asked for.\n"
_NO_LOOP = "A cell that awaits runs in a loop of the kernel's own, without %%loop."
_AWAITS_THERE = "A cell that awaits can't hold a thread: what it awaits might need that thread."
_USE_LOOP = "%%loop runs it in the program's event loop."


def _enter(cell: Cell) -> None:
    """In a cell's context: from here on, what is written belongs to it."""
    current_cell.set(cell)
    keeps_cell.set(False)


async def _in_turn(parts: list[CodeType], scope: tuple[Any, Any], result: list[Any]) -> None:
    """Run the parts of a cell, awaiting those that await."""
    for part in parts:
        value = eval(part, *scope)
        if part.co_flags & IS_COROUTINE:
            value = await value
        result.append(value)
