"""Finding the frame that a user means: by number, name, or file and line.

Runs in the target, on the threads of cells; loaded late. Sought is first on the bound
stack, then on those of other threads, then in tasks, then among what visible names refer to.
Rule: what is ambiguous is not guessed; the error says which there are, or what there is.
"""

from __future__ import annotations

import os
import sys

from . import chains, tasks, threads
from .actions import Refused
from .bindings import OfThread, Suspended, of_task, printable, stack_of
from .frames import is_user_code, key
from .lookup import ABSENT, BUILTIN_METHODS, is_exactly, type_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    from .bindings import Stack
    from .frames import Binding
    from .namespace import Namespace

    Fits = Callable[[FrameType], int]
    """How well a frame fits: 0 for not at all."""

_LISTED = 20
"""So many names are listed where one is unknown."""

_PERFECTLY = 1_000_000
"""How well a frame fits that stands at the very line."""

_FRAME = type(sys._getframe())


class Found:
    """A frame on a stack, by its index among all of that stack's frames."""

    def __init__(self, stack: Stack, frames: list[FrameType], index: int) -> None:
        self.stack, self.frames, self.index = stack, frames, index

    def bind(self) -> Binding:
        return self.stack.bind(self.frames, self.index)

    def describe(self) -> str:
        frame = self.frames[self.index]
        where = f", in {self.stack.label}" if self.stack.label else ""
        return f"frame {self.index}: {_at(frame)}{where}"


def _at(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname}() at {os.path.basename(code.co_filename)}:{frame.f_lineno or 0}"


def frame(text: str, namespace: Namespace) -> Binding:
    """A binding to the frame that is meant. Raises Refused."""
    here = stack_of(namespace.binding)
    number, _, whose = text.partition(" ")
    if number.isdecimal():
        return numbered(int(number), stack_named(whose.strip(), namespace) if whose else here)
    file, _, line = text.rpartition(":")
    fits = _stands_in(file, int(line)) if file and line.isdecimal() else _is_called(text)
    for stacks in (lambda: [here], _of_threads, _of_tasks):
        found = _best([each for stack in stacks() for each in _fitting(stack, fits)])
        if len(found) > 1:
            raise _ambiguous(text, found)
        if found:
            return found[0].bind()
    binding = _referred_to(text, namespace)
    if binding is None:
        raise _unknown(text, here)
    return binding


def numbered(number: int, stack: Stack) -> Binding:
    """A binding to a frame of a stack by the number that `%stack` shows. Raises Refused."""
    frames = stack.frames()
    if not 0 <= number < len(frames):
        there = f"0 to {len(frames) - 1}" if frames else "none"
        whose = stack.label or "thread MainThread"
        raise Refused(
            "FrameUnknown",
            f"{whose} has no frame {number}; there are {there}",
            "%stack shows them.",
        )
    return stack.bind(frames, number)


def _of_threads() -> Iterable[Stack]:
    return [OfThread(thread) for thread in threads.seen()[0]]


def _of_tasks() -> Iterable[Stack]:
    return [of_task(task) for task in tasks.seen()[0]]


def _is_called(text: str) -> Fits:
    text = text.removesuffix("()")

    def fits(frame: FrameType) -> int:
        name = frame.f_code.co_qualname
        return int(frame.f_code.co_name == text or name == text or name.endswith("." + text))

    return fits


def _stands_in(file: str, line: int) -> Fits:
    """Frames that stand at a line; less well, those whose function has it: best, the shortest."""

    def fits(frame: FrameType) -> int:
        code = frame.f_code
        if code.co_filename != file and not code.co_filename.endswith(os.sep + file):
            return 0
        if frame.f_lineno == line:
            return _PERFECTLY
        last = max((number for _, _, number in code.co_lines() if number), default=0)
        if code.co_name == "<module>" or not code.co_firstlineno <= line <= last:
            return 0
        return max(1, _PERFECTLY - 1 - (last - code.co_firstlineno))

    return fits


class _Fitting(Found):
    def __init__(self, stack: Stack, frames: list[FrameType], index: int, how_well: int) -> None:
        super().__init__(stack, frames, index)
        self.how_well = how_well


def _fitting(stack: Stack, fits: Fits) -> list[_Fitting]:
    """The frames of a stack that fit; of the calls of one function, the innermost."""
    frames = stack.frames()
    found: dict[object, _Fitting] = {}
    for index, each in enumerate(frames):
        how_well = fits(each)
        if how_well:
            found[key(each.f_code)] = _Fitting(stack, frames, index, how_well)
    return list(found.values())


def _best(found: list[_Fitting]) -> list[_Fitting]:
    best = max((each.how_well for each in found), default=0)
    return [each for each in found if each.how_well == best]


def _ambiguous(text: str, found: list[_Fitting]) -> Refused:
    which = "\n".join(f"  {each.describe()}" for each in found[:_LISTED])
    more = f"\n  and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    remedy = f"{which}{more}\nName one by its number: %frame N, or %frame N THREAD or TASK."
    return Refused("FrameAmbiguous", f"{len(found)} frames fit {printable(text)!r}", remedy)


