"""Comms of cells: the channel on which widgets in the target speak to their views.

Runs in the target, on threads of cells. The package `comm` is what widgets are
written against; while a session has used it, its two entry points ask whose
code calls. Rule: a comm that the program makes itself is the program's; one that
a cell makes, or one of its threads, is the session's, and is closed with it.
"""

from __future__ import annotations

import sys

from .display import json_safe
from .native import SafeLock
from .shared import Shared
from .streams import running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .ledger import Ledger
    from .shell import Shell

    Message = dict[str, Any]

PACKAGE = "comm"


class Comms:
    """The comms of one session."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._made: tuple[Any, Any] | None = None
        self._lock = SafeLock()

    # -- what `comm.create_comm` and `comm.get_comm_manager` answer to a cell -------------

    def create(self, *arguments: Any, **options: Any) -> Any:
        """A comm of this session."""
        return self._parts()[0](*arguments, **options)

    def manager(self) -> Any:
        """Knows the session's comms by their ids, and the targets by their names."""
        return self._parts()[1]

    def _parts(self) -> tuple[Any, Any]:
        """The class of our comms and their manager, made when they are first needed."""
        with self._lock:
            if self._made is None:
                base_comm: Any = sys.modules[PACKAGE].base_comm
                kind = type("Comm", (base_comm.BaseComm,), {"publish_msg": self._publisher()})
                ledger = self._shell.ledger
                self._made = kind, _manager_class(base_comm.CommManager)(kind, ledger)
                ledger.record("the comms of cells", self._close)
            return self._made

    def _publisher(self) -> Any:
        session = self

        def publish_msg(
            self: Any,
            msg_type: str,
            data: Any = None,
            metadata: Any = None,
            buffers: Any = None,
            **keys: Any,
        ) -> None:
            content = {"data": data or {}, "comm_id": self.comm_id, **keys}
            session.publish(msg_type, content, metadata or {}, buffers or ())

        return publish_msg

    def publish(self, kind: str, content: Message, metadata: Message, buffers: Any) -> None:
        """Send a message to the front-ends, as output of the cell that runs or ran last."""
        cell = running_cell() or self._shell.latest_cell()
        if cell is None:
            return  # the session is over, and nobody listens
        event = {
            "event": "comm",
            "kind": kind,
            "content": json_safe(content),
            "metadata": json_safe(metadata),
            "buffers": [bytes(buffer) for buffer in buffers],
        }
        with cell.interruption:
            cell.output.add(event)
            cell.output.flush()

    # -- what the front-end says ----------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Hand a `comm_open`, `comm_msg` or `comm_close` to the one that it is for.

        Whatever the callback raises is shown as the output of the message.
        """
        if PACKAGE not in sys.modules:
            return  # nothing in here can have opened one
        request = {
            "header": message["parent"],
            "parent_header": {},
            "msg_id": message["parent"].get("msg_id", ""),
            "msg_type": message["kind"],
            "content": message["content"],
            "metadata": message["metadata"],
            "buffers": [memoryview(buffer or b"") for buffer in message["buffers"]],
        }
        getattr(self.manager(), message["kind"])(None, None, request)

    def _close(self) -> None:
        """The session ends: so do its comms, and the widgets that speak by them."""
        made, self._made = self._made, None
        if made is None:
            return
        widgets = getattr(_widgets(), "_instances", {})
        for name, comm in list(made[1].comms.items()):
            widget = widgets.get(name)
            comm._closed = True  # its other end learns of it from the kernel
            if widget is not None:
                widget.close()
        made[1].comms.clear()


def _manager_class(base: Any) -> Any:
    """A CommManager that tells errors to the cell, not to the program's log."""

    class Manager(base):  # type: ignore[misc]
        def __init__(self, kind: Any, ledger: Ledger) -> None:
            super().__init__()
            self._kind, self._ledger = kind, ledger

        def comm_open(self, stream: object, ident: object, msg: Message) -> None:
            content = msg["content"]
            name = content["target_name"]
            comm = self._kind(comm_id=content["comm_id"], primary=False, target_name=name)
            self.register_comm(comm)
            target = self.targets.get(name) or _of_program(name)
            if target is None:
                comm.close()
                return
            before = _control_comm()
            try:
                target(comm, msg)
            except Exception as error:
                comm.close()
                _report(error)
            if _control_comm() is not before:
                self._ledger.record("ipywidgets' control comm", lambda: _set_control_comm(before))

        def comm_msg(self, stream: object, ident: object, msg: Message) -> None:
            comm = self.comms.get(msg["content"]["comm_id"])
            if comm is not None:
                _guarded(comm.handle_msg, msg)

        def comm_close(self, stream: object, ident: object, msg: Message) -> None:
            comm = self.comms.pop(msg["content"]["comm_id"], None)
            if comm is not None:
                comm._closed = True
                _guarded(comm.handle_close, msg)

    return Manager


def _widgets() -> Any:
    """The module in which ipywidgets keeps its widgets, if the program has it."""
    return sys.modules.get("ipywidgets.widgets.widget")


def _control_comm() -> Any:
    """The comm on which ipywidgets tells a front-end of all widgets: the latest, for all."""
    return getattr(getattr(_widgets(), "Widget", None), "_control_comm", None)


def _set_control_comm(comm: Any) -> None:
    _widgets().Widget._control_comm = comm


def _guarded(handle: Any, message: Message) -> None:
    try:
        handle(message)
    except Exception as error:
        _report(error)


def _report(error: BaseException) -> None:
    cell = running_cell()
    if cell is not None:
        cell.report(error)


def _of_program(target: str) -> Any:
    """What the program has registered for this target, before there was a session."""
    manager = _bridge.original("get_comm_manager")
    return None if manager is None else manager().targets.get(target)


class _Bridge:
    """The two functions of the package `comm`, taught to ask who calls them."""

    def __init__(self) -> None:
        self._shared = Shared("the functions of the package comm", self._take_out)
        self._originals: dict[str, tuple[Any, Any]] = {}
        self._module: Any = None

    def original(self, name: str) -> Any:
        return self._originals.get(name, (None, None))[0]

    def install(self, module: ModuleType, ledger: Ledger) -> None:
        """Teach the package, unless that is done; it stays so until the last session leaves."""
        if hasattr(module, "get_comm_manager") and not self._shared.is_needed_by(ledger):
            self._shared.need(ledger, lambda: self._put_in(module))

    def _put_in(self, module: ModuleType) -> None:
        if self._module is None:
            self._module = module
            self._replace("create_comm", lambda comms: comms.create)
            self._replace("get_comm_manager", lambda comms: comms.manager)

    def _replace(self, name: str, of_session: Any) -> None:
        original = getattr(self._module, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            comms = _comms_of_caller()
            answer = original if comms is None else of_session(comms)
            return answer(*arguments, **options)

        ask.__name__ = ask.__qualname__ = name
        ask.__doc__ = original.__doc__
        self._originals[name] = original, ask
        setattr(self._module, name, ask)

    def _take_out(self) -> None:
        module, self._module = self._module, None
        for name, (original, ours) in self._originals.items():
            if getattr(module, name, None) is ours:
                setattr(module, name, original)
        self._originals.clear()


def _comms_of_caller() -> Comms | None:
    """The comms of the session whose cell's code calls, also after that cell's end."""
    cell = running_cell()
    return None if cell is None or cell.shell is None else cell.shell.comms


_bridge = _Bridge()
install = _bridge.install
