"""`%watch`: the value of an expression, again and again, beside the cells.

Runs in the target: begun and ended on a cell's thread, kept up on the thread of the
beats, evaluated on a worker's. What is shown belongs to the cell that has begun it,
also after that cell's end. Rule: a watch ends by itself, at the latest with its session;
a value that does not come, or an error, is shown and no reason to stop at once.
"""

from __future__ import annotations

from time import monotonic

from . import background, beats, evaluation, native, readings, tracebacks
from .actions import Refused
from .compiling import ONLY_AST
from .readings import Reading
from .showing import Series, shown_by
from .streams import current_cell, keeps_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .cell import Cell
    from .ledger import Entry
    from .observing import Expression
    from .shell import Shell

PATIENCE = 2.0
"""Seconds after which an expression that is still being evaluated is told of."""

SHOWN_EVERY = 0.08
"""Seconds between two pictures of a watch: values that come faster are drawn together, for
nobody reads more, and to draw one takes longer than to read a value.
"""

ERRORS = 100
"""So many errors in a row end a watch."""

MOST = 50
"""Watches at once."""


class Watch(beats.Beating):
    """One expression that is watched. Its `over` is set when it has ended."""

    def __init__(self, watches: Watches, number: int, cell: Cell, action: dict[str, Any]) -> None:
        self._watches, self.number = watches, number
        self.title: str = action["expression"]
        self._code, self._names = _compiled(self.title, watches.shell.namespace.only_looks)
        self._read = readings.read
        if watches.shell.namespace.only_looks:
            self._read = readings.from_memory
        self._every: float = action["every"]
        self._until = monotonic() + action["seconds"] if action["seconds"] else float("inf")
        self._cell = cell
        self._context = cell.context.copy()
        self._evaluator = evaluation.Evaluator(watches.shell.namespace)
        self._series = Series(self.title)
        self._show = shown_by(cell, action["updates"], action["beside"])
        self.worker: beats.Worker | None = None
        """Its own, once it has turned out to take long."""
        self._job: beats.Job | None = None
        self._reading: Reading | None = None
        self._next = monotonic()
        self._told_at = self._shown_at = 0.0
        self._entry: Entry = watches.shell.ledger.record(f"%watch {self.title}", self.stop)
        self._lock = native.Lock()
        self._is_told = False
        self.over = native.Signal()

    # -- on the thread of the beats

    def beat(self) -> None:
        """Take what has come, show it, and have it evaluated again when that is due."""
        now = monotonic()
        if self._job is not None:
            if self._job.ended.is_set:
                self._take()
            else:
                self._wait(now)
        if now >= self._until and (self._series.count or now >= self._until + PATIENCE):
            self.end("")
        elif self._job is None and now >= self._next:
            self._job = (self.worker or self._watches.worker()).do(self._evaluate)
            self._next = max(self._next + self._every, now)
        due = self._next if self._job is None else now + PATIENCE / 2
        self.due = min(due, self._until) if now < self._until else due
        if self._job is not None and self._job.ended.is_set:  # meanwhile
            self.due = 0.0

    def _take(self) -> None:
        reading, self._job, self._reading = self._reading, None, None
        if reading is None:
            return
        self._series.add(reading, self._evaluator.moved)
        if reading.at - self._shown_at >= SHOWN_EVERY:
            self._shown_at = reading.at
            self._show(self._series)
        if self._series.errors_in_a_row >= ERRORS:
            self.end(f"{ERRORS} errors in a row")

    def _wait(self, now: float) -> None:
        """It takes long, or hangs: beats are skipped, and the user is told."""
        assert self._job is not None
        since = now - self._job.given
        if since > PATIENCE and now - self._told_at > 1.0:
            self._told_at = now
            self._series.late = since
            self._show(self._series)
            self._watches.part_from_stuck()

    def is_at(self, job: beats.Job | None) -> bool:
        """Is it this watch's expression that is evaluated there?"""
        return job is not None and job is self._job

    def end(self, why: str) -> None:
        """Say how it went, once, and be over."""
        with self._lock:
            is_told, self._is_told = self._is_told, True
        if not is_told:
            self._series.ended = why or "its time is over"
            self._show.last(self._series)
            self._entry.undo()

    def stop(self) -> None:
        """Be over, without a word."""
        self._watches.drop(self)
        self.over.set()

    # -- on a worker's thread

    def is_done(self) -> None:
        """A worker has done something: if it was for this one, that is to be shown."""
        if self._reading is not None:
            self.due = 0.0

    def _evaluate(self) -> None:
        try:
            self._context.run(self._evaluate_here)
        except BaseException as error:  # whatever the expression raises is its value
            self._reading = Reading(monotonic(), _told(error), {}, True)

    def _evaluate_here(self) -> None:
        current_cell.set(self._cell)
        keeps_cell.set(True)
        streams = split.enter(self._watches.shell.ledger)
        try:
            value = self._evaluator.evaluate(self._code)
            self._reading = self._read(value, monotonic(), self._names)
        finally:
            streams.undo()


