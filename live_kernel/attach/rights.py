"""What a process may do beside what we may; and starting programs with no more than its rights.

Runs in the launcher and the command line. A target may ask for something to be done
out here (a command of a cell, a look with its own interpreter, a value to be unpickled):
then it must not get more from us than it has, be it another user's, or our own user's in
a sandbox. Its rights are those of the moment: programs give up theirs after their start.
Rule: what can be taken over from it is taken over, before anything of it runs; what can't be
is a refusal.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..records import NamedTuple
from . import permission, proc, realm

if TYPE_CHECKING:
    import subprocess

    from .processes import Process

_SETGID, _SETUID = 1 << 6, 1 << 7

_NAMESPACES = {"user": "users", "pid": "processes", "net": "network"}
"""Beside that of mounts, those which keep a process away from something."""


def lesser(process: Process) -> str:
    """In which way it may do less than we, in words that follow its name; "" if in none.

    Raises OSError if it is gone, or another one now.
    """
    us, them = _both(process)
    if them.uids[1] != us.uids[1]:
        return f"belongs to {proc.user_name(them.uids[1])}"
    confined = _confined(process.pid, us, them)
    if confined:
        return confined
    if them.no_new_privs and not us.no_new_privs:
        return "can't gain privileges (no_new_privs), as this kernel can"
    missing = us.permitted & ~them.permitted or us.bounding & ~them.bounding
    if missing:
        return f"lacks privileges that this kernel has ({permission.capability_names(missing)})"
    return ""


def spawn(process: Process, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program that has no more rights than `process` has now; `options` as for Popen.

    Raises PermissionError where its rights can't be taken over, ProcessLookupError where
    the process is another one now, and what Popen does.
    """
    us, them = _both(process)
    confined = _confined(process.pid, us, them)
    if confined:
        raise PermissionError(f"{process} {confined}: nothing is run for it outside of that")
    plan = _plan(us, them)
    if plan is None:
        whose = proc.user_name(them.uids[1])
        raise PermissionError(f"{process} belongs to {whose}, as whom this kernel can't run things")
    import subprocess  # not on the way into a target of our own version

    if plan.is_nothing:
        return subprocess.Popen(command, **options)
    started: list[subprocess.Popen[Any] | BaseException] = []

    def start() -> None:
        try:
            plan.carry_out()
            started.append(subprocess.Popen(command, **options, **plan.identity))
        except BaseException as error:
            started.append(error)

    # What a thread has given up it does not get again: so it is one of its own.
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    (result,) = started
    if isinstance(result, BaseException):
        raise result
    return result


def _both(process: Process) -> tuple[proc.Status, proc.Status]:
    # Of this very thread: another may be acting as some user just now (`acting.py`).
    us, them = proc.status("thread-self"), proc.status(process.pid)
    if proc.stat(process.pid).start_time != process.start_time:
        raise ProcessLookupError(f"pid {process.pid} is another process now")
    return us, them


def _confined(pid: int, us: proc.Status, them: proc.Status) -> str:
    """By what it is kept in that nobody outside can put on; "" for nothing."""
    if realm.of(pid).has_other_files:
        return "sees other files than this kernel"
    for kind, what in _NAMESPACES.items():
        theirs = proc.namespace(pid, kind)
        if theirs is not None and theirs != proc.namespace("self", kind):
            return f"has {what} of its own (a namespace)"
    if them.seccomp and (us.seccomp != them.seccomp or them.filters > us.filters):
        return "is under a filter of system calls (seccomp)"
    label = _label(pid)
    is_free = not label or "unconfined" in label or "(complain)" in label
    if not is_free and label != _label("self"):
        return f"is confined by a security module ({label})"
    return ""


def _label(pid: int | str) -> str:
    """Its AppArmor profile or SELinux context; "" where there is none."""
    with suppress(OSError):
        return proc.read(pid, "attr/current").decode(errors="replace").strip("\0\n ")
    return ""


class _Plan(NamedTuple):
    """What is to be given up. `identity`: Popen's words for another user and groups."""

    identity: dict[str, Any]
    bounding: int
    permitted: int
    no_new_privs: bool

    @property
    def is_nothing(self) -> bool:
        return not (self.identity or self.bounding or self.permitted or self.no_new_privs)

    def carry_out(self) -> None:
        """On the thread that starts the program, and nothing else."""
        from . import credentials

        forbids = self.no_new_privs
        try:
            credentials.drop_from_bounding(self.bounding)
        except PermissionError:
            forbids = True  # then it gets no capability at all by starting programs
        with suppress(OSError):  # of kernels before 4.3
            credentials.clear_ambient()
        if "user" in self.identity:
            with suppress(OSError):  # a container's filter may forbid it
                credentials.leave_keys()
        if forbids:
            credentials.forbid_new_privileges()
        if self.permitted:
            sets = (each & ~self.permitted for each in credentials.capabilities())
            effective, permitted, inheritable = sets
            credentials.set_capabilities((effective, permitted, inheritable))


def _plan(us: proc.Status, them: proc.Status) -> _Plan | None:
    """None where it is another user's, and we can't become that."""
    uid, gid = them.uids[1], them.gids[1]
    is_other = uid != us.uids[1]
    may_change = us.effective & (_SETUID | _SETGID) == _SETUID | _SETGID
    if is_other and not may_change:
        return None
    identity: dict[str, Any] = {}
    if is_other:
        identity["user"] = uid
    if may_change and (is_other or gid != us.gids[1] or set(them.groups) != set(us.groups)):
        identity |= {"group": gid, "extra_groups": list(them.groups)}
    return _Plan(
        identity,
        # Root gets by starting a program what the bounding set leaves.
        us.bounding & ~(them.permitted if them.no_new_privs else them.bounding),
        # A change of user needs ours, and takes them away: from root's by the kernel's rules,
        # from others' when the program is started.
        0 if identity else us.permitted & ~them.permitted,
        them.no_new_privs and not us.no_new_privs,
    )
