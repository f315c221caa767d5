"""Cells on the program's main thread, on other threads of it, and in its event loop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from kernels import Kernel
from snapshots import Program
from targets import eventually

from live_kernel.errors import CommandMisused
from live_kernel.handle import attach
from live_kernel.launcher import placing

pytestmark = [pytest.mark.attach, pytest.mark.client]

WAITS = ("busy", "sleep", "queue")
"""What the main thread does: compute, sleep in rounds, wait in a queue for ever."""


AWAITING = "for n in range(5): await asyncio.sleep(0.05)\n'ok'"
NATIVE_ID = "__import__('threading').get_native_id()"


@pytest.fixture
def placed() -> Iterator[Program]:
    with Program("placed") as running:
        yield running


@pytest.fixture
def kernel(placed: Program) -> Iterator[Kernel]:
    with Kernel("--pid", placed.pid) as started:
        yield started


def on_a_subshell(kernel: Kernel, code: str) -> None:
    """Run a cell beside the one that runs."""
    subshell = kernel.ask("create_subshell_request", "control")["subshell_id"]
    assert kernel.begin(code, subshell=subshell).finish().status == "ok"


def set_mode(kernel: Kernel, mode: str) -> None:
    """Have the program's main thread do this, and wait until it is at it."""
    kernel.run(f"mode = {mode!r}")
    if mode == "queue":
        kernel.wait_until_still("rounds")


# -- the main thread


@pytest.mark.parametrize("mode", WAITS)
def test_a_cell_on_the_main_thread(placed: Program, kernel: Kernel, mode: str) -> None:
    set_mode(kernel, mode)
    for _ in range(5):
        cell = kernel.run(f"%%main\nprint('here')\nlocal.name, {NATIVE_ID}")
        assert cell.result == f'("main\'s own", {placed.pid})'
        assert cell.stdout == "here\n"
    assert "worker's own" not in kernel.run("getattr(local, 'name', None)").text
    failed = kernel.run("%%main\ndef fails(): 1 / 0\nfails()")
    assert failed.error == ("ZeroDivisionError", "division by zero")
    assert 'File "<In [' in failed.traceback
    assert "live_kernel" not in failed.traceback
    if mode == "queue":
        came = kernel.run("mode = 'busy'\ninbox.put('come')\nwhile not outcome: pass\noutcome")
        assert came.result == "'come'"


@pytest.mark.parametrize("mode", ["busy", "sleep"])
def test_the_program_is_as_before(mode: str) -> None:
    with Program("placed") as placed:
        with Kernel("--pid", placed.pid) as kernel:
            set_mode(kernel, mode)
            kernel.run("%detach")
        before = placed.snapshot()
        with Kernel("--pid", placed.pid) as kernel:
            kernel.run("%%main\n1 + 1")
            kernel.run("%%main --at-most 0.1s\nwhile True: pass")
            kernel.run("%%thread working\n1 + 1")
            kernel.run("%%main\ndel missing")
            kernel.run("%detach")
        placed.assert_unharmed_since(before, interrupted=True)


@pytest.mark.parametrize("code", ["while True: pass", "time.sleep(600)", "wait.acquire()"])
@pytest.mark.parametrize("mode", WAITS)
def test_an_interrupt_ends_the_cell_and_nothing_else(
    placed: Program, kernel: Kernel, mode: str, code: str
) -> None:
    kernel.run("import time, threading\nwait = threading.Lock(); wait.acquire()")
    set_mode(kernel, mode)
    cell = kernel.begin(f"%%main\nprint('begun', flush=True)\n{code}")
    cell.wait_for("begun")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert kernel.run("mode = 'busy'\ninbox.put(1)\ncaught").result == "[]"
    assert kernel.run("%%main\n1 + 1").result == "2"


@pytest.mark.parametrize("code", ["while True: pass", "time.sleep(600)"])
def test_the_thread_is_held_for_so_long_at_most(kernel: Kernel, code: str) -> None:
    kernel.run("import time")
    cell = kernel.run(f"%%main --at-most 200ms\n{code}")
    assert cell.error[0] == "KeyboardInterrupt"
    assert "held the main thread for 0.2 s" in cell.stderr
    assert kernel.run("%%main --at-most 60s\n'in time'").result == "'in time'"
    assert kernel.run("caught").result == "[]"


