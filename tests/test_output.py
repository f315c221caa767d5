"""What a cell produces, gathered and sent on: batches, order, and the end.

In process, with a clock that stands still unless told. Rule: everything is
delivered once and in order, and nothing after the outcome.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import eventually

from live_kernel.agent import output as output_module
from live_kernel.agent.output import FLUSH_AFTER, FLUSH_SIZE, Output

pytestmark = pytest.mark.usefixtures("beside_the_main_thread")

OK = {"status": "ok", "expressions": {}}
EVENT = {"event": "clear", "wait": False}


class Launcher:
    """Where an output goes: keeps what was delivered, and has the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.batches: list[tuple[list[dict[str, Any]], dict[str, Any] | None]] = []

    def deliver(self, events: list[dict[str, Any]], done: dict[str, Any] | None) -> None:
        self.batches.append((events, done))

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(itertools.chain.from_iterable(events for events, _ in self.batches))

    def text(self, stream: str = "stdout") -> str:
        return "".join(event["text"] for event in self.events if event.get("name") == stream)


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Launcher:
    made = Launcher()
    monkeypatch.setattr(output_module, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def output(launcher: Launcher) -> Output:
    return Output(launcher.deliver)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"event": "stream", "name": name, "text": text}


# -- batches


def test_a_short_cell_leaves_in_one_send(output: Output, launcher: Launcher) -> None:
    output.write("stdout", "a")
    output.write("stdout", "b\n")
    output.add(EVENT)
    output.write("stdout", "c")
    assert launcher.batches == []
    output.finish(OK)
    assert launcher.batches == [([stream("ab\n"), EVENT, stream("c")], OK)]


def test_a_cell_without_output_sends_its_outcome(output: Output, launcher: Launcher) -> None:
    output.write("stdout", "")
    output.flush()
    output.finish(OK)
    assert launcher.batches == [([], OK)]


def test_streams_and_events_keep_their_order(output: Output, launcher: Launcher) -> None:
    for name, text in [("stdout", "1"), ("stderr", "2"), ("stderr", "3"), ("stdout", "4")]:
        output.write(name, text)
    output.finish(OK)
    assert launcher.events == [stream("1"), stream("23", "stderr"), stream("4")]


def test_what_is_gathered_keeps_its_place_among_the_rest(
    output: Output, launcher: Launcher
) -> None:
    assert output.gather("stdout", "1")
    assert output.gather("stderr", "2\n")
    output.write("stderr", "3")
    output.add(EVENT)
    assert output.gather("stdout", "4")
    assert launcher.batches == []
    output.finish(OK)
    assert launcher.events == [stream("1"), stream("2\n3", "stderr"), EVENT, stream("4")]


def test_what_has_to_be_sent_is_not_gathered(output: Output, launcher: Launcher) -> None:
    assert not output.gather("stdout", "")
    assert not output.gather("stdout", "x" * (FLUSH_SIZE + 1))
    assert output.gather("stdout", "x" * FLUSH_SIZE)
    assert not output.gather("stdout", "more than may wait")
    output.flush()
    launcher.now += FLUSH_AFTER + 0.001
    assert output.gather("stdout", "a line")
    assert not output.gather("stdout", "\n")


def test_a_longer_text_than_may_be_shown_is_not_gathered(launcher: Launcher) -> None:
    output = Output(launcher.deliver, longest=10)
    assert output.gather("stdout", "x" * 10)
    assert not output.gather("stdout", "x" * 11)


def test_threads_that_print_at_once_lose_nothing(output: Output, launcher: Launcher) -> None:
    """While one empties it, others go on: each line arrives once, in its thread's order."""
    lines, writers = 20_000, 4

    def write(number: int) -> None:
        for line in range(lines):
            text = f"{number} {line}\n"
            if not output.gather("stdout", text):
                output.write("stdout", text)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        output.flush()
    output.finish(OK)
    arrived = launcher.text().splitlines()
    for number in range(writers):
        own = [line for line in arrived if line.startswith(f"{number} ")]
        assert own == [f"{number} {line}" for line in range(lines)]


