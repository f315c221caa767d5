"""IPython's history database: what this session puts in, and questions to all sessions.

Runs in the launcher, on the history's thread. The file is IPython's, and so
are its tables, the questions and their answers; the code is not. IPython's
`HistoryManager` takes 0.1 s to import, needs a whole shell, and renames a
database that is merely locked as if it were broken.
Rule: what can't be saved is kept in memory and tried again; nothing is raised.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..records import NamedTuple
from . import syntax
from .ipython_profile import history_file
from .wire import Content

_LOCK_PATIENCE = 0.5
"""Seconds for which another program may hold the database."""

_READ_BESIDE = 10_000
"""Lines of earlier sessions that are still looked through where nothing can be saved."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (session integer primary key autoincrement,
    start timestamp, end timestamp, num_cmds integer, remark text);
CREATE TABLE IF NOT EXISTS history (session integer, line integer, source text,
    source_raw text, PRIMARY KEY (session, line));
CREATE TABLE IF NOT EXISTS output_history (session integer, line integer, output text,
    PRIMARY KEY (session, line));
"""
_ORDER = "ORDER BY session DESC, line DESC LIMIT ?"

Line = tuple[int, int, Any]
"""Session, number, and the code; or (code, output) in place of the code."""


class Entry(NamedTuple):
    """A row of IPython's table `history`: `source` is what its own syntax becomes in Python."""

    line: int
    source: str
    source_raw: str


def place_for(given: str) -> Callable[[], Path | None]:
    """Tells where the database is: in the file that was given, if one was."""
    if not given:
        return history_file
    return lambda: None if given == ":memory:" else Path(given).expanduser()


class Database:
    """The database, as seen from one session.

    `incoming`: where others put the session's cells, as (number, code). `file()`
    tells where it is, when it is first needed; None to keep nothing.
    """

    def __init__(
        self,
        incoming: deque[tuple[int, str]],
        file: Callable[[], Path | None] = history_file,
    ) -> None:
        self._incoming = incoming
        self._file = file
        self._path: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._session = 0
        self._entries: list[Entry] = []
        self._saved = 0

    def save(self) -> None:
        """Save what is new; what can't be saved now is tried again with the next."""
        try:
            self._write()
        except (sqlite3.Error, OSError):
            pass  # read-only, locked, broken, full: none of it is the cell's concern

    def end(self) -> None:
        """Save what is new, and write down that the session has ended."""
        self.save()
        if self._session and self._connection is not None:
            ended = (datetime.now(UTC).isoformat(" "), len(self._entries), self._session)
            try:
                with self._connection as database:
                    database.execute(
                        "UPDATE sessions SET end=?, num_cmds=? WHERE session==?", ended
                    )
            except sqlite3.Error:
                pass  # as above

    def answer(self, question: Content) -> list[Line]:
        """The lines that a `history_request` asks for; none if it makes no sense."""
        try:
            self._write()
            return self._read(self._opened(), question)
        except (sqlite3.Error, OSError):
            pass  # as above: this session is known anyway, and others perhaps can be read
        except (TypeError, ValueError, OverflowError):
            return []
        try:
            with closing(self._beside()) as database:
                return self._read(database, question)
        except (sqlite3.Error, TypeError, ValueError, OverflowError):
            return []

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- writing ------------------------------------------------------------------------

    def _write(self) -> None:
        while self._incoming:
            number, code = self._incoming.popleft()
            code = code.encode(errors="backslashreplace").decode()  # no half characters
            self._entries.append(Entry(number, _as_python(code).rstrip("\n"), code.rstrip("\n")))
        new = self._entries[self._saved :]
        if new:
            self._session = self._insert(self._opened(), self._session, new)
            self._saved += len(new)

    def _insert(self, database: sqlite3.Connection, session: int, new: list[Entry]) -> int:
        """Put lines into a session; 0 for one that begins with them. Returns its number."""
        with database:
            if not session:
                row = database.execute(
                    "INSERT INTO sessions VALUES (NULL, ?, NULL, NULL, '')",
                    (datetime.now().isoformat(" "),),  # noqa: DTZ005 - local time, as IPython has it
                )
                session = row.lastrowid or 0
            database.executemany(
                "INSERT INTO history VALUES (?, ?, ?, ?)", [(session, *entry) for entry in new]
            )
        return session

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            path = self._path = self._file()
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make_private(path)
            self._connection = _connect(":memory:" if path is None else str(path))
        return self._connection

    def _beside(self) -> sqlite3.Connection:
        """In memory, this session and what can be read of others: for a database out of reach."""
        database = sqlite3.connect(":memory:", timeout=_LOCK_PATIENCE, uri=True)
        database.executescript(_SCHEMA)
        try:
            if self._path is not None:
                past = f"file:{quote(str(self._path))}?mode=ro"
                database.execute("ATTACH ? AS past", (past,))
                with database:
                    copied = f"SELECT * FROM past.history WHERE session != ? {_ORDER}"
                    database.execute(
                        f"INSERT INTO main.history {copied}", (self._session, _READ_BESIDE)
                    )
        except sqlite3.Error:
            pass  # it can't be read either
        known = self._session or self._present(database, "history")
        with database:  # the session before, whose number the present one is told by
            database.execute("INSERT INTO sessions (session) VALUES (?)", (known - 1,))
        if self._entries:
            self._insert(database, known, self._entries)
        return database

    # -- reading ------------------------------------------------------------------------

    def _read(self, database: sqlite3.Connection, question: Content) -> list[Line]:
        """As `IPythonKernel.do_history` answers it."""
        reader = Reader(
            database,
            self._session or self._present(database, "sessions"),
            raw=bool(question.get("raw", True)),
            output=bool(question.get("output", False)),
        )
        match question.get("hist_access_type"):
            case "tail":
                return reader.tail(_number(question, "n", 10))
            case "range":
                return reader.range(
                    _number(question, "session", 0),
                    _number(question, "start", 0),
                    _number(question, "stop", 0),
                )
            case "search":
                pattern = question.get("pattern")
                limit = _number(question, "n", -1)
                is_unique = bool(question.get("unique", False))
                return reader.search(str(pattern), limit, is_unique) if pattern is not None else []
            case _:
                return []

    def _present(self, database: sqlite3.Connection, table: str) -> int:
        """The number of a session that would begin now."""
        (last,) = database.execute(f"SELECT MAX(session) FROM {table}").fetchone()
        return int(last or 0) + 1


