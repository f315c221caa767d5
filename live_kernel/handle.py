"""The public API: a handle on a live process, without Jupyter.

Runs in the caller's process, on the calling thread; for scripts and tests.
Rule: a handle is used by one thread at a time, and leaving its `with` block
leaves the target as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .attach import processes
from .attach.processes import Process
from .errors import AgentLost, CommandMisused, LiveKernelError, TargetBlocked
from .launcher import placing, recording
from .launcher.attachment import State
from .launcher.choosing import Choice
from .launcher.reactor import Reactor
from .launcher.target import CellRun, Target, Waiter

Event = dict[str, Any]
Outcome = dict[str, Any]


class Handle:
    """An attachment to one process, made by `attach`."""

    def __init__(
        self,
        process: Process,
        timeout: float | None,
        tell: Callable[[str], None],
        wake: bool = False,
    ) -> None:
        self.process = process
        self._reactor = Reactor()
        self._target = Target(self._reactor, None, "wake=True (on the command line: --wake)")
        self._count = 0
        self._recorder = recording.for_script()
        self._target.on_step = self._recorder.step
        try:
            self._enter(timeout, tell, wake)
        except BaseException:
            self.detach()
            raise

    def _enter(self, timeout: float | None, tell: Callable[[str], None], wake: bool) -> None:
        failures: list[LiveKernelError] = []
        waiter = Waiter(lambda: None, failures.append, tell)
        choice = Choice(str(self.process.pid), "the caller", self.process.start_time, wake=wake)
        self._target.choose(choice, pinned=False, waiter=waiter)
        self._reactor.run_until(lambda: self._target.state is not State.INJECTING, timeout)
        if self._target.state is State.INJECTING:
            self._target.give_up()
        if failures:
            raise _without_commands(failures[0])

    @property
    def description(self) -> str:
        """To what the handle is attached and what cells see, in a sentence."""
        return self._target.describe()

    def run(self, code: str, show: Callable[[Event], None] | None = None) -> Outcome:
        """Run a cell and wait for its end. KeyboardInterrupt interrupts the cell.

        Its first line may say where it runs, as in a notebook: `%%main --at-most 2s`, say.

        `show` is called with each event (a dict with `event`: stream, display, update,
        clear or result); what the cell shows as bytes comes as memoryviews. Returns
        `{"status": "ok", …}` or `{"status": "error", "error": {"ename", "evalue",
        "traceback"}}`. Raises AgentLost, CommandMisused.
        """
        whole = code
        place, code = placing.of_cell(code)
        _refuse_commands(code)
        outcome: list[Outcome] = []
        lost: list[AgentLost] = []

        def produced(events: list[Event]) -> None:
            for event in events:
                self._recorder.keep(record, _as_text(event))
                if show is not None:
                    show(event)

        def typed(line: str) -> None:
            self._recorder.typed(record, line, self.process)

        self._count += 1
        request: dict[str, Any] = {
            "code": code,
            "count": self._count,
            "silent": False,
            "expressions": {},
            "allow_input": False,
        }
        if place.get("kind", "own") != "own":
            request["place"] = place
        record = self._recorder.begin(whole, self.process, count=self._count)
        self._target.run(request, CellRun(produced, outcome.append, lost.append, typed=typed))
        self._wait(lambda: bool(outcome or lost))
        self._recorder.end(record, *_as_recorded(outcome, lost))
        if lost:
            raise _without_commands(lost[0])
        return outcome[0]

    def complete(self, code: str, cursor: int | None = None) -> list[str]:
        """What could stand at the cursor (in characters; the end by default)."""
        cursor = len(code) if cursor is None else cursor
        answers: list[dict[str, Any]] = []
        attachment = self._target.attachment
        if attachment is None:
            return []
        attachment.ask("complete", answers.append, code=code, cursor=cursor)
        self._wait(lambda: bool(answers))
        return [str(match) for match in answers[0].get("matches", [])]

    def _wait(self, reached: Callable[[], bool]) -> None:
        while not reached():
            try:
                self._reactor.run_until(reached)
            except KeyboardInterrupt:
                self._target.interrupt()

    def detach(self) -> None:
        """Leave the process as it was. Doing so twice does no harm."""
        self._target.detach(why="the handle is closed")
        self._recorder.close()
        self._reactor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()


def _as_recorded(outcome: list[Outcome], lost: list[AgentLost]) -> tuple[str, str]:
    """How a cell went, in the journal's words."""
    if lost:
        return recording.outcome_of(lost[0])
    error = outcome[0].get("error")
    return recording.outcome_of(error) if error else ("ok", "")


def _as_text(event: Event) -> str:
    """What an event shows, in plain text."""
    data = event.get("data")
    return str(event.get("text", "") if not isinstance(data, dict) else data.get("text/plain", ""))


def _refuse_commands(code: str) -> None:
    """The commands of the kernel need a notebook, or a console. Raises CommandMisused."""
    if not code.lstrip().startswith("%"):
        return
    from .launcher import commands  # which nobody needs here

    found, _ = commands.split(code)
    if found:
        raise CommandMisused(
            f"{found[0][0]} is a command of the kernel's, for notebooks and consoles.",
            "Open one in the program: live-kernel attach PID",
        )


def _without_commands[E: LiveKernelError](error: E) -> E:
    """The error without the advice to use a notebook's commands, which nobody has here."""
    if "%attach" in error.remedy:
        sentences = re.split(r"(?<=\.)\s+", error.remedy)
        error.remedy = " ".join(text for text in sentences if "%attach" not in text)
    return error


def attach(
    pid: int,
    timeout: float | None = 30.0,
    on_waiting: Callable[[str], None] = lambda _text: None,
    wake: bool = False,
) -> Handle:
    """Attach to the process `pid`; use the handle in a `with` statement.

    `timeout`: seconds to wait for a target that is blocked (None: for ever);
    `on_waiting` is told what it waits in, and what `wake` would do; `wake`: wake it
    from that. Raises NotAttachable errors,
    TargetBlocked, AgentFailed.
    """
    with recording.of_failure(pid):
        process = processes.identify(pid)
    return Handle(process, timeout, on_waiting, wake)


__all__ = ["AgentLost", "Handle", "TargetBlocked", "attach"]