def test_input_and_pdb_on_the_main_thread(placed: Program, kernel: Kernel) -> None:
    with Kernel("--pid", placed.pid, answers=["typed"]) as asked:
        assert asked.run("%%main\ninput('say: ')", allow_stdin=True).result == "'typed'"
    with Kernel("--pid", placed.pid, answers=["p local.name", "c"]) as asked:
        assert "main's own" in asked.run("%%main\nbreakpoint()", allow_stdin=True).text


def test_an_interrupt_ends_the_wait_for_input(placed: Program) -> None:
    with Kernel("--pid", placed.pid) as kernel:
        cell = kernel.begin("%%main\ntry: input('say: ')\nfinally: print('left')", allow_stdin=True)
        kernel.wait(lambda: bool(kernel.prompts), what="the question")
        kernel.interrupt()
        assert cell.finish().status == "error"
        assert kernel.run("caught").result == "[]"


def test_much_output_from_the_main_thread_is_all_there(kernel: Kernel) -> None:
    """Nobody but such a cell waits there for a slow reader; what others write there is cut."""
    cell = kernel.run("%%main\nfor number in range(60): print('x' * 100_000, number)")
    assert len(cell.stdout) > 6_000_000
    assert cell.stdout.split()[1::2] == [str(number) for number in range(60)]


# -- the program's signals


@pytest.mark.parametrize("mode", WAITS)
def test_ctrl_c_reaches_the_program(placed: Program, kernel: Kernel, mode: str) -> None:
    set_mode(kernel, mode)
    cell = kernel.begin("%%main\nimport time\nprint('begun', flush=True)\ntime.sleep(600)")
    cell.wait_for("begun")
    os.kill(placed.pid, signal.SIGINT)
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert "The program was sent SIGINT" in cell.stderr
    kernel.run("while not caught: pass")
    assert kernel.run("caught").result == "['KeyboardInterrupt']"


def test_other_signals_reach_the_program_after_the_cell(placed: Program, kernel: Kernel) -> None:
    kernel.run("go = []\nimport time")
    loop = "print('begun', flush=True)\nwhile not go: time.sleep(0.01)"
    cell = kernel.begin(f"%%main\n{loop}\ncaught[:]")
    cell.wait_for("begun")
    os.kill(placed.pid, signal.SIGUSR1)
    os.kill(placed.pid, signal.SIGALRM)
    on_a_subshell(kernel, "go.append(1)")
    assert cell.finish().result == "[]"
    kernel.run("while len(caught) < 2: pass")
    assert kernel.run("sorted(caught)").result == "['SIGUSR1', \"the program's own alarm\"]"


# -- other threads


@pytest.mark.parametrize("name", ["working", "sleeping"])
def test_a_cell_on_another_thread(kernel: Kernel, name: str) -> None:
    own = {"working": "worker's own", "sleeping": "sleeper's own"}[name]
    cell = kernel.run(f"%%thread {name}\nlocal.name, __import__('threading').current_thread().name")
    assert cell.result == repr((own, name))
    native_id = kernel.run(
        f"[t.native_id for t in threading.enumerate() if t.name == {name!r}][0]"
    ).result
    assert kernel.run(f"%%thread {native_id}\nlocal.name").result == repr(own)
    failed = kernel.run(f"%%thread {name}\n1 / 0")
    assert failed.error[0] == "ZeroDivisionError"
    assert (
        kernel.run(f"%%thread {name} --at-most 0.1s\nwhile True: pass").error[0]
        == "KeyboardInterrupt"
    )
    assert kernel.run(f"%%thread {name}\nlocal.name").result == repr(own)


def test_a_thread_that_waits_for_a_lock_runs_the_cell_when_it_wakes(kernel: Kernel) -> None:
    cell = kernel.begin("%%thread waiting\nlocal.name")
    cell.wait_for("Waiting for that thread")
    on_a_subshell(kernel, "waiter_inbox.put(1)")
    assert cell.finish().result == repr("waiter's own")


def test_a_cell_that_waits_for_its_thread_is_given_up(kernel: Kernel) -> None:
    cell = kernel.begin("%%thread waiting\nlocal.name")
    cell.wait_for("Waiting for that thread")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert kernel.run("waiter_inbox.put(1)\n1").result == "1"


def test_threads_that_are_none(kernel: Kernel) -> None:
    assert kernel.run("%%thread nobody\n1").error[0] == "ThreadUnknown"
    assert kernel.run("%%main sometimes\n1").error[0] == "CommandMisused"
    assert kernel.run("%%main --at-most ever\n1").error[0] == "CommandMisused"
    assert kernel.run("%place elsewhere").error[0] == "CommandMisused"
    assert kernel.run("%%main\nawait something").error[0] == "AwaitHolds"
    assert kernel.run("%%loop\n1").error[0] == "NoEventLoop"
    assert kernel.run("1").result == "1"


