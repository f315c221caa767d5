"""Waking programs from every kind of wait, again and again, with nothing lost.

Runs in pytest (a few times a kind), and as `make wakes`: twenty times a kind, which prints the
table. Rule: after each attach the program still stands in the same turn of its wait; what then
comes of it is what would have come without us.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from snapshots import Program
from targets import eventually

from live_kernel.attach import wake
from live_kernel.attach.blocked import Blocked, describe
from live_kernel.attach.processes import Process, identify
from live_kernel.attach.techniques import Technique
from live_kernel.handle import attach

KINDS: dict[str, str] = {
    "sleep": "", "lock": "True", "timed_lock": "True", "rlock": "True", "semaphore": "True",
    "condition": "#", "event": "True", "barrier": "True", "get": "#", "put": "None",
    "simple_get": "#", "join": "False", "future": "#", "futures_wait": "#", "thread_pool": "#",
    "process_pool": "#", "process_join": "0", "process_queue": "#", "process_lock": "True",
    "connection": "#", "accept": "#", "receive": "#", "receive_timed": "#", "datagram": "#",
    "send": "True", "pipe": "#", "pipe_write": "True", "fifo": "#", "stdin": "#", "child": "-15",
    "waitpid": "15", "selecting": "#", "polling": "#", "epoll": "#", "loop": "#",
    "sigwait": "10", "sigtimedwait": "10", "pause": "None", "flock": "True", "database": "True",
    "c_sleep": "", "c_pause": "-1", "c_poll": "#", "c_read": "(3, #, 77)", "c_semaphore": "True",
}  # fmt: skip
"""Each kind of programs/waits.py, and what must come of its wait, # being the number that it is
released with; empty for one that only time ends."""


@dataclass
class Tally:
    """What was measured of one kind. `calls`: the system calls that it was found in."""

    kind: str
    calls: set[str] = field(default_factory=set)
    techniques: list[Technique] = field(default_factory=list)
    tries: int = 0
    attaches: int = 0
    successes: int = 0
    times: list[float] = field(default_factory=list)

    def row(self) -> str:
        names = (
            ", ".join(dict.fromkeys(each.name for each in self.techniques))
            or "an interruption is enough"
        )
        median, worst = (1000 * f(self.times) for f in (statistics.median, max))
        return (
            f"| {self.kind} | {', '.join(sorted(self.calls))} | {names} | {self.tries} "
            f"| {self.successes}/{self.attaches} | {median:.0f} | {worst:.0f} |"
        )


HEAD = """\
| state | waits in | technique | tries | successes | median ms | worst ms |
|---|---|---|---|---|---|---|"""


@contextlib.contextmanager
def watched(tally: Tally) -> Iterator[None]:
    """Note what is done to targets meanwhile."""
    wake_it, nudge_it = wake.wake, wake.nudge

    def noting(process: Process, seen: Blocked, technique: Technique) -> wake.Outcome:
        outcome = wake_it(process, seen, technique)
        tally.tries += 1
        if outcome.is_done:
            tally.techniques.append(technique)
        return outcome

    def nudging(pid: int, thread: int) -> bool:
        tally.tries += 1
        tally.techniques.append(Technique.NUDGE)
        return nudge_it(pid, thread)

    wake.wake, wake.nudge = noting, nudging
    try:
        yield
    finally:
        wake.wake, wake.nudge = wake_it, nudge_it


def is_waiting(program: Program) -> Blocked | None:
    """Whether its main thread has come to its wait, and stays there for two looks."""
    process = identify(program.pid)
    first, second = describe(process), describe(process)
    waits = first.state == second.state == "S" and first.wait == second.wait is not None
    return second if waits else None


def wake_again_and_again(kind: str, attaches: int, python: str | None = None) -> Tally:
    """Attach to a program that waits so; release it each time, and see what came of it."""
    tally = Tally(kind)
    with (
        tempfile.TemporaryDirectory(prefix="lk-", dir="/tmp") as place,
        Program("waits", python, args=[kind], env={"PLACE": place}) as program,
    ):
        turn = 1
        for _ in range(attaches):
            seen = eventually(lambda: is_waiting(program), what=f"{kind} waits")
            tally.calls.add(str(seen.syscall))
            tally.attaches += 1
            _attach_once(program, tally, kind, turn)
            turn += bool(KINDS[kind])
    return tally


def _attach_once(program: Program, tally: Tally, kind: str, turn: int) -> None:
    begun = time.monotonic()
    with watched(tally), attach(program.pid, timeout=15, wake=True) as handle:
        tally.times.append(time.monotonic() - begun)
        texts = _Texts()
        told = handle.run("turn, len(results)", texts)
        assert told["status"] == "ok", told
        assert texts.result == f"({turn}, {turn - 1})", texts.result
        if KINDS[kind]:
            number = 100 + turn
            assert handle.run(f"release({number})")["status"] == "ok"
            line = program.wait_for(f"turn {turn} ")
            assert line == f"turn {turn} {KINDS[kind].replace('#', str(number))}"
    tally.successes += 1


class _Texts:
    """Keeps the text of a cell's value."""

    result = ""

    def __call__(self, event: dict[str, object]) -> None:
        if event["event"] == "result":
            self.result = str(event["data"]["text/plain"])  # type: ignore[index]


def main() -> None:
    """Print the table: `python tests/wakes.py [ATTACHES [KIND…]]`."""
    os.environ["LIVE_KERNEL_JOURNAL"] = "off"  # the user's own is not for this
    attaches = int(sys.argv[1]) if sys.argv[1:] else 20
    print(HEAD, flush=True)
    for kind in sys.argv[2:] or KINDS:
        print(wake_again_and_again(kind, attaches).row(), flush=True)


if __name__ == "__main__":
    main()
