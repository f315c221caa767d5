"""`%trace`: the calls of one function in a running program, which notices nothing."""

from __future__ import annotations

import re

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import PROGRAMS, eventually, python314, python315

pytestmark = [pytest.mark.attach, pytest.mark.client]

STORE = PROGRAMS / "store" / "app.py"


@pytest.fixture(params=["3.14", "3.15"])
def store(request: pytest.FixtureRequest) -> Program:
    return Program(STORE, python315() if request.param == "3.15" else python314())


def lines(cell: Cell) -> list[str]:
    """What it tells of calls, without its last word and notes."""
    told = cell.stdout.splitlines()
    return [line for line in told if not line.startswith(("%trace", "(", "…"))]


def last_word(cell: Cell) -> str:
    return next(line for line in cell.stdout.splitlines() if line.startswith("%trace"))


def test_calls_are_shown_as_they_were(store: Program) -> None:
    """Arguments, results, exceptions, durations, callers, threads; no `__repr__` is run."""
    with store as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            cell = kernel.run("%trace pricing.price -n 20")
            told = lines(cell)
            assert len(told) == 20
            returned = next(line for line in told if "total=1>, discount=0) = 1.0" in line)
            assert re.search(
                r"pricing\.price\(order=<Order total=1>, discount=0\) = 1\.0 ", returned
            )
            assert re.search(r"   [\d.e-]+ [mµ]?s   from \w+(\.<\w+>)?\w*, \w+\.py:\d+", returned)
            raised = next(line for line in told if "raised" in line)
            assert "raised ValueError('negative', <Order total=-1>)" in raised
            assert any(line.endswith("   on worker") for line in told)
            assert any("from show, views.py:" in line for line in told)
            assert "20 calls in" in last_word(cell)
            assert "that many were asked for" in last_word(cell)
            assert program.from_inside()["monitoring"] == before["monitoring"]
            kernel.run("%detach")
        program.after_leaving()
        program.assert_unharmed_since(before)


@pytest.mark.parametrize(
    ("function", "call", "note"),
    [
        ("pricing.fancy", r"pricing.fancy\(number=\d+\) = \d+", "fancy is decorated"),
        ("pricing.Order.pay", r"self=<Order total=\d+>, by='card'\) = \d+", ""),
        ("pricing.Order.big", r"= False", "is a property: this is about its getter"),
        ("pricing.Order.empty", r"empty\(\) = 'empty'", ""),
        ("pricing.Order.kind", r"kind\(cls=Order\) = 'Order'", ""),
        ("pricing.Order", r"total=-?\d+\) = None", "is a class: this is about its __init__"),
        ("pricing.numbers", r"count=2\) = None .* paused 2 times", ""),
        ("pricing.fetch", r"number=3\) = 6 .* paused once .*on looper", ""),
        ("views.closed", r"<lambda>|views.closed\(", "is a closure"),
        ("wrapper", r"wrapper\(\*\(\d+,\)\) = \d+", "is a closure"),
        ("step", r"step\(number=1, handler=<function price>\)", ""),
    ],
)
def test_functions_of_all_kinds(function: str, call: str, note: str) -> None:
    with Program(STORE) as program, Kernel("--pid", program.pid) as kernel:
        if function == "views.closed":
            kernel.run("import views, pricing\nviews.closed(pricing.Order(1))")
            cell = kernel.begin("%trace views.closed -n 1 for 5s --beside", allow_stdin=True)
            kernel.wait(lambda: note in cell.stdout)
            kernel.run("views.closed(pricing.Order(1))")
            kernel.wait(lambda: "that many" in cell.stdout)
        else:
            cell = kernel.run(f"%trace {function} -n 3")
        assert re.search(call, cell.stdout), cell.stdout
        assert note in cell.stdout


def test_recursion_is_indented() -> None:
    with Program(STORE) as program, Kernel("--pid", program.pid) as kernel:
        told = "\n".join(lines(kernel.run("%trace pricing.factorial -n 30")))
        assert re.search(r"^· · pricing\.factorial\(number=1\) = 1 ", told, re.MULTILINE)
        assert re.search(r"^pricing\.factorial\(number=3\) = 6 ", told, re.MULTILINE)


