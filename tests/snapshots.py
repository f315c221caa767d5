"""What a program looks like, from inside and from outside, before and after.

Runs in pytest. A `Program` is a target with a witness in it: see
programs/witness. Rule: what may differ after an attach stands in staying.py;
whatever else differs is harm.
"""

from __future__ import annotations

import marshal
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from staying import AGENT, Snapshot, differences
from targets import PROGRAMS, Target, eventually, python314

from live_kernel.attach import slot, syscalls
from live_kernel.attach.processes import identify
from live_kernel.errors import LiveKernelError

_STATUS = ("Umask", "Uid", "Gid", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed_list", "NoNewPrivs")


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
        env = witness(self._socket, python or python314()) | dict(env or {})
        super().__init__(program, python, args, env, **options)
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

    def wait_until_left(self) -> None:
        """The agent's threads, which have been told to end, have done so."""
        proc = Path("/proc") / str(self.pid)
        eventually(
            lambda: not any(n.startswith("live-kernel") for n in _names_of_threads(proc).values()),
            3,
        )

    def after_leaving(self) -> Snapshot:
        """How it is once the agent's threads have ended."""
        self.wait_until_left()
        return self.snapshot()

    def from_inside(self) -> Snapshot:
        return inside(self._socket)

    def from_outside(self) -> Snapshot:
        return outside(self.pid)

    def assert_unharmed_since(self, before: Snapshot, *, interrupted: bool = False) -> None:
        """Nothing has changed but what may. A thread that has been told to end gets its moment."""

        def same() -> bool:
            different = differences(before, self.snapshot(), interrupted)
            assert not different, "\n".join(f"{k}: {v}" for k, v in different.items())
            return True

        eventually(same, 3)


def witness(place: Path, python: str) -> dict[str, str]:
    """The variables by which a program gets a witness, which answers at this path."""
    return {
        "PYTHONPATH": str(PROGRAMS / "witness"),
        "WITNESS": str(place),
        "WITNESS_LAYOUT": _layout(python),
    }


@cache
def _layout(python: str) -> str:
    """Where this build of Python keeps what `witness_native.py` looks for."""
    file = PROGRAMS / "witness" / "witness_native.py"
    command = [python, "-I", "-S", str(file)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False
    ).stdout.strip()


def inside(place: Path) -> Snapshot:
    """What the witness tells that answers at this path."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(place))
        with connection.makefile("rb") as file:
            told: Snapshot = marshal.loads(file.read())
    assert "witness" not in told, told
    return told


def outside(pid: int) -> Snapshot:
    """What /proc tells of a process."""
    proc = Path("/proc") / str(pid)
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    return {
        "native threads": _names_of_threads(proc),
        "descriptors": _descriptors(proc),
        "descriptors' flags": _of_descriptors(proc, "flags"),
        "signal masks": _of_threads(proc, "SigBlk"),
        "priorities": _priorities(proc),
        "mappings": _mappings(proc),
        "scheduling": _scheduling(proc),
        "waiting script": _waiting_script(pid),
        "status": {name: status[name] for name in _STATUS},
        "directory": str((proc / "cwd").readlink()),
        "children": _children(proc),
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


def _of_threads(proc: Path, what: str) -> dict[str, str]:
    """A line of each thread's status."""
    found = {}
    for task in (proc / "task").iterdir():
        try:
            found[task.name] = _line(task / "status", what)
        except OSError:
            continue
    return found


def _of_descriptors(proc: Path, what: str) -> dict[str, str]:
    found = {}
    for entry in (proc / "fdinfo").iterdir():
        try:
            found[entry.name] = _line(entry, what)
        except OSError:
            continue
    return found


def _line(file: Path, name: str) -> str:
    (line,) = (line for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
    return line.partition(":")[2].strip()


def _mappings(proc: Path) -> list[str]:
    """The files that are mapped, and for what; and the anonymous memory that may be run."""
    found = set()
    for line in (proc / "maps").read_text().splitlines():
        _, rights, _, _, _, *name = line.split(maxsplit=5)
        if name and not name[0].startswith("["):
            found.add(name[0])
        elif not name and "x" in rights:
            found.add(f"anonymous {rights}")
    return sorted(found)


def _priorities(proc: Path) -> dict[str, list[str]]:
    """The priority of each thread, its niceness, its policy."""
    found = {}
    for task in (proc / "task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[task.name] = [fields[15], fields[16], fields[38]]
    return found


def _scheduling(proc: Path) -> dict[str, str]:
    """What the system thinks of it when memory is short or it fails, and its POSIX timers."""
    return {
        "oom_score_adj": (proc / "oom_score_adj").read_text(),
        "coredump_filter": (proc / "coredump_filter").read_text(),
        "timers": (proc / "timers").read_text(),
    }


def _waiting_script(pid: int) -> str | None:
    try:
        return slot.waiting_script(identify(pid))
    except LiveKernelError:
        return None


def _children(proc: Path) -> list[str]:
    """Those of all its threads."""
    found: list[str] = []
    for task in (proc / "task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except OSError:
            continue
    return sorted(found)


def _descriptors(proc: Path) -> dict[str, str]:
    links = {}
    for entry in (proc / "fd").iterdir():
        try:
            links[entry.name] = str(entry.readlink())
        except OSError:
            continue
    return links


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


__all__ = [
    "AGENT",
    "Program",
    "Snapshot",
    "differences",
    "inside",
    "landings",
    "memory",
    "outside",
    "system_calls",
    "witness",
]
