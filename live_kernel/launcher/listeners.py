"""Which front-ends listen on iopub, and which of them take nothing in.

Runs on the launcher's reactor. ZMQ keeps what a front-end does not take; how much the system
keeps for it shows which one that is. Rule: who takes nothing for a while, when others wait for
that, is hung up on. Its own ZMQ connects again once it goes on; it has missed what was said.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import termios
import time
from collections.abc import Iterator

import zmq

from .presence import events
from .reactor import Reactor


class _Listener:
    """One connection. `queued`: bytes that it had not taken when last looked at, since then."""

    __slots__ = ("inode", "queued", "since")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.queued = 0
        self.since = time.monotonic()


class Listeners:
    """The connections of an iopub socket, which must not be bound yet."""

    def __init__(self, publisher: zmq.Socket[bytes], reactor: Reactor) -> None:
        self._reactor = reactor
        self._monitor = publisher.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._all: dict[int, _Listener] = {}
        reactor.read(self._monitor, self._look)

    def _look(self) -> None:
        """Take in what the monitor tells."""
        for event, descriptor in events(self._monitor):
            if event == zmq.EVENT_DISCONNECTED:
                self._all.pop(descriptor, None)
            else:
                with contextlib.suppress(OSError):  # it has gone already
                    self._all[descriptor] = _Listener(os.fstat(descriptor).st_ino)

    def begin_to_watch(self) -> None:
        """From now on, see who takes nothing."""
        now = time.monotonic()
        for listener in self._all.values():
            listener.queued, listener.since = 0, now

    def hang_up(self, patience: float) -> bool:
        """Hang up on those that have taken nothing for so many seconds. Were there any?

        It must be asked again and again, for each time it looks how far they are.
        """
        self._look()
        now = time.monotonic()
        found = False
        for descriptor, listener in self._all.items():
            for connection in _connection(descriptor, listener.inode):
                queued = _not_taken(connection)
                if not queued or queued != listener.queued:
                    listener.queued, listener.since = queued, now
                elif now - listener.since > patience:
                    connection.shutdown(socket.SHUT_RDWR)
                    found = True
        return found

    def close(self) -> None:
        """Look no longer. The iopub socket is still there."""
        self._reactor.forget(self._monitor)
        self._monitor.close(0)


def _connection(descriptor: int, inode: int) -> Iterator[socket.socket]:
    """ZMQ's own connection, for a moment, unless it has gone meanwhile: descriptors come again."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        if os.fstat(connection.fileno()).st_ino == inode:
            yield connection


def _not_taken(connection: socket.socket) -> int:
    """Bytes that the system keeps for the other end (of TCP, or a Unix socket)."""
    count = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, count)
    return count[0]
