"""The kernels that run here, as one finds them who wants to follow one; and what they tell.

Runs on the command line, and on a thread of Jupyter Server. Each kernel listens on a socket that
is reached through its descriptors (`followers.py`), among which it is found; the system says who
it is that listens.
Rule: nothing is ever sent to a kernel. What comes from one is read as lines of JSON of a bounded
length, and another user's is looked at by root alone.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ..attach import landing, peer, proc
from ..errors import FollowingEnded, NoKernel
from ..plain import on_one_line
from ..records import NamedTuple
from .recording import name_of
from .tables import Table, duration

Event = dict[str, Any]

_PATIENCE = 1.5
"""Seconds that all kernels together have to say what they are."""

_DAY = 86400.0
_DYING = 0.5
"""Seconds that a process may take to end, after its connections have."""

_LONGEST = 1 << 20
"""Bytes of a line, at most."""

_SOCKET = re.compile(rf"/{landing.FOLLOWED}[0-9a-f]{{12}}/{landing.SESSION}( \(deleted\))?$")
_IS_OURS = re.compile(rb"live.kernel")

REMEDY = "`live-kernel follow` without a name lists the kernels that run."


class Session:
    """A kernel that one may follow, and a connection to it. Raises OSError where there is none.

    `pid`, `uid`: of the kernel, as the system tells them. `about`: what it says of itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        self.pid, self.uid, _ = peer.of(connection)
        self.about: Event = {}
        self._begun = bytearray()
        self._start_time = _start_time(self.pid)

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def target(self) -> Event:
        target = self.about.get("target")
        return target if isinstance(target, dict) else {}

    @property
    def name(self) -> str:
        """Its notebook's, or else its connection file's."""
        notebook = os.path.basename(str(self.about.get("notebook", "")))  # noqa: PTH119 - no path
        return notebook or str(self.about.get("connection", ""))

    def __str__(self) -> str:
        target = self.target
        where = f"pid {target.get('pid')} ({target.get('command')})" if target else "no program"
        return on_one_line(f"kernel {self.pid} ({self.name}), in {where}")

    def take(self) -> list[Event] | None:
        """What has come, which may be nothing yet; None once nothing will come any more."""
        try:
            data = self._connection.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data or len(self._begun) + len(data) > _LONGEST + (1 << 16):
            return None
        *lines, self._begun[:] = (bytes(self._begun) + data).split(b"\n")
        return [event for event in map(_parsed, lines) if event is not None]

    def meet(self, events: list[Event]) -> bool:
        """Is this what it says of itself? Then it is kept."""
        if not self.about and events and events[0]["event"] == "kernel":
            self.about = events[0]
        return bool(self.about)

    def events(self) -> Iterator[Event]:
        """What goes on in it, as it happens, up to its end. Raises FollowingEnded."""
        while True:
            select.select([self], [], [])
            events = self.take()
            if events is None:
                raise self._ended()
            for event in events:
                yield event
                if event["event"] == "end":
                    return

    def _ended(self) -> FollowingEnded:
        deadline = time.monotonic() + _DYING
        while self._is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._is_alive():
            return FollowingEnded(
                f"Kernel {self.pid} has let go: more was shown than was read here.",
                "Follow it again; what was shown meanwhile is missing.",
            )
        return FollowingEnded(f"Kernel {self.pid} has ended without a word: it was killed.", "")

    def _is_alive(self) -> bool:
        return self._start_time is not None and self._start_time == _start_time(self.pid)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Named(NamedTuple):
    """By what somebody may mean a kernel."""

    session: Session

    def is_meant_exactly(self, text: str) -> bool:
        about = self.session.about
        connection = str(about.get("connection", ""))
        names = {str(self.session.pid), str(self.session.target.get("pid")), connection}
        names |= {connection.removeprefix("kernel-"), self.session.name, str(about.get("notebook"))}
        return text in names or Path(text).stem == connection

    def is_meant(self, text: str) -> bool:
        about = self.session.about
        return text in f"{self.session.target.get('command', '')}\n{about.get('notebook', '')}"


def all_of_them(pids: Iterable[int] | None = None) -> list[Session]:
    """Every kernel that lets us follow, by pid: what they have said of themselves.

    They have been left again, before they would take us for a follower. `pids`: of these alone.
    """
    waiting = [session for path in _paths(pids) if (session := _connected(path)) is not None]
    found: list[Session] = []
    deadline = time.monotonic() + _PATIENCE
    while waiting and (rest := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select(waiting, [], [], rest)
        for session in ready:
            events = session.take()
            if events is None or session.meet(events):
                waiting.remove(session)
                session.close()
                if events:
                    found.append(session)
    for session in waiting:
        session.close()
    return sorted(found, key=lambda session: session.pid)


def named(text: str) -> Session:
    """The kernel that is meant: by its pid, its program's, text of that one's command line, its
    connection file or id, or its notebook. The connection is open. Raises NoKernel.
    """
    found = all_of_them()
    meant = [each for each in found if Named(each).is_meant_exactly(text)]
    meant = meant or [each for each in found if Named(each).is_meant(text)]
    if not meant:
        raise NoKernel(f"No kernel that could be followed is known as {text!r}.", REMEDY)
    if len(meant) > 1:
        lines = "\n".join(map(str, meant))
        raise NoKernel(f"{len(meant)} kernels fit {text!r}:\n{lines}", "Name one by its pid.")
    session = _connected(meant[0].path)
    if session is None:
        raise NoKernel(f"The {meant[0]} has just ended.", REMEDY)
    session.about = meant[0].about
    return session


def table(sessions: list[Session]) -> Table:
    """A row for each kernel."""
    rows = [
        (
            str(session.pid),
            name_of(session.uid),
            session.name,
            f"{session.target.get('pid')} {session.target.get('command')}"
            if session.target
            else "",
            _since(session.about.get("since")),
            str(session.about.get("followers", "")),
        )
        for session in sessions
    ]
    return Table(("Kernel", "User", "Session", "Program", "Attached", "Followers"), rows)


def _since(moment: object) -> str:
    if not isinstance(moment, int | float) or not 0 < moment < time.time() + _DAY:
        return ""
    return f"for {duration(max(0.0, time.time() - moment))}"


def _paths(pids: Iterable[int] | None = None) -> Iterator[str]:
    """Where kernels listen, among those whose descriptors we are shown."""
    for pid in proc.pids() if pids is None else pids:
        try:
            if not _IS_OURS.search(proc.read(pid, "cmdline")):
                continue
            paths = [str(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        for path in paths:
            with suppress(OSError):
                if _SOCKET.search(os.readlink(path)):  # noqa: PTH115 - as text
                    yield path


def _connected(path: str) -> Session | None:
    """A connection to who listens there; None if that is nobody whom we may follow."""
    try:
        session = Session(path)
    except OSError:
        return None
    if os.geteuid() not in (0, session.uid):
        session.close()
        return None
    return session


def _start_time(pid: int) -> int | None:
    """Of a process that runs; None for one that has ended."""
    try:
        stat = proc.stat(pid)
    except OSError:
        return None
    return None if stat.state in "ZX" else stat.start_time


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_event = isinstance(event, dict) and isinstance(event.get("event"), str)
    return event if is_event else None
