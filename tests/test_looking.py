"""Looks at what the program does: from inside, from outside, while a cell runs, in every front-end.

Runs in pytest, with real programs: one whose GIL is kept by C code, one that is blocked
before the kernel is in, one that is stopped.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
from elsewhere import Elsewhere
from kernels import Cell, Kernel
from snapshots import Program
from targets import Target, eventually, older_launcher, python315
from terminals import Terminal
from test_clients import console

from live_kernel.attach import outside
from live_kernel.attach.processes import identify
from live_kernel.launcher.sources import Sources

pytestmark = [pytest.mark.attach, pytest.mark.client]

PROGRAMS = Path(__file__).parent / "programs"


def line_of(program: str, text: str = "# here") -> int:
    lines = (PROGRAMS / f"{program}.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def look(kernel: Kernel, code: str) -> str:
    """The text of what it shows."""
    cell = kernel.run(code)
    assert cell.status == "ok", cell
    (data,) = cell.displays
    assert set(data) == {"text/plain", "text/html"}
    return str(data["text/plain"])


def row(text: str, name: str) -> str:
    """The line of a table that begins so."""
    (found,) = [line for line in text.splitlines() if re.match(rf"\W*{re.escape(name)}\b", line)]
    return found


@contextmanager
def inside(program: Target) -> Iterator[Kernel]:
    """A kernel that is in the program: on a slow machine, a look does not wait for that."""
    with Kernel("--pid", program.pid) as kernel:
        assert kernel.run("None").status == "ok"
        yield kernel


@pytest.fixture
def stuck() -> Iterator[Program]:
    with Program("stuck") as program:
        yield program


def hold_the_gil(program: Target) -> None:
    """Have its C code keep the GIL; returns when it does."""
    program.send("hold")
    process = identify(program.pid)

    def held() -> bool:
        return any(t.holds_gil and t.state.syscall == "read" for t in outside.threads(process))

    eventually(held, what="the GIL is kept")


# -- from inside


def test_threads(stuck: Program) -> None:
    with inside(stuck) as kernel:
        text = look(kernel, "%threads")
        assert text.splitlines()[0].split() == [
            "Thread",
            "Id",
            "Ident",
            "State",
            "At",
            "GIL",
            "CPU",
        ]
        main = row(text, "MainThread")
        assert f" {stuck.pid} " in main
        assert "waits: epoll_" in main
        assert "<module> at stuck.py:" in main
        assert "(asyncio.run)" in main
        orders = row(text, "orders")
        assert "waits: read of pipe" in orders
        assert "wait_for_orders at stuck.py:" in orders
        assert "of the kernel's" in text
        assert "live-kernel" not in text
        assert "%" not in text
        again = look(kernel, "%threads")
        assert re.search(r"\d\.\d\d s, \d+%", row(again, "orders")), "the share since the last look"


def test_a_busy_thread_has_used_the_processor() -> None:
    with Program("busy") as program, inside(program) as kernel:
        look(kernel, "%threads")
        kernel.run("import time; time.sleep(0.2)")

        def share() -> int:
            found = re.search(r"s, (\d+)%", row(look(kernel, "%threads"), "MainThread"))
            assert found is not None
            return int(found[1])

        eventually(lambda: share() > 0)
        eventually(lambda: "has it" in row(look(kernel, "%threads"), "MainThread"))
        assert (
            "runs"
            in eventually(
                lambda: re.search(r"\bruns\b.*", row(look(kernel, "%threads"), "MainThread"))
            ).group()
        )  # type: ignore[union-attr]


def test_stack() -> None:
    with Program("frame") as program, inside(program) as kernel:
        text = look(kernel, "%stack")
        lines = text.splitlines()
        assert lines[0] == "thread MainThread"
        assert lines[1].split() == ["#", "Function", "Place", "Source"]
        assert re.fullmatch(r'  0  <module> +frame\.py:\d+ +work\("start"\)', lines[2])
        assert re.match(r"→ 1  work +frame\.py:\d+", lines[3])
        assert look(kernel, "%stack MainThread").splitlines()[2].startswith("  0  <module>")
        cell = kernel.run("%stack nobody")
        assert cell.error == ("LookRefused", "no thread or task is called 'nobody'")
        assert "Threads: MainThread" in cell.traceback


def test_where() -> None:
    with Program("frame") as program, inside(program) as kernel:
        text = look(kernel, "%where")
        assert re.match(r"Cells see work\(\) at frame\.py:\d+ \(frame 1 of 2\)\.\n", text)
        assert re.search(r"\n→ +\d+  ", text)
        assert "def work(word):" in text or "while count < limit" in text or "return count" in text
        assert "\nThe main thread " in text
        assert text.endswith("at frame.py:19, in `work`.") or "in `work`" in text


def test_tasks_are_a_tree(stuck: Program) -> None:
    with inside(stuck) as kernel:
        text = look(kernel, "%tasks")
        lines = text.splitlines()
        assert lines[0].split() == ["#", "Task", "State", "At", "Loop", "on"]
        main = next(line for line in lines if " main at " in line)
        assert "MainThread" in main
        below = lines[lines.index(main) + 1 :]
        gathered = next(line for line in below if "─ gathered" in line)
        assert "waits for 2 tasks" in gathered
        two = below[below.index(gathered) + 1 :][:2]
        assert all("fetch at stuck.py" in line and "─ Task-" in line for line in two), text
        fetch = next(line for line in below if "fetch-1" in line)
        assert "waits: asyncio.sleep" in fetch
        assert [line for line in lines if "<i>loop</i>" in line] != [], "the loop of another thread"
        number = fetch.split()[0]
        kernel.run(f"%task {number}")
        assert kernel.value("page") == "page 1"
        assert "Cells see fetch() at stuck.py" in look(kernel, "%tasks")
        assert "asyncio" not in look(kernel, "%stack fetch-1").splitlines()[0]


def test_the_kernels_own_is_left_out(stuck: Program) -> None:
    with inside(stuck) as kernel:
        cell = kernel.begin("import asyncio\nawait asyncio.sleep(1000)")

        def tasks() -> str:
            text = look(kernel, "%tasks")
            assert "_guard" not in text
            return text

        eventually(lambda: "and 1 of the kernel's" in tasks(), what="the cell's own")
        before = len(tasks().splitlines())
        for command in ("%threads", "%stack", "%where"):
            text = look(kernel, command)
            assert "live_kernel" not in text
            assert "channel.py" not in text
        assert len(tasks().splitlines()) == before
        kernel.interrupt()
        assert cell.finish().error[0] == "KeyboardInterrupt"


class Page(HTMLParser):
    """The tags of a piece of HTML, as a browser takes them, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("command", ["%threads", "%tasks", "%stack", "%where"])
