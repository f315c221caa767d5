"""Who connects to the channels: over TCP, nobody of this machine but those who may.

Runs on the launcher's reactor. Requests are signed, but what is published is not secret:
whoever reaches the port of iopub reads along, and any user of a machine reaches the ports that
a connection file puts on 127.0.0.1. The system knows whose each connection is (tcp(7), proc(5)).
ZMQ asks before it lets anyone in (ZAP, its RFC 27); then the connections of others are shut.
Rule: only what is certainly another user's is shut; who comes from another machine is not
known here, and is left to what the connection file demands.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress

import zmq

from ..attach import proc
from .arrivals import has_more
from .log import log
from .reactor import Reactor

_HANDLER = "inproc://zeromq.zap.01"
_DOMAIN = b"live-kernel"
_TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}

_YES, _LATER = (b"200", b"OK"), (b"300", b"try again")

_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
"""NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST: see sock_diag(7)."""
_HEADER, _ASKED = struct.Struct("=IHHII"), struct.Struct("=BBBxI")
_ENDS = struct.Struct("!HH16s16s")
_UID_AT = _HEADER.size + 64
"""In an answer: `idiag_uid` of `struct inet_diag_msg`."""


class Callers:
    """Answers ZMQ for the sockets of one context, that have been told to ask.

    `welcome`: the users who may connect.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], reactor: Reactor, welcome: Collection[int]
    ) -> None:
        self._welcome = frozenset(welcome)
        self._ports: set[int] = set()
        self._known: set[str] = set()
        self._told: set[int] = set()
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(_HANDLER)
        self._reactor = reactor
        reactor.read(self._socket, self._on_asked)

    def watch(self, socket: zmq.Socket[bytes], port: int) -> None:
        """Have ZMQ ask about each who connects to a socket that will be bound to this port."""
        self._ports.add(port)
        socket.zap_domain = _DOMAIN

    def _on_asked(self) -> None:
        asked = []
        while has_more(self._socket):
            asked.append(self._socket.recv_multipart(zmq.NOBLOCK))
        # Before the answers, upon which the first message could be sent.
        answer = _YES if self._shut_others_out() else _LATER
        for *way, version, request in (frames[: frames.index(b"") + 3] for frames in asked):
            self._socket.send_multipart([*way, version, request, *answer, b"", b""])

    def _shut_others_out(self) -> bool:
        """Look at each connection that is new. Returns whether all that are there may be."""
        found = dict(_sockets())
        self._known &= found.keys()
        are_welcome = True
        for name in found.keys() - self._known:
            self._known.add(name)
            with suppress(OSError), socket.socket(fileno=os.dup(found[name])) as connection:
                # It may be another one since: then that is looked at.
                caller = self._caller(connection)
                if caller is not None and caller not in self._welcome:
                    are_welcome &= _shut(connection)
                    self._tell(caller)
        return are_welcome

    def _caller(self, connection: socket.socket) -> int | None:
        """The user at the other end, if it is a connection to one of the channels."""
        if connection.family not in _TABLES or connection.type != socket.SOCK_STREAM:
            return None
        if connection.getsockname()[1] not in self._ports:
            return None
        return owner(connection)

    def _tell(self, uid: int) -> None:
        if uid not in self._told:
            self._told.add(uid)
            users = ", ".join(proc.user_name(each) for each in sorted(self._welcome))
            log(
                f"refused to talk to {proc.user_name(uid)}, who has connected to a channel: "
                f"they are for {users}"
            )

    def close(self) -> None:
        self._reactor.forget(self._socket)
        self._socket.close()


def _shut(connection: socket.socket) -> bool:
    """Returns whether that was possible (or it had ended)."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return True


def _sockets() -> Iterator[tuple[str, int]]:
    """Sockets of ours: by what tells each from any other, and their descriptors."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - /proc
        with suppress(OSError):
            link = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - /proc
            if link.startswith("socket:"):
                yield link, int(name)


def owner(connection: socket.socket) -> int | None:
    """Whose the other end of a TCP connection is, where that is on this machine (strictly: in our
    network namespace); None for any other. Raises OSError if it is not connected any more.
    """
    there, here = connection.getpeername()[:2], connection.getsockname()[:2]
    try:
        return _by_diagnosis(connection.family, there, here)
    except FileNotFoundError:
        return None  # nobody here has that address
    except OSError:
        return _by_table(connection.family, there, here)  # no such way to ask here


def _by_diagnosis(
    family: socket.AddressFamily, there: tuple[str, int], here: tuple[str, int]
) -> int:
    """Ask the system about one connection, which takes microseconds however many there are."""
    addresses = (socket.inet_pton(family, each[0]) for each in (there, here))
    ends = _ENDS.pack(there[1], here[1], *addresses) + bytes(4) + b"\xff" * 8
    asked = _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    header = _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as netlink:
        netlink.settimeout(1)
        netlink.send(header + asked)
        answer = netlink.recv(4096)
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _BY_FAMILY:
        (error,) = struct.unpack_from("=i", answer, _HEADER.size)
        raise OSError(-error, os.strerror(-error))
    return int(struct.unpack_from("=I", answer, _UID_AT)[0])


def _by_table(
    family: socket.AddressFamily, there: tuple[str, int], here: tuple[str, int]
) -> int | None:
    wanted = [_as_in_table(family, *end) for end in (there, here)]
    with suppress(OSError), open(_TABLES[family]) as table:  # noqa: PTH123 - /proc
        for line in table:
            fields = line.split()
            if fields[1:3] == wanted:
                return int(fields[7])
    return None


def _as_in_table(family: socket.AddressFamily, address: str, port: int) -> str:
    """Words in the machine's own order, as hexadecimal numbers."""
    raw = socket.inet_pton(family, address)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
