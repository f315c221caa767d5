"""The launcher's main function: from its command line to its last message.

Runs on the main thread. Rule: the channels are served before anything else is
looked at, and every way out leaves the target as it was.
"""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

from ..attach.ending import Watch
from ..errors import LiveKernelError
from .arguments import Arguments
from .choosing import Memory, first_choice, forget_dead
from .frontend import Frontend
from .log import log, log_error
from .reactor import Reactor
from .router import Router
from .target import Target
from .waking import in_background

_FAREWELL = 0.15
"""Seconds that a clean exit may wait for the agent's farewell, and for the history to be saved."""

_LOCAL_FAREWELL = 1.0
"""Seconds that the local kernel, where there is one, may take to end in peace."""

_LINGER = 0.03
"""Seconds that the last messages to the front-ends may take to leave."""

_PARENT_CHECK = 1.0

_SETTLED_AFTER = 2.0
"""Seconds after the start at which there is time to look for what others have left, and what
garbage there is."""


class Kernel:
    """One run of the launcher."""

    def __init__(self, given: Arguments) -> None:
        connection_file = Path(given.connection_file)
        self._reactor = Reactor(on_error=log_error)
        self._connection_file = connection_file
        self._memory = Memory(connection_file)
        self._target = Target(self._reactor, self._memory)
        self._router = Router(self._reactor, self._target, self._shut_down)
        self._frontend = Frontend(
            connection_file,
            self._reactor,
            self._router.on_request,
            self._router.on_input,
            self._router.hold_output,
        )
        self._router.connect(self._frontend)
        if given.history:
            self._router.history.keep_in(given.history)
        self._target.is_quiet = given.is_quiet
        self._given, self._wakes = given.choice, given.wakes
        self._is_restart = False

    def run(self) -> None:
        """Serve until a front-end, a signal or the end of our parent stops us."""
        self._frontend.status("starting", None)
        self._watch_signals()
        self._watch_parent()
        self._attach_first()
        self._reactor.later(_SETTLED_AFTER, self._settle)
        self._reactor.run()
        self._leave()

    def _settle(self) -> None:
        """The start is over: do what was put off until then."""
        gc.freeze()  # what was loaded stays
        gc.enable()
        in_background(self._sweep)

    def _sweep(self) -> None:
        """On a thread: remove what launchers before us have left that were killed."""
        from ..attach import leftovers

        leftovers.sweep_all()
        forget_dead(self._connection_file.parent)

    def _attach_first(self) -> None:
        """Enter the program that was chosen in advance; failing to is told by the first cell."""
        choice = first_choice(self._given, os.environ, self._memory)
        if choice is None:
            return
        try:
            self._target.choose(choice._replace(wake=self._wakes), pinned=choice.pinned)
        except LiveKernelError as error:
            self._target.failure = error

    def _watch_signals(self) -> None:
        """SIGTERM and SIGHUP end the kernel, SIGINT interrupts the cell; none is passed on."""

        def on_end(_number: int, _frame: object) -> None:
            self._reactor.call(self._reactor.stop)

        def on_interrupt(_number: int, _frame: object) -> None:
            self._reactor.call(self._router.interrupt)

        signal.signal(signal.SIGTERM, on_end)
        signal.signal(signal.SIGHUP, on_end)
        signal.signal(signal.SIGINT, on_interrupt)

    def _watch_parent(self) -> None:
        """End with the program that started us, which may be killed without a word to us."""
        pid = int(os.environ.get("JPY_PARENT_PID") or 0)
        if pid <= 1:
            return
        watch = Watch(pid)
        if watch.descriptor is not None:
            self._reactor.read(watch.descriptor, self._reactor.stop)
        else:
            self._check_parent(watch)

    def _check_parent(self, watch: Watch) -> None:
        if watch.has_ended():
            self._reactor.stop()
        else:
            self._reactor.later(_PARENT_CHECK, lambda: self._check_parent(watch))

    def _shut_down(self, restart: bool) -> None:
        self._is_restart = restart
        self._reactor.stop()

    def _leave(self) -> None:
        if not self._is_restart:
            self._memory.forget()
        self._router.history.leave()
        self._frontend.stop_receiving()
        attachment = self._target.attachment
        if attachment is not None:
            attachment.detach(within=_FAREWELL)
        self._router.local.close(_LOCAL_FAREWELL)
        self._router.history.close(_FAREWELL)
        self._frontend.close(_LINGER)


def main(given: Arguments) -> int:
    """Run a kernel. Returns the exit status."""
    try:
        kernel = Kernel(given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log(f"can't serve {given.connection_file}: {error}")
        return 2
    kernel.run()
    return 0
