"""Real Jupyter clients: jupyter_client over every transport, nbclient, the console."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
import zmq
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session
from kernels import Kernel, plain
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from snapshots import Program
from targets import ROOT, eventually
from terminals import Terminal

pytestmark = [pytest.mark.attach, pytest.mark.client]

PID = "__import__('os').getpid()"


# -- transports


def test_ipc(program: Program) -> None:
    with Kernel("--pid", program.pid, transport="ipc") as kernel:
        assert kernel.value(PID) == program.pid
        kernel.restart()
        assert kernel.value(PID) == program.pid


def test_curve(program: Program) -> None:
    """Everything is encrypted; whoever has no key gets no answer."""
    with Kernel("--pid", program.pid, encryption="required") as kernel:
        connection = json.loads((kernel.place / "kernel.json").read_text())
        assert connection["curve_publickey"]
        assert kernel.value(PID) == program.pid
        kernel.answers.append("Ada")
        assert kernel.run("input()", allow_stdin=True).result == "'Ada'"
        with Wire(connection) as plain_text:
            assert not plain_text.is_answered("kernel_info_request")
        with Wire(connection, connection["curve_publickey"]) as encrypted:
            assert encrypted.is_answered("kernel_info_request")
        kernel.restart()
        assert kernel.value(PID) == program.pid


class Wire:
    """A connection to the shell channel without jupyter_client around it."""

    def __init__(self, connection: dict[str, str], server_key: str = "") -> None:
        self.session = Session(key=connection["key"].encode())
        self._context = zmq.Context()
        self._is_encrypted = bool(server_key)
        self.socket = self._context.socket(zmq.DEALER)
        if server_key:
            public, secret = zmq.curve_keypair()
            self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
            self.socket.curve_serverkey = server_key.encode()
        self.socket.connect(f"tcp://{connection['ip']}:{connection['shell_port']}")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close(0)
        self._context.term()

    def frames(self, kind: str, content: dict[str, object] | None = None) -> list[bytes]:
        return self.session.serialize(self.session.msg(kind, content or {}))

    def is_answered(self, kind: str) -> bool:
        self.socket.send_multipart(self.frames(kind))
        return self.has_answer(5000 if self._is_encrypted else 500)

    def has_answer(self, milliseconds: int) -> bool:
        return bool(self.socket.poll(milliseconds))


def test_wrong_signatures_are_ignored(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        connection = json.loads((kernel.place / "kernel.json").read_text())
        kernel.run("1")
        with Wire(connection) as wire:
            code = {"code": "word = 'forged'", "silent": False}
            forged = wire.frames("execute_request", code)
            forged[1] = forged[1][:-1] + bytes([forged[1][-1] ^ 1])
            wire.socket.send_multipart(forged)
            unsigned = wire.frames("execute_request", code)
            unsigned[1] = b""
            wire.socket.send_multipart(unsigned)
            wire.socket.send_multipart([b"no", b"message"])
            wire.socket.send_multipart([b"<IDS|MSG>"])
            right = wire.frames("kernel_info_request")
            wire.socket.send_multipart(right)
            assert wire.has_answer(5000)
            assert wire.session.deserialize(wire.socket.recv_multipart()[1:])["msg_type"] == (
                "kernel_info_reply"
            )
            wire.socket.send_multipart(right)  # said once more by somebody who has listened
            assert not wire.has_answer(300)
        assert kernel.value("word") == "start"
        assert kernel.log().count("ignored on shell") == 5


def test_two_front_ends_of_one_kernel(program: Program) -> None:
    """What one runs, the other sees; a question goes to the one that asked for the cell."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        other = kernel.manager.client(session=Session(key=kernel.client.session.key))
        other.start_channels(hb=False)
        try:
            eventually(lambda: other.get_iopub_msg(timeout=5)["msg_type"] == "iopub_welcome")
            kernel.answers.append("Ada")
            cell = kernel.run("input()", allow_stdin=True)
            assert cell.result == "'Ada'"
            seen = []
            while not seen or seen[-1]["content"].get("execution_state") != "idle":
                seen.append(other.get_iopub_msg(timeout=5))
            assert "execute_result" in [message["msg_type"] for message in seen]
            assert not other.stdin_channel.socket.poll(0)
            other.execute("'from the other'")
            reply = other.get_shell_msg(timeout=5)
            assert reply["content"]["status"] == "ok"
        finally:
            other.stop_channels()


