"""The page of running programs as a person uses it, in a browser; screenshots of each step are
kept in .artefacts/lab/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Browser, expect
from servers import NotebookSeven, Page, row_in, run_in_console
from snapshots import Program
from targets import Target, eventually

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]

GUARDS = """\
[[guard]]
match = "the-billing-service"
banner = "PRODUCTION: billing"
confirm = true
idle = "30m"
"""

MINE = f"run-{os.getpid()}"
"""On the command lines of programs that are counted: others may run these tests beside us."""

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>\x1b[31m"


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    config = tmp_path_factory.mktemp("config") / "config.toml"
    config.write_text(GUARDS)
    with Page(browser, environment={"LIVE_KERNEL_CONFIG": str(config)}) as page:
        yield page


@pytest.fixture(scope="module")
def seven(browser: Browser) -> Iterator[NotebookSeven]:
    with NotebookSeven(browser) as page:
        yield page


def columns(page: Page, number: int) -> list[str]:
    return page.rows.locator(f":scope > :nth-child({number})").all_inner_texts()


def test_shows_what_runs_and_finds_it(shown: Page) -> None:
    with Program("idle", args=["the-orders-service", MINE]) as program:
        shown.open()
        row = shown.row(program)
        expect(row).to_contain_text("idle.py the-orders-service")
        expect(row.get_by_role("cell", name="3.14.", exact=False)).to_be_visible()
        expect(row.get_by_role("cell", name=re.compile(r"^\d+ MB$"))).to_be_visible()
        expect(row.get_by_role("cell", name=re.compile(r"^[\d.]+ %$"))).to_be_visible()

        search = shown.page.get_by_label("Search")
        expect(search).to_be_focused()
        search.fill(f"the-orders SERVICE {MINE}")
        expect(shown.rows).to_have_count(1)
        expect(shown.page.get_by_role("status")).to_contain_text(
            re.compile(r"^1( of \d+ programs| program)$")
        )
        search.fill(str(program.pid))
        expect(row).to_be_visible()
        search.fill("nothing that is called like this")
        expect(shown.page.get_by_text("No program fits the search.")).to_be_visible()
        search.fill(f"the-orders {MINE}")
        expect(row).to_be_visible()
    expect(shown.rows).to_have_count(0)


def test_a_program_that_starts_appears_by_itself(shown: Page) -> None:
    shown.open()
    with Program("idle", args=["the-late-one", MINE]) as program:
        expect(shown.row(program)).to_be_visible()
    expect(shown.page.locator("tbody", has_text=f"the-late-one {MINE}")).to_have_count(0)


def test_sorts_by_its_columns(shown: Page) -> None:
    with (
        Target("idle", args=["sort-b", MINE]),
        Target("idle", args=["sort-a", MINE]),
        Target("busy", args=["sort-c", MINE]),
    ):
        shown.open()
        shown.page.get_by_label("Search").fill(f"sort- {MINE}")
        expect(shown.rows).to_have_count(3)
        heading = shown.page.get_by_role("columnheader", name="PID")
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", "ascending")
        pids = [int(text) for text in columns(shown, 2)]
        assert pids == sorted(pids)
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", "descending")
        assert [int(text) for text in columns(shown, 2)] == pids[::-1]
        by_cpu = shown.page.get_by_role("columnheader", name="CPU").get_by_role("button")
        by_cpu.click()
        by_cpu.click()
        shown.page.get_by_label("Search").click()
        expect(shown.rows.first).to_contain_text("sort-c")


def test_what_can_not_be_attached_to_says_why(shown: Page) -> None:
    with Program("idle", options=["-X", "disable-remote-debug"]) as program:
        shown.open()
        expect(shown.row(program)).to_have_count(0)
        shown.page.get_by_label("also what can’t be attached to").check()
        row = shown.row(program)
        expect(row).to_contain_text("It was started with remote debugging switched off")
        expect(row).to_contain_text("Start it again without that option.")
        expect(row.get_by_role("button")).to_have_count(0)
        shown.page.get_by_label("Search").fill(str(program.pid))
        shown.screenshot("page-3-not-attachable")


def test_names_are_text(shown: Page) -> None:
    with Program("idle", args=[HOSTILE]) as program:
        shown.open()
        expect(shown.row(program)).to_contain_text("<b>bold</b>")
        assert shown.page.locator("tbody img, tbody b").count() == 0
        assert "live-kernel" in shown.page.title()
        assert "\x1b" not in shown.row(program).inner_text()


def test_runs_no_script_but_its_own(shown: Page) -> None:
    """Its policy forbids what stands in the page itself, and other places to load from."""
    shown.open()
    refused: list[str] = []
    shown.page.on("console", lambda message: refused.append(message.text))
    shown.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.taken = 1';"
        "document.body.append(s);"
    )
    assert shown.page.evaluate("window.taken") is None
    eventually(lambda: any("Content Security Policy" in text for text in refused))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_light_and_dark(shown: Page, scheme: str) -> None:
    with (
        Program("idle", args=["--port", "8080", "the-shop"]) as shop,
        Program("idle", args=["the-billing-service", "the-shop"]) as billing,
        Program("idle", args=["the-shop"], options=["-X", "disable-remote-debug"]) as closed,
    ):
        shown.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        shown.open()
        shown.page.get_by_label("also what").check()
        shown.page.get_by_label("Search").fill("the-shop")
        for program in (shop, billing, closed):
            expect(shown.row(program)).to_be_visible()
        banner = shown.row(billing).get_by_text("PRODUCTION: billing")
        expect(banner).to_be_visible()
        expect(shown.row(billing)).to_contain_text("asks before each cell; leaves after 30 min")
        expect(shown.row(billing)).to_have_attribute("data-colour", "red")
        shown.screenshot(f"page-{1 if scheme == 'light' else 2}-{scheme}")
        for text in (
            banner,
            shown.row(shop).locator(".command"),
            shown.row(closed).locator(".why"),
        ):
            assert contrast(text.evaluate(COLOURS)) >= 4.5
        for button in shown.row(shop).get_by_role("button").all():
            assert contrast(button.evaluate(COLOURS)) >= 4.5
    shown.page.emulate_media(color_scheme=None)


COLOURS = """element => {
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' ? ground(one.parentElement) : colour;
  };
  return [getComputedStyle(element).color, ground(element)];
}"""


def contrast(colours: list[str]) -> float:
    """As WCAG 2 defines it, of `rgb(r, g, b)` on another."""

    def luminance(colour: str) -> float:
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted(map(luminance, colours))
    return (lighter + 0.05) / (darker + 0.05)


def test_by_keyboard_alone(shown: Page) -> None:
    with Program("idle", args=["keys-1", MINE]) as first, Program("idle", args=["keys-2", MINE]):
        shown.open()
        shown.page.keyboard.type(f"keys- {MINE}")
        expect(shown.rows).to_have_count(2)
        shown.page.keyboard.press("ArrowDown")
        focused = shown.page.locator(":focus")
        expect(focused).to_have_accessible_name(re.compile(r"Open notebook in idle, pid \d+"))
        shown.page.keyboard.press("ArrowDown")
        expect(focused).to_have_accessible_name(f"Open notebook in idle, pid {first.pid}")
        shown.page.keyboard.press("Tab")
        expect(focused).to_have_accessible_name(f"Open console in idle, pid {first.pid}")
        with Program("idle", args=["keys-3", MINE]) as third:
            expect(shown.row(third)).to_be_visible()
            expect(focused).to_have_accessible_name(f"Open console in idle, pid {first.pid}")
            expect(shown.rows.last).to_contain_text("keys-3")
        shown.page.keyboard.press("Shift+Tab")
        with shown.page.context.expect_page() as event:
            shown.page.keyboard.press("Enter")
        expect(event.value).to_have_url(re.compile("/lab/tree/"))
        event.value.close()
        shown.shut_down_all()


def test_who_is_at_a_program_that_ends_can_type_on(shown: Page) -> None:
    with Target("idle", args=["ends", MINE]) as program:
        shown.open()
        shown.page.keyboard.type(f"ends {MINE}")
        expect(shown.rows).to_have_count(1)
        shown.page.keyboard.press("ArrowDown")
        expect(shown.row(program).get_by_role("button").first).to_be_focused()
    expect(shown.rows).to_have_count(0)
    expect(shown.page.get_by_label("Search")).to_be_focused()


@pytest.mark.attach
def test_opens_a_notebook_and_a_console_in_it(shown: Page) -> None:
    with Program("idle", args=["both-of-them"]) as program:
        before = program.snapshot()
        shown.open()
        with shown.opened(program) as tab:
            expect(shown.run(tab, "orders")).to_contain_text("[<Order 1>, <Order 2>]")
            expect(tab).to_have_url(re.compile(r"/lab/tree/Untitled\d*\.ipynb"))
            with shown.opened(program, "Open console") as other:
                shown_there = run_in_console(other, "total()")
                expect(shown_there).to_contain_text("42")
                expect(shown.row(program)).to_contain_text("2 kernels of this server in it.")
                other.screenshot(path=screenshot("page-5-console"))
            tab.screenshot(path=screenshot("page-4-notebook"))
        shown.shut_down_all()
        expect(shown.row(program)).not_to_contain_text("of this server in it")
        eventually(lambda: not shown.launchers(), what="no launcher is left")
        program.assert_unharmed_since(before)


def screenshot(name: str) -> Path:
    from lab import SCREENSHOTS

    return SCREENSHOTS / f"{name}.png"


@pytest.mark.attach
def test_opens_them_in_notebook_7(seven: NotebookSeven) -> None:
    with Program("idle", args=["for-seven"]) as program:
        seven.open()
        with seven.opened(program) as tab:
            expect(seven.run(tab, "orders")).to_contain_text("[<Order 1>, <Order 2>]")
            expect(tab).to_have_url(re.compile(r"/notebooks/Untitled\d*\.ipynb"))
            tab.screenshot(path=screenshot("page-6-notebook-7"))
        for _ in range(2):  # the second time it is the same console
            with seven.opened(program, "Open console") as tab:
                expect(run_in_console(tab, "total()")).to_contain_text("42")
                expect(tab).to_have_url(re.compile(r"/consoles/console-live-attach-\d+"))
        seven.shut_down_all()


@pytest.mark.attach
@pytest.mark.parametrize("kind", [Page, NotebookSeven])
def test_a_saved_notebook_finds_its_program_again(browser: Browser, kind: type[Page]) -> None:
    """The program has ended, and the server was started again: Enter takes the one like it.

    (The kernel asks, where the extension of JupyterLab does not.)
    """
    with kind(browser, disabled=("live-kernel",)) as page:
        with Program("idle", args=["started-again", MINE]) as program:
            page.open()
            with page.opened(program) as tab:
                expect(page.run(tab, "orders")).to_contain_text("<Order 1>")
                tab.keyboard.press("Control+s")
                eventually(lambda: saved(page), what="the notebook is saved")
                where = tab.url
            page.shut_down_all()
        page.stop_server()
        page.start_server()
        with Program("idle", args=["started-again", MINE]) as again:
            tab = page.page
            tab.goto(where)
            output = page.run(tab, "total()")
            expect(output).to_contain_text(f"This kernel's program: pid {program.pid} (python ")
            expect(output).to_contain_text(f"started-again {MINE}) has ended")
            expect(output).to_contain_text(f"Enter: {again.pid} (python ")
            page.screenshot(f"page-7-gone-{page.application}")
            tab.locator(".jp-Stdin-input").press("Enter")
            expect(output).to_contain_text("42")
        page.shut_down_all()


def saved(page: Page) -> bool:
    """Is the notebook there, and does the server keep in mind which one names the program?"""
    remembered = [file.read_text() for file in page.home.rglob("programs.json")]
    notebooks = [file for file in page.notebooks.glob("*.ipynb") if "Order 1" in file.read_text()]
    return any(file.name in text for file in notebooks for text in remembered)


def test_two_tabs_and_a_server_that_goes_and_comes(shown: Page) -> None:
    with Program("idle", args=["seen-twice"]) as program:
        shown.open()
        other = shown.page.context.new_page()
        other.goto(shown.address("live-kernel"))  # the first has logged in for both
        for each in shown.page, other:  # which look at different moments
            expect(row_in(each, program)).to_be_visible()
        shown.stop_server()
        alert = shown.page.get_by_role("alert")
        expect(alert).to_contain_text("Jupyter Server does not answer; what is shown is old.")
        expect(shown.row(program)).to_be_visible()
        shown.row(program).get_by_role("button", name="Open notebook").click()
        expect(alert).to_contain_text("Jupyter Server does not answer.")
        shown.start_server()
        with shown.opened(program) as tab:
            expect(tab).to_have_url(re.compile("/lab/tree/"))
        expect(alert).to_be_hidden()
        expect(row_in(other, program)).to_be_visible()
        other.close()
        shown.shut_down_all()


def test_who_is_not_known_any_more_is_told(shown: Page) -> None:
    shown.open()
    shown.page.context.clear_cookies()
    expect(shown.page.get_by_role("alert")).to_contain_text("does not know you any more")


def test_says_what_keeps_it_from_opening(shown: Page) -> None:
    with Program("idle") as program:
        shown.open()
        row = shown.row(program)
        expect(row).to_be_visible()
        shown.page.route("**/api/open", lambda route: route.continue_(post_data='{"pid": 4194305}'))
        with shown.page.context.expect_page() as event:
            row.get_by_role("button", name="Open notebook").click()
        expect(shown.page.get_by_role("alert")).to_contain_text("no process has pid 4194305")
        eventually(event.value.is_closed, what="the empty tab is closed")
        shown.page.unroute("**/api/open")


def test_below_another_path(browser: Browser) -> None:
    with Page(browser, base_url="/user/ann/") as page, Program("idle", args=["below"]) as program:
        page.open()
        with page.opened(program) as tab:
            expect(tab).to_have_url(re.compile("/user/ann/lab/tree/"))
        with page.opened(program, "Open console") as tab:
            expect(tab).to_have_url(re.compile("/user/ann/lab/workspaces/"))
        page.shut_down_all()
