"""Which front-ends are connected: unit tests of the launcher's view, over real sockets.

Runs in pytest. Rule: the clients are sockets of this process, closed by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import zmq

from live_kernel.launcher.presence import Peer, Presence
from live_kernel.launcher.reactor import Reactor


class Server:
    """A ROUTER whose connections are watched."""

    def __init__(self, transport: str, place: str) -> None:
        self.reactor = Reactor()
        self.context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self.context.socket(zmq.ROUTER)
        self.presence = Presence(self.socket, self.reactor)
        address = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{place}"
        self.socket.bind(address)
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.gone: list[Peer] = []
        self.alone: list[bool] = []
        self.clients: list[zmq.Socket[bytes]] = []
        self.presence.on_gone = self.gone.append
        self.presence.on_alone = self.alone.append

    def client(self) -> zmq.Socket[bytes]:
        client: zmq.Socket[bytes] = self.context.socket(zmq.DEALER)
        client.linger = 0
        self.clients.append(client)
        client.connect(self.address)
        return client

    def hear(self, client: zmq.Socket[bytes]) -> Peer:
        """The connection on which something comes from this client."""
        client.send(b"hello")
        assert self.socket.poll(10_000)
        frame = self.socket.recv(copy=False)
        self.socket.recv_multipart()
        return self.presence.peer(frame)

    def until(self, condition: Callable[[], object]) -> None:
        assert self.reactor.run_until(lambda: bool(condition()), 10)

    def close(self) -> None:
        self.presence.close()
        for each in [*self.clients, self.socket]:
            each.close(0)
        self.context.destroy(linger=0)
        self.reactor.close()


@pytest.fixture(params=["tcp", "ipc"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(request.param, str(tmp_path_factory.mktemp("p") / "s"))
    try:
        yield server
    finally:
        server.close()


def test_each_connection_is_one(server: Server) -> None:
    one, two = server.client(), server.client()
    first, second = server.hear(one), server.hear(two)
    assert first is not second
    assert server.hear(one) is first
    assert server.hear(two) is second


def test_who_closes_has_gone(server: Server) -> None:
    one, two = server.client(), server.client()
    first, second = server.hear(one), server.hear(two)
    one.close()
    server.until(lambda: server.gone)
    assert server.gone == [first]
    assert (first.is_gone, second.is_gone) == (True, False)
    assert not server.alone
    two.close()
    server.until(lambda: len(server.gone) == 2)
    assert server.alone == [True]
    assert server.presence.is_alone


def test_who_comes_ends_the_loneliness(server: Server) -> None:
    one = server.client()
    server.hear(one)
    one.close()
    server.until(lambda: server.alone == [True])
    two = server.client()
    server.until(lambda: server.alone == [True, False])
    assert not server.hear(two).is_gone


def test_who_comes_back_at_once_is_not_missed(server: Server) -> None:
    one = server.client()
    first = server.hear(one)
    one.disconnect(server.address)
    one.connect(server.address)
    second = server.hear(one)
    assert second is not first
    assert not server.reactor.run_until(lambda: bool(server.gone or server.alone), 0.8)


def test_one_that_says_nothing_counts_too(server: Server) -> None:
    one = server.client()
    server.until(lambda: server.presence._peers)
    one.close()
    server.until(lambda: server.alone == [True])
