"""Processes to attach to: one by its pid, all of them, the one that fits a text.

Runs in the launcher and the command line. A process is known by its pid and the
moment of its start, so that a pid that the system has given to another process
is never taken for the first.
Rule: looks at /proc alone, on Linux alone; nothing here changes a process.
"""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import suppress
from pathlib import Path

from ..errors import AttachNotPermitted, NoTarget, NotAttachable, NotPython, TargetNotFound
from ..records import NamedTuple
from . import proc, realm
from .permission import YAMA
from .runtime import PythonVersion
from .verdicts import Subject, examine, gone, same_build, same_bytecode, span, title


class Process(NamedTuple):
    """A process as it was when looked at; `pid` and `start_time` say which one.

    `start_time`: in clock ticks after boot. `uid` and `gid`: the effective
    ones. `exe` and `cwd`: empty where we may not know. `python`: None if it is
    not Python, or does not say which. `is_findable`: CPython's own search would
    find it in there. `has_other_files`: a path means another
    file to it than to us (another mount namespace, another root directory).
    """

    pid: int
    start_time: int
    parent: int
    name: str
    cmdline: tuple[str, ...]
    exe: str
    cwd: str
    uid: int
    gid: int
    username: str
    state: str
    implementation: str | None = None
    python: PythonVersion | None = None
    free_threaded: bool = False
    is_findable: bool = True
    has_other_files: bool = False

    @property
    def title(self) -> str:
        """Its command line on one short line."""
        return title(self.cmdline, self.name)

    @property
    def uptime(self) -> float:
        """Seconds since it started, up to now."""
        return proc.seconds_since(self.start_time)

    @property
    def version(self) -> tuple[int, int]:
        """(3, 14), say; (0, 0) if it does not say. Known for every attachable process."""
        return self.python[:2] if self.python else (0, 0)

    @property
    def runs_our_build(self) -> bool:
        """Whether `sys.remote_exec` and `_remote_debugging` of this process work on it.

        They look up its libraries by path, so it must also see our files.
        """
        is_seen = self.is_findable and not self.has_other_files
        return is_seen and same_build(self.python, self.free_threaded)

    @property
    def runs_our_bytecode(self) -> bool:
        """Whether what this process has compiled is good for it."""
        return same_bytecode(self.python)

    @property
    def version_text(self) -> str:
        """As a table shows it: "3.14.8", "3.14.8t", "PyPy 3.10"; empty if not Python."""
        if self.implementation is None:
            return ""
        text = f"{self.python or '?'}{'t' if self.free_threaded else ''}"
        return text if self.implementation == "CPython" else f"{self.implementation} {text}"

    def as_json(self) -> dict[str, object]:
        """Plain values, for `json.dumps`."""
        version = str(self.python) if self.python else None
        return {**self._asdict(), "python": version, "uptime": round(self.uptime, 1)}

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.title})"


class Candidate(NamedTuple):
    """A process with its verdict: `error` is None if it can be attached to."""

    process: Process
    error: NotAttachable | None

    @property
    def attachable(self) -> bool:
        return self.error is None

    @property
    def reason(self) -> str:
        """The verdict without the name of the process; empty if attachable."""
        return str(self.error).removeprefix(f"{self.process} ") if self.error else ""

    def as_json(self) -> dict[str, object]:
        """Plain values, for `json.dumps`: those of the process and its verdict."""
        error = self.error
        return {
            **self.process.as_json(),
            "attachable": self.attachable,
            "kind": error.kind if error else None,
            "reason": self.reason,
            "remedy": error.remedy if error else "",
        }


def identify(pid: int, *, yama: Path = YAMA) -> Process:
    """The process with this pid, which can be attached to.

    Raises the subclass of NotAttachable that says why it can't be; see
    `verdicts`. `yama`: where to read kernel.yama.ptrace_scope.
    """
    _require_linux(pid)
    subject = Subject(pid, yama)
    error = examine(subject)
    if error is not None:
        raise error
    try:
        return _process(subject)
    except proc.GONE:
        raise gone(pid) from None


