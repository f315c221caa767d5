"""Visits to threads of the program that meet with something: signals, others, an end."""

from __future__ import annotations

import os
import random
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from targets import eventually

import live_kernel
from live_kernel.handle import Handle

pytestmark = pytest.mark.attach

MODES = ("busy", "sleep", "queue")


@contextmanager
def entered(program: Program) -> Iterator[Handle]:
    """A handle on a program that waits: signals wake it until it has been entered."""
    inside = threading.Event()

    def wake_loop() -> None:
        while not inside.wait(0.05):
            program.signal(signal.SIGUSR1)

    waker = threading.Thread(target=wake_loop)
    waker.start()
    try:
        handle = live_kernel.attach(program.pid)
    finally:
        inside.set()
        waker.join()
    with handle:
        yield handle


def value(handle: Handle, code: str) -> str:
    """What a cell shows as its value."""
    shown: list[str] = []
    outcome = handle.run(code, lambda event: shown.append(str(event.get("data"))))
    assert outcome["status"] == "ok", outcome
    return shown[-1] if shown else ""


@pytest.mark.parametrize("mode", MODES)
def test_every_signal_is_handled_once_and_its_error_raised_once(mode: str) -> None:
    """They come at any time: before, in, between and after the cells on the main thread."""
    chance = random.Random(4)
    over = threading.Event()
    with Program("interrupted", args=[mode]) as program, entered(program) as handle:
        ended: list[str] = []

        def visit_loop() -> None:
            while not over.is_set():
                code = chance.choice(["1", "x = 1", "sum(range(10_000))", "print(1)"])
                ended.append(handle.run(f"%%main\n{code}")["status"])

        visitor = threading.Thread(target=visit_loop)
        visitor.start()
        try:
            for number in range(1, 101):
                over.wait(chance.random() / 100)
                program.signal(signal.SIGINT)
                eventually(lambda count=number: program.lines().count("told") >= count)
        finally:
            over.set()
            visitor.join()
        assert "ok" in ended
        assert program.lines().count("handled") == 100
        assert program.lines().count("told") == 100


@pytest.mark.parametrize("mode", MODES)
def test_many_visits_in_a_row_by_two_at_once(mode: str) -> None:
    with Program("interrupted", args=[mode]) as program:
        before = program.snapshot()
        with entered(program) as one, entered(program) as other:
            values: dict[Handle, list[str]] = {one: [], other: []}

            def visits(handle: Handle) -> None:
                for number in range(100):
                    values[handle].append(value(handle, f"%%main\n{number}"))

            threads = [threading.Thread(target=visits, args=[each]) for each in values]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            expected = [str({"text/plain": str(number)}) for number in range(100)]
            assert list(values.values()) == [expected, expected]
        program.assert_unharmed_since(before, interrupted=True)


@pytest.mark.client
@pytest.mark.parametrize("how", ["detach", "kill"])
def test_a_visit_that_is_wanted_when_the_kernel_leaves(how: str) -> None:
    """The thread waits for a lock: it would run the cell some day."""
    with Program("placed") as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            kernel.begin("%%thread waiting\nprint('never')").wait_for("Waiting for that thread")
            if how == "kill":
                kernel.kill_for_good()
            else:
                kernel.shutdown()
        program.assert_unharmed_since(before, interrupted=True)
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("waiter_inbox.put(1)")
            assert kernel.run("%%thread waiting\nlocal.name").result == repr("waiter's own")


@pytest.mark.client
@pytest.mark.parametrize("how", ["detach", "kill"])
def test_a_visit_that_is_made_when_the_kernel_leaves(how: str) -> None:
    with Program("placed") as program:
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("%%main\n1")
            kernel.run("%detach")
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            kernel.begin(
                "%%main\nimport time\nprint('begun', flush=True)\ntime.sleep(600)"
            ).wait_for("begun")
            if how == "kill":
                kernel.kill_for_good()
            else:
                kernel.shutdown()
        program.assert_unharmed_since(before, interrupted=True)
        with Kernel("--pid", program.pid) as kernel:
            assert kernel.run("%%main\n'again'").result == "'again'"
            assert kernel.run("caught").result == "[]"


def test_a_cell_on_the_main_thread_that_forks() -> None:
    """The child has the cell's frames, and nothing else of ours."""
    forks = "import os\nchild = os.fork()\nif not child: os._exit(7)\nos.waitpid(child, 0)[1] >> 8"
    with Program("placed") as program, live_kernel.attach(program.pid) as handle:
        for _ in range(3):
            assert value(handle, f"%%main\n{forks}") == "{'text/plain': '7'}"
            assert value(handle, "%%main\n1") == "{'text/plain': '1'}"


def test_a_program_that_ends_in_a_visit() -> None:
    with Program("placed") as program, live_kernel.attach(program.pid) as handle:
        program.expected_to_end = True
        with pytest.raises(live_kernel.errors.AgentLost):
            handle.run("%%main\nimport os\nos._exit(3)")
        assert program.wait() == 3


def test_a_thread_that_has_blocked_the_signal() -> None:
    blocks = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])"
    with Program("interrupted", args=["sleep"]) as program, entered(program) as handle:
        handle.run(f"%%main\n{blocks}")
        for _ in range(3):
            assert value(handle, "%%main\n1") == "{'text/plain': '1'}"
        stuck = handle.run("%%main --at-most 0.1s\nimport time\ntime.sleep(600)")
        assert stuck["error"]["ename"] == "KeyboardInterrupt"
        status = Path(f"/proc/{program.pid}/status")
        pending = re.compile(r"^SigPnd:\t0+$", re.MULTILINE)
        eventually(lambda: pending.search(status.read_text()))


@pytest.mark.root
@pytest.mark.parametrize("has_folder", [True, False])
def test_a_program_that_sees_no_proc(has_folder: bool) -> None:
    """There the script has a name for its moment; where that can't be, the cell is refused."""
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        if has_folder:
            Path(root, "tmp").mkdir()
        with Program("placed") as program, live_kernel.attach(program.pid) as handle:
            handle.run(f"%%main\nimport os\nos.chroot({root!r})\nos.chdir('/')")
            outcome = handle.run("%%main\n1")
            if has_folder:
                assert outcome["status"] == "ok"
                eventually(lambda: os.listdir(Path(root, "tmp")) == [])  # noqa: PTH208
            else:
                assert outcome["error"]["ename"] == "ThreadUnreachable"
            assert value(handle, "1") == "{'text/plain': '1'}"
