"""The recipes of docs/, done as they stand (see recipes.py)."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from displays import Display, libraries_of_tcl, needs
from recipes import DOCS, Block, Reader, blocks, check

pytestmark = [pytest.mark.attach, pytest.mark.client, pytest.mark.slow, pytest.mark.timeout(240)]

PAGES = sorted((DOCS / "recipes").glob("*.md"))
DONE = [page for page in PAGES if any(b.kind in ("run", "cell", "start") for b in blocks(page))]


NEED_ROOT = ("container", "other-user")


def name(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_block_is_for_something(page: Path) -> None:
    for block in blocks(page):
        check(block)


@pytest.mark.parametrize("page", DONE, ids=name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_recipe(page: Path, kernelspecs: Path, artefacts: Path) -> None:
    """It comes to what it says; the transcript of it is kept."""
    if page.stem in NEED_ROOT and os.geteuid() != 0:
        pytest.skip("needs to be root")
    with contextlib.ExitStack() as exits:
        env = exits.enter_context(display()) if page.stem == "gui" else {}
        place = exits.enter_context(open_to_all())
        follow(page, place, kernelspecs, artefacts, **env)


@contextlib.contextmanager
def display() -> Iterator[dict[str, str]]:
    """What programs with windows need to be told."""
    needs("PySide6.QtWidgets")
    with Display() as server:
        yield {"DISPLAY": server.name, "QT_QPA_PLATFORM": "offscreen", **libraries_of_tcl()}


@contextlib.contextmanager
def open_to_all() -> Iterator[Path]:
    """A directory that other users may read, since their programs are there."""
    with tempfile.TemporaryDirectory(prefix="lk-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def follow(page: Path, place: Path, kernelspecs: Path, artefacts: Path, **env: str) -> None:
    reader = Reader(place, kernelspecs, **env)
    try:
        with reader:
            for block in blocks(page):
                reader.do(block)
    finally:
        (artefacts / "transcript.txt").write_text("\n".join(reader.transcript) + "\n")


# -- the reader himself


def block(kind: str, text: str = "", how: str = "") -> Block:
    return Block("page.md", 1, kind, how, text)


def test_a_block_without_a_mark_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="say above it what it is for"):
        check(block(""))
    with pytest.raises(AssertionError, match="say why"):
        check(block("elsewhere"))


def test_a_command_that_fails_is_a_fault(tmp_path: Path, kernelspecs: Path) -> None:
    with Reader(tmp_path, kernelspecs) as reader:
        reader.do(block("run", "echo said\n"))
        reader.do(block("shows", "said\n"))
        with pytest.raises(AssertionError, match="not there: unsaid"):
            reader.do(block("shows", "unsaid\n"))
        with pytest.raises(AssertionError, match="ended with 1"):
            reader.do(block("run", "false\n"))
        reader.do(block("run", "echo pid 77; exit 3", "exit 3"))
        reader.do(block("shows", "pid 4243\n"))
        reader.do(block("run", "echo 4243 4242\n"))
        reader.do(block("shows", "77 4242\n"))
