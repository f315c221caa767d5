"""The launcher's main function: from its command line to its last message.

Runs on the main thread. Rule: a program that was chosen in advance is
entered first, since the agent starts there while we load what serves the channels; and every way
out leaves the target as it was.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attach.ending import Watch
from ..attach.processes import Process
from ..errors import LiveKernelError
from . import recording, zmq_loading
from .arguments import Arguments
from .choosing import Choice, Memory, first_choice, forget_dead
from .log import log, log_error
from .reactor import Reactor, in_background
from .succession import first_wanted
from .target import Target

if TYPE_CHECKING:
    from .followers import Followers
    from .frontend import Frontend
    from .router import Router

_FAREWELL = 0.15
"""Seconds that a clean exit may wait for the agent's farewell, and for the history to be saved."""

_LOCAL_FAREWELL = 1.0
"""Seconds that the local kernel, where there is one, may take to end in peace."""

_CALLED_WITHIN = 0.05
"""Seconds that the bootstrap may take to be scheduled, before the channels are looked after."""

_LINGER = 0.03
"""Seconds that the last messages to the front-ends may take to leave."""

_PARENT_CHECK = 1.0

_FOLLOWED_AFTER = 0.25
"""Seconds after the start at which others may follow: whoever has started it comes first."""

_SETTLED_AFTER = 2.0
"""Seconds after the start at which there is time to look for what others have left, and what
garbage there is."""


_UNSERVABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What a connection file raises that is none."""


class Kernel:
    """One run of the launcher."""

    def __init__(self, given: Arguments) -> None:
        connection_file = Path(given.connection_file)
        self._reactor = Reactor(on_error=log_error)
        self._connection_file = connection_file
        self._memory = Memory(connection_file)
        self._target = Target(self._reactor, self._memory)
        self._recorder = recording.from_environment(
            os.environ, self._reactor.later, self._tell, about(connection_file, os.environ)
        )
        self._followers: Followers | None = None
        self._target.on_step = self._on_step
        self._target.is_quiet, self._target.protection.given = given.is_quiet, given.rails
        self._is_restart = False
        self._end = "the kernel has ended"
        self._watch_signals()
        self._attach_first(given.choice, given.wakes)
        self._target.succession.wanted = first_wanted(given.follow, os.environ)
        try:
            self._router, self._frontend = self._opened()
        except BaseException:
            self._target.leave(_FAREWELL, "the connection file can't be served")
            raise
        if given.history:
            self._router.history.keep_in(given.history)

    def _opened(self) -> tuple[Router, Frontend]:
        """The channels. What is needed for them is loaded while the target starts the agent."""
        zmq_loading.load()
        from .frontend import Frontend
        from .router import Router

        router = Router(self._reactor, self._target, self._shut_down, self._recorder)
        router.followed_by = lambda: [] if self._followers is None else self._followers.names
        frontend = Frontend(
            self._connection_file,
            self._reactor,
            router.on_request,
            router.on_input,
            router.hold_output,
        )
        router.connect(frontend)
        frontend.on_posted = self._recorder.flush
        return router, frontend

    def run(self) -> None:
        """Serve until a front-end, a signal or the end of our parent stops us."""
        self._frontend.status("starting", None)
        self._watch_parent()
        self._reactor.later(_FOLLOWED_AFTER, self._let_follow)
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

    def _attach_first(self, given: Choice | None, wakes: bool) -> None:
        """Enter the program that was chosen in advance; failing to is told by the first cell."""
        choice = first_choice(given, os.environ, self._memory)
        if choice is None:
            return
        try:
            self._target.choose(choice._replace(wake=wakes), pinned=choice.pinned)
        except LiveKernelError as error:
            self._target.failure, self._target.missed = error, choice
            return
        self._reactor.run_until(self._target.is_called, _CALLED_WITHIN)

    def _watch_signals(self) -> None:
        """SIGTERM and SIGHUP end the kernel, SIGINT interrupts the cell; none is passed on."""

        def on_end(number: int, _frame: object) -> None:
            self._end = signal.Signals(number).name
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
            self._reactor.read(watch.descriptor, self._on_parents_end)
        else:
            self._check_parent(watch)

    def _check_parent(self, watch: Watch) -> None:
        if watch.has_ended():
            self._on_parents_end()
        else:
            self._reactor.later(_PARENT_CHECK, lambda: self._check_parent(watch))

    def _on_parents_end(self) -> None:
        self._end = "the program that has started the kernel has ended"
        self._reactor.stop()

    def _shut_down(self, restart: bool) -> None:
        self._is_restart = restart
        self._end = "restarted by a front-end" if restart else "shut down by a front-end"
        self._reactor.stop()

    def _leave(self) -> None:
        if not self._is_restart:
            self._memory.forget()
        self._router.history.leave()
        self._frontend.stop_receiving()
        self._target.leave(_FAREWELL, self._end)
        self._recorder.close(self._end)
        if self._followers is not None:
            self._followers.close()
        self._router.local.close(_LOCAL_FAREWELL)
        self._router.history.close(_FAREWELL)
        self._frontend.close(_LINGER)

    # -- what others are told -----------------------------------------------------------

    def _tell(self, text: str) -> None:
        """Tell the user, at the next cell, and Jupyter's log."""
        log(text)
        self._target.on_notice(text)

    def _note(self, event: str, **fields: Any) -> None:
        self._recorder.note(event, self._target.present, **fields)

    def _on_step(self, event: str, process: Process | None, fields: dict[str, Any]) -> None:
        """The attachment has come a step further."""
        self._recorder.step(event, process, fields)
        if self._followers is not None:
            self._followers.step(event, process, fields)

    def _let_follow(self) -> None:
        """The start is over: others may follow from now on."""
        from .followers import Followers

        self._followers = Followers(
            self._reactor, self._describe, self._router.running, self._target.on_notice, self._note
        )
        self._followers.open(self._frontend)

    def _describe(self) -> dict[str, Any]:
        """What a follower is told of this kernel."""
        process = self._target.present
        target = None if process is None else {"pid": process.pid, "command": process.title}
        since = self._target.attachment.since if self._target.attachment else None
        return {
            "protocol": 1,
            **about(self._connection_file, os.environ),
            "state": self._target.state.value,
            "target": target,
            "since": since if process is not None else None,
        }


def about(connection_file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """By what names a kernel is known: its connection file's, and its notebook's, if it has one."""
    found = {"connection": connection_file.stem}
    notebook = environment.get("JPY_SESSION_NAME", "")
    return {**found, "notebook": notebook} if notebook else found


def main(given: Arguments) -> int:
    """Run a kernel. Returns the exit status."""
    try:
        kernel = Kernel(given)
    except _UNSERVABLE as error:
        log(f"can't serve {given.connection_file}: {error}")
        return 2
    kernel.run()
    return 0
