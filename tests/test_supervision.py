"""Programs under supervision: as they are without it, to themselves and to who starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel
from supervised_programs import RUN, Supervised, a_name
from targets import PROGRAMS, ROOT, Target, clean_environment, eventually, python314
from terminals import Terminal
from users import NOBODY, become, run_as

from live_kernel.attach import orders, proc, supervised
from live_kernel.errors import LiveKernelError, NoTarget
from live_kernel.supervising import name_of

pytestmark = pytest.mark.attach

ALL = ",".join(str(int(s)) for s in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))


def run(
    *words: str, env: Mapping[str, str] | None = None, **how: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command under supervision, to its end."""
    how = {"capture_output": True, "text": True, "timeout": 40} | how
    whole = clean_environment() | dict(env or {})
    return subprocess.run([*RUN, *words], env=whole, check=False, **how)


def live_kernel(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "live_kernel", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip


# -- as without us

FACTS = """
import json, os, signal, resource
status = open('/proc/self/status').read().splitlines()
wanted = ('Umask', 'SigBlk', 'SigIgn', 'SigCgt', 'Groups', 'Seccomp', 'NoNewPrivs', 'CapEff')
print(json.dumps({
    'status': [line for line in status if line.split(':')[0] in wanted],
    'environment': open('/proc/self/environ').read().split(chr(0)),
    'files': {n: os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')
              if os.path.exists(f'/proc/self/fd/{n}')},
    'directory': os.getcwd(), 'nice': os.nice(0), 'session': os.getsid(0),
    'limits': [resource.getrlimit(n) for n in range(16)], 'group': os.getpgrp(),
}))
"""


def test_the_program_finds_all_as_it_would_without(tmp_path: Path) -> None:
    """Environment, files, signals, limits: what is inherited is inherited unchanged."""
    env = {"LC_ALL": "C", "EMPTY": "", "TMPDIR": str(tmp_path)}
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    told = []
    for begin in ([], [*RUN, "--"]):
        done = subprocess.run(
            [*begin, python314(), "-c", FACTS],
            env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            timeout=40, check=True, pass_fds=[writer], umask=0o027,
        )  # fmt: skip
        told.append(json.loads(done.stdout))
    os.close(reader)
    os.close(writer)
    for facts in told:
        facts["files"] = {n: name.split(":")[0] for n, name in facts["files"].items()}
    assert told[0] == told[1]
    assert str(writer) in told[1]["files"], "what was inherited on purpose is"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 7"], 7, "exited with status 7"),
        (["sh", "-c", "kill -TERM $$"], 143, "was killed by SIGTERM"),
        (["sh", "-c", "kill -SEGV $$"], 139, "was killed by SIGSEGV"),
        (["/no/such/program"], 127, "could not be started: No such file"),
        (["/etc/passwd"], 126, "could not be started: Permission denied"),
    ],
)
def test_its_status_is_ours(command: list[str], status: int, says: str) -> None:
    done = run("--", *command)
    assert done.returncode == status
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == (1 if says else 0)


def test_who_wants_it_quiet() -> None:
    assert run("-q", "sh", "-c", "exit 3").stderr == ""


def test_a_script_that_names_no_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo from $0 $1")
    script.chmod(0o755)
    assert run(str(script), "one").stdout == f"from {script} one\n"


def test_bytes_go_through_untouched() -> None:
    data = os.urandom(1 << 20)
    done = run("cat", input=data, text=False)
    assert done.stdout == data


def test_streams_that_are_closed_stay_so() -> None:
    """What we open does not come to the program under their numbers."""
    script = f"{RUN[0]} -m live_kernel run -q -- ls -l /proc/self/fd <&- 2>&-"
    done = subprocess.run(
        ["sh", "-c", script], env=clean_environment(), capture_output=True, text=True,
        timeout=40, check=False,
    )  # fmt: skip
    assert "live-supervised" not in done.stdout
    assert " 2 ->" not in done.stdout
    assert "/fd" in done.stdout


def test_under_nohup() -> None:
    with Supervised("signalled", args=[int(signal.SIGUSR1)], wrap=["env"]) as plain:
        plain_ignored = ignored(plain.program.pid)
    name = a_name()
    nohup = ["nohup", *RUN, "--name", name, "--"]
    with Target("signalled", args=[int(signal.SIGUSR1)], wrap=nohup) as target:
        program = eventually(lambda: supervised.present(name))
        assert program is not None
        assert not plain_ignored >> (signal.SIGHUP - 1) & 1
        assert ignored(program.pid) >> (signal.SIGHUP - 1) & 1
        os.kill(target.pid, signal.SIGHUP)
        os.kill(target.pid, signal.SIGUSR1)
        target.wait_for("got SIGUSR1")
        target.send("quit 4")
        assert target.wait() == 4


