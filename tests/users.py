"""Other users of this machine: real ones, whose programs are started for a test.

Runs in pytest, as root. Rule: a user who can't run the interpreter here is a skipped test, which
says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from targets import PROGRAMS, ROOT, python314

NOBODY = 65534
SOMEBODY = 64444
"""Has no name, and nothing on this machine."""


def become(uid: int) -> tuple[str, ...]:
    """A command that runs another as this user, who is in no group but one of the same number."""
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


def python_for(uid: int) -> str:
    """A 3.14 that the user can run; skips the test where there is none."""
    python = python314()
    look = [*become(uid), python, "-c", "pass"]
    if subprocess.run(look, capture_output=True, cwd="/", check=False).returncode != 0:
        pytest.skip(f"uid {uid} can't run {python}")
    return python


def run_as(uid: int, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code with our own interpreter as that user; skips where that is impossible."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        env.pop(name, None)
    begin = [*become(uid), sys.executable, "-c"]
    look = subprocess.run(
        [*begin, "import live_kernel.handle"], env=env, capture_output=True, cwd="/", check=False
    )
    if look.returncode != 0:
        pytest.skip(f"uid {uid} can't run {sys.executable} with live_kernel")
    return subprocess.run(
        [*begin, code, *map(str, arguments)],
        env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def stranger(
    uid: int,
    pids: Iterable[int] = (),
    paths: Iterable[Path] = (),
    ports: Iterable[int] = (),
    spare: bool = False,
) -> list[tuple[str, Any]]:
    """What this user gets of these: see programs/stranger.py."""
    given = {"pids": list(pids), "paths": [*map(str, paths)], "ports": list(ports), "spare": spare}
    done = subprocess.run(
        [*become(uid), python_for(uid), "-I", "-S", str(PROGRAMS / "stranger.py")],
        input=json.dumps(given), cwd="/", capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]
