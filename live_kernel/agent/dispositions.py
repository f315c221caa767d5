"""What the system does with this process at a signal: sigaction(2), past Python's own table.

Runs in the target, on any thread. Rule: what is set here is what has been read here, or a
function in C that does nothing; Python's handlers are set by Python.
"""

from __future__ import annotations

import sys

from . import capi

_SIZE = 152
"""Bytes of a `struct sigaction` on 64-bit Linux: the handler, a mask of 128 bytes, flags."""


def read(number: int) -> bytes:
    """The disposition of a signal; empty, if there is no such signal."""
    found = capi.bytes_of(_SIZE)()
    action = capi.function("sigaction")
    failed = action(capi.Word(number), None, capi.Word(capi.address(found)))
    return b"" if failed else bytes(found)


def write(number: int, disposition: bytes) -> None:
    """Set it: as it has been read, or `harmless`."""
    wanted = capi.bytes_of(_SIZE)(*disposition)
    capi.function("sigaction")(capi.Word(number), capi.Word(capi.address(wanted)), None)


def harmless() -> bytes:
    """One by which a signal does nothing but interrupt what the system waits in for a thread.

    Its handler is `abs`, a function that takes an int.
    """
    return capi.address_of("abs").to_bytes(8, sys.byteorder) + bytes(_SIZE - 8)


def is_free(disposition: bytes) -> bool:
    """Is nobody called at the signal: is it SIG_DFL or SIG_IGN?"""
    return bool(disposition) and handler(disposition) <= 1


def handler(disposition: bytes) -> int:
    """The address of the function that is called."""
    return int.from_bytes(disposition[:8], sys.byteorder)
