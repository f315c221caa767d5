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
from ..attach.processes import Process
from ..launcher import guards, sessions
from .entries import Entry, Key, Use

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
        self._used: dict[Key, tuple[float, float]] = {}
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
        now, before, self._used = time.monotonic(), self._used, {}
        names = _names()
        return [
            Entry(
                each,
                guarded.of(each.process),
                self._use(each.process, now, before),
                self._kernels.get(each.process.pid, ()),
                names.get(each.process.pid, ""),
            )
            for each in found
        ]

    def _use(self, process: Process, now: float, before: dict[Key, tuple[float, float]]) -> Use:
        try:
            usage = proc.usage(process.pid)
        except (OSError, ValueError, IndexError):
            return Use()
        key = process.pid, process.start_time
        self._used[key] = now, usage.processor
        then, used = before.get(key, (now, 0.0))
        share = (usage.processor - used) / (now - then) if now > then else None
        return Use(share, usage.memory, usage.threads)

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