def test_a_call_from_the_event_loop_and_one_that_does_not_return() -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "import asyncio\nstay = asyncio.Event()\nasync def waits(): await stay.wait()\n"
            "async def begin(): return asyncio.create_task(waits())"
        )
        cell = kernel.begin("%trace waits -n 1 --beside", allow_stdin=True).finish()
        kernel.run("task = await begin()")
        kernel.run("%untrace")
        kernel.wait(lambda: "ended by %untrace" in cell.stdout)
        assert re.search(r"waits\(\)   has not returned for .*from the event loop", cell.stdout)
        kernel.run("stay.set(); await task")


def test_coroutines_side_by_side_and_one_that_is_cancelled() -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "import asyncio\nstay = asyncio.Event()\nasync def waits(number): await stay.wait()\n"
            "async def begin(): return [asyncio.create_task(waits(n)) for n in range(3)]"
        )
        cell = kernel.run("%trace waits -n 3 --beside")
        kernel.run("tasks = await begin(); await asyncio.sleep(0.01)")
        kernel.run("tasks[1].cancel(); stay.set(); await asyncio.wait(tasks)")
        kernel.wait(lambda: "that many" in cell.stdout)
        told = sorted(lines(cell))
        assert [line.partition("   ")[0] for line in told] == [
            "waits(number=0) = None",
            "waits(number=1) raised CancelledError()",
            "waits(number=2) = None",
        ]
        assert all("paused once" in line for line in told)


def test_only_calls_that_are_wanted() -> None:
    with Program(STORE) as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("least = 0")
        cell = kernel.run("%trace pricing.price -n 4 if order.total < least and rate == 1.0")
        assert len(lines(cell)) == 4
        assert all("total=-1" in line for line in lines(cell))
        failing = kernel.run("%trace pricing.price if nothing_such")
        assert "its condition failed 100 times" in last_word(failing)
        assert "NameError: name 'nothing_such'" in last_word(failing)
        assert failing.stdout.count("its condition raises NameError") == 1


def test_it_ends_in_time_and_by_interrupt(kernel: Kernel, program: Program) -> None:
    """Also where no call was seen."""
    cell = kernel.run("%trace total for 50ms")
    assert "0 calls" in last_word(cell)
    assert "its time is over" in last_word(cell)
    cell = kernel.begin("%trace total for 60s", allow_stdin=True)
    eventually(lambda: "live-kernel: traces" in program.from_inside()["monitoring"])
    kernel.interrupt()
    assert cell.finish().status == "ok"
    assert "ended by interrupt" in last_word(cell)
    assert program.from_inside()["monitoring"] == [None] * 6


def test_traces_beside_each_other() -> None:
    with Program(STORE) as program, Kernel("--pid", program.pid) as kernel:
        first = kernel.run("%trace pricing.price -n all --beside")
        second = kernel.run("%trace pricing.fetch -n all --beside")
        assert "traced already" in kernel.run("%trace views.price").traceback
        assert kernel.run("%trace").stdout.splitlines()[-2:] == [
            "  1  pricing.price",
            "  2  pricing.fetch",
        ]
        kernel.wait(lambda: len(lines(first)) > 5 and len(lines(second)) > 5)
        kernel.run("%untrace 1")
        kernel.wait(lambda: "ended by %untrace" in first.stdout)
        seen = len(lines(second))
        kernel.wait(lambda: len(lines(second)) > seen + 5)
        kernel.run("%untrace all")
        assert program.from_inside()["monitoring"] == [None] * 6


def test_what_comes_too_fast_is_counted() -> None:
    with Program("hot") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run("%trace work -n all for 500ms")
        assert re.search(r"… [\d,]+ calls more, not shown", cell.stdout)
        told = [line for line in lines(cell) if "has not returned" not in line]
        assert len(told) <= 1010
        counted = re.search(r"([\d,]+) calls in .*; ([\d,]+) shown", last_word(cell))
        assert counted is not None
        seen, shown = (int(each.replace(",", "")) for each in counted.groups())
        assert seen > shown == len(told)


