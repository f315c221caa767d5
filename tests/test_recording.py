"""What is on record of real kernels, handles and commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target, eventually
from terminals import Terminal

from live_kernel.errors import LiveKernelError
from live_kernel.handle import attach
from live_kernel.launcher.past import Entry, Past, Wanted

pytestmark = pytest.mark.attach

Line = dict[str, Any]


class Kept:
    """A journal of the test's own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.path = place / "live-kernel" / "journal.jsonl"
        self.env = {"XDG_STATE_HOME": str(place)}

    def lines(self, *events: str) -> list[Line]:
        if not self.path.exists():
            return []
        lines = [json.loads(line) for line in self.path.read_bytes().splitlines()]
        return [line for line in lines if not events or line["event"] in events]

    def entries(self) -> list[Entry]:
        return Past(self.path).latest(Wanted(), 0)

    def cells(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.record["event"] == "cell"]

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """How each cell went, by its code, and why."""
        return {
            entry.record["code"]: (end.get("outcome", ""), end.get("why", ""))
            for entry in self.cells()
            for end in [entry.outcome or entry.record]
        }


@pytest.fixture
def kept() -> Iterator[Kept]:
    place = Path(tempfile.mkdtemp(prefix="lk-state-", dir="/tmp"))
    yield Kept(place)
    shutil.rmtree(place)


@pytest.fixture
def kernel(program: Program, kept: Kept) -> Iterator[Kernel]:
    with Kernel("--pid", program.pid, env=kept.env, notebook=Path("/srv/orders.ipynb")) as started:
        started.run("%where")
        yield started


