"""Recipes of docs/ done as a reader would do them: files written, commands typed, cells run.

Runs in pytest. Each block of code in a recipe has a mark above it, which the site does not show:

    <!-- file NAME -->              it is written under this name
    <!-- start until TEXT -->       a command that goes on, until it says TEXT; what was started
                                    before it is ended
    <!-- run -->                    a command that ends; `<!-- run, exit 18 -->`: with this status
    <!-- cell -->                   of a notebook; `<!-- cell, error -->`: it fails;
                                    `<!-- cell, typing n c -->`: what is typed when it asks
    <!-- terminal until TEXT -->    a command with a terminal of its own, until that shows TEXT
    <!-- typed until TEXT -->       what is typed in that terminal
    <!-- shows -->                  what the block before has shown, line by line; `…` is anything;
                                    `<!-- shows, but for numbers -->`: with any in their places, and
                                    maybe more at the ends of lines
    <!-- told -->                   what the program that was started says by now
    <!-- elsewhere WHY -->          not for here

Rule: 4242 is the program that was started last, 4243 and so on what a `shows` has shown there;
port 8000 is one that is free. All else is done as it stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from groups import free_port
from kernels import Cell, Kernel
from targets import ROOT, clean_environment, eventually
from terminals import Terminal

DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>\w+),? ?(?P<how>[^\n]*?) ?-->\n)?"
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

_KINDS = ("file", "start", "run", "cell", "terminal", "typed", "shows", "told", "elsewhere")

_LOOKS = re.compile(r"(%(threads|stack|tasks|where)\b.*\n)+")
"""A cell that looks at what a program does: it may do something else for a moment."""

_PATIENCE = 40.0
"""Seconds for what a program or a command may take on a busy machine."""


@dataclass(frozen=True)
class Block:
    """A block of code. `how`: what stands in its mark behind the kind, which is empty for none."""

    page: str
    line: int
    kind: str
    how: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.kind or 'a block without a mark'}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order, but for those that are Sphinx's own."""
    source = page.read_text()
    found = []
    for match in _BLOCK.finditer(source):
        if match["language"].startswith("{"):
            continue
        line = source.count("\n", 0, match.start()) + 1
        name = str(page.relative_to(DOCS))
        found.append(Block(name, line, match["kind"] or "", match["how"] or "", match["text"]))
    return found


def check(block: Block) -> None:
    """Fail where a block is not for anything that is known."""
    assert block.kind in _KINDS, f"{block}: say above it what it is for, as in tests/recipes.py"
    if block.kind == "elsewhere":
        assert len(block.how.split()) > 2, f"{block}: say why it is not for here"


