"""`%enter`: pdb on threads of the running program.

Runs in pytest, against real targets. Rule: whatever a test does at a prompt, the program is
found running and untraced afterwards.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import Target, python315
from test_breakpoints import SQUARED, hit, line_of, moves
from test_clients import console

pytestmark = pytest.mark.client


@pytest.fixture
def target() -> Iterator[Program]:
    with Program("debugged") as target:
        before = target.snapshot()
        yield target
        target.assert_unharmed_since(before, interrupted=True)


@pytest.fixture
def kernel(target: Program) -> Iterator[Kernel]:
    with Kernel("--pid", target.pid) as kernel:
        kernel.run("import sys")
        yield kernel


def enter(kernel: Kernel, *answers: str, thread: str = "") -> Cell:
    """Enter a thread, and type these at its prompts; all must be asked for, and no more."""
    kernel.answers.extend(answers)
    cell = kernel.run(f"%enter {thread}", allow_stdin=True)
    assert not kernel.answers, cell
    assert cell.status == "ok", cell
    return cell


def begin(kernel: Kernel, *answers: str, thread: str = "") -> Cell:
    """Enter a thread, type these at its prompts, and wait for one more prompt."""
    count = len(kernel.prompts) + len(answers)
    kernel.answers.extend(answers)
    cell = kernel.begin(f"%enter {thread}", allow_stdin=True)
    kernel.wait(lambda: len(kernel.prompts) > count, what="the prompt")
    return cell


def stop(kernel: Kernel, name: str = "one", text: str = "squared =") -> None:
    hit(kernel, kernel.run(f"%break debugged.py:{line_of(text)} if name == {name!r}"))


def goes_on(kernel: Kernel) -> None:
    kernel.run("%unbreak all")
    assert moves(kernel, "main", "one", "two")


# -- from a breakpoint


@pytest.mark.parametrize("name", ["one", "main"])
def test_commands(kernel: Kernel, name: str) -> None:
    stop(kernel, name)
    cell = enter(
        kernel,
        *("w", "l", "a", "p doubled", "pp [doubled]", "whatis doubled", "!doubled = 3"),
        *("n", "p squared", "n", "s" if name == "main" else "r", "u", "p name", "d", "c"),
    )
    assert {prompt["prompt"] for prompt in kernel.prompts} == {"ipdb> "}
    assert f"{SQUARED}  ->\t    squared = doubled * doubled" in cell.stdout
    assert f"name = {name!r}\n" in cell.stdout
    assert "\n9\n" in cell.stdout
    assert "live_kernel" not in cell.stdout
    goes_on(kernel)


def test_stepping_in_and_out(kernel: Kernel) -> None:
    stop(kernel, "one", "doubled =")
    cell = enter(kernel, "r", "retval", "n", "s", "s", "s", "s", "unt", "r", "w", "q")
    assert "--Return--" in cell.stdout
    assert "--Call--" in cell.stdout
    assert "-> return function(*args)" in cell.stdout
    assert "-> total = decorated(result)" in cell.stdout
    assert "decorated()\n-> answer = value + 1" in cell.stdout
    goes_on(kernel)


def test_what_is_assigned_sticks_and_nothing_else(kernel: Kernel) -> None:
    stop(kernel, "one")
    kernel.run("helper = lambda value: value * 100")
    cell = enter(
        kernel,
        *("doubled = 7", "new = 5", "[doubled + n for n in range(2)]", "helper(doubled)"),
        *("p helper(1)", "told = 77", "1 / 0", "for n in range(2):", "    print('line', n)", ""),
        *("n", "squared", "locals().keys() >= {'new'}", "q"),
    )
    assert "[7, 8]\n" in cell.stdout
    assert "700\n" in cell.stdout
    assert "\n49\n" in cell.stdout
    assert "*** ZeroDivisionError" in cell.stdout
    assert "line 0\nline 1\n" in cell.stdout
    assert kernel.value("new, told") == (5, 77)
    assert kernel.value("'new' in vars(sys.modules['__main__'])") is False
    kernel.run("told = 0")
    goes_on(kernel)


def test_prints_of_statements_are_the_cells_and_no_others(target: Program, kernel: Kernel) -> None:
    stop(kernel, "one")
    cell = enter(kernel, "print('mine')", "told = 5", "n", "n", "q")
    target.wait_for("told 5")
    assert "mine\n" in cell.stdout
    assert "told 5" not in cell.stdout
    assert "mine" not in "\n".join(target.lines())
    kernel.run("told = 0")
    goes_on(kernel)


@pytest.mark.parametrize("name", ["one", "main"])
def test_interact(kernel: Kernel, name: str) -> None:
    stop(kernel, name)
    cell = enter(
        kernel,
        *(
            "interact",
            "doubled = 4",
            "def twice(value):",
            "    return value * 2",
            "",
            "twice(doubled)",
        ),
        *("1 +", "exit", "n", "p squared", "q"),
    )
    prompts = [prompt["prompt"] for prompt in kernel.prompts]
    assert prompts[1:3] == [">>> ", ">>> "]
    assert "... " in prompts
    assert "\n8\n" in cell.stdout
    assert "*** SyntaxError" in cell.stdout
    assert "\n16\n" in cell.stdout
    goes_on(kernel)


def test_breakpoints_of_the_prompt(kernel: Kernel) -> None:
    stop(kernel, "one")
    answers = (f"b {line_of('total =')}", f"tbreak {line_of('answer =')}", "b", "c", "p result")
    cell = enter(kernel, *answers, "c", "w", "cl 1", "b", "q")
    assert "Breakpoint 1 at" in cell.stdout
    assert "Deleted breakpoint 2" in cell.stdout
    assert "Deleted breakpoint 1" in cell.stdout
    assert "-> total = decorated(result)" in cell.stdout
    assert "-> answer = value + 1" in cell.stdout
    goes_on(kernel)
    assert kernel.value("__import__('bdb').Breakpoint.bpbynumber") == [None]


def test_continue_lets_it_run_to_the_next_hit(kernel: Kernel) -> None:
    cell = kernel.run(f"%break debugged.py:{SQUARED} if name == 'one'")
    hit(kernel, cell)
    first = kernel.value("turns['one']")
    enter(kernel, "c")
    kernel.wait(lambda: cell.stderr.count("%enter takes it up") == 2, what="the next hit")
    enter(kernel, "n", "c")
    kernel.wait(lambda: cell.stderr.count("%enter takes it up") == 3, what="the next hit")
    assert kernel.value("turns['one']") == first + 2
    goes_on(kernel)


def test_stepping_over_breakpoints_stops_once_at_each(kernel: Kernel) -> None:
    stop(kernel, "one", "doubled =")
    kernel.run(f"%break debugged.py:{SQUARED}  if name == 'one'")
    cell = enter(kernel, "n", "n", "c")
    assert cell.stdout.count("-> squared =") == 1
    goes_on(kernel)


def test_continuing_from_a_line_with_a_breakpoint_is_no_hit_of_it(kernel: Kernel) -> None:
    first = kernel.run(f"%break debugged.py:{line_of('doubled =')} if name == 'one'")
    hit(kernel, first)
    second = kernel.run(f"%break debugged.py:{SQUARED} if name == 'one'")
    for _ in range(2):
        count = first.stderr.count("is hit")
        assert "-> squared =" in enter(kernel, "n", "c").stdout
        kernel.wait(lambda count=count: first.stderr.count("is hit") > count, what="the next hit")
    assert "is hit" not in second.stderr
    enter(kernel, "c")
    hit(kernel, second)
    goes_on(kernel)


def test_a_loop_stops_each_time(kernel: Kernel) -> None:
    """Also while the thread is traced, for a breakpoint of the prompt's that is not met."""
    line = line_of("worker.turn(")
    hit(kernel, kernel.run(f"%break {line} if name == 'one'"))
    unmet = f"b {line_of('square =')}"
    cell = enter(kernel, "p count * 1000", unmet, "c", "p count * 1000", "c", "p count * 1000", "q")
    counts = [int(text) for text in cell.stdout.splitlines() if text.endswith("000")]
    assert counts == [counts[0], counts[0] + 1000, counts[0] + 2000]
    goes_on(kernel)


