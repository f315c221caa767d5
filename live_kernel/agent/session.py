"""One attachment, seen from inside the target.

Two threads: `control` (begun by the bootstrap) reads the control channel,
answers what must be answered while a cell runs, and ends the session; `cells`
reads the cells channel and runs them. Each reads its own socket and no other.
Rule: the session ends with its launcher. When the control channel closes,
whatever the reason, the ledger is undone and both threads are gone.
"""

from __future__ import annotations

import _socket
import os
import sys
from time import monotonic

from ..link import frames, messages
from . import forks, native
from .cells import Cell, Cells
from .frames import default_binding
from .ledger import Ledger
from .namespace import Namespace
from .shell import Errands
from .stdin import Input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Message = dict[str, Any]

OWNER_WITHIN = 5.0
"""Seconds in which the launcher must welcome the agent; it leaves otherwise."""

_sessions: set[Session] = set()
"""The sessions of this process: see `forks.py`."""


class Channel:
    """One of the link's two connections: read by one thread, written to by any."""

    def __init__(self, name: str, path: str, token: str) -> None:
        self._send_lock = native.Lock()
        self._decoder = frames.Decoder()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(OWNER_WITHIN)
        try:
            self._socket.connect(path)
            self._check_owner()
            self.send(
                {
                    "op": "hello",
                    "protocol": messages.PROTOCOL,
                    "token": token,
                    "channel": name,
                    "pid": os.getpid(),
                }
            )
        except BaseException:
            self.close()
            raise

    def _check_owner(self) -> None:
        """The launcher is root's or our own user's; anyone else has no business here."""
        if not hasattr(_socket, "SO_PEERCRED"):
            return
        raw = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        owner = int.from_bytes(raw[4:8], sys.byteorder)
        if owner not in (0, os.geteuid()):
            raise PermissionError(f"the launcher's side of the link belongs to uid {owner}")

    def wait_without_limit(self) -> None:
        self._socket.settimeout(None)

    def send(self, message: Message) -> None:
        """Send one message; blocks while the launcher is slow. Raises OSError once it is gone."""
        pieces = frames.encode(message)
        with self._send_lock:
            for piece in pieces:
                self._socket.sendall(piece)

    def send_or_drop(self, message: Message) -> None:
        """Send one message if that takes no waiting. Raises OSError where it would."""
        self._socket.settimeout(0)
        self._socket.sendall(b"".join(frames.encode(message)))

    def received(self) -> Iterator[Message]:
        """Each message that a launcher may send, until the channel closes."""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            for message in self._decoder.feed(data):
                if messages.from_launcher(message):
                    yield message

    def shut(self) -> None:
        """End the connection for both sides, and wake the thread that reads it."""
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        self._socket.close()


