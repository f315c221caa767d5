"""What was typed, kept where IPython keeps it, so that each finds the other's sessions.

Runs in the launcher. The reactor hands over cells and questions; one thread,
`_work_loop`, owns the database (`history_database.py`), which may be slow,
locked, read-only or broken. Rule: no cell waits for the history, and nothing
that happens to it fails one.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

from .reactor import Reactor, Timer
from .wire import Content

if TYPE_CHECKING:
    from .history_database import Database, Line

SAVE_AFTER = 0.25
"""Seconds for which cells are collected before they are saved, in one transaction."""

OPEN_AFTER = 0.05
"""Seconds after the first cell at which the database is opened, lest a short session end before."""

ANSWER_WITHIN = 3.0
"""Seconds after which a question is answered with nothing: a front-end waits for it."""

_EXIT = re.compile(r"(exit|quit)(\s*\(.*\))?$")


class History:
    """The history of this kernel's cells and of every session before."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._incoming: deque[tuple[int, str]] = deque()
        self._jobs: SimpleQueue[Callable[[Database], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._saving: Timer | None = None
        self._file = ""

    def keep_in(self, file: str) -> None:
        """Use this file in place of IPython's, from the first cell on; `:memory:` keeps nothing."""
        self._file = file

    def add(self, number: int, code: str) -> None:
        """Keep a cell. It is saved in a moment, with those that come meanwhile."""
        if not code.strip() or _EXIT.match(code.strip()):
            return
        self._incoming.append((number, code))
        if self._thread is None:
            self._reactor.later(OPEN_AFTER, lambda: self._do(lambda _: None))
        if self._saving is None:
            self._saving = self._reactor.later(SAVE_AFTER, self._save)

    def _save(self) -> None:
        self._saving = None
        self._do(lambda database: database.save())

    def ask(self, question: Content, answered: Callable[[list[Line]], None]) -> None:
        """Answer the content of a `history_request`; `answered` is called once."""
        waiting = [answered]

        def tell(lines: list[Line]) -> None:
            while waiting:
                waiting.pop()(lines)

        def find(database: Database) -> None:
            lines = database.answer(question)
            self._reactor.call(lambda: tell(lines))

        self._do(find)
        self._reactor.later(ANSWER_WITHIN, lambda: tell([]))

    def leave(self) -> None:
        """Begin to save what is new, and to end the session."""
        if self._thread is not None or self._incoming:
            self._do(lambda database: database.end())
            self._jobs.put(None)

    def close(self, within: float) -> None:
        """Give that so many seconds; what hangs is left behind."""
        if self._thread is not None:
            self._thread.join(within)

    def _do(self, job: Callable[[Database], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work_loop, name="history", daemon=True)
            self._thread.start()

    def _work_loop(self) -> None:
        from .history_database import Database, place_for

        database = Database(self._incoming, place_for(self._file))
        for job in iter(self._jobs.get, None):
            job(database)
        database.close()
