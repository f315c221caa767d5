"""Looks at the processes of this machine, for all who ask in Jupyter Server.

Runs in Jupyter Server: asked on its event loop, taken on one thread. Whoever asks while a
look goes on, or soon after it, shares it. Rule: the event loop never waits for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ..attach import metering, naming, proc, processes
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
        self._meter = metering.Meter()
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
        self._meter.forget_all_but(each.process.pid for each in found)
        look = Look(tuple(found), warning)
        self.on_look(look)
        self._taken, self._cost = time.monotonic(), time.thread_time() - begun
        return look

    def _one(self, pid: int) -> Program:
        guarded, _ = guards.understood()
        return self._program(processes.judged(pid), guarded)

    def _program(self, candidate: Candidate, guarded: Guards) -> Program:
        process = candidate.process
        started = proc.started_at(process.start_time)
        return Program(candidate, guarded.of(process), self._usage(process), started)

    def _usage(self, process: Process) -> Usage:
        """What it uses; nothing where it has just ended."""
        use = self._meter.read(process.pid, process.start_time)
        if use is None:
            return Usage()
        share = use.processor
        if share is None:
            share = use.seconds / max(process.uptime, 0.1)
        return Usage(round(100 * share, 1), use.memory, use.threads)


def title_of(process: Process, rails: Rails) -> str:
    """What its guard calls it, or a name from its command line."""
    return naming.shortened(rails.banner) if rails.banner else naming.of(process)
