"""Whether the system has killed processes beside us for want of memory.

Runs in the supervisor. Such a kill is a SIGKILL like any other to the one who is killed; the
control group of memory, in which supervisor and program are, counts them (`memory.events` of the
second version, `memory.oom_control` of the first; for no group of its own, /proc/vmstat).
Rule: only counts are read, and what can't be read counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..attach import proc

_MOUNTED = Path("/sys/fs/cgroup")
_COUNTED = "oom_kill"


def kills() -> int:
    """How many processes have been killed so in our control group, since it was made."""
    for file in _files():
        with suppress(OSError, ValueError):
            pairs = (line.split() for line in file.read_text().splitlines())
            return next(int(pair[1]) for pair in pairs if pair[:1] == [_COUNTED])
    return 0


def _files() -> Iterator[Path]:
    """Where they could be counted, the nearest first."""
    with suppress(OSError):
        for line in proc.lines("self", "cgroup"):
            number, controllers, path = line.split(":", 2)
            inside = path.lstrip("/")
            if "memory" in controllers.split(","):
                yield from _both(_MOUNTED / "memory", inside, "memory.oom_control")
            elif number == "0":
                yield from _both(_MOUNTED, inside, "memory.events")
                yield from _both(_MOUNTED / "unified", inside, "memory.events")
    yield Path("/proc/vmstat")


def _both(mounted: Path, inside: str, name: str) -> Iterator[Path]:
    """As the host has the path; and in a container, whose own group is mounted at the top."""
    found = [mounted / inside / name, mounted / name]
    yield from (each for each in found if each.exists())
