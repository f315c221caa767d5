"""What a Python has loaded that does nothing else than it is told.

Runs in pytest. Rule: it is asked from outside, by all that it has loaded.
"""

from __future__ import annotations

import subprocess
import sys


def printed_by(code: str) -> str:
    """What a fresh Python prints that runs this."""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh Python has loaded once it has run this."""
    return set(printed_by(f"{code}\nimport sys; print(*sys.modules)").split())
