"""Following a kernel: what is seen, by whom, and that nothing can be done there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target, eventually
from terminals import Terminal

from live_kernel.attach import leftovers
from live_kernel.errors import NoKernel
from live_kernel.following import Viewer, harmless
from live_kernel.launcher import followers, sessions
from live_kernel.launcher.reactor import Reactor

pytestmark = pytest.mark.attach

NOTEBOOK = f"orders-{os.getpid()}.ipynb"
"""Kernels of others, who may run these tests beside us, are none of ours."""

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@pytest.fixture
def kernel(program: Program) -> Iterator[Kernel]:
    with Kernel("--pid", program.pid, notebook=Path("/srv", NOTEBOOK)) as started:
        started.run("word")
        yield started


def socket_of(kernel: Kernel) -> Path:
    """Where followers come, once they can."""

    def made() -> Path:
        paths = [each for each in Path(f"/proc/{kernel.launcher_pid}/fd").iterdir() if leads(each)]
        assert paths, "nobody can follow yet"
        return paths[0]

    return eventually(made)


def leads(path: Path) -> bool:
    try:
        return "/live-followed-" in os.readlink(path)  # noqa: PTH115
    except OSError:
        return False


class Follower:
    """Somebody who has connected, and reads when told to."""

    def __init__(self, kernel: Kernel) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(socket_of(kernel)))
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def next(self) -> dict[str, Any]:
        line = self._file.readline()
        assert line.endswith(b"\n"), line
        event: dict[str, Any] = json.loads(line)
        return event

    def until(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """The events up to one of this kind, with these fields."""
        events = []
        while True:
            events.append(event := self.next())
            if event["event"] == kind and fields.items() <= event.items():
                return events


def live_kernel(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "live_kernel", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


# -- what is seen


def test_in_a_terminal(kernel: Kernel, program: Program, artefacts: Path) -> None:
    socket_of(kernel)
    command = [sys.executable, "-m", "live_kernel", "follow", str(kernel.launcher_pid)]
    with Terminal(command, {"PYTHONPATH": str(ROOT)}, artefacts / "followed.txt") as terminal:
        terminal.wait_for(f"Following kernel {kernel.launcher_pid} ({NOTEBOOK}), in pid")
        terminal.wait_for("Ctrl-C ends that")
        kernel.run("print('some output')\nword * 2")
        terminal.wait_for("]: print('some output')", "...: word * 2", "]: 'startstart'")
        terminal.wait_for("\nsome output")
        kernel.run("import sys; print('to stderr', file=sys.stderr)")
        terminal.wait_for("\nto stderr")
        kernel.run("def fails():\n    1 / 0\nfails()")
        terminal.wait_for("ZeroDivisionError: division by zero", "in fails")
        kernel.answers.append("a secret answer")
        kernel.run("answer = input('Which? ')", allow_stdin=True)
        terminal.wait_for("(asks its user: Which?)")
        kernel.run("handle = display('first', display_id=True)\nhandle.update('second')")
        terminal.wait_for("'first'", "'second'")
        kernel.run("print('\\x1b]0;evil\\x07')")
        terminal.wait_for("evil")
        kernel.run("%detach")
        terminal.wait_for(f"Detached from pid {program.pid}", ": %detach")
        screen = terminal.screen()
        assert "a secret answer" not in screen
        kernel.shutdown()
        terminal.wait_for("The kernel has ended.")
        assert terminal.wait_for_end() == 0


def test_what_follows_a_flood(kernel: Kernel) -> None:
    """Output comes as it is made, also in the middle of a cell; the cell's end, too."""
    with Follower(kernel) as follower:
        follower.until("following")
        gate = "import pathlib, time\nprint('half way', flush=True)\n"
        flag = kernel.place / "flag"
        wait = f"while not pathlib.Path({str(flag)!r}).exists(): time.sleep(0.01)"
        cell = kernel.begin(gate + wait)
        follower.until("stream", text="half way\n")
        assert not cell.is_done
        flag.touch()
        cell.finish()
        follower.until("idle")
        flag.unlink()
        kernel.run("print('x' * 300_000)")
        events = follower.until("idle")
        text = "".join(event["text"] for event in events if event["event"] == "stream")
        assert 100_000 <= len(text) < 400_000
        assert "characters more" in text


