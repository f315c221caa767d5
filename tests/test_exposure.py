"""The channels, as a connection file has them: who reaches them, and what that gives.

CURVE where a server offers it, ipc, the loopback address of a machine with several users,
and the network.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from kernels import Kernel
from targets import eventually
from test_endpoints import listening
from users import NOBODY, SOMEBODY, become, python_for, stranger

from live_kernel.launcher import callers, exposure
from live_kernel.launcher.reactor import Reactor

Connection = dict[str, Any]
Launcher = subprocess.Popen[str]
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def connection(**changes: Any) -> Connection:
    ports = dict(zip([f"{name}_port" for name in CHANNELS], free_ports(5), strict=True))
    usual = {"transport": "tcp", "ip": "127.0.0.1", "key": secrets.token_hex(16)}
    return {**usual, "signature_scheme": "hmac-sha256", **ports, **changes}


@contextmanager
def launcher(
    file: Path, content: dict[str, Any], mode: int = 0o600
) -> Iterator[subprocess.Popen[str]]:
    """A kernel for a connection file that somebody has written by hand."""
    file.write_text(json.dumps(content))
    file.chmod(mode)
    command = [sys.executable, "-P", "-m", "live_kernel", "kernel", "-f", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: Launcher) -> str:
    process.kill()
    assert process.stderr is not None
    return process.stderr.read()


def is_answered(file: Path) -> bool:
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels(hb=False)
    try:
        client.wait_for_ready(timeout=20)
        return True
    finally:
        client.stop_channels()
        client.context.destroy(0)


# -- what the file may say


def test_it_listens_where_it_is_told_and_nowhere_else(tmp_path: Path) -> None:
    content, file = connection(), tmp_path / "k.json"
    with launcher(file, content) as process:
        assert is_answered(file)
        ports = {content[f"{name}_port"] for name in CHANNELS}
        assert listening(process.pid) == {("tcp", f"127.0.0.1:{port}") for port in ports}
        assert said(process) == ""


def test_all_addresses_are_obeyed_and_said(tmp_path: Path) -> None:
    content, file = connection(ip="0.0.0.0"), tmp_path / "k.json"
    with launcher(file, content) as process:
        eventually(lambda: len(listening(process.pid)) == 5, what="it listens")
        assert {at.rpartition(":")[0] for _, at in listening(process.pid)} == {"0.0.0.0"}
        assert "on 0.0.0.0, as the connection file says, and not encrypted" in said(process)


def test_without_a_key_it_is_said(tmp_path: Path) -> None:
    """Jupyter permits it; on one machine, where nobody else gets to the channels, so do we."""
    content, file = connection(key=""), tmp_path / "k.json"
    with launcher(file, content) as process:
        assert is_answered(file)
        assert "has no key: who reaches the channels can run code" in said(process)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ip": "0.0.0.0", "key": ""}, "anybody on the network could run code"),
        ({"curve_publickey": "x" * 40}, "one of the two keys for CURVE"),
        ({"curve_secretkey": "x" * 40}, "one of the two keys for CURVE"),
    ],
)
def test_what_is_surely_a_mistake_is_refused(
    tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    with launcher(tmp_path / "k.json", connection(**changes)) as process:
        assert process.wait(20) == 2
        assert why in said(process)


def test_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    with launcher(tmp_path / "k.json", connection(), mode=0o644) as process:
        eventually(lambda: len(listening(process.pid)) == 5, what="it listens")
        assert "can be read by others" in said(process)


def test_who_may_connect(tmp_path: Path) -> None:
    file = tmp_path / "k.json"
    file.touch()
    assert exposure.welcome(file) == {0, os.geteuid()}
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)
        assert exposure.welcome(file) == {0, NOBODY}, "who has written the file knows its key"


# -- CURVE


def test_curve_is_used_when_the_server_offers_it() -> None:
    """Encrypted, on every channel; and who has not the key hears nothing and is not heard."""
    with Kernel(encryption="auto") as kernel:
        content = json.loads((kernel.place / "kernel.json").read_text())
        assert content["curve_publickey"]
        assert kernel.run("%ps").status == "ok"
        with zmq.Context() as context:
            for server_key in (None, zmq.curve_keypair()[0]):
                for name in CHANNELS:
                    kind = zmq.SUB if name == "iopub" else zmq.DEALER
                    with context.socket(kind) as guest:
                        guest.linger = 0
                        guest.setsockopt(zmq.RECONNECT_IVL, -1)
                        if name == "iopub":
                            guest.subscribe(b"")
                        if server_key is not None:
                            guest.curve_publickey, guest.curve_secretkey = zmq.curve_keypair()
                            guest.curve_serverkey = server_key
                        monitor = guest.get_monitor_socket(
                            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
                        )
                        guest.connect(f"tcp://127.0.0.1:{content[f'{name}_port']}")
                        if name != "iopub":
                            guest.send(b"anything")
                        assert monitor.poll(10_000), "it was hung up on"
                        event = int.from_bytes(monitor.recv_multipart()[0][:2], sys.byteorder)
                        assert event == zmq.EVENT_DISCONNECTED
                        assert not guest.poll(0)
                        guest.disable_monitor()
                        monitor.close(0)
        assert kernel.run("%ps").status == "ok"


# -- other users of the machine


@pytest.mark.root
@pytest.mark.parametrize("encryption", ["disabled", "required"])
def test_another_user_does_not_overhear(encryption: str) -> None:
    """Whose port on 127.0.0.1 it is does not matter to TCP; it does to us."""
    with Kernel(encryption=encryption) as kernel:
        content = json.loads((kernel.place / "kernel.json").read_text())
        ports = [content[f"{name}_port"] for name in CHANNELS]
        if encryption == "disabled":  # the very same attempt, by one who may
            assert stranger(0, ports=ports) == [("overhearing", content["iopub_port"])]
        assert stranger(SOMEBODY, ports=ports) == []
        assert kernel.run("%ps").status == "ok"


NUISANCE = r"""
import socket, sys
greeting = b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NULL" + bytes(48)
print("ready", flush=True)
while True:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        connection.settimeout(0.05)
        try:
            connection.sendall(greeting)
            connection.recv(64)
        except OSError:
            pass
