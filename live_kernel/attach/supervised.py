"""Programs that run under `live-kernel run`: found, named, and entered by way of their supervisors.

Runs in the launcher and the command line. A supervisor's command line says its name; it listens
on a socket that has no name any more, and is reached through the supervisor's descriptors in
/proc, which the system shows to its user and to root alone. Where only the ancestors of a
process may look into it (`kernel.yama.ptrace_scope=1`), the supervisor is one, and does it for us.
Rule: only supervisors of our own user are asked, the system says whose they are, and whoever does
not answer in time is not there.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

from ..errors import LiveKernelError, NoTarget
from ..plain import on_one_line
from ..records import NamedTuple
from . import landing, orders, peer, proc, processes, runtime
from .orders import Message
from .processes import Process

COMMAND = "supervise"
"""The first word of a supervisor's command line behind `-m live_kernel`."""

_ITS = re.compile(rb"\0-m\0live_kernel\0" + COMMAND.encode() + rb"\0--name\0([^\0]+)\0")
_SOCKET = re.compile(rf"/{landing.SUPERVISED}[0-9a-f]{{12}}/{landing.SESSION}( \(deleted\))?$")
NAME = re.compile(r"(?=.*[A-Za-z_])[\w.-]{1,60}", re.ASCII)
"""What a program can be called. Not a number: that would be a pid."""

_ANSWERED_WITHIN = 3.0
"""Seconds."""


class Supervisor(NamedTuple):
    """One that runs: its pid, the name of its program."""

    pid: int
    name: str

    def ask(self, request: Message, within: float = _ANSWERED_WITHIN) -> Message:
        """Its reply. Raises OSError where none comes, LiveKernelError where it says no."""
        reply, descriptor = self._ask(request, within)
        if descriptor is not None:
            os.close(descriptor)
        return reply

    def lend(self, request: Message) -> int:
        """The descriptor that it sends. Raises OSError, LiveKernelError."""
        _, descriptor = self._ask(request, _ANSWERED_WITHIN)
        if descriptor is None:
            raise OSError(f"supervisor {self.pid} has sent no descriptor")
        return descriptor

    def about(self) -> Message:
        """What it says of its program; what can be seen of it while both are stopped (Ctrl-Z).

        Raises OSError, LiveKernelError.
        """
        if proc.stat(self.pid).state in "Tt":
            pid = next(iter(proc.children(self.pid)), None)
            return {"name": self.name, "pid": pid, "state": "stopped"}
        about = self.ask({"ask": orders.ABOUT})
        if not orders.is_about(about):
            raise OSError(f"supervisor {self.pid} says nothing that makes sense of its program")
        return about

    def _ask(self, request: Message, within: float) -> tuple[Message, int | None]:
        with self._connected() as connection:
            connection.settimeout(within)
            connection.send(orders.packed(request))
            data, descriptors, _, _ = socket.recv_fds(connection, orders.LONGEST_REPLY, 1)
        descriptor = descriptors[0] if descriptors else None
        try:
            return _reply(data), descriptor
        except BaseException:
            if descriptor is not None:
                os.close(descriptor)
            raise

    def _connected(self) -> socket.socket:
        path = _socket_of(self.pid)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(_ANSWERED_WITHIN)
            connection.connect(path)
            if peer.of(connection).uid != os.geteuid():
                raise PermissionError(f"process {self.pid} is another user's")
        except BaseException:
            connection.close()
            raise
        return connection


def _reply(data: bytes) -> Message:
    try:
        reply = orders.unpacked(data)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise OSError("a supervisor has said nothing that makes sense")
    if "error" in reply:
        raise LiveKernelError(str(reply["error"]), str(reply.get("remedy", "")))
    return reply


def _socket_of(pid: int) -> str:
    """Where it listens. Raises OSError."""
    directory = f"/proc/{pid}/fd"
    for number in os.listdir(directory):
        with suppress(FileNotFoundError):
            path = f"{directory}/{number}"
            if _SOCKET.search(os.readlink(path)):
                return path
    raise FileNotFoundError(f"process {pid} listens nowhere")


def supervisor_at(pid: int) -> Supervisor | None:
    """The supervisor that this process is, if it is one of our user's."""
    with suppress(OSError):
        found = _ITS.search(proc.read(pid, "cmdline"))
        if found and proc.status(pid).uids[1] == os.geteuid():
            return Supervisor(pid, found[1].decode(errors="replace"))
    return None


