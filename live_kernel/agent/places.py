"""Where a cell's coroutine runs: the program's event loop, or one of our own.

Runs in the target, on the cells' thread, which waits while the loop works.
Rule: the program's loop is only ever reached by `call_soon_threadsafe`.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from . import forks, native, peers
from .frames import stack
from .interrupt import CellInterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context
    from types import FrameType
    from typing import Any

    from .interrupt import Interruption
    from .ledger import Ledger


def program_loop() -> Any:
    """The asyncio loop that runs in the program now, or None: on its main thread if there is one
    there, else on another thread, if it is the only one.
    """
    if "asyncio" not in sys.modules:
        return None
    on_main = running_loop(native.main_ident())
    if on_main is not None:
        return on_main
    others = {running_loop(thread) for thread in sys._current_frames()} - {None}
    if not others:
        others = _out_of_sight()
    return others.pop() if len(others) == 1 else None


def running_loop(thread: int) -> Any:
    """The loop that runs on a thread, as far as can be seen there, or None; but for one of ours.

    It is found in the thread's frames: in the loop's own `run_forever`, or in that of
    `asyncio.Runner`. A loop without Python frames that somebody else has started, uvloop's,
    is looked for where that one could have it.
    """
    innermost: FrameType | None = None
    for frame in stack(thread):
        innermost = innermost or frame
        if frame.f_code.co_name in ("run_forever", "run"):
            owner = frame.f_locals.get("self")
            for candidate in (owner, getattr(owner, "_loop", None)):
                if _runs(candidate):
                    return None if candidate in _ours else candidate
    if innermost is None or _UVLOOP not in sys.modules:
        return None
    return next((each for each in _within_reach(innermost) if _is_uvloop(each)), None)


_ours: set[Any] = set()
"""The loops that we run."""

_UVLOOP = "uvloop"


def _runs(candidate: Any) -> bool:
    return hasattr(type(candidate), "call_soon_threadsafe") and bool(candidate.is_running())


def _is_uvloop(candidate: Any) -> bool:
    """(By its type alone: nothing of a stranger's is run.)"""
    return issubclass(type(candidate), sys.modules[_UVLOOP].Loop) and bool(candidate.is_running())


def _within_reach(frame: FrameType) -> list[Any]:
    """What a frame has by a name, or as an attribute of its `self`."""
    mine = [*frame.f_locals.values(), *frame.f_globals.values()]
    return mine + list(getattr(frame.f_locals.get("self"), "__dict__", {}).values())


def _out_of_sight() -> set[Any]:
    """All of uvloop's loops that run: looked for among all objects, for want of anything better."""
    if _UVLOOP not in sys.modules:
        return set()
    from gc import get_objects

    return {each for each in get_objects() if _is_uvloop(each)}


def _close_in_child() -> None:
    """In a forked child: close what our loops have open, whose threads are not there."""
    for loop in _ours:
        if not _has_its_sockets(loop):
            continue
        loop._csock.close()
        loop._ssock.close()
        loop._selector.close()
    _ours.clear()


forks.in_child.append(_close_in_child)


_taken: list[Any] = []
"""Loops of which the program has closed the files: kept, or they would close the program's."""


def _guard(loop: Any) -> None:
    """Let a loop write to the socket by which it wakes itself as long as that is its own."""
    if not hasattr(loop, "_csock"):
        return  # not asyncio's own
    loop.live_kernel_marks = peers.mark(loop._csock), peers.mark(loop._ssock)
    write = loop._write_to_self
    loop._write_to_self = lambda: write() if _has_its_sockets(loop) else None


def _has_its_sockets(loop: Any) -> bool:
    marks = getattr(loop, "live_kernel_marks", None)
    if marks is None:
        return True
    here, there = loop._csock, loop._ssock
    if here is None or there is None:
        return False  # its own thread has closed it
    try:
        return bool((peers.mark(here), peers.mark(there)) == marks)
    except OSError:
        return False


class OwnLoop:
    """An event loop on a thread of ours, for a program that has none running.

    It keeps running between cells, so that tasks which a cell starts go on.
    """

    def __init__(self, ledger: Ledger) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()
        _guard(self.loop)
        _ours.add(self.loop)
        self._ended = native.Signal()
        native.start(self._loop_loop, name="live-kernel-aio")
        ledger.record("an event loop of our own", self._stop)

    def _loop_loop(self) -> None:
        import asyncio

        try:
            asyncio.set_event_loop(self.loop)
            self.loop.run_forever()
            self._cancel_tasks()
        except BaseException as error:
            del error  # the loop has ended, which is all that matters now
        finally:
            asyncio.set_event_loop(None)
            self._close()
            _ours.discard(self.loop)
            self._ended.set()

    def _close(self) -> None:
        if _has_its_sockets(self.loop):
            self.loop.close()
            return
        loop: Any = self.loop
        loop._closed = True
        _taken.append(loop)

    def _cancel_tasks(self) -> None:
        import asyncio

        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1))

    def _stop(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
        if _has_its_sockets(self.loop):
            self._ended.wait(2)
        # Or it ends when what it waits for is due: it can't be woken.


class LoopRun:
    """One coroutine of a cell in an event loop, and its result.

    `at_most`: seconds for which it may keep the loop from other work at a time; then it is
    interrupted, and `was_too_long` is true. None: for any time.
    """

    def __init__(self, loop: Any, interruption: Interruption, at_most: float | None = None) -> None:
        self._loop = loop
        self._pid = os.getpid()
        self._interruption = interruption
        self._done = native.Signal()
        self._task: Any = None
        self._thread = 0
        self._stepping = False
        self._at_most = at_most
        self._since = 0.0
        self.was_too_long = False
        self._error: BaseException | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        """Run `coroutine` to its end. Raises what it raised."""
        try:
            self._loop.call_soon_threadsafe(self._start, coroutine, context)
        except RuntimeError:
            coroutine.close()
            raise
        while not self._done.wait(-1 if self._at_most is None else self._at_most / 10):
            self._limit()
        _until_left(context)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _limit(self) -> None:
        is_over = self._stepping and monotonic() - self._since > (self._at_most or 0)
        if is_over and not self.was_too_long:
            self.was_too_long = True
            self.interrupt()

    def _start(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self._thread = native.get_ident()
        try:
            self._task = self._loop.create_task(self._guard(coroutine), context=context)
        except BaseException as error:
            coroutine.close()
            self._end(error)

    async def _guard(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Keep whatever the cell raises, KeyboardInterrupt and SystemExit too, from the loop."""
        error: BaseException | None = None
        try:
            await _Steps(coroutine, self)
        except BaseException as raised:
            error = raised
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._error = error
        self._done.set()

    def call(self, function: Callable[..., object], *arguments: object) -> bool:
        """Have this called in the loop, soon. Returns False where the loop is closed."""
        from contextvars import Context

        try:
            self._loop.call_soon_threadsafe(function, *arguments, context=Context())
        except RuntimeError:
            return False
        return True

    def left_running(self, is_of_cell: Callable[[Context], bool]) -> list[Any]:
        """The tasks of the loop, other than the cell's own, that run in such a context."""
        import asyncio

        return [
            task
            for task in asyncio.all_tasks(self._loop)
            if task is not self._task and is_of_cell(task.get_context())
        ]

    def interrupt(self) -> None:
        """Stop the cell: by cancelling it where it awaits, by an exception where it computes."""
        self._interruption.requested = True
        if self._stepping:
            self._interruption.request()
        elif self._task is not None:
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError as error:  # it was closed, and nothing in it will ever go on
                self._end(error)

    def give_up(self) -> None:
        """Wait no longer: the loop may have stopped for good."""
        self._end(RuntimeError("the cell was left in the program's event loop"))

    def step(self, coroutine: Coroutine[Any, Any, Any], how: Any, *args: Any) -> Any:
        """One stretch of the cell's code between two awaits; only here may it be interrupted."""
        interruption = self._interruption
        interruption.thread, interruption.exception = self._thread, CellInterrupted
        self._since, self._stepping = monotonic(), True
        try:
            interruption.begin()
            return how(*args)
        finally:
            if os.getpid() != self._pid:
                os._exit(0)  # the cell forked, and this is the child: the loop is its parent's
            interruption.end()
            self._stepping = False


def _until_left(context: Context) -> None:
    """Wait until the loop's thread, which has just told of the end, has left the context, too."""
    for _ in range(1000):
        try:
            context.run(_nothing)
            return
        except RuntimeError:  # only one thread can be in it
            native.Signal().wait(0.001)


def _nothing() -> None: ...


class _Steps:
    """Awaits a coroutine, telling the run when its code has the thread."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], run: LoopRun) -> None:
        self._coroutine, self._run = coroutine, run

    def __await__(self) -> Any:
        coroutine, run = self._coroutine, self._run
        how: Any = coroutine.send
        value: Any = None
        while True:
            try:
                awaited = run.step(coroutine, how, value)
            except StopIteration as finished:
                return finished.value
            try:
                value = yield awaited
                how = coroutine.send
            except BaseException as thrown:
                how, value = coroutine.throw, thrown