def test_what_the_program_calls_its_own_is_escaped(stuck: Program, command: str) -> None:
    with inside(stuck) as kernel:
        (data,) = kernel.run(command).displays
        assert "\x1b" not in data["text/plain"]
        page = Page(data["text/html"])
        known = {"table", "thead", "tbody", "tr", "th", "td", "caption", "div", "pre"}
        assert set(page.tags) <= known
        assert "\x1b" not in "".join(page.texts)
        if "table" in page.tags:
            assert ("scope", "col") in page.attributes
        if command == "%stack":
            assert page.attributes.count(("aria-current", "true")) == 1, "what cells see"
        if command == "%tasks":
            assert any("<b>fetch-2" in text for text in page.texts)


# -- while a cell runs


@pytest.fixture
def running(kernel: Kernel) -> Iterator[tuple[Kernel, Cell]]:
    cell = kernel.begin("print('begun', flush=True)\nwhile True: pass")
    cell.wait_for("begun")
    yield kernel, cell
    if not cell.is_done:
        kernel.interrupt()
        cell.finish()


@pytest.mark.parametrize("command", ["%threads", "%stack", "%tasks", "%where", "%status", "%ps"])
def test_a_look_overtakes_the_cell_that_runs(running: tuple[Kernel, Cell], command: str) -> None:
    kernel, cell = running
    seen = kernel.run(command)
    assert seen.status == "ok"
    assert seen.text.strip()
    assert not cell.is_done
    states = [c["execution_state"] for c in seen.contents("status")]
    assert states == ["busy", "idle"]
    assert {m["execution_state"] for m in cell.contents("status")} == {"busy"}

    def shown() -> str:
        states = [m["content"] for m in kernel.messages if m["msg_type"] == "status"]
        return str(states[-1]["execution_state"])

    kernel.wait(lambda: shown() == "busy", what="what the front-end shows of the kernel")