def test_which_thread(kernel: Kernel) -> None:
    stop(kernel, "one")
    stop(kernel, "two")
    assert "'one'\n" in enter(kernel, "p name", "q", thread="one").stdout
    kernel.run("%break step if name == 'main'")
    kernel.wait(lambda: "the main thread waits" in kernel.run("%breaks").stdout)
    assert "'main'\n" in enter(kernel, "p name", "q").stdout
    assert kernel.run("%enter nobody", allow_stdin=True).error[0] == "ThreadUnknown"
    assert kernel.run("%enter one").error[0] == "InputNeeded"
    own = kernel.value("__import__('threading').get_ident()")
    assert kernel.run(f"%enter {own}", allow_stdin=True).error[0] == "ThreadOfTheKernel"
    goes_on(kernel)


# -- a thread that runs, or waits


@pytest.mark.parametrize("thread", ["", "one"])
def test_a_thread_that_runs(kernel: Kernel, thread: str) -> None:
    cell = enter(kernel, "w", "n", "n", "n", "p turns", "s", "detach", thread=thread)
    assert "debugged.py(" in cell.stdout
    assert "live_kernel" not in cell.stdout
    goes_on(kernel)


BLOCKED = """
import queue, threading, time
things = queue.Queue()
got = []
def take():
    while True:
        thing = things.get()
        got.append(thing)
def rest():
    while True:
        time.sleep(600)
threading.Thread(target=take, daemon=True, name="taker").start()
threading.Thread(target=rest, daemon=True, name="rester").start()
print("ready", flush=True)
is_blocked = False
while not is_blocked:
    time.sleep(0.005)
while True:
    time.sleep(600)
"""


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[Program]:
    program = tmp_path / "blocked.py"
    program.write_text(BLOCKED)
    with Program(program, options=["-X", "faulthandler"]) as target:
        before = target.snapshot()
        yield target
        target.assert_unharmed_since(before, interrupted=True)


