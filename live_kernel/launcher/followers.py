"""Those who follow this kernel: its owner, or root, sees elsewhere what its front-ends see.

Runs on the launcher's reactor. A follower connects to a socket that has no name any more: it is
reached through the launcher's descriptors in /proc, which the system shows to the kernel's user
and to root alone, and nothing is left of it however the launcher ends. The system also says who
has connected. A follower is sent lines of JSON; it has no key of Jupyter's, and needs none.
Rule: nothing that a follower sends is read as anything but the end of it, and none is ever
waited for: who does not keep up is let go. What is told costs nothing while nobody follows.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from ..attach import landing, peer
from ..attach.processes import Process
from . import recording
from .clock import stamp
from .frontend import Frontend
from .log import log
from .on_record import as_text
from .reactor import Reactor
from .wire import Content

ADMITTED_AFTER = 0.2
"""Seconds after which who has connected counts as a follower: who only looks which kernels there
are has gone by then, and has been told nothing of what they do."""

MOST = 16
"""Followers at a time."""

BEHIND = 4_000_000
"""Bytes that may wait for one follower."""

_LONGEST = 100_000
"""Characters of one output that followers are shown."""

_SEND_AFTER, _TRY_AGAIN_AFTER = 0.005, 0.05

_OUTPUTS = {
    "stream": "stream",
    "execute_result": "result",
    "display_data": "display",
    "update_display_data": "update",
    "error": "error",
}


class Follower:
    """One that is connected. `is_admitted`: it is told what goes on."""

    def __init__(self, connection: socket.socket, pid: int, uid: int) -> None:
        self.connection, self.pid, self.uid = connection, pid, uid
        self.is_admitted = False
        self.waiting = bytearray()
        self._name = recording.name_of(uid)
        login = recording.login_of(pid)
        if login not in (None, uid):
            self._name += f", logged in as {recording.name_of(login)}"

    def __str__(self) -> str:
        return f"{self._name} (pid {self.pid})"


class Followers:
    """Whoever follows one kernel.

    `about()`: what the kernel says of itself to who connects. `running()`: the cells that run, as
    pairs of their request's header and of what `execute_input` has told. `tell(text)` reaches the
    kernel's user; `note(event, **fields)` the journal.
    """

    def __init__(
        self,
        reactor: Reactor,
        about: Callable[[], Content],
        running: Callable[[], list[tuple[Content, Content]]],
        tell: Callable[[str], object],
        note: Callable[..., object],
    ) -> None:
        self._reactor, self._about, self._running = reactor, about, running
        self._tell, self._note = tell, note
        self._frontend: Frontend | None = None
        self._descriptor = -1
        self._listener: socket.socket | None = None
        self._all: list[Follower] = []
        self._is_due = False

    # -- the socket ---------------------------------------------------------------------

    def open(self, frontend: Frontend) -> None:
        """Let followers come from now on; tell them what is published by this front-end.

        Where no socket can be made there are none, which the kernel's log says.
        """
        self._frontend = frontend
        try:
            self._listen()
        except OSError as error:
            self.close()
            log(f"nobody can follow this kernel: {error}")

    def _listen(self) -> None:
        """Make it where only we can, and take away its name: the descriptor leads there."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        directory = landing.private_directory(landing.FOLLOWED)
        path = directory / landing.SESSION
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen(MOST)  # before it can be found, or who comes at once is refused
            self._descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        finally:
            path.unlink(missing_ok=True)
            directory.rmdir()
        self._reactor.read(self._listener, self._accept)

    def close(self) -> None:
        """Tell all that the kernel ends, and close the socket."""
        self._say({"event": "end"})
        for follower in list(self._all):
            self._send(follower)
            self._forget(follower)
        if self._listener is not None:
            self._reactor.forget(self._listener)
            self._listener.close()
            self._listener = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # -- who ----------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Who follows, in words."""
        return [str(follower) for follower in self._all if follower.is_admitted]

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        pid, uid, _ = peer.of(connection)
        if uid not in (0, os.geteuid()) or len(self._all) >= MOST:
            connection.close()
            return
        connection.setblocking(False)
        follower = Follower(connection, pid, uid)
        self._all.append(follower)
        self._reactor.read(connection, lambda: self._on_readable(follower))
        about = {"event": "kernel", "followers": len(self.names), **self._about()}
        self._put(follower, _line(about))
        self._send(follower)
        self._reactor.later(ADMITTED_AFTER, lambda: self._admit(follower))

    def _on_readable(self, follower: Follower) -> None:
        """It has gone. Or it speaks, which is not for followers."""
        with contextlib.suppress(BlockingIOError):
            try:
                follower.connection.recv(1)
            except ConnectionError:
                pass
            self._let_go(follower)

    def _admit(self, follower: Follower) -> None:
        if follower not in self._all:
            return
        follower.is_admitted = True
        self._tell(f"Followed by {follower}, from now on. %status shows by whom.")
        self._note("follower", follower=_described(follower))
        if self._frontend is not None and self._on_published not in self._frontend.taps:
            self._frontend.taps.append(self._on_published)
        self._put(follower, _line({"event": "following"}))
        for parent, content in self._running():
            event = _event("execute_input", content, parent)
            self._put(follower, _line({**(event or {}), "runs": True}))
        self._send_soon()

    def _let_go(self, follower: Follower, why: str = "") -> None:
        if follower not in self._all:
            return
        self._forget(follower)
        if follower.is_admitted:
            self._tell(f"Followed no more by {follower}{f', who {why}' if why else ''}.")
            self._note("follower left", follower=_described(follower), why=why)

    def _forget(self, follower: Follower) -> None:
        self._all.remove(follower)
        self._reactor.forget(follower.connection)
        follower.connection.close()
        if self._frontend is not None and not self.names:
            others = [tap for tap in self._frontend.taps if tap != self._on_published]
            self._frontend.taps = others  # another list: the present one may just be gone through

    # -- what they are told -------------------------------------------------------------

    def _on_published(self, kind: str, content: Content, parent: Content | None) -> None:
        event = _event(kind, content, parent)
        if event is not None:
            self._say(event)

    def step(self, event: str, process: Process | None, fields: Content) -> None:
        """A step of the kernel's attachment."""
        if self._all:
            about = {} if process is None else {"target": str(process)}
            self._say({"event": event, **about, "why": str(fields.get("why", ""))})

    def _say(self, event: Content) -> None:
        followers = [follower for follower in self._all if follower.is_admitted]
        if not followers:
            return
        line = _line(event)
        for follower in followers:
            self._put(follower, line)
        self._send_soon()

    def _put(self, follower: Follower, line: bytes) -> None:
        follower.waiting += line
        if len(follower.waiting) > BEHIND:
            self._send(follower)
        if len(follower.waiting) > BEHIND:
            self._let_go(follower, "did not keep up")

    def _send_soon(self, after: float = _SEND_AFTER) -> None:
        if not self._is_due:
            self._is_due = True
            self._reactor.later(after, self._send_all)

    def _send_all(self) -> None:
        self._is_due = False
        for follower in list(self._all):
            self._send(follower)
        if any(follower.waiting for follower in self._all):
            self._send_soon(_TRY_AGAIN_AFTER)

    def _send(self, follower: Follower) -> None:
        """As much as it takes now."""
        try:
            while follower.waiting:
                del follower.waiting[: follower.connection.send(follower.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._let_go(follower)


def _described(follower: Follower) -> Content:
    return {"pid": follower.pid, "uid": follower.uid, "user": recording.name_of(follower.uid)}


def _line(event: Content) -> bytes:
    return json.dumps({"at": stamp(), **event}).encode() + b"\n"


def _event(kind: str, content: Content, parent: Content | None) -> Content | None:
    """What a published message becomes; None for what there is nothing to see of."""
    about = {"cell": str((parent or {}).get("msg_id", ""))}
    if kind in _OUTPUTS:
        text = as_text(kind, content)
        if kind != "stream":
            text = text.removesuffix("\n")
        event: dict[str, Any] = {"event": _OUTPUTS[kind], **about, "text": _cut(text)}
        if kind == "stream":
            event["name"] = content.get("name")
        elif kind != "error":
            event["count"] = content.get("execution_count")
            event["display"] = str((content.get("transient") or {}).get("display_id", ""))
        return event
    match kind:
        case "execute_input":
            count = content.get("execution_count")
            return {"event": "input", **about, "count": count, "code": _cut(str(content["code"]))}
        case "clear_output":
            return {"event": "clear", **about, "wait": bool(content.get("wait"))}
        case "input_request":
            return {"event": "asked", **about, "prompt": _cut(str(content.get("prompt", "")))}
        case "status" if content.get("execution_state") == "idle":
            is_cell = (parent or {}).get("msg_type") == "execute_request"
            return {"event": "idle", **about} if is_cell else None
    return None


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}\n… ({len(text) - _LONGEST} characters more)\n"
