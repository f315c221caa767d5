"""Launchers and targets of different Pythons."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from targets import eventually, older_launcher, python314, python315

from live_kernel.handle import attach

pytestmark = pytest.mark.attach

CELLS = [
    ("import sys, os\nsys.version_info[:2], os.getpid()", None),
    ("import time\nword = 'changed'\nwhile seen != word: time.sleep(0.001)\nword", "'changed'"),
    ("def f(): return total()\nf()", "42"),
    ("import asyncio\nawait asyncio.sleep(0.001, 'awaited')", "'awaited'"),
    ("[n for n in range(3)]", "[0, 1, 2]"),
    ("class C:\n    def __repr__(self): return 'shown'\nC()", "shown"),
    ("word = 'start'\nword", "'start'"),
]


def everything(kernel: Kernel, program: Program, version: tuple[int, int]) -> None:
    """A little of all that a kernel does."""
    for code, result in CELLS:
        cell = kernel.run(code)
        assert cell.result == (result or f"({version}, {program.pid})"), cell
    program.wait_for("word is changed")
    cell = kernel.run("def fails():\n    1 / 0\nfails()")
    assert cell.error == ("ZeroDivisionError", "division by zero")
    assert "live_kernel" not in cell.traceback
    assert "orders" in kernel.complete("ord")
    assert kernel.ask("inspect_request", code="total", cursor_pos=5, detail_level=0)["found"]
    kernel.answers.extend(["n", "p n", "c"])
    cell = kernel.run("n = 5\nbreakpoint()\nn", allow_stdin=True)
    assert (cell.result, "\n5\n" in cell.stdout, len(kernel.answers)) == ("5", True, 0), cell
    cell = kernel.begin("print('here', flush=True)\nwhile True: pass")
    cell.wait_for("here")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    kernel.answers.append("Ada")
    assert kernel.run("input()", allow_stdin=True).result == "'Ada'"
    info = kernel.ask("kernel_info_request")
    assert info["language_info"]["version"].startswith(".".join(map(str, version)))
    assert "module __main__" in kernel.run("%status").stdout


def used_and_left(program: Program, version: tuple[int, int], launcher: str) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid, python=launcher) as kernel:
        everything(kernel, program, version)
        kernel.restart()
        assert kernel.run("word").result == "'start'"
    program.assert_unharmed_since(before, interrupted=True)


@pytest.mark.older
def test_older_launcher() -> None:
    """It can't make the call itself: the target's own interpreter does."""
    launcher = older_launcher()
    with Program("idle", python314()) as program:
        used_and_left(program, (3, 14), launcher)


@pytest.mark.older
def test_older_launcher_and_a_blocked_program() -> None:
    launcher = older_launcher()
    with Program("asleep") as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid, python=launcher) as kernel:
            cell = kernel.begin("state")
            cell.wait_for("Waiting: ")
            assert "asleep.py:" in cell.notes
            kernel.interrupt()
            assert cell.finish().error[0] == "TargetBlocked"
            program.send("wake")
            program.wait_for("woken")
            program.assert_unharmed_since(before)
            assert kernel.run(f"%attach {program.pid}\nstate").result == "'awake'"


@pytest.mark.older
def test_older_launcher_and_an_idle_event_loop() -> None:
    launcher = older_launcher()
    with (
        Program("aio_idle") as program,
        Kernel("--pid", program.pid, python=launcher) as kernel,
    ):
        assert kernel.run("await app.fetch(21)").result == "42"


@pytest.mark.python315
def test_newer_target() -> None:
    with Program("idle", python315()) as program:
        used_and_left(program, (3, 15), sys.executable)


@pytest.mark.python315
@pytest.mark.older
def test_older_launcher_and_newer_target() -> None:
    launcher = older_launcher()
    with Program("idle", python315()) as program:
        used_and_left(program, (3, 15), launcher)


@pytest.mark.python315
@pytest.mark.parametrize(
    "name", ["frame", "busy", "aio_idle", "aio_busy", "threaded", "no_stdout", "patched_stdout"]
)
def test_programs_on_315(name: str) -> None:
    with Program(name, python315()) as program:
        before = program.snapshot()
        with attach(program.pid) as handle:
            assert handle.run("print(1)")["status"] == "ok"
            assert handle.run("1 / 0")["status"] == "error"
        program.assert_unharmed_since(before)


@pytest.mark.python315
def test_blocked_on_315() -> None:
    with Program("asleep", python315()) as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            cell = kernel.begin("state")
            cell.wait_for("Waiting: ")
            assert "asleep.py:" in cell.notes
            kernel.interrupt()
            assert cell.finish().error[0] == "TargetBlocked"
        program.send("wake")
        program.wait_for("woken")
        program.assert_unharmed_since(before)


@pytest.mark.python315
def test_frame_of_315() -> None:
    with Program("frame", python315()) as program, attach(program.pid) as handle:
        assert "cells see work() at frame.py:" in handle.description
        assert handle.run("word = 'changed'")["status"] == "ok"
        program.wait_for("local changed None")


@pytest.mark.python315
def test_targets_of_both_versions_in_turn() -> None:
    with (
        Program("idle", python314()) as old,
        Program("idle", python315()) as new,
        Kernel() as kernel,
    ):
        for program, minor in ((old, 14), (new, 15), (old, 14)):
            kernel.run(f"%attach {program.pid}")
            code = "__import__('sys').version_info[1], __import__('os').getpid()"
            assert kernel.value(code) == (minor, program.pid)
        eventually(lambda: "live-kernel" not in new.from_outside()["native threads"].values())


# -- what sys.remote_exec can't find, and nobody can run


def embedding(python: str, directory: Path) -> str:
    """A program that holds a whole Python, under a name of its own."""
    original = Path(python).resolve()
    program = directory / "bin" / "service"
    program.parent.mkdir()
    (directory / "lib").symlink_to(original.parent.parent / "lib")
    shutil.copy2(original, program)
    return str(program)


@pytest.mark.parametrize(
    ("python", "launcher"),
    [
        pytest.param(python314, lambda: sys.executable, id="our version"),
        pytest.param(python315, lambda: sys.executable, id="3.15", marks=pytest.mark.python315),
        pytest.param(python314, older_launcher, id="an older launcher", marks=pytest.mark.older),
    ],
)
def test_python_inside_a_program_of_another_name(
    tmp_path: Path, python: Callable[[], str], launcher: Callable[[], str]
) -> None:
    with Program("idle", embedding(python(), tmp_path)) as program:
        version = (3, 15) if python is python315 else (3, 14)
        used_and_left(program, version, launcher())
