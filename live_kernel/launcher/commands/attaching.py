"""`%attach`, `%detach`, `%ps`, `%status`: which program this kernel is in.

Runs on the launcher's reactor. Rule: none of these runs in a target.
"""

from __future__ import annotations

import time

from ...attach import processes
from ...errors import NoTarget
from .. import durations, tables
from ..attachment import State
from ..choosing import Choice
from ..execution import Done, Execution
from ..guarding import Reach
from ..rails import Rails
from . import families
from .command import Command


class Attach(Command):
    """Attach to a running program, by its pid or by text of its command line.

    The text must be found in exactly one process that can be attached to. What
    was attached before is left first. The choice survives restarts of the kernel.
    With --wake, a program whose main thread is blocked is woken from its wait, which goes
    on afterwards; so is, if none is named, the one that the kernel waits for already.
    With --observe the kernel only looks at the program: it shows, watches and traces, and runs
    no cells. With --confirm each cell asks first. With --idle 30m the kernel detaches when it
    has not been used for that long. With --tree the program is shown with all processes that
    descend from it, and you choose one of them; without a program, those of the present one, or
    all that there are.
    """

    usage = "%attach PID|TEXT [--wake] [--observe] [--confirm] [--idle 30m] [--tree]"
    words = ("--wake", "--observe", "--confirm", "--idle", "--tree")
    reach = Reach.KERNEL

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        text, wake, tree, rails = self._parsed(argument)

        def attach(to: str) -> None:
            waiter = self._in_target.waiter(execution, lambda: done(None), done)
            choice = Choice(to, "%attach", wake=wake, rails=rails)
            self._target.choose(choice, pinned=True, waiter=waiter)

        if tree:
            ask = self._in_target.ask
            families.Tree(self._target, ask, attach).show(text, execution, done)
            return
        if wake and not text:
            self._wake(execution, done)
            return
        if not text:
            execution.display(tables.as_bundle(processes.candidates()))
            if self._target.state is State.ATTACHED:
                execution.note(self._target.describe())
                done(None)
                return
            raise NoTarget("%attach needs a pid or a text.", "For example: %attach 4242")
        attach(text)

    def _parsed(self, argument: str) -> tuple[str, bool, bool, Rails]:
        """The text, whether to wake, whether to show a tree, and the rails: options stand before
        the text or behind it.
        """
        words = argument.split()
        found: list[str] = []
        idle = ""
        while words and (at := _option_at(words)) is not None:
            if words[at] == "--idle":
                idle = words.pop(at + 1) if len(words) > at + 1 else ""
                if not idle:
                    raise self.misused("--idle needs to know how long, as in --idle 30m.")
            found.append(words.pop(at))
        text = argument.strip() if not found else " ".join(words)
        observe, confirm = (f"%attach {name}" if name in found else "" for name in _ASKED)
        rails = Rails(observe, confirm)
        if idle:
            rails = rails._replace(idle=self.span(idle, "--idle: "), idle_by="%attach --idle")
        return text, "--wake" in found, "--tree" in found, rails

    def _wake(self, execution: Execution, done: Done) -> None:
        if not self._target.wake():
            raise NoTarget("No program is waited for.", "For example: %attach --wake 4242")
        self._target.wait(self._in_target.waiter(execution, lambda: done(None), done))


_ASKED = ("--observe", "--confirm")


def _option_at(words: list[str]) -> int | None:
    """Where the next option is: at the beginning, or at the end."""
    if words[0] in Attach.words:
        return 0
    if words[-1] in Attach.words:
        return len(words) - 1
    return len(words) - 2 if words[-2:-1] == ["--idle"] else None


class Detach(Command):
    """Leave the program as it was; the kernel stays, without a target."""

    reach = Reach.KERNEL
    usage = "%detach"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        process = self._target.process
        if self._target.detach(forget=True, why="%detach") and process is not None:
            execution.print(f"Detached from {process}; it runs on.")
        else:
            execution.print("Nothing is attached.")
        done(None)


class Ps(Command):
    """List the programs that can be attached to; with --all every other process too.

    What can't be attached to is listed with the reason.
    """

    usage = "%ps [--all]"
    reach = Reach.KERNEL
    words = ("--all",)
    is_aside = True

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        everything = "--all" in argument.split()
        execution.display(tables.as_bundle(processes.candidates(all=everything)))
        done(None)


class Status(Command):
    """Show the target, its state, for how long, and what the cells see."""

    usage = "%status"
    reach = Reach.LOOKS
    is_aside = True

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        attachment = self._target.attachment
        if attachment is None or attachment.state is not State.ATTACHED:
            execution.print(f"State: {self._target.state.value}")
            if self._target.failure is not None:
                execution.print(self._target.failure.explain())
            if followers := self._means.followed_by():
                execution.print(f"Followed by {', '.join(followers)}")
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
        rails, (idle, by) = self._target.rails, self._target.idle
        if rails.banner:
            from ..showing import banners

            rows = {"Guard": banners.headline(rails, process)} | rows
        if rails.observe or rails.confirm:
            rows["Kernel"] = rails._replace(idle=0.0).in_words()
        if idle:
            rows["Idle"] = f"detaches after {durations.written(idle)} without use ({by})"
        if self._target.succession.wanted.by:
            rows["Follows"] = self._target.succession.wanted.in_words()
        if followers := self._means.followed_by():
            rows["Followed"] = f"by {', '.join(followers)}"
        return "\n".join(f"{name + ':':<11}{value}" for name, value in rows.items())
