"""Whether a ZMQ socket has something to read.

Runs in the launcher, on the thread that reads the socket. Rule: who asks takes nothing, and does
not wait.
"""

from __future__ import annotations

import zmq

_STATE, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


def has_more(socket: zmq.Socket[bytes]) -> bool:
    """Has something arrived that was not read? (To be told by `zmq.Again` takes five times as
    long, and a cell asks three times.)
    """
    return bool(int(socket.getsockopt(_STATE)) & _READABLE)
