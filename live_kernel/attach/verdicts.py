"""The checks that decide whether a process can be attached to.

Runs in the launcher and the command line. One table, in the order in which the
reasons tell most: what can't be helped before what can (a Python that is too
old before a missing right), and what must be known before what builds on it.
Rule: a check either says in a few words what it found, or raises the error that
tells why not and what to do; it changes nothing and is quick (well below 1 ms).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from ..errors import (
    AttachNotPermitted,
    DebuggingDisabled,
    NotAttachable,
    NotPython,
    PythonMismatch,
    TargetNotFound,
    TargetStopped,
    TargetZombie,
)
from ..plain import on_one_line
from ..records import NamedTuple
from . import grounds, landing, permission, proc, realm, runtime
from .runtime import PythonVersion, Runtime

SERVED = ((3, 14), (3, 15))
"""The minor versions of CPython that can be attached to."""
_NUMBERS = [f"{major}.{minor}" for major, minor in SERVED]
_ANY, _ALL = " or ".join(_NUMBERS), " and ".join(_NUMBERS)

_LIST = "`live-kernel ps` lists the Python processes that are there now."


class Subject:
    """One process under examination; each fact is read once, when first asked for."""

    def __init__(self, pid: int, yama: Path = permission.YAMA) -> None:
        """Raises TargetNotFound, or AttachNotPermitted where /proc hides the process."""
        self.pid = pid
        self.yama = yama
        self.stat = _stat(pid)

    @cached_property
    def status(self) -> proc.Status:
        return proc.status(self.pid)

    @cached_property
    def command(self) -> tuple[str, ...]:
        return proc.command_line(self.pid)

    @cached_property
    def executable(self) -> str | None:
        return proc.link(self.pid, "exe")

    @cached_property
    def python(self) -> Runtime | None:
        """Raises PermissionError where its maps are not for us to read."""
        return runtime.find(self.pid)

    @cached_property
    def realm(self) -> realm.Realm:
        return realm.of(self.pid)

    @property
    def readable(self) -> bool:
        """Whether we may know if it is Python."""
        try:
            return bool(self.python) or True
        except PermissionError:
            return False

    @cached_property
    def who(self) -> str:
        """How messages call it: "pid 4242 (python worker.py)"."""
        return f"pid {self.pid} ({title(self.command, self.stat.name)})"


def title(command: tuple[str, ...], name: str, width: int = 60) -> str:
    """A command line on one short line; `name` stands in where there is none.

    Directories are the first to go where it is too long; code behind `-c` is no path.
    """
    program, *arguments = command or (name,)
    text = _line([os.path.basename(program) if command else name, *arguments])
    if len(text) > width:
        text = _line(part if " " in part else os.path.basename(part) or part for part in command)
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(words: Iterable[str]) -> str:
    """On one line, and without anything that a terminal would obey."""
    return on_one_line(" ".join(" ".join(words).split()))


def examine(subject: Subject) -> NotAttachable | None:
    """The first reason why the process can't be attached to, or None."""
    try:
        for check in CHECKS:
            check.run(subject)
        if proc.stat(subject.pid).start_time != subject.stat.start_time:
            return gone(subject.pid)
    except NotAttachable as error:
        return gone(subject.pid) if _has_ended_since(subject) else error
    except proc.GONE:
        return gone(subject.pid)
    return None


def _has_ended_since(subject: Subject) -> bool:
    """Has it ended while we looked? Then what was seen of it means nothing."""
    try:
        now = proc.stat(subject.pid)
    except proc.GONE:
        return True
    was = subject.stat
    return now.start_time != was.start_time or (now.state in "ZX" and was.state not in "ZX")


def gone(pid: int) -> TargetNotFound:
    return TargetNotFound(pid, f"no process has pid {pid}: it has ended, or never was", _LIST)


def _stat(pid: int) -> proc.Stat:
    try:
        return proc.stat(pid)
    except PermissionError:
        raise _hidden(pid) from None
    except proc.GONE:
        raise (_hidden(pid) if _there(pid) else gone(pid)) from None


def _there(pid: int) -> bool:
    """Whether a process has this pid although /proc doesn't show it."""
    try:
        os.kill(pid, 0) if pid > 0 else None
    except PermissionError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def _hidden(pid: int) -> AttachNotPermitted:
    return AttachNotPermitted(
        pid,
        f"pid {pid} belongs to another user (/proc is mounted with hidepid and shows no more)",
        "Run the kernel as that user or as root.",
    )


# -- the checks, in their order


