"""Lines of the program's source files, read as the program sees its files.

Runs in the launcher, on a thread that may wait. Rule: only plain files are read, of a
size that source has; a line that can't be had is empty.
"""

from __future__ import annotations

import os
import stat

_LARGEST = 4 << 20
"""Bytes of a source file that is read."""


class Sources:
    """The files of one process, each read once. Made for one look, and then dropped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._files: dict[str, list[str]] = {}

    def line(self, file: str, number: int) -> str:
        """One line without its indentation; empty if there is none."""
        lines = self.lines(file)
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""

    def lines(self, file: str) -> list[str]:
        """All lines of a file; none if it can't be read."""
        if file not in self._files:
            self._files[file] = self._read(file)
        return self._files[file]

    def _read(self, file: str) -> list[str]:
        if file.startswith("<"):
            return []
        place = "root" + file if file.startswith("/") else "cwd/" + file
        try:
            return _text(f"/proc/{self._pid}/{place}").splitlines()
        except (OSError, ValueError):
            return []


def _text(path: str) -> str:
    """Raises OSError or ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise ValueError(f"{path} is no source file")
        return file.read(_LARGEST).decode(errors="replace")
