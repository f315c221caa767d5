"""The kernel's own magics: `%attach`, `%detach`, `%ps`, `%status`, `%limits`, `%pull`, `%push`,
`%%local`.

Runs in the launcher; these never reach a target. Rule: one class a command;
its name, its help and its place in the table come from the class.
"""

from __future__ import annotations

import time
from typing import ClassVar

from ..attach import processes
from ..errors import LimitUnknown, LiveKernelError, NoTarget
from ..link import limits
from . import tables
from .attachment import State
from .choosing import Choice
from .execution import Execution
from .local import MARK, Done, Local
from .target import Target, Waiter


class Command:
    """A command; the docstring is its help, the first line its summary.

    `run` calls `done` once: with None, or with the error that ends the cell.
    """

    usage: ClassVar[str]

    def __init__(self, target: Target, local: Local) -> None:
        self._target, self._local = target, local

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
            if self._target.state is State.ATTACHED:
                execution.note(self._target.describe())
                done(None)
                return
            raise NoTarget("%attach needs a pid or a text.", "For example: %attach 4242")
        waiter = Waiter(lambda: done(None), done, execution.note)
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


class Limits(Command):
    """Show how much a cell may show, or change it for this kernel.

    What is over a limit is cut or left out, and says so.

        %limits                what they are
        %limits repr 10MB      another limit (repr, items, html, image or print)
        %limits html off       no such limit
        %limits off            none at all
        %limits default        as in the beginning
    """

    usage = "%limits [NAME SIZE | off | default]"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        self._change(argument.lower().split(maxsplit=1))
        execution.print(self._table())
        done(None)

    def _change(self, words: list[str]) -> None:
        changed = self._target.limits
        match words:
            case []:
                pass
            case ["default"]:
                changed.clear()
            case ["off"]:
                changed.update(dict.fromkeys(limits.DEFAULTS, 0))
            case [name, "default"] if name in limits.DEFAULTS:
                changed.pop(name, None)
            case [name, size] if name in limits.DEFAULTS:
                changed[name] = self._parsed(size)
            case _:
                raise LimitUnknown(
                    f"There is no limit {words[0]!r}" + ", or no size." * (len(words) == 1),
                    f"For example: %limits repr 10MB. Limits: {', '.join(limits.DEFAULTS)}",
                )

    def _parsed(self, size: str) -> int:
        try:
            return limits.parse(size)
        except ValueError as error:
            raise LimitUnknown(f"{error}.", "For example: 500kB, 10MB, 2_000, off") from None

    def _table(self) -> str:
        present = limits.DEFAULTS | self._target.limits
        return "\n".join(
            f"{name:<7}{limits.written(limit):>6}  {limits.MEANINGS[name]}"
            for name, limit in present.items()
        )


class Pull(Command):
    """Bring values from the program into the local kernel, where %%local cells find them.

    What arrives is a copy, made by pickle; large arrays and tables travel by shared memory.
    NAME may have dots: %pull app.orders as orders. Nothing is changed if anything goes wrong.
    With --json the values must be plain data (numbers, texts, lists, dictionaries): it is the
    only way from another user's program, whose pickles could run code with your rights.
    """

    usage = "%pull [--json] NAME [as OTHER] ..."

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        from . import moving

        first, _, rest = argument.strip().partition(" ")
        is_plain = first == "--json"
        names = moving.parse(rest if is_plain else argument, self.usage)
        moving.Pull(self._target, self._local, execution, names, done).begin(is_plain)


class Push(Command):
    """Send values of the local kernel to the program, as an assignment in a cell would.

    Where the program has the name, the program is changed; any other name is the notebook's.
    What arrives is a copy, made by pickle, whose classes the program must be able to import.
    """

    usage = "%push NAME [as OTHER] ..."

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        from . import moving

        names = moving.parse(argument, self.usage)
        moving.Push(self._target, self._local, execution, names, done).begin()


class InLocal(Command):
    """Run the cell in an IPython kernel of its own, beside the program instead of in it.

    It has the kernel's Python and packages, is started by the first such cell, and ends with
    the kernel. %pull and %push move values between it and the program; no program need be
    attached.
    """

    usage = MARK

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        line, _, code = argument.partition("\n")
        if line.strip():
            raise LiveKernelError(
                f"{MARK} takes nothing on its own line.", "The code stands on the lines below it."
            )
        if code.strip():
            self._local.run(code, execution, done)
        else:
            done(None)


COMMANDS: dict[str, type[Command]] = {
    command.usage.split()[0]: command
    for command in (Attach, Detach, Ps, Status, Limits, Pull, Push, InLocal)
}


def help_text(name: str) -> str:
    """What `%attach?` shows."""
    command = COMMANDS[name]
    lines = [line.strip() for line in (command.__doc__ or "").strip().splitlines()]
    return f"{command.usage}\n\n" + "\n".join(lines)


def split(code: str) -> tuple[list[tuple[str, str]], str]:
    """The commands with which a cell begins, as (name, argument), and the code after them.

    To `%%local` all that comes below it is its argument.
    """
    lines = code.splitlines(keepends=True)
    found: list[tuple[str, str]] = []
    while lines:
        line = lines[0].strip()
        name, *argument = line.split(maxsplit=1) or [""]
        if name == MARK:
            found.append((name, "".join([*argument, "\n", *lines[1:]])))
            return found, "\n" * code.count("\n")
        if name in COMMANDS:
            found.append((name, "".join(argument)))
        elif line or not "".join(lines).strip():
            break
        lines.pop(0)
    # Blank lines stand in for the commands, so that line numbers in tracebacks are right.
    removed = code.count("\n") - "".join(lines).count("\n")
    return (found, "\n" * removed + "".join(lines)) if found else ([], code)
