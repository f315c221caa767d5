"""pdb in cells: it asks the front-end, and nothing but the cell stands still.

Runs in pytest, against real targets. Rule: what a debugger changes is gone when
its cell has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import Target

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target("idle") as target:
        yield target


@pytest.fixture
def kernel(target: Target) -> Iterator[Kernel]:
    with Kernel("--pid", target.pid) as kernel:
        yield kernel


def debug(kernel: Kernel, code: str, *answers: str) -> Cell:
    """Run a cell, and type these at its prompts; all must be asked for, and no more."""
    kernel.answers.extend(answers)
    cell = kernel.run(code, allow_stdin=True)
    assert not kernel.answers, cell
    return cell


STEPS = "x = 1\nbreakpoint()\ny = x + 1\nz = y + 1\nz"


def test_it_stops_where_the_cell_says(kernel: Kernel) -> None:
    cell = debug(kernel, STEPS, "l", "p x", "n", "p word", "x = 10", "n", "p y", "c")
    assert cell.status == "ok"
    assert "  2  ->\tbreakpoint()\n  3  \ty = x + 1" in cell.stdout
    assert "\n1\n" in cell.stdout
    assert "'start'\n" in cell.stdout
    assert cell.stdout.endswith("11\n")
    assert cell.result == "12"
    assert {prompt["prompt"] for prompt in kernel.prompts} == {"ipdb> "}


def test_it_steps_into_functions_and_shows_no_frame_of_ours(kernel: Kernel) -> None:
    code = "def f(a):\n    b = a * 2\n    return b\nbreakpoint()\nf(3)"
    cell = debug(kernel, code, "n", "s", "s", "n", "p b", "w", "u", "u", "d", "d", "r", "c")
    assert cell.result == "6"
    assert "--Call--\n> <In [1]>(1)f()" in cell.stdout
    assert "--Return--\n> <In [1]>(3)f()->6" in cell.stdout
    assert "*** Oldest frame" in cell.stdout
    assert "*** Newest frame" in cell.stdout
    assert "live_kernel" not in cell.stdout


def test_breakpoints_hold_for_the_cell(kernel: Kernel) -> None:
    code = "def f(a):\n    return a\nbreakpoint()\nf(1)\nf(2)"
    cell = debug(kernel, code, "b 2", "c", "a", "c", "a", "c")
    assert cell.result == "2"
    assert "Breakpoint 1 at <In [1]>:2" in cell.stdout
    assert "a = 1\n" in cell.stdout
    assert "a = 2\n" in cell.stdout
    assert kernel.run("f(3)", allow_stdin=True).result == "3"
    assert kernel.value("__import__('bdb').Breakpoint.bpbynumber") == [None]


def test_into_the_programs_functions(kernel: Kernel) -> None:
    cell = debug(kernel, "breakpoint()\ntotal()", "n", "s", "s", "p len(orders)", "up", "c")
    assert "idle.py" in cell.stdout
    assert "-> return sum(" in cell.stdout
    assert cell.status == "ok"


def test_statements_change_what_cells_would(target: Target, kernel: Kernel) -> None:
    count = len(target.lines())
    cell = debug(
        kernel,
        "breakpoint()\n'end'",
        "word = 'by pdb'",
        "[len(word) for _ in range(2)]",
        "for n in range(2):",
        "    print('line', n)",
        "",
        "1 / 0",
        "c",
    )
    target.wait_for("word is by pdb", after=count)
    assert "[6, 6]\n" in cell.stdout
    assert "line 0\nline 1\n" in cell.stdout
    assert "*** ZeroDivisionError: division by zero" in cell.stdout
    assert "...   " in {prompt["prompt"] for prompt in kernel.prompts}
    assert kernel.value("hasattr(__import__('builtins'), '_')") is False
    kernel.run("word = 'start'")


def test_input_works_within(kernel: Kernel) -> None:
    cell = debug(kernel, "breakpoint()\nname = input('Who? ')\nname", "n", "n", "Ada", "c")
    assert cell.result == "'Ada'"
    asked = [prompt["prompt"] for prompt in kernel.prompts]
    assert asked == ["ipdb> ", "ipdb> ", "Who? ", "ipdb> "]


@pytest.mark.parametrize("stop", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_quitting_ends_the_cell_and_nothing_else(target: Target, kernel: Kernel, stop: str) -> None:
    cell = debug(kernel, f"{stop}\nprint('on')", "q")
    assert cell.error[0] == "BdbQuit"
    assert "on" not in cell.stdout.split()
    assert "line" not in cell.traceback
    assert kernel.run("1 + 1").result == "2"
    assert target.alive()


def test_a_loop_stops_each_time(kernel: Kernel) -> None:
    code = "for i in range(3):\n    breakpoint()\n'end'"
    cell = debug(kernel, code, "p i", "c", "p i", "c", "!i = 7", "i", "c")
    assert "\n0\n" in cell.stdout
    assert "\n7\n" in cell.stdout
    assert cell.result == "'end'"


def test_post_mortem(kernel: Kernel) -> None:
    kernel.run("def f(secret):\n    return 1 / secret\nf(0)")
    debug(kernel, "breakpoint()", "q")  # which is no error to look at
    for code in ("import pdb\npdb.pm()", "%debug"):
        cell = debug(kernel, code, "p secret + 7", "u", "l", "q")
        assert cell.status == "ok"
        assert "\n7\n" in cell.stdout
        assert "f(0)" in cell.stdout
    caught = "try:\n    int('x')\nexcept ValueError:\n    pdb.post_mortem()\n'after'"
    cell = debug(kernel, caught, "w", "q")
    assert "-> int('x')" in cell.stdout
    assert cell.result == "'after'"


def test_post_mortem_where_nothing_was_run(kernel: Kernel) -> None:
    kernel.run("x =")
    cell = debug(kernel, "%debug")
    assert cell.status == "ok"
    assert "no frame to look at" in cell.stderr


def test_magics(kernel: Kernel) -> None:
    cell = debug(kernel, "%debug total()", "s", "s", "c")
    assert "-> return sum(" in cell.stdout
    cell = debug(kernel, "%%debug\na = 1\nb = 2", "n", "p a", "c")
    assert "\n1\n" in cell.stdout
    assert kernel.value("a, b") == (1, 2)
    assert debug(kernel, "%%debug\na = 8\nb = 9", "n", "q").status == "ok"
    assert kernel.value("a, b") == (8, 2)
    debug(kernel, "%pdb on")
    cell = debug(kernel, "1 / 0", "p 6 * 7", "q")
    assert cell.error[0] == "ZeroDivisionError"
    assert "\n42\n" in cell.stdout
    cell = debug(kernel, "%nosuch")  # nothing of one's own to look at
    assert cell.error[0] == "UsageError"
    assert cell.stdout == ""
    debug(kernel, "%pdb off")
    assert debug(kernel, "1 / 0").error[0] == "ZeroDivisionError"


def test_a_debugger_of_ones_own(kernel: Kernel) -> None:
    cell = debug(kernel, "import pdb\npdb.run('x = 5; y = 6')", "n", "c")
    assert cell.status == "ok"
    assert {prompt["prompt"] for prompt in kernel.prompts} == {"(Pdb) "}
    debug(kernel, "pdb.Pdb().set_trace()\n'end'", "n", "c")
    assert kernel.value("pdb.Pdb._last_pdb_instance, __import__('sys').gettrace()") == (None, None)


def test_threads_of_the_cell(kernel: Kernel) -> None:
    code = (
        "import threading\ndef g():\n    breakpoint()\n    done.append(1)\ndone = []\n"
        "t = threading.Thread(target=g); t.start(); t.join()\ndone"
    )
    cell = debug(kernel, code, "n", "p done", "c")
    assert "g()\n" in cell.stdout
    assert cell.result == "[1]"


# -- interrupts


def test_an_interrupt_at_the_prompt_ends_the_debugger(kernel: Kernel) -> None:
    """As under ipykernel: the cell goes on, and those behind it are not aborted."""
    cell = kernel.begin("breakpoint()\nx = 1\n'went on'", allow_stdin=True)
    behind = kernel.begin("3 + 4")
    kernel.wait(lambda: kernel.prompts, what="the prompt")
    kernel.interrupt()
    assert cell.finish().result == "'went on'"
    assert "KeyboardInterrupt" in cell.stdout
    assert behind.finish().result == "7"


def test_after_it_an_error_is_shown_as_what_it_is(kernel: Kernel) -> None:
    cell = kernel.begin("breakpoint()\n1 / 0", allow_stdin=True)
    kernel.wait(lambda: kernel.prompts, what="the prompt")
    kernel.interrupt()
    assert cell.finish().error[0] == "ZeroDivisionError"


def test_a_cell_that_goes_on_after_it_can_be_interrupted_again(kernel: Kernel) -> None:
    code = "breakpoint()\nprint('on', flush=True)\nwhile True: pass"
    cell = kernel.begin(code, allow_stdin=True)
    kernel.wait(lambda: kernel.prompts, what="the prompt")
    kernel.interrupt()
    cell.wait_for("on\n")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"


def test_what_runs_on_can_be_interrupted(kernel: Kernel) -> None:
    code = "def f():\n    while True: pass\nbreakpoint()\nprint('here', flush=True)\nf()"
    kernel.answers.extend(["b 5", "disable 1", "c"])  # traced, but nowhere to stop
    cell = kernel.begin(code, allow_stdin=True)
    cell.wait_for("here")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert kernel.value("__import__('sys').gettrace()") is None


def test_what_is_evaluated_at_the_prompt_can_be_interrupted(kernel: Kernel) -> None:
    kernel.answers.append("!while print('here', flush=True) or True: pass")
    cell = kernel.begin("breakpoint()\n'end'", allow_stdin=True)
    cell.wait_for("here")
    count = len(kernel.prompts)
    kernel.answers.append("c")
    kernel.interrupt()
    assert cell.finish().result == "'end'"
    assert "*** KeyboardInterrupt" in cell.stdout
    assert len(kernel.prompts) == count + 1


# -- who can't be asked


def test_a_front_end_that_can_not_be_asked(kernel: Kernel) -> None:
    cell = kernel.run("for _ in range(3): breakpoint()\n'went on'")
    assert cell.result == "'went on'"
    assert cell.stderr.count("breakpoint() is passed over: this front-end can't be asked") == 1


def test_the_programs_main_thread_is_never_stopped() -> None:
    """There the event loop runs that a cell awaits in."""
    with Target("aio_idle") as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("import asyncio")
        cell = debug(kernel, "await asyncio.sleep(0)\nbreakpoint()\n'went on'")
        assert cell.result == "'went on'"
        assert "main thread" in cell.stderr


def test_a_cell_that_awaits_in_a_loop_of_ours(kernel: Kernel) -> None:
    kernel.run("import asyncio")
    code = "breakpoint()\nawait asyncio.sleep(0)\nx = 'end'\nx"
    cell = debug(kernel, code, "n", "n", "n", "c")
    assert cell.result == "'end'"
    assert "-> x = 'end'" in cell.stdout


# -- harm


@pytest.mark.harm
def test_nothing_is_left_of_it() -> None:
    with Program("threaded") as program:
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("import pdb, asyncio, logging, concurrent.futures")
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            debug(kernel, STEPS, "b 5", "n", "n", "c", "c")
            debug(kernel, "import pdb\npdb.set_trace()", "q")
            kernel.run("1 / 0")
            debug(kernel, "pdb.pm()", "p 1", "q")
            state = "(pdb.Pdb._last_pdb_instance, pdb.Pdb._file_mtime_table, sys.gettrace())"
            assert kernel.run(f"import sys\n{state}").result == "(None, {}, None)"
            assert kernel.value("sys.monitoring.get_tool(0)") is None
        program.assert_unharmed_since(before)


HOOKED = """
import sys, threading, time
sys.breakpointhook = lambda *_: print("the program's own", flush=True)
go = threading.Event()
def work():
    while True:
        go.wait(); go.clear()
        breakpoint()
threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.005)
"""


@pytest.mark.harm
def test_the_program_keeps_its_breakpoints_and_goes_on(tmp_path: Path) -> None:
    program = tmp_path / "hooked.py"
    program.write_text(HOOKED)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.begin("breakpoint()\n'end'", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the prompt")
        kernel.client.input("go.set()")
        target.wait_for("the program's own")
        kernel.wait(lambda: len(kernel.prompts) == 2, what="the next prompt")
        kernel.client.input("c")
        assert cell.finish().result == "'end'"
        assert kernel.run("go.set()").status == "ok"
        assert "the program's own" not in cell.text
