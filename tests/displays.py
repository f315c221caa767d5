"""An X server without a screen, for programs with windows.

Runs in pytest; the server is a process of its own, which ends with the block.
"""

from __future__ import annotations

import os
import subprocess
from types import TracebackType
from typing import Self

import pytest
from targets import found


class Display:
    """A running server; `name` is what goes into DISPLAY. Skips the test where there is none."""

    def __enter__(self) -> Self:
        server = found("xvfb") or pytest.skip("no Xvfb here")
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as told:
            command = [server, "-displayfd", str(writing), "-nolisten", "tcp"]
            self._process = subprocess.Popen(
                command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            os.close(writing)
            number = told.readline().decode().strip()
        self.name = f":{number}"
        if not number:
            self.__exit__()
            pytest.fail("the X server does not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
