"""Everything that could stand in the way of an attach, told one by one.

Runs in the command line. On our own side: the system, its rules, what this
Python can do, the directory for sockets, the kernelspec, the extension of
Jupyter Server. For a process: the checks of `verdicts`, in their order.
Rule: a finding that is not `ok` says what to do; nothing is changed, nothing
raises.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import NotAttachable
from ..records import NamedTuple
from . import landing, permission, proc, verdicts

_KERNEL = "live-attach"
_EXTENSION = "live_kernel.server"
_LONGEST_NAME = len("/live-kernel-xxxxxxxx/link")


class Finding(NamedTuple):
    """`ok` None: neither good nor bad, or not looked at. `remedy`: empty where none is needed."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, object]:
        return self._asdict()


def doctor(pid: int | None = None, *, yama: Path = permission.YAMA) -> list[Finding]:
    """Findings on our own side and, with `pid`, on that process. Never raises."""
    if not sys.platform.startswith("linux"):
        return [Finding("system", False, sys.platform, "live-kernel attaches on Linux only.")]
    own = [_guarded(name, look) for name, look in _own_side(yama)]
    return own if pid is None else [*own, *_of_process(pid, yama)]


def _own_side(yama: Path) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "system", _system
    yield "this Python", _python
    yield "sys.remote_exec", _remote_exec
    yield "capabilities", _capabilities
    yield "ptrace_scope", lambda: _ptrace_scope(yama)
    yield "seccomp", _seccomp
    yield "/proc", _proc_is_ours
    yield "directory", _directory
    yield "kernelspec", _kernelspec
    yield "Jupyter Server", _server


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # an odd system must not cost the other findings
        return Finding(name, None, f"can't be told: {error}")


def _system() -> Finding:
    return Finding("system", True, f"Linux {platform.release()} on {platform.machine()}")


def _python() -> Finding:
    good = sys.version_info >= (3, 12)
    detail = f"{platform.python_implementation()} {sys.version.split()[0]} ({sys.executable})"
    return Finding("this Python", good, detail, "" if good else "Install under 3.12 or newer.")


def _remote_exec() -> Finding:
    name, other = "sys.remote_exec", "the target's own interpreter makes the call"
    others = f"for others, {other}; in containers, its memory is written"
    if not hasattr(sys, "remote_exec"):
        return Finding(name, True, f"not in {sys.version.split()[0]}: {other}")
    if not sys.is_remote_debug_enabled():
        return Finding(
            name,
            False,
            "switched off in this process",
            "Start it without -X disable-remote-debug and PYTHON_DISABLE_REMOTE_DEBUG.",
        )
    major, minor = sys.version_info[:2]
    return Finding(name, True, f"for targets of {major}.{minor}; {others}")


def _capabilities() -> Finding:
    status = proc.status("self")
    user = proc.user_name(status.uids[1])
    if status.may_trace:
        return Finding("capabilities", True, f"{user}, with CAP_SYS_PTRACE: processes of any user")
    detail = f"{user}, without CAP_SYS_PTRACE: own processes only"
    if status.uids[1] != 0:
        return Finding("capabilities", None, detail)
    return Finding("capabilities", None, detail, "In a container: --cap-add=SYS_PTRACE.")


def _ptrace_scope(yama: Path) -> Finding:
    scope = permission.ptrace_scope(yama)
    if not yama.exists():
        return Finding("ptrace_scope", True, "this kernel has no Yama: the classic rules")
    if scope == 0 or (scope < 3 and proc.status("self").may_trace):
        return Finding("ptrace_scope", True, f"{scope}, which does not stand in our way")
    what, remedy = permission.by_yama(scope)
    return Finding("ptrace_scope", False, what.removeprefix("can't be attached to: "), remedy)


