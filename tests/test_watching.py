"""`%watch`: values that are shown again and again, in real programs and before real clients."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import python315
from terminals import Terminal

pytestmark = [pytest.mark.attach, pytest.mark.client]

NOTEBOOK = {"cellId": "one"}


def in_notebook(kernel: Kernel, code: str) -> Cell:
    """A cell sent as a notebook sends it."""
    content = {"code": code, "allow_stdin": True}
    return Cell(kernel, kernel.send("execute_request", content, metadata=NOTEBOOK)).finish()


def shown(cell: Cell) -> list[dict[str, Any]]:
    """What its display has been, one after the other."""
    found = cell.contents("display_data", "update_display_data")
    return [each["data"] for each in found if "display_id" in each["transient"]]


def counts(text: str) -> int:
    return int(re.findall(r": (\d+) values? in", text)[-1])


# -- what is shown


def test_a_number_is_updated_in_one_display_and_plotted(kernel: Kernel) -> None:
    cell = kernel.run("%watch len(orders) every 20ms for 600ms")
    assert cell.status == "ok"
    updates = cell.contents("update_display_data")
    (first,) = (each for each in cell.contents("display_data") if each["transient"])
    assert {each["transient"]["display_id"] for each in [first, *updates]} == {
        first["transient"]["display_id"]
    }
    assert len(updates) > 2
    last = shown(cell)[-1]
    assert "<svg" in last["text/html"]
    assert "len(orders) = 2" in last["text/plain"]
    assert re.search(r"min 2, mean 2, max 2", cell.stdout)
    assert "its time is over" in cell.stdout


def test_values_that_come_fast_are_drawn_together(kernel: Kernel) -> None:
    kernel.run("import time")
    cell = kernel.run("%watch time.monotonic() every 20ms for 1s")
    texts = [each["text/plain"] for each in shown(cell)[:-1]]  # the last is shown in any case
    values = [float(re.findall(r"= ([\d.]+)", text)[0]) for text in texts]
    assert median(later - value for value, later in pairwise(values)) > 0.05
    assert counts(cell.stdout) >= len(values) > 2


def test_several_numbers_have_a_line_each(kernel: Kernel) -> None:
    kernel.run("import collections; P = collections.namedtuple('P', 'free used')")
    cell = kernel.run("%watch P(len(orders), 7.5) every 20ms for 100ms")
    html = shown(cell)[-1]["text/html"]
    assert html.count('fill="none"') == 2
    assert "free: min 2, mean 2, max 2" in cell.stdout
    assert "used: min 7.5" in cell.stdout


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("word", "'start'"),
        ("nothing_such", "NameError: name 'nothing_such' is not defined"),
        ("1 / 0", "ZeroDivisionError"),
        ("'<b>' * 5000", "truncated"),
        ("[orders, 1]", "<Order 1>"),
        ("10 ** 400 - 1", "999"),
        ("[eval(name, globals()) for name in ['word']]", "['start']"),
    ],
)
def test_whatever_has_no_number_is_text(kernel: Kernel, expression: str, text: str) -> None:
    cell = kernel.run(f"%watch {expression} for 60ms")
    assert cell.status == "ok"
    data = shown(cell)[-1]
    assert text in data["text/plain"]
    assert "<svg" not in data["text/html"]
    assert "<b>" not in data["text/html"]
    assert len(data["text/plain"]) < 2000


def test_an_expression_sees_what_a_cell_sees() -> None:
    with Program("frame") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("mine = 5")
        cell = kernel.run("%watch (word, mine, limit, len([mine for _ in 'ab'])) for 50ms")
        assert "('start', 5, 1000000000, 2)" in shown(cell)[-1]["text/plain"]


def test_it_assigns_nothing(kernel: Kernel, program: Program) -> None:
    before = program.from_inside()["names of __main__"]
    kernel.run("%watch (word := 'changed', other := 1) every 20ms for 50ms")
    assert kernel.value("word") == "start"
    assert "NameError" in kernel.run("other").traceback
    assert program.from_inside()["names of __main__"] == before


def test_a_function_that_returns_is_told_of_and_the_watch_goes_on() -> None:
    with Program("frame") as program, Kernel("--pid", program.pid) as kernel:
        cell = in_notebook(kernel, "%watch count every 20ms")
        kernel.wait(lambda: "count = " in cell.text)
        kernel.run("word = 'return'")
        program.wait_for("returned")
        told = "work() (frame.py:8) has returned; since then at module __main__"
        kernel.wait(lambda: told in cell.text)
        kernel.wait(lambda: "name 'count' is not defined" in cell.text)
        kernel.run("count = 17")
        kernel.wait(lambda: "count = 17" in cell.text)
        kernel.run("%unwatch")


# -- beside other cells, and here


def test_in_a_notebook_it_goes_on_beside_other_cells(kernel: Kernel) -> None:
    cell = in_notebook(kernel, "%watch word every 20ms")
    kernel.run("word = 'other'")
    kernel.wait(lambda: "word = 'other'" in cell.text)
    busy = kernel.begin("while word != 'third': pass")
    later = len(shown(cell))
    kernel.wait(lambda: len(shown(cell)) > later + 2)
    assert not busy.is_done
    kernel.interrupt()
    busy.finish()
    listed = in_notebook(kernel, "%watch")
    assert listed.stdout == "  1  word\n"
    assert in_notebook(kernel, "%unwatch").status == "ok"
    kernel.wait(lambda: "ended by %unwatch" in cell.stdout)
    assert in_notebook(kernel, "%watch").stdout == "Nothing is watched.\n"


def test_what_it_prints_belongs_to_its_cell(kernel: Kernel, program: Program) -> None:
    cell = in_notebook(kernel, "%watch print('printed') every 20ms for 100ms")
    kernel.wait(lambda: "its time is over" in cell.stdout)
    assert "printed\n" in cell.stdout
    assert program.lines() == ["ready"]


def test_an_interrupt_ends_the_one_that_has_the_cell(program: Program) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("%watch word for 60s")
        kernel.wait(lambda: shown(cell))
        kernel.interrupt()
        assert cell.finish().status == "ok"
        assert "ended by interrupt" in cell.stdout
        assert kernel.value("1 + 1") == 2
        kernel.run("%detach")
    program.assert_unharmed_since(before, interrupted=True)


def test_in_a_console_one_line_is_rewritten(kernel: Kernel) -> None:
    cell = kernel.run("%watch len(orders) every 20ms for 100ms", allow_stdin=True)
    assert shown(cell) == []
    lines = cell.stdout.split("\r\x1b[K")
    assert len(lines) > 2
    assert lines[1].startswith("len(orders) = 2  ▁")
    assert cell.stdout.endswith("(its time is over)\n")


def test_beside_a_console_a_line_is_printed_for_what_differs(kernel: Kernel) -> None:
    code = "%watch word every 20ms for 1300ms --beside"
    cell = kernel.run(code, allow_stdin=True)
    kernel.wait(lambda: "word = 'start'\n" in cell.stdout)
    kernel.run("word = 'other'")
    kernel.wait(lambda: "its time is over" in cell.stdout)
    assert cell.stdout.count("word = 'start'\n") == 1
    assert cell.stdout.count("word = 'other'\n") == 1


@pytest.mark.console
def test_a_real_console(program: Program) -> None:
    command = [sys.executable, "-m", "live_kernel", "attach", str(program.pid)]
    with Terminal(command, {"TERM": "xterm-256color"}) as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter("%watch len(orders) every 50ms for 60s")
        terminal.wait_for("len(orders) = 2  ▁▁▁")
        terminal.type("C-c")
        screen = terminal.wait_for("ended by interrupt", "In [2]:")
        assert screen.count("len(orders) = 2") <= 2  # ^C may have begun another line
        terminal.enter("%detach")
        terminal.wait_for("Detached from")


# -- what takes long, fails or hangs


def test_one_that_hangs_is_told_of_and_keeps_no_other(kernel: Kernel) -> None:
    kernel.run("import threading; gate = threading.Event()")
    hanging = in_notebook(kernel, "%watch gate.wait() every 20ms")
    other = in_notebook(kernel, "%watch word every 20ms")
    kernel.wait(lambda: "still being evaluated after" in hanging.text)
    before = len(shown(other))
    kernel.wait(lambda: len(shown(other)) > before + 5)
    kernel.run("gate.set()")
    kernel.wait(lambda: "gate.wait() = True" in hanging.text)
    in_notebook(kernel, "%unwatch all")
    kernel.wait(lambda: "ended by %unwatch" in hanging.stdout and "ended" in other.stdout)


def test_errors_alone_end_it_at_last(kernel: Kernel) -> None:
    cell = kernel.run("%watch nothing_such every 20ms for 60s")
    assert "100 errors (100 errors in a row)" in cell.stdout
    assert counts(cell.stdout) == 100


@pytest.mark.parametrize("raised", ["SystemExit()", "KeyboardInterrupt()", "GeneratorExit()"])
def test_nothing_that_it_raises_gets_out(kernel: Kernel, program: Program, raised: str) -> None:
    kernel.run(f"def bad(): raise {raised}")
    cell = kernel.run("%watch bad() every 20ms for 100ms")
    assert cell.status == "ok"
    assert raised.removesuffix("()") in cell.text
    assert program.errors() == []


def test_beats_that_come_too_late_are_skipped(kernel: Kernel) -> None:
    kernel.run("import time")
    cell = kernel.run("%watch time.sleep(0.1) every 20ms for 600ms")
    assert 2 <= counts(cell.stdout) <= 6


# -- misuse


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("%watch x y", "'x y' can't be watched"),
        ("%watch await x", "can't be watched"),
        ("%watch every 1s", "told when, but not what"),
        ("%watch x every 1ms", "too often"),
        ("%watch x for 1s for 2s", "said twice"),
        ("%watch x for 0s", "no span of time"),
        ("%unwatch", "Nothing is watched"),
        ("%unwatch 7", "Nothing is watched"),
    ],
)
def test_misuse_is_explained(kernel: Kernel, code: str, text: str) -> None:
    assert text in kernel.run(code).traceback


def test_only_the_one_that_is_meant_is_ended(kernel: Kernel) -> None:
    first = in_notebook(kernel, "%watch word every 20ms")
    second = in_notebook(kernel, "%watch seen every 20ms")
    assert "Which one? Watched: 1, 2." in kernel.run("%unwatch").traceback
    kernel.run("%unwatch 2")
    kernel.wait(lambda: "ended by %unwatch" in second.stdout)
    assert "ended" not in first.stdout


# -- leaving


@pytest.mark.parametrize("how", ["detach", "killed"])
def test_the_program_is_left_as_it_was(program: Program, how: str) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        cells = [in_notebook(kernel, f"%watch {x} every 20ms") for x in ("word", "len(orders)")]
        kernel.wait(lambda: all(len(shown(cell)) > 2 for cell in cells))
        if how == "killed":
            kernel.kill_for_good()
        else:
            kernel.run("%detach")
            after = program.after_leaving()
            assert after["threads"] == before["threads"]
    program.after_leaving()
    program.assert_unharmed_since(before)


def test_nothing_of_the_program_is_kept_by_it() -> None:
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import weakref\nclass Thing: pass\nthing = Thing()\nold = weakref.ref(thing)")
        cell = in_notebook(kernel, "%watch thing every 20ms")
        kernel.wait(lambda: len(shown(cell)) > 2)
        kernel.run("thing = None")
        kernel.wait(lambda: "thing = None" in cell.text)
        assert kernel.value("old() is None")
        kernel.run("%unwatch")


def test_another_version_of_python() -> None:
    with Program("idle", python315()) as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run("%watch len(orders) every 20ms for 100ms")
        assert "min 2" in cell.stdout


def test_a_script_waits_for_the_end(program: Program) -> None:
    """As nbclient does: no input, no ids of cells; the next cell comes after it."""
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("%watch word every 20ms for 200ms")
        after = kernel.begin("1 + 1")
        after.finish()
        assert "its time is over" in cell.finish().stdout
