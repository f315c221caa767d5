"""A launcher that is stopped holds nothing of the program: who waits looks whether it is there.

Runs in pytest, without a target: see faults.py ("holds: …") for real ones.
"""

from __future__ import annotations

import pytest

from live_kernel.agent import attendance
from live_kernel.agent.attendance import MISSED, Attendance


class Launcher:
    """Counts what it is asked, and how often it is given up."""

    def __init__(self) -> None:
        self.asked = self.given_up = 0

    def ask(self) -> None:
        self.asked += 1

    def gone(self) -> None:
        self.given_up += 1


@pytest.fixture
def launcher() -> Launcher:
    return Launcher()


@pytest.fixture
def looks(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> Attendance:
    """Each look counts, however soon it comes."""
    monkeypatch.setattr(attendance, "LOOK_EVERY", 0.0)
    return Attendance(launcher.ask, launcher.gone)


def test_one_that_answers_is_asked_on(launcher: Launcher, looks: Attendance) -> None:
    for _ in range(3 * MISSED):
        looks.look()
        looks.answered()
    assert launcher.asked == 3 * MISSED
    assert launcher.given_up == 0


def test_one_that_does_not_is_given_up_once(launcher: Launcher, looks: Attendance) -> None:
    for _ in range(MISSED):
        looks.look()
    assert (launcher.asked, launcher.given_up) == (1, 0)
    for _ in range(MISSED):
        looks.look()
    assert (launcher.asked, launcher.given_up) == (1, 1)


def test_a_late_answer_is_an_answer(launcher: Launcher, looks: Attendance) -> None:
    for _ in range(4):
        for _ in range(MISSED):
            looks.look()
        looks.answered()
    assert launcher.given_up == 0


def test_many_threads_that_wait_look_no_oftener_than_one(launcher: Launcher) -> None:
    looks = Attendance(launcher.ask, launcher.gone)
    for _ in range(100 * MISSED):
        looks.look()
    assert launcher.asked == 1
    assert launcher.given_up == 0
