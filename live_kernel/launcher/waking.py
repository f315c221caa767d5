"""What is done about a target that does not react: look why, nudge it, wake it if told to.

Runs on the launcher's reactor; looks and deeds on short-lived threads, one at a time. One for
each attempt to enter a target, which says when it begins and ends. Rule: unasked, only what the
program can't notice; the rest when the user says so, as often as it takes within a bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ..attach import slot
from ..attach.processes import Process
from ..errors import TargetBlocked
from .reactor import Reactor, Timer, in_background

if TYPE_CHECKING:
    from ..attach.blocked import Blocked
    from ..attach.techniques import Technique

NUDGE_AFTER = 0.02
"""Seconds after which a target that did not react is looked at, and nudged if it idles in epoll."""

WAKE_AFTER = 0.1
"""Seconds after which one is woken that is to be woken."""

BLOCKED_AFTER = 0.5
"""Seconds after which the user is told that the target's main thread is blocked."""

TRIES = 12
"""How often a target is woken, or sought where it can be, before the user is told that it fails."""

_TELL_AFTER = 3
"""Tries after which the user is told what stands in the way, which may pass."""

_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds between tries: each pause is half as long again as the one before."""


class Waking:
    """Looks after a target in which our script waits to be run, until `stop`.

    `blocked(error)` is called when the user should know what it waits in; `script_has_run()` when
    it turns out that the script waits no more, both on the reactor's thread. `wanted`: the user
    has said that it is to be woken.
    """

    def __init__(
        self,
        process: Process,
        reactor: Reactor,
        blocked: Callable[[TargetBlocked], None],
        script_has_run: Callable[[], None],
        wanted: bool = False,
    ) -> None:
        self._process, self._reactor = process, reactor
        self._blocked, self._script_has_run = blocked, script_has_run
        self._wanted = wanted
        self._is_over = False
        self._timers: list[Timer] = []
        self._scheduled_at: float | None = None
        self._tries = 0
        self._trying = False
        self._seen: Blocked | None = None
        self._tried: list[Technique] = []

    def begin(self) -> None:
        """The target is being entered; another's script may still wait there."""
        self._later(BLOCKED_AFTER, self._look)

    def scheduled(self) -> None:
        """Our script waits there now."""
        self._scheduled_at = time.monotonic()
        self._later(NUDGE_AFTER, self._nudge_if_idle)
        if self._wanted:
            self._reactor_later(WAKE_AFTER, self._try)

    def wake(self) -> None:
        """The user says so, also where it has been given up before."""
        self._wanted, self._tries = True, 0
        self._try()

    def stop(self) -> None:
        """The script has run, or is not wanted any more."""
        self._is_over = True
        for timer in self._timers:
            timer.cancel()

    def _reactor_later(self, seconds: float, work: Callable[[], object]) -> None:
        self._timers.append(self._reactor.later(seconds, work))

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do some work, on a thread of its own, unless it is all over by then."""
        self._reactor_later(seconds, lambda: in_background(work))

    def _soon(self, work: Callable[[], None]) -> None:
        """From a thread: do some work on the reactor's, unless it is all over by then."""
        self._reactor.call(lambda: None if self._is_over else work())

    # -- unasked ------------------------------------------------------------------------

    def _nudge_if_idle(self) -> None:
        """On a thread: wake the target if it idles in its event loop, which it won't notice."""
        from ..attach import blocked, wake  # a target that reacts at once needs neither

        thread = blocked.thread_in_epoll(self._process.pid)
        if thread is not None:
            wake.nudge(self._process.pid, thread)

    def _look(self) -> None:
        """On a thread: find out why the target does not react."""

        if slot.waiting_script(self._process) == "":
            self._soon(self._on_nothing_waits)
            return
        rest = (self._scheduled_at or 0) + BLOCKED_AFTER - time.monotonic()
        if rest > 0:
            self._soon(lambda: self._later(rest, self._look))
            return
        self._nudge_if_idle()
        seen = self._described()
        self._soon(lambda: self._on_seen(seen))

    def _described(self) -> Blocked:
        """What the main thread does, and whether another one keeps it from doing anything."""
        from ..attach import blocked, holding

        first = holding.holder(self._process)
        seen = blocked.describe(self._process)
        second = holding.holder(self._process) if first is not None else None
        if first is None or first != second or first.number == self._process.pid:
            return seen
        return seen._replace(holder=str(first))

    def _on_nothing_waits(self) -> None:
        """Our script has run; or it is not even there yet."""
        self._trying = False
        if self._scheduled_at is not None:
            self._script_has_run()
        else:
            self._later(BLOCKED_AFTER, self._look)

    def _on_seen(self, seen: Blocked) -> None:
        self._tell(seen)
        if self._wanted:
            self._try()

    def _tell(self, seen: Blocked, why: str = "") -> None:
        """`why` it could not be woken."""
        from ..attach import techniques

        remedy, offer = seen.remedy, techniques.explain(seen)
        if why:
            remedy, offer = f"It can't be woken: it {why}. {remedy}", ""
        elif self._wanted and offer:
            remedy, offer = f"It is being woken: {offer}\n{remedy}", ""
        self._blocked(TargetBlocked(self._process.pid, seen.sentence, remedy, offer))

    # -- when told to -------------------------------------------------------------------

    def _try(self) -> None:
        if not self._trying:
            self._trying = True
            self._try_once()

    def _try_once(self) -> None:
        tried, before = list(self._tried), self._seen
        in_background(lambda: self._wake(before, tried))

    def _wake(self, before: Blocked | None, tried: Collection[Technique]) -> None:
        """On a thread: wake the target, by what has not helped yet in the wait in which it is."""
        from ..attach import techniques, wake

        if slot.waiting_script(self._process) == "":
            self._soon(self._on_nothing_waits)
            return
        seen = self._described()
        is_there = before is not None and before.wait == seen.wait
        technique = techniques.choose(seen, tried if is_there else ())
        if technique is None:
            self._soon(lambda: self._on_tried(seen, None, techniques.why_not(seen)))
            return
        outcome = wake.wake(self._process, seen, technique)
        done = technique if outcome.is_done else None
        self._soon(lambda: self._on_tried(seen, done, outcome.why))

    def _on_tried(self, seen: Blocked, done: Technique | None, why: str) -> None:
        """`done`: what was done to it, which may have helped or not."""
        if self._seen is None or self._seen.wait != seen.wait:
            self._tried = []
        self._seen = seen
        self._tried += [done] if done is not None else []
        self._tries += 1
        if why and self._tries == _TELL_AFTER:
            self._tell(seen, why)
        if self._tries < TRIES:
            self._reactor_later(min(_PAUSE * 1.5**self._tries, _LONGEST_PAUSE), self._try_once)
            return
        self._trying = self._wanted = False
        if not why:
            self._tell(seen, "was woken many times, and has looked for no work")
