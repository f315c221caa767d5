"""Which process has taken the place of one that has ended: its successor, told from a mere sibling.

Runs in the launcher, on a thread. A program that is loaded anew, or restarted by whoever looks
after it, is another process with another pid. Nothing says so but what the system knows of both,
of which all must fit: the user, the executable, the directory, the command line, how it was
made (forked, or executed), who has started it, and when.
Rule: strict, and explained. Who ran beside the other one is no successor of it, however alike;
where several could be, none of them is chosen here.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from ..attach import ending, proc, supervised
from ..attach.processes import Process
from ..attach.verdicts import title
from ..errors import LiveKernelError
from ..records import NamedTuple

NOTICED_WITHIN = 0.5
"""Seconds in which the end of a process is noticed: who has begun no longer before that began
after it.
"""

OVERLAP = 45.0
"""Seconds that the old may finish its work beside the new: gunicorn gives its workers thirty."""

_SETTLED_AFTER = 2.0
"""Seconds after the end for which a successor that begins now comes before one that had begun."""

_GENERATIONS = 3
"""Processes above the program that are remembered."""

_NUMBERS = re.compile(
    r"\b(tracker_fd|pipe_handle|parent_pid)=\d+|\b((?:Fork|Spawn)?(?:PoolWorker|Process|Worker)-)\d+"
)
"""What differs in the command lines of one worker and the next, of multiprocessing and celery."""


_IS_MADE = re.compile(r"from multiprocessing\.(spawn|forkserver) import")


class Kin(NamedTuple):
    """A process, by all that tells whose successor it could be.

    `start_time`: in clock ticks after boot. `image`: of the program that it has executed last;
    a process that was forked has its parent's. Texts are empty where we may not know.
    """

    pid: int
    start_time: int
    parent: int
    uids: tuple[int, ...]
    exe: str
    cwd: str
    cmdline: tuple[str, ...]
    image: bytes
    group: str

    def is_like(self, other: Kin) -> bool:
        """Is it the same program, of the same user, in the same directory?"""
        return self._is_at_the_same_place(other) and _same(self.cmdline) == _same(other.cmdline)

    def _is_at_the_same_place(self, other: Kin) -> bool:
        mine, others = (self.uids, self.exe, self.cwd), (other.uids, other.exe, other.cwd)
        return mine == others and bool(self.exe)

    def is_executed_by(self, other: Kin) -> bool:
        """Has the other one, a gunicorn, executed itself anew in it? It says so to it."""
        return self._is_at_the_same_place(other) and _was_told(self.pid, other.pid)


def _same(command: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_NUMBERS.sub(lambda found: found[1] or found[2], part) for part in command)


def _was_told(pid: int, master: int) -> bool:
    try:
        return b"GUNICORN_PID=%d" % master in proc.read(pid, "environ").split(b"\0")
    except OSError:
        return False


def seen(pid: int) -> Kin | None:
    """This process as it is now; None if it has ended, or is hidden."""
    try:
        stat, status = proc.stat(pid), proc.status(pid)
        if stat.state in "ZX":
            return None
        return Kin(
            pid,
            stat.start_time,
            stat.parent,
            status.uids[:3],
            _path(pid, "exe"),
            _path(pid, "cwd"),
            proc.command_line(pid),
            ending.image(pid),
            "\n".join(proc.lines(pid, "cgroup")),
        )
    except OSError:
        return None


def _path(pid: int, name: str) -> str:
    """A file that was put in the place of another, as by an update, is the same one here."""
    return (proc.link(pid, name) or "").removesuffix(" (deleted)")


class Line(NamedTuple):
    """A process, those above it, from its parent upwards, and by pid and start those beside it.

    `name`: under which it is supervised, if it is.
    """

    own: Kin
    above: tuple[Kin, ...]
    beside: frozenset[tuple[int, int]] = frozenset()
    name: str = ""


def line_of(process: Process) -> Line | None:
    """What is to be remembered of it while it is there; None if it is not any more."""
    own = seen(process.pid)
    if own is None or own.start_time != process.start_time:
        return None
    above = [
        seen(pid) for _, pid in zip(range(_GENERATIONS), proc.ancestors(own.pid), strict=False)
    ]
    siblings = proc.stats(proc.children(own.parent))
    beside = frozenset((pid, stat.start_time) for pid, stat in siblings)
    there = tuple(each for each in above if each is not None)
    supervisor = next((s for each in there if (s := supervised.supervisor_at(each.pid))), None)
    return Line(own, there, beside, "" if supervisor is None else supervisor.name)


class Successor(NamedTuple):
    """A process that has taken the place of another; `why` it is taken for that, in words."""

    kin: Kin
    why: str

    @property
    def pid(self) -> int:
        return self.kin.pid

    @property
    def title(self) -> str:
        """Its command line, on one short line; of a worker that multiprocessing has made, whose it
        is.
        """
        of = self._parents_command()
        own = title(self.kin.cmdline, "")
        return f"a worker of pid {self.kin.parent}, {title(of, '')}" if of else own

    @property
    def text(self) -> str:
        """Its whole command line, that of whose worker it is, and the name of its supervision."""
        supervisor = supervised.supervisor_of(self.kin.pid)
        name = "" if supervisor is None else supervisor.name
        return " ".join((*self.kin.cmdline, *self._parents_command(), name))

    def _parents_command(self) -> tuple[str, ...]:
        """The command line of its parent, if its own is multiprocessing's, which tells nothing."""
        if not _IS_MADE.search(" ".join(self.kin.cmdline)):
            return ()
        try:
            return proc.command_line(self.kin.parent)
        except OSError:
            return ()