def ignored(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("SigIgn")), 16)


# -- signals


def test_what_is_sent_to_the_supervisor_reaches_the_program() -> None:
    with Supervised("signalled", args=[ALL]) as target:
        for number in map(int, ALL.split(",")):
            os.kill(target.pid, number)
            target.wait_for(f"got {signal.Signals(number).name}")
        target.send("quit 5")
        assert target.wait() == 5


def test_the_terminal_is_the_programs(artefacts: Path) -> None:
    """Ctrl-C once, Ctrl-Z and fg, a change of size, a stop of its own: as without us."""
    every = f"{ALL},{int(signal.SIGWINCH)}"
    name = a_name()
    shell = ["bash", "--norc", "-i"]
    with Terminal(shell, {"TERM": "xterm"}, artefacts / "screen.txt") as terminal:
        terminal.wait_for("bash-")
        program = ROOT / "tests" / "programs" / "signalled.py"
        command = f"{sys.executable} -m live_kernel run --name {name} -- {python314()}"
        terminal.enter(f"{command} {program} {every}; echo status $?")
        terminal.wait_for("ready ")
        terminal.type("C-c")
        terminal.wait_for("got SIGINT")
        terminal.enter("hello")
        assert terminal.wait_for("read hello").count("got SIGINT") == 1
        terminal.type("C-z")
        terminal.wait_for("Stopped", "status 148")
        assert live_kernel("runs").stdout.count(name) == 1, "also while it is stopped"
        terminal.enter("fg")
        terminal.enter("again")
        terminal.wait_for("read again")
        terminal.enter("stop")
        terminal.wait_for("Stopped", times=2)
        terminal.enter("fg")
        terminal.enter("quit 9")
        terminal.wait_for("exited with status 9")


def test_each_start_finds_the_terminal_as_the_first_did(tmp_path: Path) -> None:
    """A program that dies with the terminal raw, as those that draw on it do."""
    count = tmp_path / "count"
    code = f"stty -a | grep -o '.icanon'; stty raw -echo; {python314()} -c \"$0\" {count} 1"
    words = [*RUN, "--restart=on-failure", "--", "sh", "-c", code, COUNTS]
    with Terminal(words, {"TERM": "xterm"}) as terminal:
        assert terminal.wait_for_end() == 0
        assert terminal.screen().count(" icanon") == 2


def test_with_its_terminal_it_goes(tmp_path: Path) -> None:
    """A hangup reaches the program, and ends both."""
    name = a_name()
    words = [*RUN, "--name", name, "--", python314(), str(PROGRAMS / "idle.py"), "x"]
    with Terminal(words, {"TMPDIR": str(tmp_path)}) as terminal:
        terminal.wait_for("ready")
        found = supervised.named(name)
        program = supervised.present(name)
        assert program is not None
    eventually(lambda: not any(map(is_there, (found.pid, program.pid))))
    assert list(tmp_path.glob("live-*")) == []


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_killed_it_leaves_the_program_alone(tmp_path: Path) -> None:
    with Supervised("idle", args=["x"], env={"TMPDIR": str(tmp_path)}) as target:
        program = target.program
        os.kill(target.pid, signal.SIGKILL)
        target.process.wait(10)
        try:
            assert proc.stat(program.pid).state in "SR"
            assert proc.stat(program.pid).parent != target.pid
            assert supervised.present(target.name) is None
            assert list(tmp_path.iterdir()) == []
            # And the name is free.
            with Supervised("idle", args=["x"], name=target.name) as again:
                assert again.program.pid != program.pid
        finally:
            os.kill(program.pid, signal.SIGKILL)


