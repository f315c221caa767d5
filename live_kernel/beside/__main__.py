"""The local kernel's first steps: `python -P -m live_kernel.beside FD -f FILE`.

Runs in the local kernel, on its main thread, and becomes a stock ipykernel.
Rule: it never outlives the launcher, however that ends and whatever runs here; and it imports
from its directory only what cells name (`-P`), and that only where the launcher says so.
"""

from __future__ import annotations

import os
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


def _become_kernel() -> None:
    from ipykernel.kernelapp import IPKernelApp

    from . import forked

    forked.use()

    class LocalKernelApp(IPKernelApp):
        def init_path(self) -> None:
            """Where IPython has it: behind the standard library. (It leaves `-P` as it is.)"""
            names = map(os.path.basename, sys.path)
            installed = [i for i, name in enumerate(names) if name.endswith("-packages")]
            if not self.ignore_cwd and "" not in sys.path:
                sys.path.insert(min(installed, default=0), "")

    LocalKernelApp.launch_instance()


if __name__ == "__main__":
    _end_with_parent()
    bridge.connect(int(sys.argv.pop(1)))
    _become_kernel()