def test_installed_kernelspec(
    kernelspecs: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any client starts it: by its name."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspecs))
    manager = KernelManager(kernel_name="live-attach")
    assert manager.kernel_spec is not None
    assert manager.kernel_spec.display_name == "Attach to PID"
    assert manager.kernel_spec.interrupt_mode == "message"
    assert manager.kernel_spec.argv[0] == sys.executable
    manager.start_kernel(extra_arguments=["--pid", str(program.pid)])
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=20)
        reply = client.execute_interactive(
            "word = 'by its name'", output_hook=lambda message: None, timeout=20
        )
        assert reply["content"]["status"] == "ok"
        program.wait_for("word is by its name")
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.context.destroy(linger=0)


# -- nbclient


def executed(
    program: Program, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch, *cells: str
) -> nbformat.NotebookNode:
    """A notebook of these cells, run against the program."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspecs))
    monkeypatch.setenv("LIVE_KERNEL_TARGET", str(program.pid))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "live-attach", "display_name": "x", "language": "python"}},
    )
    NotebookClient(notebook, timeout=30).execute()
    return notebook


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nbclient(program: Program, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = program.snapshot()
    notebook = executed(
        program,
        kernelspecs,
        monkeypatch,
        "import os\nprint(os.getpid())",
        "total()",
        "handle = display({'text/html': '<b>1</b>'}, raw=True, display_id='shown')",
        "handle.update({'text/html': '<b>2</b>'}, raw=True)",
        "import asyncio\nawait asyncio.sleep(0.01)\n'awaited'",
        "import time\nword = 'from nbclient'\nwhile seen != word:\n    time.sleep(0.001)",
        "word = 'start'",
    )
    program.wait_for("word is from nbclient")
    outputs = [cell.outputs for cell in notebook.cells]
    attached, printed = outputs[0]
    assert attached.data["text/plain"].startswith(f"Attached to pid {program.pid}")
    assert printed.text == f"{program.pid}\n"
    assert outputs[1][0].data["text/plain"] == "42"
    assert outputs[1][0].execution_count == 2
    assert outputs[2][0].data["text/html"] == "<b>2</b>", "updated in place"
    assert outputs[4][0].data["text/plain"] == "'awaited'"
    assert notebook.metadata.language_info.name == "python"
    nbformat.validate(notebook)
    program.assert_unharmed_since(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nbclient_tells_the_error(
    program: Program, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CellExecutionError) as caught:
        executed(program, kernelspecs, monkeypatch, "1", "1 / 0", "word = 'never'")
    assert caught.value.ename == "ZeroDivisionError"
    assert "1 / 0" in plain(str(caught.value))
    assert "word is never" not in program.lines()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nbclient_without_a_target_is_told_why(
    program: Program, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be asked: the error has to say what there is."""
    before = program.pid
    monkeypatch.setattr(type(program), "pid", 2**22, raising=False)
    with pytest.raises(CellExecutionError) as caught:
        executed(program, kernelspecs, monkeypatch, "1")
    monkeypatch.undo()
    assert program.pid == before
    assert "TargetNotFound" in str(caught.value)
    assert "LIVE_KERNEL_TARGET" in str(caught.value)


# -- the console


def console(kernelspecs: Path, record: Path, *arguments: object) -> Terminal:
    command = [sys.executable, "-m", "jupyter_console", "--kernel", "live-attach"]
    env = {
        "JUPYTER_PATH": str(kernelspecs),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(record.parent / "ipython"),
        "TERM": "xterm-256color",
    }
    return Terminal([*command, "--", *map(str, arguments)], env, record)


