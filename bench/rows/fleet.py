"""Attaching and detaching alone, and what becomes of both when one launcher has many targets.

Runs in the benchmark. One process enters sixty programs, one ten, and one has one at a time;
for those that are measured they take turns. Processor time is told beside the time that
passes, since with so many processes others are in the way.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, scaled
from ..targets import PROGRAMS, Target
from ..wire import Unanswered

_ONE, _FEW, _MANY = 1, 10, 60
_SHOWN = 8
"""So many of each, attached to last and left first, show what their number costs."""

_ASKED = 8
"""Programs of a round that a kernel enters by its commands."""

_NEEDED = _ASKED + _MANY + _FEW + _SHOWN + 1
_SCALING = Budget(1.5)

_FLOOR, _COMMAND = "an empty script", "by a command"
_PEERS = {_ONE: "one at a time", _FEW: "one of 10"}

type Taken = list[tuple[float, float]]


@dataclass
class Series:
    """Seconds that an act took, and those of processor time, by how many there were, or how."""

    passed: dict[object, list[float]] = field(default_factory=dict)
    used: dict[object, list[float]] = field(default_factory=dict)

    def add(self, who: object, taken: Taken) -> None:
        self.passed.setdefault(who, []).extend(passed for passed, _ in taken)
        self.used.setdefault(who, []).extend(used for _, used in taken)


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    attach, detach, grown = Series(), Series(), list[float]()
    for _ in range(plan.rounds(1, 4)):
        with targets.many_idle(shop.environment, _NEEDED) as programs:
            _by_commands(shop, programs[:_ASKED], attach, detach)
            floor = [_empty_script(shop, program) for program in programs[:_ASKED]]
            attach.passed.setdefault(_FLOOR, []).extend(floor)
            grown.append(_through_the_api(shop, iter(programs[_ASKED:]), attach, detach))
    memory = Row("launcher's memory, each of 60 programs", "MB", "", None, {OURS: grown})
    return [*_rows_of_attaching(attach), *_rows_of_detaching(detach), memory]


def _rows_of_attaching(attach: Series) -> list[Row]:
    name, passed = "attach alone", attach.passed
    return [
        _row(name, passed[_ONE], _FLOOR, passed[_FLOOR]),
        _row(f"{name}, by %attach", passed[_COMMAND], _PEERS[_ONE], passed[_ONE]),
        *_scaling(name, attach, _ONE, _FEW, None, None),
        *_scaling(name, attach, _ONE, _MANY, _SCALING, _SCALING),
    ]


def _rows_of_detaching(detach: Series) -> list[Row]:
    name, passed = "detach alone", detach.passed
    return [
        _row(f"{name}, by %detach", passed[_COMMAND], _PEERS[_FEW], passed[_FEW]),
        *_scaling(name, detach, _FEW, _MANY, None, _SCALING),
    ]


def _scaling(
    name: str,
    series: Series,
    few: int,
    many: int,
    for_time: Budget | None,
    for_processor_time: Budget | None,
) -> list[Row]:
    kinds = (
        ("", series.passed, for_time),
        (", processor time", series.used, for_processor_time),
    )
    return [
        _row(f"{name}{kind}, one of {many}", taken[many], _PEERS[few], taken[few], budget)
        for kind, taken, budget in kinds
    ]


def _row(
    name: str, ours: list[float], peer: str, reference: list[float], budget: Budget | None = None
) -> Row:
    samples = scaled({OURS: ours, REFERENCE: reference}, 1e3)
    return Row(name, "ms", peer, budget, samples, digits=1)


# -- the ways ---------------------------------------------------------------------------


def _by_commands(
    shop: Workshop, programs: Sequence[Target], attach: Series, detach: Series
) -> None:
    """By the commands of a kernel that runs, from the request to the status `idle`."""
    with shop.kernel(OURS, programs[0]) as kernel:
        kernel.run("%detach")
        for program in programs[1:]:
            entering = kernel.run(f"%attach {program.pid}")
            if kernel.run("6 * 7").value() != "42":
                raise Unanswered(f"6 * 7 was not 42 in process {program.pid}")
            leaving = kernel.run("%detach")
            program.await_threads(1)
            attach.passed.setdefault(_COMMAND, []).append(entering.seconds)
            detach.passed.setdefault(_COMMAND, []).append(leaving.seconds)


def _through_the_api(
    shop: Workshop, fresh: Iterator[Target], attach: Series, detach: Series
) -> float:
    """Three processes that take turns: one gets sixty, one ten, and one has one at a time.

    Returns the megabytes that the first of them has grown by for each.
    """

    def take(number: int) -> list[Target]:
        return [next(fresh) for _ in range(number)]

    with Script(shop) as sixty, Script(shop) as ten, Script(shop) as one:
        sixty.attach(take(1))  # what is needed once for all is loaded then
        before = sixty.memory()
        sixty.attach(take(_MANY - _SHOWN - 1))
        ten.attach(take(_FEW - _SHOWN))
        one.attach(take(1))
        one.detach(1)
        for _ in range(_SHOWN):
            attach.add(_MANY, sixty.attach(take(1)))
            attach.add(_FEW, ten.attach(take(1)))
            attach.add(_ONE, one.attach(take(1)))
            one.detach(1)
        grown = (sixty.memory() - before) / (_MANY - 1)
        for _ in range(_SHOWN):
            detach.add(_MANY, sixty.detach(1))
            detach.add(_FEW, ten.detach(1))
        sixty.detach(_MANY - _SHOWN)
        ten.detach(_FEW - _SHOWN)
    return grown


def _empty_script(shop: Workshop, program: Target) -> float:
    """Seconds from `sys.remote_exec` until a script that does nothing else has told us so."""
    pipe, script = shop.place / f"ran-{program.pid}", shop.place / f"empty-{program.pid}.py"
    os.mkfifo(pipe)
    script.write_text(f"open({str(pipe)!r}, 'w').write('x')")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        begun = time.perf_counter()
        sys.remote_exec(program.pid, str(script))
        if not select.select([reader], [], [], 20)[0]:
            raise Unanswered(f"an empty script did not run in process {program.pid}")
        return time.perf_counter() - begun
    finally:
        os.close(reader)


class Script:
    """`programs/attaching.py`, at work."""

    def __init__(self, shop: Workshop) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / "attaching.py")],
            env=shop.environment,
            cwd=shop.place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def attach(self, programs: Sequence[Target]) -> Taken:
        """What each took."""
        taken: Taken = self._ask("attach", *(program.pid for program in programs))
        return taken

    def detach(self, number: int) -> Taken:
        """What each of so many took, of those that were attached to first."""
        taken: Taken = self._ask("detach", number)
        return taken

    def memory(self) -> float:
        """Megabytes."""
        return float(self._ask("memory"))

    def _ask(self, *words: object) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(*words, file=stdin, flush=True)
        if not select.select([stdout], [], [], 120)[0] or not (line := stdout.readline()):
            raise Unanswered(f"the script that attaches did not answer {words[0]}")
        return json.loads(line)