def test_old_text_leaves_with_the_next_write(output: Output, launcher: Launcher) -> None:
    output.write("stdout", "a")
    launcher.now += FLUSH_AFTER + 0.001
    output.write("stdout", "b\n")
    assert launcher.batches == [([stream("ab\n")], None)]
    output.write("stdout", "c")
    assert len(launcher.batches) == 1
    launcher.now += FLUSH_AFTER + 0.001
    output.add(EVENT)
    assert launcher.batches[1:] == [([stream("c"), EVENT], None)]


def test_the_end_of_a_line_leaves_with_the_line(output: Output, launcher: Launcher) -> None:
    """As `print` writes them: one after the other."""
    launcher.now += FLUSH_AFTER + 0.001
    output.write("stdout", "a line")
    assert launcher.batches == []
    output.write("stdout", "\n")
    assert launcher.batches == [([stream("a line\n")], None)]


def test_much_text_leaves_at_once(output: Output, launcher: Launcher) -> None:
    output.write("stdout", "x" * FLUSH_SIZE)
    assert launcher.batches == []
    output.write("stdout", "y")
    assert launcher.text() == "x" * FLUSH_SIZE + "y"
    output.write("stdout", "z")
    assert len(launcher.batches) == 1


def test_flush_sends_what_there_is_and_nothing_for_nothing(
    output: Output, launcher: Launcher
) -> None:
    output.flush()
    output.write("stdout", "a")
    output.flush()
    output.flush()
    output.add(EVENT)
    output.flush_unless_busy()
    output.flush_unless_busy()
    assert launcher.batches == [([stream("a")], None), ([EVENT], None)]


def test_flushing_waits_for_nobody_who_sends() -> None:
    """The control thread flushes; it must not wait with the cell for a slow launcher."""
    sending, go_on = threading.Event(), threading.Event()
    delivered: list[int] = []

    def deliver(events: list[dict[str, Any]], done: object) -> None:
        sending.set()
        assert go_on.wait(10)
        delivered.append(len(events))

    output = Output(deliver)
    output.write("stdout", "a")
    thread = threading.Thread(target=output.flush)
    thread.start()
    try:
        assert sending.wait(10)
        output.flush_unless_busy()
        assert delivered == []
    finally:
        go_on.set()
        thread.join()
    assert delivered == [1]


# -- the end


def test_there_is_one_outcome(output: Output, launcher: Launcher) -> None:
    output.finish(OK)
    output.finish({"status": "ok", "expressions": {"again": 1}})
    assert launcher.batches == [([], OK)]
    assert output.closed


def test_what_comes_late_is_sent_as_it_comes(output: Output, launcher: Launcher) -> None:
    """Nobody asks for the first of it; the launcher asks for more when it has got some."""
    output.finish(OK)
    output.write("stdout", "late")
    assert launcher.batches[1:] == [([stream("late")], None)]
    output.write("stdout", " and later")
    assert len(launcher.batches) == 2
    output.flush()
    assert launcher.batches[2:] == [([stream(" and later")], None)]


def test_a_closed_output_drops_what_it_has(output: Output, launcher: Launcher) -> None:
    output.write("stdout", "a")
    output.close()
    output.write("stdout", "b")
    output.flush()
    output.finish(OK)
    assert launcher.batches == []


def test_a_closed_output_does_not_grow(output: Output) -> None:
    """A thread that a cell has started may write for ever."""
    output.close()
    for _ in range(10):
        output.write("stdout", "x" * FLUSH_SIZE)
    assert sum(map(len, output._texts)) <= FLUSH_SIZE


def test_without_a_launcher_everything_is_dropped_and_nobody_hears_of_it() -> None:
    attempts: list[object] = []

    def deliver(events: object, done: object) -> None:
        attempts.append(events)
        raise BrokenPipeError("gone")

    output = Output(deliver)
    output.write("stdout", "a")
    output.flush()
    output.write("stdout", "b" * FLUSH_SIZE * 2)
    output.finish(OK)
    assert len(attempts) == 1
    assert output.closed
    assert output.dropped


# -- what can't be sent


