"""Why an agent has gone, or could not start, in words; and what to do about it.

Runs on the launcher's reactor. Rule: whatever is passed on of what a target says is
one line of plain text, for it may be hostile.
"""

from __future__ import annotations

from typing import Any

from ..attach import ending, proc, processes
from ..attach.processes import Process
from ..errors import AgentFailed, AgentLost
from ..plain import on_one_line

_LONGEST = 300
"""Characters of what a target says of itself."""

_ANOTHER = "Name another program with %attach PID or %attach TEXT."

_NEXT = "If another process takes its place, the next cell says which."

_CLOSED = (
    "has closed the kernel's connections, and runs on; programs do so that close all files, as "
    "those that go into the background"
)

_UNATTENDED = (
    "has let go of this kernel, which held a thread of it and did not answer for some seconds "
    "(stopped, or out of breath?); the program runs on"
)

_NO_ROOM = (
    "It may have as many threads as its user may have, or too little memory for one more: see "
    "/proc/{pid}/limits, and pids.max and memory.max of its control group."
)
_ITS_OWN = "It comes from the program itself, which has changed or forbidden what is needed here."
_REMEDIES = (
    (
        "ModuleNotFoundError",
        "Python's standard library must be among the program's files, and not be hidden from it.",
    ),
    ("RuntimeError: can't start new thread", _NO_ROOM),
    ("MemoryError", _NO_ROOM),
    (
        "RecursionError",
        "Its main thread is as deep in calls as it may be, or sys.setrecursionlimit is very low.",
    ),
    ("OSError: [Errno 24]", "It has all the files open that it may: prlimit --nofile allows more."),
    ("its bootstrap has run, and nothing came", (
        "Its stderr may say more. An audit hook of the program may have refused the script, its "
        "main thread may be as deep in calls as it may be, another import may hold up the agent's, "
        "or the program has put something in the place of Python's own `__import__`."
    )),
    ("Error: ", _ITS_OWN),
)  # fmt: skip
"""What to do about it, by a part of what has failed; the first that fits."""


def failed(process: Process, detail: str) -> AgentFailed:
    """The agent could not start, for this reason."""
    text = f"the agent could not start in {process}: {_plain(detail)}"
    return AgentFailed(process.pid, text, _remedy(process, detail))


def _remedy(process: Process, detail: str) -> str:
    remedies = (remedy for part, remedy in _REMEDIES if part in detail)
    return next(remedies, "").format(pid=process.pid)


def replaced(process: Process) -> str:
    """What to say of a program that has become another one."""
    return f"{process} has replaced itself by another program (exec): {_now(process.pid)}"


def lost(
    process: Process, death: ending.Watch, farewell: dict[str, Any] | None, was_misused: bool
) -> AgentLost:
    """The agent has gone. `farewell`: its last words; `was_misused`: it broke the protocol."""
    if death.has_ended():
        remedy = f"{_alike(process)}{_ANOTHER} {_NEXT}"
        return AgentLost(process.pid, f"{process} {death.how()}", remedy)
    reason = farewell["reason"] if farewell is not None else ""
    if reason == "exit":
        return AgentLost(process.pid, f"{process} is exiting: its interpreter shuts down", _ANOTHER)
    again = f"To attach to it again: %attach {process.pid}"
    if death.has_become_another():
        again = f"%attach {process.pid} attaches to that, if it is Python."
        return AgentLost(process.pid, replaced(process), again)
    if reason == "unattended":
        return AgentLost(process.pid, f"{process} {_UNATTENDED}", again)
    if was_misused:
        text = f"{process} has sent what no agent may send; the kernel has let go of it"
        return AgentLost(process.pid, text, _ANOTHER)
    if farewell is not None and reason == "failed":
        text = f"the agent in {process} had to leave: {_plain(farewell['detail'])}"
        remedy = _remedy(process, farewell["detail"])
        return AgentLost(process.pid, text, f"{remedy}\n{again}" if remedy else again)
    return AgentLost(process.pid, f"the program {process} {_CLOSED}", again)


def _alike(process: Process) -> str:
    """Where the program may go on, as a daemon does in a child. (Who is a successor for certain,
    `successors.py` tells, and the next cell; most have not begun yet at this moment.)
    """
    found = processes.alike(process)
    if not found:
        return ""
    pids = " or ".join(str(pid) for pid in found[:3])
    more = " (and others)" if found[3:] else ""
    return f"Of the same command line is pid {pids}{more}: %attach {found[0]}. "


def _now(pid: int) -> str:
    try:
        return _plain(" ".join(proc.command_line(pid)))
    except OSError:
        return "it is gone by now"


def _plain(text: str) -> str:
    text = on_one_line(" ".join(text.split()))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
