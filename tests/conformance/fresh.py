"""A kernel with a target of its own: starts a program, then becomes the launcher, attached to it.

Runs in place of the launcher, from the kernelspec that `write_kernelspec` makes;
the suites that we did not write know nothing of targets. Rule: the program is
nobody's child and in a session of its own, like one that a user attaches to.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("program.py")


def write_kernelspec(jupyter_path: Path, name: str) -> None:
    """Make a kernelspec of this name in a directory for `JUPYTER_PATH`."""
    spec = {
        "argv": [sys.executable, str(Path(__file__).resolve()), "-f", "{connection_file}"],
        "display_name": "live-kernel in a fresh program",
        "language": "python",
        "interrupt_mode": "message",
    }
    place = jupyter_path / "kernels" / name
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec))


def start_program() -> int:
    """Start a program that ends with this process. Returns its pid."""
    launcher = os.getpid()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        if not os.fork():
            nothing = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(nothing, standard)
            os.set_inheritable(writer, True)
            words = [sys.executable, str(PROGRAM), str(launcher), str(writer)]
            os.execv(sys.executable, words)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as said:
        return int(said.readline())


if __name__ == "__main__":
    launch = [sys.executable, "-m", "live_kernel", "kernel", "--pid", str(start_program())]
    os.execv(sys.executable, [*launch, "--quiet", *sys.argv[1:]])