def test_numbers_queue_and_interrupt_are_the_cells(running: tuple[Kernel, Cell]) -> None:
    kernel, cell = running
    waiting = kernel.begin("'after'")
    seen = kernel.run("%threads")
    wrong = kernel.run("%stack nobody")
    assert wrong.error[0] == "LookRefused"
    assert not waiting.messages, "it waits still, and the failed look has not aborted it"
    assert cell.contents("execute_input")[0]["execution_count"] == 1
    assert seen.reply["execution_count"] == 2
    assert wrong.reply["execution_count"] == 3
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert waiting.finish().reply["status"] == "aborted"
    assert kernel.run("'next'").reply["execution_count"] == 4


def test_a_cell_with_code_waits_its_turn(running: tuple[Kernel, Cell]) -> None:
    kernel, cell = running
    mixed = kernel.begin("%threads\n1 + 1")
    assert kernel.run("%where").status == "ok"
    assert not mixed.messages
    kernel.interrupt()
    cell.finish()
    assert mixed.finish().reply["status"] == "aborted"


def test_a_look_that_was_sent_with_the_cell_before_it_waits(kernel: Kernel) -> None:
    """ "Run All": it shows what that cell has done."""

    def begin(code: str) -> Cell:
        content = {"code": code, "allow_stdin": False}
        return Cell(kernel, kernel.send("execute_request", content, metadata={"cellId": "c"}))

    kernel.run("import threading; stop = threading.Event()")
    first = begin(
        "print('begun', flush=True)\n"
        "thread = threading.Thread(target=stop.wait, name='of the cell')\n"
        "thread.start()"
    )
    second = begin("%threads")
    assert "of the cell" in second.finish().text
    assert first.is_done
    kernel.run("stop.set()\nthread.join()")


# -- from outside


@pytest.mark.parametrize("version", ["3.14", pytest.param("3.15", marks=pytest.mark.python315)])
def test_c_code_keeps_the_gil(version: str) -> None:
    python = python315() if version == "3.15" else None
    with Program("stuck", python) as program, inside(program) as kernel:
        kernel.run("%threads")
        hold_the_gil(program)
        line = line_of("stuck")
        holds = rf"The GIL is held by holder \(\d+\), which waits in read.* at stuck\.py:{line}"
        text = look(kernel, "%threads")
        assert "It does not answer: read from outside." in text
        assert "has it" in row(text, "holder")
        assert text.count("has it") == 1
        assert re.search(holds, text), text
        assert f"hold at stuck.py:{line}" in row(text, "holder")
        assert "MainThread" in text
        text = look(kernel, "%stack holder")
        assert "read from outside" in text
        assert re.search(rf"hold +stuck\.py:{line} +ctypes\.PyDLL", text)
        assert re.search(holds, look(kernel, "%stack")), "of the main thread"
        text = look(kernel, "%tasks")
        assert "─ fetch-1" in text
        assert re.search(holds, text), text
        text = look(kernel, "%where")
        assert "The main thread waits in epoll_" in text
        assert re.search(holds, text), text
        assert kernel.run("%stack nobody").error[0] == "LookRefused"
        program.send("go on")
        program.wait_for("let go")
        assert kernel.value("1 + 1") == 2
        assert "from outside" not in look(kernel, "%threads")


