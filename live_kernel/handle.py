"""The public API: a handle on a live process, without Jupyter.

Runs in the caller's process, on the calling thread; for scripts and tests.
Rule: a handle is used by one thread at a time, and leaving its `with` block
leaves the target as it was.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from .attach import processes
from .attach.processes import Process
from .errors import (
    AgentLost,
    CommandMisused,
    LiveKernelError,
    NoTarget,
    NotConfirmed,
    OnlyLooks,
    TargetBlocked,
)
from .launcher import guarding, placing, recording
from .launcher.attachment import State
from .launcher.choosing import Choice
from .launcher.rails import Rails
from .launcher.reactor import Reactor
from .launcher.target import CellRun, Target, Waiter
from .launcher.waking import BLOCKED_AFTER

Event = dict[str, Any]
Outcome = dict[str, Any]

SEEN_WITHIN = 2.0
"""Seconds that a look at what a target waits in, which has begun before the time-out, may take
beyond it: on a busy machine it does, and the error is to say what was seen.
"""


class Handle:
    """An attachment to one process, made by `attach`."""

    def __init__(
        self,
        process: Process,
        timeout: float | None,
        tell: Callable[[str], None],
        wake: bool = False,
        observe: bool = False,
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        self.process = process
        self._confirm = confirm
        self._reactor = Reactor()
        self._target = Target(self._reactor, None, "wake=True (on the command line: --wake)")
        self._target.protection.given = Rails(observe="observe=True" * observe)
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
        self._reactor.run_until(self._is_decided, timeout)
        if timeout is not None and timeout >= BLOCKED_AFTER:
            self._reactor.run_until(self._is_explained, SEEN_WITHIN)
        if not self._is_decided():
            self._target.give_up()
        if failures:
            raise _without_commands(failures[0])

    def _is_decided(self) -> bool:
        return self._target.state is not State.INJECTING

    def _is_explained(self) -> bool:
        """Is there no need to wait any longer for what the target waits in?"""
        return self._is_decided() or self._target.blocked is not None

    @property
    def description(self) -> str:
        """To what the handle is attached and what cells see, in a sentence; or why it is not."""
        left = self._left()
        return self._target.describe() if left is None else f"{left}."

    def _left(self) -> LiveKernelError | None:
        """Why nothing can be run any more, if that is so."""
        if self._target.state is State.ATTACHED:
            return None
        lost = self._target.failure
        if lost is not None:
            return _without_commands(lost)
        return NoTarget(f"this handle has left {self.process}", "attach(…) makes a new one.")

    @property
    def rails(self) -> Rails:
        """What guards the process: whether the handle only looks, whether cells are asked about."""
        return self._target.rails

    def run(self, code: str, show: Callable[[Event], None] | None = None) -> Outcome:
        """Run a cell and wait for its end. KeyboardInterrupt interrupts the cell.

        Its first line may say where it runs, as in a notebook: `%%main --at-most 2s`, say.

        `show` is called with each event (a dict with `event`: stream, display, update,
        clear, result or page); what the cell shows as bytes comes as memoryviews. Returns
        `{"status": "ok", …}` or `{"status": "error", "error": {"ename", "evalue",
        "traceback"}}`. Raises AgentLost, also when the process was lost before; NoTarget of a
        handle that is detached; CommandMisused; OnlyLooks, NotConfirmed.
        """
        left = self._left()
        if left is not None:
            raise left
        whole = code
        place, code = placing.of_cell(code)
        _refuse_commands(code)
        try:
            self._ask_about(code)
        except LiveKernelError as error:
            self._recorder.refuse(whole, self.process, "refused", why=str(error))
            raise
        outcome: list[Outcome] = []
        lost: list[LiveKernelError] = []

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

    def _ask_about(self, code: str) -> None:
        """Raises what the guard rails have against a cell."""
        rails = self._target.rails
        if rails.observe:
            raise self._target.only_looks("The cell")
        if not rails.confirm:
            return
        if self._confirm is None:
            raise NotConfirmed(
                f"The cell was not run: {self.process} wants to be asked about first "
                f"({rails.confirm}), and nobody is here to be asked.",
                "Give attach() a function: confirm=lambda question: …, which says yes by True. "
                "(`live-kernel exec` asks at a terminal, or takes --yes.)",
            )
        if not self._confirm(guarding.question(self._target, code)):
            raise NotConfirmed("The cell was not run: you have not said yes to it.")

    def look(self, about: str, what: str = "") -> dict[str, Any]:
        """What the process is doing, as plain data: `about` is threads, stack, tasks or where.

        `what`: of a stack, whose it is: a thread or a task, by its name or number. Empty where
        no answer has come. Raises CommandMisused.
        """
        if about not in _LOOKS:
            raise CommandMisused(f"{about!r} can't be looked at.", f"One of {', '.join(_LOOKS)}.")
        answers: list[dict[str, Any]] = []
        attachment = self._target.attachment
        if attachment is None:
            return {}
        attachment.ask(about, answers.append, what=what)
        self._wait(lambda: bool(answers))
        return answers[0]

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
                with self._interrupts_in_turn():
                    self._reactor.run_until(reached)
            except KeyboardInterrupt:
                self._target.interrupt()

    @contextmanager
    def _interrupts_in_turn(self) -> Iterator[None]:
        """Have Ctrl-C interrupt the cell between two callbacks of the reactor: raised within one,
        it would take with it what has just been received. A second one that comes before that
        is raised, for whoever is stuck in a callback. Where somebody else handles them, or this
        is not the main thread, nothing is changed.
        """
        is_ours = threading.current_thread() is threading.main_thread()
        if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        waiting: list[int] = []

        def interrupt() -> None:
            if waiting:
                waiting.clear()
                self._target.interrupt()

        def on_interrupt(number: int, frame: FrameType | None) -> None:
            if waiting:
                signal.default_int_handler(number, frame)
            waiting.append(number)
            self._reactor.call(interrupt)

        signal.signal(signal.SIGINT, on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            waiting.clear()  # what came for a cell that has ended is not the next one's

    def detach(self) -> None:
        """Leave the process as it was. Doing so twice does no harm."""
        self._target.detach(why="the handle is closed")
        self._recorder.close()
        self._reactor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


def _as_recorded(outcome: list[Outcome], lost: list[LiveKernelError]) -> tuple[str, str]:
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
    """The error without the advice to use a notebook's commands or cells, which nobody has here."""
    if any(text in error.remedy for text in _NOTEBOOKS):
        sentences = re.split(r"(?<=\.)\s+", error.remedy)
        kept = [each for each in sentences if not any(text in each for text in _NOTEBOOKS)]
        error.remedy = " ".join(kept) or "`live-kernel ps` lists the programs that run."
    return error


