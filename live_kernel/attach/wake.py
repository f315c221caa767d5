"""Waking a target's main thread without its noticing.

Runs in the launcher, on the thread that attaches. Rule: only what the target
can't see. A thread that is stopped and let go by ptrace(2) inside `epoll_wait`
returns from it with EINTR, which Python answers (PEP 475) by looking for
pending work, ours included, and waiting on. Other waits restart inside the
kernel, so that nothing happens; and should the launcher die in the middle,
Linux lets the thread go by itself. This text stands alone: see `_from_beside`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_ANY_THREAD = 0x40000000
"""__WALL: waitpid(2) also reports threads."""

_STOPS_WITHIN = 0.5
"""Seconds to wait for a thread to stop; one in an uninterruptible wait does not."""


def nudge(tid: int) -> bool:
    """Interrupt the system call of a thread, given by its native id, and let it go at once.

    Returns whether that was possible: another tracer (a debugger, strace) or a
    missing right is no error.
    """
    return _from_beside(tid) if _is_our_child(tid) else _interrupt(tid)


def _is_our_child(tid: int) -> bool:
    try:
        with open(f"/proc/{tid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == os.getpid()
    except OSError:
        return False


def _from_beside(tid: int) -> bool:
    """By a process of its own: who waits for a child here would hear of its stop, too."""
    with open(__file__) as file:
        command = [sys.executable, "-I", "-S", "-c", file.read(), str(tid)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def _interrupt(tid: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    ptrace = libc.ptrace
    ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    ptrace.restype = ctypes.c_long
    if ptrace(_SEIZE, tid, None, None) != 0:
        return False
    received = 0
    try:
        if ptrace(_INTERRUPT, tid, None, None) != 0:
            return False
        received = _await_stop(tid)
        return received >= 0
    finally:
        ptrace(_DETACH, tid, None, max(received, 0))


def _await_stop(tid: int) -> int:
    """The signal that must be handed on when the thread goes on; 0 for none; -1: not stopped."""
    deadline = time.monotonic() + _STOPS_WITHIN
    while time.monotonic() < deadline:
        reported, status = os.waitpid(tid, os.WNOHANG | _ANY_THREAD)
        if reported and os.WIFSTOPPED(status):
            is_ours = status >> 16 != 0 or os.WSTOPSIG(status) == signal.SIGTRAP
            return 0 if is_ours else os.WSTOPSIG(status)
        if reported:
            return -1  # it has ended
        time.sleep(0.0002)
    return -1


if __name__ == "__main__":
    sys.exit(0 if _interrupt(int(sys.argv[1])) else 1)
