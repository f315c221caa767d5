"""Lines of the program's source files, read as the program sees its files.

Runs in the launcher, on a thread that may wait. Rule: only plain files are read, of a
size that source has; a line that can't be had is empty.
"""

from __future__ import annotations

import os

from ..attach.runtime import open_regular

_LARGEST = 4 << 20
"""Bytes of a source file that is read."""

_MOST = 16 << 20
"""Bytes of all of them together, which one look reads."""


class Sources:
    """The files of one process, each read once. Made for one look, and then dropped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._files: dict[str, list[str]] = {}
        self._left = _MOST

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
            text = _text(f"/proc/{self._pid}/{place}", min(_LARGEST, self._left))
        except (OSError, ValueError):
            return []
        self._left -= len(text)
        return text.splitlines()


def _text(path: str, largest: int) -> str:
    """Raises OSError or ValueError. (Whatever else is there, the program names it: a device
    may do something by being opened.)
    """
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > largest:
            raise ValueError(f"{path} is no source file")
        return file.read(largest).decode(errors="replace")
