"""Having a thread of the program do something of ours, at its next safe point.

Runs in the target: `begin` and `cancel` on threads of ours, the body on the thread that is
visited, on top of whatever that was doing there. A thread that is blocked is roused; one
that runs code of C's, or waits for a lock without being the main thread, comes when it comes.
Rule: one body at a time on a thread, and nothing that it raises reaches the program.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from . import native
from .frames import OURS, is_ours
from .rousing import Rouser
from .slots import Slots, SlotsUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger

_AT_ONCE = 0.002
"""Seconds that a thread has to come by itself, before it is roused."""

_PAUSES = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5)
"""Seconds between the first attempts to rouse a thread; the last goes for all that follow."""

_READ_WITHIN = 1.0
"""Seconds that a thread may take from its slot to the first line of the script there."""

_SCRIPTS = "/proc/self/fd"
"""Where a file of memory has a path."""

_SCRIPT = f"""\
__name__ = {OURS + ".agent.script"!r}
import sys
sys.modules[{__name__!r}].arrive()
"""


class ThreadGone(Exception):
    """There is no such thread (any more)."""


class Visit:
    """`body` is to be run by the thread with the Python ident `thread`, once.

    `arrived` is set when it begins there, `ended` when it has run or never will: then
    `error` tells what it raised, or why it was not run.
    """

    def __init__(self, thread: int, body: Callable[[], object], ledger: Ledger) -> None:
        self.thread = thread
        self.arrived, self.ended = native.Signal(), native.Signal()
        self.error: BaseException | None = None
        self._body = body
        self._ledger = ledger
        self._is_cancelled = False

    def begin(self) -> None:
        """Ask for it. Raises ThreadGone, or SlotsUnknown where this Python can't be asked."""
        slots = Slots()
        if not os.path.isdir(_SCRIPTS):  # Python would complain that it can't open the script
            raise SlotsUnknown(f"the program sees no {_SCRIPTS}, which this takes (chroot?)")
        if slots.waiting(self.thread) is None:
            raise ThreadGone(f"there is no thread {self.thread}")
        _doors.setdefault(self.thread, []).append(self)
        native.start(self._knock, slots, name="live-kernel")

    def cancel(self) -> bool:
        """Don't do it. Returns whether that was in time: else it is being done, or is done."""
        with _lock:
            if self.arrived.is_set:
                return False
            self._is_cancelled = True
        self._leave(None)
        return True

    def ended_or_arrived(self) -> None:
        """Wait for either."""
        while not self.arrived.wait(_PAUSES[-1]) and not self.ended.is_set:
            pass

    def _knock(self, slots: Slots) -> None:
        """On a thread of ours: see to it that the script waits for the thread, and rouse it."""
        script = _Script(slots, self.thread, self._ledger)
        rouser: Rouser | None = None
        try:
            pauses = iter(_PAUSES)
            pause = _AT_ONCE
            while not self._is_over():
                if not script.is_waiting():
                    self._leave(ThreadGone(f"the thread {self.thread} has ended"))
                    return
                if rouser is None:
                    rouser = Rouser(self._ledger)
                    rouser.look_up(self.thread)
                elif self.thread not in _visited:
                    rouser.rouse(self.thread)
                self._wait(pause)
                pause = next(pauses, _PAUSES[-1])
        except BaseException as error:
            self._leave(error)
        finally:
            if rouser is not None:
                rouser.close()
            script.take_back()

    def _is_over(self) -> bool:
        return self.arrived.is_set or self._is_cancelled

    def _wait(self, seconds: float) -> None:
        """Wait for the arrival, taking the interpreter lock now and then.

        Who wants the lock from a thread that computes makes it look up from its work.
        """
        until = monotonic() + seconds
        while not self._is_over() and monotonic() < until:
            self.arrived.wait(min(0.01, seconds))

    def make(self) -> None:
        """On the visited thread: do it, unless it has been cancelled."""
        with _lock:
            if self._is_cancelled:
                return
            self.arrived.set()
        error: BaseException | None = None
        try:
            self._body()
        except BaseException as raised:
            error = raised
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        visits = _doors.get(self.thread, [])
        if self in visits:
            visits.remove(self)
        if not visits:
            _doors.pop(self.thread, None)
        self.error = self.error or error
        self.ended.set()


class _Script:
    """The text that a thread runs to come to us: in memory, at a path below /proc."""

    def __init__(self, slots: Slots, thread: int, ledger: Ledger) -> None:
        self._slots, self._thread = slots, thread
        self._filled_at = 0.0
        self.has_run = native.Signal()
        self._file = os.memfd_create("live-kernel")
        self._path = f"{_SCRIPTS}/{self._file}"
        self._entry = ledger.record("a script for a thread of the program", self._remove)
        os.write(self._file, _SCRIPT.encode())
        _scripts.setdefault(thread, []).append(self)

    def is_waiting(self) -> bool:
        """See to it that the script waits in the slot. Returns whether there is such a thread.

        Where somebody else's waits (another launcher's), ours comes after that.
        """
        present = self._slots.waiting(self._thread)
        if present == "" and not self._is_being_read():
            self.has_run, self._filled_at = native.Signal(), monotonic()
            return self._slots.fill(self._thread, self._path)
        return present is not None

    def _is_being_read(self) -> bool:
        """Has the thread taken it from the slot, and not come to us yet?"""
        return not self.has_run.is_set and monotonic() - self._filled_at < _READ_WITHIN

    def take_back(self) -> None:
        self._entry.undo()

    def _remove(self) -> None:
        """Nothing may be left that can't be opened: Python would complain of it."""
        if self._slots.waiting(self._thread) == self._path:
            self._slots.empty(self._thread)
        elif self._is_being_read():
            self.has_run.wait(_READ_WITHIN)
        os.close(self._file)
        _scripts[self._thread].remove(self)


_lock = native.Lock()
_doors: dict[int, list[Visit]] = {}
"""The visits that are wanted, by thread, in their order."""

_scripts: dict[int, list[_Script]] = {}
"""Those that are there for each thread."""

_visited: set[int] = set()
"""The threads on which a visit is being made."""

_pid = os.getpid()


def arrive() -> None:
    """On a thread of the program, called by the script: make the visits that are wanted there."""
    thread = native.get_ident()
    if os.getpid() != _pid:  # a forked child, which nobody visits
        return
    for script in _scripts.get(thread, ()):
        script.has_run.set()
    if thread in _visited:  # the visit that is being made comes first
        return
    _visited.add(thread)
    try:
        while visits := _doors.get(thread):
            visits.pop(0).make()
    finally:
        _visited.discard(thread)


def is_left(thread: int) -> bool:
    """Does a thread run nothing of ours any more?"""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if is_ours(frame):
            return False
        frame = frame.f_back
    return True
