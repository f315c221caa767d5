"""`python -m live_kernel`: the kernel at once, everything else by way of `cli.py`.

Jupyter starts a kernel for every notebook, and what the command line needs for
its options and tables is not needed there.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Run the command that the arguments name. Returns the exit status."""
    if sys.argv[1:2] == ["kernel"]:
        gc.disable()  # imports make no garbage; the kernel enables it once it has started
        from .launcher.arguments import run_kernel

        return run_kernel(sys.argv[2:])
    if sys.argv[1:2] == ["console"]:  # `attach` runs it; what comes after `--` is the kernel's
        from .console import run

        run(sys.argv[2:])
        return 0
    if sys.argv[1:2] == ["supervise"]:  # what `run` becomes
        from .supervisor.main import run as supervise

        os._exit(
            supervise(sys.argv[2:])
        )  # at once, whatever PYTHONINSPECT says: it is the program's
    from .cli import main as command_line

    command_line()
    return 0


if __name__ == "__main__":
    sys.exit(main())
