"""Values that leave the target for the local kernel, or come from there: `%pull`, `%push`.

Runs in the target, on the cells' thread, called by a cell that the launcher has
made of the command: so names mean what they mean in any cell, and an assignment
goes where any goes. What carries the values is a file of memory, whose
descriptor goes over a connection of its own to the launcher's private directory.
Rule: whatever happens to a move, no descriptor and no half of a value is left.
"""

from __future__ import annotations

import _socket
import os
import sys

from ..link import parcels
from . import peers
from .streams import running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .ledger import Entry

ANSWER_WITHIN = 10.0
"""Seconds that the launcher has to take a descriptor, or to hand one over."""


def send(place: str, names: list[str], values: list[Any], largest: int, plain: bool) -> None:
    """Hand values to the launcher, for the local kernel; as JSON if `plain`.

    `largest`: bytes that they may take together. Raises PicklingError, MemoryError, OSError;
    TypeError or ValueError for what JSON does not know.
    """
    descriptor, entry = _keep(parcels.create)
    try:
        write = parcels.write_plain if plain else parcels.write
        write(descriptor, zip(names, values, strict=True), largest)
        with _connect(place) as connection:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, sys.byteorder))
            connection.sendmsg([b"\0"], [rights])
    finally:
        entry.undo()


def receive(place: str, names: list[str]) -> list[Any]:
    """The values that the launcher has for us from the local kernel.

    Whoever may attach may run any code here, so what comes is unpickled: a launcher
    that has more rights than this process does not lend it any. Raises UnpicklingError.
    """
    with _connect(place) as connection:
        descriptor, entry = _keep(lambda: _descriptor_from(connection))
    try:
        return parcels.read(descriptor, names, f"pid {os.getpid()}")
    finally:
        entry.undo()


def _keep(make: Any) -> tuple[int, Entry]:
    """A new descriptor and, at once, how it is closed."""
    cell = running_cell()
    if cell is None or cell.shell is None:
        raise RuntimeError("values are moved by a cell")
    with cell.interruption:
        descriptor = make()
        return descriptor, cell.shell.ledger.record(
            "a value on its way", lambda: os.close(descriptor)
        )


def _connect(place: str) -> _Connection:
    connection = _Connection(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_WITHIN)
        connection.connect(place + "/link")
        peers.check_owner(connection)
    except BaseException:
        connection.close()
        raise
    return connection


class _Connection(_socket.socket):
    """A socket that its block closes."""

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _descriptor_from(connection: _socket.socket) -> int:
    _, rights, *_ = connection.recvmsg(1, 64, _socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in rights:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            return int.from_bytes(data[:4], sys.byteorder)
    raise ConnectionError("the kernel has handed nothing over")