def test_who_comes_late_sees_what_runs(kernel: Kernel) -> None:
    loop = "while True: time.sleep(0.01)"
    cell = kernel.begin(f"import time\nprint('begun', flush=True)\n{loop}")
    cell.wait_for("begun")
    with Follower(kernel) as follower:
        (*_, running) = follower.until("input")
        assert running["runs"] is True
        assert running["code"].startswith("import time\n")
        kernel.interrupt()
        cell.finish()
        assert "KeyboardInterrupt" in follower.until("error")[-1]["text"]


def test_steps_of_the_attachment(program: Program) -> None:
    with Program("idle") as other, Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        with Follower(kernel) as follower:
            follower.until("following")
            kernel.run(f"%attach {other.pid}")
            steps = [e["event"] for e in follower.until("attached") if "target" in e]
            assert steps == ["detached", "attach", "attached"]
            other.expected_to_end = True
            other.signal(signal.SIGKILL)
            assert "SIGKILL" in follower.until("lost")[-1]["why"]
            kernel.shutdown()
            follower.until("end")


def test_cells_beside_the_program_are_seen(kernel: Kernel) -> None:
    with Follower(kernel) as follower:
        follower.until("following")
        kernel.run("%%local\nprint('beside')\n6 * 7")
        shown = [e.get("text") for e in follower.until("idle")]
        assert "beside\n" in shown
        assert "42" in shown


# -- who knows


def test_the_user_is_told(kernel: Kernel) -> None:
    with Follower(kernel) as follower:
        follower.until("following")
        cell = kernel.run("1")
        assert f"Followed by root (pid {os.getpid()})" in cell.notes or os.geteuid()
        assert f"(pid {os.getpid()})" in kernel.run("%status").stdout
    eventually(lambda: "Followed: " not in kernel.run("%status").stdout)
    assert f"(pid {os.getpid()})" in str([c.get("data") for c in notes(kernel)])
    assert any("Followed no more" in str(content) for content in notes(kernel))


def notes(kernel: Kernel) -> list[dict[str, Any]]:
    return [m["content"] for m in kernel.messages if m["msg_type"] == "display_data"]


def test_it_is_on_record(kernel: Kernel) -> None:
    with Follower(kernel) as follower:
        follower.until("following")
        pid = kernel.launcher_pid
        lines = [json.loads(line) for line in kernel.run("%log --json -n 0").stdout.splitlines()]
        mine = [line for line in lines if line["event"] == "follower" and line["kernel"] == pid]
        assert [line["follower"]["pid"] for line in mine] == [os.getpid()]


def test_who_only_looks_is_no_follower(kernel: Kernel) -> None:
    socket_of(kernel)
    for _ in range(3):
        assert kernel.launcher_pid in [each.pid for each in sessions.all_of_them()]
    with Follower(kernel) as follower:
        follower.until("following")  # longer than it takes to be taken for one
        assert kernel.run("1").notes.count("Followed by") == 1


# -- nothing can be done there


@pytest.mark.parametrize("said", [b"word = 'evil'\n", b"\x00", b'{"op": "run", "code": "1"}\n'])
def test_who_speaks_is_let_go(kernel: Kernel, program: Program, said: bytes) -> None:
    with Follower(kernel) as follower:
        follower.until("following")
        follower.socket.sendall(said)
        with suppress(ConnectionResetError):
            assert follower.socket.recv(1000) == b""
    assert kernel.run("word").result == "'start'"
    assert not [line for line in program.lines() if "evil" in line]


