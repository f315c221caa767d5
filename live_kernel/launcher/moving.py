"""Moving values between the target and the local kernel: what `%pull` and `%push` do.

Runs on the launcher's reactor, and only says who is to do what: a cell in the
target and a request to the local kernel pack and unpack, in files of memory
whose descriptors pass through here unread.
Rule: to unpickle is to run whatever code the sender likes. So what comes from a
target is unpickled only if the target may do all that we may (`attach/rights.py`): it
belongs to our own user, and is in no container or sandbox, which is there to keep it in;
from any other, plain data comes as JSON. What goes into a
target is unpickled with the target's rights, and whoever is attached to it runs
code in it anyway: that gives nobody anything, whatever our own rights are.
"""

from __future__ import annotations

import contextlib
import fcntl
import keyword
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from ..attach import peer, processes, rights
from ..attach.landing import Landing, for_process
from ..attach.payload import package_name
from ..attach.processes import Process
from ..errors import LiveKernelError, NotMoved, NotTrusted
from ..records import NamedTuple
from .execution import Done, Execution
from .local import BRIDGE, Local, error_of
from .outlet import error_in
from .target import CellRun, Target, Waiter
from .wire import Content

_SPARED = 1 << 26
"""Bytes of free memory that a move leaves alone."""


class Names(NamedTuple):
    """What is to be moved: names on one side (with dots, if need be) and on the other."""

    sources: list[str]
    names: list[str]

    def __str__(self) -> str:
        pairs = zip(self.sources, self.names, strict=True)
        return ", ".join(old if old == new else f"{old} as {new}" for old, new in pairs)


def parse(text: str, usage: str) -> Names:
    """`a`, `a as b`, `a b.c as d`. Raises NotMoved for anything else."""
    words = text.replace(",", " ").split()
    found = Names([], [])
    while words:
        source = name = words.pop(0)
        if words[:1] == ["as"]:
            name = words[1] if len(words) > 1 else ""
            del words[:2]
        for word in (source, name):
            if not all(map(_is_name, word.split("."))):
                raise NotMoved(f"{word!r} is not a name.", f"Usage: {usage}")
        found.sources.append(source)
        found.names.append(name)
    if not found.names:
        raise NotMoved("No name was given.", f"Usage: {usage}")
    return found


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


class Move:
    """One move on behalf of a cell; `done` is called once."""

    def __init__(
        self, target: Target, local: Local, execution: Execution, names: Names, done: Done
    ) -> None:
        self._target, self._local = target, local
        self._execution, self._names = execution, names
        self._done = done
        self._landing: Landing | None = None
        self._descriptor: int | None = None

    def _when_attached(self, go_on: Callable[[], None]) -> None:
        waiter = Waiter(self._guarded(go_on), self._finish, self._execution.note)
        self._target.wait(waiter)

    def _guarded(self, step: Callable[[], None]) -> Callable[[], None]:
        """A step whose failure ends the move."""

        def guarded() -> None:
            try:
                step()
            except LiveKernelError as error:
                self._finish(error)
            except OSError as error:
                self._finish(NotMoved(f"{self._names} can't be moved: {error}"))

        return guarded

    def _finish(self, error: LiveKernelError | Content | None) -> None:
        """Let go of everything, and tell how it went."""
        if self._landing is not None:
            self._local.reactor.forget(self._landing.listener)
            self._landing.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._landing = self._descriptor = None
        self._done(error)

    def _process(self) -> Process:
        """The target, as it is by now. Raises TargetNotFound."""
        assert self._target.process is not None
        return processes.now(self._target.process)

    def _land(self) -> Landing:
        """A place at which the target can reach us."""
        self._landing = for_process(self._process())
        return self._landing

    def _accept(self) -> socket.socket | None:
        """The target's connection, and nobody else's."""
        accepted = self._landing.accept() if self._landing is not None else None
        process = self._target.process
        if accepted is None or process is None:
            return None
        connection, peer = accepted
        if peer != process.pid:
            connection.close()
            return None
        return connection

    def _run_in_target(self, code: str, then: Callable[[], None]) -> None:
        """Run a cell; it has failed if the target says so, or is lost."""

        def produced(events: list[Content]) -> None:
            for event in events:
                self._execution.show(event)

        def ended(outcome: Content) -> None:
            if outcome["status"] == "ok":
                self._guarded(then)()
            else:
                self._finish(_brief(error_in(outcome)))

        request = {
            "code": code,
            "source": self._execution.code,
            "count": self._execution.count,
            "silent": self._execution.silent,
            "expressions": {},
            "allow_input": False,
            "subshell": self._execution.request.subshell,
            "parent": self._execution.request.header,
        }
        self._target.run(request, CellRun(produced, ended, self._finish))

    def _evaluate(self, call: str, then: Callable[[], None]) -> None:
        """Call a function in the local kernel."""

        def answered(answer: Content) -> None:
            error = error_of(answer)
            if error is None:
                self._guarded(then)()
            else:
                self._finish(_brief(error))

        self._local.evaluate(f"{BRIDGE}.{call}", self._execution, answered)

    def _say(self, verb: str, size: int) -> None:
        self._execution.print(f"{verb} {self._names} ({_amount(size)}).")