def attach(
    pid: int,
    timeout: float | None = 30.0,
    on_waiting: Callable[[str], None] = lambda _text: None,
    wake: bool = False,
    observe: bool = False,
    confirm: Callable[[str], bool] | None = None,
) -> Handle:
    """Attach to the process `pid`; use the handle in a `with` statement.

    `timeout`: seconds to wait for a target that is blocked (None: for ever), from half a second
    on up to two more where it is still being looked at why;
    `on_waiting` is told what it waits in, and what `wake` would do; `wake`: wake it
    from that. `observe`: only look at it, and run no code in it; `confirm` gets a
    question and says whether a cell may run, where a guard or LIVE_KERNEL_CONFIRM wants that.
    Raises NotAttachable errors, TargetBlocked, AgentFailed, ConfigBroken; TypeError where `pid`
    is not a number.
    """
    if not isinstance(pid, int):
        raise TypeError(f"attach() takes a pid, which is an int, and not {pid!r}")
    with recording.of_failure(pid):
        process = processes.identify(pid)
    return Handle(process, timeout, on_waiting, wake, observe, confirm)


_NOTEBOOKS = ("%attach", "the next cell")
"""What the advice for notebooks is known by."""

_LOOKS = ("threads", "stack", "tasks", "where")


__all__ = ["AgentLost", "Handle", "NotConfirmed", "OnlyLooks", "TargetBlocked", "attach"]
