"""What an execute request asks for: the kernel's commands, help, or code for the target.

Runs on the launcher's reactor. Rule: whatever comes of a cell, its queue is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..attach import processes
from ..errors import AgentLost, LiveKernelError, NoTarget
from . import commands, tables
from .attachment import State
from .choosing import Choice
from .execution import Execution
from .frontend import Frontend
from .local import Local
from .questions import Questions
from .target import Answer, CellRun, Target, Waiter
from .wire import Content

_PROMPT = "Attach to (pid, or text of its command line): "

Inspect = Callable[[str, int, int, Callable[[Content], None]], None]
"""Asks what stands at a cursor in some code, at a level of detail."""


class Runner:
    """Runs the cells of one kernel, whichever shell they are of.

    `on_comm(event, subshell)` is told of each message that a cell sends on a comm.
    """

    def __init__(
        self,
        frontend: Frontend,
        target: Target,
        local: Local,
        questions: Questions,
        inspect: Inspect,
        on_comm: Callable[[dict[str, Any], str], None],
    ) -> None:
        self._frontend, self._target, self._local = frontend, target, local
        self._questions, self._inspect, self._on_comm = questions, inspect, on_comm

    def run(self, execution: Execution) -> None:
        """Do what a cell says: the kernel's commands, help, or code for the target."""
        if is_exit(execution.code):
            execution.add_payload({"source": "ask_exit", "keepkernel": True})
            execution.queue.succeed(execution)
            return
        found, code = commands.split(execution.code)
        self._run_commands(found, code, execution)

    def _run_commands(self, found: list[tuple[str, str]], code: str, execution: Execution) -> None:
        if not found:
            self._run_code(code, execution, is_rest=code is not execution.code)
            return
        (name, argument), *rest = found

        def done(error: LiveKernelError | Content | None) -> None:
            self._tell_notices(execution)
            if isinstance(error, LiveKernelError):
                execution.queue.fail(execution, error)
            elif error is not None:
                execution.queue.fail_with(execution, error)
            else:
                self._run_commands(rest, code, execution)

        commands.COMMANDS[name](self._target, self._local).run(argument, execution, done)

    def _run_code(self, code: str, execution: Execution, is_rest: bool) -> None:
        help_on = asks_for_help(code)
        if not code.strip() and (is_rest or not execution.expressions):
            execution.queue.succeed(execution)
        elif help_on is not None:
            self._show_help(*help_on, execution)
        elif self._target.state in (State.ATTACHED, State.INJECTING):
            self._run_when_attached(code, execution)
        elif execution.silent:
            execution.queue.succeed(execution)  # a front-end's probe: none of the user's business
        else:
            self._choose_first(code, execution)

    def _run_when_attached(self, code: str, execution: Execution) -> None:
        self._target.wait(
            Waiter(
                lambda: self._run_in_target(code, execution),
                lambda error: execution.queue.fail(execution, error),
                execution.note,
            )
        )

    def _run_in_target(self, code: str, execution: Execution) -> None:
        self._tell_notices(execution)
        request = {
            "code": code,
            "count": execution.count,
            "silent": execution.silent,
            "expressions": execution.expressions,
            "allow_input": execution.allows_input,
            "subshell": execution.request.subshell,
            "parent": execution.request.header,
        }

        def produced(events: list[Content]) -> None:
            self._tell_notices(execution)
            for event in events:
                if event["event"] == "comm":
                    self._on_comm(event, execution.request.subshell)
                execution.show(event)

        def done(outcome: Content) -> None:
            self._tell_notices(execution)
            if outcome["status"] == "ok":
                execution.queue.succeed(execution, outcome["expressions"])
            else:
                execution.queue.fail_with(execution, outcome["error"])

        def lost(error: AgentLost) -> None:
            self._questions.cancel(execution.request)
            execution.queue.fail(execution, error)

        def input_wanted(prompt: str, password: bool, answer: Answer) -> None:
            self._questions.ask(self._frontend, execution.request, prompt, password, answer)

        self._target.run(request, CellRun(produced, done, lost, input_wanted))

    def _tell_notices(self, execution: Execution) -> None:
        if not execution.silent:
            for notice in self._target.take_notices():
                execution.note(notice)

    def _choose_first(self, code: str, execution: Execution) -> None:
        """A cell before any attach: ask for a program, or say which there are.

        If one was chosen in advance, or was there and has gone, tell what became of it.
        """
        failure = self._target.failure
        if failure is not None and execution.allows_input:
            execution.print(str(failure).partition("\n")[0])
        execution.display(tables.as_bundle(processes.candidates()))
        if not execution.allows_input:
            raise failure or NoTarget(
                "No program is attached.", "Run %attach PID, or %attach TEXT of its command line."
            )

        def answered(text: str | None) -> None:
            try:
                if not text or not text.strip():
                    raise NoTarget("No program was named.", "Run %attach PID or %attach TEXT.")
                self._target.choose(Choice(text.strip(), "the prompt"), pinned=True)
            except LiveKernelError as error:
                execution.queue.fail(execution, error)
            else:
                self._run_when_attached(code, execution)

        self._questions.ask(self._frontend, execution.request, _PROMPT, False, answered)

    def _show_help(self, name: str, detail: int, execution: Execution) -> None:
        """`name?`: help goes to the front-end's pager."""

        def found(answer: Content) -> None:
            if answer["found"]:
                execution.page(answer["data"])
            else:
                execution.print(f"Object `{name}` not found.")
            execution.queue.succeed(execution)

        self._inspect(name, len(name), detail, found)


def is_exit(code: str) -> bool:
    """Does this cell ask to leave the front-end?"""
    return code.strip() in ("exit", "quit", "exit()", "quit()")


def asks_for_help(code: str) -> tuple[str, int] | None:
    """The name and the detail level of `name?`, `name??`, `?name`; None for anything else.

    Magics that only the target has are explained there, by its IPython.
    """
    text = code.strip()
    if "\n" in text or "?" not in text:
        return None
    from .inspection import is_explained  # few cells need it

    if text in ("?", "??"):
        return "?", 0
    name = text.strip("?")
    marks = len(text) - len(name)
    if name.startswith("%") and name not in commands.COMMANDS and not is_explained(name):
        return None
    is_name = name.lstrip("%").replace(".", "").replace("[", "").replace("]", "")
    if not name or "?" in name or not is_name.replace("'", "").replace('"', "").isidentifier():
        return None
    return name, int(marks > 1)
