"""Who is at the other end of a Unix socket, as the system tells.

Runs in the launcher and the command line. Rule: asked of the socket, never of what is said on it.
"""

from __future__ import annotations

import socket
import struct

from ..records import NamedTuple

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """The process that has connected, or listens; and as whom it did."""

    pid: int
    uid: int
    gid: int


def of(connection: socket.socket) -> Peer:
    """The other end of a connection: SO_PEERCRED, see unix(7). Raises OSError."""
    asked = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(asked))
