"""A program that stands still, in the middle of a cell or of an attach.

Runs in pytest, with real programs that are stopped by SIGSTOP. Rule: nobody waits
without a word, and what was stopped goes on unharmed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import Target

from live_kernel.errors import AgentFailed, TargetStopped
from live_kernel.handle import attach
from live_kernel.launcher import entering

pytestmark = pytest.mark.attach


@contextmanager
def stopped_in_a_cell() -> Iterator[tuple[Program, Kernel, Cell]]:
    """A program that was stopped while it ran a cell without an end."""
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("print('begun', flush=True)\nwhile True: pass")
        cell.wait_for("begun")
        program.signal(signal.SIGSTOP)
        yield program, kernel, cell


@pytest.mark.client
def test_a_stop_in_the_middle_of_a_cell_is_told_of_once() -> None:
    with stopped_in_a_cell() as (program, kernel, cell):
        cell.wait_for("is stopped (SIGSTOP, or Ctrl-Z in its terminal): nothing in it runs")
        cell.wait_for(f"kill -CONT {program.pid}")
        cell.wait_for("This cell goes on when the program does.")
        kernel.interrupt()
        program.signal(signal.SIGCONT)
        cell.finish()
        assert cell.error[0] == "KeyboardInterrupt"
        assert cell.stderr.count("is stopped") == 1
        assert kernel.run("40 + 2").result == "42"


@pytest.mark.client
def test_a_restart_lets_a_stopped_program_go() -> None:
    with stopped_in_a_cell() as (program, kernel, cell):
        cell.wait_for("is stopped (SIGSTOP")
        kernel.restart()
        assert kernel.run("1").error[0] == "TargetStopped"
        program.signal(signal.SIGCONT)
        assert kernel.run(f"%attach {program.pid}\n40 + 2").result == "42"


@pytest.fixture
def half_entered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A program that stands in for one whose agent says hello and no more."""
    with Target("half_agent") as program:

        def inject(_process: object, landing: Any) -> None:
            program.send(f"{landing.path} {landing.token}")

        monkeypatch.setattr(entering.injector, "inject", inject)
        monkeypatch.setattr(entering, "READY_WITHIN", 0.5)
        yield program


def test_an_agent_that_is_never_ready(half_entered: Target) -> None:
    with pytest.raises(AgentFailed, match="it connected, but was not ready within"):
        attach(half_entered.pid)
    half_entered.wait_for("left alone")


def test_a_stop_between_hello_and_ready(
    half_entered: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    introduce = entering.Entering._introduce

    def introduced(*arguments: Any) -> bool:
        half_entered.signal(signal.SIGSTOP)
        return introduce(*arguments)

    monkeypatch.setattr(entering.Entering, "_introduce", introduced)
    with pytest.raises(TargetStopped, match="nothing in it runs") as caught:
        attach(half_entered.pid)
    assert f"kill -CONT {half_entered.pid}" in caught.value.remedy
    half_entered.signal(signal.SIGCONT)
    half_entered.wait_for("left alone")
