"""Cells, and commands of the kernel, that run in the target: sent there, and what comes back shown.

Runs on the launcher's reactor. Rule: whoever wants something done there is told once
how it went, also where there is no target, or it goes in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..attach import processes
from ..attach.processes import Candidate, Process
from ..errors import LiveKernelError, NoTarget, TargetError, TargetReplaced
from .attachment import State
from .choosing import Choice
from .execution import Done, Execution
from .frontend import Frontend
from .guarding import Guarding, Reach
from .outlet import Outlet, error_in
from .questions import Questions
from .setup import Item
from .target import Answer, CellRun, Target, Waiter
from .wire import Content

_TRIES = 20
_PAUSE = 0.25
"""Times that a successor may be tried to be entered, as long as it begins, or is replaced itself;
and the seconds between two.
"""

_PROMPT = "Attach to (pid, or text of its command line): "


class InTarget:
    """Runs what is to run in the target of one kernel, whichever shell asks for it.

    `on_comm(event, subshell)` is told of each message that a cell sends on a comm,
    `on_typed(execution, line)` of each line that is given to a debugger of a cell's.
    """

    def __init__(
        self,
        frontend: Frontend,
        target: Target,
        questions: Questions,
        on_comm: Callable[[dict[str, Any], str], None],
        on_typed: Callable[[Execution, str], None] = lambda *_: None,
    ) -> None:
        self._frontend, self._target = frontend, target
        self._questions, self._on_comm, self._on_typed = questions, on_comm, on_typed
        self.guarding = Guarding(frontend, target, questions)
        self.set_up_again: Callable[[list[Item], Execution, Callable[[], None]], None]
        """Sets up these items for a cell, and then goes on."""
        self.on_late: Callable[[], None] = lambda: None
        """Called when a cell says something after its end."""

    def run(
        self,
        code: str,
        execution: Execution,
        done: Done,
        reach: Reach = Reach.RUNS,
        what: str = "The cell",
        **more: Any,
    ) -> None:
        """Run code there, once there is a target; `more` is what else the link's `run` may say.

        The values of the `user_expressions` become those of the execution. Guard rails may be in
        the way, of this attach or of the one that it waits for.
        """

        def let(then: Callable[[], None]) -> None:
            self.guarding.let(what, reach, execution, then, done)

        def send() -> None:
            self._send(code, execution, done, more)

        let(lambda: self.when_attached(execution, lambda: let(send), done))

    def when_attached(self, execution: Execution, attached: Callable[[], None], done: Done) -> None:
        """Call `attached` once there is a target: it is waited for, or asked for if none is named.

        Otherwise `done` is called, with the reason.
        """
        if self._target.is_there:
            self._wait(execution, attached, done)
        elif execution.silent:
            done(None)  # a front-end's probe: none of the user's business
        elif self._target.succession.is_open:
            self._pursue(execution, attached, done)
        else:
            self._choose_first(execution, attached, done)

    def _wait(self, execution: Execution, attached: Callable[[], None], done: Done) -> None:
        self._target.wait(self.waiter(execution, attached, done))

    def _pursue(
        self, execution: Execution, attached: Callable[[], None], done: Done, tries: int = _TRIES
    ) -> None:
        """The program has gone: go on in its successor, or say who that is."""
        from .pursuit import Pursuit, is_passing  # few programs are replaced

        def failed(error: LiveKernelError | Content | None) -> None:
            if tries and isinstance(error, TargetError) and is_passing(error):
                again = (execution, attached, done, tries - 1)
                self._target.reactor.later(_PAUSE, lambda: self._pursue(*again))
            else:
                done(error)

        Pursuit(
            self._target,
            self._questions,
            self._frontend,
            execution,
            lambda: self._wait(execution, attached, failed),
            lambda: self._choose_first(execution, attached, done),
            done,
        ).begin()

    def waiter(self, execution: Execution, attached: Callable[[], None], done: Done) -> Waiter:
        """The user of a cell, who waits for the target, is told why, and may be asked. Before it
        goes on, what the session had set up is set up again in a successor.
        """

        def ask(question: str, answered: Answer) -> None:
            self._questions.ask(self._frontend, execution.request, question, False, answered)

        def over(then: Callable[[], None]) -> None:
            self._questions.cancel(execution.request)
            then()

        return Waiter(
            lambda: over(lambda: self.settle(execution, attached, done)),
            lambda error: over(lambda: done(error)),
            execution.note,
            ask if execution.allows_input and not execution.silent else None,
        )

    def ask(self, execution: Execution, prompt: str, answered: Answer) -> None:
        """Ask the user of a cell; `answered` is called once."""
        self._questions.ask(self._frontend, execution.request, prompt, False, answered)

    def settle(self, execution: Execution, go_on: Callable[[], None], done: Done) -> None:
        """Go on once what the session had set up in its former program is set up in this one, if
        this one is its successor. `done` is called instead if it is gone by then.
        """
        target = self._target
        if not target.setup.left or target.setup.is_told or execution.silent:
            go_on()
        elif not target.succession.why:
            self._tell_of_left(execution)
            go_on()
        else:
            target.setup.is_told = True

            def over() -> None:
                if target.state is State.ATTACHED:
                    go_on()
                else:
                    done(target.failure or NoTarget("The program has gone meanwhile."))

            self.tell_notices(execution)
            self.set_up_again(target.setup.take_left(), execution, over)

    def _tell_of_left(self, execution: Execution) -> None:
        """What stood in another program is not set up here, unless the user says so."""
        setup = self._target.setup
        setup.is_told = True
        count = "1 thing is" if len(setup.left) == 1 else f"{len(setup.left)} things are"
        execution.note(
            f"The kernel has not set up again what it had before ({count} left): %session shows "
            "it, %session restore sets it up."
        )

    def _send(self, code: str, execution: Execution, done: Done, more: Content) -> None:
        self.tell_notices(execution)
        place = execution.place or self._target.place
        if code and place.get("kind", "own") != "own":
            more = {"place": place, **more}
        expressions, refused = self.guarding.values_of(execution)
        request = {
            "code": code,
            "count": execution.count,
            "silent": execution.silent,
            "expressions": expressions,
            "allow_input": execution.allows_input,
            "subshell": execution.request.subshell,
            "parent": execution.request.header,
            **more,
        }

        later = execution.for_later()

        def produced(events: list[Content]) -> None:
            self.tell_notices(execution)
            self._show(events, execution)

        def late(events: list[Content]) -> None:
            self.on_late()  # what comes later is seen by nobody who does not look there
            self._show(events, later)

        def ended(outcome: Content) -> None:
            self.tell_notices(execution)
            if outcome["status"] == "ok":
                execution.values = outcome["expressions"] | refused
                done(None)
            else:
                done(error_in(outcome))

        def lost(error: LiveKernelError) -> None:
            self._questions.cancel(execution.request)
            done(error)

        def input_wanted(prompt: str, password: bool, answer: Answer) -> None:
            self._questions.ask(self._frontend, execution.request, prompt, password, answer)

        def typed(line: str) -> None:
            self._on_typed(execution, line)

        run = CellRun(produced, ended, lost, input_wanted, typed=typed, late=late)
        self._target.run(request, run)

    def _show(self, events: list[Content], outlet: Outlet) -> None:
        for event in events:
            if event["event"] == "comm":
                self._on_comm(event, outlet.request.subshell)
            outlet.show(event)

    def tell_notices(self, execution: Execution) -> None:
        """Show what the user should know by now, such as to what the kernel is attached."""
        if not execution.silent:
            for strip in self._target.protection.take_strip(self._target.process):
                execution.display(strip)
            for notice in self._target.take_notices():
                execution.note(notice)

    def _choose_first(self, execution: Execution, attached: Callable[[], None], done: Done) -> None:
        """A cell before any attach: ask for a program, or say which there are.

        If one was chosen in advance, or was there and has gone, tell what became of it.
        """
        from . import likeness, tables  # where no program was chosen in advance

        failure, gone = self._target.failure, self._target.gone
        is_known = isinstance(failure, TargetReplaced)  # then it says to whom one could attach
        if failure is not None and execution.allows_input:
            execution.print(failure.explain() if is_known else str(failure).partition("\n")[0])
        ranked = likeness.rank(processes.candidates(), () if is_known else gone)
        if not is_known:
            execution.display(tables.as_bundle(ranked.candidates))
        if not execution.allows_input:
            none = "Run %attach PID, or %attach TEXT of its command line."
            error = failure or NoTarget("No program is attached.", none)
            if gone and not is_known:
                error.remedy = _likest(ranked.candidates)
            done(error)
            return

        again = self._target.left or _same(ranked.best)

        def answered(text: str | None) -> None:
            try:
                if text is not None and not text.strip() and again is not None:
                    self._target.choose(again, pinned=True)
                elif not text or not text.strip():
                    raise NoTarget("No program was named.", "Run %attach PID or %attach TEXT.")
                else:
                    self._target.choose(Choice(text.strip(), "the prompt"), pinned=True)
            except LiveKernelError as error:
                done(error)
            else:
                self._wait(execution, attached, done)

        prompt = _PROMPT
        if again is not None:
            is_again = again is self._target.left
            prompt = f"{_PROMPT[:-3]}; Enter: {again.text}{_what(again, is_again, ranked.best)}): "
        self._questions.ask(self._frontend, execution.request, prompt, False, answered)


def _what(choice: Choice, is_again: bool, best: Process | None) -> str:
    """What is said of the program that an empty answer means."""
    if choice.source == "%follow":
        return ", its successor"
    return " again" if is_again or best is None else f" ({best.title})"


def _same(process: Process | None) -> Choice | None:
    """What an empty answer means where a program like the one that has gone is there."""
    if process is None:
        return None
    return Choice(str(process.pid), "the prompt", process.start_time)


def _likest(candidates: list[Candidate]) -> str:
    there = [each for each in candidates if each.attachable]
    if not there:
        return "There is no other program to attach to now; %attach PID once there is."
    return f"%attach PID takes one of these, the likest first:\n{processes.table(there)}"
