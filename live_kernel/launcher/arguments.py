"""The command line on which Jupyter starts the launcher.

Runs in the launcher, before everything else. Rule: as little as possible is
loaded here, since every millisecond is one before the kernel answers.
"""

from __future__ import annotations

import getopt
import sys

from .choosing import Choice

USAGE = """\
Usage: live-kernel kernel -f FILE [--pid N | --match TEXT]

  Run the kernel that Jupyter starts from the kernelspec live-attach.

  -f FILE       the connection file
  --pid N       attach to this process
  --match TEXT  attach to the one process with TEXT in its command line"""


class UsageError(ValueError):
    """The words on the command line make no sense together."""


def parse(words: list[str]) -> tuple[str, Choice | None]:
    """The connection file, and what the user added after `--`. Raises UsageError."""
    try:
        found, rest = getopt.getopt([w for w in words if w != "--"], "f:", ["pid=", "match="])
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from None
    options = dict(found)
    if rest or "-f" not in options:
        raise UsageError(f"can't make sense of {rest[0]!r}" if rest else "-f FILE is missing")
    if "--pid" in options and "--match" in options:
        raise UsageError("--pid and --match exclude each other")
    if "--pid" in options and not options["--pid"].isdecimal():
        raise UsageError(f"--pid takes a number, not {options['--pid']!r}")
    chosen = [Choice(options[name], name) for name in ("--pid", "--match") if name in options]
    return options["-f"], chosen[0] if chosen else None


def run_kernel(words: list[str]) -> int:
    """Run the kernel for these arguments. Returns the exit status."""
    if words and words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    try:
        file, choice = parse(words)
    except UsageError as error:
        print(f"live-kernel: {error}\n\n{USAGE}", file=sys.stderr)
        return 2

    from .kernel import main

    return main(file, choice)
