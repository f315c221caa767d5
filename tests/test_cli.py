"""The command line, as a user's shell runs it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from loading import loaded_by
from snapshots import Program
from targets import ROOT
from terminals import Terminal

from live_kernel import __version__

pytestmark = pytest.mark.attach

NAME = f"the-only-one-{secrets.token_hex(4)}"
"""In one command line only: other tests may run on this machine."""


@pytest.fixture
def program() -> Iterator[Program]:
    with Program("idle", args=[NAME]) as running:
        yield running


def live_kernel(
    *arguments: object,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> subprocess.CompletedProcess[str]:
    """Run the command. Its stderr never shows a traceback of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "live_kernel", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | dict(env or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "live_kernel/" not in done.stderr, done.stderr
    return done


def told(*arguments: object) -> Any:
    """What a command says with --json."""
    return json.loads(live_kernel(*arguments, "--json").stdout)


# -- help


def test_help_and_version() -> None:
    done = live_kernel("--help")
    for command in (
        *("ps", "attach", "exec", "log", "follow", "kernel", "install", "doctor"),
        *("run", "runs", "restart", "stop", "completion"),
    ):
        assert f"\n  {command} " in done.stdout
    assert live_kernel("--version").stdout == f"live-kernel, version {__version__}\n"
    assert "connection file" in live_kernel("kernel", "--help").stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["exec"], ["ps", "--no"], ["attach"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = live_kernel(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage:" in done.stderr


# -- ps


def test_ps(program: Program) -> None:
    done = live_kernel("ps")
    assert (done.returncode, done.stderr) == (0, "")
    row = next(line for line in done.stdout.splitlines() if str(program.pid) in line)
    assert NAME in row
    assert row.rstrip().endswith("yes")


def test_ps_json(program: Program) -> None:
    rows = {row["pid"]: row for row in told("ps")}
    mine = rows[program.pid]
    assert mine["attachable"] is True
    assert mine["python"].startswith("3.14.")
    assert NAME in " ".join(mine["cmdline"])
    assert os.getpid() not in rows, "an ancestor of the command is nobody's target"


def test_ps_all_tells_why_not() -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        try:
            row = next(row for row in told("ps", "--all") if row["pid"] == sleeper.pid)
            assert row["attachable"] is False
            assert row["reason"]
            assert sleeper.pid not in [row["pid"] for row in told("ps")]
            line = f"{sleeper.pid} "
            assert line in live_kernel("ps", "--all").stdout
        finally:
            sleeper.kill()


def test_ps_obeys_no_other_process() -> None:
    """A command line may hold anything; it is shown, and does nothing to the terminal."""
    with Program("idle", args=["\x1b]0;gotcha\x07", "[red]markup", "new\nline"]) as program:
        done = live_kernel("ps")
        assert "\x1b]0;" not in done.stdout
        assert "\x07" not in done.stdout
        assert "[red]markup" in done.stdout
        assert str(program.pid) in done.stdout


# -- exec


def test_exec(program: Program) -> None:
    before = program.snapshot()
    done = live_kernel("exec", program.pid, "print(word)\ntotal()")
    assert (done.returncode, done.stdout, done.stderr) == (0, "start\n42\n", "")
    program.assert_unharmed_since(before)


def test_exec_loads_neither_what_draws_tables_nor_zmq() -> None:
    loaded = loaded_by("import live_kernel.cli, live_kernel.handle, live_kernel.printing")
    assert "live_kernel.handle" in loaded
    assert not loaded & {"rich", "zmq"}
    assert not loaded & {"live_kernel.launcher.frontend", "live_kernel.attach.doctor"}


def test_exec_changes_the_program(program: Program) -> None:
    assert live_kernel("exec", program.pid, "word = 'by exec'").returncode == 0
    program.wait_for("word is by exec")


def test_exec_by_text(program: Program) -> None:
    assert live_kernel("exec", NAME, "print(1)").stdout == "1\n"


def test_exec_from_stdin(program: Program) -> None:
    done = live_kernel("exec", program.pid, "-", stdin="for n in range(2):\n    print(n)\n")
    assert (done.returncode, done.stdout) == (0, "0\n1\n")


def test_exec_tells_both_streams_apart(program: Program) -> None:
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\ndisplay('shown')"
    done = live_kernel("exec", program.pid, code)
    assert (done.stdout, done.stderr) == ("out\n'shown'\n", "err\n")


def test_exec_shows_help(program: Program) -> None:
    done = live_kernel("exec", program.pid, "total?")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Signature: total()\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_exec_where_a_character_can_not_be_written(program: Program, encoding: str) -> None:
    code = "import sys\nprint('a → b')\nprint('c → d', file=sys.stderr)\n'e → f'"
    env = {"PYTHONIOENCODING": encoding}
    done = live_kernel("exec", program.pid, code, env=env)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert (first[0], first[-1], second[1], second[-2]) == ("a", "b", "e", "f")


def test_exec_that_fails(program: Program) -> None:
    done = live_kernel("exec", program.pid, "print('before')\n1 / 0")
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" in done.stderr


def test_exec_json(program: Program) -> None:
    done = live_kernel("exec", program.pid, "print(1)\n2", "--json")
    outcome = json.loads(done.stdout)
    assert outcome["pid"] == program.pid
    assert outcome["status"] == "ok"
    kinds = [event["event"] for event in outcome["outputs"]]
    assert kinds == ["stream", "result"]
    failed = live_kernel("exec", program.pid, "1 / 0", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["error"]["ename"] == "ZeroDivisionError"


def test_exec_streams_while_it_runs(program: Program) -> None:
    code = "print('early', flush=True)\nwhile word == 'start': pass\nprint('late')"
    command = [sys.executable, "-m", "live_kernel", "exec", str(program.pid), code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "early\n"
        assert live_kernel("exec", program.pid, "word = 'go on'").returncode == 0
        assert running.stdout.read() == "late\n"
        assert running.wait(10) == 0


def test_exec_is_interrupted(program: Program) -> None:
    """Ctrl-C ends the cell, not the program."""
    before = program.snapshot()
    code = "print('here', flush=True)\nwhile True: pass"
    command = [sys.executable, "-m", "live_kernel", "exec", str(program.pid), code]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "here\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 1
        assert "KeyboardInterrupt" in running.stderr.read()
    program.assert_unharmed_since(before, interrupted=True)


def test_exec_in_a_blocked_program() -> None:
    with Program("asleep") as program:
        before = program.snapshot()
        done = live_kernel("exec", program.pid, "1", "--timeout", 1)
        assert done.returncode == 18
        assert done.stdout == ""
        assert "asleep.py:" in done.stderr
        assert "Nothing was changed in it." in done.stderr
        assert "%attach" not in done.stderr, "that is a notebook's command"
        program.send("wake")
        program.wait_for("woken")
        program.assert_unharmed_since(before)


def test_exec_in_a_program_that_ends() -> None:
    with Program("leaving") as program:
        program.expected_to_end = True
        done = live_kernel("exec", program.pid, "import os\nos._exit(5)")
        assert done.returncode == 20
        assert "exited with status 5" in done.stderr
        assert "%attach" not in done.stderr
        assert "next cell" not in done.stderr
        assert "`live-kernel ps` lists" in done.stderr


# -- errors have an exit status of their own


def test_nobody_there() -> None:
    done = live_kernel("exec", 2**22, "1")
    assert (done.returncode, done.stdout) == (10, "")
    assert str(2**22) in done.stderr
    assert live_kernel("exec", "there is no such text", "1").returncode == 2
    assert live_kernel("attach", 2**22).returncode == 10


def test_not_python() -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        try:
            assert live_kernel("exec", sleeper.pid, "1").returncode == 11
        finally:
            sleeper.kill()


def test_switched_off() -> None:
    with Program("idle", options=["-X", "disable-remote-debug"]) as program:
        done = live_kernel("exec", program.pid, "1")
        assert done.returncode == 13
        assert "Start it again without that option." in done.stderr


# -- doctor


def test_doctor(program: Program) -> None:
    findings = told("doctor", program.pid)
    assert {"ptrace_scope", "permission"} <= {finding["name"] for finding in findings}
    assert not [f for f in findings if f["ok"] is False and f["name"] != "kernelspec"]
    assert "ptrace_scope" in live_kernel("doctor").stdout


def test_doctor_of_the_dead() -> None:
    done = live_kernel("doctor", 2**22)
    assert done.returncode == 1
    assert str(2**22) in done.stdout


# -- install and attach


def test_install(tmp_path: Path) -> None:
    done = live_kernel("install", "--prefix", tmp_path)
    assert done.returncode == 0
    place = tmp_path / "share" / "jupyter" / "kernels" / "live-attach"
    assert str(place) in done.stdout
    spec = json.loads((place / "kernel.json").read_text())
    assert spec["argv"] == [
        sys.executable, "-P", "-m", "live_kernel", "kernel", "-f", "{connection_file}",
    ]  # fmt: skip
    assert spec["display_name"] == "Attach to PID"
    assert spec["metadata"]["supported_encryption"] == ["curve"]
    assert {path.name for path in place.iterdir()} == {
        "kernel.json",
        "logo-32x32.png",
        "logo-64x64.png",
        "logo-svg.svg",
    }
    assert live_kernel("install", "--prefix", tmp_path).returncode == 0, "once more does no harm"


def test_install_beside_another_jupyter_server(tmp_path: Path) -> None:
    """Its extension is switched on only where the server finds the package."""
    file = tmp_path / "etc" / "jupyter" / "jupyter_server_config.d" / "live-kernel.json"
    done = live_kernel("install", "--prefix", tmp_path)
    assert "pip install live-kernel" in done.stdout
    assert not file.exists()

    (tmp_path / "lib/python3.14/site-packages/live_kernel-0.1.0.dist-info").mkdir(parents=True)
    for _ in range(2):
        assert str(file) in live_kernel("install", "--prefix", tmp_path).stdout
        extensions = json.loads(file.read_text())["ServerApp"]["jpserver_extensions"]
        assert extensions == {"live_kernel.server": True}


def test_doctor_tells_whether_jupyter_server_lists_programs(tmp_path: Path) -> None:
    def finding() -> dict[str, object]:
        # In a venv, what stands there comes before what is the user's, unless he says otherwise.
        env = {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_PREFER_ENV_PATH": "0"}
        done = live_kernel("doctor", "--json", env=env)
        return next(each for each in json.loads(done.stdout) if each["name"] == "Jupyter Server")

    assert finding()["ok"] is True
    off = {"ServerApp": {"jpserver_extensions": {"live_kernel.server": False}}}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(off))
    assert finding()["ok"] is None
    assert "live-kernel install --sys-prefix" in str(finding()["remedy"])


def test_install_for_the_user(tmp_path: Path) -> None:
    env = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    done = live_kernel("install", "--user", env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "kernels" / "live-attach" / "kernel.json").exists()


def test_install_where_it_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "share").write_text("in the way")
    done = live_kernel("install", "--prefix", tmp_path)
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.console
def in_console(tmp_path: Path, artefacts: Path) -> Terminal:
    """`live-kernel attach` in a terminal, in the one program of that name."""
    assert live_kernel("install", "--prefix", tmp_path).returncode == 0
    env = {
        "JUPYTER_PATH": str(tmp_path / "share" / "jupyter"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "TERM": "xterm-256color",
    }
    command = [sys.executable, "-m", "live_kernel", "attach", NAME]
    return Terminal(command, env, artefacts / "screen.txt")


def test_attach_opens_a_console(program: Program, tmp_path: Path, artefacts: Path) -> None:
    with in_console(tmp_path, artefacts) as terminal:
        terminal.wait_for("In [1]:", f"Target: pid {program.pid}")
        terminal.enter("word = 'by attach'")
        program.wait_for("word is by attach")
        terminal.wait_for("In [2]:")
        assert terminal.leave_console() == 0
    assert program.alive()


def test_exit_in_a_console_speaks_of_the_kernel_only(
    program: Program, tmp_path: Path, artefacts: Path
) -> None:
    with in_console(tmp_path, artefacts) as terminal:
        terminal.wait_for("In [1]:", f"Target: pid {program.pid}")
        terminal.enter("exit")
        assert terminal.wait_for_end() == 0
        assert "Shutting down kernel" in terminal.screen()
        assert "cannot keep it alive" not in terminal.screen()
    assert program.alive()


# -- the kernel's own command line


@pytest.mark.parametrize("content", [None, "", "{}", "no JSON", '{"key": 1}'])
def test_kernel_that_can_not_be_served(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "kernel.json"
    if content is not None:
        file.write_text(content)
    done = live_kernel("kernel", "-f", file)
    assert done.returncode == 2
    assert "can't serve" in done.stderr
    assert "Traceback" not in done.stderr
