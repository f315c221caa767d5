"""What the guard rails let through, and the question before a cell.

Runs on the launcher's reactor. Rule: a look is never held up; whatever else reaches into the
program is let through, asked about or refused here before it is sent. (That nothing slips
by, `Target.run` sees to, and the agent itself.)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import LiveKernelError, NotConfirmed
from ..plain import on_one_line
from .rails import remedy

if TYPE_CHECKING:  # a script has no front-end, and no need of ZMQ
    from .execution import Done, Execution
    from .frontend import Frontend
    from .questions import Questions
    from .target import Target

_LINES = 6
"""Lines of a cell that are shown with the question."""

_WIDTH = 100


class Reach(Enum):
    """How far something reaches into the program."""

    KERNEL = "concerns the kernel alone"
    LOOKS = "looks at the program"
    EVALUATES = "evaluates an expression of the user's in it"
    RUNS = "runs code in it, changes or stops it"


class Guarding:
    """Lets through what the rails of a kernel's present attach permit."""

    def __init__(self, frontend: Frontend, target: Target, questions: Questions) -> None:
        self._frontend, self._target, self._questions = frontend, target, questions

    def let(
        self, what: str, reach: Reach, execution: Execution, go_on: Callable[[], None], done: Done
    ) -> None:
        """Call `go_on` if that is permitted, which the user may be asked; else `done`.

        `what`: the subject of the sentence that refuses it.
        """
        target = self._target
        is_look = reach in (Reach.KERNEL, Reach.LOOKS)
        if not is_look and target.rails.observe:
            is_look = reach is Reach.EVALUATES  # from memory alone: see `agent/observing.py`
            if not is_look:
                done(target.only_looks(what))
                return
        if is_look or not self._must_ask(execution):
            go_on()
        elif execution.silent:
            done(
                NotConfirmed("What a front-end runs of its own accord is not asked about, or run.")
            )
        elif not execution.allows_input:
            by = target.rails.confirm
            done(
                NotConfirmed(
                    f"{what} was not run: {target.process} wants to be asked about first ({by}), "
                    "and this front-end can't ask.",
                    f"Run it where you can be asked: in a notebook, a console. {remedy(by, _RAIL)}",
                )
            )
        else:
            self._ask(what, execution, go_on, done)

    def _must_ask(self, execution: Execution) -> bool:
        target = self._target
        if not target.rails.confirm or target.protection.agreed:
            return False
        return target.is_there and execution.confirmed_for is not target.attachment

    def _ask(self, what: str, execution: Execution, go_on: Callable[[], None], done: Done) -> None:
        target, asked_for = self._target, self._target.attachment

        def answered(text: str | None) -> None:
            word = (text or "").strip().lower()
            if word not in ("y", "yes", "a", "all"):
                no = "Nobody has said yes" if text is None else "You have not said yes"
                done(NotConfirmed(f"{what} was not run: {no.lower()} to it.", ""))
            elif target.attachment is not asked_for or not target.is_there:
                done(target.failure or LiveKernelError(f"{what} was not run: the target is gone."))
            else:
                target.protection.agreed = word in ("a", "all")
                execution.confirmed_for = asked_for
                go_on()

        prompt = question(target, execution.code) + _ANSWERS
        self._questions.ask(self._frontend, execution.request, prompt, False, answered)

    def values_of(self, execution: Execution) -> tuple[dict[str, str], dict[str, Any]]:
        """Of the `user_expressions` of a cell that is let through, those that are evaluated; and
        what the others come to. Front-ends ask for them, of their own accord.
        """
        rails = self._target.rails
        if not execution.expressions or not (rails.observe or rails.confirm):
            return execution.expressions, {}
        if not rails.observe and self._target.protection.agreed:
            return execution.expressions, {}
        error = (
            self._target.only_looks("An expression")
            if rails.observe
            else NotConfirmed("What a front-end evaluates of its own accord is not asked about.")
        )
        told = {"ename": type(error).__name__, "evalue": str(error), "traceback": [str(error)]}
        return {}, {name: {"status": "error", **told} for name in execution.expressions}


_RAIL = "confirm"
_ANSWERS = "\n[y/N; a: also all that follows, until the kernel detaches] "


def question(target: Target, code: str) -> str:
    """What the user is asked: the target's name, its pid and user, the first lines."""
    process, rails = target.process, target.rails
    assert process is not None
    name = f"{on_one_line(rails.banner)}\n" if rails.banner else ""
    who = f"{on_one_line(str(process))} of user {process.username}"
    return f"{name}Run this in {who}?\n{first_lines(code)}"


def first_lines(code: str) -> str:
    """The beginning of a cell, and how much more there is."""
    lines = [on_one_line(line) for line in code.strip("\n").splitlines()]
    shown = [line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…" for line in lines[:_LINES]]
    more = len(lines) - _LINES
    told = [f"… and {more} more line{'s' * (more > 1)}"] if more > 0 else []
    return "\n".join(f"    {line}" for line in [*shown, *told])
