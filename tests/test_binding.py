"""Frames that the user chooses: cells see their names and write them, and keep nothing alive.

Runs in pytest; the program stands in functions of every kind (programs/bindable).
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from targets import eventually, python315

from live_kernel.agent import bindings, tasks, threads
from live_kernel.agent.frames import Binding

pytestmark = [pytest.mark.attach, pytest.mark.client]


class Session:
    """A kernel in the program; each command and cell must do well unless it is to fail."""

    def __init__(self, program: Program, kernel: Kernel) -> None:
        self.program, self.kernel = program, kernel

    def run(self, code: str) -> str:
        """All that it shows, without the note on the attach."""
        cell = self.kernel.run(code)
        assert cell.status == "ok", cell
        return cell.text.strip()

    def fails(self, code: str) -> tuple[str, str]:
        """The name of the error, and everything that is told of it."""
        cell = self.kernel.run(code)
        return cell.error[0], cell.traceback

    def place(self) -> str:
        """What `%status` says that cells see."""
        (line,) = [line for line in self.run("%status").splitlines() if "Cells see" in line]
        return line.partition("see:")[2].strip()


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    """One for the tests that look, or change each its own."""
    with Program("bindable") as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            yield Session(program, kernel)
        program.after_leaving()
        after = program.snapshot()
        assert after["native threads"].keys() <= before["native threads"].keys()


@pytest.fixture
def session(shared: Session) -> Session:
    """With the binding that it had after the attach."""
    shared.run("%frame --default")
    return shared


def line_of(text: str) -> int:
    """The number of the first line of the program that has this text."""
    lines = (Path(__file__).parent / "programs" / "bindable.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


# -- reading and writing, in every kind of frame


@pytest.mark.parametrize(
    ("command", "tells", "sees"),
    [
        ("%frame inner", "nested", "nested.<locals>.inner()"),
        ("%frame steps", "generator", "generator.<locals>.steps()"),
        ("%frame Body", "class_body", "class_body.<locals>.Body()"),
        ("%frame comprehension", "comprehension", "comprehension()"),
        ("%frame <genexpr>", "genexpr", "genexpr.<locals>.<genexpr>()"),
        ("%task first", "first", "serve()"),
        ("%task asynchronous", "asynchronous", "ticks()"),
    ],
)
def test_a_frame_is_read_and_written(session: Session, command: str, tells: str, sees: str) -> None:
    assert f"Cells see {sees}" in session.run(command)
    assert sees in session.place()
    assert session.run("word") == "'start'"
    assert session.run("[word for _ in 'ab'], (lambda: word)()") == "(['start', 'start'], 'start')"
    session.run("word = f'from {word}'")
    session.program.wait_for(f"{tells} from start")


@pytest.mark.python315
@pytest.mark.parametrize("command", ["%frame inner", "%frame Body", "%task first"])
def test_a_frame_of_the_next_python_is_written(command: str) -> None:
    with (
        Program("bindable", python315()) as program,
        Kernel("--pid", program.pid) as kernel,
    ):
        session = Session(program, kernel)
        session.run(command)
        session.run("word = 'changed'")
        program.wait_for(" changed")


def test_new_names_stay_with_the_notebook(session: Session) -> None:
    before = session.run("%module __main__\nsorted(__import__('sys').modules['__main__'].__dict__)")
    session.run("%task second\nmine = 1")
    assert session.run("mine, word") == "(1, 'start')"
    session.run("%module __main__")
    assert session.run("sorted(__import__('sys').modules['__main__'].__dict__)") in before


@pytest.mark.parametrize(
    ("command", "value"), [("%frame 0", "of the module"), ("%frame InClass", "inside")]
)
def test_a_comprehension_outside_of_functions_is_read_but_not_written(
    session: Session, command: str, value: str
) -> None:
    session.run(command)
    assert session.run("part") == repr(value)
    name, text = session.fails("part = 'lost'")
    assert name == "NameError"
    assert "'part' is a variable of a comprehension at the top level" in text
    assert session.run("part") == repr(value)


def test_a_suspended_generator_is_bound_by_a_name(session: Session) -> None:
    assert "Cells see counter()" in session.run("%frame counting")
    assert session.run("step") == "1"
    session.run("step = 7")
    assert session.run("next(counting)") == "7"


# -- which frame


def test_the_frames_of_a_recursion_are_told_apart(session: Session) -> None:
    rows = session.run("%stack recursion").splitlines()
    numbers = [int(row.split()[0]) for row in rows if row.split()[1:2] == ["depth"]]
    assert len(numbers) == 4
    for number, level in zip(numbers, (3, 2, 1, 0), strict=True):
        session.run(f"%frame {number} recursion")
        assert session.run("level") == str(level)
        assert session.run("level") == str(level)  # found again
    assert "innermost" not in session.place()
    session.run("%frame depth")
    assert session.run("level") == "0"
    session.run("%up 2\nword = 'written'")
    session.run("unwinding.set()")
    session.program.wait_for("recursion 2 written")


def test_up_and_down_go_along_the_calls(session: Session) -> None:
    session.run("%frame leave")
    assert "Cells see leaving()" in session.run("%up")
    assert "Cells see leaving.<locals>.leave()" in session.run("%down")
    assert "Thread.run()" in session.run("%up 2")
    name, text = session.fails("%up 20")
    assert name == "FrameUnknown"
    assert "outside of it there are 2 frames" in text
    assert session.fails("%down 9")[0] == "FrameUnknown"
    assert session.fails("%up soon")[0] == "CommandMisused"


def test_a_task_is_gone_along_what_it_awaits(session: Session) -> None:
    assert "Cells see serve()" in session.run("%task second")
    assert "Cells see request()" in session.run("%up")
    assert session.run("user") == "'user of second'"
    assert "in task second" in session.place()
    assert "Cells see serve()" in session.run("%down")
    assert "Cells see sleep()" in session.run("%down")
    assert session.run("delay") == "0.005"


def test_a_thread_is_bound_by_name_and_both_numbers(session: Session) -> None:
    (row,) = [r for r in session.run("%threads").splitlines() if r.startswith("in_class")]
    _, native, ident, *_ = row.split()
    for meant in ("in_class", native, ident):
        assert "in thread in_class" in session.run(f"%thread {meant}")
        assert session.run("%place thread\nimport threading\nthreading.get_ident()").endswith(ident)
        session.run("%place own")
    name, text = session.fails("%thread nobody")
    assert name == "ThreadUnknown"
    assert "loop" in text


def test_a_frame_is_bound_by_file_and_line(session: Session) -> None:
    line = line_of("gone.clear()") - 2
    assert "leave" in session.run(f"%frame bindable.py:{line_of('secret = Token()')}")
    assert session.run("secret is not None") == "True"
    assert "leaving()" in session.run(f"%frame bindable.py:{line}")
    assert session.fails("%frame bindable.py:99999")[0] == "FrameUnknown"


def test_a_module_is_bound(session: Session) -> None:
    session.run("import json.decoder")
    assert "Cells see module json.decoder" in session.run("%module json.decoder")
    assert session.run("JSONDecodeError.__name__") == "'JSONDecodeError'"
    assert session.place() == "module json.decoder (decoder.py)"
    session.run("%module __main__")
    assert session.run("counter.__name__") == "'counter'"
    name, text = session.fails("%module nowhere")
    assert name == "ModuleUnknown"
    assert "__main__" in text


def test_what_is_ambiguous_or_unknown_is_said(session: Session) -> None:
    name, text = session.fails("%frame run")
    assert name == "FrameAmbiguous"
    assert "Thread.run() at threading.py:" in text
    assert "in thread in_class" in text
    name, text = session.fails("%frame nowhere")
    assert name == "FrameUnknown"
    assert "There are: " in text
    assert "leaving.<locals>.leave (in thread leaving)" in text
    assert session.fails("%frame 99")[0] == "FrameUnknown"
    name, text = session.fails("%frame told")
    assert name == "FrameUnknown"
    assert "refers to no generator" in text
    assert session.fails("%task nobody")[0] == "TaskUnknown"
    assert session.fails("%thread")[0] == "CommandMisused"
    assert session.place() == "module __main__ (bindable.py)"  # all of this has changed nothing


def test_frame_alone_shows_and_default_goes_back(session: Session) -> None:
    session.run("%frame leave")
    assert "leave()" in session.run("%frame")
    assert "module __main__" in session.run("%frame --default")


# -- the end of what is bound


@pytest.fixture
def own() -> Iterator[Session]:
    """A program and a kernel of this test's own."""
    with Program("bindable") as program, Kernel("--pid", program.pid) as kernel:
        yield Session(program, kernel)