def test_a_cell_keeps_the_gil(stuck: Program) -> None:
    with inside(stuck) as kernel:
        kernel.run("import ctypes, os; ours, theirs = os.pipe()")  # the second cell
        cell = kernel.begin("ctypes.PyDLL(None).read(ours, ctypes.create_string_buffer(9), 9)")
        process = identify(stuck.pid)
        eventually(lambda: any(t.holds_gil and t.is_kernels for t in outside.threads(process)))
        eventually(lambda: "The GIL is held by a cell's thread" in look(kernel, "%threads"))
        assert "at <In [3]>:1" in look(kernel, "%where")
        Path(f"/proc/{stuck.pid}/fd/{theirs_of(stuck)}").write_bytes(b"x")
        assert cell.finish().status == "ok"


def theirs_of(program: Program) -> str:
    """The descriptor at which the pipe of the cell is written: its newest."""
    pipes = [
        name
        for name, link in program.from_outside()["descriptors"].items()
        if link.startswith("pipe:") and int(name) > 2
    ]
    return max(pipes, key=int)


@pytest.mark.parametrize("version", ["3.14", pytest.param("3.15", marks=pytest.mark.python315)])
def test_before_the_kernel_is_in(version: str) -> None:
    python = python315() if version == "3.15" else None
    with (
        Target("blocked_in", python, args=["get"]) as target,
        Kernel("--pid", target.pid) as kernel,
    ):
        waiting = kernel.begin("1 + 1")
        kernel.wait(lambda: waiting.contents("execute_input"))
        text = look(kernel, "%threads")
        assert "The program is not entered yet: read from outside." in text
        line = line_of("blocked_in", "queue.Queue().get()")
        assert f"get at blocked_in.py:{line} (queue.Queue.get)" in row(text, "MainThread")
        assert f"\n→ {line:>4}      queue.Queue().get()" in look(kernel, "%where")
        assert "queue.Queue().get()  # here" in look(kernel, "%stack")
        assert "There are no asyncio tasks." in look(kernel, "%tasks")
        assert not waiting.is_done
        kernel.interrupt()
        assert waiting.finish().error[0] == "TargetBlocked"


def test_a_first_look_waits_for_no_attach_that_may_not_come() -> None:
    with Target("blocked_in", args=["lock"]) as target, Kernel("--pid", target.pid) as kernel:
        assert "(a lock)" in look(kernel, "%threads")
        kernel.interrupt()  # between cells: the attach goes on
        assert "injecting" in kernel.run("%status").stdout


def test_a_stopped_program(stuck: Program) -> None:
    with Kernel("--pid", stuck.pid) as kernel:
        kernel.run("%threads")
        stuck.signal(signal.SIGSTOP)
        try:
            eventually(lambda: "stopped" in row(look(kernel, "%threads"), "MainThread"))
            assert "The main thread is stopped" in look(kernel, "%where")
        finally:
            stuck.signal(signal.SIGCONT)


def test_a_program_that_has_ended() -> None:
    with Target("stuck") as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("1")
        target.close()
        cell = kernel.run("%threads")
        assert cell.status == "error"
        assert cell.error[0] in ("TargetNotFound", "AgentLost")


@pytest.mark.older
def test_an_older_launcher_reads_from_outside() -> None:
    with (
        Target("blocked_in", args=["get"]) as target,
        Kernel("--pid", target.pid, python=older_launcher()) as kernel,
    ):
        assert "(queue.Queue.get)" in row(look(kernel, "%threads"), "MainThread")


