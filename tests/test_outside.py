"""Threads, stacks and tasks of real programs, read from outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from snapshots import Program
from targets import PROGRAMS, eventually, python315

from live_kernel.attach import outside, threadstates
from live_kernel.attach.processes import identify

pytestmark = pytest.mark.attach


def line_of(program: str, text: str) -> int:
    lines = (PROGRAMS / f"{program}.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture(params=["3.14", pytest.param("3.15", marks=pytest.mark.python315)])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    python = python315() if request.param == "3.15" else None
    with Program("stuck", python) as started:
        yield started


def test_thread_states_are_those_that_python_has(program: Program) -> None:
    told = program.from_inside()["threads"]

    def states() -> list[threadstates.ThreadState]:
        found = threadstates.thread_states(program.pid)
        assert sorted(state.ident for state in found) == told
        return found

    found = eventually(states)
    natives = {int(name) for name in program.from_outside()["native threads"]}
    assert {state.native for state in found} == natives
    assert sum(state.holds_gil for state in found) <= 1


def test_whole_stacks_are_read(program: Program) -> None:
    """From before the first call out of C, and whatever alphabet a name is written in."""

    def stacks() -> dict[int, tuple[threadstates.Frame, ...]]:
        states = threadstates.thread_states(program.pid, with_stacks=True)
        found = {state.native: state.stack for state in states}
        assert "wait_for_orders" in str(found)
        assert "größe" in str(found)
        return found

    found = eventually(stacks)
    main = found[program.pid]
    file = str(PROGRAMS / "stuck.py")
    assert main[-1] == (file, line_of("stuck", "asyncio.run(main())"), "<module>")
    assert "BaseEventLoop.run_forever" in [name for _, _, name in main]
    orders = next(stack for stack in found.values() if "wait_for_orders" in str(stack))
    assert orders[0] == (file, line_of("stuck", "while sys.stdin"), "wait_for_orders")
    assert orders[-1][2] == "Thread._bootstrap"
    strange = next(stack for stack in found.values() if "größe" in str(stack))
    assert "größe_世界" in [name for _, _, name in strange]


def test_threads_have_what_the_system_knows(program: Program) -> None:
    threads = {thread.name: thread for thread in outside.threads(identify(program.pid))}
    assert {"MainThread", "orders"} <= set(threads)
    main, orders = threads["MainThread"], threads["orders"]
    assert main.native == program.pid
    assert main.seconds > 0
    assert orders.ident in program.from_inside()["threads"]
    assert eventually(lambda: threads["orders"].state.descriptor == "pipe")
    assert not any(thread.is_kernels for thread in threads.values())


def test_tasks_are_read(program: Program) -> None:
    def tasks() -> dict[str, dict[str, object]]:
        found = outside.python(identify(program.pid), with_tasks=True).tasks
        by_name = {str(task["name"]): task for task in found}
        assert {"fetch-1", "gathered"} <= set(by_name)
        assert "sleep" in str(by_name["fetch-1"]["frames"])
        return by_name

    by_name = eventually(tasks)
    main = next(task for task in by_name.values() if "'main'" in str(task["frames"]))
    assert by_name["fetch-1"]["waiters"] == [main["id"]]


def test_of_another_process_with_the_same_pid_nothing_is_told(program: Program) -> None:
    process = identify(program.pid)
    assert outside.threads(process) != []
    assert outside.threads(process._replace(start_time=process.start_time - 1)) == []


def test_of_a_process_that_has_gone_nothing_is_told(program: Program) -> None:
    process = identify(program.pid)
    program.expected_to_end = True
    program.close()
    assert outside.threads(process) == []
    assert outside.python(process, with_tasks=True) == ({}, [])
