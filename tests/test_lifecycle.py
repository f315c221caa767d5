"""The launcher's life: restarts, shutdowns, signals, and the end of whoever started it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jupyter_client.connect import write_connection_file
from jupyter_client.manager import _ShutdownStatus
from kernels import Kernel
from snapshots import Program, landings, outside
from targets import ROOT, eventually

pytestmark = [pytest.mark.attach, pytest.mark.client]


PID = "__import__('os').getpid()"


# -- restarts


def test_restart_finds_the_same_program_with_a_fresh_scratch(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("mine = 1\nword = 'kept'")
        first = kernel.launcher_pid
        kernel.restart()
        assert kernel.launcher_pid != first
        assert kernel.run("mine").error[0] == "NameError"
        assert kernel.value("word") == "kept"
        assert kernel.value(PID) == program.pid
        assert kernel.run("1").reply["execution_count"] == 4


def test_restart_after_attach_by_hand(program: Program) -> None:
    """Nothing but the kernel's memory names the program here."""
    with Kernel() as kernel:
        kernel.run(f"%attach {program.pid}")
        for _ in range(2):
            kernel.restart()
            assert kernel.value(PID) == program.pid
        kernel.run("%detach")
        kernel.restart()
        assert kernel.run("1").error[0] == "NoTarget"


def test_attach_by_hand_goes_before_the_command_line(program: Program) -> None:
    with Program("frame") as other, Kernel("--pid", program.pid) as kernel:
        assert kernel.value(PID) == program.pid
        kernel.run(f"%attach {other.pid}")
        kernel.restart()
        assert kernel.value(PID) == other.pid


def test_restart_while_a_cell_runs(program: Program) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("print('here', flush=True)\nwhile True: pass")
        cell.wait_for("here")
        kernel.restart()
        assert kernel.value(PID) == program.pid
    program.assert_unharmed_since(before, interrupted=True)


def test_restart_by_force(program: Program) -> None:
    """As a front-end does whose user has lost patience: SIGKILL, and a new launcher."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("mine = 1")
        kernel.restart(now=True)
        assert kernel.run("mine").error[0] == "NameError"
        assert kernel.value(PID) == program.pid


def test_restart_of_a_crashed_launcher(program: Program) -> None:
    """As Jupyter Server's restarter does it: the connection file stays, the launcher is new."""
    with Kernel() as kernel:
        kernel.run(f"%attach {program.pid}")
        kernel.kill()
        kernel.restart(now=True)
        assert kernel.value(PID) == program.pid


def test_restart_when_the_program_has_ended(program: Program) -> None:
    program.expected_to_end = True
    with Kernel() as kernel:
        kernel.run(f"%attach {program.pid}")
        program.close()
        kernel.restart()
        cell = kernel.run("1")
        assert cell.status == "error"
        assert str(program.pid) in cell.traceback
        with Program("frame") as other:
            assert kernel.run(f"%attach {other.pid}\n{PID}").result == str(other.pid)


def test_restart_does_not_take_another_process_with_that_pid(program: Program) -> None:
    with Kernel() as kernel:
        kernel.run(f"%attach {program.pid}")
        memory = kernel.place / "kernel.live-kernel"
        assert memory.stat().st_mode & 0o777 == 0o600
        record = json.loads(memory.read_text())
        kernel.kill()
        memory.write_text(json.dumps(record | {"start_time": record["start_time"] + 1}))
        kernel.restart(now=True)
        cell = kernel.run("1")
        assert cell.status == "error"
        assert "another process now" in cell.traceback


def test_restart_by_text_finds_its_successor() -> None:
    """Chosen by its command line, a program is found again under its next pid."""
    name = f"the-service-{secrets.token_hex(4)}"  # other tests may run on this machine
    with Kernel() as kernel:
        with Program("idle", args=[name]) as first:
            assert kernel.run(f"%attach {name}\n{PID}").result == str(first.pid)
        with Program("idle", args=[name]) as second:
            kernel.restart()
            assert kernel.value(PID) == second.pid


# -- shutdown

