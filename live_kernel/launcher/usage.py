"""What the target costs: the answer to jupyter-resource-usage's `usage_request`.

Runs in the launcher, on a thread for each answer: going through a family of processes takes a
while. Rule: as of `attach/metering`; so its memory is the resident set, where ipykernel tells the
proportional one.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

from ..attach import proc
from ..attach.processes import Process
from .reactor import Reactor
from .wire import Content


class Usage:
    """Answers `usage_request`, one after the other: processor time is counted between two."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._sum: Sum | None = None
        self._lock = threading.Lock()

    def ask(self, pid: int | None, answered: Callable[[Content], None]) -> None:
        """Tell what this process uses, with its children; None for the launcher alone."""

        def look() -> None:
            with self._lock:
                if self._sum is None:
                    self._sum = Sum()
                content = self._sum.read(pid)
            self._reactor.call(lambda: answered(content))

        threading.Thread(target=look, name="usage", daemon=True).start()


class Gauge:
    """What one process uses by itself, since the last look at it."""

    def __init__(self, process: Process) -> None:
        from ..attach.metering import Meter  # not on the way to the first result

        self.process = process
        self._lock = threading.Lock()
        self._meter = Meter()

    def read(self) -> Content | None:
        """`cpu` in percent of one processor, `memory` in bytes, `threads`.

        None the first time, when there is nothing to compare with, and where it can't be seen.
        """
        with self._lock:
            use = self._meter.read(self.process.pid, self.process.start_time)
        if use is None or use.processor is None:
            return None
        cpu = round(100 * use.processor, 1)
        return {"cpu": cpu, "memory": use.memory, "threads": use.threads}


class Sum:
    """What a process and its descendants use together."""

    def __init__(self) -> None:
        from ..attach.metering import Meter  # not on the way to the first result

        self._meter = Meter()

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
        pids = [os.getpid()] if pid is None else _family(pid)
        self._meter.forget_all_but(pids)
        uses = [use for use in map(self._meter.read, pids) if use is not None]
        if uses:
            content["kernel_cpu"] = round(100 * sum(use.processor or 0.0 for use in uses), 1)
            content["kernel_memory"] = sum(use.memory for use in uses)
        return content


def _family(pid: int) -> list[int]:
    """It and its descendants, as they are just now."""
    found = [pid]
    for each in found:  # which grows meanwhile
        found += [child for child in proc.children(each) if child not in found]
    return found