def test_a_look_changes_nothing(stuck: Program) -> None:
    before = stuck.snapshot()
    with inside(stuck) as kernel:
        for command in ("%threads", "%stack", "%stack orders", "%tasks", "%where", "%task fetch-1"):
            assert kernel.run(command).status == "ok"
        hold_the_gil(stuck)
        for command in ("%threads", "%stack", "%tasks", "%where"):
            look(kernel, command)
        stuck.send("go on")
        stuck.wait_for("let go")
        assert kernel.value("page") == "page 1"
    stuck.after_leaving()
    stuck.assert_unharmed_since(before)


@pytest.mark.root
@pytest.mark.parametrize("kind", ["a private root", "all namespaces"])
def test_a_program_in_a_container(kind: str) -> None:
    """Its threads have other numbers than ours, and its files are elsewhere."""
    with Elsewhere("stuck", kind) as program, inside(program) as kernel:
        text = look(kernel, "%threads")
        assert "wait_for_orders at stuck.py" in row(text, "orders")
        assert "asyncio.run" in row(text, "MainThread")
        assert "no Python runs" not in text
        assert "await asyncio.sleep(1000)" in look(kernel, "%stack fetch-1")
        hold_the_gil(program)
        text = look(kernel, "%threads")
        assert "read from outside" in text
        assert "has it" in row(text, "holder")
        assert f"hold at stuck.py:{line_of('stuck')}" in row(text, "holder")
        assert "ctypes.PyDLL" in look(kernel, "%stack holder")
        program.send("go on")
        program.wait_for("let go")


# -- the parts


def test_only_plain_files_are_read_as_source(tmp_path: Path) -> None:
    import os

    fifo, large = tmp_path / "fifo", tmp_path / "large"
    os.mkfifo(fifo)
    with large.open("wb") as file:
        file.truncate(1 << 30)
    good = tmp_path / "good.py"
    good.write_text("first\n  second\n")
    sources = Sources(os.getpid())
    assert sources.line(str(good), 2) == "second"
    assert [sources.line(str(p), 1) for p in (fifo, large, tmp_path / "none", "<x>")] == [""] * 4
    assert (sources.line(str(good), 0), sources.line(str(good), 99)) == ("", "")


@pytest.mark.console
def test_in_a_console(stuck: Program, kernelspecs: Path, artefacts: Path) -> None:
    with console(kernelspecs, artefacts / "screen.txt", "--pid", stuck.pid) as terminal:
        terminal.wait_for("In [1]:", "Target: pid")
        terminal.enter("%threads")
        terminal.wait_for("Thread ", "MainThread", "wait_for_orders at stuck.py", "In [2]:")
        terminal.enter("%tasks")
        terminal.wait_for("─ fetch-1", "asyncio.sleep", "In [3]:")
        terminal.enter("%task fetch-1")
        terminal.wait_for("Cells see fetch() at stuck.py", "In [4]:")
        hold_the_gil(stuck)
        terminal.enter("%where")
        terminal.wait_for("read from outside", "The GIL is held by holder", "In [5]:")
        stuck.send("go on")
        terminal.enter("page")
        terminal.wait_for("'page 1'")
        terminal.enter("exit")
        terminal.wait_for_end()


@pytest.mark.console
def test_in_a_second_console_while_a_cell_runs(
    running: tuple[Kernel, Cell], artefacts: Path
) -> None:
    kernel, cell = running
    command = [sys.executable, "-m", "jupyter_console"]
    file = str(kernel.manager.connection_file)
    env = {"IPYTHONDIR": str(artefacts / "ipython"), "TERM": "xterm-256color"}
    with Terminal([*command, "--existing", file], env, artefacts / "screen.txt") as terminal:
        terminal.wait_for("In [1]:", "Target: pid")
        terminal.enter("%threads")
        terminal.wait_for("Thread ", "MainThread", "idle.py", "In [3]:")
        terminal.enter("%stack")
        terminal.wait_for("→ 0  <module>", "In [4]:")
        kernel.take_in()
        assert not cell.is_done