@pytest.mark.console
def test_console(program: Program, kernelspecs: Path, artefacts: Path) -> None:
    """A whole session: values, errors, awaits, questions, an interrupt, completion, the exit."""
    before = program.snapshot()
    with console(kernelspecs, artefacts / "screen.txt", "--pid", program.pid) as terminal:
        terminal.wait_for("In [1]:", "live-kernel", "Target: pid")
        terminal.enter("total()")
        terminal.wait_for("Out[1]: 42", "In [2]:")
        terminal.enter("word = 'from the console'")
        program.wait_for("word is from the console")
        terminal.wait_for("In [3]:")
        terminal.enter("1 / 0")
        terminal.wait_for("ZeroDivisionError: division by zero", "In [4]:")
        terminal.enter("import asyncio; await asyncio.sleep(0.01, 'awaited')")
        terminal.wait_for("Out[4]: 'awaited'", "In [5]:")
        terminal.enter("input('Who?')")
        terminal.wait_for("Who?", times=2)
        terminal.enter("Ada")
        terminal.wait_for("Out[5]: 'Ada'", "In [6]:")
        terminal.enter("print('running'); exec('while True: pass')")
        terminal.wait_for("\nrunning")
        terminal.type("C-c")
        terminal.wait_for("KeyboardInterrupt", "In [7]:")
        terminal.type("tot", "Tab")
        terminal.wait_for("In [7]: total")
        terminal.type("C-u")
        terminal.enter("word = 'start'")
        terminal.wait_for("In [8]:")
        terminal.enter("exit")
        assert terminal.wait_for_end() == 0
    program.assert_unharmed_since(before, interrupted=True)
    eventually(lambda: not launchers_of(program), what="the launcher has ended")


@pytest.mark.console
def test_console_asks_for_a_program(program: Program, kernelspecs: Path, artefacts: Path) -> None:
    with console(kernelspecs, artefacts / "screen.txt") as terminal:
        terminal.wait_for("In [1]:", "%attach")
        terminal.enter("word")
        terminal.wait_for("Attach to (pid, or text of its command line):", str(program.pid))
        terminal.enter(str(program.pid))
        terminal.wait_for("Out[1]: 'start'")
        terminal.enter("quit()")
        terminal.wait_for_end()
    assert program.alive()


@pytest.mark.console
def test_a_console_waits_for_its_own_cell(kernel: Kernel, artefacts: Path) -> None:
    """Not for the end of what it has asked before, which is answered while another's cell runs."""
    command = [sys.executable, "-m", "live_kernel", "console", "--existing"]
    command.append(str(kernel.manager.connection_file))
    env = {"IPYTHONDIR": str(artefacts / "ipython"), "TERM": "xterm-256color"}
    with Terminal(command, env, artefacts / "screen.txt") as terminal:
        terminal.wait_for("In [1]:")
        running = kernel.begin("import time\nprint('begun', flush=True)\ntime.sleep(1.5)")
        running.wait_for("begun")
        terminal.enter("input('Who?')")
        terminal.wait_for("Who?", times=2)
        terminal.enter("Ada")
        terminal.wait_for("]: 'Ada'")


@pytest.mark.console
def test_killed_console_takes_its_launcher_along(
    program: Program, kernelspecs: Path, artefacts: Path
) -> None:
    before = program.snapshot()
    with console(kernelspecs, artefacts / "screen.txt", "--pid", program.pid) as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter("print('running'); exec('while True: pass')")
        terminal.wait_for("\nrunning")
        (launcher,) = launchers_of(program)
        parent = psutil.Process(launcher).parent()
        assert parent is not None
        os.kill(parent.pid, signal.SIGKILL)
        eventually(lambda: not launchers_of(program), what="the launcher has ended")
        program.assert_unharmed_since(before, interrupted=True)


def launchers_of(program: Program) -> list[int]:
    """The launchers that were started for this program by its pid."""
    words = ["live_kernel", "kernel", str(program.pid)]
    return [
        process.pid for process in psutil.process_iter() if set(words) <= set(command_of(process))
    ]


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()  # of a zombie: nothing
    except psutil.Error:
        return []
