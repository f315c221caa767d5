"""One local kernel: a stock ipykernel beside the launcher, its process and its channels.

Runs on the launcher's reactor. The channels are sockets in a private directory,
which is removed as soon as both ends are connected: nobody else finds this
kernel, and nothing is left if the launcher is killed. Descriptors go over a pair
of sockets of their own (`beside/bridge.py`).
Rule: nothing here waits, but for `close`; the kernel ends with the launcher.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import zmq

from ..attach.ending import describe_status
from ..attach.landing import CONNECTION, IPYTHON, PrivateDirectory
from .arrivals import has_more
from .ipython_profile import ipython_directory
from .log import log
from .ownership import is_place_of_ours
from .reactor import Reactor
from .wire import Codec, Content, Request, WireError

_CHANNELS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}
_PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}

_NUDGE_EVERY = 0.1
"""Seconds between two requests that find out whether it is ready."""

_LOOK_EVERY = 0.05
"""Seconds between looks at a process whose end no descriptor tells."""

_RETIRES_WITHIN = 5.0
"""Seconds that it has to end, once it was told to."""

_AT_ONCE = 100
"""Messages taken in before others get their turn."""

OnMessage = Callable[[str, Request], None]


class LocalKernel:
    """A kernel, started at once.

    `on_ready()` is called when it answers, then `on_message(channel, message)` for
    all that it says; `on_end(how)` once, with words such as "was killed by SIGKILL".
    Raises OSError where it can't be started.
    """

    def __init__(
        self,
        reactor: Reactor,
        on_ready: Callable[[], None],
        on_message: OnMessage,
        on_end: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._on_ready, self._on_message, self._on_end = on_ready, on_message, on_end
        self.is_ready = self._has_ended = False
        self._nudges: set[str] = set()
        self._has_answered = self._has_published = False
        self._unconnected = {"control", "stdin"}
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._end: int | None = None
        key = secrets.token_hex(32)
        self._codec = Codec(key.encode())
        self._directory = PrivateDirectory(os.geteuid(), os.getegid())
        self._place = self._directory.path
        self._context = zmq.Context()
        self._parcels, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._parcels.setblocking(False)
        try:
            self._child = self._start(key, theirs)
            self._sockets.update((name, self._connect(name)) for name in _CHANNELS)
        except BaseException:
            self._leave()
            raise
        finally:
            theirs.close()
        self._watch()
        self._nudge()

    @property
    def pid(self) -> int:
        return self._child.pid

    # -- beginning ----------------------------------------------------------------------

    def _start(self, key: str, parcels: socket.socket) -> subprocess.Popen[bytes]:
        """In a session of its own, like any kernel: an interrupt reaches what it has started."""
        command = [
            sys.executable, "-P", "-m", "live_kernel.beside", str(parcels.fileno()),
            "-f", self._write_connection_file(key),
            "--HistoryManager.enabled=False",  # the launcher keeps the history of all cells
        ]  # fmt: skip
        environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
        with contextlib.suppress(RuntimeError):  # this user has no home
            if not is_place_of_ours(ipython_directory()):  # of which it would run files
                environment["IPYTHONDIR"] = str(self._place / IPYTHON)
        if not is_place_of_ours(Path().absolute()):
            command.append("--InteractiveShellApp.ignore_cwd=True")
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=[parcels.fileno()],
            start_new_session=True,
        )

    def _write_connection_file(self, key: str) -> str:
        """Make the file that Jupyter's kernels are told their channels by. Returns its path."""
        path = self._place / CONNECTION
        ports = {f"{name}_port": port for name, port in _PORTS.items()}
        content = {
            "transport": "ipc",
            "ip": str(self._place / "channel"),
            "signature_scheme": "hmac-sha256",
            "key": key,
            "kernel_name": "local",
            **ports,
        }
        path.touch(0o600, exist_ok=False)
        path.write_text(json.dumps(content))
        return str(path)

    def _connect(self, name: str) -> zmq.Socket[bytes]:
        channel: zmq.Socket[bytes] = self._context.socket(_CHANNELS[name])
        channel.linger = 0
        channel.reconnect_ivl = 10  # ms: until it has bound its end
        if name == "iopub":
            channel.subscribe(b"")
        else:  # it asks for input whoever sent the cell, by this name
            channel.identity = self._codec.session.encode()
        if name in self._unconnected:
            monitor = channel.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            self._reactor.read(monitor, lambda: self._on_connected(name))
        channel.connect(f"ipc://{self._place / 'channel'}-{_PORTS[name]}")
        self._reactor.read(channel, lambda: self._receive(name))
        return channel

    def _on_connected(self, name: str) -> None:
        self._leave_monitor(name)
        self._be_ready_if_whole()

    def _leave_monitor(self, name: str) -> None:
        if name in self._unconnected:
            self._unconnected.discard(name)
            monitor = self._sockets[name].get_monitor_socket()
            self._reactor.forget(monitor)
            self._sockets[name].disable_monitor()
            monitor.close(0)

    def _nudge(self) -> None:
        """Ask until it has answered, and what it publishes is heard."""
        if not self._has_ended and not (self._has_answered and self._has_published):
            self._nudges.add(self.send("shell", "kernel_info_request", {}))
            self._reactor.later(_NUDGE_EVERY, self._nudge)

    def _be_ready_if_whole(self) -> None:
        """Ready means: all channels are connected, and so the way to them can go."""
        if self.is_ready or self._unconnected:
            return
        if self._has_answered and self._has_published:
            self.is_ready = True
            self._directory.close()
            self._on_ready()

    # -- messages -----------------------------------------------------------------------

    def send(
        self,
        channel: str,
        kind: str,
        content: Content,
        metadata: Content | None = None,
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send a request. Returns its id, which what it leads to has as parent."""
        header = self._codec.header(kind)
        message = self._codec.pack(header, content, None, metadata, buffers)
        with contextlib.suppress(zmq.Again):  # it does not read any more: its end will be told
            self._sockets[channel].send_multipart(message, zmq.NOBLOCK)
        return str(header["msg_id"])

    def _receive(self, name: str) -> None:
        for message in self._received(name):
            if message.parent.get("msg_id") not in self._nudges:
                self._on_message(name, message)
            elif name == "iopub":
                self._has_published = True
            else:
                self._has_answered = True
            self._be_ready_if_whole()

    def _received(self, name: str) -> Iterator[Request]:
        for _ in range(_AT_ONCE):
            if self._has_ended or not has_more(self._sockets[name]):
                return
            try:
                yield self._codec.unpack(self._sockets[name].recv_multipart(zmq.NOBLOCK))
            except WireError as error:
                log(f"ignored of the local kernel: {error}")

    def hold(self, hold: bool) -> None:
        """Take no more of its output for now (or do again): its cell waits then."""
        channel = self._sockets.get("iopub")
        if channel is None or self._has_ended:
            return
        if hold:
            self._reactor.forget(channel)
        else:
            self._reactor.read(channel, lambda: self._receive("iopub"))

    # -- descriptors --------------------------------------------------------------------

    def hand_over(self, number: int, descriptor: int) -> None:
        """Give it a descriptor, which it will know by this number."""
        socket.send_fds(self._parcels, [number.to_bytes(8, "big")], [descriptor])

    def take_over(self, number: int) -> int | None:
        """The descriptor that it has sent by this number, if it has; the caller closes it."""
        with contextlib.suppress(OSError):
            while True:
                word, descriptors, *_ = socket.recv_fds(self._parcels, 8, 1)
                if int.from_bytes(word, "big") == number and descriptors:
                    return descriptors[0]
                if not word:
                    break
                for descriptor in descriptors:
                    os.close(descriptor)
        return None

    # -- end ----------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C, for it and what it has started."""
        self._signal(signal.SIGINT)

    def _signal(self, number: int) -> None:
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def _watch(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self._end = os.pidfd_open(self._child.pid)
        if self._end is None:
            self.look()
        else:
            self._reactor.read(self._end, self.look)

    def look(self) -> None:
        """See whether it has ended; if so, this is told now."""
        if self._has_ended:
            return
        status = self._child.poll()
        if status is not None:
            for name in _CHANNELS:  # its last words
                self._receive(name)
            self._leave()
            self._on_end(describe_status(-status if status < 0 else status << 8))
        elif self._end is None:
            self._reactor.later(_LOOK_EVERY, self.look)

    def retire(self) -> None:
        """Have it end by itself, and wait for nothing. Nobody is told."""
        self._on_message, self._on_end = lambda _channel, _message: None, lambda _how: None
        self.send("control", "shutdown_request", {"restart": False})
        self._reactor.later(_RETIRES_WITHIN, lambda: self._signal(signal.SIGKILL))

    def close(self, within: float) -> None:
        """End it: in peace if it does so within so many seconds. Nobody is told."""
        if self._has_ended:
            return
        self.retire()
        self._reactor.run_until(lambda: self._has_ended, within)
        if not self._has_ended:
            self._signal(signal.SIGKILL)
            self._child.wait()
            self._leave()

    def _leave(self) -> None:
        """Let go of everything; the process has ended, or was never there."""
        self._has_ended = True
        for name, channel in self._sockets.items():
            self._leave_monitor(name)
            self._reactor.forget(channel)
            channel.close()
        if self._end is not None:
            self._reactor.forget(self._end)
            os.close(self._end)
        self._context.destroy(0)
        self._parcels.close()
        self._directory.close()
