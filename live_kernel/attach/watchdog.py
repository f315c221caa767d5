"""Seeing to it that something is done if the launcher is killed.

Runs in the launcher, and as a shell that it starts for this: in a session of its own, waiting
for a word through a pipe. Where the pipe ends without one, whoever held it was killed, and the
shell becomes the command that takes away what is left. Rule: as long as the launcher lives, be it
stopped, nothing is done; and a watchdog that can't be had is missed by nobody: what it would do
is done by a later launcher (`leftovers.py`), or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import interpreter

if TYPE_CHECKING:
    from .processes import Process

_SHELL = "/bin/sh"

_WAITS = '{ IFS= read -r word <&3 || exec "$@" 3<&-; } &'
"""In the background, so that it is nobody's child, and no zombie of ours when it ends."""

_SWEEPS = "import sys; sys.path.append({place!r}); from live_kernel.attach import leftovers; "
_SWEEPS += "leftovers.main()"


class Watchdog:
    """Has `command` run if we end without having called `dismiss`."""

    def __init__(self, *command: str) -> None:
        self._pipe: int | None = None
        self._starting: int | None = None
        try:
            theirs, ours = os.pipe()
        except OSError:
            return  # no descriptors to be had
        try:
            self._starting = _start(theirs, command)
            self._pipe = ours
        except (OSError, NotImplementedError, ValueError):
            os.close(ours)  # no shell here, or no processes to be had
        finally:
            os.close(theirs)

    def dismiss(self) -> None:
        """There is nothing (more) to be done. Calling it again does no harm."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):  # somebody has killed it
                os.write(pipe, b"\n")
            os.close(pipe)
        self.settle()

    def settle(self) -> None:
        """Collect the process that has put it into the background. (It is gone at once.)"""
        starting, self._starting = self._starting, None
        if starting is not None:
            with contextlib.suppress(OSError):  # whoever uses us collects all children
                os.waitpid(starting, 0)


def _start(pipe: int, command: tuple[str, ...]) -> int:
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    # (A descriptor that has the number already would stay one that ends with this program.)
    given = os.dup(pipe) if pipe == 3 else pipe
    try:
        return os.posix_spawn(
            _SHELL,
            [_SHELL, "-c", _WAITS, "live-kernel-watchdog", *command],
            dict(os.environ),
            file_actions=[*quiet, (os.POSIX_SPAWN_DUP2, given, 3)],
            setsid=True,
        )
    finally:
        if given != pipe:
            os.close(given)


def of_directory(directory: Path, process: Process | None = None) -> Watchdog | None:
    """A watchdog which removes a private directory, once a script in it for `process` is
    taken back. None where this Python can't be run again.
    """
    if not interpreter.is_named_so(sys.executable or ""):
        return None
    place = str(Path(__file__).resolve().parent.parent.parent)
    words = [] if process is None else [str(process.pid), str(process.start_time)]
    text = _SWEEPS.format(place=place)
    return Watchdog(sys.executable, "-I", "-S", "-c", text, str(directory), *words)


def of_group(leader: int) -> Watchdog:
    """A watchdog which ends a group of processes, given by its leader's pid."""
    text = "kill -s TERM -- -{0} && sleep 1 && kill -s KILL -- -{0}"
    return Watchdog(_SHELL, "-c", text.format(leader))
