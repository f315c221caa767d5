"""Bindings that the user chooses: any frame of a thread, of a task, of what is suspended.

Runs in the target, on the threads of cells; loaded late. Rule: as of all bindings
(`frames.py`): a place is named, and of the program nothing is referred to but weakly.
"""

from __future__ import annotations

from _weakref import ref

from . import chains, native, threads
from .frames import (
    Binding,
    Comprehension,
    is_module,
    is_user_code,
    key,
    locals_of,
    module_of,
    stack,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

    from .tasks import Task
    from .threads import Seen


class Stack:
    """Frames in which each is called or awaited by the one before; `label` says whose."""

    label = ""

    def frames(self) -> list[FrameType]:
        """The frames at this moment, the outermost first; none once it has ended."""
        return []

    def _make(self, frame: FrameType, depth: int, caller: Binding | None) -> Binding:
        raise NotImplementedError

    def bind(self, frames: list[FrameType], index: int) -> Binding:
        """A binding to one of the frames, and behind it to its callers in the user's code."""
        calls: dict[Any, int] = {}
        caller: Binding | None = None
        for position, frame in enumerate(frames[: index + 1]):
            function = key(frame.f_code)
            depth = calls.get(function, 0)
            calls[function] = depth + 1
            if position == index or is_user_code(frame.f_code.co_filename):
                caller = self._make(frame, depth, caller)
        assert caller is not None
        return caller


class OfThread(Stack):
    """The stack of a thread."""

    def __init__(self, thread: Seen) -> None:
        self.ident = thread.ident
        self.label = "" if thread.is_main else f"thread {printable(thread.name)}"
        self._known = ref(thread.known) if thread.known is not None else None

    def frames(self) -> list[FrameType]:
        return list(stack(self.ident))[::-1] if self.runs() else []

    def runs(self) -> bool:
        """Is it still that thread? Another one may have its number by now."""
        return self._known is None or threads.known_by(self.ident) is self._known()

    def _make(self, frame: FrameType, depth: int, caller: Binding | None) -> Binding:
        if is_module(frame):
            return OfModule(frame, self, depth)
        return OnThread(frame, self, depth, caller)


class OnThread(Binding):
    """A function that runs on a thread; if it is a generator's or a coroutine's, wherever that
    is meanwhile: mostly, it is suspended.
    """

    def __init__(
        self, frame: FrameType, stack_: OfThread, depth: int, caller: Binding | None
    ) -> None:
        within = f", in {stack_.label}" if stack_.label else ""
        super().__init__(module_of(frame), frame, stack_.ident, caller, depth=depth, within=within)
        self._thread = stack_
        owner: Any = getattr(frame, "f_generator", None)
        label = stack_.label or "thread MainThread"
        self._suspended = None if owner is None else Suspended(owner, label, stack_.ident)

    @property
    def stack(self) -> Stack:
        """The thread's; while it is suspended, its own."""
        if self._suspended is None or self.frame() in self._thread.frames():
            return self._thread
        return self._suspended

    def frame(self) -> FrameType | None:
        if self._suspended is not None:
            return next(iter(self._suspended.frames()), None)
        return super().frame() if self._thread.runs() else None


class OfModule(Binding):
    """A module, in whose top level a frame may stand in a comprehension."""

    def __init__(self, frame: FrameType, stack_: OfThread, depth: int) -> None:
        super().__init__(module_of(frame), thread=stack_.ident, depth=depth)
        self.stack = stack_
        self._key = key(frame.f_code)

    def at(self) -> FrameType | None:
        """The frame of the module's top level, as long as it runs."""
        frames = self.stack.frames()
        return next((frame for frame in frames if key(frame.f_code) == self._key), None)

    def names(self) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
        frame = self.at()
        local = None if frame is None else locals_of(frame)
        if frame is not None and type(local) is Comprehension:
            return local, frame.f_globals
        return super().names()


class Suspended(Stack):
    """What a coroutine or a generator, be it a task's, has called and awaits.

    `owner`: the task, or the coroutine or generator itself. `thread`: on which a task's loop
    runs.
    """

    def __init__(self, owner: Any, label: str, thread: int = 0) -> None:
        self.label, self.thread = label, thread
        self._owner = ref(owner)

    def frames(self) -> list[FrameType]:
        owner = self._owner()
        if owner is None:
            return []
        return chains.frames(owner if chains.is_suspendable(owner) else owner.get_coro())

    def _make(self, frame: FrameType, depth: int, caller: Binding | None) -> Binding:
        return InSuspended(frame, self, depth, caller)


class InSuspended(Binding):
    """A function that is suspended, or runs, as part of a task or a generator."""

    def __init__(
        self, frame: FrameType, stack_: Suspended, depth: int, caller: Binding | None
    ) -> None:
        within = f", in {stack_.label}"
        super().__init__(module_of(frame), frame, stack_.thread, caller, depth=depth, within=within)
        self.stack = stack_

    def frame(self) -> FrameType | None:
        return self._sought(reversed(self.stack.frames()))


def of_task(task: Task) -> Suspended:
    """The stack of a task."""
    return Suspended(task.task, f"task {printable(task.name)}", task.loop.thread)


def stack_of(binding: Binding) -> Stack:
    """The stack on which the bound frame is: the main thread's for a module."""
    if isinstance(binding, (OnThread, OfModule, InSuspended)):
        return binding.stack
    thread = threads.with_ident(binding.thread or native.main_ident())
    return Stack() if thread is None else OfThread(thread)


def index_in(binding: Binding, frames: list[FrameType]) -> int:
    """Which of these frames is the bound one; -1 if none."""
    bound = binding.at() if isinstance(binding, OfModule) else binding.frame()
    if bound is None and binding.function is None:
        found = [f for f in frames if is_module(f) and module_of(f) == binding.module]
        bound = found[0] if found else None
    return next((index for index, frame in enumerate(frames) if frame is bound), -1)


def printable(text: str) -> str:
    """What the program calls something, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:100])
