"""The panel in Notebook 7, which has no status bar, and a page for each notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from lab import SCREENSHOTS, Browser, expect
from lab_panel import choose
from playwright.sync_api import Locator, Page
from servers import NotebookSeven
from snapshots import Program

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def seven(browser: Browser) -> Iterator[NotebookSeven]:
    with NotebookSeven(browser) as page:
        yield page


def choose_from_menu(tab: Page, item: str) -> None:
    tab.locator("#jp-MainMenu .lm-MenuBar-item").get_by_text("Kernel", exact=True).click()
    tab.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def shown_in(tab: Page, program: Program) -> Locator:
    """The program's row in the panel of a notebook whose kernel is in it."""
    kernel = tab.get_by_role("button", name=f"pid {program.pid}", exact=False).first
    expect(kernel).to_be_visible(timeout=60_000)  # a page of its own is a whole application
    choose_from_menu(tab, "Show Live Processes")
    row = tab.get_by_role("region", name="Live processes").locator(f"[data-pid='{program.pid}']")
    expect(row.get_by_text("Attached here")).to_be_visible()
    return row


def test_panel_and_dialogues_work_in_a_notebook(seven: NotebookSeven, program: Program) -> None:
    seven.open()
    with seven.opened(program) as tab:
        row = shown_in(tab, program)
        expect(seven.run(tab, "total()")).to_contain_text("42")
        choose_from_menu(tab, "Change What Cells See…")
        choose(tab, "json")
        told = tab.get_by_role("region", name="Live processes").get_by_role("status")
        expect(told).to_contain_text("Cells see module json")
        tab.screenshot(path=SCREENSHOTS / "seven-1-panel.png")

        row.get_by_role("button", name=re.compile("^Detach")).click()
        expect(row.get_by_text("Attached here")).to_have_count(0)
        choose_from_menu(tab, "Attach to Process…")
        choose(tab, f"pid {program.pid}")
        expect(row.get_by_text("Attached here")).to_be_visible()
    seven.shut_down_all()


def test_a_notebook_from_the_panel_has_a_page_of_its_own(
    seven: NotebookSeven, program: Program
) -> None:
    seven.open()
    with seven.opened(program) as tab:
        row = shown_in(tab, program)
        with tab.context.expect_page() as event:
            row.get_by_role("button", name=re.compile("^Notebook")).click()
        other = event.value
        shown_in(other, program)
        expect(seven.run(other, "total()")).to_contain_text("42")
        other.close()
    seven.shut_down_all()
