"""A terminal that a test types into and reads: a program in a tmux of its own.

Runs in pytest. Rule: what is typed is only typed when the screen shows that it
is awaited; the tmux server ends with the test, and all that ran in it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest
from targets import ROOT, eventually, found

_CONSOLES = str(ROOT / "tests" / "console")
"""Where a Jupyter console in one finds how to wait for its kernel."""


class Terminal:
    """A command in a terminal of 120 by 40 characters; use it in a `with` block.

    `record`: a file that gets the last screen, for a person to look at. `size`: columns, lines.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        record: Path | None = None,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._tmux = found("tmux") or shutil.which("tmux") or pytest.skip("no tmux here")
        self._name = f"live-kernel-{secrets.token_hex(6)}"
        self._command = shlex.join(command)
        self._env = {"JUPYTER_CONFIG_PATH": _CONSOLES} | dict(env)
        self._record = record
        self._size = size

    def __enter__(self) -> Self:
        size = ["-x", str(self._size[0]), "-y", str(self._size[1])]
        # The shell stays when the command ends, so that the last screen can be read.
        script = f"{self._command}; echo ended with $?; exec cat"
        self._run("-f", "/dev/null", "new-session", "-d", *size, script)
        return self

    def __exit__(self, *_: object) -> None:
        if self._record is not None:
            self._record.write_text(self.screen() + "\n")
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")} | self._env
        command = [self._tmux, "-L", self._name, *arguments]
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def screen(self) -> str:
        """What stands on it now, without the empty lines below, and lines that the terminal had to
        fold (a path may be long) as one.
        """
        shown = self._run("capture-pane", "-p", "-J", "-S", "-200")
        return "\n".join(line.rstrip() for line in shown.splitlines()).rstrip()

    def coloured(self) -> str:
        """What stands on it, with the terminal's codes for colours."""
        return self._run("capture-pane", "-p", "-e", "-S", "-200")

    def lines(self) -> list[str]:
        """The screen alone, line by line, as it is."""
        return self._run("capture-pane", "-p").splitlines()

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size."""
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def type(self, *keys: str) -> None:
        """Type text, or press keys by their tmux names, such as Enter, Tab and C-c."""
        self._run("send-keys", *keys)

    def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def wait_for(self, *texts: str, times: int = 1, timeout: float = 20) -> str:
        """Wait until each text stands on the screen (so many times). Returns the screen."""

        def shown() -> str:
            screen = self.screen()
            for text in texts:
                assert screen.count(text) >= times, f"no {text!r} on the screen:\n{screen}"
            return screen

        return eventually(shown, timeout, every=0.03)

    def leave_console(self) -> int:
        """Press Ctrl-D in a Jupyter console, and say yes. Returns its exit status."""
        self.type("C-d")
        self.wait_for("Do you really want to exit")
        self.enter("y")
        return self.wait_for_end()

    def wait_for_end(self, timeout: float = 20) -> int:
        """Wait until the command has ended. Returns its exit status."""
        screen = self.wait_for("ended with ", timeout=timeout)
        return int(screen.rpartition("ended with ")[2].split()[0])

    @property
    def pid(self) -> int:
        """The command's shell."""
        return int(self._run("list-panes", "-F", "#{pane_pid}").split()[0])
