"""What a person sees in JupyterLab of guard rails: the strip at attach, the question, a refusal."""

from __future__ import annotations

import pytest
from lab import Lab, expect
from snapshots import Program
from test_lab import assert_left

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(120)]


def test_asks_before_a_cell_and_only_looks(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    with lab.notebook() as notebook:
        attach = notebook.run(f"%attach --confirm --idle 1h {program.pid}").wait_until_done()
        attach.expect("asks before each cell (%attach --confirm)")
        attach.expect("detaches after 1 h without use")
        strip = attach.box.locator("div[style*='background']", has_text=f"pid {program.pid}").last
        expect(strip).to_be_visible()
        cell = notebook.run("# which order\norders[0]")
        prompt = cell.box.locator(".jp-Stdin-prompt")
        expect(prompt).to_contain_text(f"Run this in pid {program.pid}")
        expect(prompt).to_contain_text("orders[0]")
        expect(prompt).to_contain_text("[y/N;")
        lab.screenshot("guard-1-question")
        cell.answer("y")
        cell.wait_until_done().expect("<Order 1>")
        no = notebook.run("orders.clear()")
        expect(no.question).to_be_visible()
        notebook.interrupt()
        no.expect("nobody has said yes to it")
        no.wait_until_done()
        notebook.run("%threads").wait_until_done().expect("MainThread")
        notebook.run(f"%attach --observe {program.pid}").wait_until_done().expect("only looks")
        refused = notebook.run("orders.clear()").wait_until_done()
        refused.expect("OnlyLooks: The cell is refused")
        watch = notebook.run("%watch len(orders) for 300ms").wait_until_done()
        watch.expect("len(orders) = 2")
        lab.screenshot("guard-2-only-looks")
    assert_left(lab, program, before)