# -- the session's place


def test_the_place_of_all_cells(placed: Program, kernel: Kernel) -> None:
    assert "own thread" in kernel.run("%place").stdout
    kernel.run("%place main --at-most 0.2s")
    assert kernel.run(NATIVE_ID).result == str(placed.pid)
    assert kernel.run("while True: pass").error[0] == "KeyboardInterrupt"
    assert kernel.run(f"%%own\n{NATIVE_ID}").result != str(placed.pid)
    kernel.run("%place thread working")
    assert kernel.run("local.name").result == repr("worker's own")
    kernel.run("%place own")
    assert kernel.run(NATIVE_ID).result != str(placed.pid)


# -- loops


@pytest.mark.parametrize("name", ["aio_idle", "aio_busy"])
def test_cells_in_the_loop(name: str) -> None:
    with Program(name) as running:
        before = running.snapshot()
        with Kernel("--pid", running.pid) as kernel:
            use_the_loop(kernel, running)
        running.assert_unharmed_since(before, interrupted=True)


def use_the_loop(kernel: Kernel, running: Program) -> None:
    cell = kernel.run(
        f"%%loop\nimport asyncio\nasyncio.get_running_loop().is_running(), {NATIVE_ID}"
    )
    assert cell.result == repr((True, running.pid))
    assert kernel.run("%%loop --at-most 0.1s\nwhile True: pass").status == "error"
    late = kernel.run(f"%%loop --at-most 0.1s\n{AWAITING}")
    assert late.result == "'ok'"
    assert kernel.run("%%main\n1 + 1").result == "2"


def test_a_loop_on_another_thread_is_found(placed: Program, kernel: Kernel) -> None:
    kernel.run(
        "import asyncio, threading\n"
        "loop = asyncio.new_event_loop()\n"
        "thread = threading.Thread(target=loop.run_forever, name='looping'); thread.start()\n"
        "while not loop.is_running(): pass"
    )
    cell = kernel.run("await asyncio.sleep(0)\nasyncio.get_running_loop() is loop")
    assert cell.result == "True"
    assert kernel.run("%%loop\nthreading.current_thread().name").result == "'looping'"
    kernel.run("loop.call_soon_threadsafe(loop.stop); thread.join(); loop.close()")


def test_under_gevent() -> None:
    with Program("gevented", sys.executable) as running, Kernel("--pid", running.pid) as kernel:
        for _ in range(5):
            cell = kernel.run("%%main\nimport _thread\n_thread.get_ident(), ticks > 0")
            assert cell.status == "ok", cell
        assert kernel.run("%%main --at-most 0.2s\nwhile True: pass").error[0] == "KeyboardInterrupt"
        ticked = kernel.run("ticks").result
        eventually(lambda: kernel.run("ticks").result != ticked)


# -- without a notebook


def test_the_api_runs_cells_there_too(placed: Program) -> None:
    with attach(placed.pid) as program:
        shown: list[str] = []
        outcome = program.run(
            f"%%main --at-most 5s\nprint({NATIVE_ID})", lambda event: shown.append(event["text"])
        )
        assert outcome["status"] == "ok"
        assert "".join(shown) == f"{placed.pid}\n"
        with pytest.raises(CommandMisused, match="does not take 'often'"):
            program.run("%%main often\n1")
        with pytest.raises(CommandMisused, match="%threads is a command of the kernel's"):
            program.run("%threads")
        assert program.run("1")["status"] == "ok"


@pytest.mark.parametrize(
    ("code", "place", "rest"),
    [
        ("%%main\nx", {"kind": "main"}, "\nx"),
        ("\n\n%%loop --at-most=1s\nx", {"kind": "loop", "at_most": 1.0}, "\n\n\nx"),
        ("%%thread my thread\nx", {"kind": "thread", "thread": "my thread"}, "\nx"),
        ("%%own\nx", {"kind": "own"}, "\nx"),
        ("%%mainly\nx", {}, "%%mainly\nx"),
        ("%main\nx", {}, "%main\nx"),
        ("x = '''\n%%main\n'''", {}, "x = '''\n%%main\n'''"),
        ("", {}, ""),
    ],
)
def test_the_place_of_a_cell(code: str, place: dict[str, object], rest: str) -> None:
    assert placing.of_cell(code) == (place, rest)
