"""Stopping cells: at once, after a grace, never the program, and never twice."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from kernels import Cell, Kernel
from snapshots import Program, system_calls
from targets import eventually

pytestmark = [pytest.mark.attach, pytest.mark.client]


def seconds(kernel: Kernel, code: str, asleep: Program | None = None) -> tuple[Cell, float]:
    """The cell, and how long it took from the interrupt to its end.

    `asleep`: the program in which a cell must sleep before it is interrupted.
    """
    cell = kernel.begin(code)
    cell.wait_for("here")
    if asleep is not None:
        eventually(lambda: is_asleep(asleep), what="the cell sleeps")
    begin = time.monotonic()
    kernel.interrupt()
    cell.finish()
    return cell, time.monotonic() - begin


def is_asleep(program: Program) -> bool:
    calls = system_calls(program.pid, "live-kernel")
    return any(call.startswith("clock_nanosleep") for call in calls)


def interrupted(kernel: Kernel, code: str, asleep: Program | None = None) -> Cell:
    return seconds(kernel, code, asleep)[0]


# -- Python code


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "def spin():\n    while True: pass\nspin()",
        "for _ in iter(int, 1): [n for n in range(100)]",
        "while True:\n    try: 1 / 0\n    except ZeroDivisionError: pass",
        "import time\nwhile True: time.sleep(0.01)",
        "while True: print('x')",
        "while True: word = word",
    ],
)
def test_code_is_stopped_at_once(kernel: Kernel, program: Program, code: str) -> None:
    cell, taken = seconds(kernel, f"print('here', flush=True)\n{code}")
    assert cell.error == ("KeyboardInterrupt", "")
    assert taken < 1.5
    assert "live_kernel" not in cell.traceback
    assert kernel.run("'goes on'").result == "'goes on'"
    assert kernel.run("import threading\nlen(threading.enumerate())").status == "ok"


def test_cell_may_clean_up(kernel: Kernel) -> None:
    code = "try:\n    print('here')\n    while True: pass\nfinally: print('cleaned up')"
    assert interrupted(kernel, code).stdout == "here\ncleaned up\n"


def test_cell_may_handle_it(kernel: Kernel) -> None:
    code = (
        "try:\n    print('here')\n    while True: pass\n"
        "except KeyboardInterrupt: print('handled')\n'value'"
    )
    cell = interrupted(kernel, code)
    assert cell.status == "ok"
    assert (cell.stdout, cell.result) == ("here\nhandled\n", "'value'")


def test_cell_that_ignores_it_is_interrupted_again(kernel: Kernel) -> None:
    code = (
        "stubborn = 0\nwhile stubborn < 2:\n"
        "    try:\n        print('round', stubborn, flush=True)\n        while True: pass\n"
        "    except KeyboardInterrupt: stubborn += 1\n'enough'"
    )
    cell = kernel.begin(code)
    cell.wait_for("round 0")
    kernel.interrupt()
    cell.wait_for("round 1")
    kernel.interrupt()
    assert cell.finish().result == "'enough'"


def test_queued_cells_are_aborted(kernel: Kernel) -> None:
    first = kernel.begin("print('here')\nwhile True: pass")
    behind = [kernel.begin("'not this'") for _ in range(3)]
    first.wait_for("here")
    kernel.interrupt()
    assert first.finish().status == "error"
    assert [cell.finish().status for cell in behind] == ["aborted"] * 3
    assert kernel.run("1").result == "1"


def test_between_cells_it_does_nothing(kernel: Kernel, program: Program) -> None:
    for _ in range(5):
        kernel.interrupt()
        assert kernel.run("1").result == "1"
    assert program.alive()


def test_many_short_cells_and_many_interrupts(kernel: Kernel) -> None:
    """An interrupt hits the cell that ran, or none; never the machinery between two cells."""
    kernel.run("1")  # an interrupt in the middle of the attach would give that up
    for _ in range(40):
        cell = kernel.begin("for n in range(3000): pass\n'end'", stop_on_error=False)
        kernel.interrupt()
        cell.finish()
        assert cell.result == "'end'" or cell.error == ("KeyboardInterrupt", "")
    assert kernel.run("'alive'").result == "'alive'"


def test_signal_to_the_launcher_interrupts_the_cell(kernel: Kernel, program: Program) -> None:
    cell = kernel.begin("print('here')\nwhile True: pass")
    cell.wait_for("here")
    kernel.manager.signal_kernel(signal.SIGINT)
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert program.alive()


def test_display_that_never_ends(kernel: Kernel) -> None:
    code = (
        "class Slow:\n    def __repr__(self):\n        print('here', flush=True)\n"
        "        while True: pass\nSlow()"
    )
    assert interrupted(kernel, code).error[0] == "KeyboardInterrupt"


def test_user_expression_that_never_ends(kernel: Kernel) -> None:
    cell = kernel.begin(
        "def f():\n    print('here', flush=True)\n    while True: pass",
        user_expressions={"a": "f()"},
    )
    cell.wait_for("here")
    kernel.interrupt()
    cell.finish()
    assert cell.expressions["a"]["ename"] == "KeyboardInterrupt"


# -- a flood of output


def test_flood(kernel: Kernel, program: Program) -> None:
    cell, taken = seconds(kernel, "print('here', flush=True)\nwhile True: print('x' * 100)")
    assert cell.error[0] == "KeyboardInterrupt"
    assert taken < 5
    assert kernel.run("1").result == "1"
    assert not [line for line in program.lines() if "xxx" in line]


def test_flood_that_nobody_reads(kernel: Kernel, program: Program) -> None:
    """A front-end that is busy elsewhere: no memory fills up, and the interrupt gets through."""
    cell = kernel.begin("n = 0\nprint('here', flush=True)\nwhile True: print('x' * 1000); n += 1")
    cell.wait_for("here")
    launcher = kernel.launcher_pid
    sizes: list[int] = []

    def is_held_back() -> bool:
        sizes.append(_resident(launcher))
        return len(sizes) > 40 and sizes[-1] - sizes[-20] < 1 << 20

    eventually(is_held_back, 15, "the launcher's memory stands still", every=0.02)
    kernel.client.control_channel.send(kernel.client.session.msg("interrupt_request", {}))
    assert cell.finish(40).error[0] == "KeyboardInterrupt"
    assert kernel.run("1").result == "1"


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123 - read many times
        return int(file.read().split()[1]) * 4096


# -- input


def test_question_is_withdrawn(kernel: Kernel) -> None:
    cell = kernel.begin("input('Who? ')", allow_stdin=True)
    kernel.wait(lambda: kernel.prompts, what="the question")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    kernel.client.input("too late")
    assert kernel.run("1").result == "1"


# -- calls that Python can't interrupt


SLEEP = (
    "print('here', flush=True)\nimport time\nruns = globals().get('runs', 0) + 1\ntime.sleep({})"
)


def test_sleep_that_ends_in_time(kernel: Kernel, program: Program) -> None:
    cell, taken = seconds(kernel, SLEEP.format(0.6), program)
    assert cell.error == ("KeyboardInterrupt", "")
    assert taken < 2


def test_cell_is_left_to_itself_after_the_grace(kernel: Kernel, program: Program) -> None:
    cell, taken = seconds(kernel, SLEEP.format(4), program)
    name, text = cell.error
    assert name == "KeyboardInterrupt"
    assert "has left it to itself" in text
    assert 1.5 < taken < 3.5
    # The kernel goes on, in the same namespace, while that thread sleeps on.
    assert kernel.run("print('goes on')\nruns").result == "1"
    assert kernel.run("import asyncio\nawait asyncio.sleep(0)\n'awaits'").result == "'awaits'"
    assert kernel.run("1 / 0").error[0] == "ZeroDivisionError"
    threads = len(program.from_inside()["threads"])
    # When it wakes, it is stopped: nothing of the cell is run any further, nor once more.
    eventually(lambda: len(program.from_inside()["threads"]) < threads, what="its thread ended")
    assert kernel.run("runs").result == "1"


def test_nothing_is_printed_by_a_cell_that_was_left(kernel: Kernel, program: Program) -> None:
    code = (
        "import time\nprint('here', flush=True)\ntry: time.sleep(3)\nfinally: print('afterwards')"
    )
    cell = interrupted(kernel, code, program)
    assert "has left it to itself" in cell.error[1]
    threads = len(program.from_inside()["threads"])
    later = kernel.begin("print('mine')\nwhile True: time.sleep(0.01)")
    later.wait_for("mine")
    eventually(lambda: len(program.from_inside()["threads"]) < threads + 1)
    kernel.interrupt()
    assert later.finish().stdout == "mine\n"
    assert "afterwards" not in program.lines()


def test_several_cells_that_are_left(program: Program) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        for _ in range(2):
            cell = interrupted(kernel, SLEEP.format(3.0), program)
            assert cell.error[0] == "KeyboardInterrupt"
        assert kernel.run("'works'").result == "'works'"
    program.assert_unharmed_since(before, interrupted=True)


# -- await


def test_await_in_a_loop_of_our_own(kernel: Kernel) -> None:
    code = "import asyncio\nprint('here', flush=True)\nawait asyncio.sleep(600)"
    cell, taken = seconds(kernel, code)
    assert cell.error[0] == "KeyboardInterrupt"
    assert taken < 1.5
    assert kernel.run("await asyncio.sleep(0)\n'again'").result == "'again'"


def test_computing_coroutine_in_a_loop_of_our_own(kernel: Kernel) -> None:
    code = "import asyncio\nawait asyncio.sleep(0)\nprint('here', flush=True)\nwhile True: pass"
    cell, taken = seconds(kernel, code)
    assert cell.error[0] == "KeyboardInterrupt"
    assert taken < 1.5
    assert kernel.run("await asyncio.sleep(0)\n'again'").result == "'again'"


@pytest.mark.parametrize(
    "code",
    [
        "print('here', flush=True)\nawait asyncio.sleep(600)",
        "await asyncio.sleep(0)\nprint('here', flush=True)\nwhile True: pass",
        "print('here', flush=True)\nawait asyncio.gather(*[asyncio.sleep(600) for _ in range(3)])",
        "async def f():\n    await asyncio.sleep(600)\nprint('here', flush=True)\nawait f()",
    ],
)
def test_await_in_the_loop_of_the_program(code: str) -> None:
    """The cell is stopped; the program's own tasks and its loop go on."""
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        cell, taken = seconds(kernel, f"import asyncio\n{code}")
        assert cell.error[0] == "KeyboardInterrupt"
        assert taken < 1.5
        kernel.run("await app.jobs.put('a job')")
        program.wait_for("did a job")
        assert kernel.value("len(asyncio.all_tasks(app.loop))") == 1


