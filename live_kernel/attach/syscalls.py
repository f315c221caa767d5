"""System calls in which a Python program may wait, by number.

Pure; used by `blocked`. Rule: what is not here is told by its number alone, so
that only calls that can wait for long need be listed
(arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
"""

from __future__ import annotations

import os

_X86_64 = {
    0: "read", 1: "write", 7: "poll", 16: "ioctl", 17: "pread64", 18: "pwrite64", 19: "readv",
    20: "writev", 23: "select", 24: "sched_yield", 34: "pause", 35: "nanosleep", 42: "connect",
    43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 56: "clone",
    58: "vfork", 61: "wait4", 65: "semop", 69: "msgsnd", 70: "msgrcv", 72: "fcntl", 73: "flock",
    74: "fsync", 75: "fdatasync", 128: "rt_sigtimedwait", 130: "rt_sigsuspend", 202: "futex",
    208: "io_getevents", 219: "restart_syscall", 220: "semtimedop", 230: "clock_nanosleep",
    232: "epoll_wait", 242: "mq_timedsend", 243: "mq_timedreceive", 247: "waitid", 257: "openat",
    262: "newfstatat", 270: "pselect6", 271: "ppoll", 275: "splice", 281: "epoll_pwait",
    288: "accept4", 318: "getrandom", 426: "io_uring_enter", 435: "clone3", 441: "epoll_pwait2",
    449: "futex_waitv",
}  # fmt: skip
_AARCH64 = {
    63: "read", 64: "write", 29: "ioctl", 67: "pread64", 68: "pwrite64", 65: "readv",
    66: "writev", 124: "sched_yield", 101: "nanosleep", 203: "connect", 202: "accept",
    206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 220: "clone", 260: "wait4",
    193: "semop", 189: "msgsnd", 188: "msgrcv", 25: "fcntl", 32: "flock", 82: "fsync",
    83: "fdatasync", 137: "rt_sigtimedwait", 133: "rt_sigsuspend", 98: "futex",
    4: "io_getevents", 128: "restart_syscall", 192: "semtimedop", 115: "clock_nanosleep",
    182: "mq_timedsend", 183: "mq_timedreceive", 95: "waitid", 56: "openat", 79: "newfstatat",
    72: "pselect6", 73: "ppoll", 76: "splice", 22: "epoll_pwait", 242: "accept4",
    278: "getrandom", 426: "io_uring_enter", 435: "clone3", 441: "epoll_pwait2",
    449: "futex_waitv",
}  # fmt: skip
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}

EPOLL = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})


def name_of(number: int, machine: str = os.uname().machine) -> str:
    """ "futex", say; "system call 999" for one that is not listed."""
    return _TABLES.get(machine, {}).get(number, f"system call {number}")
