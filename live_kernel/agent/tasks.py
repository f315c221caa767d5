"""The program's asyncio tasks: all loops', on all threads.

Runs in the target, on the control thread and the threads of cells; loaded late.
asyncio keeps no list of loops: they are found among the variables of the functions
that run, where whatever runs a loop has it.
Rule: nothing of asyncio is imported that the program has not loaded, and a task that
can't be read is left out.
"""

from __future__ import annotations

import sys
from _weakref import ref

from . import chains, threads
from .frames import is_ours
from .lookup import class_name, own_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType
    from typing import Any

MOST = 1000
"""So many tasks are told of."""

_LONGEST_GATHERING = 50
"""Futures that are gone through from a task to the tasks that wait for it."""


class Numbers:
    """The numbers by which the user of one session knows tasks; a task keeps its own."""

    def __init__(self) -> None:
        self._next = 1
        self._known: dict[int, tuple[ref[Any], int]] = {}

    def of(self, task: Any) -> int:
        """The number of a task, a new one for a new task."""
        known, number = self._known.get(id(task), (None, 0))
        if known is None or known() is not task:
            number, self._next = self._next, self._next + 1
            self._known[id(task)] = ref(task), number
        return number

    def forget_ended(self) -> None:
        """Drop what is remembered of tasks that are no more."""
        self._known = {key: pair for key, pair in self._known.items() if pair[0]() is not None}


class Loop:
    """An event loop and the thread that runs it; `thread` is 0 if none does, or it is unknown."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.thread = 0


def loops() -> list[Loop]:
    """The loops that functions on the threads' stacks have among their variables, or in their
    modules, and those of tasks that asyncio lists by themselves.
    """
    base = getattr(sys.modules.get("asyncio.events"), "AbstractEventLoop", None)
    if base is None:
        return []
    found: dict[int, Loop] = {}
    looked_at: set[int] = set()
    for ident, innermost in threads.innermost_frames().items():
        for frame in _outwards(innermost):
            for value in _variables(frame, looked_at):
                loop = _loop_of(value)
                if issubclass(type(loop), base):
                    known = found.setdefault(id(loop), Loop(loop))
                    known.thread = known.thread or _runner(loop, ident)
    for loop in _loops_of_listed():
        found.setdefault(id(loop), Loop(loop))
    return list(found.values())


def _loop_of(value: Any) -> Any:
    """The loop of an `asyncio.Runner`, which has one that may be without frames; else itself."""
    return own_entry(value, "_loop") if class_name(type(value)) == "Runner" else value


def _outwards(innermost: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back


def _variables(frame: FrameType, looked_at: set[int]) -> Iterable[Any]:
    """A frame's variables, and those of its module unless that has been looked at."""
    module = frame.f_globals
    is_new = id(module) not in looked_at
    looked_at.add(id(module))
    own = [] if frame.f_locals is module else list(frame.f_locals.values())
    return [*own, *(list(module.values()) if is_new else [])]


def _runner(loop: Any, ident: int) -> int:
    """The thread that runs a loop, 0 if none does. asyncio's own knows; of others, it is `ident`,
    which has the loop among its variables.
    """
    known = getattr(loop, "_thread_id", None)
    if type(known) is int:
        return known
    try:
        return ident if loop.is_running() else 0
    except Exception:  # a loop of the program's own making
        return 0


def _loops_of_listed() -> Iterator[Any]:
    """Those of tasks of other kinds than CPython's own, which asyncio keeps in sets."""
    module = sys.modules.get("asyncio.tasks")
    for name in ("_scheduled_tasks", "_eager_tasks"):
        every: Any = getattr(module, name, ())
        for each in list(getattr(every, "data", every)):
            task: Any = each() if type(each) is ref else each
            try:
                yield task.get_loop()
            except Exception:  # it is no more, or a task of the program's own making
                continue


class Task:
    """One task at this moment."""

    __slots__ = ("coroutine", "loop", "name", "task")

    def __init__(self, task: Any, loop: Loop) -> None:
        self.task = task
        self.loop = loop
        self.name = str(task.get_name())
        self.coroutine = task.get_coro()

    def frames(self) -> list[FrameType]:
        """Its frames, the outermost first."""
        return chains.frames(self.coroutine)

    @property
    def is_ours(self) -> bool:
        """Is it the kernel's, as which a cell runs?"""
        frame = getattr(self.coroutine, "cr_frame", None)
        return frame is not None and is_ours(frame)


def seen() -> tuple[list[Task], int]:
    """The program's tasks that are not done, oldest names first, and how many are the kernel's."""
    found: list[Task] = []
    for loop in loops():
        try:
            every = sys.modules["asyncio.tasks"].all_tasks(loop.loop)
        except Exception:  # a loop of the program's own making
            continue
        for task in every:
            try:
                found.append(Task(task, loop))
            except Exception:  # likewise a task
                continue
    theirs = [task for task in found if not task.is_ours]
    theirs.sort(key=lambda task: _in_order(task.name))
    return theirs, len(found) - len(theirs)


def _in_order(name: str) -> tuple[str, int, str]:
    """So that Task-9 comes before Task-10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :][:18] or 0), name


def running(loop: Loop) -> Any:
    """The task whose code runs in a loop at this moment, or None."""
    try:
        return sys.modules["asyncio.tasks"].current_task(loop.loop)
    except Exception:
        return None


def waiters(task: Any, known: dict[int, int]) -> list[int]:
    """The numbers of the tasks that wait for this one, be it by way of a `gather`.

    `known`: the numbers of all tasks, by their ids.
    """
    found: list[int] = []
    waiting, gone_through = list(_awaited_by(task)), 0
    while waiting and gone_through < _LONGEST_GATHERING:
        gone_through += 1
        one = waiting.pop()
        if id(one) in known:
            found.append(known[id(one)])
        else:
            waiting += _awaited_by(one)
    return sorted(set(found))


def _awaited_by(future: Any) -> Iterable[Any]:
    return getattr(future, "_asyncio_awaited_by", None) or ()


def named(text: str, numbers: Numbers, is_exact: bool = True) -> list[Task]:
    """The tasks of this number or name; or, no number, those with the text in their name."""
    every, _ = seen()
    if is_exact:
        return [t for t in every if t.name == text or str(numbers.of(t.task)) == text]
    return [t for t in every if not text.isdecimal() and text.lower() in t.name.lower()]
