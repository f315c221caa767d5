"""The launcher's loop: readers, timers, and calls from elsewhere.

Runs the real one, with pipes and sockets of the test's own. Rule: no test
sleeps; what has to happen later is waited for with `run_until`.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.errors import LiveKernelError, NoTarget
from live_kernel.launcher.reactor import Reactor, look_up

LONG = 20.0
"""Seconds after which a test that waits has failed."""


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's ends: to read from, to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


# -- readers


def test_a_descriptor_that_can_be_read(reactor: Reactor, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    read: list[bytes] = []
    reactor.read(reading, lambda: read.append(os.read(reading, 10)))
    reactor.step(0)
    assert read == []
    os.write(writing, b"one")
    reactor.step(LONG)
    os.write(writing, b"two")
    reactor.step(LONG)
    assert read == [b"one", b"two"]


def test_what_is_left_unread_calls_back_again(reactor: Reactor, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    read: list[bytes] = []
    reactor.read(reading, lambda: read.append(os.read(reading, 1)))
    os.write(writing, b"abc")
    assert reactor.run_until(lambda: len(read) == 3, LONG)
    assert read == [b"a", b"b", b"c"]


def test_sockets_of_both_kinds(reactor: Reactor) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    left, right = socket.socketpair()
    puller, pusher = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    address = f"inproc://{id(reactor)}"
    puller.bind(address)
    pusher.connect(address)
    seen: list[bytes] = []
    reactor.read(left, lambda: seen.append(left.recv(10)))
    reactor.read(puller, lambda: seen.append(puller.recv()))
    right.sendall(b"plain")
    pusher.send(b"zmq")
    assert reactor.run_until(lambda: len(seen) == 2, LONG)
    assert sorted(seen) == [b"plain", b"zmq"]
    for each in (left, right, puller, pusher):
        reactor.forget(each)
        each.close()
    context.term()


def test_one_that_is_forgotten_is_not_called(reactor: Reactor, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    read: list[str] = []
    reactor.read(reading, lambda: read.append("forgotten"))
    os.write(writing, b"x")
    reactor.forget(reading)
    reactor.forget(reading)
    reactor.step(0)
    assert read == []


def test_a_reader_may_forget_another_that_is_due(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def callback(number: int) -> None:
        called.append(number)
        reactor.forget(pairs[1 - number][0])

    for number, (mine, other) in enumerate(pairs):
        reactor.read(mine, lambda number=number: callback(number))  # type: ignore[misc]
        other.sendall(b"x")
    reactor.step(LONG)
    reactor.step(0)
    assert len(set(called)) == 1
    for pair in pairs:
        for end in pair:
            reactor.forget(end)
            end.close()


def test_the_last_callback_of_a_source_holds(reactor: Reactor, pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    called: list[str] = []
    reactor.read(reading, lambda: called.append("first"))
    reactor.read(reading, lambda: called.append("second"))
    os.write(writing, b"x")
    reactor.step(LONG)
    assert called == ["second"]


def test_a_closed_source_is_forgotten_in_peace(reactor: Reactor) -> None:
    mine, other = socket.socketpair()
    reactor.read(mine, lambda: None)
    reactor.forget(mine)
    mine.close()
    reactor.forget(mine)
    other.close()
    reactor.step(0)


# -- timers


def test_timers_are_called_in_the_order_of_their_times(reactor: Reactor) -> None:
    called: list[str] = []
    reactor.later(0.02, lambda: called.append("second"))
    reactor.later(0.0, lambda: called.append("first"))
    reactor.later(0.03, lambda: called.append("third"))
    assert reactor.run_until(lambda: len(called) == 3, LONG)
    assert called == ["first", "second", "third"]


def test_timers_of_one_time_are_called_in_the_order_of_their_making(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    called: list[int] = []
    for number in range(10):
        reactor.later(0, lambda number=number: called.append(number))  # type: ignore[misc]
    reactor.step(0)
    assert called == list(range(10))


def test_no_timer_is_early_or_called_twice(reactor: Reactor) -> None:
    called: list[float] = []
    due = time.monotonic() + 0.0123
    reactor.later(0.0123, lambda: called.append(time.monotonic()))
    steps = 0
    while not called:
        reactor.step(LONG)
        steps += 1
    assert called[0] >= due
    assert steps == 1, "it woke up for nothing"
    reactor.step(0)
    assert len(called) == 1


def test_a_cancelled_timer_is_not_called_and_not_waited_for(reactor: Reactor) -> None:
    called: list[str] = []
    soon = reactor.later(0.0, lambda: called.append("cancelled"))
    soon.cancel()
    soon.cancel()
    reactor.later(0.005, lambda: called.append("kept"))
    reactor.step(LONG)
    assert called == ["kept"]


def test_a_timer_may_make_timers_and_cancel_others(reactor: Reactor) -> None:
    called: list[str] = []

    def first() -> None:
        called.append("first")
        other.cancel()
        reactor.later(0.0, lambda: called.append("its own"))

    reactor.later(0.0, first)
    other = reactor.later(0.0, lambda: called.append("cancelled"))
    assert reactor.run_until(lambda: "its own" in called, LONG)
    assert called == ["first", "its own"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12))
def test_any_timers_in_a_clock_of_our_own(wanted: list[tuple[int, bool]]) -> None:
    """Times are whole seconds on a clock that goes on by one with each step."""
    reactor, now, called = Reactor(), [0.0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        for number, (when, cancelled) in enumerate(wanted):
            timer = reactor.later(when, lambda number=number: called.append((now[0], number)))  # type: ignore[misc]
            if cancelled:
                timer.cancel()
        for _ in range(7):
            reactor.step(0)
            now[0] += 1
    reactor.close()
    assert called == sorted((when, n) for n, (when, gone) in enumerate(wanted) if not gone)


# -- calls


def test_calls_come_in_their_order_with_the_next_step(reactor: Reactor) -> None:
    called: list[int] = []
    for number in range(5):
        reactor.call(lambda number=number: called.append(number))  # type: ignore[misc]
    assert called == []
    reactor.step(LONG)
    assert called == [0, 1, 2, 3, 4]


def test_another_threads_call_wakes_the_reactor(reactor: Reactor) -> None:
    """It waits without limit: nothing else would wake it."""
    threads: list[object] = []
    thread = threading.Thread(
        target=lambda: reactor.call(lambda: threads.append(threading.current_thread()))
    )
    reactor.call(thread.start)
    assert reactor.run_until(lambda: bool(threads))
    thread.join()
    assert threads == [threading.current_thread()]


def test_many_calls_at_once(reactor: Reactor) -> None:
    """More than the pipe takes that wakes the reactor."""
    count = [0]

    def called() -> None:
        count[0] += 1

    for _ in range(70_000):
        reactor.call(called)
    assert reactor.run_until(lambda: count[0] == 70_000, LONG)


def test_calls_of_many_threads_are_all_heard(reactor: Reactor) -> None:
    heard: list[tuple[int, int]] = []

    def ask(thread: int) -> None:
        for number in range(200):
            reactor.call(lambda: heard.append((thread, number)))  # noqa: B023 - any will do

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    assert reactor.run_until(lambda: len(heard) == 800, LONG)
    for thread in threads:
        thread.join()


def test_a_signal_handler_may_call_at_any_moment(reactor: Reactor) -> None:
    """Also while its own thread is about to call: nobody may wait for himself."""
    heard: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: reactor.call(lambda: heard.append("signal")))
    try:
        with reactor._closing:
            signal.raise_signal(signal.SIGUSR1)
        assert reactor.run_until(lambda: bool(heard), LONG)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == ["signal"]


def test_what_is_left_for_last_comes_when_all_else_was_done(
    reactor: Reactor, pipe: tuple[int, int]
) -> None:
    done: list[str] = []
    reactor.before_waiting(lambda: done.append("last"))
    reactor.read(pipe[0], lambda: done.append(os.read(pipe[0], 10).decode()))
    reactor.later(0, lambda: done.append("timer"))
    reactor.call(lambda: done.append("call"))
    os.write(pipe[1], b"read")
    reactor.run_until(lambda: len(done) >= 4, LONG)
    reactor.step(0)
    assert done[0] == "last"
    assert set(done[1:4]) == {"read", "timer", "call"}
    assert done[4] == "last"


def test_after_the_end_a_call_does_nothing(pipe: tuple[int, int]) -> None:
    """Above all, it writes to no descriptor that is somebody else's by now."""
    reactor = Reactor()
    theirs = {reactor._wake_read, reactor._wake_write}
    reactor.close()
    ends = os.pipe2(os.O_NONBLOCK)
    try:
        assert theirs & set(ends), "the numbers have not come again"
        reactor.call(lambda: None)
        with pytest.raises(BlockingIOError):
            os.read(ends[0], 1)
        reactor.close()
        os.fstat(ends[0]), os.fstat(ends[1])
    finally:
        for end in ends:
            os.close(end)


