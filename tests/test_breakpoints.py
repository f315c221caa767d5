"""Breakpoints in the running program: `%break`, `%breaks`, `%unbreak`.

Runs in pytest, against real targets. Rule: a thread that stands still is let go before
the test ends, and the program is asked whether it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import PROGRAMS, Target

pytestmark = pytest.mark.client

SOURCE = (PROGRAMS / "debugged.py").read_text().splitlines()


def line_of(text: str) -> int:
    """The number of the line of `debugged.py` that begins so, or does between other code."""
    (number,) = [n for n, line in enumerate(SOURCE, 1) if line.strip().startswith(text)]
    return number


SQUARED = line_of("squared =")


@pytest.fixture(scope="module")
def target() -> Iterator[Program]:
    with Program("debugged") as target:
        yield target


@pytest.fixture
def kernel(target: Program) -> Iterator[Kernel]:
    with Kernel("--pid", target.pid) as kernel:
        kernel.run("import sys")
        yield kernel


def moves(kernel: Kernel, *names: str) -> bool:
    """Do these loops of the program go on?"""
    code = f"_before = [turns[n] for n in {names!r}]\nimport time; time.sleep(0.1)\n"
    return bool(kernel.run(code).status) and bool(
        kernel.value(
            f"[turns[n] > b for n, b in zip({names!r}, _before)].count(True) == {len(names)}"
        )
    )


def hit(kernel: Kernel, cell: Cell, text: str = "%enter takes it up") -> str:
    """Wait until the cell that has set a breakpoint is told that it was hit."""
    kernel.wait(lambda: text in cell.stderr, what="the hit")
    return cell.stderr


# -- stopping


def test_only_the_thread_that_hits_it_waits(kernel: Kernel) -> None:
    cell = kernel.run(f"%break debugged.py:{SQUARED} if name == 'one'")
    assert cell.stdout == f"Breakpoint 1: debugged.py:{SQUARED} in step(), if name == 'one'\n"
    told = hit(kernel, cell)
    assert f"thread 'one' waits in step() at debugged.py:{SQUARED}." in told
    assert moves(kernel, "main", "two")
    assert not moves(kernel, "one")
    table = kernel.run("%breaks").stdout
    assert "if name == 'one', thread 'one' waits" in table
    assert "Removed 1" in kernel.run("%unbreak 1").stdout
    assert moves(kernel, "main", "one", "two")
    assert kernel.run("%breaks").stdout == "There are no breakpoints.\n"


def test_the_next_cell_is_told_too(kernel: Kernel) -> None:
    cell = kernel.run("%break step if told and name == 'one'")
    during = kernel.run("told = told + 1")
    hit(kernel, cell)
    kernel.wait(lambda: "waits in" in during.notes + kernel.run("1").notes, what="the notice")
    kernel.run("%unbreak all")
    kernel.run("told = 0")


def test_the_main_thread_and_a_module(kernel: Kernel) -> None:
    """The frame that runs the script's own code is stopped, too."""
    line = line_of('turns["main"] =')
    cell = kernel.run(f"%break {line}")
    assert f"debugged.py:{line} in <module>" in cell.stdout
    assert "the main thread waits" in hit(kernel, cell)
    assert moves(kernel, "one", "two")
    assert not moves(kernel, "main")
    kernel.run("%unbreak all")
    assert moves(kernel, "main")


def test_at_detach_it_goes_on(target: Program) -> None:
    before = target.snapshot()
    with Kernel("--pid", target.pid) as kernel:
        hit(kernel, kernel.run("%break step"))
    target.assert_unharmed_since(before)
    with Kernel("--pid", target.pid) as kernel:
        assert moves(kernel, "main", "one", "two")


def test_hits_are_counted_and_tools_given_back(kernel: Kernel) -> None:
    assert kernel.value("[sys.monitoring.get_tool(n) for n in range(6)]") == [None] * 6
    kernel.run("%break --log name step if name == 'main'")
    kernel.run("%break --log 1 numbers")
    assert "live-kernel: breakpoints" in kernel.value(
        "[sys.monitoring.get_tool(n) for n in range(6)]"
    )
    kernel.run("list(numbers(3)); list(numbers(4))")
    rows = kernel.run("%breaks").stdout.splitlines()
    assert rows[1].split()[0] == "1"
    assert rows[2].split()[-3:] == ["2", "logs", "1"]
    kernel.run("%unbreak 1")
    assert "live-kernel: breakpoints" in kernel.value(
        "[sys.monitoring.get_tool(n) for n in range(6)]"
    )
    kernel.run("%unbreak all")
    assert kernel.value("[sys.monitoring.get_tool(n) for n in range(6)]") == [None] * 6


# -- logging


