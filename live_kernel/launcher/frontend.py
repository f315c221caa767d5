"""The five Jupyter channels of one kernel.

Runs on the launcher's reactor. Owns the sockets named by the connection file
(tcp or ipc, HMAC, CURVE where the file holds keys). Rule: it knows messages,
not what they mean; `on_request` gets each valid one of shell and control.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import zmq

from . import exposure
from .arrivals import has_more
from .callers import Callers
from .listeners import Listeners
from .log import log
from .presence import Presence
from .reactor import Reactor, Timer
from .wire import Codec, Content, Frame, Request, WireError

_CHANNELS = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "hb": zmq.ROUTER,
}

_IOPUB_BACKLOG = 1000
"""Messages that wait for one slow front-end inside ZMQ before we notice."""

_LARGEST = {"shell": 1 << 30, "control": 1 << 30, "stdin": 1 << 30, "iopub": 1 << 16, "hb": 1 << 16}
"""Bytes of a frame, of whoever can connect; ZMQ hangs up on one who announces more."""

_COPIED = 1 << 16
"""Bytes of a message from which ZMQ is lent our buffers instead of being given copies."""

_AT_ONCE = 50
"""Requests that are taken from one channel before the other has its turn."""

_RETRY_EVERY = 0.02
_ASK_AFTER, _ASK_EVERY = 0.02, 0.05

_MOST_LENT = 1 << 26
"""Bytes of large messages that ZMQ may keep for front-ends which do not take them."""

_IOPUB_PATIENCE = 10.0
"""Seconds for which everybody waits for a front-end that takes nothing; then it loses messages."""


class Frontend:
    """All front-ends of this kernel, as one correspondent.

    `on_request(request)` is called for shell and control, `on_input(request)` for
    stdin, `on_congestion(is_congested)` when front-ends take messages more slowly
    than they are published, and when they have caught up. Raises OSError or
    ValueError for a connection file that can't be served.
    """

    def __init__(
        self,
        connection_file: Path,
        reactor: Reactor,
        on_request: Callable[[Request], None],
        on_input: Callable[[Request], None],
        on_congestion: Callable[[bool], None],
    ) -> None:
        self.connection = json.loads(connection_file.read_text())
        for warning in exposure.check(self.connection, connection_file):
            log(warning)
        scheme = self.connection.get("signature_scheme", "hmac-sha256")
        place = (self.connection["transport"], type(self.connection["ip"]))
        if place not in (("tcp", str), ("ipc", str)):
            raise ValueError("it names no address that could be served")
        self._codec = Codec(self.connection["key"].encode(), scheme)
        self._reactor = reactor
        self._on_request, self._on_input = on_request, on_input
        self._on_congestion = on_congestion
        self._context = zmq.Context()
        welcome = exposure.welcome(connection_file)
        self._callers = Callers(self._context, reactor, welcome)
        try:
            self._sockets = {name: self._bind(name) for name in _CHANNELS}
        except BaseException:
            self._stop_watching()
            self._context.destroy(linger=0)
            raise
        self._outbox: list[Callable[[], tuple[str, list[Frame]]]] = []
        self._held: deque[list[Frame]] = deque()
        self._lent: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._size_lent = 0
        self._retry: Timer | None = None
        self._held_for = 0.0
        self.taps: list[Callable[[str, Content, Content | None], object]] = []
        """Each is told of all that is published, and of questions as `input_request`: the type,
        the content and the header of the request to which it belongs."""
        self.on_posted: Callable[[], object] = lambda: None
        """Called when there is nothing left to be sent, each time before we wait."""
        self._is_impatient = False
        reactor.before_waiting(self.post)
        for name in ("shell", "control"):
            reactor.read(self._sockets[name], partial(self.take_in, name, _AT_ONCE))
        reactor.read(self._sockets["stdin"], self._receive_input)
        reactor.read(self._sockets["iopub"], self._receive_subscription)
        reactor.read(self._sockets["hb"], self._echo)

    def _stop_watching(self) -> None:
        """Close what sees who connects, as far as it was made."""
        for name in ("presence", "_listeners", "_callers"):
            if name in vars(self):
                vars(self)[name].close()

    def _bind(self, name: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(_CHANNELS[name])
        socket.linger = 500
        socket.maxmsgsize = _LARGEST[name]
        if _CHANNELS[name] == zmq.ROUTER:
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
            # Beyond a limit ZMQ would drop replies: those of a long queue that is aborted at once.
            # So there is none; whoever asked has set it, by the number of his requests.
            socket.sndhwm = 0
        if name == "stdin":
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a question may not get lost
        if name == "shell":
            self.presence = Presence(socket, self._reactor)
        if name == "iopub":
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
            socket.set_hwm(_IOPUB_BACKLOG)
            self._listeners = Listeners(socket, self._reactor)
        if self.connection["transport"] == "tcp":
            self._callers.watch(socket, self.connection[f"{name}_port"])
        umask = os.umask(0o177)  # for ipc: the socket is a file
        try:
            self._encrypt(socket)
            socket.bind(self._address(name))
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"{self._address(name)}: {error}") from None
        finally:
            os.umask(umask)
        return socket

    def _encrypt(self, socket: zmq.Socket[bytes]) -> None:
        """CURVE, where the connection file offers the server's pair of keys (RFC 26)."""
        public = self.connection.get("curve_publickey")
        secret = self.connection.get("curve_secretkey")
        if public and secret:
            socket.curve_server = True
            socket.curve_publickey = public.encode()
            socket.curve_secretkey = secret.encode()

    def _address(self, name: str) -> str:
        connection = self.connection
        separator = ":" if connection["transport"] == "tcp" else "-"
        port = connection[f"{name}_port"]
        return f"{connection['transport']}://{connection['ip']}{separator}{port}"

    # -- receiving ----------------------------------------------------------------------

    def take_in(self, name: str, most: int | None = None) -> None:
        """Hand over what has arrived on `shell` or `control` and was not read yet.

        At most so many: an interrupt on the other channel does not wait for a flood.
        """
        for request in islice(self._received(name), most):
            self._on_request(request)

    def _receive_input(self) -> None:
        for request in self._received("stdin"):
            self._on_input(request)

    def _received(self, name: str) -> Iterator[Request]:
        for first, frames in self._messages(name):
            try:
                request = self._codec.unpack(frames)
            except WireError as error:
                log(f"ignored on {name}: {error}")
                continue
            request.channel = name
            if name == "shell":
                request.peer = self.presence.peer(first)
            yield request

    def _messages(self, name: str) -> Iterator[tuple[zmq.Frame, list[bytes]]]:
        """What has arrived, and its first frame, which knows the connection."""
        socket = self._sockets[name]
        while has_more(socket):
            first = socket.recv(zmq.NOBLOCK, copy=False)
            rest = socket.recv_multipart() if socket.getsockopt(zmq.RCVMORE) else []
            yield first, [first.bytes, *rest]

    def _frames(self, name: str) -> Iterator[list[bytes]]:
        while has_more(self._sockets[name]):
            yield self._sockets[name].recv_multipart(zmq.NOBLOCK)

    def _receive_subscription(self) -> None:
        """Greet a new subscriber, as JEP 65 has it: it now misses nothing."""
        for frame in self._frames("iopub"):
            topic = frame[0]
            if topic[:1] == b"\x01":
                content = {"subscription": topic[1:].decode("utf-8", "replace")}
                self._publish([topic[1:], *self._codec.pack("iopub_welcome", content, None)])

    def _echo(self) -> None:
        for frames in self._frames("hb"):
            self._sockets["hb"].send_multipart(frames)

    # -- sending ------------------------------------------------------------------------

    def reply(self, request: Request, kind: str, content: Content) -> None:
        """Answer a request on the channel on which it came, and say when it was begun."""
        metadata = {"started": request.started}
        header = self._codec.header(kind)  # whose date is that of now

        def packed() -> tuple[str, list[Frame]]:
            message = self._codec.pack(header, content, request.header, metadata)
            return request.channel, [*request.identities, *message]

        self._outbox.append(packed)

    def ask(self, request: Request, prompt: str, password: bool, wanted: Callable[[], bool]) -> str:
        """Ask the front-end that sent `request`, and no other, for a line of input.

        Returns the id of the message, to which an answer refers. It leaves a little later, so
        that what was published before comes before; and again if the front-end's stdin channel
        is not there yet, which may come up after its shell. Nothing is asked that is not
        `wanted()` any more.
        """
        content = {"prompt": prompt, "password": password}
        header = self._codec.header("input_request")
        message = self._codec.pack(header, content, request.header)
        for tap in self.taps:
            tap("input_request", content, request.header)

        def try_to_ask() -> None:
            if not wanted():
                return
            try:
                _send(self._sockets["stdin"], [*request.identities, *message])
            except zmq.ZMQError as error:
                if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    raise
                self._reactor.later(_ASK_EVERY, try_to_ask)

        self._reactor.later(_ASK_AFTER, try_to_ask)
        return str(header["msg_id"])

    def publish(
        self,
        kind: str,
        content: Content,
        parent: Content | None,
        metadata: Content | None = None,
        buffers: Sequence[Frame] = (),
    ) -> None:
        """Tell all front-ends."""
        for tap in self.taps:
            tap(kind, content, parent)
        topic = f"kernel.{self._codec.session}.{kind}".encode()
        header = self._codec.header(kind)

        def packed() -> tuple[str, list[Frame]]:
            return "iopub", [topic, *self._codec.pack(header, content, parent, metadata, buffers)]

        self._outbox.append(packed)

    def status(self, state: str, parent: Content | None) -> None:
        """Publish `busy`, `idle` or `starting`."""
        self.publish("status", {"execution_state": state}, parent)

    def post(self) -> None:
        """Send what was said, in that order.

        Once the reactor has nothing else to do: the target is already at work then. And all
        of it is packed before the first is sent, which gives the processor to ZMQ's thread.
        """
        while self._outbox:
            said, self._outbox = self._outbox, []
            for channel, frames in [packed() for packed in said]:
                if channel == "iopub":
                    self._publish(frames)
                else:
                    with contextlib.suppress(zmq.Again):
                        _send(self._sockets[channel], frames)
        self.on_posted()

    def _publish(self, frames: list[Frame]) -> None:
        if self._held or not self._try_to_publish(frames):
            if not self._held:
                self._listeners.begin_to_watch()
                self._on_congestion(True)
            self._held.append(frames)
            self._retry_soon()

    def _try_to_publish(self, frames: list[Frame]) -> bool:
        size = sum(map(len, frames))
        if size < _COPIED:
            return self._send_to_all(frames)
        if self._still_lent() >= _MOST_LENT and not self._is_impatient:
            return False
        return self._lend_to_all(frames, size)

    def _send_to_all(self, frames: list[Frame]) -> bool:
        try:
            _send(self._sockets["iopub"], frames)
        except zmq.Again:
            return False
        return True

    def _lend_to_all(self, frames: list[Frame], size: int) -> bool:
        """Send what is too large to be copied; how much of that waits is limited by its size."""
        socket = self._sockets["iopub"]
        try:
            tracker = socket.send_multipart(frames, zmq.NOBLOCK, copy=False, track=True)
        except zmq.Again:
            return False
        assert tracker is not None
        self._lent.append((tracker, size))
        self._size_lent += size
        return True

    def _still_lent(self) -> int:
        """Bytes of large messages that have not left yet."""
        while self._lent and self._lent[0][0].done:
            self._size_lent -= self._lent.popleft()[1]
        return self._size_lent

    def _retry_soon(self) -> None:
        if self._retry is None:
            self._retry = self._reactor.later(_RETRY_EVERY, self._publish_held)

    def _publish_held(self) -> None:
        self._retry = None
        before = len(self._held)
        self._held_for += _RETRY_EVERY
        # Rather than for a slow one, nobody waits for one that is stopped.
        if self._listeners.hang_up(_IOPUB_PATIENCE):
            self._held_for = 0.0
        self._set_impatient(self._held_for > _IOPUB_PATIENCE)
        while self._held and self._try_to_publish(self._held[0]):
            self._held.popleft()
        if len(self._held) < before:
            self._held_for = 0.0
            self._set_impatient(False)
        if self._held:
            self._retry_soon()
        else:
            self._on_congestion(False)

    def _set_impatient(self, is_impatient: bool) -> None:
        """Whoever is slow loses messages, be it not known who that is."""
        if is_impatient is not self._is_impatient:
            self._is_impatient = is_impatient
            self._sockets["iopub"].setsockopt(zmq.XPUB_NODROP, int(not is_impatient))

    def stop_receiving(self) -> None:
        """Take no more requests: the kernel is leaving."""
        for name in ("shell", "control", "stdin"):
            self._reactor.forget(self._sockets[name])

    def close(self, linger: float) -> None:
        """Close the channels, giving what was sent so many seconds to leave."""
        self.post()
        self._stop_watching()
        for socket in self._sockets.values():
            self._reactor.forget(socket)
            socket.close(int(linger * 1000))
        self._context.term()


_AND_MORE, _AT_LAST = int(zmq.SNDMORE | zmq.NOBLOCK), int(zmq.NOBLOCK)


def _send(socket: zmq.Socket[bytes], frames: Sequence[Frame]) -> None:
    """As `send_multipart`, without waiting, in a third of its time. Raises zmq.Again.

    (That one joins flags, which are enums, for each frame; a cell sends thirty-five.)
    """
    for frame in frames[:-1]:
        socket.send(frame, _AND_MORE)
    socket.send(frames[-1], _AT_LAST)