BUSY = {
    "idle": "",
    "spinning": "print('here', flush=True)\nwhile True: pass",
    "sleeping": "print('here', flush=True)\nimport time\ntime.sleep(2)",
    "printing": "print('here', flush=True)\nwhile True: print('x' * 100)",
    "asking": "print('here', flush=True)\ninput()",
    "awaiting": "print('here', flush=True)\nimport asyncio\nawait asyncio.sleep(60)",
}


@pytest.mark.parametrize("what", BUSY)
def test_shutdown_takes_no_time(program: Program, what: str) -> None:
    """Before the kernel manager has to do more than ask, whatever a cell is doing."""
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        if BUSY[what]:
            kernel.begin(BUSY[what], allow_stdin=True).wait_for("here")
        begin = time.monotonic()
        kernel.manager.shutdown_kernel()
        assert kernel.manager._shutdown_status is _ShutdownStatus.ShutdownRequest
        assert time.monotonic() - begin < 1.5
    program.assert_unharmed_since(before, interrupted=True)


def test_seconds_to_leave(program: Program) -> None:
    taken = []
    for _ in range(3):
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("1")
            taken.append(kernel.shutdown())
    assert min(taken) < 0.2, taken


def test_shutdown_without_a_program() -> None:
    with Kernel() as kernel:
        assert kernel.shutdown() < 1


def test_shutdown_reply_is_sent_before_the_end(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        request = kernel.client.session.msg("shutdown_request", {"restart": False})
        kernel.client.control_channel.send(request)
        reply = kernel.reply_to(request["header"]["msg_id"])
        assert reply == {"status": "ok", "restart": False}
        kernel.wait(
            lambda: (
                [m for m in kernel.messages if m["channel"] == "iopub"][-1]["content"]
                == {"execution_state": "idle"}
            ),
            what="the last idle",
        )


def test_memory_is_gone_after_the_shutdown(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        memory = kernel.place / "kernel.live-kernel"
        assert memory.exists()
        kernel.shutdown()
        assert not memory.exists()


# -- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("what", ["idle", "spinning"])
def test_signal_ends_the_launcher_and_nothing_else(
    program: Program, number: signal.Signals, what: str
) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        if BUSY[what]:
            kernel.begin(BUSY[what]).wait_for("here")
        kernel.kill(number)
        assert landings(kernel.place) == []
    program.assert_unharmed_since(before, interrupted=True)


@pytest.mark.parametrize("what", ["idle", "spinning", "printing"])
def test_kill_of_the_whole_process_group(program: Program, what: str) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        if BUSY[what]:
            kernel.begin(BUSY[what]).wait_for("here")
        group = os.getpgid(kernel.launcher_pid)
        assert group not in (os.getpgid(0), os.getpgid(program.pid))
        os.killpg(group, signal.SIGKILL)
        eventually(lambda: not kernel.is_running())
        program.assert_unharmed_since(before, interrupted=True)
        kernel.forget()


def test_program_is_no_relative_of_the_launcher(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        assert str(program.pid) not in outside(kernel.launcher_pid)["children"]
        assert os.getsid(program.pid) != os.getsid(kernel.launcher_pid)


# -- the parent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_launcher_ends_with_its_parent(
    program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    """As when a console is killed, which leaves its kernel behind."""
    before = program.snapshot()
    file, _ = write_connection_file(str(tmp_path / "kernel.json"))
    parent = subprocess.Popen(["sleep", "600"])
    launcher = subprocess.Popen(
        [sys.executable, "-m", "live_kernel", "kernel", "-f", file, "--pid", str(program.pid)],
        env=os.environ | {"JPY_PARENT_PID": str(parent.pid)},
        cwd=ROOT,
    )
    try:
        eventually((tmp_path / "kernel.live-kernel").exists, what="attached")
        assert launcher.poll() is None
        parent.send_signal(number)
        parent.wait()
        assert launcher.wait(5) == 0
        program.assert_unharmed_since(before)
    finally:
        for process in (parent, launcher):
            process.kill()
            process.wait()


# -- two launchers


def test_launcher_that_is_replaced_at_once(program: Program) -> None:
    """Lab starts a second one, and ends the first, when a cell comes before its session."""
    before = program.snapshot()
    with Kernel("--pid", program.pid) as first, Kernel("--pid", program.pid) as second:
        first.kill_for_good()
        assert second.value(PID) == program.pid
    program.assert_unharmed_since(before)
