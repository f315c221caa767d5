"""The launcher's one loop: sockets, timers, and calls from other threads.

Owned by the thread that runs it; `call` alone may be used from others. Rule: what is called from
here returns at once, since everything else waits for it; what may wait is done beside it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..errors import LiveKernelError

Callback = Callable[[], object]


class Timer:
    """A call in the future. `cancel` prevents it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Reactor:
    """Calls back when a socket or file descriptor can be read, or a time has come.

    `on_error` gets what a callback raises, and the loop goes on; without it, the loop raises.
    """

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        self._on_error = on_error
        self._poller: Any = select.poll()
        self._has_zmq = False
        self._readers: dict[Any, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._calls: deque[Callback] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.read(self._wake_read, self._drain)
        self._before_waiting: Callback = lambda: None
        self._stopped = self._closed = False
        self._closing = threading.RLock()  # reentrant: signal handlers call, too

    def read(self, source: Any, callback: Callback) -> None:
        """Call back whenever `source` (a ZMQ socket, a socket or a descriptor) can be read."""
        key = _key(source)
        if not (self._has_zmq or isinstance(key, int)):
            self._take_zmq()
        self._readers[key] = callback
        self._poller.register(key, select.POLLIN)

    def _take_zmq(self) -> None:
        """ZMQ waits for its own sockets only by itself: it is loaded when the first comes."""
        import zmq

        self._poller, self._has_zmq = zmq.Poller(), True
        for key in self._readers:
            self._poller.register(key, zmq.POLLIN)

    def forget(self, source: Any) -> None:
        """Call back for `source` no more. Unknown ones are ignored; a closed one is too late."""
        key = _key(source)
        if self._readers.pop(key, None) is not None:
            self._poller.unregister(key)

    def before_waiting(self, callback: Callback) -> None:
        """Call back each time when everything that has come was dealt with."""
        self._before_waiting = callback

    def later(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, after so many seconds."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), timer))
        return timer

    def call(self, callback: Callback) -> None:
        """Call back soon, on the reactor's thread. Any thread (or signal handler) may ask."""
        self._calls.append(callback)
        with self._closing:
            if self._closed:
                return  # nobody is there to be called
            try:
                os.write(self._wake_write, b"\0")
            except BlockingIOError:
                pass  # the pipe is full of reasons to wake up

    def run(self) -> None:
        """Run until `stop`. Afterwards `run_until` still works, for farewells."""
        while not self._stopped:
            self.step()
        self._stopped = self._closed

    def run_until(self, reached: Callable[[], bool], seconds: float | None = None) -> bool:
        """Run until `reached()` is true, or for so many seconds. Returns whether it is."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not reached():
            rest = None if deadline is None else deadline - time.monotonic()
            if self._stopped or (rest is not None and rest <= 0):
                return False
            self.step(rest)
        return True

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """Let go of the reactor's own file descriptors. Doing so twice does no harm."""
        with self._closing:
            if self._closed:
                return
            self._stopped = self._closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)

    def step(self, longest: float | None = None) -> None:
        """Wait for what comes next, for `longest` seconds at most, and handle it."""
        self._do(self._before_waiting)
        for source, _ in self._poller.poll(self._patience(longest)):
            callback = self._readers.get(source)
            if callback is not None:
                self._do(callback)
        self._run_timers()
        while self._calls:
            self._do(self._calls.popleft())

    def _do(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as error:
            if self._on_error is None:
                raise
            self._on_error(error)

    def _patience(self, longest: float | None) -> int | None:
        """Milliseconds for which nothing is due, rounded up: a timer is never called early."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        waits = [] if longest is None else [longest]
        if self._timers:
            waits.append(self._timers[0][0] - time.monotonic())
        return math.ceil(max(0.0, min(waits)) * 1000) if waits else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                self._do(callback)

    def _drain(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass  # somebody else's byte was read with ours


def in_background(work: Callback) -> threading.Thread:
    """Do something that may wait, without holding up the reactor."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def look_up[T](
    reactor: Reactor,
    look: Callable[[], T],
    found: Callable[[T], object],
    failed: Callable[[LiveKernelError], object],
) -> None:
    """Look for something in the background, and go on with it on the reactor: by `found`, or by
    `failed` with what that or the look has raised.
    """

    def work() -> None:
        try:
            result = look()
        except LiveKernelError as error:
            fail(error)
        except OSError as error:
            fail(LiveKernelError(f"/proc could not be read: {error}"))
        except Exception as error:
            fail(LiveKernelError(f"live-kernel has failed: {error!r}"))
        else:
            reactor.call(lambda: tell(result))

    def fail(error: LiveKernelError) -> None:
        reactor.call(lambda: failed(error))

    def tell(result: T) -> None:
        try:
            found(result)
        except LiveKernelError as error:
            failed(error)

    in_background(work)


def _key(source: Any) -> Any:
    """As the poller reports it: a ZMQ socket itself, anything else by its descriptor."""
    zmq = sys.modules.get("zmq")  # without it there is no socket of its kind
    is_zmq = zmq is not None and isinstance(source, zmq.Socket)
    return source if is_zmq or isinstance(source, int) else source.fileno()