class Reader:
    """Who does what a page says, in a directory of his own; use it in a `with` block.

    `jupyter_path`: where Jupyter finds the kernelspec. `python`: the interpreter of the
    environment whose commands he has. `more`: variables of the environment.
    """

    def __init__(
        self, place: Path, jupyter_path: Path, python: str = sys.executable, **more: str
    ) -> None:
        self.place = place
        self._names = {"8000": str(free_port())}
        binaries = Path(python).parent
        self._env = clean_environment() | more | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "JUPYTER_PATH": str(jupyter_path),
            "HOME": str(place),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "TERM": "xterm-256color",
        }  # fmt: skip
        self._exits = contextlib.ExitStack()
        self._kernel: Kernel | None = None
        self._program: Program | None = None
        self._screen: Terminal | None = None
        self._shown = ""
        self._looked = ""
        self.transcript: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exit_: object) -> None:
        self._exits.close()

    def do(self, block: Block) -> None:
        """Do what it is for. Fails where that does not come to what the page says."""
        text = self._named(block.text)
        self.transcript += [f"-- {block} {block.how}", text]
        if block.kind != "shows":
            self._looked = ""
        getattr(self, f"_{block.kind}")(text, block)
        if block.kind not in ("file", "shows", "elsewhere"):
            self.transcript += ["--", self._shown]

    def _named(self, text: str) -> str:
        """With the real pids and ports."""
        known = sorted(self._names, key=len, reverse=True)
        return re.sub(rf"\b({'|'.join(known)})\b", lambda found: self._names[found[0]], text)

    # -- kinds of blocks ----------------------------------------------------------------

    def _file(self, text: str, block: Block) -> None:
        (self.place / block.how).write_text(text)

    def _start(self, text: str, block: Block) -> None:
        if self._program is not None:
            self._program.close()
        self._program = program = Program(text.strip().removesuffix("&"), self.place, self._env)
        self._exits.callback(program.close)
        self._names = {"8000": self._names["8000"], "4242": str(program.pid)}
        self._shown = program.wait_for(block.how.removeprefix("until "))

    def _run(self, text: str, block: Block) -> None:
        wanted = int(block.how.removeprefix("exit ") or 0)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.place, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
        self._shown = done.stdout
        assert done.returncode == wanted, f"{block}: ended with {done.returncode}\n{done.stdout}"

    def _cell(self, text: str, block: Block) -> None:
        if self._kernel is None:
            self._kernel = self._exits.enter_context(Kernel())
        if block.how.startswith("typing "):
            self._kernel.answers.extend(block.how.removeprefix("typing ").split())
        asks = bool(self._kernel.answers)
        cell = self._kernel.run(text, _PATIENCE, allow_stdin=asks)
        self._shown = shown(cell)
        self._looked = text if _LOOKS.fullmatch(text) else ""
        wanted = "error" if block.how == "error" else "ok"
        assert cell.status == wanted, f"{block}\n{self._shown}"

    def _terminal(self, text: str, block: Block) -> None:
        command = ["bash", "-c", f"cd {shlex.quote(str(self.place))} && exec {text.strip()}"]
        self._screen = self._exits.enter_context(Terminal(command, self._env))
        self._shown = self._screen.wait_for(block.how.removeprefix("until "), timeout=_PATIENCE)

    def _typed(self, text: str, block: Block) -> None:
        assert self._screen is not None, f"{block}: there is no terminal"
        for line in text.splitlines():
            self._screen.enter(line)
        self._shown = self._screen.wait_for(block.how.removeprefix("until "), timeout=_PATIENCE)

    def _shows(self, text: str, block: Block) -> None:
        eventually(lambda: self._is_shown(text, block), timeout=20 if self._looked else 0)

    def _is_shown(self, text: str, block: Block) -> bool:
        """Is it? Where a cell has only looked, it looks again the next time."""
        try:
            self._names |= dict(found_in(text, self._shown, block))
        except AssertionError:
            if self._looked and self._kernel is not None:
                self._shown = shown(self._kernel.run(self._looked, _PATIENCE))
            raise
        return True

    def _told(self, text: str, block: Block) -> None:
        assert self._program is not None, f"{block}: nothing was started"
        for line in text.splitlines():
            self._shown = self._program.wait_for(line.strip())

    def _elsewhere(self, text: str, block: Block) -> None:
        """Why not, its mark says."""


def shown(cell: Cell) -> str:
    """All that a reader of the notebook sees of a cell."""
    return "\n".join(part for part in (cell.notes, cell.text) if part.strip())


def found_in(wanted: str, text: str, block: Block) -> list[tuple[str, str]]:
    """Find the lines of `wanted` in the text, in order. Returns what 4243 and so on are there."""
    lines = iter([" ".join(line.split()) for line in text.splitlines()])
    names: list[tuple[str, str]] = []
    for each in wanted.splitlines():
        pattern, known = _pattern(" ".join(each.split()), block.how == "but for numbers")
        if not pattern:
            continue
        match = next((m for m in (re.fullmatch(pattern, line) for line in lines) if m), None)
        assert match, f"{block}: not shown, or not there: {each}\n-- but:\n{text}"
        names += zip(known, match.groups(), strict=True)
    return names


def _pattern(line: str, any_number: bool) -> tuple[str, list[str]]:
    """Of a line that is wanted, and the names of pids in it; empty for one that is anything."""
    if line in ("", "…"):
        return "", []
    pattern = re.escape(line).replace("…", ".*")
    if any_number:
        return re.sub(r"\d+(\\\.\d+)?", r"\\d+(?:\\.\\d+)?", pattern) + ".*", []
    names = r"\b424[3-9]\b"
    return re.sub(names, r"(\\d+)", pattern), re.findall(names, line)


class Program:
    """A command that was started, with all that it starts; it ends with `close`."""

    def __init__(self, command: str, place: Path, env: dict[str, str]) -> None:
        self._told = (place / f"told-{len(list(place.glob('told-*')))}").open("w+")
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=self._told,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def told(self) -> str:
        """What it has said so far."""
        return Path(self._told.name).read_text()

    def wait_for(self, text: str) -> str:
        """Wait until it has said this. Returns all that it has said."""

        def has_said() -> str:
            assert text in self.told(), f"it has not said {text!r}:\n{self.told()}"
            return self.told()

        return eventually(has_said, _PATIENCE, every=0.03)

    def close(self) -> None:
        """End it, and what is left of what it has started. May be called twice."""
        family = [self.pid, *(child.pid for child in self._children())]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._told.close()

    def _children(self) -> Iterator[psutil.Process]:
        """All of its session, which it leads: some are no children any more."""
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.Error):
                if os.getsid(process.pid) == self.pid and process.pid != self.pid:
                    yield process
