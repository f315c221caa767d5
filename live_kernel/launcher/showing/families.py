"""Families of processes as tables: a tree with verdicts, and the children of a target.

Runs in the launcher and the command line. Rule: as in all tables, what a process says of itself is
plain text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...attach.families import Member
from ...plain import on_one_line
from ..tables import Table, duration, row

_STATES = {
    "R": "runs",
    "S": "waits",
    "D": "waits for a device",
    "T": "stopped",
    "t": "under a debugger",
    "Z": "has ended",
    "X": "has ended",
    "I": "idle",
    "P": "parked",
}
"""The letters of proc(5), in words."""


def branches(members: Sequence[Member]) -> list[str]:
    """What stands in front of each, as lines of a tree."""
    return [_branch(members, index) for index in range(len(members))]


def _branch(members: Sequence[Member], index: int) -> str:
    depth = members[index].depth
    if depth == 0:
        return ""
    bars = "".join("│  " if _goes_on(members, index, level) else "   " for level in range(1, depth))
    return bars + ("├─ " if _goes_on(members, index, depth) else "└─ ")


def _goes_on(members: Sequence[Member], index: int, depth: int) -> bool:
    """Is there another one of this depth below, before the branch ends?"""
    for each in members[index + 1 :]:
        if each.depth <= depth:
            return each.depth == depth
    return False


def tree(members: Sequence[Member], present: int = 0) -> Table:
    """The tree, numbered; `present`: the pid that stands out."""
    rows, titles = [], []
    for number, (member, branch) in enumerate(zip(members, branches(members), strict=True), 1):
        pid, python, user, up, command, verdict = row(member.candidate)
        rows.append((str(number), pid, python, user, up, branch + command, verdict))
        titles.append("" if member.candidate.error is None else member.candidate.error.explain())
    marked = next((n for n, each in enumerate(members) if each.pid == present), -1)
    columns = ("#", "PID", "Python", "User", "Up", "Command", "Attach")
    return Table(columns, rows, titles, marked=marked)


def children(members: Sequence[Member], kernels: Mapping[int, Sequence[str]], target: str) -> Table:
    """Those below the head, how each does, and which kernels are in it."""
    below = members[1:]
    rows = [
        (
            str(each.pid),
            each.candidate.process.version_text,
            _STATES.get(each.candidate.process.state, each.candidate.process.state),
            duration(each.candidate.process.uptime),
            branch[3:] + on_one_line(each.candidate.process.title),
            row(each.candidate)[-1],
            ", ".join(kernels.get(each.pid, ())),
        )
        for each, branch in zip(below, branches(members)[1:], strict=True)
    ]
    titles = [
        "" if each.candidate.error is None else each.candidate.error.explain() for each in below
    ]
    columns = ("PID", "Python", "State", "Up", "Command", "Attach", "Kernels")
    good = next((each.pid for each in below if each.candidate.attachable), None)
    more = [f"To go to one: %attach {good}"] if good is not None else []
    return Table(columns, rows, titles, f"Children of {target}", more)
