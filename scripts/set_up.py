#!/usr/bin/env python3
"""Make everything that a Makefile target needs, or find that it is already there.

usage: set_up.py demo | dev | test | fuzz

demo   .venv with the project and what its demonstration needs
dev    .venv with everything that the project is worked on with
test   dev, and what the tests meet: other Pythons, a browser, tmux, a display; told in
       .tools/found.json
fuzz   test, and the fuzzer, which there is for x86-64 only

Runs on the system's Python, 3.11 or later. A second run takes a fraction of a second.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  that is what is to be found out
    sys.exit("the set-up needs python3 to be 3.11 or later; this is " + sys.version.split()[0])

import fcntl
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from provision import environments, programs
from provision.progress import tell
from provision.shell import TOOLS, SetUpError


def main(arguments: list[str]) -> int:
    if arguments not in (["demo"], ["dev"], ["test"], ["fuzz"]):
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with _alone():
            set_up(arguments[0])
    except SetUpError as error:
        print(f"\nset-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; the next one goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def set_up(extent: str) -> None:
    environments.main("dev" if extent == "test" else extent).ensure()
    if extent in ("test", "fuzz"):
        found = _what_tests_meet()
        (TOOLS / "found.json").write_text(json.dumps(found, indent=2) + "\n")


def _what_tests_meet() -> dict[str, object]:
    """Paths by name; what can't be had is None, and `missing` says why."""
    wanted: dict[str, Callable[[], str | Path]] = {
        "python314": environments.bare("3.14").ensure,
        "python315": environments.bare("3.15").ensure,
        "older_launcher": environments.older().ensure,
        "chromium": lambda: programs.obtain(programs.CHROMIUM),
        "tmux": lambda: programs.obtain(programs.TMUX),
        "zsh": lambda: programs.obtain(programs.ZSH),
        "fish": lambda: programs.obtain(programs.FISH),
        "xvfb": lambda: programs.obtain(programs.XVFB),
        "qt": lambda: programs.obtain(programs.QT),
    }
    found: dict[str, str | None] = {}
    missing: dict[str, str] = {}
    for name, get in wanted.items():
        try:
            found[name] = str(get())
        except SetUpError as error:
            found[name], missing[name] = None, error.cause
            tell(f"without {name}, some tests are skipped: {error.cause}")
    return found | {"missing": missing}


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time in this folder; the lock goes with the process."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another set-up is at work here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
