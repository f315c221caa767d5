"""Programs that some tests drive: a browser, a terminal multiplexer, two
shells, a display; libraries of Qt.

Debian packages, so installed only where this runs as root; that is the one
change to the machine that the set-up makes, and only `test` asks for it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from dataclasses import dataclass

from .progress import Step
from .shell import CommandFailed, SetUpError, run


@dataclass(frozen=True)
class Program:
    name: str
    commands: tuple[str, ...]
    packages: tuple[str, ...]

    def find(self) -> str | None:
        return next(filter(None, map(shutil.which, self.commands)), None)


class Libraries(Program):
    """Some, by the names under which programs load them; they are there, or they are not."""

    def find(self) -> str | None:
        try:
            for name in self.commands:
                ctypes.CDLL(name)
        except OSError:
            return None
        return self.name


# A page without fonts would make an empty screenshot.
CHROMIUM = Program(
    "chromium",
    ("chromium", "chromium-browser", "google-chrome"),
    ("chromium", "fonts-liberation"),
)
TMUX = Program("tmux", ("tmux",), ("tmux",))
ZSH = Program("zsh", ("zsh",), ("zsh",))
FISH = Program("fish", ("fish",), ("fish",))
XVFB = Program("Xvfb", ("Xvfb",), ("xvfb",))
# What its wheels expect of the system, also where nothing is drawn on a screen.
QT = Libraries(
    "libraries for Qt",
    ("libEGL.so.1", "libGL.so.1", "libxkbcommon.so.0", "libfontconfig.so.1", "libdbus-1.so.3"),
    ("libegl1", "libgl1", "libxkbcommon0", "libfontconfig1", "libdbus-1-3"),
)


def obtain(program: Program) -> str:
    """Its path; installed now if it must and can be; raise `SetUpError` with the reason."""
    if path := program.find():
        return path
    packages = " ".join(program.packages)
    if os.geteuid() or not shutil.which("apt-get"):
        raise SetUpError(f"not installed; as root: apt-get install {packages}")
    with Step(f"{program.name} by apt-get") as step:
        try:
            _apt_install(program.packages)
        except CommandFailed as error:
            raise SetUpError(f"apt-get could not install {packages}: {error.cause}") from None
        path = program.find()
        step.say(path or "installed, but not found")
    if path is None:
        raise SetUpError(f"{packages}: installed, but none of {program.commands} is on PATH")
    return path


def _apt_install(packages: tuple[str, ...]) -> None:
    settings = ("DPkg::Lock::Timeout=60", "Acquire::Retries=1", "Acquire::http::Timeout=20")
    apt = ["apt-get", "-q", "-y", *(f"-o{setting}" for setting in settings)]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*apt, "update"], env=quiet)
    except CommandFailed:
        pass  # a third party's source may be out of reach; Debian's lists may be there all the same
    run([*apt, "install", "--no-install-recommends", *packages], env=quiet)
