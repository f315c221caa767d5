"""What becomes of a kernel whose program was replaced: does it go on in the successor?

Runs on the launcher's reactor; successors are sought on a thread. Owns what is remembered of the
present program for the day that it ends, and whether the user has asked to follow.
Rule: a cell is never run in another process unless the user has said so: by %follow and its kin,
by naming the process, or by an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..attach.processes import Process
from ..errors import TargetReplaced
from ..plain import on_one_line
from ..records import NamedTuple
from .choosing import notebook_metadata
from .reactor import Reactor, in_background

if TYPE_CHECKING:
    from .successors import Line, Successor

VARIABLE = "LIVE_KERNEL_FOLLOW"
"""`1`: when the program is reloaded or restarted, the next cell goes on in its successor; words:
only in one with one of these in its command line. As `--follow` and `%follow`.
"""

_NO = ("", "0", "no", "off", "false")
_YES = ("1", "yes", "on", "true")

_LISTED = 10


class Wanted(NamedTuple):
    """Whether to follow: `by` whom it was said, empty for no. `names`: only programs that have one
    of these in their command line; all if there is none.
    """

    by: str = ""
    names: tuple[str, ...] = ()

    def fits(self, command: str) -> bool:
        """Is a successor with this command line to be followed?"""
        return bool(self.by) and (not self.names or any(name in command for name in self.names))

    def in_words(self) -> str:
        """`successors are followed (%follow)`, say."""
        if not self.by:
            return "a successor is named, and not followed: %follow on does that"
        which = f" whose command line has {' or '.join(self.names)}" if self.names else ""
        return f"a successor{which} is attached to by the next cell ({self.by})"


def said(text: str, by: str) -> Wanted:
    """What `on`, `off` or names mean."""
    word = text.strip()
    if word.lower() in _NO:
        return Wanted()
    return Wanted(by, () if word.lower() in _YES else tuple(word.split()))


def first_wanted(given: str | None, environment: Mapping[str, str]) -> Wanted:
    """What holds when a kernel starts: `given` on its command line, else by the variable, else by
    the notebook's metadata, {"live_kernel": {"follow": true}}.
    """
    if given is not None:
        return said(given, "--follow")
    if VARIABLE in environment:
        return said(environment[VARIABLE], VARIABLE)
    return _from_notebook(environment)


def _from_notebook(environment: Mapping[str, str]) -> Wanted:
    path, metadata = notebook_metadata(environment)
    try:
        follow = metadata["live_kernel"]["follow"]
    except (KeyError, TypeError):
        return Wanted()
    by = f"the metadata of {path.name}"
    match follow:
        case bool() | str():
            return said(follow if isinstance(follow, str) else "on" * follow, by)
        case [*names] if names and all(isinstance(name, str) for name in names):
            return Wanted(by, tuple(names))
    return Wanted()


class Succession:
    """The succession of one kernel's programs."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.wanted = Wanted()
        self._line: Line | None = None
        self._process: Process | None = None
        self._ended: int | None = None
        self._found: dict[tuple[int, int], str] = {}
        self.gone_to: tuple[int, int] | None = None
        """By pid and start, the successor that the kernel was about to attach to."""
        self.why = ""
        """Why the present program is taken for the successor of the one before; empty if it is
        not.
        """

    # -- the life of the program

    def entered(self, process: Process) -> None:
        """It is attached."""
        key = (process.pid, process.start_time)
        self.why = self._found.get(key, "") if self._ended is not None else ""
        self._process, self._line, self._ended = process, None, None
        self._found.clear()
        self.gone_to = None
        self._reactor.call(self._remember)  # the cell that waits comes first

    def _remember(self) -> None:
        from . import successors  # not on the way into the program

        if self._process is not None and self._ended is None:
            self._line = self._line or successors.line_of(self._process)

    def lost(self) -> None:
        """It has ended, or became another."""
        if self._process is not None:
            from . import successors

            self._remember()
            self._ended = successors.now()

    def left(self) -> None:
        """The kernel has let go of it: whatever comes after it is nobody's concern."""
        self._process = self._line = self._ended = None
        self._found.clear()

    @property
    def is_open(self) -> bool:
        """Is there a program that was lost, and none since?"""
        return self._ended is not None and self._process is not None

    @property
    def predecessor(self) -> Process | None:
        """The program that was lost."""
        return self._process if self.is_open else None

    @property
    def has_gone(self) -> bool:
        """Is the lost program's process there no more? Else it may have let go of the kernel."""
        from . import successors

        process = self._process
        if process is None:
            return False
        present = successors.seen(process.pid)
        return present is None or present.start_time != process.start_time

    # -- who comes after it

    def seek(self, found: Callable[[list[Successor]], None]) -> None:
        """Call `found` with all successors that there are by now, on the reactor."""
        line, ended = self._line, self._ended
        if line is None or ended is None:
            self._reactor.call(lambda: found([]))
            return

        def seek() -> None:
            from . import successors

            there = successors.find(line, ended)
            self._reactor.call(lambda: known(there))

        def known(there: list[Successor]) -> None:
            if self._line is line:
                self._found.update({each.kin[:2]: each.why for each in there})
            found(there)

        in_background(seek)

    def look(self) -> list[Successor]:
        """The same, at once."""
        if self._line is None or self._ended is None:
            return []
        from . import successors

        there = successors.find(self._line, self._ended)
        self._found.update({each.kin[:2]: each.why for each in there})
        return there

    def chosen(self, process: Process) -> None:
        """The user has named a process: is it a successor?"""
        if self.is_open and (process.pid, process.start_time) not in self._found:
            self.look()


def replaced(process: Process, there: Sequence[Successor]) -> TargetReplaced:
    """What to say to a user who has not asked to follow."""
    if len(there) == 1:
        (one,) = there
        told = f"pid {one.pid} (same program: {on_one_line(one.title)})"
        if one.pid == process.pid:
            told = f"another run of the same program ({on_one_line(one.title)}), with the same pid"
        return TargetReplaced(
            process.pid,
            f"pid {process.pid} has been replaced by {told}",
            f"It is the successor because {one.why}.\n"
            f"%attach {one.pid} goes there; %follow on goes by itself, now and from now on.",
        )
    rows = [f"  %attach {each.pid}   {on_one_line(each.title)}" for each in there[:_LISTED]]
    more = f"\n  and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    return TargetReplaced(
        process.pid,
        f"pid {process.pid} has been replaced by one of {len(there)} processes of the same program",
        f"Of each, {there[0].why}. Which of them is meant, only you can say:\n"
        + "\n".join(rows)
        + more,
    )
