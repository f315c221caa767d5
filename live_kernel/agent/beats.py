"""What goes on beside the cells, at its time: one thread of ours for all watches and traces.

Runs in the target. The thread is there as long as there is something to be done, and
runs no code of the user's or the program's: that is for a `Worker`, which may come to
hang. Rule: whoever is in here raises nothing and ends with the session.
"""

from __future__ import annotations

from time import monotonic

from . import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger


class Beating:
    """Something that is done again and again: `beat` is called at `due`, a monotonic time."""

    due = 0.0

    def beat(self) -> None:
        """Do it, and set `due` to the next time."""
        raise NotImplementedError

    def end(self, why: str) -> None:
        """Be over, and say why."""
        raise NotImplementedError


class Beats:
    """The thread of one session on which everything has its beat."""

    def __init__(self) -> None:
        self._all: dict[Beating, None] = {}  # in the order of their beginnings
        self._lock = native.Lock()
        self._wake = native.Signal()
        self._is_running = False

    def add(self, one: Beating) -> None:
        """Have it beat from now on."""
        with self._lock:
            self._all[one] = None
            if not self._is_running:
                native.start(self._beat_loop, name="live-kernel")
                self._is_running = True
        self.wake()

    def remove(self, one: Beating) -> None:
        """Let it beat no more. A beat may just be under way."""
        with self._lock:
            self._all.pop(one, None)
        self.wake()

    def wake(self) -> None:
        """Something has become due earlier. Waits for nothing."""
        self._wake.set()

    def _beat(self, one: Beating) -> None:
        """What fails (no memory, no more threads, …) ends, and keeps no other from its beats."""
        try:
            one.beat()
        except Exception as error:
            self.remove(one)
            one.end(f"{type(error).__name__}: {error}")

    def _beat_loop(self) -> None:
        while True:
            self._wake = native.Signal()
            with self._lock:
                beating = list(self._all)
                if not beating:
                    self._is_running = False
                    return
            for one in beating:
                if one.due <= monotonic() and one in self._all:
                    self._beat(one)
            rest = min(one.due for one in beating) - monotonic()
            if rest > 0:
                self._wake.wait(min(rest, 60.0))


class Job:
    """Something that a worker is to do, and whether it has."""

    def __init__(self, body: Callable[[], object]) -> None:
        self.body = body
        self.given = monotonic()
        self.ended = native.Signal()


class Worker:
    """A thread for code of the user's, one job after the other.

    A job that does not come to an end keeps the thread for itself: the others get another.
    """

    def __init__(self, done: Callable[[], object]) -> None:
        from _queue import SimpleQueue  # the interpreter's own, whatever gevent has replaced

        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done = done
        self.current: Job | None = None
        """What it is at."""
        self._begun = 0.0
        native.start(self._work_loop, name="live-kernel")

    def do(self, body: Callable[[], object]) -> Job:
        """Have this done, soon; `body` raises nothing."""
        job = Job(body)
        self._jobs.put(job)
        return job

    def is_stuck(self, patience: float) -> bool:
        """Has it been at one job for longer than this?"""
        return self.current is not None and monotonic() - self._begun > patience

    def leave(self) -> None:
        """Nothing comes after what it has now."""
        self._jobs.put(None)

    def take_over(self, stuck: Worker) -> None:
        """Do what waits for a worker that is stuck."""
        while not stuck._jobs.empty():
            self._jobs.put(stuck._jobs.get())

    def _work_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._begun, self.current = monotonic(), job
            job.body()
            self.current = None
            job.ended.set()
            self._done()


_beats: dict[Ledger, Beats] = {}


def of(ledger: Ledger) -> Beats:
    """The thread of a session, by the session's ledger."""
    beats = _beats.get(ledger)
    if beats is None:
        beats = _beats[ledger] = Beats()
        ledger.record("what is watched and traced", lambda: _beats.pop(ledger, None))
    return beats
