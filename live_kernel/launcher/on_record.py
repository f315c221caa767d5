"""The cells of a kernel, as they become of record.

Runs on the launcher's reactor. Rule: whatever a front-end has run, also silently, is written
down with who it was; a front-end's empty request is none.
"""

from __future__ import annotations

from ..errors import LiveKernelError
from . import commands
from .execution import Execution, Witness
from .frontend import Frontend
from .local import MARK
from .recording import Fields, Recorder, outcome_of
from .target import Target
from .wire import Content, Request


class OnRecord(Witness):
    """Writes down the cells of one kernel, whichever shell they are of."""

    def __init__(self, recorder: Recorder, target: Target, frontend: Frontend) -> None:
        self._recorder, self._target = recorder, target
        self._shows: dict[str, str] = {}
        if recorder.output:
            frontend.taps.append(self._on_published)

    def begun(self, execution: Execution) -> None:
        if not self._recorder.is_on or not (execution.code.strip() or execution.expressions):
            return
        fields = self._told_by(execution)
        is_beside = fields.get("commands") == [MARK]
        process = None if is_beside else self._target.present
        execution.record = self._recorder.begin(execution.code, process, **fields)
        if self._recorder.output:
            self._shows[execution.request.header["msg_id"]] = execution.record

    def _told_by(self, execution: Execution) -> Fields:
        fields: Fields = {"count": execution.count, **asker(execution.request)}
        if execution.silent:
            fields["silent"] = True
        if execution.expressions:
            fields["expressions"] = execution.expressions
        if execution.code.lstrip()[:1] == "%":
            found, _ = commands.split(execution.code)
            fields["commands"] = [name for name, _ in found]
            if MARK in fields["commands"]:
                fields["local"] = True
        return fields

    def ended(self, execution: Execution, error: LiveKernelError | Content | None) -> None:
        if execution.record:
            outcome, why = ("ok", "") if error is None else outcome_of(error)
            self._recorder.end(execution.record, outcome, why, self._target.present)
            self._shows.pop(execution.request.header["msg_id"], None)

    def dropped(self, execution: Execution) -> None:
        if self._recorder.is_on and execution.code.strip():
            fields = self._told_by(execution)
            self._recorder.refuse(execution.code, self._target.present, "aborted", **fields)

    def _on_published(self, kind: str, content: Content, parent: Content | None) -> None:
        record = self._shows.get(str((parent or {}).get("msg_id")))
        if record is not None:
            self._recorder.keep(record, as_text(kind, content))


def asker(request: Request) -> Fields:
    """Who has sent a request, as far as it says."""
    header = request.header
    fields = {"username": header.get("username"), "session": header.get("session")}
    if request.subshell:
        fields["subshell"] = request.subshell
    cell = request.metadata.get("cellId")
    return fields if cell is None else {**fields, "cell_id": cell}


def as_text(kind: str, content: Content) -> str:
    """What a published message shows, in plain text; nothing for what shows nothing."""
    if kind == "stream":
        return str(content.get("text", ""))
    if kind in ("execute_result", "display_data", "update_display_data"):
        data = content.get("data")
        return str(data.get("text/plain", "")) + "\n" if isinstance(data, dict) else ""
    if kind == "error":
        return "\n".join(map(str, content.get("traceback") or ())) + "\n"
    return ""
