"""What is suspended in what: the frames of a coroutine or generator, down to where it waits.

Runs in the target, on the control thread and the threads of cells; loaded late. A
coroutine that waits is on no thread's stack; Python keeps the way from each to the
next that it awaits.
Rule: only what is built in is followed; an awaitable of the program's is never asked.
"""

from __future__ import annotations

import types

from . import threads
from .frames import is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_LONGEST = 500
"""So many frames are followed."""

_STEPS = {
    types.CoroutineType: ("cr_frame", "cr_await", "cr_running"),
    types.GeneratorType: ("gi_frame", "gi_yieldfrom", "gi_running"),
    types.AsyncGeneratorType: ("ag_frame", "ag_await", "ag_running"),
}

_WRAPPERS = frozenset(
    {"coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"}
)
"""Built-in types that stand between two of these, and have no attribute that tells."""


def is_suspendable(value: object) -> bool:
    """Is it a coroutine, a generator or an asynchronous generator?"""
    return type(value) in _STEPS


def frames(outermost: Any) -> list[FrameType]:
    """The frames of a coroutine or generator and of what it awaits, the outermost first.

    While it runs, those that it has called are on its thread's stack, and are taken from there.
    """
    found: list[FrameType] = []
    owner = outermost
    while owner is not None and len(found) < _LONGEST:
        steps = _STEPS.get(type(owner))
        if steps is None:
            owner = _wrapped(owner)
            continue
        frame = getattr(owner, steps[0])
        if frame is None:
            break
        found.append(frame)
        inner = getattr(owner, steps[1])  # of an asynchronous one that "runs", too
        if inner is None and getattr(owner, steps[2]):
            found += _called_by(frame)
        owner = inner
    return [frame for frame in found if not is_ours(frame)]


def _wrapped(wrapper: Any) -> Any:
    """What is behind a wrapper of Python's own; None where that is nothing to follow."""
    if type(wrapper).__name__ not in _WRAPPERS:
        return None
    import gc

    return next((each for each in gc.get_referents(wrapper) if is_suspendable(each)), None)


def _called_by(outer: FrameType) -> list[FrameType]:
    """The frames on a thread's stack inside of this one, the outermost first."""
    for innermost in threads.innermost_frames().values():
        inside: list[FrameType] = []
        frame: FrameType | None = innermost
        while frame is not None and frame is not outer:
            inside.append(frame)
            frame = frame.f_back
        if frame is outer:
            return inside[::-1]
    return []
