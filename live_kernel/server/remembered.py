"""The programs that kernels of this user's servers were started for, kept over their end.

Runs in Jupyter Server. A notebook that was saved against a process names its kernelspec,
`live-attach-4242`; here stands which program that was, so that it can be told, and one like
it offered, once the process has gone. The file is the user's alone, and bounded.
Rule: what the file can't mean is nothing; it never keeps a notebook from being opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..launcher.ownership import text_of_ours, write_whole
from ..records import NamedTuple

MOST = 300
"""Programs that are remembered; those that were used last."""

_LONGEST = 4000
"""Characters of a command line that are kept."""

_LARGEST = 1 << 19
"""Bytes of the file."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Record(NamedTuple):
    """A program that a kernelspec was for. `start_time`: in clock ticks after the boot `boot`.

    `title`: as the kernelspec showed it. `path`: of the notebook that used it last, absolute;
    empty where that is not known. `used`: seconds of the epoch.
    """

    name: str
    pid: int
    start_time: int
    boot: str
    command: tuple[str, ...]
    title: str
    path: str = ""
    used: float = 0.0

    @property
    def is_of_this_boot(self) -> bool:
        """Else its `start_time` means nothing any more."""
        return self.boot == boot()


@cache
def boot() -> str:
    """What tells this boot of the system from others; empty where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


class Remembered:
    """The records, by the names of their kernelspecs. May be asked on any thread."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "programs.json"
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._records: dict[str, Record] = {}

    def get(self, name: str) -> Record | None:
        return self.all().get(name)

    def all(self) -> dict[str, Record]:
        """Every record, the one used last first."""
        with self._lock:
            return self._read()

    def keep(self, records: Iterable[Record]) -> None:
        """Have these remembered, if that is possible, instead of others of their names.

        A record without a `path` keeps the one that there was for the same process.
        """
        with contextlib.suppress(OSError), self._lock, self._alone():
            kept = dict(self._read())
            changed = {each.name: _with_path(each, kept.get(each.name)) for each in records}
            latest = sorted({**kept, **changed}.values(), key=lambda each: -each.used)
            self._write(latest[:MOST])

    def _read(self) -> dict[str, Record]:
        """What is in the file, read again if that has changed: another server may have."""
        try:
            status = self._file.stat()
        except OSError:
            return {}
        stamp = status.st_mtime_ns, status.st_ino
        if stamp != self._stamp:
            self._stamp, self._records = stamp, {each.name: each for each in _parsed(self._file)}
        return self._records

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other server of this user writes meanwhile."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(
            self._file.with_suffix(".lock"),
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, records: list[Record]) -> None:
        write_whole(self._file, f"[{',\n'.join(_within(records))}]\n")


def _within(records: list[Record]) -> Iterator[str]:
    """As JSON, as many of the first as may stand in the file."""
    size = 0
    for record in records:
        text = json.dumps(record._asdict())
        size += len(text) + 2
        if size > _LARGEST:
            return
        yield text


def within(words: Sequence[str]) -> list[str]:
    """As many words of a command line as are kept."""
    ends = list(itertools.accumulate(len(word) + 1 for word in words))
    return [word for word, end in zip(words, ends, strict=True) if end <= _LONGEST]


def of(told: dict[str, Any], path: str) -> Record | None:
    """A record of what a kernelspec of ours tells of its process, used now by this notebook."""
    told = {"path": path, **told, "name": told.get("kernelspec"), "used": time.time()}
    return next(_parsed_records([told]), None)


def _with_path(record: Record, before: Record | None) -> Record:
    if record.path or before is None or before[:4] != record[:4]:
        return record
    return record._replace(path=before.path)


def _parsed(file: Path) -> Iterator[Record]:
    try:
        found = json.loads(text_of_ours(file))
    except (OSError, ValueError, RecursionError):
        found = []
    return _parsed_records(found if isinstance(found, list) else [])


def _parsed_records(found: list[Any]) -> Iterator[Record]:
    for each in found:
        match each:
            case {
                "name": str(name),
                "pid": int(pid),
                "start_time": int(start_time),
                "boot": str(boot_id),
                "command": [*words],
                "title": str(title),
                "path": str(path),
                "used": int() | float() as used,
            }:
                command = tuple(map(str, words))
                yield Record(name, pid, start_time, boot_id, command, title, path, used)
