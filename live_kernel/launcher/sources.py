"""Lines of the program's source files, read as the program sees its files.

Runs in the launcher, on a thread that may wait. The program says which file it is, and may
say anything. Rule: only plain files are read, of a size that source has, and none that the
program's user could not read; a line that can't be had is empty.
"""

from __future__ import annotations

import os

from ..attach import proc
from ..attach.acting import acting_as
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
        try:
            text = _text(self._pid, file, min(_LARGEST, self._left))
        except (OSError, ValueError):  # a name with a null character
            return []
        self._left -= len(text)
        return text.splitlines()


def _text(pid: int, file: str, largest: int) -> str:
    """Raises OSError."""
    base, path = ("root", os.path.normpath(file).lstrip("/")) if file[:1] == "/" else ("cwd", file)
    directory = os.open(f"/proc/{pid}/{base}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = proc.status(pid)
        owner = status.uids[1], status.gids[1]
        with acting_as(owner if os.geteuid() == 0 != owner[0] else None):
            # Those of /proc have no size, and their text depends on who reads it.
            descriptor = open_regular(path, directory, lambda found: 0 < found.st_size <= largest)
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb") as found:
        return found.read(largest).decode(errors="replace")
