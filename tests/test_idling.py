"""The idle time-out: a program that nobody uses is left, and told to be. No cell is cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import eventually

from live_kernel.launcher import durations
from live_kernel.launcher.rails import NO_RAILS, Rails
from live_kernel.launcher.use import Use

pytestmark = [pytest.mark.attach, pytest.mark.client]

SOON = "--idle=0.6"


def wait_until_left(program: Program) -> None:
    """Wait for the end of the agent's threads, seen from outside."""

    def is_left() -> bool:
        names = program.from_outside()["native threads"].values()
        return not any(name.startswith("live-kernel") for name in names)

    eventually(is_left, 20, what="the kernel has left")


@pytest.fixture
def idle(program: Program) -> Iterator[Kernel]:
    """A kernel that is soon to leave. Each test's first cell begins with `attach(program)`: a
    busy machine may need longer for its way than that takes.
    """
    with Kernel(SOON) as started:
        yield started


def attach(program: Program) -> str:
    """The first line of a cell that is in use from the attach on."""
    return f"%attach {program.pid}\n"


# -- what counts


class Run:
    def __init__(self) -> None:
        self.holds = self.lasts = self.awaits = self.is_silent = False


@pytest.mark.parametrize(
    ("request_", "awaits", "is_on"),
    [
        ({"code": "1"}, False, True),
        ({"code": "input()"}, True, True),
        ({"code": "input()", "place": {"kind": "main"}}, True, False),
        ({"code": "1", "place": {"kind": "main"}}, False, True),
        ({"action": {"name": "enter"}}, False, True),
        ({"action": {"name": "enter"}}, True, False),
        ({"action": {"name": "watch", "seconds": 0}}, False, False),
        ({"action": {"name": "watch", "seconds": 60.0}}, False, True),
        ({"action": {"name": "trace", "seconds": 0}}, False, False),
    ],
)
def test_what_of_all_that_runs_is_use(request_: dict[str, Any], awaits: bool, is_on: bool) -> None:
    use, run = Use(), Run()
    use.begin()
    use.note(request_, run)
    run.awaits = awaits
    assert use.is_on([run]) is is_on


def test_a_watch_that_was_given_a_time_is_use_until_then() -> None:
    use = Use()
    use.begin()
    use.note({"action": {"name": "watch", "seconds": 60.0}}, Run())
    assert use.is_on([])
    use.begin()
    assert not use.is_on([])


def test_who_sets_the_time() -> None:
    use = Use()
    mine, guard = Rails(idle=60.0, idle_by="--idle"), Rails(idle=300.0, idle_by="[[guard]] 1")
    assert use.limit(NO_RAILS, NO_RAILS) == (0.0, "")
    assert use.limit(mine.plus(guard), guard) == (60.0, "--idle")
    use.set_limit(0.0)
    assert use.limit(mine, NO_RAILS) == (0.0, "%idle")
    assert use.limit(mine.plus(guard), guard) == (300.0, "[[guard]] 1")
    use.set_limit(120.0)
    assert use.limit(mine.plus(guard), guard) == (120.0, "%idle")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "500 ms"), (2, "2 s"), (90, "1.5 min"), (1800, "30 min"), (5400, "1.5 h")],
)
def test_spans_are_written_as_they_are_read(seconds: float, text: str) -> None:
    assert durations.written(seconds) == text
    assert durations.parse(text) == seconds


# -- leaving


def test_it_leaves_and_says_how_to_come_back(program: Program) -> None:
    before = program.snapshot()
    with Kernel(SOON) as idle:
        assert idle.run(attach(program) + "word").result == "'start'"
        wait_until_left(program)
        program.assert_unharmed_since(before)
        is_told(idle, program)


def is_told(idle: Kernel, program: Program) -> None:
    """What the next cells say."""
    assert "detached" in idle.run("%status").stdout
    cell = idle.run("word")
    assert cell.error[0] == "IdleTooLong"
    assert f"detached from pid {program.pid}" in cell.error[1]
    assert "not used for 600 ms (--idle)" in cell.error[1]
    assert f"%attach {program.pid} attaches again" in cell.traceback
    idle.answers.append("")
    again = idle.run("word", allow_stdin=True)  # an empty answer: the same again
    assert again.result == "'start'"
    assert f"Enter: {program.pid} again" in idle.prompts[-1]["prompt"]
    assert "has detached from" in again.stdout
    assert idle.run(f"%attach {program.pid}\nword").result == "'start'"


def test_what_was_asked_for_holds_again(program: Program) -> None:
    with Kernel() as kernel:
        kernel.run(f"%attach --observe --idle 600ms {program.pid}")
        wait_until_left(program)
        assert kernel.run("1").error[0] == "IdleTooLong"
        kernel.answers.append("")
        assert kernel.run("1", allow_stdin=True).error[0] == "OnlyLooks"


