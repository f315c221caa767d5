"""Front-ends that show this kernel: its comms of the target name `live-kernel`.

Runs on the launcher's reactor. A panel, an item of a status bar: each is one comm, which a
front-end opens; it is told of the target whenever that changes, of what the target uses while it
looks, and does by it what the kernel's own commands do. None of it reaches the target, which does
not know the ids either: front-ends choose them at random.
Rule: nothing is asked of the target, and nothing measured, unless a panel is open. A front-end may
go without a word; so figures are sent only to one that has spoken in the last seconds.
"""

from __future__ import annotations

import time
from typing import Any

from ..attach import naming, proc
from ..attach.processes import Process
from ..errors import CommandMisused, LiveKernelError
from ..plain import on_one_line, plain
from . import panel_requests
from .attachment import State
from .execution import Queue
from .frontend import Frontend
from .panel_deeds import Deed, begin
from .panel_places import Places
from .panel_requests import Asked
from .reactor import Reactor, Timer, in_background
from .runner import Runner
from .target import Target
from .usage import Gauge
from .wire import Content, Request

NAME = "live-kernel"
"""The comm target that front-ends open."""

MOST = 32
"""Panels at a time; of more, the one that has not spoken for longest is closed."""

LOOKS_FOR = 30.0
"""Seconds after its last word for which a panel is sent figures."""

USAGE_EVERY = 1.0

_SOON = 0.02
"""Seconds in which changes are gathered: a new attach is several at once."""


