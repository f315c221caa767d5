"""Whoever dies while the program stands still for a debugger: it runs on.

Runs in pytest, against real targets. Rule: that the program goes on is told by itself, on
its stdout, and within a second or two of the death.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from targets import ROOT, eventually
from test_breakpoints import hit
from test_clients import console

pytestmark = [pytest.mark.attach, pytest.mark.harm]

WITHIN = 2.0
"""Seconds after a death in which the program must have moved: one, and one for a slow machine."""


@pytest.fixture
def program() -> Iterator[Program]:
    with Program("ticking") as program:
        before = program.snapshot()
        yield program
        program.assert_unharmed_since(before, interrupted=True)


def stands_still(program: Program, name: str) -> bool:
    """Does this thread write no more? (The other one does, all the time.)"""
    other = "beside" if name == "main" else "main"
    count = len(program.lines())
    eventually(lambda: sum(other in line for line in program.lines()[count:]) > 20)
    return not any(line.startswith(name) for line in program.lines()[count:])


def runs_on(program: Program, name: str, death: Callable[[], object]) -> None:
    count = len(program.lines())
    death()
    eventually(lambda: any(n.startswith(name) for n in program.lines()[count:]), WITHIN)


def wait_at(kernel: Kernel, state: str, name: str) -> None:
    """Bring a thread to stand still in this way."""
    hit(kernel, kernel.run(f"%break ticking.py:11 if name == {name!r}"))
    if state == "waiting":
        return
    answers = {"prompt": [], "stepped": ["n", "n"], "evaluating": ["!while True: pass"]}[state]
    kernel.answers.extend(answers)
    kernel.begin("%enter", allow_stdin=True)
    count = 1 if state == "evaluating" else len(answers) + 1
    kernel.wait(lambda: len(kernel.prompts) == count, what="the prompts")


@pytest.mark.parametrize("state", ["waiting", "prompt", "stepped", "evaluating"])
def test_the_launcher_is_killed(program: Program, state: str) -> None:
    """(While it holds the main thread: see faults.py.)"""
    with Kernel("--pid", program.pid) as kernel:
        wait_at(kernel, state, "beside")
        assert stands_still(program, "beside")
        runs_on(program, "beside", kernel.kill_for_good)


def test_the_launcher_is_killed_while_a_debugged_thread_runs(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        hit(kernel, kernel.run("%break ticking.py:11 if name == 'beside'"))
        kernel.answers.extend(["b 13 if number < 0", "c"])
        kernel.begin("%enter", allow_stdin=True)
        kernel.wait(lambda: not kernel.answers)
        kernel.kill_for_good()


@pytest.mark.parametrize("end", ["shutdown", "restart"])
@pytest.mark.parametrize("state", ["waiting", "stepped"])
def test_the_kernel_leaves(program: Program, state: str, end: str) -> None:
    with Kernel("--pid", program.pid) as kernel:
        wait_at(kernel, state, "main")
        runs_on(program, "main", getattr(kernel, end))


BREAK = "%break tick if name == 'main'"

CLIENT = """
import sys
from jupyter_client.blocking import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=20)
for code in sys.argv[2:]:
    client.execute(code, allow_stdin=True)
    if code.startswith(("%enter", "input")):
        break
    client.get_shell_msg(timeout=20)
if code.startswith(("%enter", "input")):
    client.get_stdin_msg(timeout=20)
print("asked", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_client(file: str, *codes: str) -> Iterator[subprocess.Popen[bytes]]:
    """A front-end of this kernel in a process of its own, which was asked for input."""
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, file, *codes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == b"asked\n"
        yield client
    finally:
        client.kill()
        client.communicate()


@pytest.fixture
def lonely(program: Program) -> Iterator[Kernel]:
    """A kernel whose own client has gone, but which runs on."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        kernel.client.stop_channels()
        yield kernel
        kernel.connect()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("codes", [[BREAK, "1", "%enter main"], [BREAK]])
def test_the_client_is_killed(
    program: Program, lonely: Kernel, number: int, codes: list[str]
) -> None:
    """A front-end that did not start the launcher, whose parent lives on."""
    file = lonely.manager.connection_file
    with other_client(file, *codes) as client:
        eventually(lambda: stands_still(program, "main"))
        runs_on(program, "main", lambda: os.kill(client.pid, number))


@pytest.mark.client
def test_another_front_end_keeps_it_standing(program: Program) -> None:
    """The one that asked has gone, and with it the prompt; a waiting thread has somebody yet."""
    with Kernel("--pid", program.pid) as kernel:
        hit(kernel, kernel.run("%break tick if name == 'beside'"))
        file = kernel.manager.connection_file
        with other_client(file, BREAK, "1", "%enter main") as client:
            runs_on(program, "main", client.kill)
        kernel.wait(lambda: "'beside' waits" in kernel.run("%breaks").stdout)
        assert kernel.run("%unbreak all").status == "ok"


@pytest.mark.client
def test_input_of_a_client_that_is_killed(program: Program) -> None:
    """The cell gets no answer, and fails; the kernel is there for others again."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        file = kernel.manager.connection_file
        with other_client(file, "input()") as client:
            behind = kernel.begin("3 + 4")
            client.kill()
            assert behind.finish().reply["status"] == "aborted"
            kernel.wait(lambda: kernel.run("3 + 4").status == "ok", what="the next cell")


@pytest.mark.console
@pytest.mark.parametrize("state", ["waiting", "prompt"])
def test_the_console_is_killed(
    program: Program, kernelspecs: Path, artefacts: Path, state: str
) -> None:
    with console(kernelspecs, artefacts / "screen.txt", "--pid", program.pid) as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter("%break ticking.py:11 if name == 'main'")
        terminal.wait_for("In [2]:")
        terminal.enter("1")
        terminal.wait_for("is hit: the main thread waits in tick()")
        if state == "prompt":
            terminal.wait_for("In [3]:")
            terminal.enter("%enter")
            terminal.wait_for("-> number += 1", "ipdb>")
        assert stands_still(program, "main")
        (pid,) = _children(terminal.pid)
        runs_on(program, "main", lambda: os.kill(pid, signal.SIGKILL))


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
