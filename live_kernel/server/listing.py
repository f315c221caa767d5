"""Looks at the processes of this machine, for all who ask in Jupyter Server.

Runs in Jupyter Server: asked on its event loop, taken on one thread. Whoever asks while a
look goes on, or soon after it, shares it. Rule: the event loop never waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import psutil

from ..attach import naming, proc, processes
from ..attach.processes import Candidate, Process
from ..errors import LiveKernelError
from ..launcher import guards
from ..launcher.guards import Guards
from ..launcher.rails import Rails
from ..records import NamedTuple

_REST = 10
"""Times what a look has cost of a processor, until the next."""


class Usage(NamedTuple):
    """What a process uses. `cpu`: percent of one processor since the look before; at the first
    look, over its life. `memory`: bytes that are resident. As `ps` shows it to everybody.
    """

    cpu: float = 0.0
    memory: int = 0
    threads: int = 0


class Program(NamedTuple):
    """A candidate, and what is shown beside it. `started`: seconds of the epoch."""

    candidate: Candidate
    rails: Rails
    usage: Usage
    started: float

    @property
    def process(self) -> Process:
        return self.candidate.process

    @property
    def name(self) -> str:
        """In a few words, from its command line."""
        return naming.of(self.process)

    @property
    def title(self) -> str:
        """What its guard calls it, or else its name."""
        return title_of(self.process, self.rails)


class Look(NamedTuple):
    """What was there at one moment. `warning`: why guards are not known, if they are not."""

    programs: tuple[Program, ...] = ()
    warning: LiveKernelError | None = None


class Listing:
    """Takes looks, each good for `fresh_for` seconds; for more where it has cost much.

    `on_look` is called with each, on the thread that takes it.
    """

    def __init__(self, fresh_for: float) -> None:
        self._fresh_for = fresh_for
        self.on_look: Callable[[Look], None] = lambda _look: None
        self._pool = ThreadPoolExecutor(1, "live-kernel-look")
        self._meter = Meter()
        self._going: Future[Look] | None = None
        self._taken = self._cost = 0.0

    async def look(self) -> Look:
        """A look that is fresh."""
        return await asyncio.wrap_future(self.begin())

    def begin(self) -> Future[Look]:
        """The look that is fresh or goes on, or one that begins now."""
        is_old = time.monotonic() > self._taken + max(self._fresh_for, _REST * self._cost)
        if self._going is None or (self._going.done() and is_old):
            self._going = self._pool.submit(self._look)
        return self._going

    async def program(self, pid: int) -> Program:
        """One process, Python or not, as it is now. Raises TargetNotFound."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._one, pid)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Look:
        """On the thread."""
        begun = time.thread_time()
        guarded, warning = guards.understood()
        found = [self._program(each, guarded) for each in processes.candidates()]
        self._meter.forget_all_but({each.process.pid for each in found})
        look = Look(tuple(found), warning)
        self.on_look(look)
        self._taken, self._cost = time.monotonic(), time.thread_time() - begun
        return look

    def _one(self, pid: int) -> Program:
        guarded, _ = guards.understood()
        return self._program(processes.judged(pid), guarded)

    def _program(self, candidate: Candidate, guarded: Guards) -> Program:
        process = candidate.process
        started = started_at(process.start_time)
        return Program(candidate, guarded.of(process), self._meter.read(process), started)


def started_at(start_time: int) -> float:
    """The moment of the epoch that is `start_time` clock ticks after boot."""
    return round(_boot_time() + start_time / proc.TICKS_PER_SECOND, 2)


@cache
def _boot_time() -> float:
    """Asked once, so that a process has one start, whatever is done to the clock."""
    return psutil.boot_time()


def title_of(process: Process, rails: Rails) -> str:
    """What its guard calls it, or a name from its command line."""
    return naming.shortened(rails.banner) if rails.banner else naming.of(process)


class Meter:
    """Remembers processes between two looks, without which there is no processor time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, psutil.Process]] = {}

    def read(self, process: Process) -> Usage:
        """What it uses; nothing where it has just ended."""
        with contextlib.suppress(psutil.Error):
            start_time, known = self._known.get(process.pid, (-1, None))
            if known is None or start_time != process.start_time:
                known = psutil.Process(process.pid)
                self._known[process.pid] = process.start_time, known
                known.cpu_percent()
                return self._read(known, process, over_life=True)
            return self._read(known, process, over_life=False)
        return Usage()

    def _read(self, known: psutil.Process, process: Process, over_life: bool) -> Usage:
        with known.oneshot():
            if over_life:
                times = known.cpu_times()
                cpu = 100 * (times.user + times.system) / max(process.uptime, 0.1)
            else:
                cpu = known.cpu_percent()
            return Usage(round(cpu, 1), known.memory_info().rss, known.num_threads())

    def forget_all_but(self, pids: set[int]) -> None:
        for pid in self._known.keys() - pids:
            del self._known[pid]
