"""From "I see the process" to its end, in JupyterLab's panel; pictures are in .artefacts/lab/."""

from __future__ import annotations

import re
import signal

import pytest
from lab import Browser, Lab, Notebook, expect
from lab_panel import Bar, Panel, choose, ready, run_command
from snapshots import Program
from targets import Target, eventually
from test_lab import assert_left

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("fresh"),
]


def test_a_notebook_from_the_panel_to_its_end(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    panel = Panel(lab)
    row = panel.row(program)
    expect(row).to_contain_text("idle")
    expect(row).to_contain_text(f"pid {program.pid} · Python 3.14")
    expect(row.locator("code")).to_contain_text("idle.py")
    expect(row).to_contain_text(re.compile(r"CPU[\d.]+ %Memory[\d.]+ MBThreads\d"))
    lab.screenshot("panel-1-list")

    notebook = panel.open_notebook(program)
    assert notebook.run("total()").text().endswith("42")
    assert not notebook.run("word = 'changed'").text()
    program.wait_for("word is changed")
    expect(panel.attached(program)).to_have_text("Attached here")
    expect(row.get_by_role("img", name=re.compile("^Memory of late: .* MB"))).to_be_visible()
    lab.screenshot("panel-2-attached")

    endless = notebook.run("print('begun')\nwhile True: pass")
    endless.expect("begun")
    notebook.interrupt()
    endless.expect("KeyboardInterrupt")
    endless.wait_until_done()

    notebook.restart()
    expect(Bar(lab.page).bound).to_be_visible()
    assert notebook.run("total()").text().endswith("42")

    panel.press(program, "Detach")
    expect(panel.told).to_contain_text("which runs on")
    expect(panel.attached(program)).to_have_count(0)
    expect(Bar(lab.page).target).to_contain_text("No program")
    notebook.close_and_shut_down()
    assert_left(lab, program, before, interrupted=True)


def test_a_plot_in_a_program_of_the_panel(lab: Lab) -> None:
    import sys

    with Target("drawing", sys.executable, ["agg"], timeout=60) as program:
        notebook = Panel(lab).open_notebook(program)
        cell = notebook.run("import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()")
        expect(cell.box.locator("img")).to_be_visible()
        lab.screenshot("panel-3-plot")
        notebook.close_and_shut_down()


def test_a_console_from_the_panel(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    Panel(lab).press(program, "Console")
    console = lab.page.locator(".jp-CodeConsole:visible")
    expect(Bar(lab.page).bound).to_contain_text("module __main__")
    # With what the kernel says of itself comes a new prompt.
    expect(console.locator(".jp-CodeConsole-content")).to_contain_text("live-kernel")
    console.locator(".jp-CodeConsole-promptCell .cm-content").click()
    lab.page.keyboard.insert_text("total()")
    lab.page.keyboard.press("Shift+Enter")
    expect(console.locator(".jp-CodeConsole-content")).to_contain_text("42")
    lab.screenshot("panel-4-console")
    lab.choose("File", "Close and Shut Down…")
    lab.confirm("Ok")
    assert_left(lab, program, before)


def test_attaches_what_is_in_front(lab: Lab, program: Program) -> None:
    """A notebook of no program, and one of Python, go into the program; then to another one."""
    panel = Panel(lab)
    with lab.notebook() as notebook:
        expect(Bar(lab.page).target).to_contain_text("No program")
        panel.press(program, "Attach here")
        expect(panel.attached(program)).to_have_text("Attached here")
        assert notebook.run("total()").text().endswith("42")
        with Target("aio_idle") as other:
            panel.press(other, "Attach here")
            expect(Bar(lab.page).target).to_contain_text(f"pid {other.pid}")
            expect(panel.attached(program)).to_have_count(0)
            panel.press(program, "Attach here")
            expect(Bar(lab.page).target).to_contain_text(f"pid {program.pid}")
    with lab.notebook("Python 3") as notebook:
        expect(Bar(lab.page).node).to_be_hidden()
        panel.press(program, "Attach here")
        ready(lab, program)
        assert notebook.run("total()").text().endswith("42")


def test_changes_the_target_and_what_cells_see_in_the_status_bar(
    lab: Lab, program: Program
) -> None:
    with Target("threaded") as other:
        notebook = Panel(lab).open_notebook(program)
        bar = Bar(lab.page)
        bar.target.click()
        choose(lab.page, f"pid {other.pid}", picture="status-1-processes", lab=lab)
        expect(bar.target).to_contain_text(f"pid {other.pid}")
        expect(bar.bound).to_be_visible()

        bar.bound.click()
        choose(lab.page, "json", picture="status-2-places", lab=lab)
        expect(bar.bound).to_contain_text("module json")
        assert "function json.dumps" in notebook.run("dumps").text()
        assert not notebook.run("%module __main__").text().count("json")
        expect(bar.bound).to_contain_text("module __main__")
        lab.screenshot("status-3-bound")
        notebook.close_and_shut_down()
    expect(bar.node).to_be_hidden()


def test_works_with_the_keyboard_alone(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    page = lab.page
    run_command(page, "Show Live Processes")
    expect(page.get_by_role("region", name="Live processes")).to_be_visible()
    panel = Panel(lab)
    expect(panel.search).to_be_focused()
    page.keyboard.type(str(program.pid))
    expect(panel.node.get_by_role("listitem")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(panel.row(program)).to_be_focused()
    page.keyboard.press("Tab")
    expect(panel.row(program).get_by_role("button", name="Notebook")).to_be_focused()
    lab.screenshot("keyboard-1-panel")
    page.keyboard.press("Enter")
    notebook = ready(lab, program)

    run_command(page, "Change What Cells See")
    choose(page, "json")
    expect(Bar(page).bound).to_contain_text("module json")
    run_command(page, "Attach to Process")
    choose(page, f"pid {program.pid}")  # where it is already
    Bar(page).target.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".jp-Dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    expect(Bar(page).target).to_be_focused()
    run_command(page, "Detach from Process")
    expect(Bar(page).target).to_contain_text("No program")
    panel.search.fill("")
    notebook.close_and_shut_down()
    assert_left(lab, program, before)


def test_the_kernel_menu_has_its_commands(lab: Lab, program: Program) -> None:
    notebook = Panel(lab).open_notebook(program)
    lab.choose("Kernel", "Detach from Process")
    expect(Bar(lab.page).target).to_contain_text("No program")
    lab.choose("Kernel", "Attach to Process…")
    choose(lab.page, f"pid {program.pid}")
    expect(Bar(lab.page).target).to_contain_text(f"pid {program.pid}")
    notebook.close_and_shut_down()


def test_two_tabs_tell_the_same(lab: Lab, program: Program) -> None:
    here = Panel(lab)
    notebook = here.open_notebook(program)
    notebook.save()
    other = lab.another_page()
    there = Panel(lab, other)
    expect(there.attached(program)).to_be_visible()
    there.press(program, "Detach")
    expect(there.attached(program)).to_have_count(0)
    expect(Bar(lab.page).target).to_contain_text("No program")
    here.press(program, "Attach here")
    expect(there.attached(program)).to_be_visible()
    other.close()
    notebook.close_and_shut_down()


def test_wakes_a_blocked_program(lab: Lab) -> None:
    with Target("asleep") as program:
        panel = Panel(lab)
        panel.press(program, "Notebook")
        row = panel.row(program)
        expect(row).to_contain_text("Waits to get in: ")
        expect(Bar(lab.page).target).to_contain_text("waits: blocked")
        lab.screenshot("blocked-panel-1")
        panel.press(program, "Wake")
        expect(Bar(lab.page).bound).to_be_visible()
        expect(panel.attached(program)).to_have_text("Attached here")
        Notebook(lab).close_and_shut_down()


def test_opens_what_is_not_among_the_cards(browser: Browser, program: Program) -> None:
    """Of many alike programs some have no card; the panel has them all."""
    with Lab(browser, options=["--LiveKernel.max_specs=1"]) as lab, Target("aio_idle") as other:
        panel = Panel(lab)
        for target, code, value in ((program, "total()", "42"), (other, "40 + 2", "42")):
            notebook = panel.open_notebook(target)
            assert notebook.run(code).text().endswith(value)
            notebook.close_and_shut_down()
        panel.press(program, "Console")
        expect(Bar(lab.page).bound).to_contain_text("module __main__")
        panel.press(other, "Console")
        expect(Bar(lab.page).target).to_contain_text(f"pid {other.pid}")
        expect(lab.page.get_by_role("dialog")).to_have_count(0)


def test_says_why_one_can_t_be_attached(lab: Lab, program: Program) -> None:
    panel = Panel(lab)
    program.process.send_signal(signal.SIGSTOP)
    try:
        expect(panel.row(program)).to_have_count(0)
        panel.node.get_by_role("checkbox", name="Show what can't be attached to").check()
        panel.search.fill(str(program.pid))
        row = panel.row(program)
        expect(row).to_contain_text(re.compile("s stopped"))
        expect(row).to_contain_text("kill -CONT")
        expect(row.get_by_role("button", name="Notebook")).to_be_hidden()
        lab.screenshot("panel-5-why-not")
    finally:
        program.process.send_signal(signal.SIGCONT)
    expect(row.get_by_role("button", name="Notebook")).to_be_visible()
    panel.node.get_by_role("checkbox", name="Show what can't be attached to").uncheck()
    panel.search.fill("")


def test_searches_and_sorts(lab: Lab, program: Program) -> None:
    panel = Panel(lab)
    with Target("aio_idle") as other:
        expect(panel.row(other)).to_be_visible()
        panel.search.fill(f"idle {other.pid}")
        expect(panel.node.get_by_role("listitem")).to_have_count(1)
        panel.search.fill("no such words")
        expect(panel.node).to_contain_text("No process has all of these words.")
        panel.search.fill("")
        panel.node.get_by_role("combobox", name="Order").select_option("Pid")

        def pids() -> list[int]:
            rows = panel.node.get_by_role("listitem").all()
            return [int(row.get_attribute("data-pid") or 0) for row in rows]

        eventually(lambda: pids() == sorted(pids()) and program.pid in pids(), what="by pid")
        panel.node.get_by_role("combobox", name="Order").select_option("Newest first")


def test_keeps_rows_and_focus_while_it_looks_again(lab: Lab, program: Program) -> None:
    panel = Panel(lab)
    row = panel.row(program)
    row.evaluate("row => { row.isTheSame = true; row.focus(); }")
    for _ in range(2):
        with lab.page.expect_response(re.compile("live-kernel/api/processes")):
            pass
    with Target("aio_idle") as newer:
        expect(panel.row(newer)).to_be_visible()
        assert row.evaluate("row => row.isTheSame && row === document.activeElement")


def test_asks_little_while_it_is_hidden(lab: Lab) -> None:
    panel = Panel(lab)
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url))
    panel.toggle()
    asked.clear()
    lab.page.wait_for_timeout(5000)  # in which it would ask twice
    assert sum("live-kernel/api/processes" in url for url in asked) <= 1
    panel.toggle()
    for _ in range(2):
        with lab.page.expect_request(re.compile("live-kernel/api/processes"), timeout=8000):
            pass  # hidden, it would ask after ten seconds


def test_the_launcher_follows_the_processes(lab: Lab) -> None:
    lab.open_launcher()
    with Target("aio_idle") as program:
        expect(lab.card(f"pid {program.pid}")).to_be_visible()
    expect(lab.card(f"pid {program.pid}")).to_have_count(0)


def test_goes_where_the_settings_want_it(lab: Lab, program: Program) -> None:
    settings = lab.home / "settings" / "live-kernel" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('{"area": "right", "all": true}')
    try:
        lab.open()
        icon = lab.page.locator(".jp-SideBar.jp-mod-right [data-id='live-kernel-panel']")
        expect(icon).to_be_visible()
        icon.click()
        checkbox = lab.page.get_by_role("checkbox", name="Show what can't be attached to")
        expect(checkbox).to_be_checked()
        lab.screenshot("panel-6-right")
    finally:
        settings.unlink()
        lab.open()
