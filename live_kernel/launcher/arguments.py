"""The command line on which Jupyter starts the launcher.

Runs in the launcher, before everything else. Rule: parsed without a library,
since every millisecond here is one before the kernel answers.
"""

from __future__ import annotations

import argparse

from .choosing import Choice


def parser() -> argparse.ArgumentParser:
    """`-f FILE`, as the kernelspec has it, and what the user added after `--`."""
    parsing = argparse.ArgumentParser(
        prog="live-kernel kernel",
        description="Run the kernel that Jupyter starts from the kernelspec live-attach.",
    )
    parsing.add_argument("-f", dest="file", metavar="FILE", required=True, help="connection file")
    chosen = parsing.add_mutually_exclusive_group()
    chosen.add_argument("--pid", type=int, metavar="N", help="attach to this process")
    chosen.add_argument(
        "--match", metavar="TEXT", help="attach to the one process whose command line has TEXT"
    )
    return parsing


def run_kernel(arguments: list[str]) -> int:
    """Run the kernel for these arguments. Returns the exit status."""
    given = parser().parse_args([word for word in arguments if word != "--"])
    choice = None
    if given.pid is not None:
        choice = Choice(str(given.pid), "--pid")
    elif given.match:
        choice = Choice(given.match, "--match")

    from .kernel import main

    return main(given.file, choice)
