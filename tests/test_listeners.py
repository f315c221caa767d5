"""Front-ends that take nothing in: who waits for them, and for how long."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from targets import eventually

from live_kernel.launcher import frontend as frontend_module
from live_kernel.launcher.frontend import Frontend
from live_kernel.launcher.reactor import Reactor

SIZE = 1 << 20
COUNT = 120


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.close()


def run_until(reactor: Reactor, reached: Callable[[], bool]) -> None:
    """Run the reactor until something has happened that need not wake it."""
    eventually(lambda: reactor.run_until(reached, 0.02), 30)


def connection(place: Path, transport: str) -> tuple[Path, str]:
    """A connection file, and the address of iopub."""
    names = ("shell", "control", "stdin", "iopub", "hb")
    ports = {f"{name}_port": number for number, name in enumerate(names, 1)}
    ip = str(place / "k")
    if transport == "tcp":
        ip = "127.0.0.1"
        with zmq.Context() as context:
            sockets = [context.socket(zmq.ROUTER) for _ in names]
            found = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in sockets]
            for socket in sockets:
                socket.close(0)
        ports = {f"{name}_port": port for name, port in zip(names, found, strict=True)}
    file = place / "kernel.json"
    file.write_text(json.dumps({"key": "k", "transport": transport, "ip": ip, **ports}))
    separator = ":" if transport == "tcp" else "-"
    return file, f"{transport}://{ip}{separator}{ports['iopub_port']}"


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_one_that_is_stopped_keeps_the_others_for_some_time_only(
    transport: str, reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get everything, and what ZMQ keeps for the stopped one is bounded."""
    monkeypatch.setattr(frontend_module, "_IOPUB_PATIENCE", 0.5)
    file, address = connection(tmp_path, transport)
    congested: list[bool] = []
    frontend = Frontend(file, reactor, print, print, congested.append)
    context = zmq.Context()
    try:
        stopped, listening = context.socket(zmq.SUB), context.socket(zmq.SUB)
        stopped.rcvhwm, stopped.rcvbuf, listening.rcvhwm = 1, 4096, 10
        for socket in (stopped, listening):
            socket.linger = 0
            socket.subscribe(b"")
            socket.connect(address)
        welcomed = []
        reader = threading.Thread(target=read, args=(listening, COUNT, welcomed))
        reader.start()
        run_until(reactor, lambda: bool(welcomed))
        assert stopped.recv_multipart()
        most = 0
        for number in range(COUNT):
            frontend.publish("stream", {"name": "stdout", "text": "x" * SIZE}, {"n": number})

        def is_over() -> bool:
            nonlocal most
            most = max(most, frontend._still_lent())
            return not reader.is_alive()

        run_until(reactor, is_over)
        assert welcomed[1:] == ["stream"] * COUNT
        assert congested[0]
        assert not congested[-1]
        assert 0 < most < 2 * frontend_module._MOST_LENT
    finally:
        frontend.close(0)
        context.destroy(linger=0)


def read(socket: zmq.Socket[bytes], count: int, kinds: list[str]) -> None:
    """A front-end that takes what comes: the kinds of so many messages after the welcome."""
    while len(kinds) <= count:
        frames = socket.recv_multipart()
        start = frames.index(b"<IDS|MSG>")
        kind = json.loads(frames[start + 2])["msg_type"]
        if kind != "iopub_welcome" or not kinds:
            kinds.append(kind)


def test_one_that_goes_on_is_let_in_again(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontend_module, "_IOPUB_PATIENCE", 0.5)
    file, address = connection(tmp_path, "tcp")
    congested: list[bool] = []
    frontend = Frontend(file, reactor, print, print, congested.append)
    context = zmq.Context()
    try:
        slow = context.socket(zmq.SUB)
        slow.rcvhwm, slow.rcvbuf, slow.linger = 1, 4096, 0
        slow.subscribe(b"")
        slow.connect(address)
        run_until(reactor, lambda: bool(slow.poll(0)))
        for _ in range(COUNT):
            frontend.publish("stream", {"name": "stdout", "text": "x" * SIZE}, {})
        run_until(reactor, lambda: congested == [True, False])
        reader = threading.Thread(target=until_told, args=(slow, b"again"))
        reader.start()

        def has_heard() -> bool:
            frontend.publish("stream", {"name": "stdout", "text": "again"}, {})
            return not reader.is_alive()

        run_until(reactor, has_heard)
    finally:
        frontend.close(0)
        context.destroy(linger=0)


def until_told(socket: zmq.Socket[bytes], word: bytes) -> None:
    while not any(word in frame for frame in socket.recv_multipart()):
        pass
