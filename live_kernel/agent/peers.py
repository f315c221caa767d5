"""Who is at the other end of a socket.

Runs in the target, on the thread that has connected. Rule: asked of the
system before a word is said.
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