def test_values_are_logged_below_the_cell(kernel: Kernel) -> None:
    cell = kernel.run(
        f"%break --log doubled if doubled % 2 else -doubled debugged.py:{SQUARED} if name == 'one'"
    )
    assert "Logs 1: " in cell.stdout
    kernel.wait(lambda: cell.stdout.count("= -") > 5, what="values")
    assert f"debugged.py:{SQUARED} doubled if doubled % 2 else -doubled = -" in cell.stdout
    assert moves(kernel, "main", "one", "two")
    kernel.run("%unbreak all")


def test_too_much_is_left_out_and_said_to_be(kernel: Kernel) -> None:
    kernel.run("def often():\n    return 1")
    cell = kernel.run("%break --log 'here' often")
    kernel.run("for _ in range(20_000): often()")
    kernel.wait(lambda: "more, left out" in cell.stdout, what="the rest")
    assert 100 <= cell.stdout.count("= 'here'") < 1000
    assert " 20000 " in kernel.run("%breaks").stdout
    kernel.run("%unbreak all")


def test_a_value_that_can_not_be_had(kernel: Kernel) -> None:
    cell = kernel.run("%break --log nowhere + 1 step if name == 'one'")
    kernel.wait(lambda: "nowhere + 1 = raises NameError" in cell.stdout, what="the error")
    kernel.run("%unbreak all")


# -- conditions


def test_a_condition_that_raises_is_told_once_and_is_no_hit(kernel: Kernel) -> None:
    cell = kernel.run("%break step if missing > 1")
    kernel.wait(lambda: "condition raises NameError" in cell.stderr, what="the error")
    assert moves(kernel, "main", "one", "two")
    assert cell.stderr.count("NameError") == 1
    assert " 0  if missing > 1" in kernel.run("%breaks").stdout
    kernel.run("%unbreak all")


def test_a_condition_sees_what_is_there_and_the_notebook(kernel: Kernel) -> None:
    """Also within a generator; of a function of the notebook's, all that a cell sees."""
    kernel.run("least, squared = 3, 'hidden by that of the frame'")
    condition = "any(n * doubled < squared for n in (1, least)) and turns and name == 'one'"
    cell = kernel.run(f"%break --log squared > least debugged.py:{SQUARED + 1} if {condition}")
    kernel.wait(lambda: "squared > least = True" in cell.stdout, what="a value")
    assert cell.stderr == ""
    kernel.run("def mine(a):\n    return a + 1")
    cell = kernel.run("%break --log turns mine if least and turns and len")
    kernel.run("mine(1)")
    kernel.wait(lambda: "turns = {'main'" in cell.stdout, what="a value")
    kernel.run("%unbreak all")


@pytest.mark.parametrize(
    "code", ["%break step if 1 +", "%break --log 1 + step", "%break step if x = 1"]
)
def test_what_is_no_expression(kernel: Kernel, code: str) -> None:
    assert kernel.run(code).error[0] in ("ExpressionInvalid", "CommandMisused")
    assert kernel.run("%breaks").stdout == "There are no breakpoints.\n"


# -- places


def test_places(kernel: Kernel, target: Program) -> None:
    def place(text: str) -> str:
        cell = kernel.run(f"%break --log 1 {text} if False")
        kernel.run("%unbreak")
        return cell.stdout.partition(": ")[2].partition(", if False")[0]

    inside = line_of("answer =")
    assert place(f"programs/debugged.py:{inside}") == f"debugged.py:{inside} in decorated()"
    assert place(f"{PROGRAMS}/debugged.py:{inside}") == f"debugged.py:{inside} in decorated()"
    defined = line_of("def decorated") - 1
    for text in (
        "decorated",
        f"debugged.py:{defined}",
        f"debugged.py:{defined + 1}",
        "decorated()",
    ):
        assert place(text).endswith(", when decorated() is called"), text
        assert place(text).startswith("debugged.py:"), text
    assert place("Worker.turn").endswith("when Worker.turn() is called")
    assert place("threading.Thread.start").endswith("when Thread.start() is called")
    assert place("functools.partial.__repr__" if False else "functools.wraps").startswith(
        "functools.py"
    )
    assert place(f"{inside}") == f"debugged.py:{inside} in decorated()"
    for text in ("wrapper", "traced.wrapper", "traced.<locals>.wrapper"):
        assert place(text).endswith("when traced.<locals>.wrapper() is called"), text