def supervisors() -> list[Supervisor]:
    """All of our own user's, by name."""
    found = [each for pid in proc.pids() if (each := supervisor_at(pid)) is not None]
    return sorted(found, key=lambda each: (each.name, each.pid))


def supervisor_of(pid: int) -> Supervisor | None:
    """The nearest ancestor of a process that is a supervisor of our own user's."""
    found = map(supervisor_at, proc.ancestors(pid))
    return next((each for each in found if each is not None), None)


# -- names


def present(name: str) -> Process | None:
    """The process that the program of this name is at present: where that runs no Python itself
    (a shell, `uv run`), the first process started by it that does. Whether it can be attached to
    is not asked. None where none runs. Raises NoTarget where several programs have the name.
    """
    pids = [pid for each in supervisors() if each.name == name if (pid := _program_of(each))]
    if len(pids) > 1:
        raise NoTarget(
            f"{len(pids)} supervised programs are called {name}: pids {', '.join(map(str, pids))}.",
            "Name one by its pid.",
        )
    for pid in map(_python_of, pids):
        with suppress(OSError, LiveKernelError):
            return processes.found_again(pid, proc.stat(pid).start_time)
    return None


def _program_of(supervisor: Supervisor) -> int | None:
    with suppress(OSError, LiveKernelError):
        pid = supervisor.about().get("pid")
        return pid if isinstance(pid, int) and supervisor_of(pid) is not None else None
    return None


def _python_of(pid: int) -> int:
    """The first that runs Python, of a process and its descendants, the elder generations first."""
    return next((each for each in _line_of(pid) if _is_python(each)), pid)


def _line_of(pid: int) -> Iterator[int]:
    generation = [pid]
    for _ in range(8):
        yield from generation
        generation = [child for each in generation for child in proc.children(each)]


def _is_python(pid: int) -> bool:
    try:
        return runtime.find(pid) is not None
    except OSError:
        return False


def named(name: str) -> Supervisor:
    """The one supervisor of a program with this name. Raises NoTarget."""
    found = [each for each in supervisors() if each.name == name]
    if len(found) != 1:
        names = ", ".join(each.name for each in supervisors())
        there = f"there are: {on_one_line(names)}" if names else "there is none"
        how_many = f"{len(found)} supervised programs are" if found else "No supervised program is"
        raise NoTarget(f"{how_many} called {name!r}; {there}.", "`live-kernel runs` lists them.")
    return found[0]


# -- on our behalf


def memory(pid: int) -> int:
    """A descriptor of the memory of a process, lent by its supervisor.

    Raises PermissionError where it has none, or that says no.
    """
    try:
        descriptor = _of(pid).lend({"ask": orders.MEMORY, **_which(pid)})
    except LiveKernelError as error:
        raise PermissionError(str(error)) from error
    if os.readlink(f"/proc/self/fd/{descriptor}") != f"/proc/{pid}/mem":
        os.close(descriptor)
        raise PermissionError(f"the supervisor of process {pid} has sent something else")
    return descriptor


def wait(pid: int, thread: int) -> bytes:
    """What /proc/PID/task/TID/syscall says. Raises PermissionError, as `memory`."""
    reply = _asked(pid, {"ask": orders.WAIT, **_which(pid), "thread": thread})
    return str(reply.get("text", "")).encode()


def nudge(pid: int, thread: int) -> bool:
    """As `wake.nudge`, done by the supervisor. Never raises."""
    with suppress(OSError):
        reply = _asked(pid, {"ask": orders.NUDGE, **_which(pid), "thread": thread})
        return reply.get("done") is True
    return False


def wake(pid: int, thread: int, technique: str, where: tuple[int, int, int]) -> tuple[str, str]:
    """As `waker.carry_out`, done by the supervisor. Raises PermissionError, as `memory`."""
    request = {"ask": orders.WAKE, **_which(pid), "thread": thread}
    reply = _asked(pid, request | {"technique": technique, "wait": list(where)})
    return str(reply.get("outcome", "")), str(reply.get("why", ""))


def _which(pid: int) -> Message:
    return {"pid": pid, "started": proc.stat(pid).start_time}


def _asked(pid: int, request: Message) -> Message:
    try:
        return _of(pid).ask(request)
    except LiveKernelError as error:
        raise PermissionError(str(error)) from error


def _of(pid: int) -> Supervisor:
    found = supervisor_of(pid)
    if found is None:
        raise PermissionError(f"process {pid} has no supervisor of ours")
    return found
