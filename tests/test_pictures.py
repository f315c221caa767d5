"""The pictures that README and docs show: each is there, and taken by a test that is named."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from targets import ROOT, eventually

pytest.importorskip("PIL", reason="no Pillow here")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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


class Fine:
    """A browser whose pages are as large as a picture should be, and as sharp."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def new_page(self, **_: object) -> Page:
        return self._browser.new_page(
            viewport={"width": 1060, "height": 960}, device_scale_factor=1.5
        )


# -- the picture of a notebook at work

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


@contextlib.contextmanager
def coffee() -> Iterator[str]:
    """A service that sells coffee, and its customers. Gives its address."""
    with tempfile.TemporaryDirectory(prefix="shop-", dir="/tmp") as place:
        shutil.copy(ROOT / "scripts/demo_service.py", Path(place) / "coffee.py")
        service = subprocess.Popen(
            [sys.executable, "coffee.py"], cwd=place, stdout=subprocess.PIPE, text=True
        )
        assert service.stdout is not None
        leave = threading.Event()
        try:
            address = service.stdout.readline().split()[-1]
            customers = threading.Thread(target=buy_until, args=(leave, address))
            customers.start()
            yield address
            leave.set()
            customers.join()
        finally:
            leave.set()
            service.terminate()
            service.wait()
            service.stdout.close()


def buy_until(leave: threading.Event, address: str) -> None:
    """One after the other, some twenty a second."""
    wanted = cycle((("espresso", 4), ("flat white", 1), ("mocha", 2), ("cortado", 2), ("mocha", 1)))
    while not leave.wait(0.04):
        item, count = next(wanted)
        order = json.dumps({"item": item, "count": count}).encode()
        with urllib.request.urlopen(f"{address}/orders", data=order, timeout=10) as answer:
            assert answer.status == 201


@pytest.mark.attach
@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_notebook_in_a_web_service() -> None:
    """Its orders, a chart, a discount set while it serves, a traceback into its code."""
    from lab import Lab, chromium, expect

    with contextlib.ExitStack() as exits:
        fine = Fine(exits.enter_context(chromium()))
        lab = exits.enter_context(Lab(fine))  # type: ignore[arg-type]
        address = exits.enter_context(coffee())
        with lab.file("coffee.ipynb", CELLS[:1], wait=False) as notebook:
            notebook.wait_until_idle()
            lab.page.keyboard.press("Control+b")  # the file browser makes room
            attached = notebook.first
            attached.run()
            attached.expect("Attached to pid")
            eventually(lambda: has_sold(address, 60), timeout=30, what="enough orders")
            bought, chart, discount, wrong = (notebook.run(code) for code in CELLS[1:])
            bought.expect("Order(id=")
            chart.expect("mocha: ")
            discount.expect("20, 20]")
            wrong.expect("KeyError: 'tea'")
            wrong.expect("coffee.py")
            expect(notebook.editors.last).to_be_visible()
            notebook.first.box.scroll_into_view_if_needed()
            lab.screenshot("picture-1-web-service")


def has_sold(address: str, count: int) -> bool:
    try:
        urllib.request.urlopen(f"{address}/orders/{count}", timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return False
    return True