def _is_process(subject: Subject) -> str:
    leader = subject.status.group
    if leader != subject.pid:
        raise TargetNotFound(
            subject.pid, f"{subject.pid} is a thread of process {leader}", f"Attach to {leader}."
        )
    if subject.pid == os.getpid():
        raise NotAttachable(subject.pid, f"{subject.who} is this kernel itself", _LIST)
    return f"{title(subject.command, subject.stat.name)}, up {span(subject.stat.uptime)}"


def _is_alive(subject: Subject) -> str:
    if subject.stat.state not in "ZX":
        return "alive"
    parent = subject.stat.parent
    raise TargetZombie(
        subject.pid,
        f"{subject.who} is a zombie: it has ended, and its parent, pid {parent} "
        f"({_name_of(parent)}), has not noticed yet",
        "Nothing runs in it any more. Start the program again.",
    )


def _is_python(subject: Subject) -> str:
    try:
        found = subject.python
    except PermissionError:
        raise permission.why_denied(subject.pid, subject.who, False, subject.yama) from None
    if found is None:
        raise NotPython(subject.pid, *_not_python(subject))
    return f"{found.name} in {found.path}"


def _not_python(subject: Subject) -> tuple[str, str]:
    if subject.stat.kernel_thread:
        return f"{subject.who} is a thread of the Linux kernel", _LIST
    what = subject.executable or "a program that can't be seen"
    return f"{subject.who} is not Python: it runs {what}", _python_child(subject.pid) or _LIST


def _python_child(pid: int) -> str | None:
    """A remedy for those who name the shell, sudo or uv that started the program."""
    for child in proc.children(pid):
        try:
            found = runtime.find(child)
            if found is not None:
                return f"Attach to its child {child} ({_name_of(child)}), which runs {found.name}."
        except OSError:
            continue
    return None


def _is_served(subject: Subject) -> str:
    found = _runtime(subject)
    reason = _not_served(found)
    if reason:
        what, remedy = reason
        raise PythonMismatch(subject.pid, f"{subject.who} runs {what}", remedy)
    return str(found.version)


def _not_served(found: Runtime) -> tuple[str, str] | None:
    """What it runs instead and the remedy, or None if all is well."""
    version = found.version
    again = f"Run the program with CPython {_ANY}"
    if found.implementation != "CPython":
        return f"{found.name}, which has no way in (PEP 768 is CPython's)", f"{again}."
    if version is None or version < SERVED[0]:
        return (
            f"{found.name}; only {_ALL} can be attached to",
            f"{again}: earlier versions have no way in (PEP 768).",
        )
    if version[:2] not in SERVED:
        return (
            f"{found.name}; this live-kernel knows {_ALL}",
            f"Look for a newer live-kernel (pip install -U live-kernel). {again}.",
        )
    return _not_as_released(found, version)


def _not_as_released(found: Runtime, version: PythonVersion) -> tuple[str, str] | None:
    if version.level and version.level != "rc":
        return (
            f"{found.name}, a pre-release that differs inside from {version.major}.{version.minor}",
            f"Run the program with a release of {version.major}.{version.minor}.",
        )
    if found.address is None:
        return (
            f"{found.name}, but {found.path} can't be read (replaced since it was started, "
            "or stripped of its section headers)",
            "Start the program again.",
        )
    if found.layout is None:
        return (
            f"{found.name}, of a build with another layout than CPython's own",
            f"Run the program with an unchanged CPython {_ANY}.",
        )
    return None


def same_build(version: PythonVersion | None, free_threaded: bool) -> bool:
    """Whether our own `sys.remote_exec` can enter such a Python.

    It refuses another minor version, another kind of build as to the GIL, and
    any other pre-release (Modules/_remote_debugging, ValidateDebugOffsets).
    """
    if version is None or not hasattr(sys, "remote_exec"):
        return False
    if free_threaded != ("t" in sys.abiflags):
        return False
    ours = PythonVersion.from_hex(sys.hexversion)
    if ours.level or version.level:
        return ours == version
    return ours[:2] == version[:2]


def same_bytecode(version: PythonVersion | None) -> bool:
    """Whether such a Python runs what ours compiles; pre-releases may differ even in that."""
    ours = PythonVersion.from_hex(sys.hexversion)
    if version is None or ours.level or version.level:
        return ours == version
    return ours[:2] == version[:2]


def _can_be_met(subject: Subject) -> str:
    """Is there a directory that both of us see?"""
    where = subject.realm
    if proc.namespace(subject.pid, "mnt") is None:
        return "not known"
    if not where.has_other_files:
        return "sees the same files"
    try:
        with grounds.of(subject.pid, subject.status.uids[1]) as found:
            places = [str(ground.path) for ground in found]
    except OSError:
        return "sees other files; more is not for us to know"  # nor will its memory be
    if not places:
        raise landing.no_ground(subject.pid, subject.who)
    why = f"its root directory is {where.root}" if where.root not in ("", "/") else _OTHER_MOUNTS
    return f"sees other files ({why}); can be met in its {places[0]}"


