"""Who is at the other end of a socket, and which socket it is.

Runs in the target, on the threads that use it. Rule: asked of the system before
a word is said.
"""

from __future__ import annotations

import _socket
import os
import sys


def check_owner(connection: _socket.socket) -> None:
    """The launcher is root's or our own user's; anyone else has no business here.

    Raises PermissionError.
    """
    if not hasattr(_socket, "SO_PEERCRED"):
        return
    raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    owner = int.from_bytes(raw[4:8], sys.byteorder)
    if owner not in (0, os.geteuid()):
        raise PermissionError(f"the launcher's side of the link belongs to uid {owner}")


_COOKIE = 57
"""SO_COOKIE: a number that the system gives to no other socket."""


def mark(connection: _socket.socket) -> bytes | tuple[int, int]:
    """What tells this socket from any other. Raises OSError where it is none."""
    try:  # without giving up the interpreter lock, as `fstat` would
        return connection.getsockopt(_socket.SOL_SOCKET, _COOKIE, 8)
    except OSError:
        found = os.fstat(connection.fileno())  # a system that gives no such numbers
        return found.st_dev, found.st_ino
