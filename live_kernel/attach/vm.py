"""Memory of another process, for the few cases that need more than /proc/PID/mem as a file.

Runs in the launcher and the command line; imported late, since ctypes is slow
to import. Rule: reads; what it writes is no bytes, to ourselves, and one flag.
"""

from __future__ import annotations

import ctypes
import errno
import os
from itertools import repeat
from operator import attrgetter, itemgetter, methodcaller

_libc = ctypes.CDLL(None, use_errno=True)


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def read(pid: int, address: int, size: int) -> bytes:
    """`size` bytes of process `pid`. Raises OSError, also where less can be read."""
    if not 0 <= address < 1 << 64:
        raise OSError(errno.EFAULT, f"no memory is at {address:#x}")
    buffer = ctypes.create_string_buffer(size)
    done = _call("process_vm_readv", pid, ctypes.addressof(buffer), address, size)
    if done != size:
        raise OSError(f"{done} of {size} bytes at {address:#x} of process {pid}")
    return buffer.raw[:size]


def raise_flag(memory: int, address: int, flag: int) -> None:
    """Set a bit in a byte of the memory that the descriptor is of, as quickly as can be.

    What the process itself does to that byte between the look and the deed is lost. So both
    are one chain of functions written in C that keep the interpreter lock: a thread of ours
    that took it in the middle would make a microsecond into milliseconds. Raises OSError.
    """
    libc = ctypes.PyDLL(None, use_errno=True)
    for function in (libc.pread, libc.pwrite):
        function.restype = ctypes.c_ssize_t
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long)
    byte = ctypes.create_string_buffer(1)
    one, at = repeat(1), repeat(address)
    looked = zip([byte], map(libc.pread, [memory], [byte], one, at), strict=True)
    before = map(attrgetter("raw"), map(itemgetter(0), looked))
    after = map(methodcaller("translate", bytes(n | flag for n in range(256))), before)
    if next(map(libc.pwrite, [memory], after, one, at)) != 1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


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