@contextmanager
def attached(target: Target) -> Iterator[Kernel]:
    with Kernel("--pid", target.pid) as kernel:
        kernel.run("is_blocked = True")
        yield kernel


@pytest.mark.parametrize("thread", ["main", "rester"])
def test_a_thread_that_sleeps(blocked: Program, thread: str) -> None:
    """The prompt comes at once; `next` then waits, as in any debugger, until an interrupt."""
    with attached(blocked) as kernel:
        cell = begin(kernel, "w", thread=thread)
        assert "-> time.sleep(600)" in cell.stdout
        kernel.client.input("n")
        beside = kernel.ask("complete_request", code="got", cursor_pos=3)
        assert beside["matches"] == ["got"]
        kernel.interrupt()
        assert cell.finish().status == "ok"
        assert "the debugger has ended, and the program goes on" in cell.stderr


def test_next_waits_for_what_is_waited_for(blocked: Program) -> None:
    with attached(blocked) as kernel:
        kernel.run("%break blocked.py:8")
        kernel.run("things.put('first')")
        kernel.wait(lambda: "waits" in kernel.run("%breaks").stdout, what="the hit")
        kernel.run("things.put('second')")
        cell = enter(kernel, "p thing", "n", "n", "n", "p thing", "c", thread="taker")
        assert "'first'\n" in cell.stdout
        assert "'second'\n" in cell.stdout
        kernel.run("%unbreak all")
        kernel.wait(lambda: kernel.value("len(got)") == 2, what="both")


def test_a_thread_that_waits_for_a_lock(blocked: Program) -> None:
    """It can't be entered there, which is said; and it can be given up."""
    with Kernel("--pid", blocked.pid) as kernel:
        cell = kernel.begin("%enter taker", allow_stdin=True)
        kernel.wait(lambda: "Waiting for that thread" in cell.stderr, what="the word of it")
        kernel.interrupt()
        assert cell.finish().status == "ok"
        kernel.run("things.put('first')")
        kernel.wait(lambda: kernel.value("len(got)") == 1, what="the first")
        assert not kernel.prompts


def test_leaving_one_that_waits_for_a_lock(blocked: Program) -> None:
    """Its frames are given back at once; when it wakes nothing is left of us."""
    with Kernel("--pid", blocked.pid) as kernel:
        kernel.run("%break blocked.py:8")
        kernel.run("things.put('first')")
        kernel.wait(lambda: "waits" in kernel.run("%breaks").stdout, what="the hit")
        kernel.answers.extend(["n", "n", "n"])
        kernel.begin("%enter taker", allow_stdin=True)
        kernel.wait(lambda: not kernel.answers, what="the answers")
    with Kernel("--pid", blocked.pid) as kernel:
        kernel.run("things.put('second')")
        kernel.wait(lambda: kernel.value("len(got)") == 2, what="the second")
        cell = kernel.run("%break --log __import__('sys').gettrace() blocked.py:8")
        kernel.run("things.put('third')")
        kernel.wait(lambda: "= None" in cell.stdout, what="no trace function")


KEEPS = """
import time
class Thing: pass
made = []
def use(thing):
    thing.used = True
    return None
print("ready", flush=True)
while True:
    use(Thing())
    time.sleep(0.005)
"""


def test_nothing_is_kept_alive(tmp_path: Path) -> None:
    program = tmp_path / "keeps.py"
    program.write_text(KEEPS)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("import weakref, gc; gc.disable()")
        hit(kernel, kernel.run("%break use"))
        enter(kernel, "n", "seen = weakref.ref(thing)", "p thing", "n", "u", "w", "q")
        kernel.run("%unbreak all")
        kernel.wait(lambda: kernel.value("seen()") is None, what="its death")
        kernel.run("gc.enable()")