def test_a_return_is_told_and_the_caller_is_bound(own: Session) -> None:
    own.run("%frame leave")
    assert own.run("secret is None") == "False"
    own.run("gone.set()")
    eventually(lambda: own.run("%stack leaving").count("leave") > 0)
    cell = own.kernel.run("gone.is_set()")
    assert "leave() (bindable.py:" in cell.notes
    assert "in thread leaving) has returned; cells now see leaving.<locals>" not in cell.notes
    assert "cells now see leaving()" in cell.notes
    assert own.place().startswith("leaving()")


def test_nothing_of_a_function_is_kept_alive(own: Session) -> None:
    own.run("import gc; gc.disable()")  # or it would hide what refers to itself
    own.run("%frame leave")
    own.run("secret is None\nkept = [secret is None for _ in 'a']")
    for look in ("%threads", "%stack leaving", "%stack", "%tasks", "%where", "%status"):
        own.run(look)
    own.kernel.complete("%frame lea")
    own.fails("%frame nowhere")
    own.fails("%thread nobody")
    own.run("%up\n%down\n%frame leave")
    assert own.run("token() is None") == "False"
    own.run("gone.set()")
    eventually(lambda: own.run("token() is None") == "True")


def test_nothing_of_what_is_suspended_is_kept_alive(own: Session) -> None:
    own.run("import gc; gc.disable()")
    assert "Cells see sleeper()" in own.run("%frame sleeping")
    assert own.run("type(word).__name__") == "'Token'"
    for look in ("%threads", "%stack", "%tasks", "%where"):
        own.run(look)
    own.run("del sleeping")
    cell = own.kernel.run("sleeper_ref() is None")
    assert cell.result == "True"
    assert "has returned; cells now see module __main__" in own.kernel.run("1").notes + cell.notes


