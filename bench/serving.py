"""An application under load, and how it fares meanwhile.

Runs in the benchmark. The application is a target (`programs/serving.py`); the load comes from
another process (`programs/load.py`), which notes for each request how long its answer took.
Rule: both end with the block that started them; a wrong answer is an error.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .targets import Target
from .wire import Unanswered

CONNECTIONS = 8
_ANSWERS = 1 << 17
"""Answers that the record holds: those of the last quarter of a minute, at least."""

_PATIENCE = 20.0


@dataclass(frozen=True)
class Window:
    """Some time of an application's: answers for each second of its processor time, ours in it
    included, and the seconds that the answers took, the shortest first.
    """

    rate: float
    latencies: list[float]

    def quantile(self, share: float) -> float:
        """The latency that this share of the answers did not exceed."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]

    @property
    def worst(self) -> float:
        return self.latencies[-1]


class App:
    """An application with its load. `target` is what can be attached to."""

    def __init__(self, target: Target, load: Target, answers: mmap.mmap) -> None:
        self.target, self._load = target, load
        self._answers = memoryview(answers).cast("d")

    @property
    def answered(self) -> int:
        """Requests that were answered so far."""
        return int(self._answers[0])

    def watch(self, seconds: float, meanwhile: Callable[[float], None] = time.sleep) -> Window:
        """How it fares while `meanwhile(seconds)` goes on, which lasts that long, at least."""
        begun, first, used = time.perf_counter(), self.answered, self.target.processor_time()
        meanwhile(seconds)
        rest = begun + seconds - time.perf_counter()
        if rest > 0:
            time.sleep(rest)
        last, used = self.answered, self.target.processor_time() - used
        if self._answers[1]:
            raise Unanswered("the application has answered something else than it should")
        if last - first < CONNECTIONS:
            raise Unanswered("the application has answered (nearly) nothing")
        places = [
            2 + 2 * (number % ((len(self._answers) - 2) // 2)) for number in range(first, last)
        ]
        latencies = sorted(self._answers[place + 1] for place in places)
        return Window((last - first) / used, latencies)


@contextmanager
def loaded(environment: Mapping[str, str]) -> Iterator[App]:
    """The application under load, while the block runs, from when it has got going."""
    with ExitStack() as ends:
        own = _record(ends, 2)
        target = Target("serving", environment, own.name)
        ends.callback(target.close)
        port = _await(memoryview(own.memory).cast("d"), 1)
        answers = _record(ends, 2 + 2 * _ANSWERS)
        load = Target("load", environment, str(port), str(CONNECTIONS), answers.name)
        ends.callback(load.close)
        app = App(target, load, answers.memory)
        _await(memoryview(answers.memory).cast("d"), 0)
        time.sleep(0.2)  # until both are warm
        yield app


@dataclass(frozen=True)
class _Record:
    name: str
    memory: mmap.mmap


def _record(ends: ExitStack, doubles: int) -> _Record:
    """A file of so many doubles, which other processes write to; it goes with the block."""
    descriptor, name = tempfile.mkstemp(prefix="live-kernel-bench-")
    ends.callback(Path(name).unlink)
    try:
        os.truncate(descriptor, 8 * doubles)
        return _Record(name, mmap.mmap(descriptor, 8 * doubles))
    finally:
        os.close(descriptor)


def _await(record: memoryview[float], place: int) -> int:
    """The number that a program writes there when it has got so far."""
    deadline = time.monotonic() + _PATIENCE
    while not record[place]:
        if time.monotonic() > deadline:
            raise TimeoutError("the application did not start")
        time.sleep(0.01)
    return int(record[place])