def test_nothing_that_would_let_one_in_is_told(kernel: Kernel) -> None:
    connection = json.loads((kernel.place / "kernel.json").read_text())
    with Follower(kernel) as follower:
        hello = follower.next()
        assert hello["connection"] == "kernel"
        follower.until("following")
        kernel.run("1")
        text = json.dumps([hello, *follower.until("idle")])
    assert connection["key"] not in text
    assert str(connection["shell_port"]) not in text


@pytest.mark.root
def test_another_user_gets_nothing(kernel: Kernel) -> None:
    """Neither through the system nor, were all of its doors open, from the kernel."""
    path = socket_of(kernel)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(20)\n"
        "try: s.connect(sys.argv[1]); print(s.recv(1000))\n"
        "except OSError as error: print(type(error).__name__)"
    )

    def tried(path: str, *descriptors: int) -> str:
        # Any Python will do: the system's is one that everybody can run.
        command = [*AS_NOBODY, "/usr/bin/python3", "-c", code, path]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, pass_fds=descriptors
        )
        return done.stdout.strip() or done.stderr

    assert tried(str(path)) == "PermissionError"
    descriptor = os.open(path, os.O_PATH)
    try:
        assert tried(f"/proc/self/fd/{descriptor}", descriptor) == "PermissionError"
        path.chmod(0o666)
        assert tried(f"/proc/self/fd/{descriptor}", descriptor) in ("b''", "ConnectionResetError")
    finally:
        os.close(descriptor)
    assert "Followed" not in kernel.run("1").notes


@pytest.mark.root
def test_root_follows_a_users_kernel() -> None:
    place = Path(tempfile.mkdtemp(prefix="lk-", dir="/tmp"))
    os.chown(place, NOBODY, NOBODY)
    check = [*AS_NOBODY, sys.executable, "-c", "import live_kernel.handle"]
    env = {"TMPDIR": str(place), "HOME": str(place), "PYTHONPATH": str(ROOT)}
    try:
        if subprocess.run(check, env=os.environ | env, cwd="/", check=False).returncode != 0:
            pytest.skip(f"nobody can't run {sys.executable} with live_kernel")
        with serving(place, [*AS_NOBODY, sys.executable, "-c", SERVES], env) as pid:
            (session,) = [each for each in sessions.all_of_them() if each.pid == pid]
            assert session.uid == NOBODY
            with sessions.named(str(pid)) as followed:
                assert next(followed.events())["event"] == "kernel"
    finally:
        shutil.rmtree(place)


SERVES = """
import sys
from live_kernel.launcher.followers import Followers
from live_kernel.launcher.reactor import Reactor
class Frontend:
    taps = []
reactor = Reactor()
about = lambda: {"connection": "kernel-x", "target": {"pid": 77, "command": "a program"}}
followers = Followers(reactor, about, list, lambda text: None, lambda *a, **k: None)
followers.open(Frontend())
print("ready", flush=True)
reactor.read(sys.stdin, reactor.stop)
reactor.run()
followers.close()
"""


@contextmanager
def serving(place: Path, command: list[str], env: dict[str, str]) -> Iterator[int]:
    """A process that can be followed."""
    whole = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"} | env
    with subprocess.Popen(
        command, env=whole, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)
    assert not list(place.glob("live-followed-*"))


# -- it holds nobody up


def test_who_does_not_read_is_let_go_and_holds_up_nobody(kernel: Kernel) -> None:
    with Follower(kernel) as idle, Follower(kernel) as reading:
        idle.until("following")
        reading.until("following")
        cell = kernel.run("for _ in range(300): print('x' * 60_000)", timeout=50)
        assert cell.status == "ok"
        eventually(lambda: any("did not keep up" in str(content) for content in notes(kernel))
                   or kernel.run("1") is None)  # fmt: skip
        assert kernel.run("1").status == "ok"
        # What had been sent before can still be read; then there is nothing more.
        idle.socket.settimeout(20)
        while idle.socket.recv(1 << 20):
            pass


