"""A program with all that it starts: in a session, a directory and with a port of its own.

Runs in pytest and in `make traces`. Rule: nothing of it is left when the block ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Group:
    """Use it in a `with` block. Subclasses say how it begins, and when it is ready."""

    def __enter__(self) -> Self:
        self.port = free_port()
        self.place = Path(tempfile.mkdtemp(prefix="lk-", dir="/tmp"))
        self.begin()
        try:
            self.await_ready()
        except BaseException:
            print(self.told())
            self.close()
            raise
        return self

    def begin(self) -> None:
        """Prepare its place, and start it."""
        raise NotImplementedError

    def await_ready(self) -> None:
        raise NotImplementedError

    def start(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        with (self.place / "told").open("wb") as told:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __exit__(self, *_: object) -> None:
        self.close()

    def told(self) -> str:
        """What it has written."""
        return (self.place / "told").read_text(errors="replace")

    def close(self) -> None:
        others: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            others = psutil.Process(self.process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for each in others:  # in sessions of their own, as of gunicorn's that was executed anew
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        psutil.wait_procs(others, timeout=10)
        shutil.rmtree(self.place, ignore_errors=True)
