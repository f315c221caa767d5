"""What an execute request asks for: the kernel's commands, help, or code for the target.

Runs on the launcher's reactor. Rule: whatever comes of a cell, its queue is told once.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import LiveKernelError
from . import commands
from .execution import Done, Execution
from .in_target import InTarget
from .setup import Item
from .wire import Content

Inspect = Callable[[str, int, int, Callable[[Content], None]], None]
"""Asks what stands at a cursor in some code, at a level of detail."""


class Runner:
    """Runs the cells of one kernel, whichever shell they are of."""

    def __init__(self, means: commands.Means, inspect: Inspect) -> None:
        self._means, self._inspect = means, inspect
        self._keeping = means.keeping
        means.in_target.set_up_again = self._set_up_again

    def _set_up_again(
        self, items: list[Item], execution: Execution, go_on: Callable[[], None]
    ) -> None:
        """What a session had set up in another process, in this one."""
        from .setting_up import SettingUp  # few programs are replaced

        SettingUp(self._means, items, execution, go_on).begin()

    @property
    def _in_target(self) -> InTarget:
        return self._means.in_target

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
        go_on = _told(execution, lambda: self._run_commands(rest, code, execution))

        def done(error: LiveKernelError | Content | None) -> None:
            self._in_target.tell_notices(execution)
            go_on(error)

        self._run_command(name, argument, execution, done)

    def run_command(self, execution: Execution, done: Done) -> None:
        """Run the one command of which an execution's code consists."""
        ((name, argument),), _ = commands.split(execution.code)
        self._run_command(name, argument, execution, done)

    def _run_command(self, name: str, argument: str, execution: Execution, done: Done) -> None:
        """Run a command, and keep in mind what it sets up."""
        command = commands.COMMANDS[name](self._means)

        def ended(error: LiveKernelError | Content | None) -> None:
            if error is None:
                self._keeping.after(name, argument, execution, lambda: done(None))
            else:
                done(error)

        def run() -> None:
            self._keeping.before(
                name, argument, lambda: _guarded(command, argument, execution, ended)
            )

        reach = command.reach_of(argument)
        self._in_target.guarding.let(name, reach, execution, run, done)

    def _run_code(self, code: str, execution: Execution, is_rest: bool) -> None:
        help_on = asks_for_help(code)
        if not code.strip() and (is_rest or not execution.expressions):
            execution.queue.succeed(execution)
        elif help_on is not None:
            self._show_help(*help_on, execution)
        else:

            def succeed() -> None:
                self._keeping.ran(code)
                execution.queue.succeed(execution)

            self._in_target.run(code, execution, _told(execution, succeed))

    def _show_help(self, name: str, detail: int, execution: Execution) -> None:
        """`name?`: help goes to the front-end's pager."""

        def found(answer: Content) -> None:
            if answer["found"]:
                execution.page(answer["data"])
            else:
                execution.print(f"Object `{name}` not found.")
            execution.queue.succeed(execution)

        self._inspect(name, len(name), detail, found)


def _guarded(command: commands.Command, argument: str, execution: Execution, done: Done) -> None:
    """Run a command. What it raises is told: nobody else would, where the user was asked before."""
    try:
        command.run(argument, execution, done)
    except LiveKernelError as error:
        done(error)


def _told(execution: Execution, go_on: Callable[[], None]) -> Done:
    """What is told how something went: an error ends the cell, else it goes on."""

    def done(error: LiveKernelError | Content | None) -> None:
        if isinstance(error, LiveKernelError):
            execution.queue.fail(execution, error)
        elif error is not None:
            execution.queue.fail_with(execution, error)
        else:
            go_on()

    return done


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
