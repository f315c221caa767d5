"""Getting into a target: from a process that knows nothing to an agent that is ready.

Runs on the launcher's reactor; what may wait (the injection, looks at a target
that does not react) runs on short-lived threads. Rule: whatever way it ends, no
script is left that could run later, and no file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..attach import injector, slot
from ..attach.landing import SCRIPT, Landing, for_process
from ..attach.processes import Process, identify, now
from ..errors import AgentFailed, LiveKernelError, TargetBlocked, TargetNotFound, TargetStopped
from ..link import messages
from . import losing
from .channel import Channel
from .reactor import Reactor, Timer, in_background
from .waking import Waking

Message = dict[str, Any]
Channels = dict[str, Channel]

CHECK_EVERY = 0.5
"""Seconds between looks at whether our script still waits in a blocked target."""

STARTED_WITHIN = 5.0
"""Seconds that the agent has to connect once its bootstrap has run."""

READY_WITHIN = 10.0
"""Seconds that the agent has to be ready once it has connected."""

_INJECTED_WITHIN = 20.0

_AGAIN = "To attach to what it runs now, name it again: by %attach, or as before."

_MOST_STRANGERS = 8
"""Connections at a time of whom nothing is known yet; the agent says at once who it is."""

_HAS_NO_LIBRARY = "; it sees other files than this kernel: is Python's standard library among them?"


class Entering:
    """One attempt to enter `process`, begun at once.

    Either `entered(channels, ready)` or `failed(error)` is called, once;
    `blocked(error)` may be called before, and says what the target waits in. `wake`:
    it is to be woken from that. `observe`: the agent is to look, and to run no code.
    `has_become_another()`: has the process been replaced (exec)?
    """

    def __init__(
        self,
        process: Process,
        reactor: Reactor,
        entered: Callable[[Channels, Message], None],
        failed: Callable[[LiveKernelError], None],
        blocked: Callable[[TargetBlocked], None],
        has_become_another: Callable[[], bool] = lambda: False,
        wake: bool = False,
        observe: bool = False,
    ) -> None:
        self._process = process
        self._has_become_another = has_become_another
        self._reactor = reactor
        self._entered, self._failed, self._blocked = entered, failed, blocked
        self._observes = observe
        self._is_over = False
        self._landing: Landing | None = None
        self._script = ""
        self._injecting: threading.Thread | None = None
        self.is_scheduled = False
        """Our script is in the slot, or has been taken from there."""
        self._is_checking = False
        self._silent_since = time.monotonic()
        self._channels: Channels = {}
        self._strangers: list[Channel] = []
        self._ready: Message | None = None
        self._timers: list[Timer] = []
        self._waking = Waking(process, reactor, self._on_blocked, self._begin_checking, wake)
        reactor.call(self._begin)

    def _begin(self) -> None:
        if self._is_over:
            return
        try:
            self._landing = for_process(self._process)
        except LiveKernelError as error:
            self._end_with(error)
            return
        except OSError as error:
            self._fail(f"no private directory could be made: {error}")
            return
        self._script = str(self._landing.path / SCRIPT)
        self._reactor.read(self._landing.listener, self._on_connection)
        self._waking.begin()
        self._begin_injecting(self._landing)

    def _begin_injecting(self, landing: Landing) -> None:
        self._injecting = in_background(lambda: self._inject(landing))

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do some work, on a thread of its own, unless it is all over by then."""
        self._timers.append(self._reactor.later(seconds, lambda: in_background(work)))

    # -- the script ---------------------------------------------------------------------

    def _inject(self, landing: Landing) -> None:
        """On a thread of its own: schedule the bootstrap, behind anyone who came first."""
        failure: LiveKernelError
        try:
            if not slot.when_free(
                self._process,
                lambda: injector.inject(self._process, landing),
                lambda: not self._is_over,
            ):
                return
        except LiveKernelError as error:
            failure = error
        except Exception as error:  # whatever it is, nobody else would tell the user
            detail = f"{type(error).__name__}: {error}"
            failure = AgentFailed(self._process.pid, f"{self._process} was not entered: {detail}")
        else:
            self.is_scheduled = True
            self._reactor.call(self._on_scheduled)
            return
        self._reactor.call(lambda: self._end_with(failure))

    def _on_scheduled(self) -> None:
        if not self._is_over:
            self._waking.scheduled()

    def wake(self) -> None:
        """The user says that the target is to be woken."""
        self._waking.wake()

    def _on_blocked(self, error: TargetBlocked) -> None:
        if not self._channels:
            self._blocked(error)
        self._begin_checking()

    def _begin_checking(self) -> None:
        """From now on, see now and then what has become of our script."""
        if not self._is_checking:
            self._is_checking = True
            self._later(CHECK_EVERY, self._check_slot)

    def _check_slot(self) -> None:
        """On a thread: see whether our script still waits to be run."""
        waiting = slot.waiting_script(self._process) if self.is_scheduled else None
        told = self._landing.told() if self._landing is not None else ""
        if waiting and self._is_another_users():
            told = "it runs as another user by now, who can't read what was prepared. Attach again."
        self._reactor.call(lambda: self._on_checked(waiting, told))

    def _is_another_users(self) -> bool:
        try:
            return now(self._process).uid != self._process.uid
        except LiveKernelError:
            return False  # it has ended, which is told by others

    def _on_checked(self, waiting: str | None, told: str) -> None:
        """`waiting`: what is in the target's slot; "" for nothing, None if unknown. `told`: why
        the agent can't connect.
        """
        if self._is_over:
            return
        if told:
            self._fail(told)
            return
        if self._has_become_another():
            text = losing.replaced(self._process)
            self._end_with(TargetNotFound(self._process.pid, text, _AGAIN))
            return
        has_run = waiting == "" and not self._channels
        if not has_run:
            self._silent_since = time.monotonic()
        elif time.monotonic() - self._silent_since > STARTED_WITHIN:
            hint = _HAS_NO_LIBRARY if self._process.has_other_files else ""
            self._fail(f"its bootstrap has run, and nothing came for {STARTED_WITHIN:.0f} s{hint}")
            return
        if waiting and waiting != self._script:
            self._inject_again()
        self._later(CHECK_EVERY, self._check_slot)

    def _inject_again(self) -> None:
        """Somebody else's script has taken the place of ours: schedule it again after theirs."""
        if self._landing is not None and not (self._injecting and self._injecting.is_alive()):
            self.is_scheduled = False
            self._begin_injecting(self._landing)

    # -- the agent ----------------------------------------------------------------------

    def _on_connection(self) -> None:
        """The agent connects, twice; nobody else is let in."""
        accepted = self._landing.accept() if self._landing is not None else None
        if accepted is None:
            return
        connection, peer = accepted
        if peer != self._process.pid:  # by the kernel's word; nothing is read of others
            connection.close()
            return
        channel = Channel(connection, peer, self._reactor)
        channel.on_message = lambda message: self._on_message(channel, message)
        channel.on_closed = lambda: self._on_closed(channel)
        self._strangers.append(channel)
        if len(self._strangers) > _MOST_STRANGERS:
            self._strangers.pop(0).close()

    def _on_message(self, channel: Channel, message: Message) -> None:
        if channel in self._strangers:
            self._strangers.remove(channel)
        if channel in self._channels.values():
            if message["op"] == "ready":
                self._ready = message
        elif message["op"] == "bye":
            channel.close()
            self._fail(message["detail"])  # it could not even be loaded
            return
        elif not self._introduce(channel, message):
            channel.close()
            return
        self._end_if_whole()

    def _introduce(self, channel: Channel, hello: Message) -> bool:
        """The first message on a connection. Returns whether it is the agent's."""
        import hmac  # not before the agent is on its way: it loads OpenSSL

        name = hello.get("channel", "")
        token = "" if self._landing is None else self._landing.token
        if (
            hello["op"] != "hello"
            or self._is_over
            or name in self._channels
            or not hmac.compare_digest(hello["token"].encode(errors="replace"), token.encode())
        ):
            return False
        if hello["protocol"] != messages.PROTOCOL:
            self._fail("it speaks another version of the link's protocol")
            return False
        if not self._channels:
            self._timers.append(self._reactor.later(READY_WITHIN, self._on_not_ready))
        self._channels[name] = channel
        channel.let_in()
        if name == "control":
            channel.send({"op": "welcome", **({"observe": True} if self._observes else {})})
        return True

    def _on_not_ready(self) -> None:
        """It has been let in, and then nothing came. Hanging up makes it undo what it has done."""
        try:
            identify(self._process.pid)
        except TargetStopped as error:
            self._end_with(error)
        except LiveKernelError as error:
            self._fail(str(error))
        else:
            self._fail(f"it connected, but was not ready within {READY_WITHIN:.0f} s")

    def _on_closed(self, channel: Channel) -> None:
        if channel in self._strangers:
            self._strangers.remove(channel)
        if channel in self._channels.values():
            self._fail("it hung up")

    # -- the end ------------------------------------------------------------------------

    def _end_if_whole(self) -> None:
        """Entered means: the agent is ready, and both of its connections are here."""
        if self._is_over or self._ready is None or set(self._channels) != set(messages.CHANNELS):
            return
        if self._observes and self._ready.get("observes") is not True:
            self._fail("it does not say that it only looks")
            return
        self._is_over = True
        landing = self._leave_reactor()
        if landing is not None:
            landing.close()
        self._entered(self._channels, self._ready)

    def _fail(self, detail: str) -> None:
        self._end_with(losing.failed(self._process, detail))

    def _end_with(self, error: LiveKernelError) -> None:
        if not self._is_over:
            self.give_up()
            self._failed(error)

    def give_up(self) -> None:
        """Stop trying; a script that has not run yet will do nothing."""
        if self._is_over:
            return
        self._is_over = True
        for channel in self._channels.values():
            channel.close()
        landing = self._leave_reactor()
        if self._injecting is not None and self._injecting.is_alive():
            # It may take long, and be in the middle of scheduling: the launcher goes on, and
            # ends no earlier than this (so no daemon).
            threading.Thread(target=self._take_back, args=[landing]).start()
        else:
            self._take_back(landing)

    def _take_back(self, landing: Landing | None) -> None:
        """Once nothing more is scheduled: leave nothing in the target's slot, and no file."""
        if self._injecting is not None:
            self._injecting.join(_INJECTED_WITHIN)
        if self.is_scheduled and not self._channels:
            injector.disarm(self._process, self._script)
        if landing is not None:
            landing.close()

    def _leave_reactor(self) -> Landing | None:
        """Wait for nothing any more. Returns the landing, which is still to be closed."""
        self._waking.stop()
        for timer in self._timers:
            timer.cancel()
        for stranger in self._strangers:
            stranger.close()
        self._strangers.clear()
        landing, self._landing = self._landing, None
        if landing is not None:
            self._reactor.forget(landing.listener)
        return landing
