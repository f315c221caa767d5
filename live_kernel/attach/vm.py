"""process_vm_readv(2) and process_vm_writev(2), for the few cases that need them.

Runs in the launcher and the command line; imported late, since ctypes is slow
to import. Rule: reads; the only write is one of no bytes, to ourselves.
"""

from __future__ import annotations

import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def read(pid: int, address: int, size: int) -> bytes:
    """`size` bytes of process `pid`. Raises OSError, also where less can be read."""
    buffer = ctypes.create_string_buffer(size)
    done = _call("process_vm_readv", pid, ctypes.addressof(buffer), address, size)
    if done != size:
        raise OSError(f"{done} of {size} bytes at {address:#x} of process {pid}")
    return buffer.raw[:size]


def check_allowed(pid: int) -> None:
    """Raises PermissionError or ProcessLookupError unless we may read process `pid`."""
    try:
        read(pid, 0, 1)
    except OSError as error:
        if error.errno != errno.EFAULT:  # nothing lies at 0, but we were let in to find out
            raise


def refused() -> str:
    """The first of the two calls that the system refuses us even on ourselves; "" if none."""
    for name in ("process_vm_readv", "process_vm_writev"):
        try:
            _call(name, os.getpid(), 0, 0, 0)
        except OSError:
            return name
    return ""


def _call(name: str, pid: int, here: int, there: int, size: int) -> int:
    ours, theirs = _Piece(here, size), _Piece(there, size)
    function = getattr(_libc, name)
    function.restype = ctypes.c_ssize_t
    function.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong,
        ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    )  # fmt: skip
    done = int(function(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return done
