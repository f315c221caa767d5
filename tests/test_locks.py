"""Locks that the program's main thread gets, while its signal handlers may raise anywhere."""

from __future__ import annotations

import subprocess
import sys

from targets import ROOT

PROGRAM = ROOT / "tests" / "programs" / "struck.py"


def left_held(kind: str) -> int:
    """How often a lock of this kind was left held, where a handler's exception went through."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), kind],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=50,
        check=True,
    )
    return int(done.stdout)


def test_a_safe_lock_is_held_by_nobody_when_a_handler_has_raised() -> None:
    assert left_held("SafeLock") == 0


def test_any_other_lock_would_be() -> None:
    """So the test above is one of something."""
    assert left_held("RLock") > 0