def judged(pid: int) -> Candidate:
    """This process, whatever it is, with its verdict. Raises TargetNotFound, or
    AttachNotPermitted where /proc hides it.
    """
    _require_linux(pid)
    subject = Subject(pid)
    try:
        return Candidate(_process(subject), examine(subject))
    except proc.GONE:
        raise gone(pid) from None


def found_again(pid: int, start_time: int) -> Process:
    """The process with this pid that began then, whether or not it can be attached to now.

    Raises TargetNotFound, or OSError where we may not look.
    """
    process = _process(Subject(pid))
    if process.start_time != start_time:
        raise gone(pid)
    return process


def still(process: Process) -> None:
    """Raises TargetNotFound unless `process` is still there, and still itself."""
    try:
        now = proc.stat(process.pid)
    except OSError:
        raise TargetNotFound(process.pid, f"{process} has ended") from None
    if now.start_time != process.start_time:
        raise _reused(process, now)
    if now.state in "ZX":
        raise TargetNotFound(process.pid, f"{process} has ended")


def _reused(process: Process, now: proc.Stat) -> TargetNotFound:
    try:
        other = title(proc.command_line(process.pid), now.name)
    except OSError:
        other = now.name
    return TargetNotFound(
        process.pid,
        f"pid {process.pid} is another process now: {other}, started {span(now.uptime)} ago; "
        f"{process.title} has ended",
        "`live-kernel ps` lists the Python processes that are there now.",
    )


def candidates(all: bool = False) -> list[Candidate]:  # noqa: A002 - as in `ps --all`
    """The Python processes of this machine with their verdicts.

    First those that can be attached to, then the others, each group with the
    latest started first. `all` adds what is not Python, and what nobody means:
    our own ancestors (the shell, the Jupyter server) and other launchers. Never
    ourselves.
    """
    _require_linux(os.getpid())
    skipped = {os.getpid()} if all else {os.getpid(), *proc.ancestors(os.getpid())}
    found = [_candidate(pid, all) for pid in proc.pids() if pid not in skipped]
    return sorted(filter(None, found), key=_order)


def candidate(pid: int) -> Candidate | None:
    """This process, whatever it is, with its verdict; None if it has ended or is hidden."""
    return _candidate(pid, True)


def _order(candidate: Candidate) -> tuple[bool, bool, int]:
    process = candidate.process
    other = isinstance(candidate.error, NotPython) or not (
        process.implementation or _named_like_python(process.cmdline, process.name)
    )
    return not candidate.attachable, other, -process.start_time


def _candidate(pid: int, everything: bool) -> Candidate | None:
    try:
        subject = Subject(pid)
        if not everything and not _of_interest(subject):
            return None
        return Candidate(_process(subject), examine(subject))
    except (NotAttachable, *proc.GONE, PermissionError):
        return None  # ended while we looked, or hidden from us


def _of_interest(subject: Subject) -> bool:
    if subject.stat.kernel_thread or subject.stat.state in "ZX":
        return subject.stat.state in "ZX" and _named_like_python((), subject.stat.name)
    if subject.readable:
        return subject.python is not None and not _is_ours(subject.command)
    return _named_like_python(subject.command, subject.stat.name)


def _named_like_python(command: tuple[str, ...], name: str) -> bool:
    """All that there is to go by where neither executable nor maps can be read."""
    names = [name, os.path.basename(command[0])] if command else [name]
    return any(each.startswith(("python", "pypy")) for each in names)


def _is_ours(command: tuple[str, ...]) -> bool:
    """Whether it is a launcher, or another command of live-kernel."""
    pairs = itertools.pairwise(command)
    return ("-m", "live_kernel") in pairs or any(
        os.path.basename(part) == "live-kernel" for part in command[:3]
    )