# -- running


def test_run_until_says_whether_it_came_to_that(reactor: Reactor) -> None:
    assert reactor.run_until(lambda: True, 0)
    assert not reactor.run_until(lambda: False, 0.001)
    reactor.later(0.005, lambda: done.append(1))
    done: list[int] = []
    assert reactor.run_until(lambda: bool(done), LONG)


def test_run_ends_with_stop(reactor: Reactor) -> None:
    called: list[str] = []
    reactor.call(lambda: called.append("call"))
    reactor.later(0.0, reactor.stop)
    reactor.run()
    assert called == ["call"]


def test_farewells_can_be_waited_for_after_the_stop(reactor: Reactor) -> None:
    answers: list[str] = []
    reactor.later(0.0, reactor.stop)
    reactor.run()
    reactor.later(0.005, lambda: answers.append("farewell"))
    assert reactor.run_until(lambda: bool(answers), LONG)


def test_stop_ends_a_wait(reactor: Reactor) -> None:
    reactor.later(0.0, reactor.stop)
    assert not reactor.run_until(lambda: False)


def test_closing_leaves_no_descriptor_behind() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    reactor = Reactor()
    assert set(os.listdir("/proc/self/fd")) - before  # noqa: PTH208
    reactor.close()
    reactor.close()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_whatever_a_look_raises_is_told(reactor: Reactor) -> None:
    """Else a cell would wait for it for ever."""
    told: list[object] = []

    def raises(error: Exception) -> str:
        raise error

    def failed(error: LiveKernelError) -> None:
        assert threading.current_thread() is threading.main_thread(), "the reactor's here"
        told.append(str(error))

    def look(look: Callable[[], str], found: Callable[[str], object] = told.append) -> object:
        told.clear()
        look_up(reactor, look, found, failed)
        assert reactor.run_until(lambda: bool(told), LONG)
        return told[-1]

    assert look(lambda: "found") == "found"
    assert look(lambda: raises(NoTarget("none there"))) == "none there"
    assert look(lambda: "found", lambda _: raises(NoTarget("not fit"))) == "not fit"
    assert look(lambda: raises(OSError("gone"))) == "/proc could not be read: gone"
    assert look(lambda: raises(ValueError("odd"))) == "live-kernel has failed: ValueError('odd')"
