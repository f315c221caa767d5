"""A thread of the program that waits at a breakpoint.

Runs in the target: the thread itself waits here, threads of ours let it go on. Rule: it
waits until somebody takes it up or lets it go, once. Signals that ask the program to end
let its main thread go, and reach it there.
"""

from __future__ import annotations

from time import monotonic

from . import native, threads
from .telling import on_a_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .breakpoints import Breakpoint
    from .entering import Entered
    from .shell import Shell

_LEFT_WITHIN = 1.0
"""Seconds that the main thread may take to be the program's again."""

_LOOK_EVERY = 1.0
"""Seconds after which it is seen to that somebody is there who could take the thread up."""

waiting: dict[int, Stop] = {}
"""By thread, of all sessions."""

passed: dict[int, tuple[int, int]] = {}
"""By thread: the frame and instruction at which a debugger has let it go, with a breakpoint of ours
there of which the interpreter tells next."""


class Stop:
    """A thread at a breakpoint, from when it comes there until it goes on."""

    entry: Any
    """Of the ledger."""

    def __init__(self, at: Breakpoint, thread: int, shell: Shell) -> None:
        self.breakpoint, self.thread = at, thread
        self.name, self.ledger = name_of(thread), shell.ledger
        self._look_out = shell.look_out
        self._entered: Entered | None = None
        self._claim = native.Lock()
        """Whoever gets it says how it goes on."""
        self._called = native.Signal()

    def wait(self, frame: FrameType) -> None:
        """On the thread itself: wait, and talk to whoever takes it up."""
        waiting[self.thread] = self
        try:
            self._wait()
        finally:
            waiting.pop(self.thread, None)
            self.let_go()
        if self._entered is not None:
            self._entered.converse(frame)

    def _wait(self) -> None:
        from . import putting_off

        if not native.on_main_thread():
            self._wait_for_a_call()
            return
        with putting_off.PutOff(self.ledger, lambda _signal: self.let_go()):
            self._wait_for_a_call()
        hand_on_later()

    def _wait_for_a_call(self) -> None:
        while not self._called.wait(_LOOK_EVERY):
            self._look_out()

    def take_up(self, entered: Entered) -> bool:
        """Have it talk to this cell. Returns whether it still waits."""
        if not self._claim.acquire(False):
            return False
        self._entered = entered
        self._called.set()
        return True

    def let_go(self) -> None:
        """Let it go on, if it waits."""
        if self._claim.acquire(False):
            self._called.set()


def prepare() -> None:
    """Load what would else be loaded by the first thread of the program that stops."""
    from . import putting_off, visits  # noqa: F401


def is_to_get_signals() -> bool:
    """Has the program yet to be sent signals that came while its main thread was at ours?"""
    from . import putting_off

    return putting_off.has_any()


def hand_on_later() -> None:
    """Give the program the signals that have come, once its main thread runs nothing of ours."""
    from . import putting_off, visits

    def hand_on() -> None:
        deadline = monotonic() + _LEFT_WITHIN
        while not visits.is_left(native.main_ident()) and monotonic() < deadline:
            native.Signal().wait(0.001)
        putting_off.hand_on()

    if putting_off.has_any():
        on_a_thread(hand_on)


def name_of(thread: int) -> str:
    """A thread in words, by its name where it has one."""
    if thread == native.main_ident():
        return "the main thread"
    name = threads.name_of(thread)
    return f"thread {name!r}" if name else f"thread {thread}"
