"""The extension of JupyterLab, as a person uses it: panel, status bar, dialogues.

Runs in pytest, on top of `lab.py`. Rule: what is shown is found by its role and name, as a screen
reader would find it; only the list's rows are found by pid.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from lab import Lab, Locator, Notebook, Page, expect
from playwright.sync_api import Error
from targets import Target, eventually


class Panel:
    """The side panel of one page; shown, if it is not."""

    def __init__(self, lab: Lab, page: Page | None = None) -> None:
        self.lab = lab
        self.page = page or lab.page
        self.node = self.page.get_by_role("region", name="Live processes")
        if not self.node.is_visible():
            self.toggle()
        expect(self.node).to_be_visible()
        self.search = self.node.get_by_role("searchbox", name="Search processes")
        self.told = self.node.get_by_role("status")

    def toggle(self) -> None:
        """Show it, or hide it, by its icon at the side."""
        self.page.locator(".jp-SideBar [data-id='live-kernel-panel']").click()

    def row(self, target: Target | int) -> Locator:
        """A process in the list."""
        pid = target if isinstance(target, int) else target.pid
        return self.node.locator(f"li[data-pid='{pid}']")

    def press(self, target: Target, button: str) -> None:
        """Press one of a row's buttons."""
        self.row(target).get_by_role("button", name=re.compile(f"^{button}")).click()

    def open_notebook(self, target: Target) -> Notebook:
        """A new notebook in this process, ready for its first cell."""
        self.press(target, "Notebook")
        return ready(self.lab, target)

    def attached(self, target: Target) -> Locator:
        """What a row says of kernels in it."""
        return self.row(target).get_by_text(re.compile("^Attached"))


class Bar:
    """The item of the status bar."""

    def __init__(self, page: Page) -> None:
        self.node = page.get_by_role("group", name="Live kernel")
        self.target = self.node.get_by_role("button", name=re.compile("^(Target|Cells see)")).first
        self.bound = self.node.get_by_role("button", name=re.compile("^Cells see"))


def ready(lab: Lab, target: Target) -> Notebook:
    """The notebook in front, once its kernel is in this process."""
    notebook = Notebook(lab)
    expect(Bar(lab.page).target).to_contain_text(f"pid {target.pid}")
    expect(Bar(lab.page).bound).to_be_visible()
    expect(notebook.editors.first).to_be_visible()
    return notebook


def choose(page: Page, typed: str, *, picture: str = "", lab: Lab | None = None) -> None:
    """In the dialogue that is open: type, wait for what fits, and take it by Enter."""
    field = page.locator(".jp-Dialog").get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type(typed)
    best = page.locator(".jp-Dialog").get_by_role("option", selected=True)
    if typed:
        expect(best).to_contain_text(typed)
    else:
        expect(best).to_be_visible()
    if lab is not None:
        lab.screenshot(picture)
    page.keyboard.press("Enter")
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def run_command(page: Page, label: str) -> None:
    """From the command palette, with the keyboard alone."""
    palette = page.locator("#modal-command-palette")
    best = palette.locator(".lm-CommandPalette-item.lm-mod-active", has_text=label)

    def is_found() -> bool:  # whatever takes the focus, a notebook that is ready, closes it
        page.keyboard.press("Escape")
        page.keyboard.press("Control+Shift+C")
        with contextlib.suppress(Error):
            palette.wait_for(timeout=5000)
            page.keyboard.type(label)
            best.wait_for(timeout=2000)
        return best.is_visible()

    eventually(is_found, timeout=30, what=f"the palette has {label}")
    page.keyboard.press("Enter")


def contrasts(page: Page, selector: str) -> list[dict[str, Any]]:
    """Of each visible text below `selector`: its contrast against what is behind it (WCAG 2)."""
    found: list[dict[str, Any]] = page.evaluate(_CONTRASTS, selector)
    return found


_CONTRASTS = """selector => {
  const channel = value => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const parse = text => {
    const found = text.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return found.length > 3 ? found : [...found.slice(0, 3), 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = node => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const found = [];
  for (const root of document.querySelectorAll(selector)) {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode.parentElement;
      const text = walk.currentNode.textContent.trim();
      if (!text || !node.checkVisibility()) continue;
      const behind = ground(node);
      const ink = over(parse(getComputedStyle(node).color), behind);
      const [a, b] = [light(ink), light(behind)].sort((x, y) => y - x);
      found.push({ text: text.slice(0, 60), ratio: (a + 0.05) / (b + 0.05) });
    }
  }
  return found;
}"""
