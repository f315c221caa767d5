"""The messages of the link, as an executable schema.

Runs on both sides. Rule: a message that none of these patterns fits is never
acted upon. The launcher closes a link on which one arrives (the target may be
hostile); the agent ignores it (a newer launcher may know more).

Words: `cell` is the launcher's number of a cell, `id` that of a question on
the control channel; both only ever grow.
"""

from __future__ import annotations

from .limits import are_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .frames import Message

PROTOCOL = 1
"""Raised when a launcher and an agent of different versions would misunderstand."""

CHANNELS = ("cells", "control")

QUESTIONS = frozenset(
    {
        *("complete", "inspect", "original", "status", "breaks"),
        *("threads", "stack", "tasks", "where", "offers"),
    }
)
"""What an `ask` may be about."""

ACTIONS = {
    "bind": True,
    "watch": True,
    "unwatch": True,
    "trace": True,
    "untrace": True,
    "patch": False,
    "unpatch": False,
    "break": True,
    "unbreak": True,
    "enter": False,
}
"""What a `run` may ask for instead of code, and whether a session may that only looks: a breakpoint
that stops nothing, and expressions that are read from memory (see `agent/observing.py`)."""


def from_agent(message: Message) -> bool:  # noqa: C901 - a table of what there is
    """Is this a message that an agent may send?"""
    match message:
        # The first on each channel. Nothing else is read before it was checked.
        case {
            "op": "hello",
            "protocol": int(),
            "token": str(),
            "channel": "cells" | "control",
            "pid": int(),
        }:
            return True
        # On `control`, after the first hello: what the agent is bound to, and where.
        case {"op": "ready", "python": str(), "binding": dict(binding)}:
            return _is_binding(binding)
        # On `cells`: what a cell produced since the last of these, in order; `done` ends it. What
        # it has left running may produce more later.
        case {"op": "cell", "cell": int(), "events": list(events), "done": done}:
            return all(map(_is_event, events)) and (done is None or _is_outcome(done))
        # On `cells`, behind the output up to here: run a command beside the launcher, for this
        # cell. A str is for a shell; `text` is its stdin. Its output is the cell's, or comes
        # back with `ran` if `capture`.
        case {
            "op": "system",
            "cell": int(),
            "id": int(),
            "command": str() | list() as command,
            "text": str(),
            "environment": dict(environment),
            "capture": bool(),
        }:
            return _are_texts(command) and _are_texts([*environment, *environment.values()])
        # On `cells`: a cell uses IPython. What commands has the kernel itself, and, if `needed`,
        # where is there an IPython for this target, which has none?
        case {"op": "lend", "cell": int(), "id": int(), "needed": bool()}:
            return True
        # On `control`: a `comm` could not be delivered now; bring it when nothing runs there.
        case {"op": "undelivered", "cell": int()}:
            return True
        # On `control`: a running cell calls input() or getpass().
        case {"op": "input", "cell": int(), "prompt": str(), "password": bool()}:
            return True
        # On `control`: a debugger of a running cell asks what to do: the line will be run as code.
        # Answered, as the one before, by `input`.
        case {"op": "prompt", "cell": int(), "prompt": str()}:
            return True
        # On `control`: the answer to `ask`.
        case {"op": "answer", "id": int(), "answer": dict()}:
            return True
        # On `control`: something that the user should know, such as a new binding.
        case {"op": "notice", "text": str()}:
            return True
        # On `control`: a thread of the program stands still for the launcher. Is it there?
        case {"op": "there"}:
            return True
        # On `control`, last: the agent leaves, and why.
        case {
            "op": "bye",
            "reason": "detached" | "exit" | "failed" | "unattended",
            "detail": str(),
        }:
            return True
    return False


def from_launcher(message: Message) -> bool:
    """Is this a message that a launcher may send?"""
    return _is_about_a_cell(message) or _is_about_the_session(message)


def is_look(message: Message) -> bool:
    """May a session do this that only looks? (Of a valid `run` or `comm`.)"""
    if message["op"] != "run" or message["code"].strip() or message["expressions"]:
        return False
    action = message.get("action") or {}
    name = action.get("name", "")
    return ACTIONS.get(name, False) and (name != "break" or bool(action.get("log")))


def _is_about_a_cell(message: Message) -> bool:
    match message:
        # On `cells`: run this, as input number `count`; on `control` if it is for a `subshell`.
        # Where it is not what the user typed, that comes as `source`; the limits that the user
        # has changed, as `limits`. `parent` is the header of the front-end's request.
        # Instead of code it may be an `action` of the agent's, with what that needs to know.
        case {"op": "run"}:
            return _is_run(message)
        # As `run`: what a front-end says on a comm, with its number as a cell; `meanwhile` a cell
        # runs in that shell (then on `control`): if it awaits, deliver this in its loop.
        case {"op": "comm"}:
            return _is_comm(message)
        # On `control`: raise KeyboardInterrupt in this cell, if it is one that runs.
        case {"op": "interrupt", "cell": int()}:
            return True
        # On `control`: an interrupt did not help; leave that cell's thread to itself.
        case {"op": "abandon", "cell": int()}:
            return True
        # On `control`: the user's line, or null where the front-end has gone.
        case {"op": "input", "cell": int(), "value": str() | None}:
            return True
    return False


