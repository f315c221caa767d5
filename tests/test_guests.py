"""Who comes to a private directory uninvited, also with the target's rights: is shown the door."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program, landings
from targets import eventually

from live_kernel.attach.landing import BUNDLE, LINK, SCRIPT
from live_kernel.attach.processes import identify
from live_kernel.handle import attach
from live_kernel.link import frames, messages

pytestmark = pytest.mark.attach


@pytest.fixture
def asleep() -> Iterator[Program]:
    with Program("asleep") as program:
        yield program


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


def test_only_the_target_is_listened_to(asleep: Program) -> None:
    """What another process says is not even read, be it right."""
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_of(kernel)
        for said in (b"", hello(token_in(landing), asleep.pid)):
            with socket.socket(socket.AF_UNIX) as guest:
                guest.settimeout(10)
                guest.connect(str(landing / LINK))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    guest.sendall(said)
                    assert guest.recv(100) == b""
        asleep.send("wake")
        assert cell.finish().result == "'awake'"


@pytest.mark.parametrize("what", ["wrong token", "no token", "half a token", "nonsense", "huge"])
def test_the_target_itself_needs_the_token(what: str) -> None:
    """It is the one process that is listened to; what else runs in it may not know the token."""
    with Program("caller") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_of(kernel)
        token = token_in(landing)
        assert len(token) == 32
        said = {
            "wrong token": hello("0" * 32, program.pid),
            "no token": hello("", program.pid),
            "half a token": hello(token[:16], program.pid),
            "nonsense": b"GET / HTTP/1.0\r\n\r\n",
            "huge": b"\xff" * 8,
        }[what]
        program.send(f"{landing / LINK} {said.hex()}")
        assert program.wait_for("answer: ") == "answer: b''"
        assert not cell.is_done
        program.send("wake")
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


# -- whose turn it is


def test_who_takes_the_turn_and_keeps_it_is_not_waited_for_for_ever(asleep: Program) -> None:
    """Any user can bind an abstract address. That makes others wait, and no more."""
    process = identify(asleep.pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        taken.bind(f"\0live-kernel/{process.pid}/{process.start_time}")
        with Kernel("--pid", asleep.pid) as kernel:
            cell = kernel.begin("state")
            landing_of(kernel)
            asleep.send("wake")
            assert cell.finish().result == "'awake'"
