"""One of the link's two connections, as the agent holds it.

Runs in the target; one thread reads a channel, any may write to it. Rule: only a
launcher that is root's or our own user's is spoken to, and what it says that the
protocol does not know is passed over. A program may close all files that it has not
opened itself, and get their numbers for its own: so a socket is asked whether it is
still ours before each use, and what is the program's is never touched.
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
        self._socket = _new_socket()
        self._mark = peers.mark(self._socket)
        self.was_taken = False
        """The program has closed the connection under us."""
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
        if self._is_ours():
            self._socket.settimeout(None)

    def send(self, message: Message) -> None:
        """Send one message; blocks while the launcher is slow. Raises OSError once it is gone."""
        pieces = frames.encode(message)
        with self._send_lock:
            for piece in pieces:
                self._check()
                self._socket.sendall(piece)

    def send_if_free(self, message: Message) -> None:
        """Send one short message, unless somebody is sending or the launcher is slow."""
        if not self._send_lock.acquire(False):
            return
        try:
            self._check()
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
        self._check()
        self._socket.settimeout(0)
        self._socket.sendall(b"".join(frames.encode(message)))

    def received(self) -> Iterator[Message]:
        """Each message that a launcher may send, until the channel closes."""
        while self._is_ours():
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                return
            # It may have been closed while we waited: what could not be answered is not begun.
            if not data or not self._is_ours():
                return
            for message in self._decoder.feed(data):
                if messages.from_launcher(message):
                    yield message

    def shut(self) -> None:
        """End the connection for both sides, and wake the thread that reads it."""
        try:
            self._check()
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        if self._is_ours():
            self._socket.close()

    def _check(self) -> None:
        """Raises OSError where the socket's number is none of ours any more."""
        if not self._is_ours():
            raise ConnectionError("the program has closed the connection")

    def _is_ours(self) -> bool:
        try:
            if peers.mark(self._socket) == self._mark:
                return True
        except OSError:
            pass  # the number is nobody's, or that of something else
        if self._socket.detach() != -1:  # or the object would close the number when it goes
            self.was_taken = True
        return False


def _new_socket() -> _socket.socket:
    """A socket with a number above 2: what is written there is the program's, open or not."""
    below = []
    while True:
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if made.fileno() > 2:
            break
        below.append(made)
    for each in below:
        each.close()
    return made
