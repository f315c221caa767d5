"""By what in its memory a blocked main thread can be made to look for work.

Runs in the launcher, on a thread that may wait. Addresses of the functions of Python's C API
that it is made to call, from the ELF file that holds them; of the instructions to which they
return; and of the flags that tell whether that may be done. Nothing is changed here.
Rule: what can't be found out is an `Unfit`, which says why, of the process.
"""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress

from ..records import NamedTuple
from . import mapped, permission, runtime
from .registers import MACHINES
from .runtime import Read, Runtime

ADD_PENDING_CALL, CHECK_SIGNALS = b"Py_AddPendingCall", b"PyErr_CheckSignals"
RESTORE_THREAD, SAVE_THREAD = b"PyEval_RestoreThread", b"PyEval_SaveThread"
_FUNCTIONS = (ADD_PENDING_CALL, CHECK_SIGNALS, RESTORE_THREAD, SAVE_THREAD)

_WORDS = {(3, 14): 30, (3, 15): 33}
"""Where `_Py_DebugOffsets` has `thread_state.status`."""

_ACTIVE = 1 << 4
"""In `status`: the thread is in Python, or in C code that has not let go of the interpreter."""
_SIGNALS_PENDING = 1 << 1
"""In `eval_breaker`: a signal of the program's has come that it has not handled yet."""

_LARGEST_MAPPING = 1 << 28
_ROOM = 192 * 1024
"""Bytes of stack that a bootstrap may need (on the first thread, it grows by itself)."""


class Unfit(Exception):
    """No function can be called in it; the text says why, of the process."""


class Errno(NamedTuple):
    """How to put `errno` back, which belongs to the code that waits.

    `offset`: from where each thread has its own variables. `put`: the address of swab(3), which
    is a plain function in every C library and copies whole numbers (their bytes swapped).
    """

    offset: int
    put: int


class Levers(NamedTuple):
    """Addresses. `thread`: the main thread's `PyThreadState`. `errno`: None if it can't be kept."""

    functions: dict[bytes, int]
    restorer: int
    thread: int
    status: int
    breaker: int
    errno: Errno | None = None

    @property
    def zero(self) -> list[tuple[int, int, str]]:
        """What must not be so when Python is made to run in the midst of a wait."""
        return [
            (self.status, _ACTIVE, "waits in C code that holds Python's interpreter lock"),
            (self.breaker, _SIGNALS_PENDING, "has a signal to handle first, once it wakes"),
        ]


def find(pid: int, stack: int) -> Levers:
    """Those of process `pid`, whose main thread has its stack pointer there.

    Raises Unfit, and OSError.
    """
    found = runtime.find(pid)
    if found is None or found.address is None or found.version is None:
        raise Unfit("does not tell where its Python is")
    if found.free_threaded:
        raise Unfit("is free-threaded, where nobody has tried this yet")
    if found.version[:2] not in _WORDS:
        raise Unfit(f"runs Python {found.version}, which is not known well enough")
    with permission.memory(pid) as read:
        _check_stack(pid, stack)
        thread, slot = runtime.main_thread_state(found, read), runtime.slot(found, read)
        if not thread or slot is None:
            raise Unfit("does not tell where its main thread is")
        at = found.address + 8 * _WORDS[found.version[:2]]
        (status,) = struct.unpack("<Q", read(at, 8))
        restorer, errno = restorer_of(pid, read), _errno(pid, read)
    flags = thread + status, slot.breaker
    return Levers(_functions(pid, found), restorer, thread, *flags, errno)


def _functions(pid: int, found: Runtime) -> dict[bytes, int]:
    there = mapped.functions(pid, found, _FUNCTIONS)
    missing = [name.decode() for name in _FUNCTIONS if name not in there]
    if missing:
        raise Unfit(f"exports no {', '.join(missing)}")
    return {name: at.start for name, at in there.items()}


def restorer_of(pid: int, read: Read) -> int:
    """Where handlers of signals return to: in the C library, or the kernel's own page (vDSO)."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        raise Unfit(f"runs on {os.uname().machine}, of whose registers we know nothing")
    code = [each for each in mapped.mappings(pid) if "x" in each.flags and "r" in each.flags]
    code.sort(key=lambda each: not ("libc" in each.path or each.path == "[vdso]"))
    for each in code:
        if each.path.startswith("[") and each.path != "[vdso]":
            continue
        if each.end - each.start <= _LARGEST_MAPPING:
            with suppress(OSError):  # a file may have become shorter than what is mapped of it
                at = read(each.start, each.end - each.start).find(machine.restorer)
                if at >= 0:
                    return each.start + at
    raise Unfit("has no code from which a signal's handler returns")


_IN_GLIBC = re.compile(
    rb"(?:\xf3\x0f\x1e\xfa)?\x48\x8b\x05(....)\x64\x48\x03\x04\x25\0\0\0\0\xc3", re.DOTALL
)
"""[endbr64], mov offset(%rip), %rax; add %fs:0, %rax; ret: all of __errno_location, on x86-64."""


def _errno(pid: int, read: Read) -> Errno | None:
    """By the code of the function that tells where it is; None for any that is not known."""
    with suppress(OSError, struct.error):
        there = mapped.functions_of_c(pid, (b"__errno_location", b"swab"))
        if len(there) == 2:
            at = there[b"__errno_location"].start
            code = _IN_GLIBC.match(read(at, 32))
            if code is not None:
                (distance,) = struct.unpack("<i", code[1])
                (offset,) = struct.unpack("<Q", read(at + code.end(1) + distance, 8))
                return Errno(offset, there[b"swab"].start)
    return None


def _check_stack(pid: int, stack: int) -> None:
    for each in mapped.mappings(pid):
        if each.start <= stack < each.end:
            if each.path != "[stack]" and stack - each.start < _ROOM:
                break
            return
    raise Unfit("has too little room on its stack")
