"""Who may do what: the private directory, the token, other users."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program, landings
from targets import ROOT, eventually, python314

from live_kernel.attach import slot
from live_kernel.attach.landing import BUNDLE, LINK, SCRIPT
from live_kernel.attach.processes import identify
from live_kernel.handle import attach
from live_kernel.link import frames, messages

pytestmark = pytest.mark.attach

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@pytest.fixture
def asleep() -> Iterator[Program]:
    with Program("asleep") as program:
        yield program


@pytest.fixture
def python_of_nobody() -> str:
    """A 3.14 that the user nobody can run."""
    done = subprocess.run([*AS_NOBODY, python314(), "-V"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nobody can't run {python314()}")
    return python314()


def landing_of(kernel: Kernel) -> Path:
    """The directory in which a kernel waits for its blocked target, with all that belongs in it."""

    def whole() -> Path:
        (landing,) = landings(kernel.place)
        assert {path.name for path in landing.iterdir()} == {LINK, BUNDLE, SCRIPT}
        return landing

    return eventually(whole)


# -- the landing


def test_landing_is_private(asleep: Program) -> None:
    with Kernel("--pid", asleep.pid) as kernel:
        kernel.begin("1").wait_for("Waiting: ")
        landing = landing_of(kernel)
        assert stat.S_IMODE(landing.stat().st_mode) == 0o700
        for path in (landing, *landing.iterdir()):
            assert path.stat().st_uid == os.geteuid()
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        assert stat.S_ISSOCK((landing / LINK).stat().st_mode)
        kernel.interrupt()
        eventually(lambda: not landing.exists(), what="the directory is gone")


def test_no_listening_port_in_the_target() -> None:
    with Program("idle") as program:
        before = listening(program.pid)
        with attach(program.pid):
            assert listening(program.pid) == before


def listening(pid: int) -> set[str]:
    """The sockets of a process on which somebody could connect."""
    own = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_socket()}
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in own}
    tcp = [line.split() for name in ("tcp", "tcp6") for line in _table(f"/proc/{pid}/net/{name}")]
    unix = [line.split() for line in _table(f"/proc/{pid}/net/unix")]
    accepting = {row[9] for row in tcp if row[3] == "0A"}
    accepting |= {row[6] for row in unix if row[3] == "00010000"}
    return inodes & accepting


def _table(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()[1:]
    except OSError:
        return []


# -- the token


def hello(token: str, pid: int, channel: str = "control") -> bytes:
    message = {
        "op": "hello",
        "protocol": messages.PROTOCOL,
        "token": token,
        "channel": channel,
        "pid": pid,
    }
    return b"".join(frames.encode(message))


def token_in(landing: Path) -> str:
    first = (landing / SCRIPT).read_text().splitlines()[0]
    return first.rpartition("'")[0].rpartition("'")[2]


@pytest.mark.parametrize("what", ["wrong token", "no token", "another process", "nonsense", "huge"])
def test_uninvited_guests_are_shown_the_door(asleep: Program, what: str) -> None:
    """Whoever connects without being the target with its token; the true one still gets in."""
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_of(kernel)
        token = token_in(landing)
        assert len(token) == 32
        said = {
            "wrong token": hello("0" * 32, asleep.pid),
            "no token": hello("", asleep.pid),
            "another process": hello(token, asleep.pid),  # right, but it comes from us
            "nonsense": b"GET / HTTP/1.0\r\n\r\n",
            "huge": b"\xff" * 8,
        }[what]
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(10)
            guest.connect(str(landing / LINK))
            guest.sendall(said)
            assert guest.recv(100) == b""
        assert not cell.is_done
        asleep.send("wake")
        assert cell.finish().result == "'awake'"


def test_guest_that_says_nothing(asleep: Program) -> None:
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(str(landing_of(kernel) / LINK))
            asleep.send("wake")
            assert cell.finish().result == "'awake'"


def test_token_is_not_told_to_other_processes(asleep: Program) -> None:
    """Neither on a command line nor in an environment, and to no cell."""
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("'TOKEN' in globals(), 'PLACE' in globals()")
        cell.wait_for("Waiting: ")
        token = token_in(landing_of(kernel)).encode()
        for pid in (kernel.launcher_pid, asleep.pid):
            for name in ("cmdline", "environ"):
                assert token not in Path(f"/proc/{pid}/{name}").read_bytes()
        asleep.send("wake")
        assert cell.finish().result == "(False, False)"


# -- other users


@pytest.mark.root
def test_root_attaches_to_another_user_s_program(python_of_nobody: str) -> None:
    with Program("idle", python_of_nobody, wrap=AS_NOBODY) as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            assert kernel.value("__import__('os').getuid()") == NOBODY
            assert kernel.run("word = 'by root'").status == "ok"
            program.wait_for("word is by root")
            kernel.run("word = 'start'")
        program.assert_unharmed_since(before)


@pytest.mark.root
def test_landing_for_another_user_s_program_is_that_user_s(python_of_nobody: str) -> None:
    """It is made where everybody can go, and nobody but that user and root can enter it."""
    others = set(landings(Path("/tmp")))
    with (
        Program("asleep", python_of_nobody, wrap=AS_NOBODY) as program,
        Kernel("--pid", program.pid) as kernel,
    ):
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        mine = [each for each in landings(Path("/tmp")) if each not in others and of(each, program)]
        (landing,) = mine
        for path in (landing, *landing.iterdir()):
            assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY), path
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        program.send("wake")
        assert cell.finish().result == "'awake'"
        eventually(lambda: not landing.exists(), what="the directory is gone")


def of(landing: Path, program: Program) -> bool:
    """Is this the directory whose script waits in the program?"""
    return slot.waiting_script(identify(program.pid)) == str(landing / SCRIPT)


@pytest.mark.root
def test_plain_user_attaches_to_own_program(python_of_nobody: str) -> None:
    code = (
        "import sys; from live_kernel.handle import attach\n"
        "with attach(int(sys.argv[1])) as h:\n"
        "    print(h.run('word = \"by nobody\"')['status'])"
    )
    with Program("idle", python_of_nobody, wrap=AS_NOBODY) as program:
        done = as_nobody(code, program)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
        program.wait_for("word is by nobody")


@pytest.mark.root
def test_plain_user_does_not_attach_to_root_s_program() -> None:
    code = (
        "import sys; from live_kernel.handle import attach\n"
        "from live_kernel.errors import AttachNotPermitted\n"
        "try: attach(int(sys.argv[1]))\n"
        "except AttachNotPermitted as error: print(error)"
    )
    with Program("idle") as program:
        before = program.snapshot()
        done = as_nobody(code, program)
        assert "belongs to root, and this kernel runs as nobody" in done.stdout, done.stderr
        program.assert_unharmed_since(before)


def as_nobody(code: str, program: Program) -> subprocess.CompletedProcess[str]:
    """Run code with our own interpreter as that user; skips where that is impossible."""
    look = [*AS_NOBODY, sys.executable, "-c", "import live_kernel.handle"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("XDG_RUNTIME_DIR", None)
    if subprocess.run(look, env=env, capture_output=True, cwd="/", check=False).returncode != 0:
        pytest.skip(f"nobody can't run {sys.executable} with live_kernel")
    command = [*AS_NOBODY, sys.executable, "-c", code, str(program.pid)]
    return subprocess.run(
        command, env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