class Panel:
    """One comm. `spoke_at`: when its front-end last said something."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spoke_at = time.monotonic()

    @property
    def looks(self) -> bool:
        """Is somebody there?"""
        return time.monotonic() - self.spoke_at < LOOKS_FOR


class Panels:
    """The panels of one kernel. `queue` is that of its main shell."""

    def __init__(
        self,
        reactor: Reactor,
        target: Target,
        frontend: Frontend,
        runner: Runner,
        queue: Queue,
    ) -> None:
        self._reactor, self._target, self._frontend = reactor, target, frontend
        self._runner, self._queue = runner, queue
        self._open: dict[str, Panel] = {}
        self._places = Places(target)
        self._is_due = False
        self._told: Content = {}
        self._bound = ""
        self._gauge: Gauge | None = None
        self._timer: Timer | None = None
        target.on_change = self._change

    def info(self) -> Content:
        """Those that are open, as a `comm_info_reply` has them."""
        return {name: {"target_name": NAME} for name in self._open}

    # -- what front-ends say ------------------------------------------------------------

    def takes(self, request: Request) -> bool:
        """Is this message for us, and not for the target?"""
        name = request.content.get("comm_id")
        is_opened = request.kind == "comm_open" and request.content.get("target_name") == NAME
        return is_opened or (isinstance(name, str) and name in self._open)

    def on_message(self, request: Request) -> None:
        """A comm is opened, used or closed; like any comm's message, between busy and idle."""
        self._frontend.status("busy", request.header)
        try:
            self._take(request)
        finally:
            self._frontend.status("idle", request.header)

    def _take(self, request: Request) -> None:
        name = request.content.get("comm_id")
        if not isinstance(name, str) or not 0 < len(name) <= panel_requests.LONGEST_NAME:
            return
        if request.kind == "comm_close":
            self._open.pop(name, None)
            return
        if request.kind == "comm_open":
            self._add(name)
            return
        panel = self._open[name]
        panel.spoke_at = time.monotonic()
        self._measure_on()
        self._obey(panel, request)

    def _add(self, name: str) -> None:
        self._open.pop(name, None)
        while len(self._open) >= MOST:
            oldest = min(self._open.values(), key=lambda panel: panel.spoke_at)
            del self._open[oldest.name]
            self._frontend.publish("comm_close", {"comm_id": oldest.name, "data": {}}, None)
        self._open[name] = Panel(name)
        self._say(self._open[name], self._state())
        self._change()
        self._measure_on()

    def _obey(self, panel: Panel, request: Request) -> None:
        data = request.content.get("data")
        try:
            asked = panel_requests.parsed(data)
        except CommandMisused as error:
            self._answer(panel, panel_requests.number_in(data), error=error)
            return
        if asked.kind == "look":
            self._say(panel, self._state())
        elif asked.kind == "places":
            self._places.ask(lambda found: self._answer(panel, asked.number, **found))
        else:
            self._do(panel, request, asked)

    def _do(self, panel: Panel, request: Request, asked: Asked) -> None:
        deed = Deed(request, self._frontend, self._queue, asked.line)

        def on_progress(text: str) -> None:
            self._say(panel, {"progress": asked.number, "text": plain(text)})

        def done(error: LiveKernelError | Content | None) -> None:
            self._answer(panel, asked.number, error=error, text=deed.text)
            self._change()

        self._target.use.go_on()
        deed.on_progress = on_progress
        begin(deed, asked, self._target, self._runner, done)

    # -- what they are told -------------------------------------------------------------

    def _answer(
        self,
        panel: Panel,
        number: int | str | None,
        error: LiveKernelError | Content | None = None,
        **found: Any,
    ) -> None:
        told = {} if error is None else {"error": _described(error)}
        self._say(panel, {"answer": number, **found, **told})

    def _say(self, panel: Panel, data: Content) -> None:
        if self._open.get(panel.name) is panel:
            self._frontend.publish("comm_msg", {"comm_id": panel.name, "data": data}, None)

    def _change(self) -> None:
        """Something may have changed: tell soon."""
        if self._open and not self._is_due:
            self._is_due = True
            self._reactor.later(_SOON, self._look_where)

    def _look_where(self) -> None:
        """Ask what cells see, if there is somebody to be asked, and tell."""
        self._is_due = False
        attachment = self._target.attachment
        if attachment is None or attachment.state is not State.ATTACHED:
            self._bound = ""
            self._tell()
            return

        def answered(answer: Content) -> None:
            if self._target.attachment is attachment and attachment.state is State.ATTACHED:
                binding = answer.get("binding") or attachment.ready.get("binding") or {}
                self._bound = on_one_line(str(binding.get("place", "")))
                self._tell()

        attachment.ask("status", answered)

    def _tell(self) -> None:
        """Tell all of the present state, if it is another than they know."""
        state = self._state()
        if state != self._told:
            self._told = state
            for panel in list(self._open.values()):
                self._say(panel, state)
        self._measure_on()

    def _state(self) -> Content:
        """The target and what the cells see; why there is none; in what it is blocked."""
        target, process = self._target, self._target.process
        blocked, failure = target.blocked, target.failure
        state: Content = {"state": target.state.value, "target": None, "bound": ""}
        if process is not None:
            state["target"] = {**_described_process(process), "guard": target.rails._asdict()}
        if target.state is State.ATTACHED:
            state["bound"] = self._bound
        elif target.state is State.INJECTING and blocked is not None:
            can_wake = bool(blocked.waking)
            state["blocked"] = {**_described(blocked), "waking": blocked.waking, "wake": can_wake}
        elif failure is not None:
            state["failure"] = _described(failure)
            state["gone"] = plain(" ".join(target.gone))
        return state

    # -- what the target uses -----------------------------------------------------------

    def _measure_on(self) -> None:
        """Measure once a second, as long as somebody looks and there is a target."""
        is_wanted = any(panel.looks for panel in self._open.values())
        process = self._target.present
        if not is_wanted or process is None or self._target.is_alone:
            self._gauge = None
            return
        if self._gauge is None or self._gauge.process != process:
            self._gauge = Gauge(process)
        if self._timer is None:
            self._timer = self._reactor.later(USAGE_EVERY, self._measure)
            in_background(self._gauge.read)  # with which the next is compared

    def _measure(self) -> None:
        self._timer, gauge = None, self._gauge
        if gauge is None:
            return

        def read() -> None:
            usage = gauge.read()
            self._reactor.call(lambda: self._tell_usage(gauge, usage))

        in_background(read)

    def _tell_usage(self, gauge: Gauge, usage: Content | None) -> None:
        if gauge is not self._gauge:
            return
        for panel in list(self._open.values()):
            if usage is not None and panel.looks:
                self._say(panel, {"usage": usage})
        if self._timer is None and any(panel.looks for panel in self._open.values()):
            self._timer = self._reactor.later(USAGE_EVERY, self._measure)


def _described_process(process: Process) -> Content:
    """What a panel shows of it; `started` in seconds of the epoch."""
    return {
        "pid": process.pid,
        "name": naming.of(process),
        "command": plain(" ".join(process.cmdline)),
        "started": proc.started_at(process.start_time),
    }


def _described(error: LiveKernelError | Content) -> Content:
    if isinstance(error, LiveKernelError):
        remedy = plain(error.remedy or "")
        return {"name": type(error).__name__, "message": plain(str(error)), "remedy": remedy}
    return {"name": str(error["ename"]), "message": plain(str(error["evalue"])), "remedy": ""}