class Pull(Move):
    """From the target to the local kernel; as JSON if `plain`."""

    def begin(self, plain: bool) -> None:
        self._plain = plain
        self._when_attached(self._pack)

    def _pack(self) -> None:
        process = self._process()
        if not self._plain:
            self._check_trust(process)
        place = str(self._land().path)
        names = self._names.sources
        values = "".join(f"{name}, " for name in names)
        self._largest = free_memory(process.pid)
        arguments = f"{place!r}, {names!r}, ({values}), {self._largest}, {self._plain}"
        self._run_in_target(f"{_agent()}.send({arguments})", self._take)

    def _check_trust(self, process: Process) -> None:
        """May what it says be unpickled? Raises NotTrusted."""
        plain = (
            f"%pull --json {self._names} brings plain data (numbers, texts, lists, dictionaries). "
            "For all else, run the kernel"
        )
        lesser = rights.lesser(process)
        if process.has_other_files:
            raise NotTrusted(
                f"{process} sees other files than this kernel, as in a container, and to unpickle "
                "what it says would let it run any code outside.",
                f"{plain} in there.",
            )
        if lesser.startswith("belongs to "):
            raise NotTrusted(
                f"{process} {lesser}, and to unpickle what it says would let "
                "that user run any code with the rights of this kernel.",
                f"{plain} as {lesser.removeprefix('belongs to ')}.",
            )
        if lesser:
            raise NotTrusted(
                f"{process} {lesser}, and to unpickle what it says would let it run any code "
                "without that bound.",
                f"{plain} where the program runs, with its rights.",
            )

    def _take(self) -> None:
        """The target has connected and sent its descriptor before it said that it is done."""
        connection = self._accept()
        if connection is None:
            raise NotMoved(f"{self._target.process} has sent nothing.")
        with connection:
            connection.setblocking(False)
            _, descriptors, *_ = socket.recv_fds(connection, 1, 1, socket.MSG_CMSG_CLOEXEC)
            if not descriptors:
                raise NotMoved(f"{self._target.process} has sent nothing.")
            self._descriptor = descriptors[0]
            if not is_parcel(self._descriptor, self._largest):
                raise NotMoved(f"{self._target.process} has sent something else than a value.")
            if not self._plain:
                self._check_trust_again(connection)
        self._local.when_ready(self._guarded(self._unpack), self._finish)

    def _check_trust_again(self, connection: socket.socket) -> None:
        """It may have given up rights meanwhile. Raises NotTrusted."""
        process = self._target.process
        assert process is not None
        if peer.of(connection).uid != os.geteuid():
            raise NotTrusted(f"{process} has become another user's.")
        self._check_trust(process)

    def _unpack(self) -> None:
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        number = self._local.hand_over(self._descriptor)
        sources, names = self._names
        arguments = f"{number}, {sources!r}, {names!r}, {size if self._plain else None}"
        self._evaluate(f"unpack({arguments})", lambda: self._tell(size))

    def _tell(self, size: int) -> None:
        self._say("Pulled", size)
        self._finish(None)


class Push(Move):
    """From the local kernel to the target."""

    def begin(self) -> None:
        if not self._local.is_there:
            raise NotMoved("There is no local kernel yet.", "A %%local cell starts it.")
        self._when_attached(lambda: self._local.when_ready(self._guarded(self._pack), self._finish))

    def _pack(self) -> None:
        number = self._local.next_number()
        arguments = f"{number}, {self._names.sources!r}, {free_memory(os.getpid())}"
        self._evaluate(f"pack({arguments})", lambda: self._take(number))

    def _take(self, number: int) -> None:
        self._descriptor = self._local.take_over(number)
        if self._descriptor is None:
            raise NotMoved("The local kernel has sent nothing.")
        landing = self._land()
        self._local.reactor.read(landing.listener, self._on_connection)
        names = "".join(f"{name}, " for name in self._names.names)
        arguments = f"{str(landing.path)!r}, {self._names.sources!r}"
        self._run_in_target(f"{names}= {_agent()}.receive({arguments})", self._tell)

    def _on_connection(self) -> None:
        """The target asks for the descriptor."""
        connection = self._accept()
        if connection is not None and self._descriptor is not None:
            with connection, contextlib.suppress(OSError):
                # Its own way into the file, which can't change what the local kernel has.
                reader = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    socket.send_fds(connection, [b"\0"], [reader])
                finally:
                    os.close(reader)

    def _tell(self) -> None:
        assert self._descriptor is not None
        self._say("Pushed", os.fstat(self._descriptor).st_size)
        self._finish(None)


def _agent() -> str:
    """The agent's side of a move, as an expression in the target."""
    return f"__import__('{package_name()}.agent.moving', fromlist=['moving'])"


_SELF_EXPLAINING = {"PicklingError", "UnpicklingError", "MemoryError", "NameError"}


def _brief(error: Content) -> Content:
    """What our own side of a move has to say needs no traceback; where others fail, it stays."""
    if error["ename"] not in _SELF_EXPLAINING:
        return error
    line = f"\x1b[0;31m{error['ename']}\x1b[0m: {error['evalue']}"
    return error | {"traceback": [line]}


def is_parcel(descriptor: int, largest: int) -> bool:
    """Is this a file of memory of a size that we could bear, and no device without an end?"""
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)  # fails for all that is not memory
        return stat.S_ISREG(status.st_mode) and status.st_size <= largest
    return False


def free_memory(pid: int) -> int:
    """Bytes that this process may take, by the system's word and that of its cgroup."""
    text = Path("/proc/meminfo").read_text()
    free = [int(text.partition("MemAvailable:")[2].split()[0]) << 10]
    with contextlib.suppress(OSError, ValueError):
        group = Path(f"/proc/{pid}/cgroup").read_text().partition("0::/")[2].splitlines()[0]
        place = Path("/sys/fs/cgroup", group)
        limit = int((place / "memory.max").read_text())  # "max" is no number: no limit
        free.append(limit - int((place / "memory.current").read_text()))
    return max(min(free) - _SPARED, 0)


def _amount(size: int) -> str:
    """A size for people."""
    for unit, bytes_each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_each:
            return f"{size / bytes_each:.1f} {unit}"
    return f"{size} bytes"