def test_polls_are_no_use(idle: Kernel, program: Program) -> None:
    """Front-ends send these without anybody's doing."""
    idle.run(attach(program) + "1")

    def is_left() -> bool:
        for kind in ("kernel_info", "comm_info", "usage", "history"):
            content = {"hist_access_type": "tail", "n": 1} if kind == "history" else {}
            idle.ask(f"{kind}_request", **content)
        idle.run("1", silent=True)
        names = program.from_outside()["native threads"].values()
        return not any(name.startswith("live-kernel") for name in names)

    eventually(is_left, 20, what="the kernel has left")


def test_completion_is_use(program: Program) -> None:
    with Kernel("--idle=1.5s") as kernel:
        kernel.run(attach(program) + "1")
        begin = time.monotonic()
        while time.monotonic() - begin < 2:
            assert "word" in kernel.complete("wor")
            kernel.take_in(0.1)


def test_no_cell_is_cut_off(idle: Kernel, program: Program) -> None:
    code = "import time\nfor n in range(12):\n    time.sleep(0.1)\n'whole'"
    cell = idle.run(attach(program) + code)
    assert cell.result == "'whole'"


def test_nor_one_that_asks_or_runs_beside(program: Program) -> None:
    with Kernel("--idle=1.5s") as kernel:
        cell = kernel.begin(attach(program) + "input('?')", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the question")
        end = time.monotonic() + 1.8
        while time.monotonic() < end:
            kernel.take_in(0.1)
        kernel.client.input("here")
        assert cell.finish().result == "'here'"
        beside = kernel.run("%%local\nimport time; time.sleep(2); 'beside'")
        assert beside.result == "'beside'"
        assert kernel.run("word").result == "'start'"


def test_a_watch_without_an_end_is_no_use(program: Program) -> None:
    """In a console it is a cell that lasts: it is told why it ends."""
    with Kernel("--idle=2s") as kernel:
        watch = kernel.run(attach(program) + "%watch word --here", allow_stdin=True)
        assert watch.error[0] == "IdleTooLong"
        assert "word = 'start'" in watch.text


def test_a_watch_with_an_end_is(program: Program) -> None:
    with Kernel("--idle=2s") as kernel:
        code = attach(program) + "%watch word every 100ms for 2.5s"
        content = {"code": code, "allow_stdin": True}
        request = kernel.send("execute_request", content, metadata={"cellId": "one"})
        Cell(kernel, request).wait_for("its time is over")


def test_a_thread_at_a_breakpoint_goes_on() -> None:
    with Program("store/app") as store:
        before = store.snapshot()
        with Kernel("--idle=2s") as kernel:
            hit = kernel.run(attach(store) + "%break pricing.price")
            kernel.wait(lambda: "is hit" in hit.text, what="the hit")
            wait_until_left(store)
            cell = kernel.run("steps")
            assert cell.error[0] == "IdleTooLong"
            assert "A thread that waited at a breakpoint goes on." in cell.error[1]
            store.assert_unharmed_since(before, interrupted=True)


@pytest.mark.parametrize("code", ["%enter worker", "%%thread worker\ninput('?')"])
def test_a_thread_that_is_held_and_asked_about_goes_on(code: str) -> None:
    with Program("store/app") as store, Kernel("--idle=1s") as kernel:
        cell = kernel.begin(attach(store) + code, allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the prompt")
        cell.finish()
        assert cell.error[0] == "IdleTooLong"
        assert "The thread of it that was held here goes on." in cell.error[1]
        before = int(kernel.run(attach(store) + "steps").result or 0)
        eventually(lambda: kernel.value("steps") > before, what="the program runs")


def test_idle_is_shown_and_changed(idle: Kernel, program: Program) -> None:
    shown = idle.run(attach(program) + "%idle\n%idle 1h").stdout
    assert "600 ms without use (--idle)" in shown
    assert "1 h without use (%idle)" in shown
    assert "does not detach by itself" in idle.run("%idle off").stdout
    assert idle.run("%idle soon").error[0] == "CommandMisused"
    assert "Idle" not in idle.run("%status").stdout
    assert "200 ms" in idle.run("%idle 200ms").stdout
    wait_until_left(program)


def test_by_a_variable(program: Program) -> None:
    with Kernel("--pid", program.pid, env={"LIVE_KERNEL_IDLE": "300ms"}) as kernel:
        kernel.run("1")
        wait_until_left(program)
        assert "LIVE_KERNEL_IDLE" in kernel.run("1").error[1]