def test_what_the_user_should_know_of_a_place(kernel: Kernel) -> None:
    cell = kernel.run("%break --log 1 decorated if False")
    assert "(decorated is decorated: this is about decorated() at debugged.py:" in cell.stdout
    assert "(it is a closure: " in kernel.run("%break --log 1 wrapper if False").stdout
    kernel.run("%unbreak all")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", "CommandMisused", "needs a place"),
        ("nowhere.py:3", "FileUnknown", "nowhere.py"),
        ("debugged.py:2", "LineUnknown", "nearest lines with code are"),
        ("no_such_function", "NoSuchFunction", "no_such_function"),
        ("len", "NotAPythonFunction", "no Python code"),
        ("__init__.py:1", "PlaceAmbiguous", "more of the path"),
        ("a b", "CommandMisused", "one place"),
    ],
)
def test_places_that_are_none(kernel: Kernel, text: str, error: str, words: str) -> None:
    cell = kernel.run(f"%break {text}")
    assert cell.error[0] == error
    assert words in cell.traceback
    assert kernel.run("%breaks").stdout == "There are no breakpoints.\n"


# -- cells


def test_a_cell_that_hits_it_is_asked_at_once(kernel: Kernel) -> None:
    kernel.run(f"%break debugged.py:{SQUARED} if name == 'cell'")
    kernel.answers.extend(["p doubled", "n", "doubled = 1", "p squared", "u", "c"])
    cell = kernel.run("step('cell', 5)", allow_stdin=True)
    assert not kernel.answers
    assert cell.result == "100"
    assert "Breakpoint 1 at" in cell.stdout
    assert "\n10\n" in cell.stdout
    assert "-> step('cell', 5)" in cell.stdout
    kernel.answers.append("q")
    assert kernel.run("step('cell', 5)", allow_stdin=True).error[0] == "BdbQuit"
    cell = kernel.run("step('cell', 5)")
    assert (cell.result, "can't be asked" in cell.stderr) == ("100", True)
    kernel.run("%unbreak all")
    assert kernel.run("sys.gettrace()").result is None


def test_a_cell_stops_each_time_and_once(kernel: Kernel) -> None:
    kernel.run(f"%break debugged.py:{line_of('square =')}")
    kernel.answers.extend(["p each", "c", "p each", "n", "n", "c", "p each + 40", "c"])
    cell = kernel.run("list(numbers(3))", allow_stdin=True)
    assert not kernel.answers
    assert cell.result == "[0, 1, 4]"
    assert [t for t in ("0", "1", "42") if f"\n{t}\n" not in cell.stdout] == []
    kernel.run("%unbreak all")


def test_functions_of_cells(kernel: Kernel) -> None:
    kernel.run("def mine(a):\n    b = a + 1\n    return b")
    kernel.run("%break mine if a > 1")
    kernel.answers.extend(["p a", "c"])
    assert kernel.run("mine(1), mine(2)", allow_stdin=True).result == "(2, 3)"
    kernel.run("%unbreak all")


def test_what_looks_at_the_program_is_not_stopped(target: Program, kernel: Kernel) -> None:
    """A `__repr__` that completion runs, on a thread of ours."""
    kernel.run("class Shown:\n    def __repr__(self):\n        return 'shown'\nshown = Shown()")
    kernel.run("%break Shown.__repr__")
    reply = kernel.ask("inspect_request", code="shown", cursor_pos=5, detail_level=0)
    assert "shown" in reply["data"]["text/plain"]
    kernel.run("%unbreak all")


# -- programs of other kinds


LOOP = """
import asyncio
count = 0
async def tick(name):
    global count
    while True:
        await asyncio.sleep(0.005)
        count += 1
        note(name)
def note(name):
    return name
async def main():
    print("ready", flush=True)
    await asyncio.gather(tick("a"), tick("b"))
asyncio.run(main())
"""


def test_an_event_loop_that_stands_still_is_told_of(tmp_path: Path) -> None:
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.run("%break loop.py:9 if name == 'b'")
        assert "all tasks of the loop wait, too" in hit(kernel, cell)
        kernel.answers.extend(["p name", "n", "n", "p count", "u", "c"])
        entered = kernel.run("%enter", allow_stdin=True)
        assert "'b'\n" in entered.stdout
        assert "await asyncio.sleep" in entered.stdout
        kernel.run("%unbreak all")
        count = kernel.value("count")
        kernel.wait(lambda: kernel.value("count") > count, what="the loop")


FORKS = """
import os, sys, time
def work():
    return os.getpid()
print("ready", flush=True)
while not os.path.exists(PLACE):
    time.sleep(0.005)
if os.fork() == 0:
    print("child", work() == os.getpid(), flush=True)
    print("with", {sys.monitoring.get_tool(n) for n in range(6)}, flush=True)
    os._exit(0)
os.wait()
print("parent goes on", flush=True)
while True: time.sleep(0.005)
"""


