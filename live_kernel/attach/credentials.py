"""What the system lets one thread of ours do, changed for that thread alone.

Runs in the launcher. Linux keeps credentials for each thread; those of all threads of a
process change only because C libraries see to it, so the system calls are made directly.
Imported late, for ctypes is slow to import.
Rule: each function does one thing, to the thread that calls it, and raises OSError.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

_NUMBERS = {
    "x86_64": (117, 119, 116, 250),
    "ppc64le": (164, 169, 81, 271),
    "s390x": (208, 210, 206, 280),
}
_SETRESUID, _SETRESGID, _SETGROUPS, _KEYCTL = _NUMBERS.get(os.uname().machine, (147, 149, 159, 219))
"""By include/uapi/asm-generic/unistd.h where not of an older table."""

_GET_DUMPABLE, _SET_DUMPABLE = 3, 4
_DROP_FROM_BOUNDING, _NO_NEW_PRIVS, _AMBIENT, _CLEAR_ALL = 24, 38, 47, 4
_NEW_SESSION_KEYRING = 1
_SAME = -1

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of 32 bits for each set

Capabilities = tuple[int, int, int]
"""Effective, permitted, inheritable."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _call(number: int, *arguments: int) -> None:
    _check(_libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    _check(_libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, padded)))


def set_user(uid: int) -> None:
    """The effective one, and that for files."""
    _call(_SETRESUID, _SAME, uid, _SAME)


def set_group(gid: int) -> None:
    _call(_SETRESGID, _SAME, gid, _SAME)


def set_groups(groups: Sequence[int]) -> None:
    """The supplementary ones. PermissionError also in a user namespace that forbids it."""
    array = (ctypes.c_uint32 * len(groups))(*groups)
    _check(
        _libc.syscall(ctypes.c_long(_SETGROUPS), ctypes.c_long(len(groups)), ctypes.byref(array))
    )


def capabilities() -> Capabilities:
    header, data = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    _check(_libc.capget(ctypes.byref(header), ctypes.byref(data)))
    effective, permitted, inheritable = (data[i] | data[i + 3] << 32 for i in range(3))
    return effective, permitted, inheritable


def set_capabilities(sets: Capabilities) -> None:
    header, data = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    for i, each in enumerate(sets):
        data[i], data[i + 3] = each & 0xFFFFFFFF, each >> 32
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)))


def drop_from_bounding(mask: int) -> None:
    """Capabilities that no program started from here can get any more. For good."""
    for bit in range(mask.bit_length()):
        if mask >> bit & 1:
            _prctl(_DROP_FROM_BOUNDING, bit)


def clear_ambient() -> None:
    """No capability is handed to programs that are started from here."""
    _prctl(_AMBIENT, _CLEAR_ALL)


def forbid_new_privileges() -> None:
    """No program started from here gets more rights than its starter has. For good."""
    _prctl(_NO_NEW_PRIVS, 1)


def leave_keys() -> None:
    """Begin a session keyring of its own, empty: see session-keyring(7)."""
    _call(_KEYCTL, _NEW_SESSION_KEYRING, 0)


def dumpable() -> int:
    """Of the whole process; a change of user takes it away."""
    return int(_libc.prctl(_GET_DUMPABLE, 0, 0, 0, 0))


def set_dumpable() -> None:
    _prctl(_SET_DUMPABLE, 1)
