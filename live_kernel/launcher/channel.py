"""One of the link's two connections, as the launcher holds it.

Runs on the launcher's reactor. Rule: what the protocol does not allow ends the
connection; nothing of it is handed over.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ..link import frames, messages
from .reactor import Reactor

Message = dict[str, Any]


class Channel:
    """A connection of an agent. `peer` is the pid at its other end, by the kernel's word.

    `on_message` is called with each valid message, `on_closed` once when the other
    end has closed (or broken the protocol); whoever holds the channel sets them.
    """

    def __init__(self, connection: socket.socket, peer: int, reactor: Reactor) -> None:
        self.peer = peer
        self.on_message: Callable[[Message], None] = lambda _message: None
        self.on_closed: Callable[[], None] = lambda: None
        self.is_paused = False
        self.broke_protocol = False
        """What came was no message that an agent may send; that is why it was closed."""
        self._is_closed = False
        self._socket = connection
        self._reactor = reactor
        self._decoder = frames.Decoder()
        self._unsent = bytearray()
        self._is_waiting = False
        connection.setblocking(False)
        reactor.read(connection, self._receive)

    def pause(self) -> None:
        """Leave what arrives in the socket, until `resume`: then the agent has to wait."""
        self.is_paused = True
        self._reactor.forget(self._socket)

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._reactor.read(self._socket, self._receive)

    def send(self, message: Message) -> None:
        """Send a message. What the agent does not take at once is sent as it reads."""
        self._unsent += b"".join(frames.encode(message))
        if not self._is_waiting:
            self._write()

    def _write(self) -> None:
        self._is_waiting = False
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            self._is_waiting = True
            self._reactor.later(0.01, self._write)
        except OSError:
            self._unsent.clear()  # closed by the peer: reading will say so

    def _receive(self) -> None:
        try:
            count = self._socket.recv_into(self._decoder.room())
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count and not self._take(count):
            self.broke_protocol = True
        if (not count or self.broke_protocol) and not self._is_closed:
            self.close()
            self.on_closed()

    def _take(self, count: int) -> bool:
        """Hand over the messages that have come whole. Returns whether all were allowed."""
        try:
            for message in self._decoder.took(count):
                if not messages.from_agent(message):
                    return False
                if not self._is_closed:
                    self.on_message(message)
        except frames.FrameError:
            return False
        return True

    def close(self) -> None:
        self._is_closed = True
        self._reactor.forget(self._socket)
        self._socket.close()
