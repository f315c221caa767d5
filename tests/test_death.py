"""Whoever dies, at whatever moment: the others hear of it, and go on unharmed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import eventually

from live_kernel.errors import AgentLost
from live_kernel.handle import attach

pytestmark = [pytest.mark.attach, pytest.mark.harm]


# -- the launcher (each step of its attach and of its cells: see faults.py)

RUNNING = {
    "Python": "print('here', flush=True)\nwhile True: pass",
    "a flood": "print('here', flush=True)\nwhile True: print('x' * 100)",
    "a question": "print('here', flush=True)\ninput()",
    "an await": "import asyncio\nprint('here', flush=True)\nawait asyncio.sleep(600)",
}


@pytest.mark.parametrize("code", ["await asyncio.sleep(600)", "while True: await asyncio.sleep(0)"])
def test_launcher_is_killed_while_a_cell_awaits_in_the_program(code: str) -> None:
    with Program("aio_idle") as program, Kernel() as kernel:
        before = program.snapshot()
        kernel.run(f"%attach {program.pid}")
        kernel.begin(f"import asyncio\nprint('here', flush=True)\n{code}").wait_for("here")
        kernel.kill()
        kernel.forget()
        program.assert_unharmed_since(before, interrupted=True)


# -- the program


def is_told(cell: Cell, program: Program, how: str) -> None:
    """The front-end hears which process ended, and how."""
    name, text = cell.finish().error
    assert name == "AgentLost"
    assert f"pid {program.pid} (" in text
    assert text.endswith(how), text
    assert "%attach" in cell.traceback


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", "was killed by SIGTERM"),
        ("import os\nos._exit(7)", "exited with status 7"),
        ("import os\nos._exit(0)", "exited normally"),
        ("import ctypes\nctypes.string_at(0)", "was killed by SIGSEGV"),
    ],
    ids=["SIGKILL", "SIGTERM", "status", "normal", "crash"],
)
def test_cell_ends_the_program(program: Program, code: str, how: str) -> None:
    program.expected_to_end = True
    with Program("frame") as other, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin(f"print('last words')\n{code}")
        behind = kernel.begin("'never'")
        is_told(cell, program, how)
        assert behind.finish().status == "aborted"
        assert "lost" in kernel.run("%status").stdout
        assert kernel.run(f"%attach {other.pid}\nword").result == "'start'"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("what", ["Python", "a flood", "a question", "an await"])
def test_program_is_killed_in_the_middle_of_a_cell(
    program: Program, what: str, number: signal.Signals
) -> None:
    program.expected_to_end = True
    with Program("frame") as other, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin(RUNNING[what], allow_stdin=True)
        cell.wait_for("here")
        program.signal(number)
        is_told(cell, program, f"was killed by {number.name}")
        assert kernel.run(f"%attach {other.pid}\nword").result == "'start'"


def test_program_is_killed_between_cells(program: Program) -> None:
    program.expected_to_end = True
    with Program("frame") as other, Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        program.signal(signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("2")
        assert cell.status == "error"
        assert "was killed by SIGKILL" in cell.traceback
        assert kernel.complete("wor") == []
        assert kernel.run(f"%attach {other.pid}\nword").result == "'start'"


def test_program_dies_under_a_handle(program: Program) -> None:
    program.expected_to_end = True
    killer = threading.Timer(0.05, program.signal, (signal.SIGKILL,))
    with attach(program.pid) as handle:
        killer.start()
        with pytest.raises(AgentLost, match="was killed by SIGKILL"):
            handle.run("while True: pass")
        with pytest.raises(AgentLost, match="was killed by SIGKILL"):
            handle.run("1")  # says it again, and does not wait for who is gone
        assert "was killed by SIGKILL" in handle.description
    killer.join()


def test_stopped_program_is_waited_for(program: Program) -> None:
    """SIGSTOP is no death: the cell goes on when the program does."""
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("print('here', flush=True)\nimport time\ntime.sleep(0.1)\n'end'")
        cell.wait_for("here")
        program.signal(signal.SIGSTOP)
        assert kernel.ask("kernel_info_request", "control")["status"] == "ok"
        assert not cell.is_done
        program.signal(signal.SIGCONT)
        assert cell.finish().result == "'end'"


# -- the other end of the link misbehaves


def test_a_program_that_breaks_the_protocol_is_let_go(program: Program) -> None:
    """A cell writes to the agent's own connection what no agent may send."""
    misuse = (
        "import sys\n"
        "(module,) = [m for n, m in sys.modules.items() if n.endswith('.agent.session')]\n"
        "(session,) = module._sessions\n"
        "session._control._socket.sendall(b'\\xff' * 8)\n"
        "while True: pass"
    )
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin(misuse)
        name, text = cell.finish().error
        assert name == "AgentLost"
        assert f"pid {program.pid} (" in text
        assert "has sent what no agent may send" in text
        assert kernel.run(f"%attach {program.pid}\n40 + 2").result == "42"