@pytest.mark.root
def test_as_the_first_process_of_a_container() -> None:
    """It collects orphans, gets its signals, and takes all with it when the program ends."""
    code = (
        "import os, signal, time, subprocess\n"
        "subprocess.run(['sh', '-c', '(sleep 0.1; exit 3) &'])\n"
        "while True:\n"
        "    ps = [open(f'/proc/{p}/stat').read().split()[2:4] for p in os.listdir('/proc')"
        " if p.isdecimal()]\n"
        "    if len(ps) == 2: break\n"
        "    time.sleep(0.01)\n"
        "print('ready', sorted(ps), flush=True)\n"
        "signal.pause()\n"
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *RUN, "--"]
    with subprocess.Popen(
        [*command, python314(), "-c", code], stdout=subprocess.PIPE, text=True,
        env=clean_environment(), start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        line = child.stdout.readline()
        assert "'Z'" not in line
        (first,) = proc.children(child.pid)
        os.kill(first, signal.SIGTERM)
        assert child.wait(20) == 143


@pytest.mark.root
def test_one_that_is_killed_for_want_of_memory() -> None:
    """In a control group of its own, which has too little for it."""
    group = memory_group()
    words = [*RUN, "--", python314(), "-c", "x = bytearray(1 << 28); x[::4096] = b'1' * (1 << 16)"]
    enter = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    try:
        done = subprocess.run(
            ["sh", "-c", enter, "sh", *words], env=clean_environment(), capture_output=True,
            text=True, timeout=40, check=False,
        )  # fmt: skip
        assert done.returncode == 137
        assert "was killed by SIGKILL (the system kills for want of memory)" in done.stderr
    finally:
        group.rmdir()
    assert "memory" not in run("sh", "-c", "kill -KILL $$").stderr


def memory_group() -> Path:
    """A new control group, with 100 MB; skips where none can be made."""
    mounted = Path("/sys/fs/cgroup")
    is_first = (mounted / "memory").is_dir()
    group = (mounted / "memory" if is_first else mounted) / a_name("live-kernel-test")
    try:
        group.mkdir()
        name = "memory.limit_in_bytes" if is_first else "memory.max"
        (group / name).write_text(str(100 << 20))
        if not is_first:
            (group / "memory.swap.max").write_text("0")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    return group


# -- names, lists


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "orders_service.py", "--port", "80"], "orders_service"),
        (["/usr/bin/python3.14", "-X", "dev", "-u", "/srv/app/main.py"], "main"),
        (["python", "-m", "uvicorn", "shop:app"], "uvicorn"),
        (["python", "-m", "shop.cli"], "shop"),
        (["python", "-c", "pass"], "python"),
        (["python"], "python"),
        (["./run me.sh"], "run-me.sh"),
        (["/bin/42"], "program-42"),
        (["/bin/日本"], "program"),
        (["gunicorn", "-w", "4"], "gunicorn"),
    ],
)
def test_what_a_program_is_called(command: Sequence[str], name: str) -> None:
    assert name_of(command) == name
    assert supervised.NAME.fullmatch(name)


def test_the_same_program_twice_has_two_names() -> None:
    script = "signalled"
    first, second = ([*RUN, "--"], [*RUN, "--"])
    with (
        Target(script, args=[10], wrap=first) as one,
        Target(script, args=[10], wrap=second) as two,
    ):
        names = {each.pid: each.name for each in supervised.supervisors()}
        assert names[one.pid] != names[two.pid]
        assert names[two.pid].startswith("signalled")


def test_a_name_that_is_taken_is_refused() -> None:
    with Supervised("idle", args=["x"]) as target:
        done = run("--name", target.name, "echo", "started")
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"The name {target.name} is taken" in done.stderr
        assert f"(by supervisor {target.pid})" in done.stderr


@pytest.mark.parametrize("name", ["12", "a b", "a/b", "", "x" * 61, "a\n"])
def test_names_that_are_none(name: str) -> None:
    done = run("--name", name, "echo", "started")
    assert (done.returncode, done.stdout) == ((0, "started\n") if name == "" else (1, ""))


def test_runs_lists_it() -> None:
    with Supervised("idle", args=["x"]) as target:
        listed = json.loads(live_kernel("runs", "--json").stdout)
        mine = next(each for each in listed if each["name"] == target.name)
        assert mine["pid"] == target.program.pid
        assert mine["supervisor"] == target.pid
        assert (mine["state"], mine["restarts"], mine["last"]) == ("runs", 0, "")
        row = next(r for r in live_kernel("runs").stdout.splitlines() if target.name in r)
        assert f" {target.program.pid} " in row
        # It is a program like any other to `ps`, and its supervisor is none.
        pids = [row["pid"] for row in json.loads(live_kernel("ps", "--json").stdout)]
        assert target.program.pid in pids
        assert target.pid not in pids


def test_a_command_line_without_end_is_listed_in_short() -> None:
    words = ["\U0001f41e" * 20_000, *["word"] * 10_000, os.fsdecode(b"\xff" * 100)]
    with Supervised("idle", args=words) as target:
        listed = json.loads(live_kernel("runs", "--json").stdout)
        mine = next(each for each in listed if each["name"] == target.name)
        assert mine["pid"] == target.program.pid
        assert len(" ".join(mine["command"])) < 10_000


