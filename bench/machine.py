"""What the benchmark ran on, and how quiet that was.

Runs in the benchmark. Rule: only what bears on the figures; no names of hosts
or people, no paths.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("ipykernel", "ipython", "jedi", "jupyter_client", "pyzmq")
ROOT = Path(__file__).resolve().parent.parent
_GAP = 0.001


def describe() -> dict[str, Any]:
    """The machine and the software, as they are now."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": " ".join(sys.version.partition("[")[2].rstrip("]").split()),
        "packages": {name: _version(name) for name in PACKAGES},
        "live_kernel": _revision(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "taken": taken_by_others(),
    }


def as_lines(machine: dict[str, Any]) -> list[str]:
    """The same for people."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return [
        f"{machine['cpu']}, {machine['cores']} cores; {machine['system']}",
        f"{machine['python']} ({machine['build']}); {packages}",
        f"live-kernel {machine['live_kernel']}",
        f"load {machine['load'][0]}; of a busy thread's time {machine['taken']:.1%} went to others",
    ]


def taken_by_others(seconds: float = 1.0) -> float:
    """The share of the time that a busy thread was kept waiting, in pieces over a millisecond."""
    last = begun = time.perf_counter()
    lost = 0.0
    while last - begun < seconds:
        now = time.perf_counter()
        if now - last > _GAP:
            lost += now - last
        last = now
    return round(lost / (last - begun), 4)


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else "unknown processor"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _revision() -> str:
    """The commit that is measured, with `+` where files differ from it."""
    from live_kernel import __version__

    def git(*words: str) -> str:
        run = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
        )
        return run.stdout.strip() if run.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = "+" if git("status", "--porcelain", "live_kernel") else ""
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__} {commit}{changed}".strip()