def test_await_that_will_not_be_cancelled() -> None:
    code = (
        "import asyncio\nleft = False\nasync def f():\n    while not left:\n"
        "        try: await asyncio.sleep(0.05)\n        except asyncio.CancelledError: pass\n"
        "print('here', flush=True)\nawait f()"
    )
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        cell = interrupted(kernel, code)
        assert "has left it to itself" in cell.error[1]
        kernel.run("await app.jobs.put('a job')")
        program.wait_for("did a job")
        kernel.run("left = True")
        eventually(lambda: kernel.value("len(asyncio.all_tasks(app.loop))") == 1)


# -- other places


def test_busy_program(kernel: Kernel) -> None:
    with Program("busy") as program, Kernel("--pid", program.pid) as own:
        cell, taken = seconds(own, "print('here', flush=True)\nwhile True: pass")
        assert cell.error[0] == "KeyboardInterrupt"
        assert taken < 2
        first = own.value("rounds")
        eventually(lambda: own.value("rounds") > first)


def test_program_of_greenlets() -> None:
    if sys.version_info[:2] != (3, 14):
        pytest.skip("gevent is installed for another Python than the target's")
    with Program("gevented", sys.executable) as program, Kernel("--pid", program.pid) as kernel:
        cell, taken = seconds(kernel, "print('here', flush=True)\nwhile True: pass")
        assert cell.error[0] == "KeyboardInterrupt"
        assert taken < 2
        kernel.run("word = 'greenlets go on'")
        program.wait_for("greenlets go on")


@pytest.mark.parametrize("name", ["idle", "hot"])
def test_one_that_comes_before_the_cell_has_begun(name: str) -> None:
    """It goes another way than the cell, and may be quicker, above all in a busy program."""
    with Program(name) as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        for _ in range(10):
            cell = kernel.begin("while True: pass")
            kernel.wait(lambda cell=cell: cell.contents("execute_input"))  # type: ignore[misc]
            kernel.interrupt()
            assert cell.finish().error == ("KeyboardInterrupt", "")
