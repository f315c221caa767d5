"""Where an interrupt may fall: the shield around the agent's work in a cell's thread.

In process; interrupted are threads made for it, by the real
PyThreadState_SetAsyncExc. Rule: no exception falls into the agent's half-done
work, none is lost that should come, and none comes when the cell is over.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest

from live_kernel.agent.interrupt import CellInterrupted, Interruption


class Interrupted:
    """A thread with an interruption of its own; `outcome` is what its code returned or raised."""

    def __init__(self, code: Callable[[Interruption], object]) -> None:
        self._code = code
        self._known = threading.Event()
        self.outcome: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._known.wait(10)

    def _run(self) -> None:
        try:
            self.interruption = Interruption()
            self._known.set()
            self.outcome = self._code(self.interruption)
        except BaseException as error:
            sent = (KeyboardInterrupt, CellInterrupted)  # or the counting class made of it
            self.outcome = next((k for k in sent if isinstance(error, k)), type(error))

    def join(self) -> object:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.outcome

    def was_interrupted(self) -> bool:
        """Has it ended by what every program takes for a KeyboardInterrupt?"""
        kind = self.join()
        assert isinstance(kind, type)
        return issubclass(kind, KeyboardInterrupt) and kind.__name__ == "KeyboardInterrupt"


class Turn:
    """Two threads, one after the other: `given` waits until the other side says `give`."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def give(self) -> None:
        self._event.set()

    def given(self) -> None:
        """Blocks outside Python as briefly as possible, so that an interrupt comes soon."""
        while not self._event.wait(0.01):
            pass


def in_a_thread(test: Callable[[], None]) -> Callable[[], None]:
    """Run the test in a thread of its own: an interrupt that goes astray must not end pytest."""

    @functools.wraps(test)
    def run() -> None:
        failures: list[BaseException] = []

        def body() -> None:
            try:
                test()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failures:
            pytest.fail(f"{type(failures[0]).__name__}: {failures[0]}")

    return run


# -- in one thread, before anything is sent


@in_a_thread
def test_an_interrupt_before_the_code_is_raised_where_it_begins() -> None:
    interruption = Interruption()
    interruption.request()
    assert interruption.requested
    with pytest.raises(KeyboardInterrupt):
        interruption.begin()
    interruption.begin()  # once


@in_a_thread
def test_an_interrupt_within_the_shield_is_raised_where_it_ends() -> None:
    interruption = Interruption()
    interruption.begin()
    done: list[str] = []

    def code() -> None:
        with interruption:
            interruption.request()
            done.append("half")
            done.append("whole")
        done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        code()
    assert done == ["half", "whole"]
    with interruption:
        pass  # once


@in_a_thread
def test_shields_within_shields() -> None:
    interruption = Interruption()
    interruption.begin()
    done: list[str] = []

    def code() -> None:
        with interruption:
            with interruption:
                interruption.request()
            done.append("still shielded")
        done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        code()
    assert done == ["still shielded"]


@in_a_thread
def test_an_interrupt_between_two_stretches_of_code_is_raised_by_the_second() -> None:
    interruption = Interruption()
    interruption.begin()
    interruption.end()
    interruption.request()
    with pytest.raises(KeyboardInterrupt):
        interruption.begin()


@in_a_thread
def test_an_interrupt_after_the_cell_is_nothing() -> None:
    interruption = Interruption()
    interruption.begin()
    interruption.finish()
    interruption.request()
    assert not interruption.requested
    interruption.begin()


@in_a_thread
def test_the_class_of_the_exception_can_be_chosen() -> None:
    interruption = Interruption()
    interruption.exception = CellInterrupted
    interruption.request()
    with pytest.raises(CellInterrupted):
        interruption.begin()
    assert not issubclass(CellInterrupted, (Exception, KeyboardInterrupt))


@in_a_thread
def test_an_error_in_the_shield_gives_way_to_the_interrupt() -> None:
    interruption = Interruption()
    interruption.begin()

    def code() -> None:
        with interruption:
            interruption.request()
            raise ValueError("a write that failed")

    with pytest.raises(KeyboardInterrupt) as caught:
        code()
    assert isinstance(caught.value.__context__, ValueError)


# -- from another thread


def test_code_in_a_loop_is_interrupted() -> None:
    running = Turn()

    def loop(interruption: Interruption) -> None:
        interruption.begin()
        running.give()
        while True:
            pass

    cell = Interrupted(loop)
    running.given()
    cell.interruption.request()
    assert cell.was_interrupted()


def test_the_agents_work_is_not_interrupted_in_the_middle() -> None:
    working, requested = Turn(), Turn()
    done: list[str] = []

    def code(interruption: Interruption) -> None:
        interruption.begin()
        with interruption:
            working.give()
            requested.given()
            done.append("whole")
        done.append("not reached")

    cell = Interrupted(code)
    working.given()
    cell.interruption.request()
    requested.give()
    assert cell.was_interrupted()
    assert done == ["whole"]


def test_the_shield_of_another_thread_shields_nothing() -> None:
    """A thread that the cell has started writes output; the cell's own code runs on."""
    running, shielded, over = Turn(), Turn(), Turn()

    def loop(interruption: Interruption) -> None:
        interruption.begin()
        running.give()
        while True:
            pass

    def helper() -> None:
        with cell.interruption:
            shielded.give()
            over.given()

    cell = Interrupted(loop)
    running.given()
    thread = threading.Thread(target=helper)
    thread.start()
    shielded.given()
    cell.interruption.request()
    was_interrupted = cell.was_interrupted()
    over.give()
    thread.join()
    assert was_interrupted


def test_after_its_code_nothing_is_sent_to_the_thread() -> None:
    ended, requested = Turn(), Turn()

    def code(interruption: Interruption) -> str:
        interruption.begin()
        interruption.end()
        ended.give()
        requested.given()
        return "unharmed"

    cell = Interrupted(code)
    ended.given()
    cell.interruption.request()
    requested.give()
    assert cell.join() == "unharmed"


def test_a_thread_that_has_ended_can_be_interrupted_for_nothing() -> None:
    cell = Interrupted(lambda interruption: interruption.begin())
    assert cell.join() is None
    cell.interruption.request()
    assert cell.interruption.requested


def test_however_it_falls_the_agents_work_is_whole() -> None:
    """Interrupts at any moment of a cell that enters and leaves the shield all the time."""
    for _ in range(60):
        state: list[str] = []
        entered = Turn()

        def work(state: list[str] = state) -> None:
            state.append("begun")
            for _ in range(3):  # each turn is a place for an interrupt to fall
                pass
            state.append("done")

        def code(interruption: Interruption, entered: Turn = entered) -> None:
            interruption.begin()
            entered.give()
            while True:
                with interruption:
                    work()

        cell = Interrupted(code)
        entered.given()
        cell.interruption.request()
        assert cell.was_interrupted()
        assert state.count("begun") == state.count("done")
        assert state[::2] == ["begun"] * (len(state) // 2)
