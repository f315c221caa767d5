"""Waking a target's main thread.

Runs in the launcher, on a thread that may wait. The nudge is harmless, and done unasked: a
thread that is stopped and let go by ptrace(2) inside `epoll_wait` returns from it with EINTR,
which Python answers (PEP 475) by looking for pending work, ours included, and waiting on. All
else changes registers of the program, and is done only when the user says so, by a helper
process of its own (`waker.py`).
Rule: nothing is done to a thread that has moved on since it was looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ..records import NamedTuple
from . import levers, permission, proc, supervised, tracing, waker
from .blocked import Blocked
from .processes import Process
from .registers import MACHINES
from .techniques import Technique

HELPER = (
    "import sys; sys.path.append({place!r}); from live_kernel.attach import waker; waker.main()"
)

_HELPED_WITHIN = 10.0


class Outcome(NamedTuple):
    """`is_done`: something was done to the thread. `why`: what stands in the way, of the thread;
    empty where it has only moved on meanwhile.
    """

    is_done: bool
    why: str = ""


def nudge(pid: int, thread: int) -> bool:
    """Interrupt the system call of a thread of a process, and let it go at once.

    Returns whether that was possible: another tracer (a debugger, strace) or a
    missing right is no error.
    """
    if _is_our_child(thread):  # who waits for a child here would hear of its stop, too
        return by_helper(waker.Order(pid, thread)).is_done
    try:
        with tracing.Held(thread):
            return tracing.process_of(thread) == pid
    except PermissionError:
        return supervised.nudge(pid, thread)
    except (OSError, tracing.NotStopped, tracing.Ended):
        return False


def _is_our_child(tid: int) -> bool:
    try:
        return proc.stat(tid).parent == os.getpid()
    except OSError:
        return False


def wake(process: Process, seen: Blocked, technique: Technique) -> Outcome:
    """Wake the main thread of `process` from the wait in which it was seen. Never raises."""
    try:
        if permission.is_lent(process.pid):
            return _by_supervisor(process, seen, technique)
        if technique is Technique.NUDGE:
            return by_helper(waker.Order(process.pid, seen.thread))
        order = order_for(process, seen, technique)
        if proc.stat(process.pid).start_time != process.start_time:
            return Outcome(False)
    except levers.Unfit as error:
        return Outcome(False, str(error))
    except (FileNotFoundError, ProcessLookupError):
        return Outcome(False)
    except Exception as error:  # its memory and files are its own: they may hold anything
        return Outcome(False, f"could not be looked into ({error})")
    return by_helper(order)


def _by_supervisor(process: Process, seen: Blocked, technique: Technique) -> Outcome:
    """Raises OSError."""
    if technique is Technique.NUDGE:
        return Outcome(supervised.nudge(process.pid, seen.thread))
    assert seen.wait is not None
    outcome, why = supervised.wake(process.pid, seen.thread, technique.name, seen.wait)
    return Outcome(outcome == waker.DONE, why if outcome == waker.REFUSED else "")


def order_for(process: Process, seen: Blocked, technique: Technique) -> waker.Order:
    """What the helper is to do. Raises levers.Unfit, OSError."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise levers.Unfit(f"runs on {machine}, of whose registers we know nothing")
    assert seen.wait is not None
    order = waker.Order(
        process.pid, seen.thread, machine, seen.wait, technique is not Technique.BENEATH
    )
    if technique is Technique.EINTR:
        return order
    found = levers.find(process.pid, seen.wait.stack)
    look = found.functions[levers.CHECK_SIGNALS]
    if technique is Technique.PENDING:
        add = found.functions[levers.ADD_PENDING_CALL]
        return order._replace(calls=((add, (look, 0)),), restorer=found.restorer)
    begin, end = (found.functions[name] for name in (levers.RESTORE_THREAD, levers.SAVE_THREAD))
    calls = ((begin, (found.thread,)), (look, ()), (end, ()))
    order = order._replace(calls=calls, restorer=found.restorer, errno=found.errno)
    return order._replace(zero=tuple(found.zero))


def by_helper(order: waker.Order) -> Outcome:
    """Have it done by the helper, which outlives us if it must. Never raises."""
    place = str(Path(__file__).resolve().parent.parent.parent)
    command = [sys.executable, "-I", "-S", "-c", HELPER.format(place=place)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(order._asdict()),
            capture_output=True,
            check=False,
            text=True,
            timeout=_HELPED_WITHIN,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Outcome(False, f"could not be woken: {error}")
    outcome, _, why = done.stdout.strip().partition(" ")
    if outcome == waker.REFUSED:
        scope = permission.ptrace_scope() if why == waker.DENIED else 0
        return Outcome(False, why + (f" (kernel.yama.ptrace_scope is {scope})" if scope else ""))
    if outcome not in (waker.DONE, waker.MOVED):
        last = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1]
        return Outcome(False, f"could not be woken: the helper {last}")
    return Outcome(outcome == waker.DONE)
