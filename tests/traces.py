"""Every program, before and after everything that a kernel can do: what is different then?

Runs in pytest (a few programs), and as `make traces`: all of them, which prints the table.
Rule: what may differ stands in `snapshots.py`; and a program that is gone, or no longer does
what it is for, has been harmed, whatever it looks like.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from displays import Display, libraries_of_tcl
from features import LIBRARIES, LOOP, MAIN, PACKAGES, QUIET, STEPS, THREAD, Exercise, Step
from services import SERVICES, Service
from snapshots import Program, Snapshot, differences
from targets import PROGRAMS, eventually, python314, python315

SETTLED_WITHIN = 20.0
"""Seconds within which what the features have begun has ended, on a busy machine."""


@dataclass(frozen=True)
class Subject:
    """A program of tests/programs: how it is started, and what it has of what steps need."""

    args: tuple[str, ...] = ()
    has: frozenset[str] = frozenset({MAIN})
    thread: str = "main"
    task: str = "1"
    python: Callable[[], str] = python314
    steps: tuple[Step, ...] = STEPS
    wake: bool = False
    has_window: bool = False
    expects_errors: bool = False


def own_python() -> str:
    """The one that has our packages."""
    return sys.executable


_PLAIN = frozenset({MAIN})
_LOOP = frozenset({MAIN, LOOP})

SUBJECTS: dict[str, Subject] = {
    "aio_busy": Subject(has=_LOOP),
    "aio_busy, 3.15": Subject(has=_LOOP, python=python315),
    "aio_idle": Subject(has=_LOOP),
    "asleep": Subject(has=frozenset(), wake=True),
    "audited": Subject(),
    "bindable": Subject(expects_errors=True),
    "busy": Subject(),
    "debugged": Subject(has=_PLAIN | {THREAD}, thread="one"),
    "debugged, 3.15": Subject(has=_PLAIN | {THREAD}, thread="one", python=python315),
    "drawing": Subject(("agg",), frozenset(), python=own_python),
    "embedded": Subject(python=own_python),
    "eventletted": Subject(python=own_python, steps=QUIET, expects_errors=True),
    "forker": Subject(),
    "frame": Subject(),
    "gevent_idle": Subject(has=frozenset(), python=own_python, steps=QUIET),
    "gevented": Subject(python=own_python, steps=QUIET),
    "hot": Subject(),
    "idle": Subject(),
    "equipped": Subject(has=_PLAIN | {PACKAGES}, python=own_python, steps=(*STEPS, *LIBRARIES)),
    "interrupted": Subject(("sleep",), frozenset(), wake=True),
    "leaving": Subject(),
    "many_fds": Subject(),
    "monitored": Subject(),
    "no_stdout": Subject(),
    "own_import": Subject(),
    "patched_stdout": Subject(),
    "pausing": Subject(),
    "placed": Subject(("busy",), _PLAIN | {THREAD}, "working"),
    "prefork": Subject(expects_errors=True),
    "qt_window": Subject(("PySide6",), python=own_python, has_window=True),
    "serving, loop": Subject(("loop",), _LOOP),
    "serving, threads": Subject(("threads",)),
    "steps": Subject(),
    "stock": Subject(),
    "store/app": Subject(has=_PLAIN | {THREAD}, thread="worker"),
    "stuck": Subject(has=frozenset()),
    "threaded": Subject(has=_PLAIN | {THREAD}, thread="one"),
    "ticking": Subject(has=_PLAIN | {THREAD}, thread="beside"),
    "told": Subject(),
    "tk_window": Subject(python=own_python, has_window=True),
    "uvlooped": Subject(python=own_python),
    "waits, get": Subject(("get",), frozenset(), wake=True),
    "waits, sleep": Subject(("sleep",), frozenset(), wake=True),
    "waits, selecting": Subject(("selecting",), frozenset(), wake=True),
    "widgets": Subject(has=frozenset(), python=own_python),
}
"""By the name of the program, and what is special about it."""

NOT_HERE: dict[str, str] = {
    "addresses": "waits as `waits` does, and tells addresses of its Python meanwhile",
    "blocked_in": "waits as `waits` does, in what is told of and not woken from",
    "caller": "waits as `waits` does, and calls sockets meanwhile",
    "dying_waker": "a tool of tests: wakes others",
    "front_end": "a tool of tests: a front-end",
    "half_agent": "a tool of tests: a part of an agent",
    "lets_in": "runs scripts that tests give it, and nothing else",
    "mapped": "needs a namespace of users (test_elsewhere.py)",
    "no_proc": "needs a namespace of mounts (test_elsewhere.py)",
    "nudger": "a tool of tests: wakes others",
    "pooled": "is there to be replaced (test_succession.py); of services.py is another pool",
    "points": "what holds others at a step of theirs (faults.py)",
    "renewed": "is there to be replaced (test_succession.py)",
    "rooted": "needs a root of its own (test_elsewhere.py)",
    "services": "of services.py",
    "signalled": "tells the signals that it is sent (test_supervision.py)",
    "stranger": "a tool of tests: another user",
    "struck": "holds locks of the agent's itself, and is not attached to",
    "timed": "ends after two seconds",
    "verdict_idle": "idles for Pythons that can't be attached to",
    "verdict_look": "a tool of tests: looks at others",
    "verdict_thread": "is there to be refused",
    "verdict_tracer": "a tool of tests: traces others",
    "verdict_undumpable": "is there to be refused",
    "verdict_zombie": "is there to be refused",
    "windows": "a module of `drawing`",
    "witness": "what looks",
}
"""The programs of tests/programs that are not subjects, and why."""


@dataclass
class Trace:
    """What came of one program. `problems`: steps that did not come to what they should."""

    name: str
    steps: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    different: dict[str, Any] = field(default_factory=dict)
    harm: str = ""
    commands: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)

    @property
    def is_clean(self) -> bool:
        return not (self.problems or self.different or self.harm)

    def row(self) -> str:
        different = ", ".join(self.different) or "none"
        works = self.harm.partition("\n")[0][:80] or "yes"
        used = f"{self.steps - len(self.problems)}/{self.steps}"
        return f"| {self.name} | {used} | {different} | {works} | {self.seconds:.1f} |"

    def details(self) -> str:
        told = [*self.problems, *(f"{k}: {str(v)[:2000]}" for k, v in self.different.items())]
        return "\n".join([f"-- {self.name}", *told, self.harm])


HEAD = """\
| program | features used | differences | works | s |
|---|---|---|---|---|"""


def trace(name: str) -> Trace:
    """Use everything on a program, and compare."""
    found = Trace(name)
    try:
        if name in SERVICES:
            _trace_service(name, found)
        else:
            _trace_program(name, found)
    except (AssertionError, pytest.fail.Exception) as error:
        found.harm = f"{error}" or "an assertion failed"
    return found


def _trace_program(name: str, found: Trace) -> None:
    subject = SUBJECTS[name]
    with _environment(subject) as env:
        file = name.partition(",")[0] + ".py"
        python = subject.python()
        with Program(PROGRAMS / file, python, subject.args, env) as program:
            program.expected_errors = subject.expects_errors
            exercise = Exercise(
                program.pid, subject.has, subject.steps, subject.thread, subject.task, subject.wake
            )
            _compare(program.snapshot, exercise, found, python == sys.executable)
            assert program.alive(), f"it has ended:\n{program.told()}"


def _trace_service(name: str, found: Trace) -> None:
    kind = SERVICES[name]
    steps = QUIET if "gevent" in kind.has else STEPS
    with Service(kind) as service:
        exercise = Exercise(service.pid, kind.has, steps, wake=kind.wake)
        _compare(service.snapshot, exercise, found, True)
        found.different = {k: v for k, v in found.different.items() if k not in kind.own_changes}
        assert service.works(), "it does not do what it is for"
        assert service.ends_well(), service.told()


def _compare(
    snapshot: Callable[[], Snapshot], exercise: Exercise, found: Trace, has_ipython: bool
) -> None:
    by_itself = _changes_by_itself(snapshot)
    before = snapshot()
    begun = time.monotonic()
    exercise.run()
    found.seconds = time.monotonic() - begun
    found.steps, found.problems = exercise.done, exercise.failed
    found.commands, found.requests = exercise.commands, exercise.requests

    def left() -> dict[str, Any]:
        told = differences(before, snapshot(), interrupted=True, has_ipython=has_ipython)
        return _without(told, by_itself)

    with contextlib.suppress(AssertionError):
        eventually(lambda: not left(), SETTLED_WITHIN, every=0.2)
    found.different = left()


def _changes_by_itself(snapshot: Callable[[], Snapshot]) -> dict[str, Any]:
    """What changes in the program meanwhile, without us: between some looks at it."""
    first, changed = snapshot(), {}
    for _ in range(5):
        time.sleep(0.05)  # not to wait for anything: these are five moments of its life
        for key, what in differences(first, snapshot()).items():
            changed[key] = what | changed.get(key, {}) if isinstance(what, dict) else what
    return changed


def _without(told: dict[str, Any], by_itself: dict[str, Any]) -> dict[str, Any]:
    """Only what does not change by itself, to the single item where there are such."""
    rest: dict[str, Any] = {}
    for key, what in told.items():
        known = by_itself.get(key)
        if isinstance(what, dict) and isinstance(known, dict):
            rest[key] = {name: pair for name, pair in what.items() if name not in known}
        elif known is None:
            rest[key] = what
    return {key: what for key, what in rest.items() if what}


@contextlib.contextmanager
def _environment(subject: Subject) -> Iterator[dict[str, str]]:
    env = {"WITNESS_OF_AUDITS": "1"}
    if subject.has_window:
        with Display() as display:
            env |= {"DISPLAY": display.name, "QT_QPA_PLATFORM": "offscreen"}
            yield env | libraries_of_tcl()
    else:
        yield env


def main() -> None:
    """Print the table: `python tests/traces.py [PROGRAM…]`. Exits with 1 if there is a trace."""
    os.environ["LIVE_KERNEL_JOURNAL"] = "off"  # the user's own is not for this
    print(HEAD, flush=True)
    traces = []
    for name in sys.argv[1:] or [*SUBJECTS, *SERVICES]:
        traces.append(trace(name))
        print(traces[-1].row(), flush=True)
    unclean = [each for each in traces if not each.is_clean]
    for each in unclean:
        print(f"\n{each.details()}")
    sys.exit(bool(unclean))


if __name__ == "__main__":
    main()
