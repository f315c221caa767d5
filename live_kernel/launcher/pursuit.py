"""Going on in the successor: a cell comes, and the program that it was meant for was replaced.

Runs on the launcher's reactor. Rule: it is gone there by itself only if the user has asked to be
followed by the kernel, and if there is no doubt which process is meant; else it is told, or asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ..attach import proc, processes
from ..errors import AgentFailed, LiveKernelError, NoTarget, NotAttachable, TargetError
from ..plain import on_one_line
from . import successors
from .choosing import Choice
from .execution import Done, Execution
from .frontend import Frontend
from .questions import Questions
from .succession import replaced
from .successors import Successor
from .target import Target

PATIENCE = 15.0
"""Seconds for which a successor is waited for, from the first cell that does so."""

_TELL_AFTER = 1.0

_YOUNG = 5.0
"""Seconds in which it may not be ready to be attached to."""

_PAUSE = 0.15


class Pursuit:
    """One cell that goes on in the successor of the program that is gone.

    One of these is called, once: `go_on()` where the kernel has begun to attach to it;
    `stay()` where it is not gone there by itself, `target.failure` says why, and the user may be
    asked for a program; `done(error)` where there is nothing to be asked.
    """

    def __init__(
        self,
        target: Target,
        questions: Questions,
        frontend: Frontend,
        cell: Execution,
        go_on: Callable[[], None],
        stay: Callable[[], None],
        done: Done,
    ) -> None:
        self._target, self._questions, self._frontend = target, questions, frontend
        self._cell, self._go_on, self._stay, self._done = cell, go_on, stay, done
        self._begun = time.monotonic()
        self._has_told = self._is_over = False
        self._process = target.succession.predecessor

    def begin(self) -> None:
        """Seek the successor."""
        self._target.pursuits.append(self)
        self._seek()

    def give_up(self) -> None:
        """The user has interrupted it."""
        self._fail(NoTarget(f"{self._gone()}; its successor was not waited for any longer.", _HOW))

    def _over(self) -> bool:
        """Be over. Returns whether that is new."""
        was_over, self._is_over = self._is_over, True
        if not was_over:
            with suppress(ValueError):
                self._target.pursuits.remove(self)
        return not was_over

    def _gone(self) -> str:
        return f"{self._process} has gone" if self._process is not None else "The program has gone"

    def _fail(self, error: LiveKernelError) -> None:
        if self._over():
            self._target.failure = error
            self._done(error)

    def _seek(self) -> None:
        if not self._is_over:
            self._target.succession.seek(self._found)

    def _found(self, there: list[Successor]) -> None:
        if self._is_over:
            return
        if self._target.is_there:  # by another cell, meanwhile
            if self._over():
                self._go_on()
            return
        wanted = self._target.succession.wanted
        fitting = [each for each in there if wanted.fits(each.text)]
        gone_to = self._target.succession.gone_to
        fitting = [each for each in fitting if each.kin[:2] == gone_to] or fitting
        if not wanted.by or (there and not fitting):
            self._tell(there)
        elif len(fitting) == 1:
            self._go(fitting[0])
        elif fitting:
            self._ask(fitting)
        elif self._target.succession.has_gone and time.monotonic() - self._begun < PATIENCE:
            self._wait()
        else:
            self._tell(there)

    def _wait(self) -> None:
        if not self._has_told and time.monotonic() - self._begun > _TELL_AFTER:
            self._has_told = True
            self._cell.note(f"Waiting: {self._gone()}, and no successor of it has begun yet.")
        self._target.reactor.later(_PAUSE, self._seek)

    def _tell(self, there: list[Successor]) -> None:
        """It is not gone there by itself: say who it is, and leave it to the user."""
        if not self._over():
            return
        if there and self._process is not None:
            self._target.failure = replaced(self._process, there)
            self._target.left = self._choice(there[0]) if len(there) == 1 else None
        self._stay()

    def _choice(self, one: Successor) -> Choice:
        """The successor, with what was asked for the one before."""
        before = self._target.choice
        pattern = before.pattern or before.text if before is not None else ""
        if pattern.isdecimal():
            pattern = ""
        choice = Choice(str(one.pid), "%follow", one.kin.start_time, pattern)
        return choice if before is None else choice._replace(rails=before.rails)

    def _go(self, one: Successor) -> None:
        try:
            processes.identify(one.pid)
        except NotAttachable:
            if time.monotonic() - self._begun < _YOUNG:
                self._wait()  # it is no Python yet, or has been replaced itself
                return
        except LiveKernelError:
            pass  # which is told by the attempt
        try:
            why = f"successor of {self._process}: {one.why}"
            self._target.choose(self._choice(one), self._target.is_pinned, why=why)
        except LiveKernelError as error:
            self._fail(error)
            return
        if self._over():
            self._tell_of(one)
            self._go_on()

    def _tell_of(self, one: Successor) -> None:
        """Say where the kernel goes, and why; once, where it takes several attempts."""
        was, self._target.succession.gone_to = self._target.succession.gone_to, one.kin[:2]
        if self._process is not None and was != one.kin[:2]:
            new = "another run of the same program, with the same pid"
            if one.pid != self._process.pid:
                new = f"pid {one.pid} (same program: {on_one_line(one.title)})"
            self._cell.note(
                f"The kernel follows: pid {self._process.pid} has been replaced by {new};\n"
                f"{one.why}."
            )

    def _ask(self, there: list[Successor]) -> None:
        assert self._process is not None
        error = replaced(self._process, there)
        if not self._cell.allows_input:
            self._fail(error)
            return
        rows = [f"  {n}  {on_one_line(f'pid {s.pid} {s.title}')}" for n, s in enumerate(there, 1)]
        prompt = f"{error}:\n" + "\n".join(rows) + "\nWhich (number or pid)? "

        def answered(text: str | None) -> None:
            one = chosen((text or "").strip(), there)
            if one is None:
                self._fail(error)
            else:
                self._go(one)

        self._questions.ask(self._frontend, self._cell.request, prompt, False, answered)


def is_passing(error: TargetError) -> bool:
    """Has a successor not been entered because it has only just begun, or is gone already?"""
    present = successors.seen(error.pid)
    is_young = present is not None and proc.seconds_since(present.start_time) < _YOUNG
    return present is None or (is_young and isinstance(error, AgentFailed))


def chosen(text: str, there: list[Successor]) -> Successor | None:
    """The one that an answer means: by its number in the list, or its pid."""
    for number, each in enumerate(there, 1):
        if text == str(number) or text == str(each.pid):
            return each
    return None


_HOW = "%ps lists the programs that there are; %attach PID or TEXT names one."
