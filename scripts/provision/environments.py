"""The project's venvs, each with a stamp that says what was put into it.

A stamp that fits, and a python that runs, is all that a second set-up looks at.
The venvs are made without pip of their own accord: a Python from Debian has no
`ensurepip`. The workshop's pip fills them.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .interpreters import Interpreter, is_outdated, obtain
from .progress import Step
from .shell import ROOT, TOOLS, CommandFailed, run
from .workshop import pip

# How pip names a package that it deals with; a wheel on disk goes by its path.
_PACKAGE = re.compile(
    r"(?:Collecting|Processing|Requirement already satisfied:) (?:\S*/)?(\w(?:[\w.]|-(?!\d))*)"
)
_STAMP = "live-kernel.stamp"
# Raised when a venv that this code made before must be made again.
_EDITION = 1


@dataclass(frozen=True)
class Environment:
    """A venv on one of `minors`. It holds `requirements` and the project itself, or nothing."""

    path: Path
    minors: tuple[str, ...]
    fill: Callable[[Environment, Step], None] | None = None
    requirements: str = ""
    included: tuple[str, ...] = ()
    """Lists of which `requirements` has every line."""

    @property
    def python(self) -> Path:
        return self.path / "bin/python"

    def ensure(self) -> Path:
        """Make it what it should be, and return its python; raise `SetUpError`."""
        stamp = self._read_stamp()
        if not self._is_usable(stamp):
            stamp = self._make(obtain(*self.minors))
        if self.fill and stamp["content"].get(self.requirements) != _digest(self.requirements):
            with Step(str(self.path.relative_to(ROOT))) as step:
                self.fill(self, step)
            held = (self.requirements, *self.included)
            stamp["content"] |= {name: _digest(name) for name in held}
            self._write_stamp(stamp)
        return self.python

    def _is_usable(self, stamp: dict[str, Any]) -> bool:
        if stamp.get("path") != str(self.path) or stamp.get("edition") != _EDITION:
            return False
        if stamp["version"].rpartition(".")[0] not in self.minors or is_outdated(self.python):
            return False
        try:
            ask = "import sys; print(*sys.version_info[:3], sep='.')"
            command = [str(self.python), "-I", "-c", ask]
            answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        except (OSError, subprocess.SubprocessError):
            return False
        return answer.stdout.strip() == str(stamp["version"])

    def _make(self, interpreter: Interpreter) -> dict[str, Any]:
        run([interpreter.path, "-I", "-m", "venv", "--without-pip", "--clear", self.path])
        stamp: dict[str, Any] = {
            "edition": _EDITION,
            "path": str(self.path),
            "version": interpreter.version,
            "content": {},
        }
        self._write_stamp(stamp)
        return stamp

    def _read_stamp(self) -> dict[str, Any]:
        try:
            stamp: dict[str, Any] = json.loads((self.path / _STAMP).read_text())
        except (OSError, ValueError):
            return {}
        return stamp

    def _write_stamp(self, stamp: dict[str, Any]) -> None:
        (self.path / _STAMP).write_text(json.dumps(stamp))


def main(extent: str) -> Environment:
    """`.venv`, to show the project or to work on it. Not every wheel for that is there for 3.15."""
    if extent == "demo":
        return Environment(ROOT / ".venv", ("3.14", "3.15"), _fill_exactly, extent)
    included = ("demo", "dev") if extent == "fuzz" else ("demo",)
    return Environment(ROOT / ".venv", ("3.14",), _fill_exactly, extent, included=included)


def bare(minor: str) -> Environment:
    """An interpreter with nothing beside its standard library, for test programs."""
    return Environment(TOOLS / f"bare-{minor}", (minor,))


def older() -> Environment:
    """The launcher on the oldest Python that it supports, or the next."""
    return Environment(TOOLS / "venv-older", ("3.12", "3.13"), _fill_within, "dev")


def _fill_exactly(environment: Environment, step: Step) -> None:
    """The versions of the list, which is complete, so that nothing is left to resolve."""
    requirements = _list(environment.requirements)
    lines = requirements.read_text().splitlines()
    total = sum(1 for line in lines if line and not line.startswith("#"))
    _install(environment, step, f" of {total}", "--no-deps", "--requirement", requirements)
    _install_project(environment, step)
    step.say(f"{total} packages, and the project itself")


def _fill_within(environment: Environment, step: Step) -> None:
    """What the project depends on, resolved for this Python, with the versions of the list."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    _install(environment, step, "", "--constraint", _list(environment.requirements), *wanted)
    _install_project(environment, step)
    step.say("the dependencies, and the project itself")


def _install(environment: Environment, step: Step, of: str, *words: str | Path) -> None:
    count = 0

    def watch(line: str) -> None:
        nonlocal count
        if found := _PACKAGE.match(line):
            count += 1
            step.say(f"{count}{of}: {found[1]} …")
        elif line.startswith("Installing"):
            step.say(f"{count} packages are here; unpacking …")

    step.say("looking for packages …")
    how = ("install", "--no-compile", "--only-binary", ":all:")
    pip(environment.python, *how, *words, watch=watch)
    step.say(f"compiling {count} packages …")
    _compile(environment)


def _compile(environment: Environment) -> None:
    """On all cores, where pip would use one. Some packages bring files that are no Python."""
    try:
        run([environment.python, "-m", "compileall", "-q", "-j0", environment.path / "lib"])
    except CommandFailed:
        pass


def _install_project(environment: Environment, step: Step) -> None:
    step.say("the project itself …")
    pip(environment.python, "install", "--no-deps", "--no-build-isolation", "--editable", ROOT)


def _digest(requirements: str) -> str:
    """Of all that decides what an installation holds, but for the project's code."""
    digest = hashlib.sha256()
    kernelspec = sorted(path for path in (ROOT / "kernelspec").iterdir() if path.is_file())
    extension = ROOT / "live_kernel/server/live-kernel.json"
    panel = sorted(
        path for path in (ROOT / "live_kernel/labextension").rglob("*") if path.is_file()
    )
    for path in (_list(requirements), ROOT / "pyproject.toml", *kernelspec, extension, *panel):
        digest.update(path.read_bytes() + b"\0")
    version = re.search(r"__version__.*", (ROOT / "live_kernel/__init__.py").read_text())
    digest.update(version[0].encode() if version else b"")
    return digest.hexdigest()


def _list(requirements: str) -> Path:
    return ROOT / f"scripts/requirements-{requirements}.txt"