"""


@pytest.mark.root
def test_another_user_keeps_nobody_from_connecting() -> None:
    """One that comes again and again does not stand in the way of those who may."""
    with Kernel() as kernel:
        content = json.loads((kernel.place / "kernel.json").read_text())
        command = [*become(SOMEBODY), python_for(SOMEBODY), "-I", "-S", "-c", NUISANCE]
        with subprocess.Popen(
            [*command, str(content["shell_port"])], stdout=subprocess.PIPE, cwd="/"
        ) as nuisance:
            try:
                assert nuisance.stdout is not None
                nuisance.stdout.readline()
                for _ in range(3):
                    assert is_answered(kernel.place / "kernel.json")
            finally:
                nuisance.kill()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_whose_a_connection_is(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ways = (callers.owner, by(callers._by_diagnosis), by(callers._by_table))
    with socket.create_server((address, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]):
            connection, _ = server.accept()
            with connection:
                assert [way(connection) for way in ways] == [os.geteuid()] * 3
        if os.geteuid() != 0:
            return
        code = (
            "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(1)"
        )
        port = str(server.getsockname()[1])
        command = [*become(SOMEBODY), python_for(SOMEBODY), "-I", "-S", "-c", code, address, port]
        with subprocess.Popen(command, cwd="/"):
            connection, _ = server.accept()
            with connection:
                assert [way(connection) for way in ways] == [SOMEBODY] * 3


def by(way: Callable[..., int | None]) -> Callable[[socket.socket], int | None]:
    def of(connection: socket.socket) -> int | None:
        ends = connection.getpeername()[:2], connection.getsockname()[:2]
        return way(connection.family, *ends)

    return of


def test_who_is_not_welcome_is_shut_out_and_leaves_nothing_open() -> None:
    reactor, context = Reactor(), zmq.Context()
    doorkeeper = callers.Callers(context, reactor, welcome=[os.geteuid() + 1])
    server, client = context.socket(zmq.XPUB), context.socket(zmq.SUB)
    port = free_ports(1)[0]
    doorkeeper.watch(server, port)
    server.bind(f"tcp://127.0.0.1:{port}")
    client.subscribe(b"")
    client.setsockopt(zmq.RECONNECT_IVL, 10)
    client.connect(f"tcp://127.0.0.1:{port}")
    before = len(list(Path("/proc/self/fd").iterdir()))
    reactor.run_until(lambda: server.poll(0) != 0, 1.5)
    assert not server.poll(0), "no subscription has come through"
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
    doorkeeper.close()
    context.destroy(0)
    reactor.close()
