"""Which front-ends are connected, and which has gone that was asked something.

Runs on the launcher's reactor. ZMQ hides connections; what is told by a monitor of the shell
socket, and the descriptor on which a request came, show them. A notebook server counts
as one front-end, and stays when a browser's tab is closed: it keeps what that has missed.
Rule: a connection that is lost for a moment, as networks do it, is not missed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import zmq

from .arrivals import has_more
from .reactor import Reactor

_PATIENCE = 0.4
"""Seconds that a front-end has to come back."""

_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_EVENT = struct.Struct("=hi")


def events(monitor: zmq.Socket[bytes]) -> Iterator[tuple[int, int]]:
    """What a monitor has told by now: each event, and the descriptor of its connection."""
    while has_more(monitor):
        told, _ = monitor.recv_multipart(zmq.NOBLOCK)
        yield _EVENT.unpack(told)


class Peer:
    """One connection of a front-end's."""

    __slots__ = ("is_gone",)

    def __init__(self) -> None:
        self.is_gone = False


class Presence:
    """Who is connected to a socket, which must not be bound yet.

    `on_gone(peer)` is called when a front-end does not come back, `on_alone(is_alone)`
    when none is left, and when there is one again.
    """

    def __init__(self, socket: zmq.Socket[bytes], reactor: Reactor) -> None:
        self._reactor = reactor
        self._monitor = socket.get_monitor_socket(_EVENTS)
        self._peers: dict[int, Peer] = {}
        self._arrivals = 0
        self.is_alone = False
        """There was a front-end, and there is none any more."""
        self.on_gone: Callable[[Peer], object] = lambda _peer: None
        self.on_alone: Callable[[bool], object] = lambda _is_alone: None
        reactor.read(self._monitor, self.look)

    def peer(self, frame: zmq.Frame) -> Peer:
        """The connection on which this came."""
        self.look()  # descriptors are used again
        return self._peers.setdefault(int(frame.get(zmq.SRCFD)), Peer())

    def look(self) -> None:
        """Take in what the monitor tells."""
        for event, descriptor in events(self._monitor):
            if event == zmq.EVENT_DISCONNECTED:
                self._lose(descriptor)
            else:
                self._peers.setdefault(descriptor, Peer())
                self._arrive()

    def _arrive(self) -> None:
        self._arrivals += 1
        if self.is_alone:
            self.is_alone = False
            self.on_alone(False)

    def _lose(self, descriptor: int) -> None:
        peer = self._peers.pop(descriptor, None)
        if peer is not None:
            arrivals = self._arrivals
            self._reactor.later(_PATIENCE, lambda: self._miss(peer, arrivals))

    def _miss(self, peer: Peer, arrivals: int) -> None:
        if self._arrivals == arrivals:  # else it may be the one that has come meanwhile
            peer.is_gone = True
            self.on_gone(peer)
        if not self._peers and not self.is_alone:
            self.is_alone = True
            self.on_alone(True)

    def close(self) -> None:
        """Look no longer. The socket is still there."""
        self._reactor.forget(self._monitor)
        self._monitor.close(0)