def test_a_trace_of_very_many_calls_ends() -> None:
    with Program("hot") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run("%trace work -n all for 60s", timeout=60)
        assert "1,000,000 calls were seen" in last_word(cell)
        assert program.from_inside()["monitoring"] == [None] * 6


def test_exceptions_of_signal_handlers_get_through() -> None:
    """They fall into our own code in the middle of calls, and are the program's."""
    with Program("hot") as program, Kernel("--pid", program.pid) as kernel:
        before = kernel.value("raised")
        kernel.run("alarms = True")
        for _ in range(5):
            kernel.run("%trace work -n all for 200ms")
        eventually(lambda: kernel.value("raised") > before + 100)
        kernel.run("alarms = False")
        assert program.lines() == ["ready"]


def test_other_tools_are_left_alone() -> None:
    with Program("monitored") as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            cell = kernel.run("%trace called -n 30")
            assert len(lines(cell)) == 30
            kernel.run("%trace called -n all for 200ms")
            calls = kernel.value("calls")
            eventually(lambda: kernel.value("calls") > calls + 20)
            kernel.run("%detach")
        program.after_leaving()
        program.assert_unharmed_since(before)
        assert program.lines() == ["ready"]


def test_no_tool_is_free(kernel: Kernel) -> None:
    kernel.run("import sys\nfor tool in 3, 4, 5: sys.monitoring.use_tool_id(tool, f'other {tool}')")
    assert "other 4, other 3, other 5" in kernel.run("%trace total").traceback
    kernel.run("for tool in 3, 4, 5: sys.monitoring.free_tool_id(tool)")
    assert "0 calls" in kernel.run("%trace total for 50ms").stdout


@pytest.mark.parametrize("how", ["detach", "killed"])
def test_leaving_ends_it(store: Program, how: str) -> None:
    with store as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            cell = kernel.run("%trace pricing.price -n all --beside")
            kernel.wait(lambda: len(lines(cell)) > 3)
            if how == "killed":
                kernel.kill_for_good()
            else:
                kernel.run("%detach")
                program.after_leaving()
        program.after_leaving()
        program.assert_unharmed_since(before)
        assert program.lines() == ["ready"]


def test_two_notebooks(program: Program) -> None:
    with Kernel("--pid", program.pid) as one, Kernel("--pid", program.pid) as two:
        one.run("%trace total --beside")
        assert "by another kernel" in two.run("%trace total").traceback
        two.run("%trace Order --beside")
        one.run("%detach")
        eventually(lambda: "live-kernel: traces" in program.from_inside()["monitoring"])
        cell = two.run("%trace total -n 1 --beside")
        two.run("total()")
        two.wait(lambda: "total() = 42" in cell.stdout)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("%trace time.sleep", "has no Python code: it is <builtin_function_or_method sleep>"),
        ("%trace len", "has no Python code"),
        ("%trace nothing.such", "There is no 'nothing.such'"),
        ("%trace word", "has no Python code: it is 'start'"),
        ("%trace 1+1", "no name of a function"),
        ("%trace total -n", "is not understood"),
        ("%trace total -n 0", "would show nothing"),
        ("%trace total if", "is not understood"),
        ("%trace total if x y", "is no condition"),
        ("%trace total every 2s", "is not understood"),
        ("%untrace", "Nothing is traced"),
    ],
)
def test_misuse_is_explained(kernel: Kernel, program: Program, code: str, text: str) -> None:
    kernel.run("import time")
    assert text in kernel.run(code).traceback
    assert program.from_inside()["monitoring"] == [None] * 6


def test_the_program_may_exit_while_it_is_traced(program: Program) -> None:
    program.expected_to_end = True
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("class Last:\n    def __del__(self, total=total): total()\nlast = Last()")
        kernel.run("import __main__; __main__.kept = last")
        kernel.run("%trace total -n all --beside")
        kernel.run("import time\ndef leave(seconds): raise SystemExit(3)\ntime.sleep = leave")
        assert program.wait() == 3
    assert program.errors() == []