SHORT = """
import threading, time
names = []
def short(name):
    names.append(name)
print("ready", flush=True)
while True:
    thread = threading.Thread(target=short, args=("made",))
    thread.start()
    thread.join()
    time.sleep(0.005)
"""


def test_a_thread_that_ends(tmp_path: Path) -> None:
    program = tmp_path / "short.py"
    program.write_text(SHORT)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        hit(kernel, kernel.run("%break short.py:5"))
        cell = kernel.begin("%enter", allow_stdin=True)
        while not cell.is_done:
            kernel.wait(lambda: cell.is_done or kernel.prompts, what="a prompt or the end")
            if kernel.prompts:
                kernel.prompts.clear()
                kernel.client.input("n")
        assert "The thread has ended." in cell.text
        kernel.run("%unbreak all")
        count = kernel.value("len(names)")
        kernel.wait(lambda: kernel.value("len(names)") > count, what="the next thread")


# -- its end


@pytest.mark.parametrize("name", ["one", "main"])
def test_an_interrupt_at_the_prompt(kernel: Kernel, name: str) -> None:
    stop(kernel, name)
    cell = begin(kernel, "n")
    behind = kernel.begin("3 + 4")
    kernel.interrupt()
    assert cell.finish().status == "ok"
    assert behind.finish().result == "7"
    goes_on(kernel)


@pytest.mark.parametrize("name", ["one", "main"])
def test_an_interrupt_of_a_statement(kernel: Kernel, name: str) -> None:
    stop(kernel, name)
    kernel.answers.append("while print('here', flush=True) or True: pass")
    cell = kernel.begin("%enter", allow_stdin=True)
    cell.wait_for("here")
    kernel.answers.extend(["p doubled", "q"])
    kernel.interrupt()
    assert cell.finish().status == "ok"
    assert "*** KeyboardInterrupt" in cell.stdout
    goes_on(kernel)


def test_an_interrupt_while_it_runs_on(kernel: Kernel) -> None:
    """To a breakpoint of the prompt's that it never reaches."""
    stop(kernel, "one")
    kernel.answers.extend([f"b {line_of('square =')}", "c"])
    cell = kernel.begin("%enter", allow_stdin=True)
    kernel.wait(lambda: not kernel.answers, what="the answers")
    beside = kernel.ask("complete_request", code="turns", cursor_pos=5)
    assert beside["status"] == "ok"
    kernel.interrupt()
    assert cell.finish().status == "ok"
    goes_on(kernel)


def test_the_programs_own_interrupt_reaches_it(tmp_path: Path) -> None:
    program = tmp_path / "stoppable.py"
    program.write_text(STOPPABLE)
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        for at_prompt in (True, False):
            cell = kernel.run("%break work")
            hit(kernel, cell)
            count = len(target.lines())
            if at_prompt:
                cell = begin(kernel, "p 1")
            target.signal(signal.SIGINT)
            target.wait_for("KeyboardInterrupt", after=count)
            if at_prompt:
                assert cell.finish().status == "ok"
            kernel.run("%unbreak all")
            target.wait_for("goes on", after=count)


STOPPABLE = """
import time
def work():
    time.sleep(0.002)
print("ready", flush=True)
while True:
    try:
        work()
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
        time.sleep(0.05)
        print("goes on", flush=True)
"""


@pytest.mark.parametrize("answers", [(), ("n",), ("n", "n", "!doubled = 1")])
def test_detach_in_the_middle(target: Program, answers: tuple[str, ...]) -> None:
    before = target.snapshot()
    for name in ("one", "main"):
        with Kernel("--pid", target.pid) as kernel:
            kernel.run("import sys")
            stop(kernel, name)
            begin(kernel, *answers)
        target.assert_unharmed_since(before, interrupted=True)
    with Kernel("--pid", target.pid) as kernel:
        assert moves(kernel, "main", "one", "two")


# -- an event loop


LOOP = """
import asyncio
counts = {"a": 0, "b": 0}
tasks = []
async def tick(name):
    while True:
        counts[name] += 1
        before = counts[name]
        await asyncio.sleep(0.005)
        after = counts[name]
async def main():
    tasks.extend(asyncio.create_task(tick(name)) for name in counts)
    print("ready", flush=True)
    await asyncio.gather(*tasks)
asyncio.run(main())
"""