class Reader:
    """Questions to a database, asked in session number `session`."""

    def __init__(
        self, database: sqlite3.Connection, session: int, *, raw: bool, output: bool
    ) -> None:
        self._database, self._session, self._output = database, session, output
        self._wanted = "source_raw" if raw else "source"

    def tail(self, count: int) -> list[Line]:
        """The last lines: this session's, and before them those of the others."""
        count = max(0, count)
        own = self._select(f"WHERE session == ? {_ORDER}", self._session, count)
        others = self._select(f"WHERE session != ? {_ORDER}", self._session, count)
        return [*own, *others][:count][::-1]

    def range(self, session: int, start: int, stop: int) -> list[Line]:
        """Lines of one session, without `stop`; 0 is this session, -1 the one before.

        In this session, negative lines count from its end. Stop 0 is the end.
        """
        number = session + self._session if session <= 0 else session
        if number == self._session:
            (last,) = self._database.execute(
                "SELECT MAX(line) FROM history WHERE session == ?", (number,)
            ).fetchone()
            end = int(last or 0) + 1
            start, stop = (each + end if each < 0 else each for each in (start, stop))
        lines = self._select(
            "WHERE session == ? AND line >= ? AND (? == 0 OR line < ?) ORDER BY line",
            *(number, start, stop, stop),
        )
        return [(session if session == 0 else number, *line[1:]) for line in lines]

    def search(self, pattern: str, limit: int, is_unique: bool) -> list[Line]:
        """Lines that match a pattern with `*` and `?`; the last `limit` of them, -1 for all."""
        group = "GROUP BY source_raw" if is_unique else ""
        lines = self._select(
            f"WHERE source_raw GLOB ? {group} {_ORDER}", pattern, limit, is_unique=is_unique
        )
        return lines[::-1]

    def _select(self, condition: str, *values: object, is_unique: bool = False) -> list[Line]:
        """Rows as lines. `is_unique`: of the rows of each group, the last."""
        last = ", MAX(session * 131072 + line)" if is_unique else ""
        rows: Iterable[tuple[Any, ...]] = self._database.execute(
            f"SELECT session, line, {self._wanted}, output{last}"
            f" FROM history LEFT JOIN output_history USING (session, line) {condition}",
            values,
        )
        if self._output:
            return [(row[0], row[1], (row[2], row[3])) for row in rows]
        return [(row[0], row[1], row[2]) for row in rows]


def _make_private(path: Path) -> None:
    """What people have typed is nobody else's business. (A file that is there stays as it is.)"""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _connect(place: str) -> sqlite3.Connection:
    """Open a database, and see to it that it has IPython's tables."""
    database = sqlite3.connect(place, timeout=_LOCK_PATIENCE)
    try:
        found = database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name='history'")
        if not found.fetchone()[0]:
            database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _as_python(code: str) -> str:
    try:
        return syntax.to_python(code)
    except Exception:  # IPython's, on a cell that makes no sense
        return code


def _number(question: Content, name: str, default: int) -> int:
    value = question.get(name)
    return default if value is None else int(value)
