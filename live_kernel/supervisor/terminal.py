"""The terminal that program and supervisor share, where they have one.

Runs in the supervisor, on its main thread. Rule: it is touched only while our process group has
it, and only as a shell would between two commands.
"""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Terminal:
    """`settle` gives it back the settings that it had when we were started."""

    def __init__(self) -> None:
        self._settings: list[Any] | None = None
        with suppress(OSError, termios.error), _opened() as terminal:
            self._settings = termios.tcgetattr(terminal)

    def is_ours(self) -> bool:
        """Is our process group the one that it listens to?"""
        with suppress(OSError), _opened() as terminal:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        return False

    def settle(self) -> None:
        """A program that has ended may have left it raw, and the next is not to find it so."""
        if self._settings is not None and self.is_ours():
            with suppress(OSError, termios.error), _opened() as terminal:
                termios.tcsetattr(terminal, termios.TCSADRAIN, self._settings)


@contextmanager
def _opened() -> Iterator[int]:
    """Raises OSError where there is none."""
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        yield terminal
    finally:
        os.close(terminal)