def alike(process: Process) -> list[int]:
    """The processes with its command line and user that have started since, the latest first."""
    found = []
    for pid in proc.pids():
        with suppress(OSError):
            if pid != process.pid and proc.command_line(pid) == process.cmdline:
                stat = proc.stat(pid)
                is_its = proc.status(pid).uids[1] == process.uid and stat.state not in "ZX"
                if is_its and stat.start_time >= process.start_time:
                    found.append((stat.start_time, pid))
    return [pid for _, pid in sorted(found, reverse=True)]


def now(process: Process) -> Process:
    """The same process as it is by now: it may have changed its user, or its root directory.

    Raises TargetNotFound.
    """
    still(process)
    try:
        status, where = proc.status(process.pid), realm.of(process.pid)
        cwd = proc.link(process.pid, "cwd") or ""
    except OSError:
        raise TargetNotFound(process.pid, f"{process} has ended") from None
    return process._replace(
        uid=status.uids[1],
        gid=status.gids[1],
        username=proc.user_name(status.uids[1]),
        cwd=cwd,
        has_other_files=where.has_other_files,
    )


def matching(text: str) -> Process:
    """The attachable process whose command line contains `text`.

    Raises NoTarget, with the processes in question in its message, if none or
    several fit. Front-ends that merely carry the text on to a kernel
    (`jupyter console … -- --match TEXT`) are left out.
    """
    listed = [c for c in candidates() if not _carries(c.process.cmdline)]
    fits = [c for c in listed if text in " ".join(c.process.cmdline)]
    good = [c for c in fits if c.attachable]
    if len(good) == 1:
        return good[0].process
    raise _no_single(text, good, fits, [c for c in listed if c.attachable])


def _carries(command: tuple[str, ...]) -> bool:
    return any(part == "--match" or part.startswith("--match=") for part in command)


def _no_single(
    text: str, good: list[Candidate], fits: list[Candidate], others: list[Candidate]
) -> NoTarget:
    if good:
        message = f"{text!r} is in the command lines of {len(good)} processes:\n{table(good)}"
        return NoTarget(message, "Give a longer text that fits one alone, or a pid.")
    if fits:
        message = f"{text!r} fits no process that can be attached to:\n{table(fits)}"
        return NoTarget(message, fits[0].error.remedy if fits[0].error else None)
    there = f"; there are:\n{table(others)}" if others else ", and there is no other"
    message = f"no attachable process has {text!r} in its command line{there}"
    return NoTarget(message, "Start the program with CPython 3.14 or newer, or give a pid.")


def table(listed: list[Candidate], limit: int = 10) -> str:
    """Lines of plain text: pid, version, command line, verdict."""
    lines = [_row(candidate) for candidate in listed[:limit]]
    if len(listed) > limit:
        lines.append(f"  and {len(listed) - limit} more")
    return "\n".join(lines)


def _row(candidate: Candidate) -> str:
    process = candidate.process
    row = f"  {process.pid:>7}  {process.version_text:<8} {process.title}"
    return f"{row}: {candidate.reason}" if candidate.reason else row


def _process(subject: Subject) -> Process:
    found = subject.python if subject.readable else None
    stat, status = subject.stat, subject.status
    return Process(
        pid=subject.pid,
        start_time=stat.start_time,
        parent=stat.parent,
        name=stat.name,
        cmdline=subject.command,
        exe=subject.executable or "",
        cwd=proc.link(subject.pid, "cwd") or "",
        uid=status.uids[1],
        gid=status.gids[1],
        username=proc.user_name(status.uids[1]),
        state=stat.state,
        implementation=found.implementation if found else None,
        python=found.version if found else None,
        free_threaded=found.free_threaded if found else False,
        is_findable=found.findable if found else True,
        has_other_files=subject.realm.has_other_files,
    )


def _require_linux(pid: int) -> None:
    if not sys.platform.startswith("linux"):
        raise AttachNotPermitted(
            pid,
            f"live-kernel attaches to processes on Linux only, as yet; this is {sys.platform}",
            "Run the kernel on the Linux machine or in the container where the program runs.",
        )
