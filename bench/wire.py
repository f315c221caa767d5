"""A Jupyter client at the wire: what a front-end sends and receives, and nothing around it.

Runs in the benchmark. Two ZMQ sockets, DEALER for shell and SUB for iopub;
requests are made and signed by `jupyter_client.session.Session`, as all
Python clients do it.
Rule: while the clock runs, only headers are looked at; what the messages
hold is parsed, and checked, when it has stopped. So a client's own pace, which
is the same for every kernel, is not in the figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import zmq
from jupyter_client.session import Session

_DELIMITER = b"<IDS|MSG>"
_RECONNECT = 2
"""Milliseconds between attempts to connect. ZMQ's own 100 would hide when a kernel was ready."""

type Content = dict[str, Any]


class Unanswered(Exception):
    """A kernel did not answer in time, or not with what was asked for."""


@dataclass
class Answer:
    """All that came back for one request.

    `seconds` lasted from before the request was signed until both the reply on
    shell and the status `idle` on iopub had arrived. `replied`: until the reply alone.
    """

    seconds: float = 0.0
    replied: float = 0.0
    reply: Content = field(default_factory=dict)
    outputs: list[tuple[str, Content]] = field(default_factory=list)

    def text(self) -> str:
        """What was written to stdout."""
        return "".join(content["text"] for kind, content in self.outputs if kind == "stream")

    def value(self, mime: str = "text/plain") -> Any:
        """The value of the cell's last expression."""
        for kind, content in self.outputs:
            if kind == "execute_result":
                return content["data"].get(mime)
        return None


class Client:
    """One front-end of one kernel, given by its connection file's contents."""

    def __init__(self, connection: Mapping[str, Any], pid: int = 0) -> None:
        """`pid`: the kernel's, where it is a process of its own."""
        self.pid = pid
        key = connection["key"]
        self._session = Session(key=key if isinstance(key, bytes) else key.encode())
        self._context = zmq.Context()
        self._shell = self._connect(zmq.DEALER, connection, "shell_port")
        self._iopub = self._connect(zmq.SUB, connection, "iopub_port")
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self._poller = zmq.Poller()
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._iopub, zmq.POLLIN)

    def _connect(self, kind: int, connection: Mapping[str, Any], port: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.linger = 0
        socket.set_hwm(0)
        socket.reconnect_ivl = _RECONNECT
        socket.connect(f"tcp://{connection['ip']}:{connection[port]}")
        return socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._shell.close()
        self._iopub.close()
        self._context.term()

    # -- asking -------------------------------------------------------------------------

    def await_ready(self, within: float = 60.0) -> None:
        """Ask for kernel_info until reply and idle both come: then iopub is subscribed to."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                self.ask("kernel_info_request", {}, within=0.5)
            except Unanswered:
                continue
            return
        raise Unanswered(f"the kernel was not ready within {within:.0f} s")

    def run(self, code: str, within: float = 60.0) -> Answer:
        """Run a cell as front-ends do. Raises Unanswered unless it succeeds."""
        answer = self.ask("execute_request", _execute(code), within)
        _check_succeeded(answer.reply, code)
        return answer

    def first_reply(self) -> None:
        """Run a cell and wait for the reply only: iopub may not be subscribed to as yet."""
        code = "6 * 7"
        _check_succeeded(self.first_answer("execute_request", _execute(code)), code)

    def first_answer(self, kind: str, content: Content, within: float = 60.0) -> Content:
        """The content of the reply to a request, whatever is published meanwhile."""
        request = self._send(kind, content)
        deadline = time.monotonic() + within
        while (rest := deadline - time.monotonic()) > 0:
            if self._shell.poll(int(rest * 1000)):
                frames = self._shell.recv_multipart()
                if _header(frames, parent=True).get("msg_id") == request:
                    return _content(frames)
        raise Unanswered(f"no answer to {kind} within {within:.0f} s")

    def ask(self, kind: str, content: Content, within: float = 60.0) -> Answer:
        """Send a request and take in everything until it has been dealt with."""
        begun = time.perf_counter()
        request = self._send(kind, content)
        answer = Answer()
        received: list[tuple[str, list[bytes]]] = []
        replied = idle = False
        while not (replied and idle):
            for source in self._ready(begun + within - time.perf_counter(), kind):
                frames = source.recv_multipart()
                now = time.perf_counter() - begun
                if _header(frames, parent=True).get("msg_id") != request:
                    continue
                if source is self._shell:
                    replied, answer.replied = True, now
                    received.append(("reply", frames))
                else:
                    name = _header(frames)["msg_type"]
                    received.append((name, frames))
                    idle = idle or (name == "status" and b'"idle"' in frames[-1])
                answer.seconds = now
        return _parsed(answer, received)

    def _ready(self, rest: float, kind: str) -> list[zmq.Socket[bytes]]:
        ready = self._poller.poll(int(max(rest, 0) * 1000))
        if not ready:
            raise Unanswered(f"no answer to {kind} in time")
        return [source for source, _ in ready]

    def _send(self, kind: str, content: Content) -> str:
        message = self._session.msg(kind, content)
        self._shell.send_multipart(self._session.serialize(message))
        return str(message["header"]["msg_id"])


def _execute(code: str) -> Content:
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }


def _header(frames: list[bytes], parent: bool = False) -> Content:
    start = frames.index(_DELIMITER)
    header: Content = json.loads(frames[start + (3 if parent else 2)])
    return header


def _content(frames: list[bytes]) -> Content:
    content: Content = json.loads(frames[frames.index(_DELIMITER) + 5])
    return content


def _parsed(answer: Answer, received: list[tuple[str, list[bytes]]]) -> Answer:
    for name, frames in received:
        if name == "reply":
            answer.reply = _content(frames)
        else:
            answer.outputs.append((name, _content(frames)))
    return answer


def _check_succeeded(reply: Content, code: str) -> None:
    if reply.get("status") != "ok":
        raise Unanswered(f"{code[:40]!r} failed: {reply.get('ename')}: {reply.get('evalue')}")
