"""What a person does in JupyterLab with a live program, from the card in the launcher to the
notebook's end. Screenshots of each step are kept in .artefacts/lab/.
"""

from __future__ import annotations

import re
import sys

import pytest
from lab import Browser, Lab, Notebook, expect
from snapshots import Program
from targets import Target, eventually

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(120)]


def attached(program: Target) -> dict[str, object]:
    """Metadata of a notebook that is meant for this program."""
    return {"live_kernel": {"target": str(program.pid)}}


def assert_plain(text: str) -> None:
    """No colours left as codes, and nothing about how we run cells."""
    assert not re.search(r"\x1b|\[\d+(;\d+)*m", text), text
    assert "live_kernel" not in text


def assert_left(lab: Lab, program: Program, before: dict[str, object], **allowed: bool) -> None:
    """No launcher is left, nor anything of it in the program, which runs on."""
    eventually(lambda: not lab.launchers(), what="no launcher is left")
    assert not list(lab.home.glob("runtime/*.live-kernel"))
    program.assert_unharmed_since(before, **allowed)


def test_picks_a_program_at_the_prompt_and_changes_it(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    lab.open_launcher()
    lab.screenshot("attach-1-launcher")
    with lab.notebook() as notebook:
        first = notebook.run("orders")
        first.expect("Attach to (pid, or text of its command line):")
        row = first.box.locator("tr", has_text=str(program.pid))
        expect(row).to_contain_text("idle.py")
        expect(row).to_contain_text("yes")
        lab.screenshot("attach-2-prompt")

        first.answer(str(program.pid))
        text = first.text()
        assert f"Attached to pid {program.pid}" in text
        assert "cells see module __main__ (idle.py)" in text
        assert text.endswith("[<Order 1>, <Order 2>]")
        expect(first.alarms).to_have_count(0)

        assert not notebook.run("word = 'changed'").text()
        program.wait_for("word is changed")
        assert notebook.run("total()").text() == "42"
        lab.screenshot("attach-3-changed")

        listed = notebook.run("%ps").wait_until_done()
        expect(listed.box.locator("th")).to_have_text(
            ["PID", "Python", "User", "Up", "Command", "Attach"]
        )
        expect(listed.box.locator("tbody tr", has_text=str(program.pid))).to_have_count(1)
        status = notebook.run("%status").text()
        assert re.search(r"State: +attached", status)
        assert re.search(r"Cells see: +module __main__", status)
        lab.screenshot("attach-4-ps-and-status")
    lab.screenshot("attach-5-closed")
    assert_left(lab, program, before)


def test_says_at_the_prompt_what_is_wrong_with_an_answer(lab: Lab, program: Program) -> None:
    with lab.notebook() as notebook:
        wrong = notebook.run("orders")
        wrong.answer("no such program")
        wrong.expect("no attachable process has 'no such program' in its command line")
        assert_plain(wrong.text())
        given_up = notebook.run("orders")
        expect(given_up.question).to_be_visible()
        notebook.interrupt()
        given_up.expect("No program was named.")
        given_up.wait_until_done()
        lab.screenshot("prompt-1-wrong-answers")

        right = notebook.run("orders")
        right.answer(str(program.pid))
        assert right.text().endswith("[<Order 1>, <Order 2>]")


def test_shows_all_that_a_cell_puts_out(lab: Lab, program: Program) -> None:
    with lab.file("output.ipynb", [], **attached(program)) as notebook:
        table = notebook.run(
            "class Stock:\n"
            "    def _repr_html_(self):\n"
            "        return '<table><tr><th>Fruit<td><b>apple</b></table>'\n"
            "Stock()"
        )
        expect(table.box.locator("table b")).to_have_text("apple")
        assert table.text().startswith(f"Attached to pid {program.pid}")
        both = notebook.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nNone")
        assert both.text().split() == ["out", "err"]
        expect(both.alarms).to_have_text("err")

        asked = notebook.run("input('Your name? ') * 2")
        asked.answer("ada")
        assert "'adaada'" in asked.text()

        wrong = notebook.run("def sell(n):\n    return orders[n]\n\nsell(2)")
        lines = wrong.text().splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert "    sell(2)" in lines
        assert "    return orders[n]" in lines
        assert lines[-1] == "IndexError: list index out of range"
        assert_plain(wrong.text())
        lab.screenshot("output-1-html-and-traceback")


def test_streams_and_is_interrupted(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    with lab.file("endless.ipynb", [], **attached(program)) as notebook:
        endless = notebook.run("print('begun')\nwhile True:\n    pass")
        endless.expect("begun")
        expect(endless.prompt).to_have_text("[*]:")
        lab.screenshot("interrupt-1-running")
        notebook.interrupt()
        endless.expect("KeyboardInterrupt")
        assert_plain(endless.wait_until_done().text())  # what is run before would be aborted
        assert notebook.run("total()").text() == "42"
        lab.screenshot("interrupt-2-interrupted")
    assert_left(lab, program, before, interrupted=True)


def test_restarts_into_the_same_program(lab: Lab, program: Program) -> None:
    before = program.snapshot()
    with lab.notebook() as notebook:
        notebook.run(f"%attach {program.pid}\nmine = 1").wait_until_done()
        first = notebook.run("mine, word")
        assert first.text() == "(1, 'start')"
        notebook.run("word = 'kept'").wait_until_done()

        notebook.restart()
        again = notebook.run("word")
        assert again.text().startswith(f"Attached to pid {program.pid}")
        assert again.text().endswith("'kept'")
        expect(again.prompt).to_have_text("[1]:")
        assert "NameError: name 'mine' is not defined" in notebook.run("mine").text()
        lab.screenshot("restart-1-attached-again")
    assert_left(lab, program, before)


def test_goes_on_in_a_page_that_is_opened_later(lab: Lab, program: Program) -> None:
    with lab.file("later.ipynb", [], **attached(program)) as notebook:
        notebook.run("mine = 1").wait_until_done()
        launchers = lab.launchers()
        notebook.save()
        lab.open()
        lab.open_file("later.ipynb")
        notebook.wait_until_idle()
        assert notebook.run("mine, total()").text() == "(1, 42)"
        assert lab.launchers() == launchers


def test_widgets_move_in_the_program(lab: Lab) -> None:
    """A slider calls back into the target, also while a cell runs there (by a subshell)."""
    with Target("idle", sys.executable) as program:
        with lab.file("widgets.ipynb", [], **attached(program)) as notebook:
            shown = notebook.run(
                "import ipywidgets\n"
                "slider = ipywidgets.IntSlider(value=5, description='Orders')\n"
                "def changed(change):\n"
                "    global word\n"
                "    word = f'slider {change.new}'\n"
                "slider.observe(changed, 'value')\n"
                "slider"
            )
            handle = shown.box.locator(".noUi-handle")
            expect(handle).to_be_visible()
            handle.press("ArrowRight")
            program.wait_for("word is slider 6")
            expect(shown.box.locator(".widget-readout")).to_have_text("6")
            lab.screenshot("widgets-1-slider")
            assert notebook.run("slider.value").text() == "6"

            notebook.run("slider.value = 40").wait_until_done()
            expect(shown.box.locator(".widget-readout")).to_have_text("40")

            running = notebook.run(
                "import time\nwhile slider.value == 40: time.sleep(0.01)\n'moved'"
            )
            expect(running.prompt).to_have_text("[*]:")
            handle.press("ArrowLeft")
            program.wait_for("word is slider 39")
            assert running.text() == "'moved'"
            lab.screenshot("widgets-2-beside-a-cell")

            output = notebook.run(
                "out = ipywidgets.Output()\nwith out:\n    print('captured')\nout"
            )
            expect(output.box.locator(".jp-OutputArea-output .jp-OutputArea")).to_contain_text(
                "captured"
            )
            lab.screenshot("widgets-3-output")
        assert program.errors() == []


def test_completes_and_explains(lab: Lab, program: Program) -> None:
    with lab.file("help.ipynb", [], **attached(program)) as notebook:
        notebook.run("# attached").wait_until_done()
        assert {"ord", "orders"} <= set(notebook.complete("ord"))
        lab.screenshot("help-1-completion")
        lab.page.keyboard.press("Escape")
        lab.page.keyboard.type("ers[0].")
        lab.page.keyboard.press("Tab")
        offered = lab.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-match")
        expect(offered).to_contain_text(["number", "secret", "total"])
        lab.screenshot("help-2-attributes")
        lab.page.keyboard.press("Escape")
        lab.page.keyboard.insert_text("total")
        lab.page.keyboard.press("Shift+Tab")
        expect(lab.page.locator(".jp-Tooltip")).to_contain_text("int")
        lab.screenshot("help-3-tooltip")
        lab.page.keyboard.press("Escape")
        lab.page.keyboard.press("Shift+Enter")

        page = notebook.run("total?").text()
        assert re.search(r"Signature: +total\(\)", page)
        assert "idle.py" in page
        assert_plain(page)
        lab.screenshot("help-4-page")
    assert not [line for line in program.lines() if "property run" in line]


@pytest.mark.parametrize("kernel", ["python3", "live-attach"])
def test_runs_no_cell_behind_a_failed_one(lab: Lab, program: Program, kernel: str) -> None:
    """As ipykernel does it, which is asked the same; it needs a slow cell to be sure."""
    cells = ["import time; time.sleep(0.3)", "1/0", "'two'", "'three'"]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    name = f"queued-{kernel}.ipynb"
    with lab.file(name, cells, kernelspec=spec, **attached(program)) as notebook:
        for number in (1, 3):
            ran, failed, *behind = notebook.run_all()
            expect(failed.prompt).to_have_text(f"[{number + 1}]:")
            expect(ran.prompt).to_have_text(f"[{number}]:")
            for cell in behind:
                expect(cell.prompt).to_have_text("[ ]:")
                expect(cell.outputs).to_have_count(0)
        expect(failed.alarms).to_contain_text("ZeroDivisionError")
        lab.screenshot(f"queue-1-{kernel}")
        assert notebook.run("1 + 1").text() == "2"


def test_fails_faster_than_the_page_sends_cells(lab: Lab, program: Program) -> None:
    """A browser that is slow to send all cells sends most of them after the first has failed."""
    cells = ["nobody", *["word = 'must not be'"] * 20]
    with lab.file("slow-page.ipynb", cells, **attached(program)) as notebook:
        browser = lab.page.context.new_cdp_session(lab.page)
        browser.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        for _ in range(3):
            failed, *behind = notebook.run_all()
            failed.expect("NameError")
            notebook.wait_until_idle()
            for cell in behind:
                expect(cell.prompt).to_have_text("[ ]:")
        browser.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        assert notebook.run("word").text() == "'start'"


def test_a_cell_run_before_there_is_a_session(lab: Lab, program: Program) -> None:
    """JupyterLab then starts two launchers, which both attach, and ends one of them."""
    before = program.snapshot()
    started = lab.server_log().count("Kernel started")
    opened = lab.file("early.ipynb", ["total()"], wait=False, **attached(program))
    with lab.slow_to_tell_sessions(), opened as notebook:
        notebook.first.run()
        notebook.wait_until_idle()
        both = started + 2
        eventually(lambda: lab.server_log().count("Kernel started") == both, what="two have begun")
        eventually(lambda: len(lab.launchers()) == 1, what="one launcher is left")
        notebook.first.run()
        assert notebook.first.text().endswith("42")
        lab.screenshot("early-1-cell")
    assert_left(lab, program, before)


def test_says_what_became_of_the_program(lab: Lab) -> None:
    with Target("idle") as program, lab.file("ended.ipynb", [], **attached(program)) as notebook:
        running = notebook.run("print('begun')\nwhile True:\n    pass")
        running.expect("begun")
        program.close()
        running.expect(f"pid {program.pid}")
        running.expect("was killed by SIGKILL")
        assert_plain(running.text())
        lab.screenshot("ended-1-told")

        asked = notebook.run("total()")
        asked.expect("was killed by SIGKILL")
        with Target("idle") as other:
            asked.answer(str(other.pid))
            assert asked.text().endswith("42")
            lab.screenshot("ended-2-another-program")


def test_says_which_program_of_the_metadata_is_not_there(lab: Lab, program: Program) -> None:
    metadata = {"live_kernel": {"target": "orders-service"}}
    with lab.file("absent.ipynb", ["total()"], **metadata) as notebook:
        (cell,) = notebook.run_all()
        cell.expect("the metadata of absent.ipynb: no attachable process has 'orders-service'")
        lab.screenshot("absent-1-prompt")
        cell.answer(str(program.pid))
        assert cell.text().endswith("42")


def test_tells_why_a_program_is_not_entered_yet(lab: Lab) -> None:
    with Target("asleep") as asleep, lab.notebook() as notebook:
        given_up = notebook.run(f"%attach {asleep.pid}")
        given_up.expect(f"Waiting: pid {asleep.pid}'s main thread waits in futex (a lock)")
        notebook.interrupt()
        given_up.expect("Gave up entering")
        assert_plain(given_up.text())

        waiting = notebook.run(f"%attach {asleep.pid}\nstate")
        waiting.expect("Waiting: ")
        lab.screenshot("blocked-1-waiting")
        asleep.send("wake")
        assert waiting.text().endswith("'awake'")
        lab.screenshot("blocked-2-entered")


def test_wakes_a_program_when_told_to(lab: Lab) -> None:
    with Target("asleep") as asleep, lab.notebook() as notebook:
        asked = notebook.run(f"%attach {asleep.pid}\nstate")
        asked.expect("wakes it: it calls Py_AddPendingCall")
        expect(asked.question).to_be_visible()
        lab.screenshot("woken-1-asked")
        asked.answer("y")
        assert asked.text().endswith("'asleep'")
        lab.screenshot("woken-2-entered")


def test_a_program_that_wakes_while_one_is_asked(lab: Lab) -> None:
    """The cell goes on; Lab runs no other one until its question has been answered somehow."""
    with Target("asleep") as asleep, lab.notebook() as notebook:
        asked = notebook.run(f"%attach {asleep.pid}\nstate")
        expect(asked.question).to_be_visible()
        asleep.send("wake")
        asked.expect("'awake'")
        asked.answer("")
        assert notebook.run("state * 2").text().endswith("'awakeawake'")


def test_stopping_the_server_leaves_the_program(browser: Browser, program: Program) -> None:
    before = program.snapshot()
    with Lab(browser) as lab:
        notebook = Notebook(lab)
        lab.card("Attach to PID").click()
        notebook.wait_until_idle()
        notebook.run(f"%attach {program.pid}\nword = 'kept'").wait_until_done()
        program.wait_for("word is kept")
        running = notebook.run("while True:\n    pass")
        expect(running.prompt).to_have_text("[*]:")
        lab.stop_server()
        lab.screenshot("stop-1-server-gone")
        assert_left(lab, program, before, interrupted=True)


def test_the_resource_panel_tells_of_the_program(lab: Lab, program: Program) -> None:
    """jupyter-resource-usage asks the kernel, which tells of its target."""
    with lab.file("usage.ipynb", [], **attached(program)) as notebook:
        notebook.run("keep = b'x' * 300_000_000").wait_until_done()
        lab.page.get_by_role("tab", name="Kernel usage").click()
        panel = lab.page.locator("#jp-right-stack")
        expect(panel).to_contain_text(f"Process ID: {program.pid}")
        expect(panel).to_contain_text(re.compile(r"Memory: (29|3\d)\d\.\d+ MB"))
        lab.screenshot("usage-1-panel")
        lab.page.get_by_role("tab", name="Kernel usage").click()


def test_looks_at_the_program_while_a_cell_runs(lab: Lab) -> None:
    with (
        Program("stuck") as program,
        lab.file("looks.ipynb", [], **attached(program)) as notebook,
    ):
        assert "MainThread" in notebook.run("%threads").text()
        running = notebook.run("while True: pass")
        expect(running.prompt).to_have_text("[*]:")
        threads = notebook.run("%threads").wait_until_done()
        expect(threads.box.locator("th")).to_have_text(
            ["Thread", "Id", "Ident", "State", "At", "GIL", "CPU"]
        )
        tasks = notebook.run("%tasks").wait_until_done()
        expect(tasks.box.locator("tbody tr", has_text="─ fetch-1")).to_have_count(1)
        place = notebook.run("%where").wait_until_done()
        expect(place.box.locator("div", has_text="The main thread waits").last).to_be_visible()
        expect(running.prompt).to_have_text("[*]:")
        lab.screenshot("looks-1-while-a-cell-runs")
        notebook.interrupt()
        running.expect("KeyboardInterrupt")
        running.wait_until_done()
        assert "Cells see fetch()" in notebook.run("%task fetch-1").text()
        assert notebook.run("page").text() == "'page 1'"
