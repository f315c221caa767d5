"""Kernels under load, and what a case of it is.

Runs in pytest and in `make load`. A `Listener` is a kernel whose front-end keeps little of what
it gets, and reads as fast or as slowly as it is told. Rule: a case does its work, fails where a
bound is broken, and returns a row of the table.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import zmq
from gauges import Gauges, Row, ours
from kernels import Cell, Kernel, Message
from snapshots import Program

KEPT = 2000
"""Messages that a listener remembers, beside those that tell of a cell's begin and end."""

_ALWAYS_KEPT = ("execute_input", "execute_reply", "status")

PATIENCE = 30.0
"""Seconds after which what a case waits for is not coming, on any machine."""


@dataclass(frozen=True)
class Case:
    """One case. `times`: how often (or how many, or for how many seconds) in the table."""

    name: str
    times: int
    few: int
    run: Callable[[int], Row]


CASES: dict[str, Case] = {}


def case(name: str, times: int, few: int) -> Callable[[Callable[[int], Row]], Callable[[int], Row]]:
    """Make a function a case; `few` is its number in the tests."""

    def add(run: Callable[[int], Row]) -> Callable[[int], Row]:
        CASES[name] = Case(name, times, few, run)
        return run

    return add


class Listener(Kernel):
    """A kernel and a front-end that forgets. `pause`: seconds that it takes over each message."""

    def __init__(self, *arguments: object, pause: float = 0.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pause = pause
        self.at_once = 1 if pause else 100
        self._most = KEPT
        self.count = 0
        """Messages that have come."""

    def _take(self, channel: str, message: Message) -> None:
        self.count += 1
        message["channel"] = channel
        self.messages.append(message)
        if len(self.messages) > self._most:
            self.messages[:-1000] = [
                m for m in self.messages[:-1000] if m["msg_type"] in _ALWAYS_KEPT
            ]
            self._most = len(self.messages) + KEPT
        if self.pause and channel == "iopub":
            time.sleep(self.pause)  # this is how slow this front-end is

    def read_for(self, seconds: float) -> None:
        """Be a front-end for so long."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            self.take_in(min(rest, 0.1))

    def seconds_to_interrupt(self, cell: Cell) -> float:
        """Interrupt, and wait for the cell's reply, by which the kernel says that it has ended."""
        if "iopub" in self.listens_to:  # else it has begun, as was seen before
            self.wait(lambda: cell.contents("execute_input"), PATIENCE, "the begin of the cell")
        begun = time.monotonic()
        session = self.client.session
        session.send(self.client.control_channel.socket, "interrupt_request", {})
        self.wait(lambda: cell.contents("execute_reply"), PATIENCE, "the reply to the cell")
        return time.monotonic() - begun

    def still_answers(self) -> bool:
        """Does a cell still run, and is it answered?"""
        return self.run("6 * 7", PATIENCE).result == "42"


@contextmanager
def attached(
    name: str, program: str = "idle", python: str | None = None, pause: float = 0.0
) -> Iterator[tuple[Listener, Gauges, Row]]:
    """A listener in a program, the gauges of both, and a row to be filled."""
    row = Row(name)
    with (
        Program(program, python) as target,
        tempfile.TemporaryDirectory(prefix="lk-", dir="/tmp") as profile,
        Listener("--pid", target.pid, pause=pause, env={"IPYTHONDIR": profile}) as kernel,
    ):
        assert kernel.still_answers()
        with Gauges(launcher=kernel.launcher_pid, target=target.pid, frontend=ours()) as gauges:
            yield kernel, gauges, row
            row.measured(gauges)
        assert target.alive()
        row.outcome = row.outcome or "as it should be"


def published(socket: zmq.Socket[bytes]) -> Message:
    """The next message on a bare iopub socket, its content and its parent's id."""
    frames = socket.recv_multipart()
    start = frames.index(b"<IDS|MSG>")
    header, parent, _, content = (json.loads(frame) for frame in frames[start + 2 : start + 6])
    return {"type": header["msg_type"], "parent": parent.get("msg_id"), "content": content}
