"""Calls of single functions of the program: a probe is told of each.

Runs in the target: probes are set on threads of ours, and told by the interpreter on the
program's, in the middle of its calls. Events are local to the code of the functions that
are watched; but CPython 3.14 tells of a function left by an exception either for all code
or for none. There we ask for all of it as long as there is a probe, which costs the program
something only where an exception leaves a function, and only some hundredths of a
microsecond.
Rule: nothing of ours is raised into the program, and nothing of the program's, such as a
signal handler's exception, is swallowed. The tool is given back with the last probe.
"""

from __future__ import annotations

import sys

from . import monitoring
from .actions import Refused
from .frames import is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Protocol

    class Probe(Protocol):
        """Is told of the calls of one function, by their frames.

        To get at a frame takes longer than all else that is done here; so `begun` does it
        itself, by `sys._getframe(2)`, where it needs to.
        """

        def begun(self) -> None: ...
        def returned(self, frame: FrameType, value: object) -> None: ...
        def left(self, frame: FrameType, error: BaseException) -> None: ...
        def paused(self, frame: FrameType) -> None: ...
        def resumed(self, frame: FrameType) -> None: ...


_EVENTS = sys.monitoring.events

_PAUSES = 0x20 | 0x80 | 0x200
"""Flags of the code of generators, coroutines, and what is both."""

_UNWINDS_LOCALLY = sys.version_info >= (3, 15)

_probes: dict[int, Probe] = {}
"""By the id of the code: to find a code object by itself would take longer."""

_codes: dict[int, CodeType] = {}
"""Those codes, so that their ids stay theirs."""


def watch(code: CodeType, probe: Probe) -> None:
    """Have the probe told of this code's calls. Raises Refused."""
    with _tool.lock:
        if id(code) in _probes:
            raise Refused(
                "TracedAlready",
                f"{code.co_qualname}() is traced already, here or by another kernel.",
                "%untrace ends a trace of this notebook's; %trace lists them.",
            )
        _tool.take(_CALLBACKS)
        _probes[id(code)], _codes[id(code)] = probe, code
        _tool.tell_of(code, _EVENTS.PY_START | _endings(code))
        if not _UNWINDS_LOCALLY:
            _tool.tell_of_all(_EVENTS.PY_UNWIND)


def tell_of(code: CodeType, beginnings: bool = True, endings: bool = True) -> None:
    """From now on, tell of these only."""
    with _tool.lock:
        if id(code) in _probes:
            _tool.tell_of(code, _EVENTS.PY_START * beginnings | _endings(code) * endings)


def leave(code: CodeType) -> None:
    """Watch this code no longer. May be said on any thread, and again."""
    with _tool.lock:
        if _probes.pop(id(code), None) is None:
            return
        del _codes[id(code)]
        _tool.tell_of(code, 0)
        if not _probes:
            _tool.give_back()


def _leave_all() -> None:
    for code in list(_codes.values()):
        leave(code)


_tool = monitoring.Tool("traces", _leave_all)


def pauses(code: CodeType) -> bool:
    """Is it the code of a generator or a coroutine, whose calls may be under way side by side?"""
    return bool(code.co_flags & _PAUSES)


def _endings(code: CodeType) -> int:
    events = _EVENTS.PY_RETURN
    if pauses(code):
        events |= _EVENTS.PY_YIELD | _EVENTS.PY_RESUME
    if _UNWINDS_LOCALLY:
        events |= _EVENTS.PY_UNWIND
    return int(events)


# On the program's threads.


def _on_start(code: CodeType, _offset: int) -> None:
    try:
        _probes[id(code)].begun()
    except BaseException as error:
        if not _is_of_ours(error):
            raise


def _on_return(code: CodeType, _offset: int, value: object) -> None:
    try:
        _probes[id(code)].returned(sys._getframe(1), value)
    except BaseException as error:
        if not _is_of_ours(error):
            raise


def _on_unwind(code: CodeType, _offset: int, raised: BaseException) -> None:
    if id(code) not in _probes:  # most often, where all code is told of
        return
    try:
        _probes[id(code)].left(sys._getframe(1), raised)
    except BaseException as error:
        if not _is_of_ours(error):
            raise


def _on_yield(code: CodeType, _offset: int, _value: object) -> None:
    try:
        _probes[id(code)].paused(sys._getframe(1))
    except BaseException as error:
        if not _is_of_ours(error):
            raise


def _on_resume(code: CodeType, _offset: int) -> None:
    try:
        _probes[id(code)].resumed(sys._getframe(1))
    except BaseException as error:
        if not _is_of_ours(error):
            raise


_CALLBACKS: dict[int, Any] = {
    _EVENTS.PY_START: _on_start,
    _EVENTS.PY_RETURN: _on_return,
    _EVENTS.PY_UNWIND: _on_unwind,
    _EVENTS.PY_YIELD: _on_yield,
    _EVENTS.PY_RESUME: _on_resume,
}


def _is_of_ours(error: BaseException) -> bool:
    """Was it raised by our code, rather than by a signal's handler that fell into it?"""
    if not isinstance(error, Exception):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and is_ours(traceback.tb_frame)