def live_kernel(
    *arguments: object, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "live_kernel", *map(str, arguments)]
    whole = os.environ | dict(env)
    return subprocess.run(
        command, cwd=ROOT, env=whole, input=stdin, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


# -- cells


def test_who_what_when_where_and_how_it_went(program: Program, kernel: Kernel, kept: Kept) -> None:
    cell = kernel.run("1 + 1\n2 + 2")
    kernel.shutdown()
    (entry,) = [each for each in kept.cells() if each.record["code"] == "1 + 1\n2 + 2"]
    line, end = entry.record, entry.outcome
    assert end is not None
    assert line["at"] <= end["at"]
    assert (end["outcome"], "why" in end, 0 < end["ms"] < 60_000) == ("ok", False, True)
    assert (line["uid"], line["host"]) == (os.geteuid(), os.uname().nodename)
    assert line["kernel"] != program.pid
    assert line["notebook"] == "/srv/orders.ipynb"
    header = cell.contents("execute_reply") and cell.messages[0]["parent_header"]
    assert (line["username"], line["session"]) == (header["username"], header["session"])
    target = line["target"]
    assert (target["pid"], target["uid"]) == (program.pid, os.geteuid())
    assert "idle.py" in target["command"]
    assert "start_time" in target


def test_how_cells_went(kernel: Kernel, kept: Kept) -> None:
    kernel.run("1")
    kernel.run("1 / 0")
    kernel.run("def")
    kernel.run("%frame nowhere_at_all")
    kernel.run("%log -n many")
    kernel.run("2", silent=True)
    kernel.run("", user_expressions={"it": "word"})
    kernel.run("")
    kernel.run("%%patch total\ndef total(): return 1")
    stuck = kernel.begin("import time\nwhile True: time.sleep(0.01)")
    waiting = kernel.begin("'behind it'")
    kernel.wait(lambda: stuck.contents("execute_input"))
    kernel.interrupt()
    stuck.finish()
    waiting.finish()
    kernel.shutdown()
    outcomes = kept.outcomes()
    assert outcomes["1"] == ("ok", "")
    assert outcomes["1 / 0"] == ("error", "ZeroDivisionError")
    assert outcomes["def"] == ("error", "SyntaxError")
    assert outcomes["%frame nowhere_at_all"][0] in ("error", "refused")
    how, why = outcomes["%log -n many"]
    assert (how, why.startswith("CommandMisused: ")) == ("refused", True)
    assert outcomes["2"] == ("ok", "")
    assert outcomes[""] == ("ok", "")
    assert outcomes["import time\nwhile True: time.sleep(0.01)"] == (
        "interrupted",
        "KeyboardInterrupt",
    )
    assert outcomes["'behind it'"] == ("aborted", "")
    lines = {line["code"]: line for line in kept.lines("cell")}
    assert lines["2"]["silent"] is True
    assert lines[""]["expressions"] == {"it": "word"}
    assert len([line for line in kept.lines("cell") if not line["code"]]) == 1
    assert lines["%%patch total\ndef total(): return 1"]["commands"] == ["%%patch"]


def test_cells_beside_the_program_are_marked(kernel: Kernel, kept: Kept) -> None:
    assert kernel.run("%%local\n1 + 2").result == "3"
    kernel.run("%pull word\n%%local\nword")
    beside, both = [entry.record for entry in kept.cells()][1:]
    assert (beside["local"], beside["commands"], beside["target"]) == (True, ["%%local"], None)
    assert (both["local"], both["commands"]) == (True, ["%pull", "%%local"])
    assert both["target"] is not None


def test_a_subshells_cells(kernel: Kernel, kept: Kept) -> None:
    shell = kernel.ask("create_subshell_request", "control")["subshell_id"]
    kernel.begin("'aside'", subshell=shell).finish()
    kernel.wait(lambda: kernel.begin("0", subshell="nonsense"))
    kernel.run("1")
    lines = {line["code"]: line for line in kept.lines("cell")}
    assert lines["'aside'"]["subshell"] == shell
    assert lines["0"]["outcome"] == "refused"


def test_a_cell_that_kills_the_kernel_is_on_record(program: Program, kept: Kept) -> None:
    with Kernel("--pid", program.pid, env=kept.env) as kernel:
        kernel.run("import os")
        kernel.begin(f"os.kill({kernel.launcher_pid}, 9)")
        eventually(lambda: not kernel.is_running())
        kernel.forget()
        (entry,) = kept.cells()[1:]
    assert entry.record["code"].startswith("os.kill(")
    assert entry.outcome is None


def test_a_cell_that_kills_the_program(kept: Kept) -> None:
    with Program("idle") as program, Kernel("--pid", program.pid, env=kept.env) as kernel:
        code = "import os; os.kill(os.getpid(), 9)"
        kernel.run(code)
        program.expected_to_end = True
        program.wait()
        kernel.run("%status")
    how, why = kept.outcomes()[code]
    assert (how, why.startswith("AgentLost: ")) == ("lost", True)
    (lost,) = kept.lines("lost")
    assert "SIGKILL" in lost["why"]
    assert lost["target"]["pid"] == program.pid
    assert kept.lines("detached") == []


def test_a_cell_that_is_left_running(program: Program, kept: Kept) -> None:
    code = "import time\nprint('begun', flush=True)\ntime.sleep(60)"
    with Kernel("--pid", program.pid, env=kept.env) as kernel:
        kernel.begin(code).wait_for("begun")
        kernel.shutdown()
    assert kept.outcomes()[code] == ("left", "shut down by a front-end")
    (detached,) = kept.lines("detached")
    assert detached["why"] == "shut down by a front-end"


def test_what_a_cell_has_shown_is_kept_if_wanted(program: Program, kept: Kept) -> None:
    env = kept.env | {"LIVE_KERNEL_JOURNAL_OUTPUT": "1kB"}
    with Kernel("--pid", program.pid, env=env) as kernel:
        kernel.run("print('shown')\n'and this'")
        kernel.run("print('x' * 5000)")
        kernel.run("%%local\nprint('beside')")
    first, second, third = [entry.outcome for entry in kept.cells()]
    assert first is not None
    assert second is not None
    assert third is not None
    assert "shown\n" in first["output"]
    assert "'and this'" in first["output"]
    assert (len(second["output"]), second["output_size"]) == (1000, 5001)
    assert third["output"] == "beside\n"


def test_no_output_is_kept_unasked(kernel: Kernel, kept: Kept) -> None:
    kernel.run("print('a secret, made of ' + 'parts')")
    kernel.shutdown()
    assert "made of parts" not in kept.path.read_text()


def test_code_too_long_for_a_line_is_cut_and_told_by_its_checksum(
    kernel: Kernel, kept: Kept
) -> None:
    kernel.run("#" + "x" * 1_500_000 + "\n7")
    (line,) = [line for line in kept.lines("cell") if "code_size" in line]
    assert (len(line["code"]), line["code_size"]) == (1_000_000, 1_500_003)
    assert len(line["code_sha256"]) == 64


# -- lines that are typed


def test_answers_to_questions_are_not_kept_but_lines_for_a_debugger_are(
    kernel: Kernel, kept: Kept
) -> None:
    kernel.answers.extend(["my secret", "my password", "p 'debugged'", "word = 'typed'", "c"])
    kernel.run("answer = input('ipdb> ')", allow_stdin=True)
    kernel.run("import getpass; getpass.getpass()", allow_stdin=True)
    kernel.run("breakpoint()", allow_stdin=True)
    assert not kernel.answers
    kernel.shutdown()
    text = kept.path.read_text()
    assert "my secret" not in text
    assert "my password" not in text
    lines = kept.lines("debugger")
    assert [line["code"] for line in lines] == ["p 'debugged'", "word = 'typed'", "c"]
    (cell,) = [line for line in kept.lines("cell") if line["code"] == "breakpoint()"]
    assert {line["id"] for line in lines} == {cell["id"]}


def test_lines_for_a_thread_that_was_entered(kept: Kept) -> None:
    with Target("debugged") as target, Kernel("--pid", target.pid, env=kept.env) as kernel:
        kernel.answers.extend(["p 1", "interact", "2 + 2", "exit", "detach"])
        kernel.run("%enter", allow_stdin=True)
        assert not kernel.answers
    codes = [line["code"] for line in kept.lines("debugger")]
    assert codes == ["p 1", "interact", "2 + 2", "exit", "detach"]


# -- widgets


def test_messages_of_widgets_are_counted(kept: Kept) -> None:
    code = "import comm\nview = comm.create_comm(target_name='view')\nview.on_msg(lambda m: None)"
    with (
        Target("idle", sys.executable) as program,
        Kernel("--pid", program.pid, env=kept.env) as kernel,
    ):
        name = kernel.run(code).contents("comm_open")[0]["comm_id"]
        for number in range(20):
            kernel.send("comm_msg", {"comm_id": name, "data": {"n": number}})
        kernel.run("1")
    (first,) = kept.lines("comm")
    assert (first["kind"], first["comm"]) == ("comm_msg", "view")
    assert first["target"]["pid"] == program.pid
    (others,) = kept.lines("comms")
    assert others["counts"] == [{"kind": "comm_msg", "comm": "view", "count": 19}]


# -- attachments


def test_steps_of_an_attachment(program: Program, kept: Kept) -> None:
    with Program("idle") as other, Kernel("--pid", program.pid, env=kept.env) as kernel:
        kernel.run("1")
        kernel.run(f"%attach {other.pid}")
        kernel.run("%detach")
        kernel.run("%attach 1")
        kernel.run(f"%attach {program.pid}")
        kernel.restart()
        kernel.run("1")
        kernel.kill(signal.SIGTERM)
        kernel.forget()
    steps = [
        (line["event"], (line["target"] or {}).get("pid"), line.get("why", line.get("by")))
        for line in kept.lines("attach", "attached", "failed", "detached", "lost")
    ]
    first, second = program.pid, other.pid
    failed = [step for step in steps if step[0] == "failed"]
    assert [step for step in steps if step[0] != "failed"] == [
        ("attach", first, "--pid"),
        ("attached", first, None),
        ("detached", first, f"attaches to pid {second} instead"),
        ("attach", second, "%attach"),
        ("attached", second, None),
        ("detached", second, "%detach"),
        ("attach", first, "%attach"),
        ("attached", first, None),
        ("detached", first, "restarted by a front-end"),
        ("attach", first, "attached before the restart"),
        ("attached", first, None),
        ("detached", first, "SIGTERM"),
    ]
    assert len(failed) == 1
    assert failed[0][2].partition(":")[0] in ("NotPython", "AttachNotPermitted")


def test_an_attach_that_is_given_up(kept: Kept) -> None:
    with Program("asleep") as program, Kernel("--pid", program.pid, env=kept.env) as kernel:
        cell = kernel.begin("1")
        cell.wait_for("Waiting: ")
        kernel.interrupt()
        assert cell.finish().status == "error"
    (failed,) = kept.lines("failed")
    assert failed["why"] == "given up"
    assert kept.outcomes()["1"][0] == "refused"


# -- without a kernel


def test_handles_and_commands_are_on_record(
    program: Program, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(kept.place))
    with attach(program.pid) as handle:
        handle.run("total()")
        handle.run("1 / 0")
    done = live_kernel("exec", program.pid, "-", env=kept.env, stdin="print('by exec')")
    assert done.stdout == "by exec\n"
    assert kept.outcomes() == {
        "total()": ("ok", ""),
        "1 / 0": ("error", "ZeroDivisionError"),
        "print('by exec')": ("ok", ""),
    }
    steps = [line["event"] for line in kept.lines("attach", "attached", "detached")]
    assert steps == ["attach", "attached", "detached"] * 2
    assert {line["target"]["pid"] for line in kept.lines("cell")} == {program.pid}


def test_attempts_that_fail_are_on_record(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(kept.place))
    with pytest.raises(LiveKernelError):
        attach(1)
    assert live_kernel("exec", "nobody-has-this-text", "1", env=kept.env).returncode == 2
    first, second = kept.lines()
    assert (first["event"], first["asked"], first["uid"]) == ("failed", "1", os.geteuid())
    assert second["asked"] == "nobody-has-this-text"
    assert second["why"].startswith("NoTarget: ")


# -- where it can't be kept


def test_off(program: Program, kept: Kept) -> None:
    env = kept.env | {"LIVE_KERNEL_JOURNAL": "off"}
    with Kernel("--pid", program.pid, env=env) as kernel:
        assert kernel.run("1").result == "1"
        assert "No journal is kept" in kernel.run("%log").error[1]
    assert live_kernel("exec", program.pid, "1", env=env).returncode == 0
    assert list(kept.place.iterdir()) == []
    done = live_kernel("log", env=env)
    assert "No journal is kept" in done.stderr
    assert done.returncode == LiveKernelError.exit_code


def test_a_path_of_ones_own(program: Program, kept: Kept) -> None:
    path = kept.place / "deep" / "er" / "mine"
    with Kernel("--pid", program.pid, env={"LIVE_KERNEL_JOURNAL": str(path)}) as kernel:
        kernel.run("1")
    assert '"event":"cell"' in path.read_text()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_kernel_goes_on_without(program: Program, kept: Kept) -> None:
    kept.path.parent.mkdir(0o700)
    kept.path.symlink_to("/etc/hosts.new")
    with Kernel("--pid", program.pid, env=kept.env) as kernel:
        cell = kernel.run("1")
        assert cell.result == "1"
        assert "can't be written: it is a symbolic link" in cell.notes
        assert kernel.run("2").notes == ""
        assert kernel.log().count("can't be written") == 1
        kept.path.unlink()
        kernel.run("3")
        assert kernel.run("4").notes == ""
    assert kept.lines("gap")[0]["lost"] >= 4
    assert kept.outcomes()["4"] == ("ok", "")
    assert not Path("/etc/hosts.new").exists()


def fill(path: Path) -> None:
    """Write until nothing more fits on the disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)


@pytest.mark.root
def test_a_disk_that_is_full(program: Program, kept: Kept) -> None:
    """A real one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(kept.place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        with Kernel("--pid", program.pid, env=kept.env) as kernel:
            kernel.run("1")
            filler = kept.place / "filler"
            fill(filler)
            for number in range(20):
                assert kernel.run(f"{number} # {'x' * 500}").result == str(number)
            assert kernel.log().count("can't be written: No space left") == 1
            filler.unlink()
            kernel.run("'again'")
        assert kept.outcomes()["'again'"] == ("ok", "")
        assert kept.lines("gap")
    finally:
        subprocess.run(["umount", str(kept.place)], check=True)


# -- read


def test_log_in_a_notebook(kernel: Kernel, kept: Kept, program: Program) -> None:
    kernel.run("print('once')\n'twice'")
    kernel.run("1 / 0")
    live_kernel("exec", program.pid, "'by another'", env=kept.env)
    with Program("idle") as other:
        live_kernel("exec", other.pid, "'elsewhere'", env=kept.env)
    shown = kernel.run("%log").stdout
    assert "    print('once')\n    'twice'\n" in shown
    assert "error: ZeroDivisionError" in shown
    assert f"pid {program.pid} (" in shown
    assert "in orders.ipynb" in shown
    assert "'by another'" in shown
    assert "'elsewhere'" not in shown
    assert "'elsewhere'" in kernel.run("%log --all").stdout
    assert kernel.run("%log -n 1").stdout.count("\n") == 2
    raw = [json.loads(line) for line in kernel.run("%log -n 3 --json").stdout.splitlines()]
    assert all("event" in line for line in raw)
    assert "Usage: %log" in kernel.run("%log now").traceback


def test_log_comes_at_once_while_a_cell_runs(kernel: Kernel) -> None:
    cell = kernel.begin("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    cell.wait_for("begun")
    assert "its end is not on record" in kernel.run("%log").stdout
    assert not cell.is_done
    kernel.interrupt()
    cell.finish()


def test_log_on_the_command_line(kernel: Kernel, kept: Kept, program: Program) -> None:
    kernel.run("print('\\x1b[31m')  # \x1b]0;gotcha\x07")
    kernel.run("'found'")
    with kept.path.open("ab") as file:
        file.write(b"damaged\n")
    done = live_kernel("log", env=kept.env)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "gotcha" in done.stdout
    assert "1 damaged lines were skipped" in done.stderr
    matched = live_kernel("log", "--match", "'found'", "--pid", program.pid, env=kept.env)
    assert "'found'" in matched.stdout
    assert "gotcha" not in matched.stdout
    raw = live_kernel("log", "--match", "'found'", "--json", "--since", "1h", env=kept.env).stdout
    cell, outcome = map(json.loads, raw.splitlines())
    assert (cell["event"], outcome["event"], cell["id"]) == ("cell", "outcome", outcome["id"])
    nothing = live_kernel("log", "--user", "nobody-at-all", env=kept.env)
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "Nothing is on record" in nothing.stderr
    assert live_kernel("log", "--since", "later", env=kept.env).returncode == 2


def test_log_as_it_grows(kernel: Kernel, kept: Kept) -> None:
    command = [sys.executable, "-m", "live_kernel", "log", "-f", "-n", "3"]
    env = kept.env | {"PYTHONPATH": str(ROOT)}
    with Terminal(command, env) as terminal:
        terminal.wait_for("%where")
        kernel.run("'first of all'")
        terminal.wait_for("'first of all'", "ended: ok")
        kept.path.rename(kept.path.with_name("journal.jsonl.1"))
        kernel.run("'another file'")
        terminal.wait_for("'another file'")
        terminal.type("C-c")
        assert terminal.wait_for_end() == 0


@pytest.mark.root
def test_another_user_reads_nothing(kernel: Kernel, kept: Kept) -> None:
    kernel.run("1")
    kept.place.chmod(0o755)
    for path in (kept.path, kept.path.parent):
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls", "-l", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Permission denied" in done.stderr
    for path in kept.path.parent.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


# -- the program's own record


AUDITS = """
import sys, time
heard = []
def hook(event, arguments):
    if event.startswith(("remote_debugger_script", "cpython.remote", "compile", "exec", "open",
                         "socket.", "subprocess.", "os.putenv")):
        heard.append((event, str(arguments)[:200]))
sys.addaudithook(hook)
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


def test_the_programs_audit_hooks_hear_all_that_python_tells(tmp_path: Path) -> None:
    """Of the attach, and of what cells do: nothing is kept from them."""
    program = tmp_path / "audits.py"
    program.write_text(AUDITS)
    cells = {
        "open": "open('/etc/hostname').close()",
        "compile": "compile('1 + 1', '<made>', 'eval')",
        "exec": "exec('2 + 2')",
        "socket.__new__": "import socket; made = socket.socket()",
        "socket.bind": "made.bind(('127.0.0.1', 0)); made.close()",
        "subprocess.Popen": "import subprocess; subprocess.run(['true'])",
        "os.putenv": "import os; os.environ['HEARD'] = '1'",
    }
    with Target(program) as target, Kernel("--pid", target.pid) as kernel:
        at_attach = kernel.value("list(heard)")
        assert [name for name, _ in at_attach].count("cpython.remote_debugger_script") == 1
        for event, code in cells.items():
            kernel.run("heard.clear()")
            cell = kernel.run(code)
            assert cell.status == "ok", cell
            names = [name for name, _ in kernel.value("list(heard)")]
            assert event in names, (event, names)
            assert {"compile", "exec"} <= set(names), "those of the cell itself"
