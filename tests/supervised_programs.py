"""Programs under supervision, started as a user's shell starts them.

Runs in pytest. Rule: a supervisor ends with its test, and so does its program.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from targets import Target, eventually

from live_kernel.attach import supervised
from live_kernel.attach.processes import Process

RUN = (sys.executable, "-m", "live_kernel", "run")


def a_name(of: str = "program") -> str:
    """One that nobody else has: other tests may run on this machine."""
    return f"{of}-{secrets.token_hex(4)}"


class Supervised(Target):
    """A target under supervision: `pid` is its supervisor's. `options`: those of `run`."""

    def __init__(
        self, program: str | Path, *, run: Sequence[str] = (), name: str = "", **more: Any
    ) -> None:
        self.name = name or a_name()
        more.setdefault("env", {})
        more["wrap"] = [*RUN, "--name", self.name, *run, "--", *more.get("wrap", ())]
        super().__init__(program, **more)

    @property
    def program(self) -> Process:
        """The process that the program is now."""

        def present() -> Process | None:
            return supervised.present(self.name)

        found = eventually(present)
        assert found is not None
        return found

    def about(self) -> dict[str, Any]:
        """What its supervisor says."""
        return supervised.named(self.name).about()

    def close(self) -> None:
        """The program is of the supervisor's process group, which is killed; or has outlived it."""
        with contextlib.suppress(OSError):
            left = supervised.present(self.name)
            if left is not None:
                os.kill(left.pid, signal.SIGKILL)
        super().close()
