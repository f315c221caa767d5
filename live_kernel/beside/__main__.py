"""The local kernel's first steps: `python -m live_kernel.beside FD -f FILE`.

Runs in the local kernel, on its main thread, and becomes a stock ipykernel.
Rule: it never outlives the launcher, however that ends and whatever runs here.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from . import bridge

_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have the system kill us with our parent. (ipykernel only looks now and then, and in
    older versions only whether init has become our parent, which a subreaper prevents.)
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
        sys.exit(1)


if __name__ == "__main__":
    _end_with_parent()
    bridge.connect(int(sys.argv.pop(1)))
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=False)
