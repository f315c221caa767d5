"""What the program is doing, as plain data: its threads, a stack, its tasks, the bound place.

Runs in the target, on the control thread; loaded late. The launcher adds what the system
knows (`launcher/looking.py`), and shows it. Rule: an answer is bounded, whatever the program
has; what the user has asked for and is not there comes back as `refused`.
"""

from __future__ import annotations

import sys

from . import native, seeking, tasks, threads
from .actions import Refused
from .bindings import index_in, stack_of
from .frames import is_user_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .bindings import Stack
    from .session import Session

    Message = dict[str, Any]

_MOST_THREADS = 1000
_MOST_FRAMES = 500
"""So many are told of; of a deeper stack, the innermost."""

_LONGEST_NAME = 200

_NEAR = 40
"""Frames that are looked through for one of the user's code."""


def look(session: Session, question: Message) -> Message:
    """The answer to a question of this module's. Raises nothing of the user's making."""
    try:
        return _LOOKS[question["about"]](session, str(question.get("what", "")))
    except Refused as refusal:
        return {"refused": str(refusal), "remedy": refusal.remedy}


def _threads(_session: Session, _what: str) -> Message:
    seen, kernels = threads.seen()
    told = [each.as_message() | {"frames": _to_the_users(each.frames())} for each in seen]
    return {
        "threads": told[:_MOST_THREADS],
        "left_out": len(told[_MOST_THREADS:]),
        "kernel": kernels,
        "main": native.main_ident(),
    }


def _row(frame: FrameType) -> list[Any]:
    code = frame.f_code
    return [code.co_filename, frame.f_lineno or 0, code.co_qualname]


def _to_the_users(frames: list[FrameType]) -> list[list[Any]]:
    """The frames from the innermost outwards, up to the first of the user's code."""
    near = frames[::-1][:_NEAR]
    for index, frame in enumerate(near):
        if is_user_code(frame.f_code.co_filename):
            return [_row(each) for each in near[: index + 1]]
    return [_row(each) for each in near[:1]]


def _stack(session: Session, what: str) -> Message:
    binding = session.namespace.binding
    bound = stack_of(binding)
    stack = seeking.stack_named(what, session.namespace) if what else bound
    return {
        "label": stack.label or "thread MainThread",
        **_frames_of(stack, session),
        "bound_place": binding.describe(),
    }


def _frames_of(stack: Stack, session: Session) -> Message:
    frames = stack.frames()
    first = max(0, len(frames) - _MOST_FRAMES)
    shown = [
        {"number": number, "at": _row(frame), "source": _remembered(frame)}
        for number, frame in enumerate(frames[first:], first)
    ]
    return {"frames": shown, "bound": index_in(session.namespace.binding, frames)}


def _remembered(frame: FrameType) -> str:
    """The source line of a cell's code, which is in no file; else empty."""
    name = frame.f_code.co_filename
    cache = getattr(sys.modules.get("linecache"), "cache", None)
    if not name.startswith("<") or type(cache) is not dict:
        return ""
    entry, number = cache.get(name), frame.f_lineno or 0
    if type(entry) is tuple and len(entry) == 4 and 0 < number <= len(entry[2]):
        return str(entry[2][number - 1])
    return ""


def _tasks(session: Session, _what: str) -> Message:
    numbers = seeking.numbers_of(session.namespace)
    numbers.forget_ended()
    seen, kernels = tasks.seen()
    shown = seen[: tasks.MOST]
    known = {id(each.task): numbers.of(each.task) for each in shown}
    told = _Tasks(shown, known)
    bound = session.namespace.binding
    return {
        "tasks": [told.row(each) for each in shown],
        "left_out": len(seen) - len(shown),
        "kernel": kernels,
        "bound": bound.describe() if bound.within else "",
    }


class _Tasks:
    """What tasks have in common, found out once."""

    def __init__(self, shown: list[tasks.Task], known: dict[int, int]) -> None:
        self._known = known
        self._threads = {thread.ident: thread.name for thread in threads.seen()[0]}
        loops = {id(each.loop): each.loop for each in shown}
        self._running = {id(tasks.running(loop)) for loop in loops.values()}

    def row(self, each: tasks.Task) -> Message:
        number = self._known[id(each.task)]
        waiters = tasks.waiters(each.task, self._known)
        return {
            "number": number,
            "name": each.name[:_LONGEST_NAME],
            "thread": self._thread_of(each.loop),
            "frames": [_row(frame) for frame in each.frames()[::-1][:_NEAR]],
            "running": id(each.task) in self._running,
            "waiters": [waiter for waiter in waiters if waiter != number],
        }

    def _thread_of(self, loop: tasks.Loop) -> str:
        return self._threads.get(loop.thread, "the kernel's") if loop.thread else ""


def _where(session: Session, _what: str) -> Message:
    binding = session.namespace.binding
    stack = stack_of(binding)
    frames = stack.frames()
    index = index_in(binding, frames)
    main = threads.with_ident(native.main_ident())
    source = "" if index < 0 else _remembered(frames[index])
    line = binding.line() or (frames[index].f_lineno or 0 if index >= 0 else 0)
    return {
        "binding": binding.as_message() | {"line": line},
        "is_gone": binding.is_gone(),
        "source": source,
        "number": index,
        "depth": len(frames),
        "main": [] if main is None else _to_the_users(main.frames()),
        "ident": native.main_ident(),
    }


def _offers(session: Session, what: str) -> Message:
    """What may stand behind a command that binds: texts, each with a word on what it is."""
    return {"offers": _OFFERS[what](session)}


def _offered_frames(session: Session) -> list[list[str]]:
    """Functions of the bound stack, with their numbers; those of the user's on other threads;
    and the threads, which may follow a number.
    """
    frames = stack_of(session.namespace.binding).frames()
    offers = {str(number): _place(frame) for number, frame in enumerate(frames)}
    others = [frame for thread in threads.seen()[0] for frame in thread.frames()]
    theirs = [frame for frame in others if is_user_code(frame.f_code.co_filename)]
    offers |= {frame.f_code.co_name: _place(frame) for frame in [*theirs, *frames]}
    return [*map(list, offers.items()), *_offered_threads(session)]


def _place(frame: FrameType) -> str:
    file, line, name = _row(frame)
    return f"{name}() at {file.rpartition('/')[2]}:{line}"


def _offered_threads(_session: Session) -> list[list[str]]:
    return [[each.name, str(each.native or each.ident)] for each in threads.seen()[0]]


def _offered_tasks(_session: Session) -> list[list[str]]:
    return [[each.name, "task"] for each in tasks.seen()[0][: tasks.MOST]]


def _offered_modules(_session: Session) -> list[list[str]]:
    return [[name, "module"] for name in list(sys.modules) if not name.startswith("_live_kernel_")]


def _offered_stacks(session: Session) -> list[list[str]]:
    return _offered_threads(session) + _offered_tasks(session)


_OFFERS = {
    "stacks": _offered_stacks,
    "frames": _offered_frames,
    "threads": _offered_threads,
    "tasks": _offered_tasks,
    "modules": _offered_modules,
}

_LOOKS = {
    "threads": _threads,
    "stack": _stack,
    "tasks": _tasks,
    "where": _where,
    "offers": _offers,
}
