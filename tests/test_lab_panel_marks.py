"""Programs that the user's guards mark, in JupyterLab; and whether all of it can be read."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from lab import Browser, Lab, Page, expect
from lab_panel import Bar, Panel, contrasts
from targets import Target

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("fresh"),
]

LEAST = 4.5
"""The contrast of text that WCAG 2 asks for at its level AA."""

GUARDS = """
[[guard]]
match = "idle.py --production"
banner = "PRODUCTION: billing"
colour = "red"
idle = "30m"

[[guard]]
match = "idle.py --staging"
banner = "Staging"
colour = "yellow"
"""

_EVERYTHING = "#live-kernel-panel, .lk-status, .lk-strip, .lk-picker"


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab of a user who has guards."""
    config = tmp_path_factory.mktemp("config") / "config.toml"
    config.write_text(GUARDS)
    with Lab(browser, environment={"LIVE_KERNEL_CONFIG": str(config)}) as lab:
        yield lab


def pick_theme(lab: Lab, name: str) -> None:
    """From the menu."""
    lab.page.locator("#jp-MainMenu .lm-MenuBar-item").get_by_text("Settings", exact=True).click()
    lab.page.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).hover()
    lab.page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()


def assert_readable(page: Page, *, least: int) -> None:
    found = contrasts(page, _EVERYTHING)
    assert len(found) >= least, found
    assert [each for each in found if each["ratio"] < LEAST] == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_marked_program_is_seen_everywhere(lab: Lab, theme: str) -> None:
    pick_theme(lab, theme)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    name = theme.rpartition(" ")[2].lower()
    with (
        Target("idle", args=["--production"]) as production,
        Target("idle", args=["--staging"]) as staging,
    ):
        panel = Panel(lab)
        expect(panel.row(staging)).to_contain_text("Staging")
        notebook = panel.open_notebook(production)
        expect(panel.row(production)).to_contain_text("PRODUCTION: billing")
        expect(panel.attached(production)).to_be_visible()
        bar = Bar(lab.page)
        expect(bar.target).to_contain_text("PRODUCTION: billing")
        strip = lab.page.get_by_role("note")
        expect(strip).to_contain_text("PRODUCTION: billing")
        expect(strip).to_contain_text("leaves after 30 min without use")
        tab = lab.page.locator(".lm-TabBar-tab.lk-marked-tab.lk-red")
        expect(tab).to_contain_text("Untitled")
        notebook.run("total()").wait_until_done()
        assert_readable(lab.page, least=20)
        lab.screenshot(f"marked-1-{name}")

        bar.target.click()
        expect(lab.page.locator(".lk-picker").get_by_role("option", selected=True)).to_contain_text(
            "PRODUCTION"
        )
        assert_readable(lab.page, least=30)
        lab.screenshot(f"marked-2-{name}-processes")
        lab.page.keyboard.press("Escape")
        bar.bound.click()
        expect(lab.page.locator(".lk-picker").get_by_role("option").nth(2)).to_be_visible()
        assert_readable(lab.page, least=30)
        lab.page.keyboard.press("Escape")

        panel.press(production, "Detach")
        expect(strip).to_have_count(0)
        expect(tab).to_have_count(0)
        panel.press(staging, "Attach here")
        expect(bar.target).to_contain_text("Staging")
        expect(strip).to_contain_text("Staging")
        assert_readable(lab.page, least=20)
        lab.screenshot(f"marked-3-{name}-staging")
        notebook.close_and_shut_down()

        production.process.send_signal(signal.SIGSTOP)
        everything = panel.node.get_by_role("checkbox", name="Show what can't be attached to")
        everything.check()
        expect(panel.row(production)).to_contain_text("Can't be attached to: it is stopped")
        assert_readable(lab.page, least=20)
        everything.uncheck()
        production.process.send_signal(signal.SIGCONT)


def test_everything_has_a_name(lab: Lab) -> None:
    """Whatever can be pressed or typed into in the panel is called something."""
    with Target("idle") as program:
        panel = Panel(lab)
        expect(panel.row(program)).to_be_visible()
        nameless = panel.node.evaluate(
            """node => [...node.querySelectorAll("button, input, select, [role=img]")]
                .filter(each => each.checkVisibility())
                .filter(each => !(each.getAttribute("aria-label") || each.textContent.trim()
                    || each.labels?.length))
                .map(each => each.outerHTML)"""
        )
        assert nameless == []
        assert panel.row(program).get_attribute("aria-label") is not None