_OTHER_MOUNTS = "another mount namespace: a container, a sandboxed service"


def _has_a_number(subject: Subject) -> str:
    if proc.namespace(subject.pid, "pid") is None:
        return "not known"
    if not subject.realm.pids:
        return "counts pids as this kernel does"
    return f"in another pid namespace, where its pid is {subject.status.inner_pids[-1]}"


def _is_permitted(subject: Subject) -> str:
    try:
        with permission.memory(subject.pid):
            call = permission.filtered()
    except PermissionError:
        raise permission.why_denied(subject.pid, subject.who, True, subject.yama) from None
    if call:
        raise permission.why_filtered(subject.pid, subject.who, call)
    permission.check_hands_over(subject.pid, subject.who)
    by = ", by its supervisor (live-kernel run)" if permission.is_lent(subject.pid) else ""
    return f"its memory can be opened{by}"


def _is_enabled(subject: Subject) -> str:
    found = _runtime(subject)
    try:
        with permission.memory(subject.pid) as read:
            enabled = runtime.remote_debugging(found, read)
    except OSError as error:
        # EIO and EFAULT: it is just starting, ending, or becoming another program.
        return f"not known ({error.strerror or error})"
    if enabled is False:
        how, remedy = _how_disabled(subject)
        what = f"{subject.who} was started with remote debugging switched off ({how})"
        raise DebuggingDisabled(subject.pid, what, remedy)
    return "accepts scripts" if enabled else "not known yet"


def _how_disabled(subject: Subject) -> tuple[str, str]:
    options = " ".join(subject.command)
    if "disable-remote-debug" in options:
        return "-X disable-remote-debug", "Start it again without that option."
    if "PYTHON_DISABLE_REMOTE_DEBUG" in _environment(subject.pid):
        return (
            "PYTHON_DISABLE_REMOTE_DEBUG in its environment",
            "Start it again without that variable.",
        )
    return (
        "by the program that embeds it, or its Python was built --without-remote-debug",
        "Run the program with another build of CPython.",
    )


def _environment(pid: int) -> set[str]:
    """The names of the variables that it was started with."""
    try:
        data = proc.read(pid, "environ")
    except OSError:
        return set()
    return {part.split(b"=", 1)[0].decode(errors="replace") for part in data.split(b"\0")}


def _is_running(subject: Subject) -> str:
    state = _lasting_state(subject)
    if state == "T":
        raise TargetStopped(
            subject.pid,
            f"{subject.who} is stopped (SIGSTOP, or Ctrl-Z in its terminal): nothing in it runs",
            f"Let it go on: kill -CONT {subject.pid}, or fg in its terminal.",
        )
    if state == "t":
        tracer = proc.status(subject.pid).tracer
        by = f"pid {tracer} ({_name_of(tracer)})" if tracer else "a debugger"
        raise TargetStopped(
            subject.pid,
            f"{subject.who} is held by {by}, which traces it: nothing in it runs",
            f"Let it go on, or detach, in {by}.",
        )
    return "not stopped"


def _lasting_state(subject: Subject) -> str:
    """Its state; a tracer such as strace holds it only for moments, which don't count."""
    state = subject.stat.state
    for _ in range(5):
        if state != "t":
            break
        time.sleep(0.002)
        state = proc.stat(subject.pid).state
    return state


class Check(NamedTuple):
    """`name`: two or three words, for the table of `live-kernel doctor`."""

    name: str
    run: Callable[[Subject], str]


CHECKS = (
    Check("process", _is_process),
    Check("alive", _is_alive),
    Check("Python", _is_python),
    Check("version", _is_served),
    Check("files", _can_be_met),
    Check("pids", _has_a_number),
    Check("permission", _is_permitted),
    Check("remote debugging", _is_enabled),
    Check("running", _is_running),
)


def _runtime(subject: Subject) -> Runtime:
    assert subject.python is not None  # an earlier check saw to it
    return subject.python


def _name_of(pid: int) -> str:
    try:
        return title(proc.command_line(pid), proc.stat(pid).name, width=40)
    except OSError:
        return "gone"


def span(seconds: float) -> str:
    """A duration in its two largest units: "3 d 4 h", "2 min 5 s"."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    rest, parts = int(seconds), []
    for name, size in units:
        if rest >= size:
            parts.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(parts[:2]) or "0 s"
