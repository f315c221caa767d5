"""One thread of another process, held by ptrace(2).

Runs in the helper that wakes a thread (`waker.py`): a tracer is a thread, and what it traces is
let go when it ends. Rule: PTRACE_SEIZE only, which sends no signal, and after which the thread
runs on by itself when its tracer dies, with the registers that it has at that moment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Self

_SEIZE, _INTERRUPT, _DETACH, _SYSCALL = 0x4206, 0x4207, 17, 24
_GETREGSET, _SETREGSET, _GETSIGMASK = 0x4204, 0x4205, 0x420A
_MARK_SYSCALLS = 1
"""PTRACE_O_TRACESYSGOOD."""
_ANY_THREAD = 0x40000000
"""__WALL: waitpid(2) also reports threads."""
_LARGEST_REGSET = 1 << 16

GENERAL = 1
"""The regset NT_PRSTATUS."""

_LOOK_EVERY = 0.0002


class Ended(Exception):
    """The thread has ended, or has become another program."""


class NotStopped(Exception):
    """It does not stop: it waits uninterruptibly."""


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_ptrace.restype = ctypes.c_long


def request(number: int, thread: int, address: int = 0, data: int = 0) -> None:
    """One ptrace(2) request. Raises OSError."""
    if _ptrace(number, thread, address, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def process_of(thread: int) -> int:
    """The process to which a thread belongs. Raises OSError.

    What is asked of one that is held stays true: its number is nobody else's meanwhile.
    """
    with open(f"/proc/{thread}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Tgid"))


class Held:
    """A thread that has been stopped, as `with Held(tid)`; it is let go at the end of the block.

    `signal`: one that was on its way to it, which it gets when it is let go; 0 for none.
    `is_ours`: whether it has stopped because we said so, and for no other reason.
    Raises OSError where that is not permitted, NotStopped, Ended.
    """

    def __init__(self, thread: int, within: float = 0.5) -> None:
        self.thread = thread
        self.signal = 0
        self.is_ours = False
        self._within = within

    def __enter__(self) -> Self:
        request(_SEIZE, self.thread, 0, _MARK_SYSCALLS)
        try:
            request(_INTERRUPT, self.thread)
            status = self.await_stop(self._within)
        except BaseException:
            self.let_go()
            raise
        event, number = status >> 16, os.WSTOPSIG(status)
        # Of a process that is stopped by job control, the event's signal is SIGSTOP or the like.
        self.is_ours = event != 0 and number == signal.SIGTRAP
        self.signal = 0 if event else number
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Once is enough. One that is not stopped is let go when we end."""
        try:
            request(_DETACH, self.thread, 0, self.signal)
        except OSError:
            pass

    def await_stop(self, within: float) -> int:
        """Its wait status when it stops, within so many seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            reported, status = os.waitpid(self.thread, os.WNOHANG | _ANY_THREAD)
            if reported and os.WIFSTOPPED(status):
                return status
            if reported:
                raise Ended
            time.sleep(_LOOK_EVERY)
        raise NotStopped

    def until_syscall(self, within: float) -> bool:
        """Let it run until it enters or leaves a system call; False: stopped for a signal.

        Such a signal is handed on when it goes on.
        """
        request(_SYSCALL, self.thread, 0, self.signal)
        self.signal = 0
        status = self.await_stop(within)
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP | 0x80:
            return True
        self.signal = 0 if status >> 16 else number
        return False

    def get(self, kind: int) -> bytes:
        """A regset."""
        buffer = ctypes.create_string_buffer(_LARGEST_REGSET)
        piece = _Piece(ctypes.addressof(buffer), len(buffer))
        request(_GETREGSET, self.thread, kind, ctypes.addressof(piece))
        return buffer.raw[: piece.size]

    def set(self, kind: int, data: bytes) -> None:
        """Put a regset in place, all of it at once."""
        buffer = ctypes.create_string_buffer(data, len(data))
        piece = _Piece(ctypes.addressof(buffer), len(data))
        request(_SETREGSET, self.thread, kind, ctypes.addressof(piece))

    def blocked_signals(self) -> int:
        """Its signal mask."""
        mask = ctypes.c_uint64()
        request(_GETSIGMASK, self.thread, 8, ctypes.addressof(mask))
        return mask.value