def now() -> int:
    """This moment, in clock ticks after boot."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * proc.TICKS_PER_SECOND)


def find(line: Line, ended: int) -> list[Successor]:
    """The successors of the process at the foot of `line`, which was seen to end at `ended`.

    Empty while it runs, as long as there is none, and where it can't be told.
    """
    own = line.own
    if (present := seen(own.pid)) is not None and present.start_time == own.start_time:
        return [Successor(present, _IN_PLACE)] if _is_another_run(present, own) else []
    youngest = _Youngest(own)
    found = _executed_by(own, youngest) or _of_parents(line, ended, youngest)
    return found if len(found) == 1 or not line.name else _named(line) or found


def _named(line: Line) -> list[Successor]:
    """What its supervisor says that the program of this name is by now."""
    with suppress(LiveKernelError):
        present = supervised.present(line.name)
        kin = None if present is None else seen(present.pid)
        if kin is not None and kin[:2] != line.own[:2] and kin.is_like(line.own):
            return [Successor(kin, f"it is what {line.name} is now, says its supervisor")]
    return []


def _executed_by(own: Kin, youngest: _Youngest) -> list[Successor]:
    """What it has executed itself in; not the workers of that, which inherit all signs of it."""
    found = [kin for kin in youngest.all if kin.is_executed_by(own)]
    pids = {kin.pid for kin in found}
    return [Successor(kin, _AGAIN) for kin in found if kin.parent not in pids]


_IN_PLACE = "it has executed the same program anew, and kept its pid"
_AGAIN = "the old one has executed itself anew in it"


def _is_another_run(present: Kin, own: Kin) -> bool:
    is_other = bool(present.image and own.image) and present.image != own.image
    return is_other and present.is_like(own)


class _Youngest:
    """What of this program's user began after it."""

    def __init__(self, own: Kin) -> None:
        self.all = list(_begun_after(own))

    def of(self, parent: int) -> list[Kin]:
        return [kin for kin in self.all if kin.parent == parent]


def _begun_after(own: Kin) -> Iterator[Kin]:
    for pid, stat in proc.stats(proc.pids()):
        if stat.start_time >= own.start_time and pid != os.getpid():
            kin = seen(pid)
            if kin is not None and kin.uids == own.uids and kin[:2] != own[:2]:
                yield kin


def _of_parents(line: Line, ended: int, youngest: _Youngest) -> list[Successor]:
    own = line.own
    if not line.above:
        return []
    parent, *higher = line.above
    is_fork = bool(own.image) and own.image == parent.image
    if _runs(parent):
        others = [kin for kin in youngest.of(parent.pid) if kin[:2] not in line.beside]
        alike = [kin for kin in others if _is_kin(kin, own, parent, is_fork)]
        found = _in_time(alike, own, ended)
        if found:
            return found
    found = []
    for other in _in_place_of(Line(parent, tuple(higher)), ended):
        # What is forked has the command line of its parent, which may be written otherwise anew.
        wanted = own._replace(cmdline=other.kin.cmdline) if _is_same(own, parent) else own
        is_its = [kin for kin in youngest.of(other.pid) if _is_kin(kin, wanted, other.kin, is_fork)]
        why = f"pid {other.pid} has taken the place of its parent, pid {parent.pid}, and started it"
        found += [Successor(kin, why) for kin in is_its]
    return found


def _is_same(own: Kin, parent: Kin) -> bool:
    return own.image == parent.image and own.cmdline == parent.cmdline


def _is_kin(kin: Kin, own: Kin, parent: Kin, is_fork: bool) -> bool:
    """Is it the same program, made in the same way? Of what systemd (or pid 1) has started, and of
    orphans, it must be the same service.
    """
    same_way = not kin.image or not parent.image or (kin.image == parent.image) is is_fork
    return kin.is_like(own) and same_way and (parent.pid != 1 or kin.group == own.group)


def _runs(kin: Kin) -> bool:
    present = seen(kin.pid)
    return present is not None and present.start_time == kin.start_time


def _in_place_of(line: Line, ended: int) -> list[Successor]:
    """What has taken the place of a parent: also while that is there, as gunicorn's masters do."""
    youngest = _Youngest(line.own)
    found = _executed_by(line.own, youngest)
    return found if found or _runs(line.own) else _of_parents(line, ended, youngest)


def _in_time(alike: list[Kin], own: Kin, ended: int) -> list[Successor]:
    """Of those of the same parent: who began when it had ended. Else, once it is clear that none
    will, who began shortly before, if nobody is left who is older: the whole generation was
    replaced.
    """
    first = ended - int(NOTICED_WITHIN * proc.TICKS_PER_SECOND)
    after = [Successor(kin, _RESTARTED) for kin in alike if kin.start_time >= first]
    if after or now() - ended < _SETTLED_AFTER * proc.TICKS_PER_SECOND:
        return after
    earliest = ended - int(OVERLAP * proc.TICKS_PER_SECOND)
    if any(kin.start_time < earliest for kin in alike) or _has_older_siblings(own):
        return []
    return [Successor(kin, _RELIEVED) for kin in alike]


_RESTARTED = "it has the same parent, which has started it when the old one had ended"
_RELIEVED = (
    "it has the same parent, which had started it a little before the old one ended, and none of "
    "the former generation is left"
)


def _has_older_siblings(own: Kin) -> bool:
    """Does anything like it still run that began before it, or with it?"""
    for pid, stat in proc.stats(proc.pids()):
        if (
            stat.parent == own.parent
            and stat.start_time < own.start_time
            and stat.state not in "ZX"
        ):
            kin = seen(pid)
            if kin is not None and kin.is_like(own):
                return True
    return False
