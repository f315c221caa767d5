"""Output that the agent holds back for a moment: when the launcher asks for it.

Runs in pytest, on an attachment whose agent and clock are the test's own. Rule: what is held back
is asked for soon, and nothing is asked that has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from targets import Target

from live_kernel.attach.processes import identify
from live_kernel.launcher.attachment import FLUSH_AFTER, Attachment
from live_kernel.launcher.reactor import Timer

OK = {"status": "ok", "expressions": {}}


class Clock:
    """In the place of a reactor: calls what is due when the test says so."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, Timer]] = []

    def later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(callback)
        self._timers.append((seconds, timer))
        return timer

    def pass_by(self) -> None:
        """So much time that what is held back is asked for."""
        timers, self._timers = self._timers, []
        for seconds, timer in timers:
            if seconds == FLUSH_AFTER and timer.callback is not None:
                timer.callback()

    def read(self, *_: object) -> None: ...
    def forget(self, *_: object) -> None: ...
    def call(self, *_: object) -> None: ...


class Agent:
    """In the place of a channel: knows what it was told."""

    unsent = 0

    def __init__(self) -> None:
        self.is_paused = False
        self.told: list[str] = []

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message["op"])

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None: ...


class Session:
    """An attachment, its agent, and the time."""

    def __init__(self, pid: int) -> None:
        self.clock, self.agent = Clock(), Agent()
        owner: Any = SimpleNamespace(
            on_blocked=None, on_attached=lambda: None, on_cell=lambda *_: None
        )
        clock: Any = self.clock
        self.attachment = Attachment(identify(pid), clock, owner)
        channels: Any = {"cells": self.agent, "control": self.agent}
        self.attachment._on_entered(channels, {})

    def runs(self, cell: int) -> None:
        self.attachment.run(cell, {"op": "run", "code": ""})

    def says(self, cell: int, done: dict[str, Any] | None = None) -> None:
        self.attachment._on_message({"op": "cell", "cell": cell, "events": [], "done": done})

    def asked(self) -> int:
        """How often it is asked as time goes by, each time once, until it is asked no more."""
        times = 0
        while self._is_asked():
            times += 1
        return times

    def _is_asked(self) -> bool:
        before = self.agent.told.count("flush")
        self.clock.pass_by()
        now = self.agent.told.count("flush")
        assert now <= before + 1
        return now > before


@pytest.fixture
def session() -> Iterator[Session]:
    with Target("idle") as program:
        made = Session(program.pid)
        yield made
        made.attachment._end(made.attachment.state)


def test_a_cell_that_runs_is_asked_once(session: Session) -> None:
    session.runs(1)
    assert session.asked() == 1
    session.says(1)
    assert session.asked() == 1


def test_nothing_is_asked_when_nothing_runs(session: Session) -> None:
    session.runs(1)
    session.says(1)
    session.says(1, OK)
    assert session.asked() == 0


def test_what_comes_late_is_asked_for_though_another_cell_ends(session: Session) -> None:
    session.runs(1)
    session.says(1, OK)
    session.runs(2)
    session.says(1)
    session.says(2, OK)
    assert session.asked() == 2, "it has come shortly before"
    session.runs(3)
    session.says(3, OK)
    assert session.asked() == 0


def test_what_comes_shortly_before_it_is_asked_is_asked_once_more(session: Session) -> None:
    """For what follows it may be held back, and be written after it was asked."""
    session.runs(1)
    session.says(1, OK)
    session.says(1)
    assert session.asked() == 1
    session.says(1)
    session.says(1)
    assert session.asked() == 2


def test_a_cell_that_begins_shortly_before_it_is_asked_is_asked_once_more(session: Session) -> None:
    session.runs(1)
    session.runs(2)
    assert session.asked() == 2


def test_what_was_not_asked_for_while_nobody_reads_is_asked_for_then(session: Session) -> None:
    session.runs(1)
    session.attachment.hold_output(True)
    assert session.asked() == 0
    session.attachment.hold_output(False)
    assert session.asked() == 1