class Picky(Launcher):
    """Delivers only what it does not choke on."""

    def __init__(self, chokes_on: str, error: Exception) -> None:
        super().__init__()
        self._chokes_on, self._error = chokes_on, error

    def deliver(self, events: list[dict[str, Any]], done: dict[str, Any] | None) -> None:
        if self._chokes_on in repr((events, done)):
            raise self._error
        super().deliver(events, done)


@pytest.mark.parametrize(
    "error",
    [ValueError("a message of 9 bytes"), TypeError("no JSON"), MemoryError("out")],
    ids=repr,
)
@pytest.mark.parametrize("how", ["flush", "finish"])
def test_output_that_cannot_be_sent_does_not_end_the_session(how: str, error: Exception) -> None:
    launcher = Picky("too large", error)
    output = Output(launcher.deliver)
    output.add({"event": "display", "data": {"text/plain": "too large"}})
    if how == "flush":
        output.flush()
    output.finish(OK)
    assert [done for _, done in launcher.batches if done] == [OK]
    assert launcher.text("stderr").startswith("Some output could not be sent")
    assert str(error) in launcher.text("stderr")


def test_an_outcome_that_cannot_be_sent_is_an_error() -> None:
    launcher = Picky("too large", ValueError("a message of 9 bytes"))
    output = Output(launcher.deliver)
    output.write("stdout", "a")
    output.finish({"status": "ok", "expressions": {"x": "too large"}})
    ((_, done),) = launcher.batches
    assert done is not None
    assert done["status"] == "error"
    assert "9 bytes" in done["error"]["evalue"]
    assert output.closed


# -- threads, and code that runs in the middle


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr", "event", "flush", "wait"]), st.text()),
        max_size=20,
    )
)
def test_whatever_comes_when_all_is_delivered_in_order(steps: list[tuple[str, str]]) -> None:
    launcher = Launcher()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output_module, "monotonic", lambda: launcher.now)
        output = Output(launcher.deliver)
        expected: list[tuple[str, str]] = []
        for kind, text in steps:
            if kind == "flush":
                output.flush()
            elif kind == "wait":
                launcher.now += FLUSH_AFTER * 2
            elif kind == "event":
                output.add({"event": text})
                expected.append((kind, text))
            else:
                output.write(kind, text)
                expected += [(kind, letter) for letter in text]
        output.finish(OK)
    seen: list[tuple[str, str]] = []
    for event in launcher.events:
        if event["event"] == "stream" and "name" in event:
            assert event["text"]
            seen += [(event["name"], letter) for letter in event["text"]]
        else:
            seen.append(("event", event["event"]))
    assert seen == expected


