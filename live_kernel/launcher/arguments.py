"""The command line on which Jupyter starts the launcher.

Runs in the launcher, before everything else. Rule: as little as possible is
loaded here, since every millisecond is one before the kernel answers.
"""

from __future__ import annotations

import getopt
import sys

from ..records import NamedTuple
from . import durations
from .choosing import Choice
from .rails import Rails

USAGE = """\
Usage: live-kernel kernel -f FILE [--pid N [--start-time T] | --match TEXT] [--wake]
                          [--quiet] [--observe] [--confirm] [--idle SPAN] [--follow]

  Run the kernel that Jupyter starts from the kernelspec live-attach.

  -f FILE       the connection file
  --pid N       attach to this process
  --start-time T  unless it is another one that began T clock ticks after boot
  --match TEXT  attach to the one process with TEXT in its command line
  --wake        wake it if it is blocked
  --quiet       don't let the first cell say what it runs in
  --observe     only look at programs: run no cells in them
  --confirm     ask before each cell
  --idle SPAN   detach after so long without use: 30m, say
  --follow      when the program is replaced (reloaded, restarted), go on in its successor

  --HistoryManager.hist_file=FILE   the history's database, as for IPython; :memory: for none"""

_HISTORY = "HistoryManager.hist_file"
"""An option of IPython's, which nbclient and papermill give to what they start as `python3`."""


class UsageError(ValueError):
    """The words on the command line make no sense together."""


class Arguments(NamedTuple):
    """The words on the command line. `history`: a file, or empty for IPython's own.

    `rails`: what is asked for all attaches of this kernel. `follow`: `on`, if it was said.
    """

    connection_file: str
    choice: Choice | None = None
    is_quiet: bool = False
    wakes: bool = False
    history: str = ""
    rails: Rails = Rails()
    follow: str | None = None


def parse(words: list[str]) -> Arguments:
    """What the front-end gave, and what the user added after `--`. Raises UsageError."""
    known = ["pid=", "start-time=", "match=", "wake", "quiet", "follow"]
    known += [*_RAILS, f"{_HISTORY}="]
    try:
        found, rest = getopt.getopt([w for w in words if w != "--"], "f:", known)
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from None
    options = dict(found)
    if rest or "-f" not in options:
        raise UsageError(f"can't make sense of {rest[0]!r}" if rest else "-f FILE is missing")
    if "--pid" in options and "--match" in options:
        raise UsageError("--pid and --match exclude each other")
    return Arguments(
        options["-f"],
        _choice(options),
        is_quiet="--quiet" in options,
        wakes="--wake" in options,
        history=options.get(f"--{_HISTORY}", ""),
        rails=_rails(options),
        follow="on" if "--follow" in options else None,
    )


def _choice(options: dict[str, str]) -> Choice | None:
    for name in ("--pid", "--start-time"):
        if name in options and not options[name].isdecimal():
            raise UsageError(f"{name} takes a number, not {options[name]!r}")
    if "--start-time" not in options:
        chosen = [Choice(options[name], name) for name in ("--pid", "--match") if name in options]
        return chosen[0] if chosen else None
    if "--pid" not in options:
        raise UsageError("--start-time says which process --pid means")
    return Choice(options["--pid"], "--pid", int(options["--start-time"]))


_RAILS = ("observe", "confirm", "idle=")


def _rails(options: dict[str, str]) -> Rails:
    observe, confirm = (name * (name in options) for name in ("--observe", "--confirm"))
    if "--idle" not in options:
        return Rails(observe, confirm)
    try:
        return Rails(observe, confirm, durations.parse(options["--idle"]), "--idle")
    except ValueError as error:
        raise UsageError(f"--idle: {error}") from None


def run_kernel(words: list[str]) -> int:
    """Run the kernel for these arguments. Returns the exit status."""
    if words and words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    try:
        arguments = parse(words)
    except UsageError as error:
        print(f"live-kernel: {error}\n\n{USAGE}", file=sys.stderr)
        return 2

    from .kernel import main

    return main(arguments)
