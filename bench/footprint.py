"""What a process takes of the machine's memory, read from outside.

Runs in the benchmark. Rule: megabytes are 2^20 bytes here, as the system counts them; a process
that has ended takes none.
"""

from __future__ import annotations

from pathlib import Path

_RESET_PEAK = "5"
"""What `clear_refs` takes for "let the peak begin anew"; see proc_pid_clear_refs(5)."""


def resident(pid: int) -> float:
    """Megabytes that the process has in memory now."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """The most that it had at a time, since it started or since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew, at what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def _status(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024
