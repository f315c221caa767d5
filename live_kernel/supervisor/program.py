"""The program: started, ended, started again; what became of it.

Runs in the supervisor; started and collected on its main thread, asked on others.
Rule: nothing of the program's is ours: its streams, terminal, process group, limits, directory
and environment are those that the supervisor was given, and what it does with them is its
business. We wait for it, and send it no signal that nobody has asked for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..attach import proc
from ..attach.ending import describe_status
from ..records import NamedTuple
from . import shortage
from .terminal import Terminal

NEVER, ON_FAILURE, ALWAYS = POLICIES = ("never", "on-failure", "always")
"""When a program that has ended by itself is started again."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_LASTED = 10.0
"""Seconds between an end and the next start, which double from end to end; after a program that
has lasted, the first holds again."""

_MOST_WORDS, _LONGEST_WORD = 20, 200
"""Of the command line, for those who ask: an answer has to fit into one packet."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit status for a program that can't be started, as shells have it."""

_TOUCHED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores them for itself, and programs are not to inherit that."""


class Order(NamedTuple):
    """What is to be supervised, and how. `environment`: just as it was given to us."""

    name: str
    command: Sequence[str]
    policy: str = NEVER
    environment: Mapping[bytes, bytes] = {}


class Program:
    """`changed` guards all that others may ask; it is notified when it changes.

    `reaping` is held while children are collected: who traces one keeps it meanwhile, since
    its stops are reported to whoever waits first.
    """

    def __init__(self, order: Order, mask: set[signal.Signals]) -> None:
        self.order = order
        self.changed = threading.Condition()
        self.reaping = threading.Lock()
        self.pid: int | None = None
        self.restarts = 0
        self.is_done = False
        """It ends for good, or has."""
        self.terminal = Terminal()
        self._mask = mask
        self._since = time.time()
        self._begun = time.monotonic()
        self._start_time: int | None = None
        self._status: int | None = None
        self._unstarted = NOT_FOUND
        self._kills = 0
        self._stop_signal = 0
        self.last = ""
        """How it has ended, in words; empty where it has not."""
        self._wanted = ""
        self._pause = _FIRST_PAUSE
        self._due: float | None = None

    # -- on the main thread

    def start(self) -> None:
        """Start it. Raises OSError."""
        self.terminal.settle()
        with self.changed:
            self._due, self._wanted = None, ""
            self.pid = _spawn(self.order, self._mask)
            self._since, self._begun = time.time(), time.monotonic()
            self._kills = shortage.kills()
            with contextlib.suppress(OSError):
                self._start_time = proc.stat(self.pid).start_time
            self.changed.notify_all()

    def collect(self) -> str:
        """Collect the children that have ended, orphans that have become ours among them.

        Returns `ended` or `stopped` where that is what has become of the program.
        """
        outcome = ""
        with self.reaping:
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                except ChildProcessError:
                    return outcome
                if pid == 0:
                    return outcome
                if pid == self.pid:
                    outcome = "stopped" if os.WIFSTOPPED(status) else "ended"
                    self._stop_signal = os.WSTOPSIG(status) if os.WIFSTOPPED(status) else 0
                    if outcome == "ended":
                        self._end(status)

    def _end(self, status: int) -> None:
        with self.changed:
            self._status = status
            lasted = time.monotonic() - self._begun
            self.last = f"pid {self.pid} {describe_status(status)}{self._more(status)}"
            if lasted > _LASTED:
                self._pause = _FIRST_PAUSE
            self.pid = self._start_time = None
            self._since = time.time()
            self.changed.notify_all()

    def _more(self, status: int) -> str:
        """What there is to be said of a death by a signal."""
        if not os.WIFSIGNALED(status):
            return ""
        is_short = os.WTERMSIG(status) == signal.SIGKILL and shortage.kills() > self._kills
        short = " (the system kills for want of memory)" if is_short else ""
        return short + (" (core dumped)" if os.WCOREDUMP(status) else "")

    def was_stopped_by_job_control(self) -> bool:
        """Has it stopped itself, as for Ctrl-Z?"""
        return self._stop_signal in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

    def settle(self) -> str:
        """It has ended: what now? Returns `start` (at once), `wait` or `leave`."""
        with self.changed:
            if self._wanted == "restart":
                self.is_done = False
                self.restarts += 1
                return "start"
            failed = self._status is None or os.waitstatus_to_exitcode(self._status) != 0
            again = self.order.policy == ALWAYS or (self.order.policy == ON_FAILURE and failed)
            if self.is_done or self._wanted == "stop" or not again:
                self.is_done = True
                self.changed.notify_all()
                return "leave"
            self.restarts += 1
            self._due = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self.changed.notify_all()
            return "wait"

    def fail(self, error: OSError) -> None:
        """It could not be started."""
        with self.changed:
            self._status = None
            is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            self._unstarted = NOT_FOUND if is_missing else NOT_EXECUTABLE
            self.last = f"could not be started: {error.strerror or error}"
            self._since = time.time()
            self.changed.notify_all()

    @property
    def pause(self) -> float | None:
        """Seconds until it is to be started again; None where that is not what is waited for."""
        due = self._due
        return None if due is None else max(due - time.monotonic(), 0.0)

    @property
    def failed(self) -> bool:
        """Has it ended in a way that is worth a word?"""
        return self._status is None or os.waitstatus_to_exitcode(self._status) != 0

    @property
    def exit_status(self) -> int:
        """As a shell has it: 128 + N for one that was killed by signal N."""
        if self._status is None:
            return self._unstarted
        code = os.waitstatus_to_exitcode(self._status)
        return 128 - code if code < 0 else code

    # -- on any thread

    def send(self, number: int) -> bool:
        """Send it a signal. Returns whether it was there to get it."""
        with self.reaping:  # as long as nobody collects it, its pid is its own
            if self.pid is None:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
                return True
        return False

    def let_end(self) -> None:
        """Somebody ends it: it is not started again."""
        with self.changed:
            self.is_done = True

    def end(self, wanted: str, kill: bool, within: float) -> bool:
        """Have it end, for good (`stop`) or to be started again (`restart`).

        Returns whether that has come about within so many seconds; if not, it still will where
        the program ends later.
        """
        with self.changed:
            before = self.pid, self.restarts
            self._wanted = wanted
            if self.pid is None:  # it waits to be started
                self._due = time.monotonic()
                self.is_done |= wanted == "stop"
        self.send(signal.SIGKILL if kill else signal.SIGTERM)
        # A program that is stopped gets its signals when it goes on.
        self.send(signal.SIGCONT)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)

        def is_done() -> bool:
            if wanted == "stop":
                return self.pid is None
            return (self.pid, self.restarts) != before and (self.pid is not None or self.is_done)

        with self.changed:
            return self.changed.wait_for(is_done, within)

    def about(self) -> dict[str, Any]:
        """What there is to tell: see `runs` in the command line."""
        with self.changed:
            return {
                "name": self.order.name,
                "command": [word[:_LONGEST_WORD] for word in self.order.command[:_MOST_WORDS]],
                "pid": self.pid,
                "started": self._start_time,
                "state": self._state(),
                "since": self._since,
                "restart": self.order.policy,
                "restarts": self.restarts,
                "last": self.last,
            }

    def _state(self) -> str:
        if self.pid is None:
            pause = self.pause
            return "ended" if pause is None else f"starts again in {pause:.0f} s"
        with contextlib.suppress(OSError):
            if proc.stat(self.pid).state in "Tt":
                return "stopped"
        return {"stop": "is to end", "restart": "is to start again"}.get(self._wanted, "runs")


def _spawn(order: Order, mask: set[signal.Signals]) -> int:
    """Raises OSError."""
    command = list(order.command)
    how: dict[str, Any] = {"setsigmask": mask, "setsigdef": _TOUCHED_BY_PYTHON}
    try:
        return os.posix_spawnp(command[0], command, order.environment, **how)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without a first line that says whose: the shell's, as shells and env(1) have it.
    return os.posix_spawn("/bin/sh", ["/bin/sh", *command], order.environment, **how)