def test_stepping_over_an_await(tmp_path: Path) -> None:
    """The loop works meanwhile, and so do its other tasks."""
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    with Program(program) as target:
        before = target.snapshot()
        with Kernel("--pid", target.pid) as kernel:
            hit(kernel, kernel.run("%break loop.py:8 if name == 'a'"))
            answers = ["p counts", "n", "n", "p name", "p counts", "n", "c"]
            cell = enter(kernel, *answers)
            assert "-> await asyncio.sleep(0.005)" in cell.stdout
            assert "-> after = counts[name]" in cell.stdout
            assert "'a'\n" in cell.stdout
            first, second = [eval(t) for t in cell.stdout.splitlines() if t.startswith("{'a'")]
            assert second["a"] == first["a"]
            assert second["b"] >= first["b"]
            kernel.run("%unbreak all")
            assert kernel.value("[t.get_coro().cr_frame.f_trace for t in tasks]") == [None, None]
            count = kernel.value("counts['a']")
            kernel.wait(lambda: kernel.value("counts['a']") > count, what="the loop")
        target.assert_unharmed_since(before, interrupted=True)


# -- the console


@pytest.mark.console
def test_in_the_console(target: Program, kernelspecs: Path, artefacts: Path) -> None:
    with console(kernelspecs, artefacts / "screen.txt", "--pid", target.pid) as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter(f"%break debugged.py:{SQUARED} if name == 'one'")
        terminal.wait_for("Breakpoint 1: debugged.py", "In [2]:")
        terminal.enter("1")
        terminal.wait_for("is hit: thread 'one' waits in step()", "In [3]:")
        terminal.enter("%enter")
        terminal.wait_for("-> squared = doubled * doubled", "ipdb>")
        terminal.enter("doubled = 11")
        terminal.wait_for("ipdb>", times=2)
        terminal.enter("n")
        terminal.wait_for("-> return squared")
        terminal.enter("p squared + 1000000")
        terminal.wait_for("1000121")
        terminal.enter("interact")
        terminal.wait_for(">>>")
        terminal.enter("squared * 1000")
        terminal.wait_for("121000")
        terminal.enter("exit")
        terminal.wait_for("ipdb>", times=5)
        terminal.type("C-c")
        terminal.wait_for("In [4]:")
        terminal.enter("%unbreak all")
        terminal.wait_for("In [5]:")
        terminal.enter("%enter two")
        terminal.wait_for("ipdb>", times=6)
        terminal.enter("q")
        terminal.wait_for("In [6]:")
        terminal.enter("%breaks")
        terminal.wait_for("There are no breakpoints.", "In [7]:")
        terminal.enter("exit")
        assert terminal.wait_for_end() == 0


# -- another Python


def test_in_python_315() -> None:
    with Program("debugged", python315()) as target:
        before = target.snapshot()
        with Kernel("--pid", target.pid) as kernel:
            kernel.run("import sys")
            for name in ("one", "main"):
                stop(kernel, name)
                answers = [
                    "w",
                    "n",
                    "p squared",
                    "interact",
                    "doubled",
                    "exit",
                    "r",
                    "n",
                    "unt",
                    "q",
                ]
                assert "--Return--" in enter(kernel, *answers).stdout
                goes_on(kernel)
            enter(kernel, "w", "n", "s", f"b {SQUARED}", "c", "p name", "cl 1", "c", thread="main")
            goes_on(kernel)
        target.assert_unharmed_since(before, interrupted=True)


FORKING = """
import os, time
def work(count):
    if count > 0 and count % 5 == 0 and os.fork() == 0:
        here = os.getpid()
        print("child", here, flush=True)
        os._exit(0)
    if count % 5 == 0 and count > 0:
        os.wait()
print("ready", flush=True)
count = 0
while not os.path.exists(PLACE):
    time.sleep(0.005)
while True:
    work(count)
    count += 1
    time.sleep(0.005)
"""


def test_a_fork_while_it_is_debugged(tmp_path: Path) -> None:
    """The child has no debugger, and nobody to ask."""
    program = tmp_path / "forking.py"
    program.write_text(f"PLACE = {str(tmp_path / 'go')!r}\n" + FORKING)
    with Target(program, options=["-W", "ignore"]) as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.run("%break forking.py:5 if count == 5")
        (tmp_path / "go").touch()
        hit(kernel, cell)
        enter(kernel, "s", "n", "n", "n", "q")
        target.wait_for("child")
        kernel.run("%unbreak all")
        count = kernel.value("count")
        kernel.wait(lambda: kernel.value("count") > count + 10, what="the program")
        assert not target.errors()
