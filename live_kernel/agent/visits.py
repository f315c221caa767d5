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

from . import native, putting_off, scripts, strays
from .frames import is_ours
from .loops import Knocker
from .rousing import Rouser
from .slots import Slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledger import Ledger

_AT_ONCE = 0.002
"""Seconds that a thread has to come by itself, before it is roused."""

_PAUSES = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5)
"""Seconds between the first attempts to rouse a thread; the last goes for all that follow."""

_LEFT_AT_ONCE = 0.001
"""Seconds within which a thread has left our code, once it has done what it was to do."""


class ThreadGone(Exception):
    """There is no such thread (any more)."""


class Visit:
    """`body` is to be run by the thread with the Python ident `thread`, once.

    `arrived` is set when it begins there, `ended` when it has run or never will: then
    `error` tells what it raised, or why it was not run. `on_end(name)` is called there when the
    program is asked to end meanwhile; this and all other signals it gets afterwards.
    """

    def __init__(
        self,
        thread: int,
        body: Callable[[], object],
        ledger: Ledger,
        on_end: Callable[[str], object] = lambda _name: None,
    ) -> None:
        self.thread = thread
        self.arrived, self.ended = native.Signal(), native.Signal()
        self.error: BaseException | None = None
        self.on_end = on_end
        self._body = body
        self.ledger = ledger
        self._is_cancelled = False
        self._is_made, self._gone = native.Signal(), native.Signal()

    def begin(self) -> None:
        """Ask for it. Raises ThreadGone, or SlotsUnknown where this Python can't be asked.

        A thread that works comes for that alone; the rest is done on a thread of ours.
        """
        slots = Slots()
        if slots.waiting(self.thread) is None:
            raise ThreadGone(f"there is no thread {self.thread}")
        script = scripts.Script(slots, self.thread, self.ledger)
        rouser = Rouser(self.ledger)
        _doors.setdefault(self.thread, []).append(self)
        if not strays.has_any():
            script.is_waiting()
        native.start(self._see_to_it, script, rouser, name="live-kernel")

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

    def see_off(self, seconds: float) -> None:
        """Wait until the program has been sent the signals that came meanwhile, if any did."""
        if putting_off.has_any():
            self._gone.wait(seconds)

    def _see_to_it(self, script: scripts.Script, rouser: Rouser) -> None:
        """On a thread of ours, from the beginning to the end."""
        knocker = Knocker(self.thread, self.ledger)
        try:
            self._knock(script, rouser, knocker)
            if self.arrived.is_set:
                self._is_made.wait()
            pause = _LEFT_AT_ONCE
            while not is_left(self.thread):
                native.Signal().wait(pause)
                pause = min(2 * pause, _PAUSES[-1])
            self._hand_on(knocker)
        except BaseException as error:
            self._leave(error)
        finally:
            script.forget()
            knocker.close()
            self._gone.set()

    def _knock(self, script: scripts.Script, rouser: Rouser, knocker: Knocker) -> None:
        """See to it that the script waits for the thread, and rouse that."""
        try:
            pauses = iter(_PAUSES)
            self._wait(_AT_ONCE)
            while not self._is_over():
                if not self._is_script_there(script, knocker):
                    self._leave(script.failure or ThreadGone(f"the thread {self.thread} has ended"))
                    return
                if self.thread not in _visited:
                    rouser.rouse(self.thread)
                    knocker.knock()
                self._wait(next(pauses, _PAUSES[-1]))
        finally:
            rouser.close()
            script.take_back()

    def _is_script_there(self, script: scripts.Script, knocker: Knocker) -> bool:
        """What the program has yet to get comes before the script, in which it would be lost."""
        if strays.has_any():
            self._give_back(knocker)
        return script.failure is None and script.is_waiting()

    def _give_back(self, knocker: Knocker) -> None:
        """Have the main thread raise what has been caught of the program's."""
        for pause in _PAUSES:
            strays.give_back()
            if not strays.has_any():
                break
            knocker.knock()
            native.Signal().wait(pause)

    def _hand_on(self, knocker: Knocker) -> None:
        """The thread is the program's again: let that have what has come for it meanwhile.

        A signal that comes when the thread is about to wait again is noticed when it is roused.
        """
        is_some = putting_off.has_any()
        putting_off.hand_on()
        self._gone.set()
        if is_some:
            rouser = Rouser(self.ledger)
            for pause in _PAUSES[:4]:
                native.Signal().wait(pause)
                rouser.rouse(self.thread)
                knocker.knock()
            rouser.close()
        if strays.has_any():
            self._give_back(knocker)

    def _is_over(self) -> bool:
        return self.arrived.is_set or self._is_cancelled

    def _wait(self, seconds: float) -> None:
        """Wait for the arrival, or until there is to be none, which is looked for now and then."""
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
        self._is_made.set()

    def _leave(self, error: BaseException | None) -> None:
        visits = _doors.get(self.thread, [])
        if self in visits:
            visits.remove(self)
        if not visits:
            _doors.pop(self.thread, None)
        self.error = self.error or error
        self.ended.set()


_lock = native.Lock()
_doors: dict[int, list[Visit]] = {}
"""The visits that are wanted, by thread, in their order."""

_visited: dict[int, Visit] = {}
"""The visit that is being made on a thread."""

_pid = os.getpid()


def arrive() -> None:
    """On a thread of the program, called by the script: make the visits that are wanted there."""
    thread = native.get_ident()
    if os.getpid() != _pid:  # a forked child, which nobody visits
        return
    scripts.has_run(thread)
    if thread in _visited:  # the visit that is being made comes first
        return
    if native.on_main_thread() and (first := _doors.get(thread)):
        with putting_off.PutOff(first[0].ledger, lambda name: _on_end(thread, name)):
            _make_all(thread)
    else:
        _make_all(thread)


def _make_all(thread: int) -> None:
    try:
        while visits := _doors.get(thread):
            _visited[thread] = visits.pop(0)
            _visited[thread].make()
    finally:
        _visited.pop(thread, None)


def _on_end(thread: int, name: str) -> None:
    """On the main thread, in a signal handler."""
    if thread in _visited:
        _visited[thread].on_end(name)


def is_left(thread: int) -> bool:
    """Does a thread run nothing of ours any more?"""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if is_ours(frame):
            return False
        frame = frame.f_back
    return True