def test_a_stopped_follower(kernel: Kernel) -> None:
    socket_of(kernel)
    command = [sys.executable, "-m", "live_kernel", "follow", str(kernel.launcher_pid)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        for _ in range(100):
            kernel.run("print('x' * 90_000)")
        assert time.monotonic() - begun < 40
        eventually(lambda: "Followed:" not in kernel.run("%status").stdout)
        process.send_signal(signal.SIGCONT)
        process.stdout.read()
        assert process.wait(20) == 21


def test_only_so_many_at_a_time(kernel: Kernel) -> None:
    path = socket_of(kernel)
    all_of_them = []
    try:
        for _ in range(20):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            connection.connect(str(path))
            all_of_them.append((connection, connection.recv(10_000)))
        assert [bool(said) for _, said in all_of_them] == [True] * 16 + [False] * 4
    finally:
        for connection, _ in all_of_them:
            connection.close()
    assert kernel.run("1").status == "ok"


# -- which kernel


def test_kernels_are_listed_and_named(program: Program, kernel: Kernel) -> None:
    socket_of(kernel)
    another = f"quite-another-{os.getpid()}"
    with Target("idle", args=[another]) as other, Kernel("--pid", other.pid) as second:
        second.run("1")
        socket_of(second)
        done = live_kernel("follow")
        assert done.stdout.splitlines()[0].split()[:4] == ["Kernel", "User", "Session", "Program"]
        row = next(r for r in done.stdout.splitlines() if r.startswith(f"{kernel.launcher_pid} "))
        assert NOTEBOOK in row
        assert f" {program.pid} " in row
        rows = json.loads(live_kernel("follow", "--json").stdout)
        assert kernel.launcher_pid in [row["kernel"] for row in rows]
        for name in (kernel.launcher_pid, program.pid, NOTEBOOK, f"/srv/{NOTEBOOK}"):
            assert known(str(name)) == kernel.launcher_pid
        assert known(another) == second.launcher_pid
        with pytest.raises(NoKernel, match=r"\d+ kernels fit 'kernel'"):
            sessions.named("kernel")  # the connection file of both
        with pytest.raises(NoKernel, match="could be followed"):
            sessions.named("nobody-has-this-name")


def known(name: str) -> int:
    with sessions.named(name) as session:
        return session.pid


def test_a_kernel_that_is_stopped_does_not_stop_the_others(
    kernel: Kernel, program: Program
) -> None:
    with Kernel() as second:
        second.run("%status")
        socket_of(second)
        socket_of(kernel)
        os.kill(second.launcher_pid, signal.SIGSTOP)
        try:
            found = [each.pid for each in sessions.all_of_them()]
        finally:
            os.kill(second.launcher_pid, signal.SIGCONT)
        assert kernel.launcher_pid in found
        assert second.launcher_pid not in found


def test_nothing_that_a_kernel_says_of_itself_is_trusted() -> None:
    """Root is shown the kernels of others, too."""
    evil = "\x1b]0;gotcha\x07"
    hostile: list[dict[str, Any]] = [
        {"target": {}, "since": "x", "notebook": 7, "connection": [evil]},
        {"target": {"command": evil}, "since": float("-inf"), "notebook": evil},
        {"target": [evil], "since": float("nan"), "followers": {evil: evil}},
        {"since": -1e308},
    ]
    found = []
    for about in hostile:
        session = sessions.Session.__new__(sessions.Session)
        session.pid, session.uid, session.about = 1, 0, about
        found.append(session)
    text = sessions.table(found).as_text() + "".join(map(str, found))
    assert not set(text) & set("\x1b\x07")
    assert "gotcha" in text


# -- its end


def test_there_is_nothing_to_be_left(kernel: Kernel) -> None:
    """However it ends, no file is: there is none already while it runs."""
    socket_of(kernel)
    assert not [*kernel.place.glob("live-*")]


def test_a_restart(kernel: Kernel) -> None:
    before = kernel.launcher_pid
    socket_of(kernel)
    kernel.restart()
    kernel.run("1")
    assert str(before) not in str(socket_of(kernel))


def test_the_end_of_a_kernel_that_is_killed(kernel: Kernel) -> None:
    socket_of(kernel)
    command = [sys.executable, "-m", "live_kernel", "follow", str(kernel.launcher_pid)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C" not in process.stdout.readline():
            pass
        kernel.kill_for_good()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 21
    assert "ended without a word" in errors


def test_what_is_left_by_a_kernel_that_is_killed_as_it_makes_the_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(leftovers, "OLD", 0.0)
    left = tmp_path / "live-followed-0123456789ab"
    left.mkdir(0o700)
    descriptor = os.open(left, os.O_RDONLY)  # its own path may be too long
    with socket.socket(socket.AF_UNIX) as half_made:
        half_made.bind(f"/proc/self/fd/{descriptor}/session")
    os.close(descriptor)
    leftovers.sweep(tmp_path)
    assert not left.exists()


def test_a_place_where_no_socket_can_be_made() -> None:
    """The kernel goes on, and its log tells."""
    with Kernel(env={"TMPDIR": "/proc"}) as kernel:
        eventually(lambda: "nobody can follow this kernel" in kernel.log())
        assert "detached" in kernel.run("%status").stdout


def test_who_finds_the_socket_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment at which it can be found, however slow the kernel is from there on."""
    told: list[str] = []

    def open_and_find(path: Path, flags: int) -> int:
        descriptor = os.open(path, flags)
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(f"/proc/self/fd/{descriptor}")
        told.append("found")
        return descriptor

    slow = SimpleNamespace(**vars(os) | {"open": open_and_find})
    monkeypatch.setattr(followers, "os", slow)
    reactor = Reactor()
    about = dict[str, Any]
    room = followers.Followers(reactor, about, list, told.append, lambda *_, **__: None)
    room.open(SimpleNamespace(taps=[]))  # type: ignore[arg-type]
    room.close()
    assert told == ["found"]


# -- the viewer


class Screen(list[str]):
    def write(self, text: str) -> None:
        self.append(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def shown(*events: dict[str, Any]) -> str:
    screen = Screen()
    viewer = Viewer(screen)  # type: ignore[arg-type]
    for event in events:
        viewer.show(event)
    return "".join(screen)


def test_nothing_that_is_shown_is_obeyed() -> None:
    evil = "\x1b]0;gotcha\x07\x1b[2J\x9b1m\u202e\x00\x7f\x08"
    kinds = ("input", "stream", "result", "display", "update", "error", "clear", "asked", "lost")
    kinds += ("following", "attached", "detached", "failed", "end", "idle", "nonsense", evil)
    fields = ("text", "code", "count", "name", "prompt", "target", "why", "display", "cell")
    for kind in kinds:
        text = shown({"event": kind, **dict.fromkeys(fields, evil)}, {"event": kind, "text": 7})
        assert not set(text) & set("\x1b\x07\x9b\u202e\x00\x7f\x08"), kind


def test_lines_that_are_written_over() -> None:
    stream = {"event": "stream", "name": "stdout"}
    assert shown({**stream, "text": " 10%\r 20%\r\n"}) == " 10%\n 20%\n"
    assert harmless("\x1b[31mred\x1b[0m\r\n\tx") == "red\n        x"


def test_displays_that_change() -> None:
    one = {"event": "display", "display": "a", "text": "1"}
    again, changed = {**one, "event": "update"}, {**one, "event": "update", "text": "2"}
    assert shown(one, again, changed) == "1\n2\n"


def test_output_without_an_end_of_line() -> None:
    stream = {"event": "stream", "name": "stdout", "text": "no end"}
    assert shown(stream, {"event": "result", "count": 3, "text": "4"}) == "no end\nOut[3]: 4\n"