def test_a_restart_binds_as_after_an_attach(own: Session) -> None:
    own.run("%frame inner")
    own.kernel.restart()
    own.run("counter")
    assert own.place() == "module __main__ (bindable.py)"
    own.run("%frame inner")
    own.run(f"%detach\n%attach {own.program.pid}")
    own.run("counter")
    assert own.place() == "module __main__ (bindable.py)"


def test_a_binding_is_the_kernels_own(own: Session) -> None:
    with Kernel("--pid", own.program.pid) as other:
        own.run("%frame inner")
        assert other.run("%frame").text.count("module __main__") >= 1


def test_names_are_completed(session: Session) -> None:
    assert session.kernel.complete("%thread leav") == ["leaving"]
    assert session.kernel.complete("%task sec") == ["second"]
    assert session.kernel.complete("%stack sec") == ["second"]
    assert session.kernel.complete("%stack leav") == ["leaving"]
    assert "leave" in session.kernel.complete("%frame lea")
    assert "leaving" in session.kernel.complete("%frame 3 lea")
    assert "--default" in session.kernel.complete("%frame -")
    assert "threading" in session.kernel.complete("%module thr")


# -- the parts


class Worker:
    """A thread that goes on, step by step, when it is told to."""

    def __init__(self, body: Callable[[Worker], object]) -> None:
        self._told, self._reached = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=body, args=[self])
        self.thread.start()
        self._reached.acquire()

    def stop(self) -> None:
        """On the thread: wait until it may go on."""
        self._reached.release()
        self._told.acquire()

    def go_on(self) -> None:
        """Let it go on to its next stop."""
        self._told.release()
        self._reached.acquire()

    def end(self) -> None:
        self._told.release()
        self.thread.join()

    @property
    def stack(self) -> bindings.OfThread:
        assert self.thread.ident is not None
        seen = threads.with_ident(self.thread.ident)
        assert seen is not None
        return bindings.OfThread(seen)

    def bound_to(self, name: str) -> Binding:
        """A binding to the innermost function of this name on the thread."""
        frames = self.stack.frames()
        names = [frame.f_code.co_name for frame in frames]
        return self.stack.bind(frames, len(names) - 1 - names[::-1].index(name))


def test_a_generator_stays_bound_while_it_is_suspended() -> None:
    def produced(worker: Worker) -> Iterator[int]:
        word = "start"
        worker.stop()
        yield 1
        worker.stop()
        assert word == "changed"

    def consume(worker: Worker) -> None:
        for _ in produced(worker):
            worker.stop()

    worker = Worker(consume)
    binding = worker.bound_to("produced")
    assert isinstance(binding, bindings.OnThread)
    assert isinstance(binding.stack, bindings.OfThread)
    worker.go_on()  # now it is suspended, and its consumer stops
    assert not binding.is_gone()
    assert isinstance(binding.stack, bindings.Suspended)
    local, _ = binding.names()
    assert local is not None
    assert local["word"] == "start"
    local["word"] = "changed"  # type: ignore[index]
    worker.go_on()
    worker.end()
    assert binding.is_gone()


def test_another_thread_with_the_same_number_is_another_one() -> None:
    def work(worker: Worker) -> None:
        worker.stop()

    first = Worker(work)
    binding = first.bound_to("work")
    assert not binding.is_gone()
    first.end()
    for _ in range(20):  # the number of a thread is soon that of another
        second = Worker(work)
        is_same = second.thread.ident == binding.thread
        assert binding.is_gone()
        second.end()
        if is_same:
            break


def test_a_call_of_a_recursion_is_gone_when_it_has_returned() -> None:
    def work(worker: Worker, level: int = 2) -> None:
        worker.stop()
        if level:
            work(worker, level - 1)
        worker.stop()

    worker = Worker(work)
    worker.go_on()
    worker.go_on()
    innermost = worker.bound_to("work")
    assert innermost.caller is not None
    middle = innermost.caller

    def level(binding: Binding) -> object:
        local, _ = binding.names()
        return None if local is None else local["level"]

    assert (level(middle), level(innermost)) == (1, 0)
    worker.go_on()
    worker.go_on()  # the innermost has returned
    assert innermost.is_gone()
    assert level(middle) == 1
    worker.go_on()
    assert middle.is_gone()
    worker.end()


def test_frames_are_let_go_of() -> None:
    class Token:
        pass

    tokens: list[weakref.ref[Token]] = []

    def work(worker: Worker) -> None:
        token = Token()
        tokens.append(weakref.ref(token))
        worker.stop()
        del worker

    gc.disable()
    try:
        worker = Worker(work)
        binding = worker.bound_to("work")
        assert binding.describe().startswith("test_frames_are_let_go_of")
        assert tasks.seen() == ([], 0)
        worker.end()
        assert tokens[0]() is None
        assert binding.is_gone()
    finally:
        gc.enable()
