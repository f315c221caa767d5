"""Output that comes after its cell's end, from threads and tasks which it has left running."""

from __future__ import annotations

import pytest
from kernels import Kernel
from snapshots import Program

pytestmark = [pytest.mark.attach, pytest.mark.client]

THREAD = """
import threading
goes_on, wrote = threading.Event(), threading.Event()
def work():
    while goes_on.wait() and not stopped:
        goes_on.clear()
        print('late', len(stopped))
        display('shown')
        wrote.set()
stopped = []
thread = threading.Thread(target=work)
thread.start()
"""


def test_a_thread_writes_for_the_cell_that_runs(kernel: Kernel) -> None:
    first = kernel.run(THREAD)
    second = kernel.run("goes_on.set(); wrote.wait(10)")
    assert second.stdout == "late 0\n"
    assert second.displays == [{"text/plain": "'shown'"}]
    assert first.stdout == ""
    kernel.run("stopped.append(1); goes_on.set(); thread.join()")


def test_while_none_runs_for_the_one_that_ran_last(kernel: Kernel, program: Program) -> None:
    kernel.run("import threading, time")
    cell = kernel.run(
        "def work():\n    time.sleep(0.2)\n    print('after', flush=True)\n    display('shown')\n"
        "threading.Thread(target=work).start()"
    )
    assert cell.stdout == ""
    kernel.wait(lambda: cell.displays)
    assert cell.stdout == "after\n"
    assert program.lines() == ["ready"]


def test_what_is_written_in_small_pieces_comes_without_another_cell(kernel: Kernel) -> None:
    kernel.run("import threading, time")
    cell = kernel.run(
        "def work():\n    time.sleep(0.2)\n    for n in range(50):\n        print(n)\n"
        "threading.Thread(target=work).start()"
    )
    kernel.wait(lambda: "49\n" in cell.stdout)
    assert cell.stdout == "".join(f"{n}\n" for n in range(50))


def test_a_cell_that_ends_beside_it_delays_nothing(kernel: Kernel) -> None:
    """The launcher asks for what is held back, unless nothing runs; then, too, if that was late.

    The pause is part of the case: what comes sooner than `FLUSH_AFTER` is held back.
    """
    reply = kernel.ask("create_subshell_request", "control")
    kernel.run("import threading, time\ngoes_on, wrote = threading.Event(), threading.Event()")
    cell = kernel.run(
        "def work():\n    goes_on.wait()\n    print('one')\n    wrote.set()\n"
        "    time.sleep(0.02)\n    print('two')\n"
        "threading.Thread(target=work).start()"
    )
    kernel.begin("goes_on.set(); wrote.wait()", subshell=reply["subshell_id"]).finish()
    kernel.wait(lambda: "two\n" in cell.stdout)
    assert cell.stdout == "one\ntwo\n"


def test_a_last_word_at_the_end_of_the_cell_is_not_lost(kernel: Kernel) -> None:
    """Written at any moment of the cell's end: its outcome is sent while other threads run."""
    kernel.run(
        "import threading, time\n"
        "def work(number):\n"
        "    until = time.monotonic() + 0.004 + number / 10_000\n"
        "    while time.monotonic() < until: pass\n"
        "    print('the last of', number)"
    )
    for number in range(50):
        cell = kernel.run(f"threading.Thread(target=work, args=({number},)).start()")
        cell.wait_for(f"the last of {number}\n")


