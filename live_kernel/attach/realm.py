"""Where a process lives beside us: whose files it sees, whose numbers it counts.

Runs in the launcher and the command line. A process may have mounts, a root
directory, pids and users of its own (namespaces(7), chroot(2)): a container has
all of them. Rule: only looks; what we may not know counts as ours, for whatever
is then refused tells its reason.
"""

from __future__ import annotations

import os
from contextlib import suppress

from ..records import NamedTuple
from . import proc

_ALL_IDS = 1 << 32


class Realm(NamedTuple):
    """In which respects a process lives elsewhere. `root`: its root directory, "" if ours."""

    mounts: bool = False
    root: str = ""
    pids: bool = False
    users: bool = False

    @property
    def has_other_files(self) -> bool:
        """Whether a path means another file there than here."""
        return self.mounts or bool(self.root)


def of(pid: int) -> Realm:
    """The realm of a process. Raises nothing."""
    return Realm(
        mounts=_is_other(pid, "mnt"),
        root=_other_root(pid),
        pids=_is_other(pid, "pid"),
        users=_is_other(pid, "user"),
    )


def _is_other(pid: int, kind: str) -> bool:
    theirs = proc.namespace(pid, kind)
    return theirs is not None and theirs != proc.namespace("self", kind)


def _other_root(pid: int) -> str:
    try:
        is_ours = os.path.samefile(f"/proc/{pid}/root", "/")
    except OSError:
        return ""
    return "" if is_ours else proc.link(pid, "root") or "/"


def inner_user(pid: int, uid: int) -> int:
    """The number that a user has in the process's own user namespace; `uid` if in none."""
    for inner, outer, count in _map(pid):
        if outer <= uid < outer + count:
            return inner + uid - outer
    return uid


def its_root_user(pid: int) -> int:
    """Our number of the user who is root to the process."""
    return next((outer for inner, outer, _ in _map(pid) if inner == 0), 0)


def users_without_number() -> frozenset[int]:
    """By what number files appear to us that belong to nobody of our own user namespace.

    Empty where there is only one namespace, and so a number for everybody.
    """
    try:
        rows = [list(map(int, line.split())) for line in proc.read("self", "uid_map").splitlines()]
        with open("/proc/sys/kernel/overflowuid") as file:
            number = int(file.read())
    except (OSError, ValueError):
        return frozenset()
    is_taken = any(inner <= number < inner + count for inner, _, count in rows)
    return frozenset() if is_taken else frozenset({number})


def _map(pid: int) -> list[tuple[int, int, int]]:
    """Ranges of uids: the first in its user namespace, the first in ours, how many."""
    if not _is_other(pid, "user"):
        return [(0, 0, _ALL_IDS)]
    with suppress(OSError, ValueError):
        rows = [list(map(int, line.split())) for line in proc.read(pid, "uid_map").splitlines()]
        return [(inner, outer, count) for inner, outer, count in rows]
    return []
