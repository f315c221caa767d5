"""The journal as it is read: lines become entries, a cell's two lines one.

Runs on the command line, and on a thread of the launcher's for `%log`. It is read from its end,
so that the latest entries of a large journal are there at once.
Rule: whatever stands in the file is read as data; a line that makes no sense is counted, and
skipped.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import CommandMisused, JournalUnread
from ..records import NamedTuple
from . import durations
from .journal import FULL, files

Record = dict[str, Any]

_LONGEST_FILE = 4 * FULL
"""Bytes of one file that are read, from its end: more than that no journal of ours has."""

_REMEMBERED = 100_000
"""Outcomes that are kept until their cell comes."""


class Entry(NamedTuple):
    """Something that has happened. `outcome`: the line that tells how a cell went, if there is."""

    record: Record
    outcome: Record | None = None

    @property
    def target(self) -> Record:
        """The program concerned, as far as it is known; empty without one."""
        for line in (self.record, self.outcome or {}):
            target = line.get("target")
            if isinstance(target, dict):
                return target
        return {}

    def has(self, text: str) -> bool:
        """Does the text stand in its code, its reason, or the program's command line?"""
        record = self.record
        found = (record.get("code"), record.get("why"), record.get("asked"))
        return any(text in str(each or "") for each in (*found, self.target.get("command")))

    def is_by(self, user: str) -> bool:
        """Is this its user, by name or number, who has logged in, or Jupyter's name for him?"""
        names = (self.record.get(key) for key in ("user", "uid", "login", "username"))
        return any(user == str(name) for name in names if name is not None)


class Wanted(NamedTuple):
    """Which entries are asked for. `since`: seconds since 1970. `also` has the last word."""

    pid: int | None = None
    text: str = ""
    user: str = ""
    since: float | None = None
    also: Callable[[Entry], bool] = lambda _entry: True

    def takes(self, entry: Entry) -> bool:
        return (
            (self.pid is None or self.pid == entry.target.get("pid"))
            and (not self.text or entry.has(self.text))
            and (not self.user or entry.is_by(self.user))
            and not self.is_before(entry)
            and self.also(entry)
        )

    def is_before(self, entry: Entry) -> bool:
        """Is it older than what is asked for?"""
        return self.since is not None and seconds(entry.record.get("at")) < self.since


class Past:
    """The journal in the file `path` and those that were put aside.

    `damaged`: how many lines made no sense so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0

    def latest(self, wanted: Wanted, count: int) -> list[Entry]:
        """The latest entries that are wanted, oldest first; all of them for 0.

        Raises JournalUnread where there is a journal that can't be read.
        """
        found: list[Entry] = []
        for entry in self._backwards():
            if wanted.takes(entry):
                found.append(entry)
                if len(found) == count:
                    break
        return found[::-1]

    def _backwards(self) -> Iterator[Entry]:
        outcomes: dict[str, Record] = {}
        for record in self._records():
            if record["event"] == "outcome":
                outcomes[str(record.get("id"))] = record
                if len(outcomes) > _REMEMBERED:
                    del outcomes[next(iter(outcomes))]
            elif record["event"] == "cell":
                yield Entry(record, outcomes.pop(str(record.get("id")), None))
            else:
                yield Entry(record)

    def _records(self) -> Iterator[Record]:
        """All lines, the last first."""
        seen: set[tuple[int, int]] = set()
        for path in files(self._path):
            opened = _opened(path)
            if opened is None:
                continue
            descriptor, status = opened
            identity = (status.st_dev, status.st_ino)
            with os.fdopen(descriptor, "rb") as file:
                if identity in seen:  # it has been put aside just now
                    continue
                seen.add(identity)
                file.seek(max(0, status.st_size - _LONGEST_FILE))
                lines = file.read(_LONGEST_FILE).split(b"\n")
            # What has no end yet is being written, if it is not damaged.
            for line in reversed(lines[:-1]):
                record = parsed(line)
                if record is not None:
                    yield record
                elif line:
                    self.damaged += 1


class News:
    """What is added to a journal from now on; also where it is put aside, or only just begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor, self._identity = -1, (0, 0)
        self._begun = b""
        self.damaged = 0
        self._open()
        if self._descriptor >= 0:
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def take(self) -> list[Record]:
        """The lines that have come since. Raises JournalUnread."""
        records = self._read()
        if self._has_moved():
            records += self._read()  # what came before it was put aside
            self.close()
            self._open()
            records += self._read()
        return records

    def _open(self) -> None:
        opened = _opened(self._path)
        if opened is not None:
            self._descriptor, status = opened
            self._identity = (status.st_dev, status.st_ino)

    def _has_moved(self) -> bool:
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) != self._identity

    def _read(self) -> list[Record]:
        records: list[Record] = []
        while self._descriptor >= 0 and (data := os.read(self._descriptor, 1 << 20)):
            *lines, self._begun = (self._begun + data).split(b"\n")
            for line in lines:
                record = parsed(line)
                if record is not None:
                    records.append(record)
                elif line:
                    self.damaged += 1
        return records

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._begun = -1, b""


def _opened(path: Path) -> tuple[int, os.stat_result] | None:
    """A descriptor of a file of the journal; None where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalUnread(f"{path} can't be read: {error.strerror}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise JournalUnread(f"{path} can't be read: it is no regular file")
    return descriptor, status


def parsed(line: bytes) -> Record | None:
    """A line of the journal; None for anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, dict) and isinstance(record.get("event"), str):
        return record
    return None


def seconds(at: object) -> float:
    """The time of a line, in seconds since 1970; 0 where it has none that makes sense."""
    try:
        return datetime.fromisoformat(str(at)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def since(text: str) -> float:
    """The moment that a user means, in seconds since 1970: `1h` ago, or an ISO date.

    A date without a zone is local time. Raises CommandMisused.
    """
    try:
        day = 86400 if text.endswith("d") else 1
        return time.time() - durations.parse(text.removesuffix("d")) * day
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise CommandMisused(
            f"{text!r} is no time.", "For example: 30min, 2h, 3d, 2026-11-26, 2026-11-26T09:30"
        ) from None