def _referred_to(name: str, namespace: Namespace) -> Binding | None:
    """The frame of the generator, coroutine, task or frame to which a visible name refers."""
    try:
        value: Any = namespace.lookup(name)
    except KeyError:
        return None
    if type(value) is _FRAME:
        return _of_frame(name, value)
    get_coro = type_entry(type(value), "get_coro")
    if namespace.only_looks and not is_exactly(get_coro, BUILTIN_METHODS):
        get_coro = ABSENT  # a task of another kind than asyncio's, whose own code would be run
    coroutine = value if get_coro is ABSENT else get_coro(value)
    if not chains.is_suspendable(coroutine):
        raise Refused(
            "FrameUnknown",
            f"{printable(name)!r} is no function that runs, and refers to no generator, coroutine, "
            f"task or frame, but to {type(value).__name__}",
            "%stack, %threads and %tasks show what there is.",
        )
    stack = Suspended(value, f"{type(value).__name__} {name}")
    frames = stack.frames()
    if not frames:
        raise Refused("FrameUnknown", f"{name!r} has ended, so that it has no frame any more")
    return stack.bind(frames, 0)


def _of_frame(name: str, wanted: Any) -> Binding:
    """A frame itself can't be held weakly: it is found again as what it is a frame of."""
    generator = getattr(wanted, "f_generator", None)
    stacks = [Suspended(generator, f"generator {name}")] if generator is not None else []
    for stack in [*stacks, *_of_threads()]:
        frames = stack.frames()
        for index, each in enumerate(frames):
            if each is wanted:
                return stack.bind(frames, index)
    raise Refused("FrameUnknown", f"{name!r} is a frame that has returned: none runs there now")


def _unknown(text: str, here: Stack) -> Refused:
    others = [*_of_threads(), *_of_tasks()]
    names: dict[str, None] = {}
    for stack in [here, *others]:
        for each in reversed(stack.frames()):
            if is_user_code(each.f_code.co_filename):
                where = f" (in {stack.label})" if stack.label else ""
                names.setdefault(f"{each.f_code.co_qualname}{where}")
    there = ", ".join(list(names)[:_LISTED]) or "no function of the program's own runs"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    remedy = f"There are: {there}{more}."
    return Refused("FrameUnknown", f"no frame is called {printable(text)!r}", remedy)


# -- threads and tasks


def stack_named(text: str, namespace: Namespace) -> Stack:
    """The stack of the thread, or else of the task, that is meant. Raises Refused."""
    for is_exact in (True, False):
        of_threads = threads.named(text, is_exact)
        if of_threads:
            return _the_thread(text, of_threads)
        of_tasks = tasks.named(text, numbers_of(namespace), is_exact)
        if of_tasks:
            return _the_task(text, of_tasks, namespace)
    raise _no_thread(text, "thread or task")


def thread(text: str) -> OfThread:
    """The stack of the thread that is meant. Raises Refused."""
    found = threads.named(text) or threads.named(text, is_exact=False)
    if not found:
        raise _no_thread(text, "thread")
    return _the_thread(text, found)


def _the_thread(text: str, found: list[threads.Seen]) -> OfThread:
    if len(found) > 1:
        raise _several("threads", text, [f"{t.name} ({t.native or t.ident})" for t in found])
    return OfThread(found[0])


def task(text: str, namespace: Namespace) -> Suspended:
    """The stack of the task that is meant. Raises Refused."""
    numbers = numbers_of(namespace)
    found = tasks.named(text, numbers) or tasks.named(text, numbers, is_exact=False)
    if found:
        return _the_task(text, found, namespace)
    every = [each.name for each in tasks.seen()[0]]
    there = f"There are: {_some(every)}." if every else "The program has no asyncio tasks."
    raise Refused("TaskUnknown", f"there is no task {printable(text)!r}", there)


def _the_task(text: str, found: list[tasks.Task], namespace: Namespace) -> Suspended:
    if len(found) > 1:
        numbers = numbers_of(namespace)
        raise _several("tasks", text, [f"{t.name} ({numbers.of(t.task)})" for t in found])
    return of_task(found[0])


def numbers_of(namespace: Namespace) -> tasks.Numbers:
    """By which numbers the user of this session knows tasks."""
    if namespace.task_numbers is None:
        namespace.task_numbers = tasks.Numbers()
    numbers: tasks.Numbers = namespace.task_numbers
    return numbers


def _no_thread(text: str, what: str) -> Refused:
    there = _some([each.name for each in threads.seen()[0]])
    return Refused(
        "ThreadUnknown", f"no {what} is called {printable(text)!r}", f"Threads: {there}."
    )


def _several(what: str, text: str, names: list[str]) -> Refused:
    return Refused(
        f"{what[:-1].capitalize()}Ambiguous",
        f"{len(names)} {what} fit {printable(text)!r}: {_some(names)}",
        "Name one by the number in brackets.",
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(printable(name) for name in names[:_LISTED]) + more
