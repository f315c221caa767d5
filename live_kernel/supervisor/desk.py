"""The desk: a socket at which the supervisor is asked for its program.

Runs in the supervisor, on a thread of its own, and one for each who asks. The socket is made in a
directory that only our user can enter, and loses its name at once: it is reached through our
descriptors in /proc, and nothing is left of it however we end. Rule: the system says who asks;
all but our own user and root are turned away, and what is asked is valid (`orders.py`) or refused.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from ..attach import landing, orders, peer
from ..attach.orders import Message
from ..errors import LiveKernelError
from . import errands
from .program import Program

_MOST = 16
"""Who may ask at a time."""

_SAID_WITHIN = 3.0
_LONGEST_WAIT = 3600.0
"""Seconds."""


class Desk:
    """Answers for one program. Raises OSError where no socket can be made."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._places = threading.Semaphore(_MOST)
        self._asked = 0
        self._answered = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        directory = landing.private_directory(landing.SUPERVISED)
        path = directory / landing.SESSION
        try:
            self._listen(path)
        finally:
            path.unlink(missing_ok=True)
            directory.rmdir()

    def _listen(self, path: Path) -> None:
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._way_in = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        self._listener.listen(_MOST)

    def open(self) -> None:
        """Answer from now on, until the supervisor ends."""
        threading.Thread(target=self._serve_loop, name="desk", daemon=True).start()

    def close(self, within: float = 10.0) -> None:
        """Let those who have asked have their answers, which they get at once now."""
        with self._answered:
            self._answered.wait_for(lambda: not self._asked, within)

    def _serve_loop(self) -> None:
        while True:
            self._places.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError:
                self._places.release()
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_SAID_WITHIN)
                client = peer.of(connection)
                if client.uid in (0, os.geteuid()):
                    data = connection.recv(orders.LONGEST_REQUEST)
                    with self._counted():
                        self._send_reply(connection, data, client)
        finally:
            self._places.release()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Within, somebody waits for an answer."""
        with self._answered:
            self._asked += 1
        try:
            yield
        finally:
            with self._answered:
                self._asked -= 1
                self._answered.notify_all()

    def _send_reply(self, connection: socket.socket, data: bytes, client: peer.Peer) -> None:
        descriptors: list[int] = []
        try:
            reply = self._reply(data, client, descriptors)
            socket.send_fds(connection, [orders.packed(reply)], descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _reply(self, data: bytes, client: peer.Peer, descriptors: list[int]) -> Message:
        """`descriptors`: gets what is sent along."""
        try:
            request = orders.unpacked(data)
        except (ValueError, RecursionError):
            request = None
        if not orders.is_valid(request):
            return {"error": "That is nothing that a supervisor can be asked."}
        try:
            return self._do(request, client, descriptors)
        except LiveKernelError as error:
            return {"error": str(error), "remedy": error.remedy}
        except (OSError, ValueError, LookupError) as error:
            return {"error": f"The supervisor can't do that: {error}"}

    def _do(self, request: Message, client: peer.Peer, descriptors: list[int]) -> Message:
        """Raises what goes wrong."""
        asked = request["ask"]
        if asked == orders.ABOUT:
            return self._program.about()
        if asked in (orders.STOP, orders.RESTART):
            within = min(max(request["within"], 0.0), _LONGEST_WAIT)
            done = self._program.end(asked, request["kill"], within)
            return {"done": done, **self._program.about()}
        return self._run_errand(request, client, descriptors)

    def _run_errand(self, request: Message, client: peer.Peer, descriptors: list[int]) -> Message:
        """What is done in the program on behalf of others. Raises what goes wrong."""
        asked, pid, thread = request["ask"], request["pid"], request.get("thread", 0)
        errands.check_client(client)
        errands.check_ours(pid, request["started"])
        if asked == orders.MEMORY:
            descriptors.append(errands.memory(pid))
            return {}
        if asked == orders.WAIT:
            return {"text": errands.wait(pid, thread)}
        with self._program.reaping:  # its stops while it is traced are not the program's
            if asked == orders.NUDGE:
                return {"done": errands.nudge(pid, thread)}
            what = request["technique"], request["wait"]
            outcome, why = errands.wake_thread(pid, thread, *what)
        return {"outcome": outcome, "why": why}
