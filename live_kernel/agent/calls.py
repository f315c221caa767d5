"""One call of a function that is traced: what is noted of it, and how it is told.

Runs in the target: noted on the thread that makes the call, told on one of ours. Rule:
what is noted is texts and numbers; nothing of the program lives longer because of it.
"""

from __future__ import annotations

import os
from time import perf_counter

from . import brief, native, threads
from .lookup import is_a

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_VARARGS, _VARKEYWORDS = 0x4, 0x8
_LOOP = f"{os.sep}asyncio{os.sep}events.py"
_LONGEST = 300
"""Characters of all arguments."""


class Call:
    """One call, from its beginning."""

    __slots__ = (
        *("arguments", "at_work", "begun", "caller", "depth", "has_raised"),
        *("outcome", "pauses", "resumed", "thread", "took"),
    )

    def __init__(self, frame: FrameType) -> None:
        self.arguments = _arguments(frame)
        self.caller = _caller(frame.f_back)
        self.thread = native.get_ident()
        self.depth = self.pauses = 0
        self.outcome = ""
        self.has_raised = False
        self.begun = self.resumed = self.took = self.at_work = 0.0

    def returned(self, value: object) -> None:
        self._end()
        self.outcome = f"= {brief.brief(value)}"

    def left(self, error: BaseException) -> None:
        """It was ended by an exception; a generator that is closed has not failed."""
        self._end()
        if is_a(error, GeneratorExit):
            self.outcome = "was closed"
        else:
            self.outcome, self.has_raised = f"raised {brief.as_error(error)}", True

    def paused(self) -> None:
        """A generator yields, or a coroutine waits."""
        self._add_work(perf_counter())
        self.pauses += 1
        self.resumed = 0.0

    def _add_work(self, now: float) -> None:
        if self.resumed:  # or it was woken by an exception, of which nobody is told
            self.at_work += now - self.resumed

    def _end(self) -> None:
        now = perf_counter()
        self.took = now - self.begun
        self._add_work(now)


def _arguments(frame: FrameType) -> str:
    code, local = frame.f_code, frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames[:count])
    marks = [mark for flag, mark in ((_VARARGS, "*"), (_VARKEYWORDS, "**")) if code.co_flags & flag]
    starred = dict(zip(code.co_varnames[count : count + len(marks)], marks, strict=True))
    words = [f"{name}={brief.brief(local[name])}" for name in names if name in local]
    words += [
        f"{mark}{brief.brief(local[name])}" for name, mark in starred.items() if local.get(name)
    ]
    text = ", ".join(words)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _caller(frame: FrameType | None) -> str:
    if frame is None:
        return ""
    code = frame.f_code
    if code.co_filename.endswith(_LOOP):
        return "the event loop"
    return f"{code.co_qualname}, {code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"


def told_of(call: Call, name: str, has_ended: bool = True) -> str:
    """One line."""
    words = ["· " * call.depth + f"{name}({call.arguments}) {call.outcome}".rstrip()]
    if has_ended:
        words.append(duration(call.took))
    else:
        words.append(f"has not returned for {duration(perf_counter() - call.begun)}")
    if call.pauses:
        times = "once" if call.pauses == 1 else f"{call.pauses} times"
        words.append(f"{duration(call.at_work)} of it at work, paused {times}")
    if call.caller:
        words.append(f"from {call.caller}")
    if call.thread != native.main_ident():
        words.append(f"on {threads.name_of(call.thread) or f'thread {call.thread}'}")
    return "   ".join(words)


def duration(seconds: float) -> str:
    """`3.5 s`, `0.21 ms`, `6.4 µs`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size / 10:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