# -- ended, and started again


def test_restart_and_stop() -> None:
    with Supervised("signalled", args=[int(signal.SIGUSR1)]) as target:
        before = target.program
        done = live_kernel("restart", target.name)
        after = target.program
        assert done.stdout == f"{target.name} runs as pid {after.pid} now.\n"
        assert after.pid != before.pid
        target.wait_for(f"ready {after.pid}")
        about = target.about()
        assert about["restarts"] == 1
        assert about["last"] == f"pid {before.pid} was killed by SIGTERM"
        done = live_kernel("stop", target.name)
        assert done.stdout == f"{target.name}: pid {after.pid} was killed by SIGTERM\n"
        assert target.wait() == 143
        assert supervised.present(target.name) is None


def test_one_that_does_not_let_itself_be_ended() -> None:
    with Supervised("signalled", args=[int(signal.SIGTERM)]) as target:
        pid = target.program.pid
        done = live_kernel("stop", "--within", "0.2", target.name)
        assert done.returncode == 1
        assert f"(pid {pid}) has not ended within 0.2 s of SIGTERM" in done.stderr
        assert f"live-kernel stop --kill {target.name}" in done.stderr
        assert target.about()["state"] == "is to end"
        assert live_kernel("restart", "--kill", target.name).returncode == 0
        assert target.program.pid != pid
        assert live_kernel("stop", "--kill", target.name).returncode == 0
        assert target.wait() == 137


def test_a_restart_that_comes_when_the_program_ends_at_last() -> None:
    with Supervised("signalled", args=[int(signal.SIGTERM)]) as target:
        pid = target.program.pid
        done = live_kernel("restart", "--within", "0.2", target.name)
        assert "It is started again as soon as it does." in done.stderr
        target.send("quit 0")
        assert eventually(lambda: target.program.pid != pid)
        assert target.about()["restarts"] == 1


@pytest.mark.parametrize("command", ["restart", "stop"])
def test_of_a_program_that_is_not_there(command: str) -> None:
    done = live_kernel(command, "no-such-name")
    assert done.returncode == 2
    assert "No supervised program is called 'no-such-name'" in done.stderr


COUNTS = """
import sys, pathlib
file = pathlib.Path(sys.argv[1])
n = len(file.read_text()) if file.exists() else 0
file.write_text('x' * (n + 1))
sys.exit(0 if n == int(sys.argv[2]) else 6)
"""


def test_again_on_failure(tmp_path: Path) -> None:
    count = tmp_path / "count"
    done = run("--restart=on-failure", python314(), "-c", COUNTS, str(count), "2")
    assert done.returncode == 0
    assert count.read_text() == "xxx"
    assert done.stderr.count("exited with status 6; it is started again in") == 2


def test_never_again(tmp_path: Path) -> None:
    count = tmp_path / "count"
    assert run(python314(), "-c", COUNTS, str(count), "2").returncode == 6
    assert count.read_text() == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_always_again_until_somebody_ends_it(number: int) -> None:
    with Supervised("signalled", args=[10], run=["--restart=always", "-q"]) as target:
        pid = target.program.pid
        target.send("quit 0")
        assert eventually(lambda: target.program.pid != pid)
        target.wait_for(f"ready {target.program.pid}")
        os.kill(target.pid, number)
        assert target.wait() == 128 + number


def test_stopped_while_it_waits_to_be_started() -> None:
    """A program that fails at once is started again later and later; `stop` does not wait."""
    name = a_name()
    command = [*RUN, "-q", "--name", name, "--restart=always", "--", "false"]
    with subprocess.Popen(command, env=clean_environment()) as child:
        eventually(lambda: "starts again" in about(name).get("state", ""))
        assert live_kernel("stop", name).returncode == 0
        assert child.wait(20) == 1


def about(name: str) -> dict[str, Any]:
    try:
        return supervised.named(name).about()
    except (OSError, LiveKernelError):
        return {}


# -- by name


def test_cells_run_in_it_by_its_name() -> None:
    with Supervised("idle", args=["x"]) as target:
        first = live_kernel("exec", target.name, "import os; os.getpid()")
        assert first.stdout == f"{target.program.pid}\n"
        assert live_kernel("restart", target.name).returncode == 0
        target.wait_for("ready", after=1)
        second = live_kernel("exec", target.name, "import os; os.getpid()")
        assert second.stdout == f"{target.program.pid}\n" != first.stdout


