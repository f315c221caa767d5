"""Standard streams while cells run: what a cell writes, and what everybody else does.

In process, on this process's own `sys`, with plain objects in the place of its
streams. Rule: afterwards `sys` and `threading` hold the very objects that they held.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from live_kernel.agent import streams
from live_kernel.agent.interrupt import Interruption
from live_kernel.agent.ledger import Entry, Ledger
from live_kernel.agent.output import Output
from live_kernel.agent.streams import SplitInput, SplitStream, current_cell, running_cell

pytestmark = pytest.mark.usefixtures("beside_the_main_thread")


class FakeCell:
    """As much of a cell as the streams need: its output, and the answers to its questions."""

    def __init__(self, answers: tuple[str, ...] = ()) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.output = Output(lambda events, _done: self.batches.append(events))
        self.interruption = Interruption()
        self.ledger = Ledger()
        self.successor: FakeCell | None = None
        self.asked: list[str] = []
        self._answers = list(answers)

    def ask(self, prompt: str, password: bool = False) -> str:
        self.asked.append(prompt)
        if not self._answers:
            raise EOFError("no more answers")
        return self._answers.pop(0)

    def heir(self) -> FakeCell | None:
        return self.successor

    def written(self, name: str = "stdout") -> str:
        self.output.flush()
        events = [event for batch in self.batches for event in batch]
        return "".join(event["text"] for event in events if event["name"] == name)

    def runs(self, code: Callable[[], object]) -> None:
        """Run code as this cell's, in a context of its own."""

        def as_cell() -> None:
            current_cell.set(self)  # type: ignore[arg-type]
            code()

        contextvars.Context().run(as_cell)


class Program:
    """The streams as the program has them. (pytest undoes what a fixture does to `sys`.)"""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._is_there = False
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.stdin = io.StringIO("line 1\nline 2\nline 3\n")

    def start(self) -> None:
        """From here on `sys` has them."""
        self._is_there = True
        for name in ("stdout", "stderr", "stdin"):
            self._patch.setattr(sys, name, getattr(self, name))

    def enter(self, ledger: Ledger) -> Entry:
        """A cell begins."""
        if not self._is_there:
            self.start()
        return streams.split.enter(ledger)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    made = Program(monkeypatch)
    start = threading.Thread.start
    yield made
    assert threading.Thread.start is start


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger()
    yield made
    made.close()
    assert made.failures == []


# -- who writes where


def test_a_cell_writes_to_the_notebook_and_the_program_where_it_did(
    program: Program, ledger: Ledger
) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    cell.runs(lambda: (print("cell"), print("cell!", file=sys.stderr)))
    print("program")
    print("program!", file=sys.stderr)
    entry.undo()
    assert (cell.written(), cell.written("stderr")) == ("cell\n", "cell!\n")
    assert (program.stdout.getvalue(), program.stderr.getvalue()) == ("program\n", "program!\n")


def test_the_streams_are_given_back_as_they_were(program: Program, ledger: Ledger) -> None:
    entry = program.enter(ledger)
    assert isinstance(sys.stdout, SplitStream)
    assert isinstance(sys.stdin, SplitInput)
    assert ledger.standing() == ["sys.stdin, sys.stdout and sys.stderr, for a cell"]
    entry.undo()
    assert (sys.stdout, sys.stderr, sys.stdin) == (program.stdout, program.stderr, program.stdin)
    assert ledger.standing() == []


def test_closing_the_ledger_gives_them_back_too(program: Program, ledger: Ledger) -> None:
    program.enter(ledger)
    ledger.close()
    assert sys.stdout is program.stdout


def test_cells_of_two_sessions_at_once(program: Program, ledger: Ledger) -> None:
    first, second, other = FakeCell(), FakeCell(), Ledger()
    one, two = program.enter(ledger), program.enter(other)
    first.runs(lambda: (print("one"), second.runs(lambda: print("two")), print("one again")))
    one.undo()
    second.runs(lambda: print("two again"))
    assert sys.stdout is not program.stdout
    two.undo()
    assert sys.stdout is program.stdout
    assert (first.written(), second.written()) == ("one\none again\n", "two\ntwo again\n")
    assert program.stdout.getvalue() == ""


