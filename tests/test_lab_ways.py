"""From "I see the process" to "the first cell ran": clicks, keys and seconds of each way.

What is counted is what the page hears. The figures are in .artefacts/lab/ways.json; no time is
held to anything, for machines differ.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from lab import SCREENSHOTS, Lab, Notebook, Page, expect
from lab_panel import Bar, Panel, choose, run_command
from snapshots import Program

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("fresh"),
]

_COUNT = """() => {
  window.heard = { clicks: 0, keys: 0 };
  addEventListener("click", event => { heard.clicks += event.detail > 0; }, true);
  addEventListener("keydown", event => {
    heard.keys += !["Control", "Shift", "Alt"].includes(event.key);
  }, true);
}"""


def by_panel(lab: Lab, program: Program) -> None:
    Panel(lab).press(program, "Notebook")


def by_card(lab: Lab, program: Program) -> None:
    lab.card(f"pid {program.pid}").click()


def by_palette(lab: Lab, program: Program) -> None:
    run_command(lab.page, "Attach to Process")
    choose(lab.page, str(program.pid))


def by_status_bar(lab: Lab, program: Program) -> None:
    Bar(lab.page).target.click()
    choose(lab.page, str(program.pid))


def by_magic(lab: Lab, program: Program) -> None:
    """As it was before there was any of these: beside them, for comparison."""
    Notebook(lab).editors.first.click()
    lab.page.keyboard.type(f"%attach {program.pid}\n")


WAYS: dict[str, Callable[[Lab, Program], None]] = {
    "panel": by_panel,
    "card": by_card,
    "palette": by_palette,
    "status bar": by_status_bar,
    "%attach": by_magic,
}


def prepare(lab: Lab, way: str, program: Program) -> None:
    """The process is seen: in the panel, among the cards, or known, in a notebook of no program."""
    if way == "panel":
        expect(Panel(lab).row(program)).to_be_visible()
    elif way == "card":
        expect(lab.card(f"pid {program.pid}")).to_be_visible()
    elif way in ("status bar", "%attach"):
        lab.card("Attach to PID").click()
        expect(Bar(lab.page).target).to_contain_text("No program")
        Notebook(lab).wait_until_idle()


def heard(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("window.heard")
    return found


@pytest.mark.parametrize("way", WAYS)
def test_from_seeing_it_to_the_first_cell(lab: Lab, program: Program, way: str) -> None:
    prepare(lab, way, program)
    lab.page.evaluate(_COUNT)
    begin = time.monotonic()
    WAYS[way](lab, program)
    if way != "%attach":
        expect(Bar(lab.page).target).to_contain_text(f"pid {program.pid}")
    ready = time.monotonic() - begin
    chosen = heard(lab.page)
    notebook = Notebook(lab)
    notebook.editors.first.click()
    lab.page.keyboard.press("Control+End")
    lab.page.keyboard.insert_text("total()")
    lab.page.keyboard.press("Shift+Enter")
    notebook.first.expect("42")
    told = {
        "clicks": chosen["clicks"],
        "keys": chosen["keys"],
        "seconds to the notebook": round(ready, 2),
        "seconds to the first result": round(time.monotonic() - begin, 2),
    }
    file = SCREENSHOTS / "ways.json"
    ways = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(ways | {way: told}, indent=2) + "\n")
    assert chosen["clicks"] <= 1, told
    notebook.close_and_shut_down()
