"""One of the link's two connections, as the agent holds it.

Runs in the target; one thread reads a channel, any may write to it. Rule: only a
launcher that is root's or our own user's is spoken to, and what it says that the
protocol does not know is passed over.
"""

from __future__ import annotations

import _socket
import os

from ..link import frames, messages
from . import native, peers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Message = dict[str, Any]

OWNER_WITHIN = 5.0
"""Seconds in which the launcher must welcome the agent; it leaves otherwise."""


class Channel:
    """One of the link's two connections: read by one thread, written to by any."""

    def __init__(self, name: str, path: str, token: str) -> None:
        self._send_lock = native.Lock()
        self._decoder = frames.Decoder()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(OWNER_WITHIN)
        try:
            self._socket.connect(path)
            peers.check_owner(self._socket)
            self.send(
                {
                    "op": "hello",
                    "protocol": messages.PROTOCOL,
                    "token": token,
                    "channel": name,
                    "pid": os.getpid(),
                }
            )
        except BaseException:
            self.close()
            raise

    def wait_without_limit(self) -> None:
        self._socket.settimeout(None)

    def send(self, message: Message) -> None:
        """Send one message; blocks while the launcher is slow. Raises OSError once it is gone."""
        pieces = frames.encode(message)
        with self._send_lock:
            for piece in pieces:
                self._socket.sendall(piece)

    def send_if_free(self, message: Message) -> None:
        """Send one short message, unless somebody is sending or the launcher is slow."""
        if not self._send_lock.acquire(False):
            return
        try:
            data = b"".join(frames.encode(message))
            sent = self._socket.send(data, _socket.MSG_DONTWAIT)
            if sent < len(data):
                self._socket.sendall(data[sent:])
        except OSError:
            pass  # no room, or nobody there
        finally:
            self._send_lock.release()

    def send_or_drop(self, message: Message) -> None:
        """Send one message if that takes no waiting. Raises OSError where it would."""
        self._socket.settimeout(0)
        self._socket.sendall(b"".join(frames.encode(message)))

    def received(self) -> Iterator[Message]:
        """Each message that a launcher may send, until the channel closes."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            for message in self._decoder.feed(data):
                if messages.from_launcher(message):
                    yield message

    def shut(self) -> None:
        """End the connection for both sides, and wake the thread that reads it."""
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        self._socket.close()
