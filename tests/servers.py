"""Jupyter Server with the extension, asked as front-ends ask it, and its page in a browser.

Runs in pytest. A `Page` shows `/live-kernel` of a server of its own. Rule: as in `lab.py`,
what a person does is done in the browser; what front-ends ask, over HTTP.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import playwright.sync_api as playwright
from lab import Lab, expect


class Page(Lab):
    """A server of JupyterLab's, shown by its page of running programs."""

    def open(self) -> None:
        self.page.goto(self._url("live-kernel"))
        expect(self.rows.first).to_be_visible()

    @property
    def rows(self) -> playwright.Locator:
        return self.page.locator("tbody tr")

    def row(self, pid: int) -> playwright.Locator:
        """The row of one process."""
        return self.rows.filter(has=self.page.get_by_role("cell", name=str(pid), exact=True))

    @contextlib.contextmanager
    def opened(self, pid: int, button: str = "Open notebook") -> Iterator[playwright.Page]:
        """What a button of a row opens, in a tab of its own."""
        with self.page.context.expect_page() as event:
            self.row(pid).get_by_role("button", name=button).click()
        tab = event.value
        tab.set_default_timeout(30_000)
        with contextlib.closing(tab):
            yield tab

    def specs(self) -> dict[str, Any]:
        """All kernelspecs, as a front-end gets them."""
        found: dict[str, Any] = self.ask("GET", "api/kernelspecs")["kernelspecs"]
        return found

    def shut_down_all(self) -> None:
        """End every kernel."""
        for session in self.ask("GET", "api/sessions"):
            self._ask("DELETE", f"api/sessions/{session['id']}").close()


class NotebookSeven(Page):
    """The same with Notebook 7."""

    application = "notebook"


def run_in_notebook(tab: playwright.Page, code: str) -> playwright.Locator:
    """Run this in the first cell of the notebook that a tab shows; what it puts out."""
    cell = tab.locator(".jp-Notebook .jp-CodeCell").first
    cell.locator(".cm-content").click()
    tab.keyboard.insert_text(code)
    tab.keyboard.press("Shift+Enter")
    return cell.locator(".jp-Cell-outputArea")


def run_in_console(tab: playwright.Page, code: str) -> playwright.Locator:
    """Run this at the prompt of the console that a tab shows; all that is shown above it."""
    tab.locator(".jp-CodeConsole-promptCell .cm-content").click()
    tab.keyboard.insert_text(code)
    tab.keyboard.press("Shift+Enter")
    return tab.locator(".jp-CodeConsole-content")