def test_a_forked_child_passes_it(tmp_path: Path) -> None:
    program = tmp_path / "forks.py"
    program.write_text(f"PLACE = {str(tmp_path / 'go')!r}\n" + FORKS)
    with Target(program, options=["-W", "ignore"]) as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("%break work")
        kernel.run("%trace work --beside")
        tools = kernel.value("{sys.monitoring.get_tool(n) for n in range(6)}")
        assert tools == {None, "live-kernel: breakpoints", "live-kernel: traces"}
        (tmp_path / "go").touch()
        target.wait_for("child True")
        target.wait_for("with {None}")
        target.wait_for("parent goes on")
        assert not target.errors()


LEAVES = """
import atexit, os, time
def last():
    print("last", flush=True)
atexit.register(last)
print("ready", flush=True)
while not os.path.exists(PLACE):
    time.sleep(0.005)
"""


def test_an_exit_is_not_kept_waiting(tmp_path: Path) -> None:
    program = tmp_path / "leaves.py"
    program.write_text(f"PLACE = {str(tmp_path / 'go')!r}\n" + LEAVES)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        assert "when last() is called" in kernel.run("%break last").stdout
        (tmp_path / "go").touch()
        target.wait_for("last")
        assert target.wait() == 0


OBSERVED = """
import sys, threading, time
M = sys.monitoring
seen, traced = [], []
def work(n):
    n += 1
    n += 2
    return n
def on_line(code, line):
    seen.append(line)
M.use_tool_id(M.COVERAGE_ID, "theirs")
M.use_tool_id(3, "theirs, too")
M.register_callback(M.COVERAGE_ID, M.events.LINE, on_line)
M.set_local_events(M.COVERAGE_ID, work.__code__, M.events.LINE)
def trace(frame, event, argument):
    traced.append(event)
    return trace
def beside():
    sys.settrace(trace)
    while True:
        time.sleep(0.005)
        work(1)
threading.Thread(target=beside, daemon=True, name="beside").start()
print("ready", flush=True)
while True:
    work(1)
    time.sleep(0.005)
"""


def test_a_program_that_observes_itself_goes_on_doing_so(tmp_path: Path) -> None:
    program = tmp_path / "observed.py"
    program.write_text(OBSERVED)
    with Program(program) as target:
        before = target.snapshot()
        with Kernel("--pid", target.pid) as kernel:
            cell = kernel.run("%break observed.py:7 if threading.current_thread().name == 'beside'")
            hit(kernel, cell)
            kernel.answers.extend(["n", "n", "n", "q"])
            kernel.run("%enter", allow_stdin=True)
            kernel.run("%unbreak all")
            kernel.run("seen.clear(); traced.clear()")
            kernel.wait(lambda: kernel.value("len(seen) > 9 and len(traced) > 9"), what="theirs")
            assert kernel.value("set(seen)") == {6, 7, 8}
            assert kernel.value("set(traced) >= {'call', 'line', 'return'}") is True
        target.assert_unharmed_since(before, interrupted=True)


def test_two_sessions(target: Program, kernel: Kernel) -> None:
    with Kernel("--pid", target.pid) as other:
        cell = kernel.run(f"%break debugged.py:{SQUARED} if name == 'one'")
        beside = other.run(f"%break debugged.py:{SQUARED} if name == 'two'")
        hit(kernel, cell)
        hit(other, beside)
        assert "'two'" not in cell.stderr
        assert "'one'" not in beside.stderr
        assert other.run("%enter one", allow_stdin=True).error[0] == "ThreadWaits"
        kernel.run("%unbreak all")
        assert moves(kernel, "one", "main")
        assert not moves(other, "two")
        other.run("%unbreak all")
        assert moves(kernel, "one", "main", "two")


def test_a_program_that_uses_all_of_monitoring(kernel: Kernel) -> None:
    kernel.run("for n in range(3, 6): sys.monitoring.use_tool_id(n, 'theirs')")
    cell = kernel.run("%break step")
    assert cell.error[0] == "NoToolFree"
    assert kernel.run("%breaks").stdout == "There are no breakpoints.\n"
    kernel.run("for n in range(3, 6): sys.monitoring.free_tool_id(n)")


def test_another_sessions_cells_are_not_asked(target: Program, kernel: Kernel) -> None:
    with Kernel("--pid", target.pid) as other:
        kernel.run("%break step if name == 'cell'")
        assert other.run("step('cell', 3)", allow_stdin=True).result == "36"
        kernel.run("%unbreak all")


def test_help_and_completion(kernel: Kernel) -> None:
    assert "%breaks" in kernel.complete("%break")
    assert kernel.complete("%break --") == ["--log"]
    assert "decorated" in kernel.complete("%break deco")
    assert kernel.complete("%unbreak ") == ["all"]
    shown = kernel.run("%enter?").payload
    assert "Debug a thread of the program" in str(shown)
