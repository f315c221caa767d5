"""What a person sees in JupyterLab of a value that is watched while other cells run."""

from __future__ import annotations

import pytest
from lab import Lab, expect
from snapshots import Program
from test_lab import assert_left

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_watch_and_a_trace_go_on_below_their_cells(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    with lab.notebook() as notebook:
        notebook.run(f"%attach {program.pid}").expect("Attached to")
        watch = notebook.run("%watch len(orders), total() every 100ms").wait_until_done()
        expect(watch.box.locator("svg[role=img]")).to_have_count(1)
        trace = notebook.run("%trace total -n 3").wait_until_done()
        trace.expect("total() = 42")  # of the watch's, every 100 ms, before there is another total
        notebook.run("orders.append(Order(3, 8))").wait_until_done()
        watch.expect("(3, 50)")
        expect(watch.box.locator("svg text", has_text="total() 50")).to_have_count(1)
        expect(watch.box.locator("svg[role=img]")).to_have_count(1)
        trace.expect("that many were asked for")
        lab.screenshot("watch-1-light")
        notebook.run("%unwatch").wait_until_done()
        watch.expect("ended by %unwatch")
    assert_left(lab, program, before)
