"""What /proc tells about one process.

Runs in the launcher and the command line. Thin readers, each for one file of
proc(5), each quick enough to be called for every process of the machine.
Rule: no opinion about what is read. OSError passes through as it comes:
FileNotFoundError and ProcessLookupError mean that the process is gone,
PermissionError that this file is not for us.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache

from ..records import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
GONE = (FileNotFoundError, ProcessLookupError)

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_CAP_SYS_PTRACE = 19  # include/uapi/linux/capability.h


def read(pid: int | str, name: str) -> bytes:
    """The whole of /proc/PID/`name`; `pid` may be "self"."""
    with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
        return file.readall()


def lines(pid: int | str, name: str) -> list[str]:
    """The lines of /proc/PID/`name`. Names in it may hold what else ends a line, but no newline."""
    return read(pid, name).decode(errors="replace").rstrip("\n").split("\n")


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that are used; `start_time` in clock ticks after boot."""

    name: str
    state: str
    parent: int
    flags: int
    start_time: int

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & _PF_KTHREAD)

    @property
    def uptime(self) -> float:
        return seconds_since(self.start_time)


def seconds_since(start_time: int) -> float:
    """Seconds from a moment in clock ticks after boot until now."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start_time / TICKS_PER_SECOND


def started_at(start_time: int) -> float:
    """The moment of the epoch, in seconds, that is `start_time` clock ticks after boot.

    Always the same of one process, whatever is done to the clock; another Python process that was
    asked before the clock was set tells another. Raises OSError.
    """
    return round(_boot_time() + start_time / TICKS_PER_SECOND, 2)


@cache
def _boot_time() -> int:
    """The moment of the epoch at which the system was booted, from /proc/stat (proc(5))."""
    with open("/proc/stat", "rb") as file:
        for line in file:
            if line.startswith(b"btime "):
                return int(line.split()[1])
    raise OSError("/proc/stat does not tell when the system was booted")


def stat(pid: int) -> Stat:
    data = read(pid, "stat").decode(errors="replace")
    rest = _behind_name(data)
    return Stat(
        name=data[data.index("(") + 1 : data.rindex(")")],
        state=rest[0],
        parent=int(rest[1]),
        flags=int(rest[6]),
        start_time=int(rest[19]),
    )


def _behind_name(stat: str) -> list[str]:
    """The fields from the third on: before it stands the name in brackets, which may itself hold
    brackets and spaces.
    """
    return stat[stat.rindex(")") + 2 :].split()


class Usage(NamedTuple):
    """What a process has used. `processor`: seconds of all its threads, the system's part
    included. `memory`: bytes of its resident set. `start_time`: in clock ticks after boot.
    """

    processor: float
    memory: int
    threads: int
    start_time: int


def usage(pid: int) -> Usage:
    """From /proc/PID/stat. Raises OSError, ValueError."""
    data = read(pid, "stat").decode(errors="replace")
    rest = _behind_name(data)
    ticks = int(rest[11]) + int(rest[12])
    return Usage(ticks / TICKS_PER_SECOND, int(rest[21]) * _PAGE, int(rest[17]), int(rest[19]))


class Status(NamedTuple):
    """The fields of /proc/PID/status that are used.

    `uids` and `gids`: real, effective, saved, file system. `inner_pids`: the
    process's number in each pid namespace from ours inwards. `permitted`, `effective` and
    `bounding`: sets of capabilities. `filters`: how many of seccomp's, 0 where older kernels
    don't tell. `no_new_privs`: no program that it starts has more rights than it.
    """

    group: int
    tracer: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    inner_pids: tuple[int, ...]
    permitted: int
    effective: int
    seccomp: int
    groups: tuple[int, ...]
    bounding: int
    filters: int
    no_new_privs: bool

    @property
    def may_trace(self) -> bool:
        """Whether CAP_SYS_PTRACE is in effect (in the process's own user namespace)."""
        return bool(self.effective >> _CAP_SYS_PTRACE & 1)


def status(pid: int | str) -> Status:
    fields = dict(line.split(":", 1) for line in lines(pid, "status") if ":" in line)
    return Status(
        group=int(fields["Tgid"]),
        tracer=int(fields["TracerPid"]),
        uids=tuple(map(int, fields["Uid"].split())),
        gids=tuple(map(int, fields["Gid"].split())),
        inner_pids=tuple(map(int, fields.get("NSpid", fields["Tgid"]).split())),
        permitted=int(fields["CapPrm"], 16),
        effective=int(fields["CapEff"], 16),
        seccomp=int(fields.get("Seccomp", "0")),
        groups=tuple(map(int, fields["Groups"].split())),
        bounding=int(fields["CapBnd"], 16),
        filters=int(fields.get("Seccomp_filters", "0")),
        no_new_privs=fields.get("NoNewPrivs", "0").strip() == "1",
    )


def outer_thread(pid: int, inner: int) -> int | None:
    """Our number of the thread that has the number `inner` in its own pid namespace.

    None where it has no such thread: the number comes from its memory, which it may have
    filled with those of others.
    """
    threads = map(int, os.listdir(f"/proc/{pid}/task"))
    if not status(pid).inner_pids[1:]:
        return inner if inner in threads else None
    first = sorted(threads, key=lambda thread: thread != pid)  # the one that is asked for most
    return next((thread for thread in first if inner_thread(pid, thread) == inner), None)


def inner_thread(pid: int, thread: int) -> int:
    """The number that a thread, of which we know ours, has in its own pid namespace."""
    try:
        return status(f"{pid}/task/{thread}").inner_pids[-1]
    except OSError:
        return thread


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments that it was started with, or what it has put in their place."""
    data = read(pid, "cmdline")
    if not data:
        return ()
    return tuple(part.decode(errors="replace") for part in data.rstrip(b"\0").split(b"\0"))


def own_environment() -> dict[bytes, bytes]:
    """The environment that we were started with; Python may have changed ours since (PEP 538)."""
    pairs = (pair.split(b"=", 1) for pair in read("self", "environ").split(b"\0"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0]}


def link(pid: int, name: str) -> str | None:
    """Where /proc/PID/`name` points, or None if we may not know."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return None


def namespace(pid: int | str, kind: str) -> tuple[int, int] | None:
    """What tells one namespace of `kind` ("mnt", "pid") from another; None if we may not know."""
    try:
        found = os.stat(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def pids() -> list[int]:
    """All processes that /proc shows, kernel threads included, in no order."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def stats(pids: Iterable[int]) -> Iterator[tuple[int, Stat]]:
    """What `stat` says of each of these that has not ended by the time it is asked for."""
    for pid in pids:
        with suppress(OSError):
            yield pid, stat(pid)


def children(pid: int) -> list[int]:
    """The children of all of its threads; empty where the kernel does not list them, and where it
    has ended: then they are another's.
    """
    found: list[int] = []
    for thread in _threads(pid):
        try:
            found += map(int, read(pid, f"task/{thread}/children").split())
        except OSError:
            continue  # the end of one thread; the others may have children
    return found


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def ancestors(pid: int) -> Iterator[int]:
    """Its parent, that one's parent and so on, as far as they can be seen."""
    while pid > 1:
        try:
            pid = stat(pid).parent
        except OSError:
            return
        if pid > 0:
            yield pid


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