def _told(error: BaseException) -> str:
    message = tracebacks.as_message(error, mode="Minimal")
    return f"{message['ename']}: {message['evalue'][:200]}"


def _compiled(expression: str, only_looks: bool) -> tuple[CodeType | Expression, list[str]]:
    """The code, and of a tuple that is written out, what its items are. Raises Refused."""
    if only_looks:
        from . import observing

        found: Expression = observing.Expression(expression)
        return found, found.items
    try:
        tree: Any = compile(expression, "<watch>", "eval", ONLY_AST, dont_inherit=True)
        raw = expression.encode()
        items = tree.body.elts if type(tree.body).__name__ == "Tuple" else []
        names = [raw[each.col_offset : each.end_col_offset].decode() for each in items]
        return compile(tree, "<watch>", "eval", dont_inherit=True), names
    except (SyntaxError, ValueError) as error:
        raise Refused(
            "CommandMisused",
            f"{expression!r} can't be watched: {error}",
            "An expression is wanted, without await: %watch len(orders) every 0.5s for 30s",
        ) from None


class Watches(background.Ongoing):
    """The watches of one session."""

    subject = "expression"
    done, ender = "watched", "%unwatch"

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._worker: beats.Worker | None = None
        self._lock = native.Lock()

    def begin(self, cell: Cell, action: dict[str, Any]) -> Watch:
        """Watch something from now on. Raises Refused."""
        if len(self.all) >= MOST:
            raise Refused("TooMany", f"{MOST} expressions are watched already.", "%unwatch all")
        watch = Watch(self, self.next_number(), cell, action)
        with self._lock:
            self.all[watch.number] = watch
        try:
            self.worker()
            self.beats.add(watch)
        except BaseException:  # there is no thread to be had
            watch.stop()
            raise
        return watch

    def worker(self) -> beats.Worker:
        """The thread that evaluates."""
        with self._lock:
            if self._worker is None:
                self._worker = beats.Worker(self._done)
            return self._worker

    def _done(self) -> None:
        for watch in list(self.all.values()):
            watch.is_done()
        self.beats.wake()

    def part_from_stuck(self) -> None:
        """Let an expression that takes long keep that thread, and have another for the others."""
        with self._lock:
            stuck = self._worker
            if stuck is None or not stuck.is_stuck(PATIENCE / 2):
                return
            self._worker = beats.Worker(self._done)
            self._worker.take_over(stuck)
            for watch in self.all.values():
                if watch.is_at(stuck.current):
                    watch.worker = stuck

    def drop(self, watch: Watch) -> None:
        """It is over; with the last one, the worker goes, too."""
        with self._lock:
            self.all.pop(watch.number, None)
            if watch.worker is not None:
                watch.worker.leave()
            if not self.all and self._worker is not None:
                self._worker.leave()
                self._worker = None
        self.beats.remove(watch)


def watch(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%watch`: begin one, or list them."""
    background.begin(Watches, cell, shell, action)


def unwatch(_cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%unwatch`: end one, or all."""
    background.of(Watches, shell).end(action["which"])