def _is_about_the_session(message: Message) -> bool:
    match message:
        # On `control`: the hello was right; work may begin. With `observe`, the session looks, and
        # runs no code of the user's.
        case {"op": "welcome"}:
            return isinstance(message.get("observe", False), bool)
        # On `control`: begin this subshell, or end it after the cell that it runs.
        case {"op": "subshell", "id": str(), "wanted": bool()}:
            return True
        # On `control`: send what cells have written so far.
        case {"op": "flush"}:
            return True
        # On `control`: a command has ended; minus the number of the signal that ended it. What
        # was captured, as pairs of stream and text.
        case {"op": "ran", "id": int(), "status": int(), "output": list(output)}:
            return all(map(_is_text_of_stream, output))
        # On `control`: directories, the modules that may be taken from there, and the kernel's
        # commands with their help.
        case {"op": "lent", "id": int(), "path": list(), "modules": list(), "commands": dict()}:
            return True
        # On `control`: a question that is answered while cells run. (Those of threads, a stack,
        # tasks, places and offers may have a `what`: which, in the user's words.)
        case {"op": "ask", "id": int(), "about": str(about)}:
            return about in QUESTIONS
        # On `control`: is there a front-end at all that is connected?
        case {"op": "audience", "present": bool()}:
            return True
        # On `control`: the answer to `there`.
        case {"op": "here"}:
            return True
        # On `control`: undo everything and leave.
        case {"op": "detach"}:
            return True
    return False


def _is_run(message: Message) -> bool:
    match message:
        case {
            "cell": int(),
            "code": str(),
            "count": int(),
            "silent": bool(),
            "expressions": dict(),
            "allow_input": bool(),
        }:
            texts = [message.get("source", ""), message.get("subshell", "")]
            is_known = isinstance(message.get("parent", {}), dict)
            is_known = is_known and _is_action(message.get("action"))
            is_known = is_known and _is_place(message.get("place"))
            return is_known and _are_texts(texts) and are_limits(message.get("limits", {}))
    return False


def _is_action(action: object) -> bool:
    """None, where there is code to be run."""
    match action:
        case None:
            return True
        # `how`: frame, up, down, thread, task or module; `what`: which, in the user's words.
        case {"name": "bind", "how": str(), "what": str()}:
            return True
        case {"name": str(name)}:
            return name in ACTIONS and name != "bind"
    return False


def _is_place(place: object) -> bool:
    """None for the agent's own thread; `at_most`: seconds for which it may be held at a time."""
    match place:
        case None:
            return True
        case {"kind": "main" | "loop"} | {"kind": "thread", "thread": str()}:
            return isinstance(place, dict) and isinstance(place.get("at_most", 1.0), int | float)
    return False


def _is_comm(message: Message) -> bool:
    match message:
        case {
            "cell": int(),
            "subshell": str(),
            "kind": "comm_open" | "comm_msg" | "comm_close" as kind,
            "content": {"comm_id": str()} as content,
            "metadata": dict(),
            "buffers": list(buffers),
            "parent": dict(),
            "meanwhile": bool(),
        }:
            is_whole = kind != "comm_open" or isinstance(content.get("target_name"), str)
            return is_whole and _are_buffers(buffers)
    return False


def _is_event(event: object) -> bool:
    match event:
        case {"event": "stream", "name": "stdout" | "stderr", "text": str()}:
            return True
        case {"event": "display", "data": dict(), "metadata": dict(), "transient": dict()}:
            return True
        case {"event": "update", "data": dict(), "metadata": dict(), "transient": dict()}:
            return True
        case {"event": "result", "data": dict(), "metadata": dict()}:
            return True
        case {"event": "clear", "wait": bool()}:
            return True
        case {"event": "error", "error": dict(error)}:
            return is_error(error)
        case {
            "event": "comm",
            "kind": "comm_open" | "comm_msg" | "comm_close",
            "content": {"comm_id": str()},
            "metadata": dict(),
            "buffers": list(buffers),
        }:
            return _are_buffers(buffers)
        # For the front-end's pager, from this line on; and for its next input cell.
        case {"event": "page", "data": dict(), "start": int()}:
            return True
        case {"event": "next_input", "text": str(), "replace": bool()}:
            return True
    return False


def _are_texts(values: object) -> bool:
    return isinstance(values, str) or (
        isinstance(values, list) and all(isinstance(value, str) for value in values)
    )


def _are_buffers(values: list[object]) -> bool:
    """Bytes; a frame has no place for those of no length, which come as empty text."""
    return all(isinstance(value, bytes | memoryview) or value == "" for value in values)


def _is_text_of_stream(pair: object) -> bool:
    match pair:
        case ["stdout" | "stderr", str()]:
            return True
    return False


def _is_outcome(done: object) -> bool:
    match done:
        case {"status": "ok", "expressions": dict()}:
            return True
        case {"status": "error", "error": dict(error)}:
            return is_error(error)
    return False


def is_error(error: object) -> bool:
    """Is this an exception as Jupyter messages carry it?"""
    match error:
        case {"ename": str(), "evalue": str(), "traceback": list(lines)}:
            return all(isinstance(line, str) for line in lines)
    return False


def _is_binding(binding: object) -> bool:
    match binding:
        case {"place": str(), "file": str(), "line": int()}:
            return True
    return False
