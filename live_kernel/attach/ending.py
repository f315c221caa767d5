"""Whether and how a process that is not our child has ended.

Runs in the launcher. Rule: a pidfd, once opened, means that process and no
later one with its number. Since Linux 6.15 it also tells the exit status after
the parent has collected it (PIDFD_GET_INFO); before that `/proc` tells it as
long as the parent has not.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from pathlib import Path

_GET_INFO = 0xC048FF0B
"""PIDFD_GET_INFO for `struct pidfd_info` in its second version, 72 bytes."""

_INFO_EXIT = 1 << 3
_LAYOUT = struct.Struct("=QQ11IiII")
"""mask, cgroupid; pid, tgid, ppid and eight user and group ids; exit_code; two more."""


class Watch:
    """Watches one process. `descriptor` is readable once it has ended; None if unsupported."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._image = image(pid)
        self.descriptor: int | None = None
        try:
            self.descriptor = os.pidfd_open(pid)
        except (OSError, AttributeError):
            pass  # it has gone already, or this system has no pidfd: `has_ended` still tells

    def has_ended(self) -> bool:
        """Is the process gone, or a zombie?"""
        stat = _stat_fields(self.pid)
        if stat is None or stat[0] in ("Z", "X"):
            return True
        if self.descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(self.descriptor, 0)
        except ProcessLookupError:
            return True  # the number belongs to somebody else by now
        except OSError:
            return False
        return False

    def has_become_another(self) -> bool:
        """Has the process replaced its program by another (exec), be it the same one anew?"""
        now = image(self.pid)
        return bool(self._image and now) and now != self._image

    def how(self) -> str:
        """In words: `exited with status 3`, `was killed by SIGKILL`, or just `has ended`."""
        status = self._status()
        if status is None:
            return "has ended"
        return describe_status(status)

    def _status(self) -> int | None:
        """The wait status, if anyone can tell."""
        if self.descriptor is None:
            return None
        request = bytearray(_LAYOUT.pack(_INFO_EXIT, *([0] * 15)))
        try:
            fcntl.ioctl(self.descriptor, _GET_INFO, request)
        except OSError:
            return _zombie_status(self.pid)
        fields = _LAYOUT.unpack(request)
        return fields[13] if fields[0] & _INFO_EXIT else _zombie_status(self.pid)

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def describe_status(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"was killed by {name}"
    code = os.WEXITSTATUS(status)
    return "exited normally" if code == 0 else f"exited with status {code}"


def image(pid: int) -> bytes:
    """What the system told the program when it was loaded: addresses, other ones each time."""
    try:
        return Path(f"/proc/{pid}/auxv").read_bytes()
    except OSError:
        return b""


def _zombie_status(pid: int) -> int | None:
    fields = _stat_fields(pid)
    return int(fields[49]) if fields is not None and fields[0] == "Z" else None


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