def test_threads_write_without_losing_anything() -> None:
    launcher = Launcher()
    output = Output(launcher.deliver)

    def work(name: str) -> None:
        for number in range(300):
            output.write("stdout", f"{name}{number}\n")
            if number % 50 == 0:
                output.flush()

    threads = [threading.Thread(target=work, args=[name]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output.finish(OK)
    lines = launcher.text().splitlines()
    for name in "abc":
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name}{number}" for number in range(300)]
    assert len(lines) == 900


def test_what_a_thread_writes_while_the_outcome_is_sent_comes_late() -> None:
    """Sending lets other threads run, one of which may write its last word then."""
    launcher = Launcher()

    def deliver(events: list[dict[str, Any]], done: dict[str, Any] | None) -> None:
        launcher.deliver(events, done)
        if done is not None:
            assert output.gather("stdout", "last words\n")

    output = Output(deliver)
    output.write("stdout", "first\n")
    output.finish(OK)
    assert launcher.batches == [([stream("first\n")], OK), ([stream("last words\n")], None)]


def test_who_flushes_is_told_that_somebody_sends() -> None:
    """Then what is held back behind that is to be asked for again."""
    told: list[bool] = []

    def deliver(_events: list[dict[str, Any]], _done: dict[str, Any] | None) -> None:
        other = threading.Thread(target=lambda: told.append(output.flush_unless_busy()))
        other.start()
        other.join()

    output = Output(deliver)
    output.write("stdout", "first\n")
    output.flush()
    assert told == [False]
    assert output.flush_unless_busy()


# -- on the program's main thread


def test_the_main_thread_waits_for_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the launcher does, a write there returns; another thread sends it on."""
    monkeypatch.undo()
    reads = threading.Event()
    received: list[dict[str, Any]] = []

    def deliver(events: list[dict[str, Any]], _done: object) -> None:
        assert threading.current_thread() is not threading.main_thread()
        reads.wait()
        received.extend(events)

    output = Output(deliver)
    lines = [f"{number:<1000}\n" for number in range(1000)]
    for line in lines:
        output.write("stdout", line)
    assert not received
    reads.set()
    eventually(lambda: received, 10)
    finishing = threading.Thread(target=output.finish, args=(OK,))
    finishing.start()
    finishing.join(10)
    assert "".join(event["text"] for event in received) == "".join(lines)


def test_the_main_thread_keeps_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(output_module, "MOST_LEFT", 100_000)
    monkeypatch.setattr(output_module.native, "start", lambda *_, **__: None)
    received: list[dict[str, Any]] = []
    output = Output(lambda events, _done: received.extend(events))
    for _ in range(150):
        output.write("stdout", "x" * 1000)
    output.finish(OK)
    kept, told = received
    assert len(kept["text"]) == 90_000  # each write takes some room besides
    assert told["name"] == "stderr"
    assert told["text"].startswith("60,000 characters of output are missing here")


def test_a_destructor_may_print_in_the_middle() -> None:
    """Garbage is collected wherever Python likes: here, while something is delivered."""
    launcher = Launcher()

    def deliver(events: list[dict[str, Any]], done: dict[str, Any] | None) -> None:
        if not launcher.batches:
            output.write("stdout", "from __del__\n")
            output.flush()
        launcher.deliver(events, done)

    output = Output(deliver)
    output.write("stdout", "a\n")
    end = threading.Thread(
        target=lambda: (output.flush(), output.write("stdout", "b\n"), output.finish(OK)),
        daemon=True,
    )
    end.start()
    end.join(10)
    assert not end.is_alive(), "it waits for itself"
    assert launcher.text() == "a\nfrom __del__\nb\n"
    assert launcher.batches[-1][1] == OK


def test_what_is_large_does_not_wait_for_company(output: Output, launcher: Launcher) -> None:
    """However fast a cell displays: no batch is larger than its largest event, and a bit."""
    picture = {"event": "display", "data": {"image/png": bytes(FLUSH_SIZE)}}
    for _ in range(3):
        output.add(picture)
    assert [len(events) for events, _ in launcher.batches] == [1, 1, 1]


def test_small_events_have_some_company_only(output: Output, launcher: Launcher) -> None:
    for _ in range(10_000):
        output.add(EVENT)
    assert max(len(events) for events, _ in launcher.batches) <= FLUSH_SIZE // 100 + 1


@pytest.mark.parametrize("size", [1, 10_000])
def test_the_main_thread_leaves_no_more_than_is_allowed(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """While a launcher takes a batch now and then, what waits in all stays within its bound."""
    is_sending, taken = threading.Semaphore(0), threading.Semaphore(0)

    def deliver(events: list[dict[str, Any]], done: dict[str, Any] | None) -> None:
        is_sending.release()
        taken.acquire()

    output = Output(deliver)
    text = "x" * FLUSH_SIZE + "\n"
    sender = threading.Thread(target=output.write, args=("stdout", text))
    sender.start()
    is_sending.acquire()
    monkeypatch.setattr(output_module.native, "main_ident", threading.get_ident)
    monkeypatch.setattr(output_module.native, "on_main_thread", lambda: True)
    most = 0
    for _ in range(8):
        for _ in range(1_000_000 // (size + 100)):
            output.write("stdout", "x" * size)
        most = max(most, len(output._to_do))
        taken.release()
        is_sending.acquire(timeout=1)
    for _ in range(100):
        taken.release()
    output.close()
    sender.join()
    assert 0 < most * (size + 100) <= output_module.MOST_LEFT
