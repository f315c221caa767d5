"""What the target costs: the answer to jupyter-resource-usage's `usage_request`.

Runs in the launcher, on a thread for each answer: going through all processes
takes a while. Rule: the target is only looked at from outside, and nothing
that slows it is read. (So its memory is the resident set. The proportional
one, which ipykernel tells, has the system walk all pages of the process with
its memory map locked.)
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..attach.processes import Process
from .reactor import Reactor
from .wire import Content

if TYPE_CHECKING:
    import psutil


class Usage:
    """Answers `usage_request`, one after the other: processor time is counted between two."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._meter = Meter()
        self._lock = threading.Lock()

    def ask(self, pid: int | None, answered: Callable[[Content], None]) -> None:
        """Tell what this process uses, with its children; None for the launcher alone."""

        def look() -> None:
            with self._lock:
                content = self._meter.read(pid)
            self._reactor.call(lambda: answered(content))

        threading.Thread(target=look, name="usage", daemon=True).start()


class Gauge:
    """What one process uses by itself, since the last look at it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._lock = threading.Lock()
        self._seen: psutil.Process | None = None

    def begin(self) -> None:
        """Look for the first time, so that there is something to compare with."""
        self.read()

    def read(self) -> Content | None:
        """`cpu` in percent of one processor, `memory` in bytes, `threads`.

        None the first time, when there is nothing to compare with, and where it can't be seen.
        """
        import psutil

        with self._lock:
            try:
                if self._seen is None:
                    self._seen = psutil.Process(self.process.pid)
                    self._seen.cpu_percent()
                    return None
                with self._seen.oneshot():
                    return {
                        "cpu": self._seen.cpu_percent(),
                        "memory": self._seen.memory_info().rss,
                        "threads": self._seen.num_threads(),
                    }
            except psutil.Error:
                return None


class Meter:
    """Remembers processes between two looks, without which there is no processor time."""

    def __init__(self) -> None:
        self._known: dict[int, _Counted] = {}

    def read(self, pid: int | None) -> Content:
        """The content of a `usage_reply`. What can't be known is left out."""
        import psutil

        content: Content = {
            "hostname": socket.gethostname(),
            "pid": os.getpid() if pid is None else pid,
            "cpu_count": psutil.cpu_count(),
            "host_virtual_memory": dict(psutil.virtual_memory()._asdict()),
        }
        host = psutil.cpu_percent()
        if host:  # 0.0 is what the first call says
            content["host_cpu_percent"] = host
        counted = self._look_at(pid)
        if counted:
            content["kernel_cpu"] = sum(each.processor for each in counted)
            content["kernel_memory"] = sum(each.memory for each in counted)
        return content

    def _look_at(self, pid: int | None) -> list[_Counted]:
        import psutil

        try:
            main = psutil.Process(pid)
            family = [main] if pid is None else [main, *main.children(recursive=True)]
        except psutil.Error:
            return []
        present: dict[int, _Counted] = {}
        for process in family:
            known = self._known.get(process.pid)
            if known is None or known.process != process:  # another one with the same pid
                known = _Counted(process)
            if known.look():
                present[process.pid] = known
        self._known = present
        return list(present.values())


class _Counted:
    """A process and what it last used."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.processor = 0.0
        self.memory = 0

    def look(self) -> bool:
        """Look again. Returns whether that was possible."""
        import psutil

        try:
            with self.process.oneshot():
                self.processor = self.process.cpu_percent()
                self.memory = self.process.memory_info().rss
        except psutil.Error:
            return False
        return True
