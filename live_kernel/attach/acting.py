"""Making files and sockets as another user, on one thread.

Runs in the launcher, where that is root. Linux keeps credentials for each thread;
those of all threads of a process change only because C libraries see to it, so
the system calls are made directly. What is made so belongs to the other user from
its first moment, also where root itself has no number (a user namespace); and no
trick with links makes us touch what that user could not have touched.
Rule: nothing but files and sockets within, and nothing that waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SETRESUID, _SETRESGID = {"x86_64": (117, 119), "ppc64le": (164, 169)}.get(
    os.uname().machine, (147, 149)
)
"""By include/uapi/asm-generic/unistd.h where not of an older table."""

_GET_DUMPABLE, _SET_DUMPABLE = 3, 4
_SAME = -1


@contextmanager
def acting_as(owner: tuple[int, int] | None) -> Iterator[None]:
    """Within, this thread is that user with that group; None: it stays what it is.

    Raises PermissionError without CAP_SETUID and CAP_SETGID.
    """
    if owner is None:
        yield
        return
    libc = _libc()
    uid, gid = os.geteuid(), os.getegid()
    dumpable = libc.prctl(_GET_DUMPABLE, 0, 0, 0, 0)
    _set(libc, _SETRESGID, owner[1])
    try:
        _set(libc, _SETRESUID, owner[0])
        try:
            yield
        finally:
            _set(libc, _SETRESUID, uid)
    finally:
        _set(libc, _SETRESGID, gid)
        if dumpable == 1:  # a change of user takes it away, from the whole process
            libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0)


def _libc() -> Any:
    import ctypes  # slow to import, and only root needs it

    return ctypes.CDLL(None, use_errno=True)


def _set(libc: Any, call: int, effective: int) -> None:
    import ctypes

    same, number = ctypes.c_long(_SAME), ctypes.c_long(effective)
    if libc.syscall(ctypes.c_long(call), same, number, same) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
