"""A thread that looks anew, about each second, at the processes of this machine.

Runs in the picker. Rule: looking takes at most a fourth of the time, however many there are, and
what can't be learned is left out.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from ..attach import proc, processes, supervised
from ..attach.metering import UNKNOWN, Meter
from ..launcher import guards, sessions
from .entries import Entry

_EVERY, _SOON = 1.0, 0.3
"""Seconds between looks; and before the second, from which on there is processor time."""

_SHARE = 3
"""So many times as long as a look took is the next put off, at least."""

_KERNELS_EVERY = 3.0
"""Seconds between looks at which kernels there are: each is asked."""


class Watcher:
    """Calls `found(entries)` on its thread after each look."""

    def __init__(self, found: Callable[[list[Entry]], None]) -> None:
        self._found = found
        self._is_over = threading.Event()
        self._meter = Meter()
        self._kernels: dict[int, list[str]] = {}
        self._kernels_at = 0.0
        self.trouble = ""
        """What is wrong with the user's configuration."""

    def begin(self) -> None:
        threading.Thread(target=self._look_loop, name="watcher", daemon=True).start()

    def end(self) -> None:
        self._is_over.set()

    def _look_loop(self) -> None:
        pause = _SOON
        while True:
            begun = time.monotonic()
            entries = self.look()
            if self._is_over.is_set():
                return
            self._found(entries)
            self._look_at_kernels()
            took = time.monotonic() - begun
            if self._is_over.wait(max(pause, _SHARE * took)):
                return
            pause = _EVERY

    def look(self) -> list[Entry]:
        """All processes as they are now."""
        found = processes.candidates()
        guarded, error = guards.understood()
        self.trouble = "" if error is None else str(error)
        self._meter.forget_all_but(each.process.pid for each in found)
        names = _names()
        return [
            Entry(
                each,
                guarded.of(each.process),
                self._meter.read(each.process.pid, each.process.start_time) or UNKNOWN,
                self._kernels.get(each.process.pid, ()),
                names.get(each.process.pid, ""),
            )
            for each in found
        ]

    def _look_at_kernels(self) -> None:
        if time.monotonic() - self._kernels_at < _KERNELS_EVERY:
            return
        found: dict[int, list[str]] = defaultdict(list)
        with suppress(OSError):
            for session in sessions.all_of_them():
                pid = session.target.get("pid")
                if isinstance(pid, int):
                    found[pid].append(f"kernel {session.pid} ({session.name})")
        self._kernels, self._kernels_at = found, time.monotonic()


def _names() -> dict[int, str]:
    """Of supervised programs: those that a supervisor has started, by pid."""
    found = {}
    for each in supervised.supervisors():
        found.update(dict.fromkeys(proc.children(each.pid), each.name))
    return found