def test_when_nothing_runs_any_more_an_ended_cell_writes_as_the_program(
    program: Program, ledger: Ledger
) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    context = contextvars.Context()
    context.run(current_cell.set, cell)  # type: ignore[arg-type]
    context.run(print, "before")
    assert context.run(running_cell) is cell
    cell.output.finish({"status": "ok", "expressions": {}})
    context.run(print, "after")
    assert context.run(running_cell) is None
    entry.undo()
    assert cell.batches == [[{"event": "stream", "name": "stdout", "text": "before\n"}]]
    assert program.stdout.getvalue() == "after\n"


def test_a_cell_that_has_ended_writes_for_the_one_that_runs(
    program: Program, ledger: Ledger
) -> None:
    entry, cell, later = program.enter(ledger), FakeCell(), FakeCell()
    context = contextvars.Context()
    context.run(current_cell.set, cell)  # type: ignore[arg-type]
    cell.output.finish({"status": "ok", "expressions": {}})
    cell.successor = later
    context.run(print, "after")
    entry.undo()
    assert later.written() == "after\n"
    assert program.stdout.getvalue() == ""


def test_the_streams_are_split_as_long_as_a_thread_of_a_cell_runs(
    program: Program, ledger: Ledger
) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    goes_on, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        goes_on.wait()
        print("late")

    thread = threading.Thread(target=work)
    cell.runs(thread.start)
    begun.wait()
    entry.undo()
    assert isinstance(sys.stdout, SplitStream)
    goes_on.set()
    thread.join()
    assert cell.written() == "late\n"
    assert sys.stdout is program.stdout
    assert cell.ledger.standing() == []
    assert "run" not in vars(thread)


def test_a_cell_that_lost_its_launcher_writes_for_nobody(program: Program, ledger: Ledger) -> None:
    """Least of all on the program's streams."""
    entry, cell = program.enter(ledger), FakeCell()
    context = contextvars.Context()
    context.run(current_cell.set, cell)  # type: ignore[arg-type]
    cell.output.close()
    context.run(print, "lost")
    entry.undo()
    assert context.run(running_cell) is cell
    assert cell.batches == []
    assert program.stdout.getvalue() == ""


