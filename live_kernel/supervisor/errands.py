"""What the supervisor does in its program for those who may not enter that themselves.

Runs in the supervisor, on the thread of who asks; what traces a child, with `Program.reaping`
held. The system lets a process look into its descendants where it keeps others of the same user
out (`kernel.yama.ptrace_scope=1`). Rule: only in our own descendants, and only for who would be
allowed it but for not being an ancestor: our own user with no fewer rights than ours, and root.
"""

from __future__ import annotations

import os

from ..attach import blocked, levers, proc, processes, rights, wake, waker
from ..attach.peer import Peer
from ..attach.techniques import Technique
from ..errors import AttachNotPermitted


def check_client(client: Peer) -> None:
    """Raises AttachNotPermitted for one who may do less than we: a sandbox is no way around."""
    if client.uid == 0 != os.geteuid():
        return
    process = processes.found_again(client.pid, proc.stat(client.pid).start_time)
    lesser = rights.lesser(process)
    if lesser:
        raise AttachNotPermitted(
            client.pid, f"{process}, which asks to enter a supervised program, {lesser}"
        )


def check_ours(pid: int, start_time: int) -> None:
    """Raises AttachNotPermitted, TargetNotFound, unless that process descends from us."""
    process = processes.found_again(pid, start_time)
    if os.getpid() not in proc.ancestors(pid):
        raise AttachNotPermitted(pid, f"{process} was not started by this supervisor")


def memory(pid: int) -> int:
    """A descriptor of its memory, to be read and written. Raises OSError."""
    return os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)


def wait(pid: int, thread: int) -> str:
    """In which system call a thread of it waits, as proc(5) has it. Raises OSError."""
    return proc.read(pid, f"task/{thread}/syscall").decode(errors="replace")


def nudge(pid: int, thread: int) -> bool:
    """Interrupt the system call of a thread of it for a moment: see `wake.nudge`."""
    outcome, _ = waker.carry_out(waker.Order(pid, thread))
    return outcome == waker.DONE


def wake_thread(pid: int, thread: int, technique: str, where: list[int]) -> tuple[str, str]:
    """Wake a thread of it, if it still waits there. Returns as `waker.carry_out`.

    Which functions it is to call is found out here, and by nobody else. Raises OSError, KeyError.
    """
    process = processes.identify(pid)
    seen = blocked.of_thread(process, thread)
    if seen.wait is None or list(seen.wait) != where:
        return waker.MOVED, "it does not wait there any more"
    try:
        order = wake.order_for(process, seen, Technique[technique])
    except levers.Unfit as error:
        return waker.REFUSED, str(error)
    return waker.carry_out(order)
