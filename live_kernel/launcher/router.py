"""Who answers what a front-end asks.

Runs on the launcher's reactor. Rule: busy and idle around every request are
sent here and in `execution.py`, nowhere else; what can be answered at once is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import __version__
from .commands import Means, is_aside
from .comms import Comms
from .completeness import Completeness
from .execution import Execution, Inputs, Queue
from .frontend import Frontend
from .history import History
from .idling import Idling
from .in_target import InTarget
from .keeping import Keeping
from .local import Local
from .on_record import OnRecord, asker
from .questions import Questions
from .reactor import Reactor
from .recording import Recorder
from .runner import Runner
from .shells import Shells, UnknownSubshell
from .target import Target
from .usage import Usage
from .wire import PROTOCOL_VERSION, Content, Request

if TYPE_CHECKING:
    from .completion import Completion
    from .inspection import Inspection
    from .panels import Panels


PANELS = "live-kernel"
"""The comm target that is the kernel's own."""

_COMMS = ("comm_open", "comm_msg", "comm_close")


class Router:
    """Takes each request of the front-ends to whoever can answer it."""

    def __init__(
        self,
        reactor: Reactor,
        target: Target,
        shut_down: Callable[[bool], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._target = target
        self._recorder = recorder or Recorder()
        self._shut_down = shut_down
        self.history = History(reactor)
        self._completeness = Completeness(reactor)
        self._usage = Usage(reactor)
        self._frontend: Frontend
        self._shells: Shells
        self._comms: Comms
        self._runner: Runner
        self._questions = Questions()
        self.local = Local(reactor, self._questions)
        self._reactor = reactor
        self._idling = Idling(reactor, target)
        self._idling.is_busy_beside = lambda: self.local.is_running
        self.followed_by: Callable[[], list[str]] = list
        """Tells who follows the kernel."""

    def connect(self, frontend: Frontend) -> None:
        """Answer over this front-end from now on."""
        self._frontend = frontend
        in_target = InTarget(frontend, self._target, self._questions, self._on_comm, self._on_typed)
        keeping = Keeping(self._target)
        in_target.on_late = keeping.heard
        means = Means(
            self._target, self.local, in_target, self.followed_by, self._recorder, keeping
        )
        runner = self._runner = Runner(means, self._inspect)
        inputs = Inputs(self.history.add)
        witness = OnRecord(self._recorder, self._target, frontend)

        def make_queue() -> Queue:
            return Queue(frontend, runner.run, inputs, is_aside, witness)

        self._shells = Shells(self._target, make_queue)
        self._comms = Comms(frontend, self._target, self._shells, self._recorder)
        self._target.on_left = self._comms.close_all
        self.local.connect(frontend)
        frontend.presence.on_gone = self._questions.leave
        frontend.presence.on_alone = self._target.set_alone

    @cached_property
    def _completion(self) -> Completion:
        from .completion import Completion  # not before somebody asks

        def ask_offers(kind: str, answered: Callable[[Content], None]) -> None:
            self._ask("offers", answered, what=kind)

        return Completion(self._reactor, self.local, ask_offers)

    @cached_property
    def _inspection(self) -> Inspection:
        from .inspection import Inspection  # likewise

        return Inspection(self._reactor, self.local)

    @cached_property
    def _panels(self) -> Panels:
        from .panels import Panels  # not every front-end has any

        return Panels(
            self._reactor, self._target, self._frontend, self._runner, self._shells.named("")
        )

    def _is_for_panels(self, request: Request) -> bool:
        """Is it said on a comm that the kernel answers itself? (Its own are opened by name.)"""
        if request.kind not in _COMMS:
            return False
        is_opened = request.content.get("target_name") == PANELS
        return (is_opened or "_panels" in self.__dict__) and self._panels.takes(request)

    def _on_comm(self, event: dict[str, Any], subshell: str) -> None:
        """A cell says something on a comm."""
        self._comms.on_event(event, subshell)

    def _on_typed(self, execution: Execution, line: str) -> None:
        """A line for a debugger of a cell's."""
        self._recorder.typed(execution.record, line, self._target.present)

    def running(self) -> list[tuple[Content, Content]]:
        """The cells that run: their headers, and what was published when they began."""
        return [
            (cell.request.header, {"code": cell.code, "execution_count": cell.count})
            for cell in self._shells.running()
            if not cell.silent
        ]

    # -- requests -----------------------------------------------------------------------

    def on_request(self, request: Request) -> None:
        """A request from shell or control."""
        if self._is_for_panels(request):
            self._panels.on_message(request)
            return
        self._idling.hear(request)
        try:
            queue = self._shells.of(request)
        except UnknownSubshell as error:
            self._refuse(request, error)
            return
        if request.kind == "execute_request":
            queue.add(request)
        elif request.kind in _COMMS:
            if not self.local.takes(request):
                self._comms.on_message(request, queue)
        else:
            self._dispatch(request)

    def _refuse(self, request: Request, error: UnknownSubshell) -> None:
        """Nobody can do what is asked; there is an answer all the same, where one is waited for."""
        if request.kind == "execute_request":
            code = str(request.content.get("code", ""))
            self._recorder.refuse(code, None, "refused", why=str(error), **asker(request))
        self._frontend.status("busy", request.header)
        if request.kind.endswith("_request"):
            self._answer_with_error(request, error)
        else:
            self._frontend.status("idle", request.header)

    def _answer_with_error(self, request: Request, error: Exception) -> None:
        name = "UnknownSubshellError" if isinstance(error, UnknownSubshell) else None
        failure = {"ename": name or type(error).__name__, "evalue": str(error), "traceback": []}
        self._answer(request, {"status": "error", **failure})

    def _dispatch(self, request: Request) -> None:
        self._frontend.status("busy", request.header)
        handler = getattr(self, f"_on_{request.kind}", None)
        if handler is not None and request.kind.endswith("_request"):
            self._handle(handler, request)
        else:  # of a protocol to come, or for a kernel of another kind
            self._frontend.status("idle", request.header)

    def _handle(self, handler: Callable[[Request], None], request: Request) -> None:
        """Whatever goes wrong, whoever asked gets an answer."""
        try:
            handler(request)
        except Exception as error:
            self._answer_with_error(request, error)
            raise

    def _answer(self, request: Request, content: Content) -> None:
        kind = request.kind.removesuffix("_request") + "_reply"
        self._frontend.reply(request, kind, {"status": "ok", **content})
        self._frontend.status("idle", request.header)

    def _on_kernel_info_request(self, request: Request) -> None:
        version = "{}.{}.{}".format(*sys.version_info[:3])
        self._answer(
            request,
            {
                "protocol_version": PROTOCOL_VERSION,
                "implementation": "live-kernel",
                "implementation_version": __version__,
                "banner": self._banner(),
                "help_links": [],
                "supported_features": ["kernel subshells"],
                "language_info": {
                    "name": "python",
                    "version": self._target_version() or version,
                    "mimetype": "text/x-python",
                    "file_extension": ".py",
                    "pygments_lexer": "ipython3",
                    "codemirror_mode": {"name": "ipython", "version": 3},
                    "nbconvert_exporter": "python",
                },
            },
        )

    def _target_version(self) -> str:
        process = self._target.process
        return process.version_text if process is not None else ""

    def _banner(self) -> str:
        process = self._target.process
        if process is None:
            return f"live-kernel {__version__}. Attach to a running program: %attach PID or TEXT"
        text = f"live-kernel {__version__}. Target: {process}"
        rails = self._target.rails
        if not rails.is_told:
            return text
        from .showing import banners

        return f"{text}\n{banners.line(rails, process, coloured=False)}"

    def _on_connect_request(self, request: Request) -> None:
        connection = self._frontend.connection
        self._answer(request, {k: v for k, v in connection.items() if k.endswith("_port")})

    def _on_comm_info_request(self, request: Request) -> None:
        target = request.content.get("target_name")
        ours = {}
        if "_panels" in self.__dict__ and target in (None, PANELS):
            ours = self._panels.info()
        self._answer(request, {"comms": {**self._comms.info(target), **ours}})

    def _on_create_subshell_request(self, request: Request) -> None:
        self._answer(request, {"subshell_id": self._shells.create()})

    def _on_delete_subshell_request(self, request: Request) -> None:
        try:
            self._shells.delete(str(request.content.get("subshell_id") or ""))
        except UnknownSubshell as error:
            self._answer_with_error(request, error)
        else:
            self._answer(request, {})

    def _on_list_subshell_request(self, request: Request) -> None:
        self._answer(request, {"subshell_id": self._shells.subshells})

    def _on_history_request(self, request: Request) -> None:
        self.history.ask(request.content, lambda lines: self._answer(request, {"history": lines}))

    def _on_is_complete_request(self, request: Request) -> None:
        code = str(request.content.get("code", ""))
        self._completeness.ask(code, lambda content: self._answer(request, content))

    def _on_usage_request(self, request: Request) -> None:
        process = self._target.present
        pid = None if process is None else process.pid
        self._usage.ask(pid, lambda content: self._answer(request, content))

    def _on_debug_request(self, request: Request) -> None:
        """A request of the debug adapter protocol. We tell no front-end that we have a debugger."""
        refusal = {
            "type": "response",
            "request_seq": request.content.get("seq", 0),
            "success": False,
            "command": request.content.get("command", ""),
            "message": "This kernel has no debugger.",
        }
        self._answer(request, refusal)

    def _on_complete_request(self, request: Request) -> None:
        code = str(request.content.get("code", ""))
        cursor = _number(request, "cursor_pos", len(code))

        def ask(code: str, cursor: int, answered: Callable[[Content], None]) -> None:
            self._ask("complete", answered, code=code, cursor=cursor)

        self._completion.ask(code, cursor, ask, lambda content: self._answer(request, content))

    def _on_inspect_request(self, request: Request) -> None:
        code = str(request.content.get("code", ""))
        cursor = _number(request, "cursor_pos", len(code))
        detail = _number(request, "detail_level", 0)
        self._inspect(code, cursor, detail, lambda found: self._answer(request, found))

    def _inspect(
        self, code: str, cursor: int, detail: int, found: Callable[[Content], None]
    ) -> None:
        def ask(code: str, cursor: int, detail: int, answered: Callable[[Content], None]) -> None:
            self._ask("inspect", answered, code=code, cursor=cursor, detail=detail)

        self._inspection.ask(code, cursor, detail, ask, found)

    def _ask(self, about: str, answered: Callable[[Content], None], **details: Any) -> None:
        if self._target.attachment is None:
            answered({})
        else:
            self._target.attachment.ask(about, answered, **details)

    def _on_interrupt_request(self, request: Request) -> None:
        self.interrupt()
        self._answer(request, {})

    def _on_shutdown_request(self, request: Request) -> None:
        restart = bool(request.content.get("restart", False))
        content = {"status": "ok", "restart": restart}
        self._frontend.publish("shutdown_reply", content, request.header)
        self._answer(request, content)
        self._shut_down(restart)

    def interrupt(self) -> None:
        """Interrupt what the running cell is doing; between cells, nothing."""
        self._target.interrupt()  # first, so that it hears of that before it gets no answer
        self.local.interrupt()
        self._questions.cancel()

    def hold_output(self, hold: bool) -> None:
        """Front-ends take messages more slowly than cells make them (or no longer do)."""
        self._target.hold_output(hold)
        self.local.hold_output(hold)

    def on_input(self, request: Request) -> None:
        """A message on the stdin channel."""
        if request.kind == "input_reply":
            self._idling.hear(request)
            self._questions.on_reply(request)


def _number(request: Request, field: str, default: int) -> int:
    """A whole number of a request's content; the default where it is none."""
    value = request.content.get(field)
    return value if isinstance(value, int) else default