class Session:
    """The agent of one launcher. `serve` runs it to its end, on the calling thread."""

    def __init__(self, place: str, token: str) -> None:
        path = place + "/link"
        self._ledger = Ledger()
        self._control = Channel("control", path, token)
        self._ledger.record("the link's control channel", self._say_goodbye)
        self._await_welcome()
        self._cells_channel = self._second_channel(path, token)
        self._ledger.record("the link's cells channel", self._cells_channel.close)
        self._begun = monotonic()
        self._namespace = Namespace(default_binding(), {})
        self._ledger.record("the scratch namespace", self._namespace.release)
        mark = f" #{len(_sessions) + 1}" if _sessions else ""
        self._errands = Errands(self._cells_channel.send)
        self._cells = Cells(self._namespace, self._ledger, mark, self._errands)
        self._input = Input(self._control.send)
        self._running: Cell | None = None
        self._cells_ended = native.Signal()
        self._is_closing = False
        self.pid = os.getpid()

    def _second_channel(self, path: str, token: str) -> Channel:
        try:
            return Channel("cells", path, token)
        except BaseException:
            self._ledger.close()
            raise

    def _await_welcome(self) -> None:
        try:
            for message in self._control.received():
                if message["op"] == "welcome":
                    self._control.wait_without_limit()
                    return
            raise ConnectionError("the launcher left before it said welcome")
        except BaseException:
            self._ledger.close()
            raise

    def serve(self) -> None:
        """Answer the launcher until it lets go or is gone; then undo everything."""
        _sessions.add(self)
        try:
            forks.watch(self, self._ledger)
            self._cells_channel.wait_without_limit()
            native.start(self._cells_loop, name="live-kernel")
            self._control.send({"op": "ready", **self._description()})
            self._control_loop()
        finally:
            self._close()

    # -- the control channel ------------------------------------------------------------

    def _control_loop(self) -> None:
        for message in self._control.received():
            if message["op"] == "detach":
                return
            getattr(self, f"_on_{message['op']}")(message)

    def _on_welcome(self, message: Message) -> None:
        """Said once more: nothing to do."""

    def _on_run(self, message: Message) -> None:
        """Belongs on the other channel: ignored."""

    def _on_interrupt(self, message: Message) -> None:
        cell = self._running
        if cell is not None and cell.number == message["cell"]:
            cell.interrupt()
            self._input.cancel()
            self._errands.cancel()

    def _on_abandon(self, message: Message) -> None:
        """The cell's thread is stuck outside Python: leave it to itself, go on with a new one."""
        cell = self._running
        if cell is not None and cell.number == message["cell"]:
            if cell.interruption.was_caught:
                self._control.send({"op": "notice", "text": _CAUGHT})
                return
            self._running = None
            self._cells.leave_thread()
            cell.output.finish(_abandoned())
            cell.output.close()
            native.start(self._cells_loop, name="live-kernel")

    def _on_flush(self, message: Message) -> None:
        cell = self._running
        if cell is not None:
            cell.output.flush_unless_busy()

    def _on_input(self, message: Message) -> None:
        self._input.reply(message["value"])

    def _on_ran(self, message: Message) -> None:
        self._errands.reply(message)

    def _on_lent(self, message: Message) -> None:
        self._errands.reply(message)

    def _on_ask(self, message: Message) -> None:
        try:
            answer = getattr(self, f"_answer_{message['about']}")(message)
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        self._control.send({"op": "answer", "id": message["id"], "answer": answer})

    def _answer_complete(self, message: Message) -> Message:
        from .completion import complete

        code, cursor = str(message["code"]), int(message["cursor"])
        return complete(code, cursor, self._namespace, self._cells.magics())

    def _answer_inspect(self, message: Message) -> Message:
        from .inspection import inspect

        code, cursor, detail = str(message["code"]), int(message["cursor"]), int(message["detail"])
        return inspect(code, cursor, detail, self._namespace)

    def _answer_status(self, message: Message) -> Message:
        return self._description() | {
            "attached": monotonic() - self._begun,
            "running": self._running is not None,
            "changes": self._ledger.standing(),
            "sessions": len(_sessions),
        }

    def _description(self) -> Message:
        binding = self._namespace.binding
        return {"python": sys.version.split()[0], "binding": binding.as_message()}

    # -- the cells channel --------------------------------------------------------------

    def _cells_loop(self) -> None:
        try:
            for message in self._cells_channel.received():
                if message["op"] == "run" and not self._run(message):
                    return
        except BaseException as error:
            del error  # nothing may reach the program's stderr; the session ends
        if os.getpid() != self.pid:
            os._exit(0)  # a cell forked, and this is the child, back from its cell
        self._cells_ended.set()
        self._end_from_here()

    def _run(self, message: Message) -> bool:
        """Run one cell. Returns whether this thread is still the one that runs cells."""
        self._find_binding()
        cell = Cell(message, self._deliverer(message["cell"]), self._input.ask)
        self._running = cell
        self._cells.run(cell)
        if self._running is not cell:
            return False
        self._running = None
        return True

    def _deliverer(self, number: int) -> Any:
        def deliver(events: list[Message], done: Message | None) -> None:
            message = {"op": "cell", "cell": number, "events": events, "done": done}
            try:
                self._cells_channel.send(message)
            except OSError:
                self._end_from_here()
                raise

        return deliver

    def _end_from_here(self) -> None:
        """The cells channel has broken: end the session by way of the other one."""
        if not self._is_closing:
            self._control.shut()

    def _find_binding(self) -> None:
        """Find the bound frame anew; where its function has returned, say so and bind anew."""
        binding = self._namespace.binding
        if binding.is_gone():
            self._namespace.bind(default_binding())
            _, name, line = binding.function or ("", "?", 0)
            text = (
                f"{name}() ({os.path.basename(binding.file)}:{line}) has returned; cells now "
                f"see {self._namespace.binding.describe()}"
            )
            self._control.send({"op": "notice", "text": text})

    # -- the end ------------------------------------------------------------------------

    def _close(self) -> None:
        """Undo everything, say goodbye, and let go of the sockets."""
        self._is_closing = True
        cell = self._running
        try:
            self._stop(cell)
        finally:
            self._ledger.close()
            _sessions.discard(self)
        self._insist(cell)

    def _stop(self, cell: Cell | None) -> None:
        """End the cell that runs, and the thread that runs it."""
        if cell is not None:
            cell.output.close()
            cell.interrupt()
        self._input.cancel()
        self._errands.cancel()
        self._cells_channel.shut()
        in_loop = None if cell is None else cell.in_loop
        if not self._cells_ended.wait(0.5) and in_loop is not None:
            in_loop.give_up()
        # A thread that is stuck in its cell outside Python ends when the cell does.

    def _insist(self, cell: Cell | None) -> None:
        """Interrupt a cell that catches its interrupts, and goes on, some more times."""
        for _ in range(50):
            if cell is None or self._cells_ended.wait(0.2) or not cell.interruption.was_caught:
                return
            cell.interrupt()

    def _say_goodbye(self) -> None:
        """The last entry of the ledger: tell the launcher how the undoing went, and hang up."""
        try:
            detail = "; ".join(self._ledger.failures)
            self._control.send({"op": "bye", "reason": "detached", "detail": detail})
        except OSError:
            pass  # the launcher is gone, which is why we leave
        self._control.shut()
        self._control.close()

    def exiting(self) -> None:
        """The interpreter exits: give back what outlives us, tell the launcher, delay nothing."""
        try:
            self._control.send_or_drop({"op": "bye", "reason": "exit", "detail": ""})
        except (OSError, ValueError):
            pass  # it will notice by itself

    def forked(self) -> None:
        """In a forked child: let go of the parent's connections without a word on them."""
        self._control.close()
        self._cells_channel.close()
        self._cells.forked()
        _sessions.discard(self)


_CAUGHT = "The cell has caught the interrupt and goes on. Interrupt it again to stop it."


def _abandoned() -> Message:
    text = (
        "The cell did not stop: its thread is in a call that Python can't interrupt. The kernel "
        "has left it to itself and goes on with a new thread; the call may still have its effect."
    )
    error = {"ename": "KeyboardInterrupt", "evalue": text, "traceback": [text]}
    return {"status": "error", "error": error}


def begin(place: str, token: str) -> Callable[[], None]:
    """Meet the launcher. Returns what then runs the session to its end and raises nothing.

    Raises OSError, or whatever else is in the way, while the launcher can still be told.
    """
    session = Session(place, token)

    def run() -> None:
        try:
            session.serve()
        except BaseException as error:
            del error  # nothing may reach the program's stderr; the launcher sees the link close

    return run
