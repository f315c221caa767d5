"""Who connects to the channels: over TCP, nobody of this machine but those who may.

Runs on the launcher's reactor. Requests are signed, but what is published is not secret:
whoever reaches the port of iopub reads along, and any user of a machine reaches the ports that
a connection file puts on 127.0.0.1. The system knows whose each connection is (tcp(7), proc(5)).
ZMQ asks before it lets anyone in (ZAP, its RFC 27); then the connections of others are shut.
Rule: only what is certainly another user's is shut; who comes from another machine is not
known here, and is left to what the connection file demands.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

import zmq

from ..attach import proc
from .reactor import Reactor

_HANDLER = "inproc://zeromq.zap.01"
_DOMAIN = b"live-kernel"
_TABLES = (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16))

_YES, _LATER = (b"200", b"OK"), (b"300", b"try again")

_PAST = frozenset({"02", "03", "06", "07", "0A"})
"""States in which nothing can be received: SYN_SENT, SYN_RECV, TIME_WAIT, CLOSE, LISTEN."""


class Caller(NamedTuple):
    """The other end of a connection to one of our ports."""

    address: bytes
    port: int
    uid: int


class Callers:
    """Answers ZMQ for the sockets of one context, that have been told to ask.

    `welcome`: the users who may connect.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], reactor: Reactor, welcome: Collection[int]
    ) -> None:
        self._welcome = frozenset(welcome)
        self._ports: set[int] = set()
        self._told: set[int] = set()
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_HANDLER)
        self._reactor = reactor
        reactor.read(self._socket, self._on_asked)

    def watch(self, socket: zmq.Socket[bytes], port: int) -> None:
        """Have ZMQ ask about each who connects to a socket that will be bound to this port."""
        self._ports.add(port)
        socket.zap_domain = _DOMAIN

    def _on_asked(self) -> None:
        while True:
            try:
                version, request, *_ = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # Before the answer, upon which the first message could be sent.
            others = [each for each in connected(self._ports) if each.uid not in self._welcome]
            are_shut = [self._shut(caller) for caller in others]
            answer = _YES if all(are_shut) else _LATER
            self._socket.send_multipart([version, request, *answer, b"", b""])

    def _shut(self, caller: Caller) -> bool:
        """End a connection. Returns whether that was possible."""
        if caller.uid not in self._told:
            self._told.add(caller.uid)
            users = ", ".join(proc.user_name(uid) for uid in sorted(self._welcome))
            print(
                f"live-kernel: refused to talk to {proc.user_name(caller.uid)}, who has connected "
                f"to a channel: they are for {users}",
                file=sys.stderr,
            )
        return _shut_connections(caller)

    def close(self) -> None:
        self._reactor.forget(self._socket)
        self._socket.close()


def connected(ports: Collection[int]) -> Iterator[Caller]:
    """Who of this machine (strictly: of our network namespace) is connected to these ports."""
    for name, size in _TABLES:
        with suppress(OSError, ValueError, IndexError), open(name) as table:  # noqa: PTH123 - /proc
            next(table, None)
            for line in table:
                fields = line.split()
                port = int(fields[2].rpartition(":")[2], 16)
                if port in ports and fields[3] not in _PAST:
                    address, _, own = fields[1].rpartition(":")
                    yield Caller(_address(address, size), int(own, 16), int(fields[7]))


def _address(text: str, size: int) -> bytes:
    """In the order of the network; the table has words in that of the machine."""
    raw = bytes.fromhex(text)
    words = (raw[at : at + 4] for at in range(0, size, 4))
    return b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)


def _shut_connections(caller: Caller) -> bool:
    """End ours with this caller, which ZMQ has accepted. Returns whether there was one."""
    found = False
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - /proc
        with suppress(OSError):  # closed meanwhile, or not connected to any place
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):  # noqa: PTH115
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if connection.family in (socket.AF_INET, socket.AF_INET6):
                    address, port, *_ = connection.getpeername()
                    if port == caller.port and _packed(address) == caller.address:
                        connection.shutdown(socket.SHUT_RDWR)
                        found = True
    return found


def _packed(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)
