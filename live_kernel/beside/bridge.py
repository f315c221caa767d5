"""What the launcher has the local kernel do: its part of `%pull` and `%push`, above all.

Runs in the local kernel, on its main thread, called by requests of the launcher.
The files of memory that carry the values come and go over a socket that the
launcher and this process have had between them from the beginning.
Rule: a parcel is unpickled only if the launcher says so, which it does for
targets of our own user alone (`launcher/moving.py`).
"""

from __future__ import annotations

import os
import socket

from ..link import parcels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = "the local kernel"

_connections: list[socket.socket] = []


def connect(descriptor: int) -> None:
    """Take over the socket to the launcher; children of ours shall not have it."""
    os.set_inheritable(descriptor, False)
    _connections.append(socket.socket(fileno=descriptor))


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def lose_no_output() -> None:
    """Let a cell wait until its output is read, where ZMQ would drop it: at a thousand messages."""
    import zmq

    thread = _shell().kernel.iopub_thread
    thread.schedule(lambda: thread.socket.setsockopt(zmq.XPUB_NODROP, 1))


def unpack(number: int, sources: list[str], names: list[str], plain: int | None) -> None:
    """Assign the values of a parcel, `number` by the launcher's count, to names of cells.

    `plain`: the bytes of it that are read, as JSON; None if it is to be unpickled.
    """
    descriptor = _take(number)
    try:
        if plain is None:
            read = parcels.read(descriptor, sources, HERE)
        else:
            read = parcels.read_plain(descriptor, plain)
    finally:
        os.close(descriptor)
    _shell().push(dict(zip(names, read, strict=True)))


def _take(number: int) -> int:
    """The descriptor of that number; those before it belong to moves that were interrupted."""
    while True:
        word, descriptors, *_ = socket.recv_fds(_connections[0], 8, 1)
        if int.from_bytes(word, "big") == number:
            return descriptors[0]
        for descriptor in descriptors:
            os.close(descriptor)


def pack(number: int, sources: list[str], largest: int) -> None:
    """Hand values of cells to the launcher, which counts this parcel as `number`."""
    names = _shell().user_ns
    values = [(source, eval(source, names)) for source in sources]
    descriptor = parcels.create()
    try:
        parcels.write(descriptor, values, largest)
        socket.send_fds(_connections[0], [number.to_bytes(8, "big")], [descriptor])
    finally:
        os.close(descriptor)
