"""Cells on the main thread of programs whose event loops are written in C, idle and at work."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
from displays import Display, libraries_of_tcl, needs
from kernels import Kernel
from snapshots import Program
from targets import eventually

pytestmark = [pytest.mark.attach, pytest.mark.client]

Start = Callable[..., Program]

QT = [binding for binding in ("PySide6", "PyQt6") if binding == "PySide6" or find_spec(binding)]

LOOPS = {
    "tk": ("tk_window",),
    **{binding: ("qt_window", binding) for binding in QT},
    "uvloop": ("uvlooped",),
    "uvloop out of sight": ("uvlooped", "own"),
    "gevent": ("gevent_idle",),
}
"""By name: a program, and its arguments. It stands in its loop, and ticks while `mode` is busy."""

NATIVE_ID = "__import__('threading').get_native_id()"


@pytest.fixture(scope="module")
def display() -> Iterator[Display]:
    with Display() as running:
        yield running


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Start:
    """Starts one of the programs, with what its library needs."""

    def started(loop: str, *more: str) -> Program:
        program, *arguments = *LOOPS[loop], *more
        env: dict[str, str] = {}
        if loop == "tk":
            env = {"DISPLAY": request.getfixturevalue("display").name, **libraries_of_tcl()}
        elif loop in QT:
            env = {"QT_QPA_PLATFORM": "offscreen"}
            needs(f"{loop}.QtWidgets")
        return Program(program, sys.executable, arguments, env)

    return started


def set_mode(kernel: Kernel, mode: str) -> None:
    """Have the program tick, or wait until it does no more."""
    kernel.run(f"mode = {mode!r}")
    if mode == "idle":
        kernel.wait_until_still("ticks")


def visit(kernel: Kernel, program: Program) -> None:
    """Run cells on the main thread, at once, without a word on waiting for it."""
    for number in range(5):
        cell = kernel.run(f"%%main\nprint('here')\n{number}, ticks > 0, {NATIVE_ID}")
        assert cell.result == f"({number}, True, {program.pid})", cell
        assert (cell.stdout, cell.stderr) == ("here\n", "")
    failed = kernel.run("%%main\n1 / 0")
    assert failed.error == ("ZeroDivisionError", "division by zero")
    assert "live_kernel" not in failed.traceback


@pytest.mark.parametrize("mode", ["idle", "busy"])
@pytest.mark.parametrize("loop", LOOPS)
def test_cells_on_the_main_thread(start: Start, loop: str, mode: str) -> None:
    with start(loop) as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            set_mode(kernel, mode)
            visit(kernel, program)
            limited = kernel.run("%%main --at-most 0.1s\nwhile True: pass")
            assert limited.error[0] == "KeyboardInterrupt"
            cell = kernel.begin("%%main\nimport time\nprint('begun', flush=True)\ntime.sleep(600)")
            if loop == "gevent":  # its `sleep` switches to other greenlets: see below
                assert cell.finish().error[0] == "BlockingSwitchOutError"
                cell = kernel.begin("%%main\nprint('begun', flush=True)\nwhile True: pass")
            cell.wait_for("begun")
            kernel.interrupt()
            assert cell.finish().error[0] == "KeyboardInterrupt"
            visit(kernel, program)
            assert kernel.run("caught").result == "[]"
        program.assert_unharmed_since(before, interrupted=True)


@pytest.mark.parametrize("loop", ["tk", *QT, "uvloop"])
def test_an_idle_loop_is_woken_to_be_entered(start: Start, loop: str) -> None:
    """Where it is asked for: nothing from outside comes into these by itself."""
    with start(loop) as program:
        with Kernel("--pid", program.pid) as kernel:
            set_mode(kernel, "idle")
        before = program.snapshot()
        with Kernel("--pid", program.pid, "--wake") as kernel:
            visit(kernel, program)
        program.assert_unharmed_since(before, interrupted=True)


@pytest.mark.parametrize("mode", ["idle", "busy"])
@pytest.mark.parametrize("loop", LOOPS)
def test_signals_reach_the_program_once_each(start: Start, loop: str, mode: str) -> None:
    with start(loop) as program, Kernel("--pid", program.pid) as kernel:
        program.expected_errors = loop == "gevent"  # it tells of each Ctrl-C
        set_mode(kernel, mode)
        waits = "import time\ngo = []\nprint('begun', flush=True)\nwhile not go: sum(range(1000))"
        cell = kernel.begin(f"%%main\n{waits}\ncaught[:]")
        cell.wait_for("begun")
        program.signal(signal.SIGUSR1)
        subshell = kernel.ask("create_subshell_request", "control")["subshell_id"]
        kernel.begin("go.append(1)", subshell=subshell).finish()
        assert cell.finish().result == "[]"
        kernel.run("while not caught: pass")
        if loop == "uvloop out of sight":  # this one's Ctrl-C would end it
            return
        cell = kernel.begin("%%main\nprint('begun', flush=True)\nwhile True: sum(range(1000))")
        cell.wait_for("begun")
        os.kill(program.pid, signal.SIGINT)
        assert cell.finish().error[0] == "KeyboardInterrupt"
        assert "The program was sent SIGINT" in cell.stderr
        kernel.run("while len(caught) < 2: pass")
        visit(kernel, program)
        assert kernel.run("caught").result == "['SIGUSR1', 'Ctrl-C']"


# -- windows


def test_a_signal_that_waits_in_an_idle_window_is_not_lost(start: Start) -> None:
    """Tk looks for signals after an event only: the next one there is that which lets us in."""
    with start("tk") as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, "idle")
        program.signal(signal.SIGINT)
        visit(kernel, program)
        assert kernel.run("caught").result == "['Ctrl-C']"


def test_widgets_of_tk(start: Start) -> None:
    with start("tk") as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, "idle")
        made = "other = tk.Label(window, text='new'); other.pack()"
        cell = kernel.run(f"%%main\nlabel['text'] = 'set'\n{made}\nwindow.update()\nlabel['text']")
        assert cell.result == "'set'"
        assert kernel.run("%%main\nother['text'], len(window.children)").result == "('new', 2)"
        kernel.run("%%main\nwindow.after(0, ask)")
        kernel.run("import __main__\nwhile not hasattr(__main__, 'dialogue'): pass")
        visit(kernel, program)
        kernel.run("%%main\ndialogue.destroy()")
        program.wait_for("closed")
        visit(kernel, program)


def test_a_dialogue_of_tk_outside_its_main_loop(start: Start) -> None:
    """Where other threads may not use Tk: so it is again afterwards."""
    uses = "label['text']"
    with start("tk", "asks") as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, "idle")
        for _ in range(2):
            assert kernel.run(f"%%main\n{uses}, {NATIVE_ID}").result == f"('start', {program.pid})"
        assert kernel.run(uses).error[1] == "main thread is not in main loop"
        kernel.run("%%main\ndialogue.destroy()")
        program.wait_for("closed")
        visit(kernel, program)
        assert kernel.run(uses).result == "'start'"


@pytest.mark.parametrize("binding", QT)
def test_widgets_of_qt(start: Start, binding: str) -> None:
    with start(binding) as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, "idle")
        made = "other = QtWidgets.QLabel('new', label); other.show()"
        changed = f"label.setText('set')\n{made}\napplication.processEvents()\nlabel.text()"
        assert kernel.run(f"%%main\n{changed}").result == "'set'"
        cell = kernel.run("%%main\nother.text(), other.thread() == application.thread()")
        assert cell.result == "('new', True)"
        kernel.run("%%main\nQtCore.QTimer.singleShot(0, ask)")
        visit(kernel, program)
        kernel.run("%%main\ndialogue.done(0)")
        program.wait_for("closed")
        visit(kernel, program)


# -- event loops


@pytest.mark.parametrize("loop", ["uvloop", "uvloop out of sight"])
@pytest.mark.parametrize("mode", ["idle", "busy"])
def test_cells_in_a_loop_of_uvloop(start: Start, loop: str, mode: str) -> None:
    with start(loop) as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, mode)
        for _ in range(5):
            cell = kernel.run("await asyncio.sleep(0.01)\nasyncio.get_running_loop() is loop")
            assert cell.result == "True"
            cell = kernel.run(f"%%loop\nasyncio.get_running_loop() is loop, {NATIVE_ID}")
            assert cell.result == f"(True, {program.pid})"
        assert kernel.run("%%loop --at-most 0.1s\nwhile True: pass").status == "error"
        cell = kernel.begin("print('begun', flush=True)\nawait asyncio.sleep(600)")
        cell.wait_for("begun")
        kernel.interrupt()
        assert cell.finish().status == "error"
        assert kernel.run("caught").result == "[]"


def test_greenlets(start: Start) -> None:
    """A cell that finds all of them asleep runs in their hub, which can't wait for one."""
    with start("gevent") as program, Kernel("--pid", program.pid) as kernel:
        set_mode(kernel, "idle")
        waited = kernel.run("%%main\ntime.sleep(0.01)")
        assert waited.error[0] == "BlockingSwitchOutError"
        kernel.run("%%main\nimport gevent\ndone = gevent.spawn(lambda: caught.append('ran'))")
        kernel.run("while not caught: pass")
        set_mode(kernel, "busy")
        kernel.run("%%main\ngevent.spawn(tick)")
        before = int(str(kernel.run("ticks").result))
        eventually(lambda: int(str(kernel.run("ticks").result)) > before)
