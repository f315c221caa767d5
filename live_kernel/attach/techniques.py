"""How a blocked main thread can be woken, by what it waits in, and what the program will see.

Pure; used by `wake`, and by what tells the user. The techniques come in order, from the one
that does least; each is for waits in which those before it do not help.
Rule: what the program could notice is said before it is done, in words that are true.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from enum import Enum

from .blocked import Blocked
from .registers import MACHINES


class Technique(Enum):
    """What is done to the thread; the value is its name for people."""

    NUDGE = "an interruption"
    EINTR = "EINTR"
    PENDING = "a pending call"
    BENEATH = "a call beneath its wait"


_IS_DONE = {
    Technique.NUDGE: "its wait is interrupted for a moment",
    Technique.EINTR: "its system call fails with EINTR",
    Technique.PENDING: (
        "it calls Py_AddPendingCall, and its system call fails with EINTR (if that is not enough, "
        "it looks for work beneath its wait)"
    ),
    Technique.BENEATH: "it looks for work beneath its wait, which then goes on",
}
_NOTHING = "The program sees nothing of it"
_A_SIGNAL = (
    "The program sees no more of it than of any signal that it handles: "
    "Python waits on for the time that is left"
)

_LOCKS = frozenset({"futex", "futex_waitv", "restart_syscall"})
"""Python's waits for a lock don't look for work when interrupted, but make pending calls."""

_NOT_FOR_HANDLERS = frozenset({"pause", "rt_sigsuspend", "rt_sigtimedwait"})
"""Would return for good, or begin anew without a look: these wait for signals themselves."""

_OTHERS = frozenset({
    "read", "readv", "pread64", "recvfrom", "recvmsg", "write", "writev", "pwrite64", "sendto",
    "sendmsg", "accept", "accept4", "connect", "poll", "ppoll", "select", "pselect6",
    "nanosleep", "clock_nanosleep", "wait4", "waitid", "flock", "fcntl", "openat", "getrandom",
    "semop", "semtimedop", "msgsnd", "msgrcv", "mq_timedsend", "mq_timedreceive",
})  # fmt: skip
"""Waits that a signal can interrupt, and which Python takes up again (PEP 475)."""

_OF_LIBRARIES = frozenset({"ioctl", "splice", "io_getevents", "io_uring_enter"})
"""Python's own code makes no such calls that wait."""

_KNOWN = _LOCKS | _NOT_FOR_HANDLERS | _OTHERS | _OF_LIBRARIES
"""In which a thread holds nothing that Python, running beneath, could need."""


def ladder(seen: Blocked) -> Sequence[Technique]:
    """What to try, in this order; nothing where nothing can be done."""
    steps = _by_wait(seen)
    if os.uname().machine not in MACHINES:
        return [step for step in steps if step is Technique.NUDGE]
    if seen.free_threaded:  # in which nobody has tried to call functions yet
        return [step for step in steps if step in (Technique.NUDGE, Technique.EINTR)]
    return steps


def _by_wait(seen: Blocked) -> Sequence[Technique]:
    if seen.state != "S" or seen.wait is None or seen.syscall is None or seen.holder:
        return ()
    if seen.in_epoll:
        return Technique.NUDGE, Technique.BENEATH
    if seen.library or seen.syscall in _NOT_FOR_HANDLERS:
        return (Technique.BENEATH,) if seen.syscall in _KNOWN else ()
    if seen.syscall in _LOCKS:
        return Technique.PENDING, Technique.BENEATH
    return (Technique.EINTR, Technique.BENEATH) if seen.syscall in _OTHERS else ()


def choose(seen: Blocked, tried: Collection[Technique] = ()) -> Technique | None:
    """The next to try in this wait: the last one again, when all have been."""
    steps = ladder(seen)
    return next((each for each in steps if each not in tried), steps[-1] if steps else None)


def explain(seen: Blocked) -> str:
    """What would be done to wake it, and on a line of its own what the program will see of that;
    "" where nothing can be done.
    """
    steps = ladder(seen)
    if not steps:
        return ""
    seen_of_it = _A_SIGNAL if steps[0] in (Technique.EINTR, Technique.PENDING) else _NOTHING
    if seen.library:
        seen_of_it += f", but for a moment Python code runs below {seen.library}, which waits"
    return f"{_IS_DONE[steps[0]]}.\n{seen_of_it}."


def why_not(seen: Blocked) -> str:
    """Why nothing can be tried, of the thread."""
    if seen.state in ("T", "t"):
        return "is stopped"
    if seen.state == "D":
        return "waits for the disk or a device, which nothing can interrupt"
    if seen.syscall is None or seen.state == "R":
        return "is at work in native code, and waits for nothing that could be interrupted"
    if seen.holder:
        return "could not run anyhow, as long as another thread keeps the interpreter lock"
    if os.uname().machine not in MACHINES:
        return f"runs on {os.uname().machine}, where live-kernel can't change a thread's registers"
    if _by_wait(seen):
        return "runs a free-threaded Python, in which no function is called from outside yet"
    return f"waits in {seen.syscall}, of which Python is not known to wait on"