@pytest.mark.client
def test_a_notebook_attaches_by_name_again_and_again() -> None:
    with Supervised("idle", args=["x"]) as target, Kernel() as kernel:
        assert target.name in kernel.complete(f"%attach {target.name[:-3]}")
        assert kernel.run(f"%attach {target.name}").status == "ok"
        assert kernel.value("__import__('os').getpid()") == target.program.pid
        assert live_kernel("restart", target.name).returncode == 0
        target.wait_for("ready", after=1)
        assert kernel.run(f"%attach {target.name}").status == "ok"
        assert kernel.value("__import__('os').getpid()") == target.program.pid


def test_what_runs_python_behind_a_shell() -> None:
    with Supervised("idle", args=["x"], wrap=["sh", "-c", '"$@"; true', "sh"]) as target:
        eventually(lambda: target.program.implementation == "CPython")
        assert target.program.parent == target.about()["pid"]
        supervisor = supervised.supervisor_of(target.program.pid)
        assert supervisor is not None
        assert supervisor.name == target.name


# -- the desk


def ask(path: str, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.send(data)
        return connection.recv(1 << 16)


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"\xff", b"[" * 4000, b"{}", b'{"ask": "about", "more": 1}', b'{"ask": "run"}',
        b'{"ask": "memory", "pid": "1", "started": 1}', b'{"ask": "stop"}',
        b'{"ask": "wake", "pid": 1, "started": 1, "technique": "EINTR", "wait": [1, 2]}',
        b'{"ask": "inject", "script": "/tmp/x"}',
    ],
)  # fmt: skip
def test_nonsense_is_refused(request_: bytes) -> None:
    with Supervised("idle", args=["x"]) as target:
        reply = json.loads(ask(supervised._socket_of(target.pid), request_))
        assert reply == {"error": "That is nothing that a supervisor can be asked."}
        assert target.about()["state"] == "runs"


def test_what_a_supervisor_says_is_checked() -> None:
    with Supervised("idle", args=["x"]) as target:
        about = target.about()
        assert orders.is_about(about)
        for name, wrong in {
            "pid": "1", "since": None, "command": ["x", 1], "last": [], "state": 3,
        }.items():  # fmt: skip
            assert not orders.is_about(about | {name: wrong})
            assert not orders.is_about({k: v for k, v in about.items() if k != name})


def test_only_what_descends_from_it_is_lent() -> None:
    with Supervised("idle", args=["x"]) as target, Target("idle", args=["x"]) as stranger:
        supervisor = supervised.named(target.name)
        program = target.program
        for pid, started in (
            (stranger.pid, proc.stat(stranger.pid).start_time),
            (program.pid, program.start_time + 1),
            (target.pid, proc.stat(target.pid).start_time),
        ):
            request = {"ask": orders.MEMORY, "pid": pid, "started": started}
            with pytest.raises(LiveKernelError):
                supervisor.lend(request)
        mine = {"ask": orders.MEMORY, "pid": program.pid, "started": program.start_time}
        os.close(supervisor.lend(mine))
        assert supervised.supervisor_of(stranger.pid) is None


CLIENT = """
import sys
from live_kernel.attach import supervised
try:
    supervised.memory(int(sys.argv[1]))
except PermissionError as error:
    print(error)
"""


@pytest.mark.root
def test_who_may_do_less_than_the_program_gets_nothing() -> None:
    """What a sandbox keeps from its prisoner, a supervisor outside does not give him."""
    with Supervised("idle", args=["x"]) as target:
        words = [sys.executable, "-c", CLIENT, str(target.program.pid)]
        for prison, why in (
            (["setpriv", "--no-new-privs"], "can't gain privileges"),
            (["unshare", "--net"], "has network of its own"),
            (["setpriv", "--bounding-set=-sys_ptrace"], "Permission denied"),
        ):
            done = subprocess.run(
                [*prison, *words], cwd=ROOT, capture_output=True, text=True, timeout=40, check=True
            )
            assert why in done.stdout, done.stderr
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, timeout=40, check=True
        )
        assert done.stdout == "", "but who is in none does"


@pytest.mark.root
def test_another_user_is_not_even_heard() -> None:
    with Supervised("idle", args=["x"]) as target:
        code = (
            "import sys; from live_kernel.attach import supervised\n"
            "print(supervised.supervisors(), supervised.supervisor_of(int(sys.argv[1])))\n"
            "try: supervised._socket_of(int(sys.argv[2]))\n"
            "except PermissionError: print('no way in')"
        )
        done = run_as(NOBODY, code, target.program.pid, target.pid)
        assert done.stdout == "[] None\nno way in\n", done.stderr


