"""What a program looks like, from inside and from outside, before and after.

Runs in pytest. A `Program` is a target with a witness in it: see
programs/witness. Rule: what may differ after an attach stands here, each with
its reason; whatever else differs is harm.
"""

from __future__ import annotations

import marshal
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from targets import PROGRAMS, Target, eventually

from live_kernel.attach import syscalls

AGENT = re.compile(r"_live_kernel_[0-9a-f]{12}(\..+)?")
"""The modules of the agent, which stay loaded so that the next attach is instant."""

_STATUS = ("Umask", "Uid", "Gid", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed_list", "NoNewPrivs")

Snapshot = dict[str, Any]


class Program(Target):
    """A target whose state is looked at; it must live, and be silent on stderr, to the end.

    `expected_to_end`: it may be gone when the block ends. `expected_errors`: it
    may have written to stderr.
    """

    def __init__(
        self,
        program: str | Path,
        python: str | None = None,
        args: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="lk-", dir="/tmp"))
        self._place.chmod(0o777)  # the target may be another user's
        self._socket = self._place / "witness"
        witness = {"PYTHONPATH": str(PROGRAMS / "witness"), "WITNESS": str(self._socket)}
        super().__init__(program, python, args, witness | dict(env or {}), **options)
        self.expected_to_end = False
        self.expected_errors = False

    def __exit__(self, kind: type[BaseException] | None = None, *rest: object) -> None:
        was_alive = self.alive()
        super().__exit__(kind, *rest)
        shutil.rmtree(self._place)
        if kind is None:
            ended = f"{self} has ended ({self.process.returncode}):\n{self.told()}"
            assert was_alive or self.expected_to_end, ended
            assert self.expected_errors or not self.errors(), self.told()

    def snapshot(self) -> Snapshot:
        """How it is now."""
        return self.from_inside() | self.from_outside()

    def after_leaving(self) -> Snapshot:
        """How it is once the agent's threads, which have been told to end, have done so."""
        proc = Path("/proc") / str(self.pid)
        eventually(
            lambda: not any(n.startswith("live-kernel") for n in _names_of_threads(proc).values()),
            3,
        )
        return self.snapshot()

    def from_inside(self) -> Snapshot:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._socket))
            with connection.makefile("rb") as file:
                told: Snapshot = marshal.loads(file.read())
        assert "witness" not in told, told
        return told

    def from_outside(self) -> Snapshot:
        return outside(self.pid)

    def assert_unharmed_since(self, before: Snapshot, *, interrupted: bool = False) -> None:
        """Nothing has changed but what may. A thread that has been told to end gets its moment."""

        def same() -> bool:
            different = differences(before, self.snapshot(), interrupted)
            assert not different, "\n".join(f"{k}: {v}" for k, v in different.items())
            return True

        eventually(same, 3)


def outside(pid: int) -> Snapshot:
    """What /proc tells of a process."""
    proc = Path("/proc") / str(pid)
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    return {
        "native threads": _names_of_threads(proc),
        "descriptors": _descriptors(proc),
        "status": {name: status[name] for name in _STATUS},
        "directory": str((proc / "cwd").readlink()),
        "children": (proc / "task" / str(pid) / "children").read_text().split(),
        "tracer": status["TracerPid"],
        "limits": (proc / "limits").read_text(),
    }


def _names_of_threads(proc: Path) -> dict[str, str]:
    names = {}
    for task in (proc / "task").iterdir():
        try:
            names[task.name] = (task / "comm").read_text().strip()
        except OSError:
            continue  # it has ended between the two looks
    return names


def _descriptors(proc: Path) -> dict[str, str]:
    links = {}
    for entry in (proc / "fd").iterdir():
        try:
            links[entry.name] = str(entry.readlink())
        except OSError:
            continue
    return links


_OF_A_MODULE = {
    "threading": "threading",
    "Thread": "threading",
    "known threads": "threading",
    "warnings": "warnings",
    "asyncio policy": "asyncio.events",
}
"""What there is to be seen only once a module of the standard library is loaded."""


def differences(before: Snapshot, after: Snapshot, interrupted: bool = False) -> dict[str, Any]:
    """What has changed and must not have.

    `interrupted`: a cell was, so that `_ctypes` is loaded and may keep the library open with
    which it works.
    """
    assert before.keys() == after.keys()
    changed = {key: _difference(before[key], after[key]) for key in before}
    standard = _UNLISTED.union(before["standard library"])
    changed["modules"] = _without_known_modules(changed["modules"], standard)
    for key, module in _OF_A_MODULE.items():
        if module not in before["modules"]:
            changed[key] = None
    if set(before["importer cache"]) <= set(after["importer cache"]):
        changed["importer cache"] = None  # it grows with each place that is searched
    if "logging" not in before["modules"] and "logging" in after["modules"]:
        changed["atexit"] = _difference(before["atexit"] + 1, after["atexit"])  # its own
    if "shiboken6" in before["modules"]:  # which reads the source of whatever is imported
        read = set(after["linecache"]) - set(before["linecache"])
        if set(before["linecache"]) <= set(after["linecache"]) and all(map(_is_of_python, read)):
            changed["linecache"] = None
    if interrupted and _is_of_libffi(changed["descriptors"]):
        changed["descriptors"] = None
    return {key: value for key, value in changed.items() if value}


def _difference(before: Any, after: Any) -> Any:
    """None, or what was and what is, as small as can be told."""
    if before == after:
        return None
    if isinstance(before, dict):
        names = sorted(before.keys() | after.keys(), key=str)
        pairs = {name: (before.get(name), after.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return before, after


def _without_known_modules(changed: Any, standard: frozenset[str]) -> Any:
    """Modules of the agent and of the standard library may be loaded; none may be replaced."""
    return {
        name: (was, now)
        for name, (was, now) in (changed or {}).items()
        if was is not None or not (AGENT.fullmatch(name) or name.partition(".")[0] in standard)
    }


_UNLISTED = frozenset({"_missing_stdlib_info"})
"""Of the standard library of 3.15, which does not list it."""


def _is_of_python(file: str) -> bool:
    """Is it a file of the standard library?"""
    return Path(file).is_relative_to(Path(os.__file__).parent) and "site-packages" not in file


def _is_of_libffi(changed: Any) -> bool:
    """Is it one descriptor more, of that library?"""
    if changed is None or len(changed) != 1:
        return False
    ((was, now),) = changed.values()
    return was is None and "libffi" in now


def system_calls(pid: int, thread: str) -> list[str]:
    """What each thread of this name is doing in the kernel: the call's name, its arguments."""
    calls = []
    for tid, name in outside(pid)["native threads"].items():
        if name == thread:
            number, _, rest = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().partition(" ")
            call = syscalls.name_of(int(number)) if number.isdecimal() else number.strip()
            calls.append(f"{call} {rest.strip()}")
    return calls


def memory(pid: int) -> int:
    """Bytes of memory that are its own: anonymous and resident."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = (line for line in rollup.splitlines() if line.startswith("Anonymous:"))
    return int(line.split()[1]) * 1024


def landings(directory: Path) -> list[Path]:
    """The private directories of launchers in a directory for temporary files."""
    return sorted(directory.glob("live-kernel-*"))
