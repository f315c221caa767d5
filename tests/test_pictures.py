"""The pictures that README and docs show: each is there, and taken by a test that is named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shop import Shop
from targets import ROOT

pytest.importorskip("PIL", reason="no Pillow here")

if TYPE_CHECKING:
    from lab import Browser, Lab, Page

sys.path.insert(0, str(ROOT / "scripts"))

from pictures import COLOURS, PICTURES, WIDEST, Picture, put
from PIL import Image

_SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]+\.(?:png|jpe?g|gif|webp))\)")

LARGEST = 250_000
"""Bytes of a picture in the repository."""


def shown() -> dict[str, list[str]]:
    """The pictures that are shown, by file, with the texts that stand for them."""
    found: dict[str, list[str]] = {}
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for text, address in _SHOWN.findall(page.read_text()):
            name = (page.parent / address).resolve().relative_to(ROOT)
            found.setdefault(str(name), []).append(text)
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_is_taken_by_a_test(name: str) -> None:
    """Which is there, and leaves the picture under the name from which it is kept."""
    taken, test = PICTURES[name]
    file, _, function = test.partition("::")
    source = (ROOT / file).read_text()
    assert f"def {function}(" in source
    assert f'"{taken}"' in source or re.sub(r"-\w+$", "", taken) in source


@pytest.mark.parametrize("name", shown())
def test_is_there_and_of_use_to_who_cannot_see_it(name: str) -> None:
    assert name in PICTURES, f"{name} is shown, but no test takes it: scripts/pictures.py"
    assert all(len(text.split()) > 4 for text in shown()[name]), "say what it shows"
    assert (ROOT / name).stat().st_size < LARGEST
    with Image.open(ROOT / name) as image:
        assert 300 < image.width <= WIDEST


def test_none_is_kept_for_nothing() -> None:
    assert PICTURES.keys() == shown().keys()


def test_a_picture_is_kept_small(tmp_path: Path) -> None:
    Image.effect_noise((2000, 100), 80).save(tmp_path / "taken.png")
    put(tmp_path / "taken.png", tmp_path / "kept.png")
    with Image.open(tmp_path / "kept.png") as image:
        assert (image.width, image.height) == (WIDEST, 80)
        assert len(image.getcolors() or ()) <= COLOURS
    assert Picture("a", "b").taken == "a"


# -- what is in them


class Fine:
    """A browser whose pages are as sharp as a picture should be."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def new_page(self, **_: object) -> Page:
        return self._browser.new_page(
            viewport={"width": 1060, "height": 960}, device_scale_factor=1.5
        )


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture(scope="module")
def fine_lab(browser: Browser, shop: Shop) -> Iterator[Lab]:
    from lab import Lab

    environment = {"LIVE_KERNEL_CONFIG": str(shop.config)}
    with Lab(Fine(browser), environment=environment) as lab:  # type: ignore[arg-type]
        yield lab


in_browser = [pytest.mark.attach, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(120)]


def marked[T](test: T) -> T:
    for mark in in_browser:
        test = mark(test)
    return test


CELLS = (
    "%attach coffee.py",
    "list(orders.values())[-3:]",
    """class Bars(dict):
    bar = "<div style='background:#0d9488; color:white; padding:3px; margin:2px; width:{}%'>"

    def _repr_html_(self):
        unit = max(self.values()) / 90
        return "</div>".join(self.bar.format(v / unit) + f"{k}: {v:.2f} €" for k, v in self.items())

Bars(takings)""",
    """discount = 20             # the running service charges less from now on
await asyncio.sleep(0.5)  # in its own event loop, while it serves
[order.discount for order in orders.values()][-18:]""",
    'await place("tea", 1)',
)


@marked
def test_a_notebook_in_a_web_service(fine_lab: Lab, shop: Shop) -> None:
    """Its orders, a chart, a discount set while it serves, a traceback into its code."""
    lab = fine_lab
    lab.page.set_viewport_size({"width": 1060, "height": 960})
    with lab.file("coffee.ipynb", CELLS[:1], wait=False) as notebook:
        notebook.wait_until_idle()
        lab.page.keyboard.press("Control+b")  # the file browser makes room
        notebook.first.run()
        notebook.first.expect("Attached to pid")
        shop.sell(60)
        bought, chart, discount, wrong = (notebook.run(code) for code in CELLS[1:])
        bought.expect("Order(id=")
        chart.expect("mocha: ")
        discount.expect("20, 20]")
        wrong.expect("KeyError: 'tea'")
        wrong.expect("shop/coffee.py")
        wrong.wait_until_done()
        notebook.first.box.scroll_into_view_if_needed()
        lab.screenshot("picture-1-web-service")
        notebook.run("discount = 0").wait_until_done()


@marked
def test_the_panel_beside_a_notebook(fine_lab: Lab, shop: Shop) -> None:
    """The programs at the side, one attached to, with what it uses; a warning for another."""
    from lab import expect
    from lab_panel import Panel

    lab = fine_lab
    lab.page.set_viewport_size({"width": 1060, "height": 700})
    panel = Panel(lab)
    panel.search.fill("shop/")
    expect(panel.row(shop.billing.pid)).to_contain_text("PRODUCTION: billing")
    notebook = panel.open_notebook(shop.coffee)  # type: ignore[arg-type]
    orders = notebook.run("len(orders), list(orders.values())[-1]")
    orders.expect("Order(id=")
    notebook.run("%tasks").expect("brew")
    notebook.run("%threads").expect("books")
    expect(panel.attached(shop.coffee)).to_have_text("Attached here")  # type: ignore[arg-type]
    expect(panel.row(shop.coffee.pid).get_by_role("img").first).to_be_visible()
    lab.screenshot("picture-2-panel")
    notebook.close_and_shut_down()


@marked
def test_the_page_of_running_programs(fine_lab: Lab, shop: Shop) -> None:
    """In any browser, for Notebook 7 and others: what runs, and a button to open a notebook."""
    from lab import expect

    page = fine_lab.page
    page.set_viewport_size({"width": 1060, "height": 420})
    page.goto(fine_lab.address("live-kernel"))
    page.get_by_label("Search").fill("shop/")
    for program in (shop.billing, shop.roasting, shop.coffee):
        expect(page.locator("tbody tr", has_text=f"shop/{program.name}.py")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("PRODUCTION: billing")
    fine_lab.screenshot("picture-3-page")
    fine_lab.open()
