"""What the benchmark ran on, and how quiet that was.

Runs in the benchmark. Rule: only what bears on the figures; no names of hosts
or people, no paths. What can't be read is said to be unknown, not left out.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "ipykernel",
    "ipython",
    "jedi",
    "jupyter_client",
    "pyzmq",
    "debugpy",
    "memray",
)
"""What is measured and what measures. pdb is of the version of Python."""

ROOT = Path(__file__).resolve().parent.parent
_GAP = 0.001
_PROCESSORS = Path("/sys/devices/system/cpu")
_UNKNOWN = "unknown"


def describe() -> dict[str, Any]:
    """The machine and the software, as they are now."""
    stolen, taken = _stolen_and_taken()
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "mhz": _megahertz(),
        "governor": _read(_PROCESSORS / "cpu0/cpufreq/scaling_governor"),
        "boost": _boost(),
        "virtual": "hypervisor" in _cpu_field("flags").split(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "distribution": _distribution(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": _build(),
        "packages": {name: _version(name) for name in PACKAGES} | {"libzmq": _libzmq()},
        "live_kernel": _revision(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "taken": taken,
        "stolen": stolen,
    }


def as_lines(machine: dict[str, Any]) -> list[str]:
    """The same for people."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    where = "a virtual machine" if machine["virtual"] else "not known to be virtual"
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {where}",
        f"{machine['mhz']} MHz now, governor {machine['governor']}, boost {machine['boost']}",
        f"{machine['system']}, {machine['distribution']}",
        f"{machine['python']} ({machine['build']})",
        packages,
        f"live-kernel {machine['live_kernel']}",
        f"load {machine['load'][0]}; of a busy thread's time {machine['taken']:.1%} went to others,"
        f" of the machine's {machine['stolen']:.1%} to its host",
    ]


def taken_by_others() -> float:
    """The share of a second that a busy thread was kept waiting, in pieces over a millisecond."""
    last = begun = time.perf_counter()
    lost = 0.0
    while last - begun < 1.0:
        now = time.perf_counter()
        if now - last > _GAP:
            lost += now - last
        last = now
    return round(lost / (last - begun), 4)


# -- the machine ------------------------------------------------------------------------


def _stolen_and_taken() -> tuple[float, float]:
    """Shares of one second: of all processors' time, by the host; of a busy thread's, by others."""
    before = _processor_ticks()
    taken = taken_by_others()
    passed = [now - then for now, then in zip(_processor_ticks(), before, strict=True)]
    stolen = passed[_STEAL] / sum(passed) if sum(passed) else 0.0
    return round(stolen, 4), taken


_STEAL = 7
"""The place of `steal` in the first line of /proc/stat; see proc_stat(5)."""


def _processor_ticks() -> list[int]:
    first = Path("/proc/stat").read_text().partition("\n")[0]
    return [int(ticks) for ticks in first.split()[1 : _STEAL + 2]]


def _cpu() -> str:
    return _cpu_field("model name") or platform.processor() or "unknown processor"


def _cpu_field(name: str) -> str:
    """What /proc/cpuinfo says of the first processor."""
    lines = _read(Path("/proc/cpuinfo")).splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _megahertz() -> str:
    """The lowest and the highest of the processors' clocks at this moment."""
    files = _PROCESSORS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    clocks = [int(text) // 1000 for text in map(_read, files) if text.isdecimal()]
    if clocks:
        return f"{min(clocks)}–{max(clocks)}"
    return _cpu_field("cpu MHz").partition(".")[0] or _UNKNOWN


def _boost() -> str:
    """Whether the clock may rise for a while above what the processor is sold for."""
    if (text := _read(_PROCESSORS / "cpufreq/boost")) in ("0", "1"):
        return "on" if text == "1" else "off"
    if (text := _read(_PROCESSORS / "intel_pstate/no_turbo")) in ("0", "1"):
        return "off" if text == "1" else "on"
    return _UNKNOWN


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return _UNKNOWN


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return _UNKNOWN


# -- the software -----------------------------------------------------------------------


def _build() -> str:
    """The compiler, who built it as far as that shows, and what makes it fast or slow."""
    flags = " ".join(
        str(sysconfig.get_config_var(name)) for name in ("PY_CORE_CFLAGS", "PY_LDFLAGS_NODIST")
    )
    traits = {
        "Debian's": "deb_system" in sysconfig.get_scheme_names(),
        "python-build-standalone": bool(sysconfig.get_config_var("PYTHON_BUILD_STANDALONE")),
        "PGO": "-fprofile-use" in flags or "-fprofile-instr-use" in flags,
        "LTO": "-flto" in flags,
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        "free-threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "tail calls": bool(sysconfig.get_config_var("Py_TAIL_CALL_INTERP")),
        "JIT": hasattr(sys, "_jit") and sys._jit.is_enabled(),
    }
    return ", ".join([platform.python_compiler(), *(name for name, has in traits.items() if has)])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _libzmq() -> str:
    import zmq

    return zmq.zmq_version()


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
