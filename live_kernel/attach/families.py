"""Processes as families: one with its children and theirs, each with its verdict.

Runs in the launcher and the command line. Rule: what is seen is of one look at /proc; a process
that goes meanwhile is left out, and so are the threads of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..records import NamedTuple
from . import proc, processes
from .processes import Candidate

MOST = 500
"""Processes of one family that are shown."""


class Member(NamedTuple):
    """A process of a family; `depth` generations below its head, whose is 0."""

    candidate: Candidate
    depth: int

    @property
    def pid(self) -> int:
        return self.candidate.process.pid


def _children() -> dict[int, list[int]]:
    """The children of each process, the oldest first."""
    found: dict[int, list[tuple[int, int]]] = {}
    for pid, stat in proc.stats(proc.pids()):
        if not stat.kernel_thread:
            found.setdefault(stat.parent, []).append((stat.start_time, pid))
    return {parent: [pid for _, pid in sorted(each)] for parent, each in found.items()}


def of(head: int) -> list[Member]:
    """The process and all that descend from it, each below its parent."""
    return list(_walk(head, 0, _children()))[:MOST]


def _walk(pid: int, depth: int, children: dict[int, list[int]]) -> Iterator[Member]:
    candidate = processes.candidate(pid)
    if candidate is not None:
        yield Member(candidate, depth)
        for child in children.get(pid, []):
            yield from _walk(child, depth + 1, children)


def all_of_them(everything: bool = False) -> list[Member]:
    """The processes that `candidates` lists, as families: each below the nearest of its forebears
    that is listed, too.
    """
    listed = {each.process.pid: each for each in processes.candidates(all=everything)}
    above = {pid: next((p for p in proc.ancestors(pid) if p in listed), 0) for pid in listed}
    ages = {pid: (each.process.start_time, pid) for pid, each in listed.items()}

    def below(head: int, depth: int) -> Iterator[Member]:
        for pid in sorted((p for p, up in above.items() if up == head), key=ages.__getitem__):
            yield Member(listed[pid], depth)
            yield from below(pid, depth + 1)

    return list(below(0, 0))
