#!/usr/bin/env python3
"""Take the pictures that README and docs show anew, from runs of the tests that make them.

    pictures.py            run those tests, and put their pictures where they are shown
    pictures.py --only     put there what the tests have left in .artefacts/lab

Rule: a picture of the program at work is one that a test has taken, so that it is always true;
which test that is stands here, and tests/test_pictures.py holds it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from provision.shell import ROOT

TAKEN = ROOT / ".artefacts" / "lab"

WIDEST = 1600
"""Pixels; pages show them at half of that, so that they are sharp on fine screens."""

COLOURS = 128
"""Of a picture of a screen; more are not seen, and cost as much again."""


class Picture(NamedTuple):
    """`taken`: its name in .artefacts/lab, for which `test` calls `screenshot`."""

    taken: str
    test: str


PICTURES = {
    "notebooks/images/lab.png": Picture(
        "picture-1-web-service", "tests/test_pictures.py::test_a_notebook_in_a_web_service"
    ),
    "docs/pictures/panel.png": Picture(
        "picture-2-panel", "tests/test_pictures.py::test_the_panel_beside_a_notebook"
    ),
    "docs/pictures/page.png": Picture(
        "picture-3-page", "tests/test_pictures.py::test_the_page_of_running_programs"
    ),
}
"""By the file in which it is kept."""


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--only"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments and (status := _take()):
        return status
    missing = [one for one in PICTURES.values() if not (TAKEN / f"{one.taken}.png").exists()]
    for one in missing:
        print(f"there is no {one.taken}.png: run {one.test}", file=sys.stderr)
    if missing:
        return 1
    for name, one in PICTURES.items():
        put(TAKEN / f"{one.taken}.png", ROOT / name)
        print(f"{name}  {(ROOT / name).stat().st_size // 1000} kB")
    return 0


def _take() -> int:
    tests = dict.fromkeys(one.test for one in PICTURES.values())
    command = [sys.executable, "-m", "pytest", "--quiet", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def put(taken: Path, kept: Path) -> None:
    """Keep a picture: no wider than need be, in as few colours as it takes."""
    with Image.open(taken) as image:
        picture = image.convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    kept.parent.mkdir(parents=True, exist_ok=True)
    palette = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    palette.save(kept, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
