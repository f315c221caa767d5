"""The programs that are attached to, and what can be read off them from outside.

Runs in the benchmark. Each is a process of its own, in a session of its own.
Rule: none outlives the benchmark, not even one that is killed: the system ends
a target by SIGALRM after `LIFETIME`.
"""

from __future__ import annotations

import array
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PROGRAMS = Path(__file__).resolve().parent / "programs"
LIFETIME = 900
_ITS_CLOCK = 2
"""CPUCLOCK_SCHED: of the clocks that a process id stands for, the exact one."""

_PATIENCE = 20
"""Seconds that a program may take to start."""

_ROOM = 4096
"""Doubles in a busy program's record."""


class Target:
    """A running program of `programs/`."""

    def __init__(
        self, name: str, environment: Mapping[str, str], *arguments: str, announced: bool = False
    ) -> None:
        """`announced`: it prints a line when it has got going, for `await_going`."""
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / f"{name}.py"), *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if announced else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # where debugpy and memray would write their warnings
            start_new_session=True,
            preexec_fn=_limit_lifetime,  # noqa: PLW1509 - no thread of ours holds a lock here
        )
        self.pid = self.process.pid

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def await_going(self) -> None:
        """Wait until an announced program has got going. Raises TimeoutError."""
        said = self.process.stdout
        assert said is not None
        if not select.select([said], [], [], _PATIENCE)[0] or not said.readline():
            raise TimeoutError(f"process {self.pid} did not start to count")

    def await_threads(self, number: int) -> None:
        """Wait until it has so many threads again. Raises TimeoutError."""
        deadline = time.monotonic() + _PATIENCE
        while len(list(Path(f"/proc/{self.pid}/task").iterdir())) != number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not come back to {number} threads")
            time.sleep(0.002)

    def pause(self) -> None:
        """Leave the processor to others."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.02)  # until it has warmed its caches again

    def memory(self) -> dict[str, float]:
        """Megabytes: resident (`Rss`), thereof its very own (`Anonymous`), fair share (`Pss`)."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        fields = (line.split() for line in text.splitlines())
        kilobytes = {words[0].rstrip(":"): int(words[1]) for words in fields if words[-1] == "kB"}
        return {name: kilobytes[name] / 1024 for name in ("Rss", "Anonymous", "Pss")}

    def processor_time(self) -> float:
        """Seconds of processor time that all its threads have used so far."""
        return time.clock_gettime(~self.pid << 3 | _ITS_CLOCK)


class Gap(NamedTuple):
    """Seconds between two turns of a loop, thereof those in which it had no processor."""

    length: float
    unscheduled: float

    @property
    def stalled(self) -> float:
        """Seconds that the program was kept waiting by its own interpreter."""
        return max(self.length - self.unscheduled, 0.0)


class BusyTarget(Target):
    """The program `busy`, or one that keeps such a record, which is read as it runs."""

    def __init__(self, environment: Mapping[str, str], file: Path, name: str = "busy") -> None:
        file.write_bytes(bytes(_ROOM * 8))
        super().__init__(name, environment, str(file))
        self._file = file

    def _record(self) -> array.array[float]:
        return array.array("d", self._file.read_bytes())

    @property
    def turns(self) -> float:
        """How often its loop has run."""
        return self._record()[0]

    def gaps(self, since: float, until: float) -> list[Gap]:
        """The stretches that ended in this time, in which its loop did not run."""
        record = self._record()
        known = min(int(record[1]), (_ROOM - 2) // 3)
        triples = [record[place : place + 3] for place in range(2, 2 + 3 * known, 3)]
        return [Gap(length, waited) for end, length, waited in triples if since <= end <= until]


def _limit_lifetime() -> None:
    signal.alarm(LIFETIME)  # which survives the exec


@contextmanager
def idle(environment: Mapping[str, str]) -> Iterator[Target]:
    """The program `idle`, while the block runs."""
    with many_idle(environment, 1) as (target,):
        yield target


@contextmanager
def many_idle(environment: Mapping[str, str], number: int) -> Iterator[list[Target]]:
    """So many processes of the program `idle`, while the block runs, all of them going."""
    started: list[Target] = []
    try:
        while len(started) < number:
            started.append(Target("idle", environment, announced=True))
        for target in started:
            target.await_going()
        yield started
    finally:
        for target in started:
            target.close()


@contextmanager
def busy(environment: Mapping[str, str], program: str = "busy") -> Iterator[BusyTarget]:
    """The program `busy` or its like, while the block runs, from when it has got going."""
    descriptor, name = tempfile.mkstemp(prefix="live-kernel-bench-")
    os.close(descriptor)
    target = None
    try:
        target = BusyTarget(environment, Path(name), program)
        deadline = time.monotonic() + _PATIENCE
        while target.turns == 0:
            if time.monotonic() > deadline:
                raise TimeoutError("the busy program did not start")
            time.sleep(0.01)
        time.sleep(0.1)
        yield target
    finally:
        if target is not None:
            target.close()
        Path(name).unlink()