# -- the program ends by itself


@pytest.mark.parametrize(
    ("how", "status"), [("end", 0), ("exit", 3), ("_exit", 4), ("raise", 1), ("signal", -9)]
)
@pytest.mark.parametrize("cell", ["", "while True: pass", "import time\ntime.sleep(60)", "input()"])
def test_exit_is_not_delayed(how: str, status: int, cell: str) -> None:
    """With an idle agent, or one that runs a cell, whatever it does."""
    with Program("leaving") as program, Kernel("--pid", program.pid) as kernel:
        program.expected_to_end = True
        program.expected_errors = how == "raise"
        kernel.run("1")
        if cell:
            running = kernel.begin(f"print('here', flush=True)\n{cell}", allow_stdin=True)
            running.wait_for("here")
            with attach(program.pid) as handle:
                with suppress(AgentLost):  # it may be gone before it can say that it was told
                    handle.run(f"how = {how!r}")
                begin = time.monotonic()
                assert program.wait() == status
        else:
            running = kernel.begin(f"how = {how!r}\nimport time\ntime.sleep(60)")
            program.wait_for("leaving")
            begin = time.monotonic()
            assert program.wait() == status
        assert time.monotonic() - begin < 1
        name, text = running.finish().error
        assert name == "AgentLost"
        assert f"pid {program.pid} (" in text
        assert ("exit handlers" in program.lines()) is (how in ("end", "exit", "raise"))
        if how == "raise":
            assert program.errors()[0] == "Traceback (most recent call last):"
            assert program.errors()[-1] == "RuntimeError: as told"


def test_exit_with_an_idle_agent() -> None:
    with Program("leaving") as program, Kernel("--pid", program.pid) as kernel:
        program.expected_to_end = True
        cell = kernel.run("how = 'exit'")
        assert cell.status == "ok"
        assert program.wait() == 3
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        assert "exit" in kernel.run("%status").stdout


def test_long_exit_is_reported_while_it_lasts() -> None:
    """The interpreter shuts down, for as long as its threads and handlers take."""
    with Program("leaving") as program, Kernel("--pid", program.pid) as kernel:
        program.expected_to_end = True
        kernel.run(
            "import threading\nrelease = threading.Event()\n"
            "atexit.register(print, 'told first', flush=True)\n"
            "how = 'end'"
        )
        program.wait_for("told first")
        assert program.wait() == 0
        eventually(lambda: "lost" in kernel.run("%status").stdout)


def test_output_of_the_last_moments_arrives() -> None:
    with Program("leaving") as program, Kernel("--pid", program.pid) as kernel:
        program.expected_to_end = True
        cell = kernel.begin("print('last words', flush=True)\nimport os\nos._exit(0)")
        assert cell.finish().stdout == "last words\n"


# -- a child of the program


def test_death_of_a_child_is_nothing() -> None:
    with Program("forker") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("forks = 3")
        eventually(lambda: kernel.value("done") == 3)
        assert kernel.run("'alive'").result == "'alive'"


@pytest.mark.skipif(sys.platform != "linux", reason="by /proc")
def test_child_of_a_cell_may_outlive_it(program: Program) -> None:
    """It holds none of our connections: the launcher hears of the program's end all the same."""
    program.expected_to_end = True
    with Kernel("--pid", program.pid) as kernel:
        child = kernel.value("__import__('subprocess').Popen(['sleep', '600']).pid")
        program.signal(signal.SIGKILL)
        try:
            eventually(lambda: "lost" in kernel.run("%status").stdout)
        finally:
            os.kill(child, signal.SIGKILL)
