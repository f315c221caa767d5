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

    def __init__(self, target: Target, load: Target, answers: memoryview[float]) -> None:
        self.target, self.load = target, load
        self._answers = answers

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
        own = ends.enter_context(record(2))
        target = Target("serving", environment, own.name)
        ends.callback(target.close)
        port = _await(own.doubles, 1)
        answers = ends.enter_context(record(2 + 2 * _ANSWERS))
        load = Target("load", environment, str(port), str(CONNECTIONS), answers.name)
        ends.callback(load.close)
        _await(answers.doubles, 0)
        time.sleep(0.2)  # until both are warm
        yield App(target, load, answers.doubles)


@dataclass(frozen=True)
class Record:
    """A file of doubles that another process writes to, and what stands there at present."""

    name: str
    doubles: memoryview[float]


@contextmanager
def record(doubles: int) -> Iterator[Record]:
    """A record of so many doubles, all zero; its file goes with the block."""
    with tempfile.NamedTemporaryFile(prefix="live-kernel-bench-") as file:
        os.truncate(file.fileno(), 8 * doubles)
        memory = mmap.mmap(file.fileno(), 8 * doubles)
        yield Record(file.name, memoryview(memory).cast("d"))


def _await(doubles: memoryview[float], place: int) -> int:
    """The number that a program writes there when it has got so far."""
    deadline = time.monotonic() + _PATIENCE
    while not doubles[place]:
        if time.monotonic() > deadline:
            raise TimeoutError("the application did not start")
        time.sleep(0.01)
    return int(doubles[place])
