"""The launcher's own log: its stderr, which the notebook server keeps or shows.

Runs on any thread of the launcher. Rule: a log that takes nothing, since its disk is full or its
reader has gone, stops nobody.
"""

from __future__ import annotations

import contextlib
import sys


def log(text: str) -> None:
    """Write a line, if it can be written."""
    with contextlib.suppress(OSError, ValueError):
        print(f"live-kernel: {text}", file=sys.stderr, flush=True)


def log_error(error: BaseException) -> None:
    """Write a traceback: it tells of a mistake of ours."""
    import traceback  # not at every start: it loads much

    with contextlib.suppress(OSError, ValueError):
        traceback.print_exception(error)