def test_two_of_a_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in different networks can there be two; neither is taken for the other."""
    with Supervised("idle", args=["x"]) as one, Supervised("idle", args=["x"]) as two:
        both = [supervised.Supervisor(each.pid, "same") for each in (one, two)]
        monkeypatch.setattr(supervised, "supervisors", lambda: both)
        with pytest.raises(NoTarget, match="2 supervised programs are called same"):
            supervised.present("same")


# -- where only ancestors may look into a process

JOURNAL_OFF = {"LIVE_KERNEL_JOURNAL": "off"}

UNDER_YAMA = """
import json, subprocess, sys, time
from live_kernel import attach
from live_kernel.attach import processes, supervised, doctor
from live_kernel.errors import LiveKernelError
python, name, idle, code = sys.argv[1:]
run = [sys.executable, "-m", "live_kernel", "run", "-q", "--name", name, "--"]
plain = subprocess.Popen([python, idle, "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
plain.stdout.readline()
told = {}
try:
    # It is our own child: one of a cousin's is asked for.
    child = subprocess.run([sys.executable, "-m", "live_kernel", "exec", str(plain.pid), "1"],
                           capture_output=True, text=True)
    told["cousin"] = child.stderr
finally:
    plain.kill()
    plain.wait()
script = [python, idle, "x"] if code == "-" else [python, "-c", code]
subprocess.Popen(["setsid", "--fork", *run, *script], stdin=subprocess.PIPE,
                 stdout=subprocess.DEVNULL)
def present():
    found = supervised.present(name)
    return found if found is not None and found.implementation else None
while (process := present()) is None:
    time.sleep(0.01)
try:
    told["verdict"] = next(f.detail for f in doctor.doctor(process.pid) if f.name == "permission")
    told["listed"] = [c.attachable for c in processes.candidates() if c.process.pid == process.pid]
    with attach(process.pid, timeout=20, wake=True) as program:
        shown = []
        outcome = program.run("import os; print(os.getpid())", shown.append)
        told["cell"] = "".join(each.get("text", "") for each in shown).strip()
        told["threads"] = len(program.look("threads").get("threads", ())) > 0
    told["pid"] = process.pid
    # A second time, after it was left; and from a process that is nothing to it.
    again = subprocess.run([sys.executable, "-m", "live_kernel", "exec", "--wake", name, "6 * 7"],
                           capture_output=True, text=True)
    told["again"] = again.stdout + again.stderr
finally:
    stop = subprocess.run([sys.executable, "-m", "live_kernel", "stop", "--kill", name])
print(json.dumps(told))
"""


def under_yama(python: str, code: str = "-") -> dict[str, Any]:
    """What an ordinary user gets there. The program is none of the launcher's descendants."""
    yama = [sys.executable, str(ROOT / "tests" / "yama.py"), *become(NOBODY), sys.executable]
    idle = str(ROOT / "tests" / "programs" / "idle.py")
    done = subprocess.run(
        [*yama, "-c", UNDER_YAMA, python, a_name(), idle, code],
        env=clean_environment() | {"HOME": "/", "PYTHONPATH": str(ROOT)} | JOURNAL_OFF,
        cwd="/", capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert "ptrace_scope is 1, only its ancestors may look into it" in told["cousin"]
    assert "live-kernel run PROGRAM" in told["cousin"]
    assert told["verdict"] == "its memory can be opened, by its supervisor (live-kernel run)"
    assert told["listed"] == [True]
    assert told["cell"] == str(told["pid"])
    assert told["threads"]
    assert told["again"] == "42\n"
    return told


@pytest.mark.root
@pytest.mark.parametrize("version", ["python314", "python315"])
def test_where_only_ancestors_may(version: str, request: pytest.FixtureRequest) -> None:
    """Yama's rule, held by the kernel for all processes of the test, each an ordinary user's."""
    import targets

    under_yama(getattr(targets, version)())


@pytest.mark.root
@pytest.mark.parametrize(
    "code",
    [
        "import asyncio; asyncio.run(asyncio.sleep(600))",
        "import time; time.sleep(600)",
        "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "import signal; signal.pause()",
    ],
)
def test_where_only_ancestors_may_and_the_program_is_blocked(code: str) -> None:
    under_yama(python314(), code)
