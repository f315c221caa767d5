"""Programs before and after everything that a kernel can do; the rest of them: `make traces`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import staying
import traces
from features import LIBRARIES, QUIET, STEPS, Exercise
from kernels import Kernel
from snapshots import Program
from targets import PROGRAMS, ROOT

from live_kernel.launcher import commands
from live_kernel.launcher.router import Router

pytestmark = [pytest.mark.attach, pytest.mark.client, pytest.mark.harm]

HERE = ("debugged", "aio_busy, 3.15", "uvicorn", "gunicorn, gevent worker")
"""Those that differ most: threads and breakpoints, a loop and the other Python, and programs
that others wrote."""


@cache
def found(name: str) -> traces.Trace:
    return traces.trace(name)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", HERE)
def test_nothing_is_left(name: str) -> None:
    assert found(name).is_clean, found(name).details()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_exercise_uses_every_command_and_request() -> None:
    """Who adds one has to use it in the exercise, too."""
    used = found(HERE[0])
    assert used.commands == commands.COMMANDS.keys()
    answered = {n for n in dir(Router) if n.startswith("_on_") and n.endswith("_request")}
    assert {f"_on_{kind}" for kind in used.requests} >= answered


def test_every_program_is_a_subject_or_is_excused() -> None:
    """Who adds a program says how it is to be attached to, or why not."""
    there = {path.stem for path in PROGRAMS.iterdir() if not path.name.startswith("__")}
    subjects = {name.partition(",")[0].partition("/")[0] for name in traces.SUBJECTS}
    assert there == subjects | traces.NOT_HERE.keys()
    assert not subjects & traces.NOT_HERE.keys()


def test_a_step_that_fails_is_told() -> None:
    """The exercise is no exercise if nothing in it works."""
    steps = [step for step in (*STEPS, *LIBRARIES, *QUIET) if step.ends == "ok"]
    assert len(steps) > 90
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        exercise = Exercise(program.pid, steps=())
        exercise._do(kernel, steps[0].__class__("1 / 0"))
        exercise._do(kernel, steps[0].__class__("1 / 0", ("loop",)))
    assert len(exercise.failed) == 1
    assert "ZeroDivisionError" in exercise.failed[0]


def test_ipython_is_lent_without_a_trace() -> None:
    """Time and again: nothing of what was lent is kept."""

    def held() -> tuple[int, int]:
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("import gc; gc.collect(); gc.collect()")
            count = "sum(type(o) is type and o.__module__.startswith('IPython') for o in _all)"
            return tuple(kernel.value(f"_all = gc.get_objects(); len(_all), {count}"))  # type: ignore[return-value]

    with Program("idle") as program:
        sizes = []
        for _ in range(3):
            with Kernel("--pid", program.pid) as kernel:
                assert kernel.run("%timeit -n1 -r1 pass").status == "ok"
            sizes.append(held())
        assert [classes for _, classes in sizes] == [0, 0, 0]
        assert sizes[2][0] - sizes[1][0] < 100, sizes


# -- what is told of it

WHAT_STAYS = (ROOT / "docs" / "what-stays.md").read_text() if (ROOT / "docs").exists() else ""


def test_what_may_stay_is_what_is_told() -> None:
    """The names in the page are those that the comparison lets pass, no more and no fewer."""
    told = set(re.findall(r"^\| `([^`]+)`", WHAT_STAYS, re.MULTILINE))
    assert told == set(staying.MAY_STAY)


def test_the_page_is_read_by_people() -> None:
    assert "what-stays.md" in (ROOT / "README.md").read_text()
    assert Path(ROOT / "docs" / "what-stays.md").exists()
