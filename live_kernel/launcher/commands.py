"""The kernel's own magics: `%attach`, `%detach`, `%ps`, `%status`.

Runs in the launcher; these never reach a target. Rule: one class a command;
its name, its help and its place in the table come from the class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from ..attach import processes
from ..errors import LiveKernelError, NoTarget
from . import tables
from .attachment import State
from .choosing import Choice
from .execution import Execution
from .target import Target, Waiter

Done = Callable[[LiveKernelError | None], None]


class Command:
    """A command; the docstring is its help, the first line its summary.

    `run` calls `done` once: with None, or with the error that ends the cell.
    """

    usage: ClassVar[str]

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        raise NotImplementedError


class Attach(Command):
    """Attach to a running program, by its pid or by text of its command line.

    The text must be found in exactly one process that can be attached to. What
    was attached before is left first. The choice survives restarts of the kernel.
    """

    usage = "%attach PID|TEXT"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        text = argument.strip()
        if not text:
            execution.display(tables.as_bundle(processes.candidates()))
            raise NoTarget("%attach needs a pid or a text.", "For example: %attach 4242")
        waiter = Waiter(lambda: done(None), done, execution.print)
        self._target.choose(Choice(text, "%attach"), pinned=True, waiter=waiter)


class Detach(Command):
    """Leave the program as it was; the kernel stays, without a target."""

    usage = "%detach"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        process = self._target.process
        if self._target.detach(forget=True) and process is not None:
            execution.print(f"Detached from {process}; it runs on.")
        else:
            execution.print("Nothing is attached.")
        done(None)


class Ps(Command):
    """List the programs that can be attached to; with --all every other process too.

    What can't be attached to is listed with the reason.
    """

    usage = "%ps [--all]"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        everything = "--all" in argument.split()
        execution.display(tables.as_bundle(processes.candidates(all=everything)))
        done(None)


class Status(Command):
    """Show the target, its state, for how long, and what the cells see."""

    usage = "%status"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        attachment = self._target.attachment
        if attachment is None or attachment.state is not State.ATTACHED:
            execution.print(f"State: {self._target.state.value}")
            if self._target.failure is not None:
                execution.print(self._target.failure.explain())
            done(None)
            return

        def answered(answer: dict[str, object]) -> None:
            execution.print(self._describe(answer))
            done(None)

        attachment.ask("status", answered)

    def _describe(self, answer: dict[str, object]) -> str:
        attachment = self._target.attachment
        assert attachment is not None
        process = attachment.process
        binding = answer.get("binding")
        place = binding.get("place") if isinstance(binding, dict) else None
        rows = {
            "State": attachment.state.value,
            "Target": str(process),
            "Python": str(answer.get("python", process.version_text)),
            "Up": tables.duration(process.uptime),
            "Attached": f"for {tables.duration(time.time() - attachment.since)}",
            "Cells see": str(place or "unknown: no answer"),
        }
        return "\n".join(f"{name + ':':<11}{value}" for name, value in rows.items())


COMMANDS: dict[str, type[Command]] = {
    command.usage.split()[0]: command for command in (Attach, Detach, Ps, Status)
}


def help_text(name: str) -> str:
    """What `%attach?` shows."""
    command = COMMANDS[name]
    lines = [line.strip() for line in (command.__doc__ or "").strip().splitlines()]
    return f"{command.usage}\n\n" + "\n".join(lines)


def split(code: str) -> tuple[list[tuple[str, str]], str]:
    """The commands with which a cell begins, as (name, argument), and the code after them."""
    lines = code.splitlines(keepends=True)
    found: list[tuple[str, str]] = []
    while lines:
        line = lines[0].strip()
        name, *argument = line.split(maxsplit=1) or [""]
        if name in COMMANDS:
            found.append((name, "".join(argument)))
        elif line or not "".join(lines).strip():
            break
        lines.pop(0)
    # Blank lines stand in for the commands, so that line numbers in tracebacks are right.
    removed = code.count("\n") - "".join(lines).count("\n")
    return (found, "\n" * removed + "".join(lines)) if found else ([], code)