def test_what_follows_when_it_was_just_asked_for_is_not_lost(kernel: Kernel) -> None:
    """Another cell's output has the launcher ask between a word and the next, which waits.

    The pauses are part of the case: each is shorter than `FLUSH_AFTER`, and both are longer.
    """
    kernel.run(
        "import sys, threading, time\n"
        "def keep(parent, work):\n"
        "    def run():\n        get_ipython().set_thread_parent(parent)\n        work()\n"
        "    threading.Thread(target=run).start()\n"
        "goes_on, spoke = threading.Event(), threading.Event()"
    )
    first = kernel.run(
        "def work():\n    goes_on.wait()\n    sys.stdout.write('first\\n')\n    spoke.set()\n"
        "keep(get_ipython().get_parent(), work)"
    )
    second = kernel.run(
        "def work():\n    spoke.wait()\n    time.sleep(0.03)\n    sys.stdout.write('one\\n')\n"
        "    time.sleep(0.03)\n    sys.stdout.write('two\\n')\n"
        "keep(get_ipython().get_parent(), work)"
    )
    kernel.run("goes_on.set()")
    kernel.wait(lambda: "two\n" in second.stdout)
    assert (first.stdout, second.stdout) == ("first\n", "one\ntwo\n")


def test_a_task_writes_for_the_cell_that_started_it(kernel: Kernel) -> None:
    kernel.run("import asyncio")
    cell = kernel.run(
        "async def work():\n    await goes_on.wait()\n    print('from the task')\n"
        "goes_on = asyncio.Event()\n"
        "task = asyncio.create_task(work())"
    )
    other = kernel.run("goes_on.set(); await task; print('other')")
    assert (cell.stdout, other.stdout) == ("from the task\n", "other\n")


def test_a_thread_keeps_the_cell_that_it_asks_for(kernel: Kernel) -> None:
    first = kernel.run(
        THREAD.replace(
            "def work():", "def work():\n    get_ipython().set_thread_parent(parent)"
        ).replace("import threading", "import threading\nparent = get_ipython().get_parent()")
    )
    second = kernel.run("goes_on.set(); wrote.wait(10)")
    assert (first.stdout, second.stdout) == ("late 0\n", "")
    kernel.run("stopped.append(1); goes_on.set(); thread.join()")


def test_the_program_is_left_as_it_was_while_one_runs(program: Program) -> None:
    """Whatever the thread writes from then on, it writes as the program does."""
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "import threading\n"
            "def work():\n"
            "    while word != 'go on': pass\n"
            "    print('as the program', flush=True)\n"
            "threading.Thread(target=work).start()"
        )
        kernel.run("%detach")
        kernel.run(f"%attach {program.pid}")
        kernel.run("word = 'go on'")
        program.wait_for("as the program")
    program.assert_unharmed_since(before)


def test_a_thread_that_fails_tells_so_in_the_notebook(kernel: Kernel, program: Program) -> None:
    kernel.run("import threading")
    cell = kernel.run("thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()")
    kernel.wait(lambda: "ZeroDivisionError" in cell.stderr)
    assert "live_kernel" not in cell.stderr
    assert program.errors() == []


def test_input_after_the_end_of_a_cell_is_refused(kernel: Kernel) -> None:
    kernel.run("import threading, time")
    cell = kernel.run(
        "def work():\n    time.sleep(0.2)\n    try: input()\n"
        "    except EOFError as error: print(error)\n"
        "threading.Thread(target=work).start()",
        allow_stdin=True,
    )
    kernel.wait(lambda: "has ended" in cell.stdout)


# -- plain cells that use a running loop


def test_a_plain_cell_may_start_a_task_in_the_programs_loop() -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import asyncio")
        kernel.run("loop = asyncio.get_running_loop(); task = asyncio.create_task(app.fetch(4))")
        assert kernel.value("loop is app.loop") is True
        assert kernel.run("await task").result == "8"
        again = kernel.run("task = loop.create_task(app.fetch(5)); task")
        assert again.result is not None
        assert again.result.startswith("<Task ")
        assert kernel.run("await task").result == "10"


def test_what_is_only_called_like_it_runs_beside_the_loop() -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "import threading\n"
            "class Board:\n"
            "    def create_task(self): return threading.get_ident()\n"
            "board = Board()"
        )
        main = kernel.value("threading.main_thread().ident")
        assert kernel.value("board.create_task()") != main
