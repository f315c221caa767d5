"""One look at the target: what the agent answers, or else what can be read from outside.

Runs on the launcher's reactor; what may wait runs on a thread. The agent can't answer
before it is in, nor while C code keeps the GIL, nor in a stopped program: then Python's
stacks are read from the program's memory. What the system knows of threads is read from
outside always, and first: an agent that answers has the GIL itself.
Rule: a look changes nothing, and waits for nothing that may not come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..attach import outside
from ..attach.processes import Process
from ..errors import LiveKernelError, TargetNotFound
from ..records import NamedTuple
from .attachment import Attachment, State
from .execution import Done, Execution
from .reactor import look_up
from .target import Target, Waiter

Message = dict[str, Any]

ANSWERED_WITHIN = 0.5
"""Seconds that an agent, or an attach, may take before the target is read from outside."""


class Seen(NamedTuple):
    """What a look has found.

    `answer`: the agent's, empty where there is none; `inside` is there instead, read from
    outside, and `why` says why. `used`: by thread id, the processor time since the last look
    and the seconds since then; None for a thread that was not there at that time.
    """

    process: Process
    threads: list[outside.Thread]
    answer: Message
    inside: outside.Inside | None
    why: str
    used: dict[int, tuple[float, float] | None]

    @property
    def holder(self) -> outside.Thread | None:
        """The thread that had the GIL at the moment of the look."""
        return next((thread for thread in self.threads if thread.holds_gil), None)


Show = Callable[[Seen], dict[str, str]]
"""Makes a MIME bundle of it, on a thread that may wait. Raises LiveKernelError."""


class Looking:
    """A look on its way. `done` is called once it has been shown, or can't be."""

    def __init__(
        self, target: Target, about: str, what: str, execution: Execution, show: Show, done: Done
    ) -> None:
        self._target = target
        self._about, self._what = about, what
        self._execution, self._show, self._done = execution, show, done
        self._is_begun = False
        assert target.attachment is not None
        self._attachment: Attachment = target.attachment

    def begin(self) -> None:
        """Look now; while the target is being entered, as soon as that is done or takes long."""
        waiter = Waiter(self._look, self._done, lambda _text: None)

        def too_late() -> None:
            if not self._is_begun and self._attachment.state is State.INJECTING:
                self._target.wait_no_more(waiter)
                self._look()

        if self._attachment.state is State.INJECTING:
            self._target.reactor.later(ANSWERED_WITHIN, too_late)
        self._target.wait(waiter)

    def _look(self) -> None:
        self._is_begun = True
        process = self._attachment.process
        self._aside(lambda: outside.threads(process), self._on_threads)

    def _on_threads(self, threads: list[outside.Thread]) -> None:
        process = self._attachment.process
        if not threads:
            self._done(TargetNotFound(process.pid, f"{process} has ended"))
            return
        seen = Seen(process, threads, {}, None, "", self._used(threads))
        if self._attachment.state is not State.ATTACHED:
            self._look_inside(seen, "The program is not entered yet")
            return

        def answered(answer: Message) -> None:
            if answer:
                self._show_it(seen._replace(answer=answer))
            else:
                self._look_inside(seen, "It does not answer")

        self._attachment.ask(self._about, answered, ANSWERED_WITHIN, what=self._what)

    def _look_inside(self, seen: Seen, why: str) -> None:
        def found(inside: outside.Inside) -> None:
            self._show_it(seen._replace(inside=inside, why=f"{why}: read from outside."))

        wants_tasks = self._about == "tasks"
        self._aside(lambda: outside.python(seen.process, with_tasks=wants_tasks), found)

    def _used(self, threads: list[outside.Thread]) -> dict[int, tuple[float, float] | None]:
        now, times = time.monotonic(), self._attachment.processor_times
        used: dict[int, tuple[float, float] | None] = {}
        for thread in threads:
            last = times.get(thread.native)
            used[thread.native] = (
                None if last is None else (max(0.0, thread.seconds - last[0]), now - last[1])
            )
        if self._about == "threads":
            times.clear()
            times.update({thread.native: (thread.seconds, now) for thread in threads})
        return used

    def _show_it(self, seen: Seen) -> None:
        def shown(bundle: dict[str, str]) -> None:
            self._execution.display(bundle)
            self._done(None)

        self._aside(lambda: checked(self._show, seen), shown)

    def _aside[T](self, look: Callable[[], T], found: Callable[[T], None]) -> None:
        look_up(self._target.reactor, look, found, self._done)


def checked(show: Show, seen: Seen) -> dict[str, str]:
    """Show what was found, unless the agent says that it can't be, or makes no sense."""
    answer = seen.answer
    if "refused" in answer:
        raise LookRefused(str(answer["refused"]), str(answer.get("remedy", "")))
    if "error" in answer:
        raise LiveKernelError(f"the agent could not look: {answer['error']}")
    try:
        return show(seen)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LiveKernelError(f"the agent's answer makes no sense: {error!r}") from error


class LookRefused(LiveKernelError):
    """What was asked for is not there: a thread or a task that nobody has, say."""

    exit_code = 2
    kind = "unknown"