def _seccomp() -> Finding:
    mode = proc.status("self").seccomp
    call = permission.filtered()
    if call:
        remedy = "Run the kernel outside the sandbox, or allow the call in its seccomp profile."
        return Finding("seccomp", False, f"a filter forbids us {call}", remedy)
    detail = "a filter that allows what is needed" if mode else "no filter"
    return Finding("seccomp", True, detail)


def _proc_is_ours() -> Finding:
    seen = os.readlink("/proc/self")
    if int(seen) == os.getpid():
        return Finding("/proc", True, "of our own pid namespace")
    return Finding(
        "/proc",
        False,
        f"of another pid namespace: we are {os.getpid()} to ourselves and {seen} there",
        "Mount a /proc of this namespace (unshare --mount-proc).",
    )


def _directory() -> Finding:
    try:
        path = landing.runtime_directory(os.geteuid())
    except OSError as error:
        return Finding("directory", False, str(error), "Set TMPDIR to a directory of your own.")
    longest = len(os.fsencode(path)) + _LONGEST_NAME
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding("directory", False, f"{path} can't be written", "Set TMPDIR to one.")
    if longest > landing.LONGEST_SOCKET_PATH:
        return Finding(
            "directory",
            False,
            f"{path}: socket paths in it would have {longest} bytes, "
            f"{landing.LONGEST_SOCKET_PATH} are allowed",
            "Set TMPDIR to a shorter path.",
        )
    info = os.stat(path)
    owner, mode = proc.user_name(info.st_uid), info.st_mode & 0o7777
    return Finding("directory", True, f"{path}, of {owner}, mode {mode:04o}; sockets {longest} B")


def _kernelspec() -> Finding:
    from jupyter_core.paths import jupyter_path

    places = [Path(each, _KERNEL, "kernel.json") for each in jupyter_path("kernels")]
    found = next((each for each in places if each.is_file()), None)
    if found is None:
        return Finding("kernelspec", False, f"no {_KERNEL!r} is installed", _INSTALL)
    program = str(json.loads(found.read_text())["argv"][0])
    # Jupyter itself puts its own interpreter in the place of these names.
    if program not in ("python", "python3") and shutil.which(program) is None:
        return Finding("kernelspec", False, f"{found} starts {program}, which is gone", _INSTALL)
    return Finding("kernelspec", True, str(found.parent))


_INSTALL = "live-kernel install --user (or --sys-prefix)"


def _server() -> Finding:
    """Does the Jupyter Server of this environment list programs? It need not."""
    name = "Jupyter Server"
    try:
        from jupyter_core.paths import jupyter_config_path
        from jupyter_server.extension.config import ExtensionConfigManager
    except ImportError:
        remedy = "To have it list programs: pip install live-kernel in its environment."
        return Finding(name, None, "not in this environment", remedy)
    places = [str(Path(each)) for each in jupyter_config_path()]
    manager: Any = ExtensionConfigManager(read_config_path=places)
    if manager.enabled(_EXTENSION):
        return Finding(name, True, f"lists programs ({_EXTENSION} is switched on)")
    remedy = "To have it list programs: live-kernel install --sys-prefix"
    return Finding(name, None, f"{_EXTENSION} is not switched on", remedy)


def _of_process(pid: int, yama: Path) -> Iterator[Finding]:
    """One finding for each check; those after the first that fails are not looked at."""
    try:
        subject = verdicts.Subject(pid, yama)
    except NotAttachable as error:
        yield Finding(verdicts.CHECKS[0].name, False, str(error), error.remedy)
        return
    failed = False
    for check in verdicts.CHECKS:
        finding = Finding(check.name, None, "not looked at") if failed else _run(check, subject)
        failed = failed or finding.ok is False
        yield finding


def _run(check: verdicts.Check, subject: verdicts.Subject) -> Finding:
    try:
        return Finding(check.name, True, check.run(subject))
    except proc.GONE:
        error: NotAttachable = verdicts.gone(subject.pid)
    except NotAttachable as refusal:
        error = refusal
    return Finding(check.name, False, str(error), error.remedy)
