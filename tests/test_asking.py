"""Asking code of the program: what it answers, and what becomes of it if it doesn't."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from targets import eventually

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent import asking
from live_kernel.agent.asking import LATE_LIMIT, ask


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(asking, "PATIENCE", 0.1)
    monkeypatch.setattr(asking, "_late", [])
    before = _thread._count()
    yield
    eventually(lambda: _thread._count() <= before)


def test_answer() -> None:
    assert ask(lambda: [1]) == [1]


def test_runs_on_another_thread() -> None:
    assert ask(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
def test_failure(error: type[BaseException], capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise error

    assert ask(fail) is None
    assert capfd.readouterr() == ("", "")


def test_what_takes_too_long_is_left_alone() -> None:
    held = threading.Lock()
    ended: list[int] = []

    def slow() -> None:
        with held:
            ended.append(1)

    with held:
        begun = time.perf_counter()
        assert ask(slow) is None
        assert time.perf_counter() - begun < 5
    eventually(lambda: ended)
    assert held.acquire(timeout=5)


def test_what_takes_too_long_does_not_pile_up() -> None:
    held = threading.Lock()
    asked: list[int] = []

    def slow() -> None:
        asked.append(1)
        with held:
            pass

    with held:
        for _ in range(LATE_LIMIT + 3):
            assert ask(slow) is None
        assert len(asked) == LATE_LIMIT
    eventually(lambda: all(ended.is_set for ended in asking._late))
    assert ask(lambda: "again") == "again"