def test_who_kept_a_stream_finds_the_original_behind_it(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    kept = sys.stdout
    entry.undo()
    print("later", file=kept)
    kept.flush()
    assert program.stdout.getvalue() == "later\n"
    assert cell.written() == ""


# -- threads


def run_and_join(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def test_a_thread_that_a_cell_starts_writes_for_it(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()

    def nested() -> None:
        print("thread")
        run_and_join(threading.Thread(target=print, args=["its thread"]))

    class Own(threading.Thread):
        def run(self) -> None:
            print("subclass")

    cell.runs(lambda: run_and_join(threading.Thread(target=nested)))
    cell.runs(lambda: run_and_join(Own()))
    with ThreadPoolExecutor(1) as pool:
        cell.runs(lambda: pool.submit(print, "pool").result())
    entry.undo()
    assert cell.written() == "thread\nits thread\nsubclass\npool\n"
    assert program.stdout.getvalue() == ""


def test_a_thread_that_the_program_starts_is_the_programs(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    thread = threading.Thread(target=print, args=["program"])
    run_and_join(thread)
    begun_by_cell = threading.Thread(target=print, args=["program, too"])
    cell.runs(lambda: None)
    run_and_join(begun_by_cell)
    entry.undo()
    assert program.stdout.getvalue() == "program\nprogram, too\n"
    assert cell.written() == ""


def test_a_threads_own_context_is_left_alone(program: Program, ledger: Ledger) -> None:
    """Whoever gives a thread a context has a reason."""
    entry, cell = program.enter(ledger), FakeCell()
    empty = contextvars.Context()
    cell.runs(
        lambda: run_and_join(threading.Thread(target=print, args=["own context"], context=empty))
    )
    entry.undo()
    assert program.stdout.getvalue() == "own context\n"


def test_starting_a_thread_twice_is_still_an_error(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    thread = threading.Thread(target=int)
    cell.runs(lambda: run_and_join(thread))
    with pytest.raises(RuntimeError, match="once"):
        cell.runs(thread.start)
    entry.undo()


def test_a_start_that_the_program_patches_stays_patched(
    program: Program, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)  # put back in the end
    started: list[str] = []
    entry = program.enter(ledger)
    ours = threading.Thread.start

    def start(self: threading.Thread) -> None:
        started.append(self.name)
        ours(self)

    threading.Thread.start = start  # type: ignore[method-assign]
    entry.undo()
    assert threading.Thread.start is start
    run_and_join(threading.Thread(target=int, name="patched"))
    assert started == ["patched"]
    monkeypatch.undo()


def test_what_is_to_be_replaced_may_grow_while_a_cell_begins(
    program: Program, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another cell imports what has something to replace, meanwhile."""
    table = dict(streams.split._replaced)
    monkeypatch.setattr(streams.split, "_replaced", table)
    made = []

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        if not made:
            streams.split.add(streams.Replaced("contextlib", "", "closing", make))
        made.append(original)
        return partial(original)

    streams.split.add(streams.Replaced("io", "", "text_encoding", make))
    program.enter(ledger).undo()
    assert made == [io.text_encoding]
    program.enter(ledger).undo()
    assert len(made) == 3


def test_a_program_without_threading(
    program: Program, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "threading")
    entry, cell = program.enter(ledger), FakeCell()
    cell.runs(lambda: print("cell"))
    entry.undo()
    assert cell.written() == "cell\n"
    assert "threading" not in sys.modules


# -- streams of all kinds


def test_a_stream_that_the_program_replaces_during_a_cell_stays(
    program: Program, ledger: Ledger
) -> None:
    entry = program.enter(ledger)
    sys.stdout = replacement = io.StringIO()
    print("replaced")
    entry.undo()
    assert sys.stdout is replacement
    assert sys.stderr is program.stderr
    assert replacement.getvalue() == "replaced\n"


def test_a_cell_may_redirect_its_output(program: Program, ledger: Ledger) -> None:
    entry, cell, buffer = program.enter(ledger), FakeCell(), io.StringIO()

    def redirect() -> None:
        with contextlib.redirect_stdout(buffer):
            print("kept")
        print("shown")

    cell.runs(redirect)
    entry.undo()
    assert (buffer.getvalue(), cell.written()) == ("kept\n", "shown\n")
    assert sys.stdout is program.stdout


def test_a_stand_in_that_comes_back_too_late_is_taken_off_by_the_next_cell(
    program: Program, ledger: Ledger
) -> None:
    """The program redirects during a cell, and ends that after it."""
    entry = program.enter(ledger)
    redirection = contextlib.redirect_stdout(io.StringIO())
    redirection.__enter__()
    entry.undo()
    redirection.__exit__(None, None, None)
    print("program")
    entry = program.enter(ledger)
    entry.undo()
    assert sys.stdout is program.stdout
    assert program.stdout.getvalue() == "program\n"


def test_a_program_without_streams(program: Program, ledger: Ledger) -> None:
    """As under pythonw, or a careless daemon: print() is silent there and must stay so."""
    program.start()
    sys.stdout = sys.stderr = sys.stdin = None  # type: ignore[assignment]
    entry, cell = program.enter(ledger), FakeCell(("answer",))
    lines: list[str] = []
    cell.runs(lambda: (print("cell"), lines.append(sys.stdin.readline())))
    print("program", flush=True)
    assert sys.stdin.readline() == ""
    assert not sys.stdout.isatty()
    entry.undo()
    assert cell.written() == "cell\n"
    assert lines == ["answer\n"]
    assert (sys.stdout, sys.stderr, sys.stdin) == (None, None, None)


def test_a_program_that_has_deleted_its_streams(
    program: Program, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.start()
    monkeypatch.delattr(sys, "stderr")
    entry, cell = program.enter(ledger), FakeCell()
    cell.runs(lambda: print("cell", file=sys.stderr))
    entry.undo()
    assert cell.written("stderr") == "cell\n"
    assert getattr(sys, "stderr", None) is None


def test_the_originals_attributes_are_seen(program: Program, ledger: Ledger) -> None:
    program.start()
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", line_buffering=True)
    original = sys.stdout
    entry, cell = program.enter(ledger), FakeCell()
    assert sys.stdout.encoding == "latin-1"
    assert sys.stdout.buffer is original.buffer
    cell.runs(lambda: print("€", end=""))  # which latin-1 has not
    with pytest.raises(AttributeError):
        sys.stdout.nothing_of_the_kind  # noqa: B018
    entry.undo()
    assert cell.written() == "€"


def test_an_error_of_the_original_is_the_programs_own(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    program.stdout.close()
    with pytest.raises(ValueError, match="closed file"):
        print("program")
    cell.runs(lambda: print("cell"))
    entry.undo()
    assert cell.written() == "cell\n"


def test_methods_of_a_cells_stream(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()
    results: list[object] = []

    def use() -> None:
        results.append(sys.stdout.write("four"))
        sys.stdout.writelines(["a", "b"])
        sys.stdout.flush()
        results.append(len(cell.batches))
        results.append(sys.stdout.isatty())
        with pytest.raises(TypeError, match="must be str, not bytes"):
            sys.stdout.write(b"raw")  # type: ignore[arg-type]

    cell.runs(use)
    entry.undo()
    assert results == [4, 1, False]
    assert cell.written() == "fourab"
    assert program.stdout.getvalue() == ""


# -- input


def test_a_cell_asks_the_front_end_and_the_program_reads_on(
    program: Program, ledger: Ledger
) -> None:
    entry, cell = program.enter(ledger), FakeCell(("one", "two", "three", "four"))
    lines: list[object] = []
    cell.runs(
        lambda: (
            lines.append(sys.stdin.readline()),
            lines.append(next(sys.stdin)),
            lines.append(sys.stdin.readline(2)),
            lines.append(sys.stdin.read()),
        )
    )
    assert lines == ["one\n", "two\n", "th", "four\n"]
    assert cell.asked == [""] * 4
    assert (sys.stdin.readline(), next(sys.stdin), sys.stdin.read()) == (
        "line 1\n", "line 2\n", "line 3\n",
    )  # fmt: skip
    assert list(sys.stdin) == []
    entry.undo()


def test_a_cells_input_has_no_descriptor(program: Program, ledger: Ledger) -> None:
    entry, cell = program.enter(ledger), FakeCell()

    def use() -> None:
        assert not sys.stdin.isatty()
        with pytest.raises(OSError, match="no file descriptor"):
            sys.stdin.fileno()
        with pytest.raises(EOFError):
            sys.stdin.readline()

    cell.runs(use)
    entry.undo()


# -- forks


def test_a_forked_child_has_the_originals(program: Program, ledger: Ledger) -> None:
    """What the fork hook does there, whoever held the lock in the parent."""
    program.enter(ledger)
    program.enter(ledger)
    streams.split._lock.acquire()
    streams.split.forget()
    assert sys.stdout is program.stdout
    entry, cell = program.enter(ledger), FakeCell()
    cell.runs(lambda: print("a session of the child's own"))
    entry.undo()
    assert cell.written() == "a session of the child's own\n"
    program.enter(ledger), program.enter(ledger)  # what the ledger still undoes
