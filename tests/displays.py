"""An X server without a screen, for programs with windows, and where Tk finds its own.

Runs in pytest; the server is a process of its own, which ends with the block.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
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


@cache
def needs(module: str) -> None:
    """Skip the test where the module, or a library of the system below it, is not there."""
    command = [sys.executable, "-c", f"import {module}"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"{module} can't be loaded here")


def libraries_of_tcl() -> dict[str, str]:
    """Where Tcl finds its own scripts.

    A Python from Debian's packages, put elsewhere, would take the system's for them.
    """
    needs("tkinter")
    place = Path(sys.base_prefix) / "share/tcltk"
    return {
        name: str(folder)
        for name, pattern in (("TCL_LIBRARY", "tcl[0-9]*"), ("TK_LIBRARY", "tk[0-9]*"))
        for folder in place.glob(pattern)
    }
