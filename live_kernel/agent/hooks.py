"""Our tool at `sys.monitoring`, by which the program stops or tells where it was asked to.

Runs in the target: places are watched on threads of cells, the callbacks run on whatever
thread comes by. One tool for all sessions, with a number that nobody uses; it is there as long
as a place is watched.
Rule: events are wanted of single code objects only, and whatever line of theirs is not watched
is left alone from the first time on; nothing of ours is raised into the program.
"""

from __future__ import annotations

import os
import sys

from . import native
from .actions import Refused
from .codes import START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    Spot = tuple[CodeType, int]
    OnHit = Callable[[FrameType], object]

_NUMBERS = (3, 4, 5, 2)
"""Of tools; those left out are a debugger's and coverage's."""

_monitoring = sys.monitoring
_LINE, _CALL = _monitoring.events.LINE, _monitoring.events.PY_START

_watched: dict[tuple[int, int], tuple[OnHit, ...]] = {}
"""By the identity of a code object, and the line (`START`: its begin)."""

_codes: dict[int, CodeType] = {}
_tool = -1
_pid = os.getpid()
_lock = native.Lock()


def watch(spots: list[Spot], on_hit: OnHit) -> None:
    """Have `on_hit` called, with the frame, whenever a thread comes by. Raises Refused."""
    with _lock:
        _take_tool()
        for code, line in spots:
            _codes[id(code)] = code
            _watched[id(code), line] = (*_watched.get((id(code), line), ()), on_hit)
        for code in {id(code): code for code, _ in spots}.values():
            # Off and on: so the lines that were left alone are told of again.
            _monitoring.set_local_events(_tool, code, 0)
            _monitoring.set_local_events(_tool, code, _events_of(code))


def unwatch(spots: list[Spot], on_hit: OnHit) -> None:
    """Call it no longer. With the last place that is watched, the tool is given back."""
    with _lock:
        for code, line in spots:
            left = tuple(each for each in _watched.get((id(code), line), ()) if each != on_hit)
            _watched[id(code), line] = left
            if not left:
                del _watched[id(code), line]
        for code in {id(code): code for code, _ in spots}.values():
            if _tool >= 0:
                _monitoring.set_local_events(_tool, code, _events_of(code))
            if not _events_of(code):
                _codes.pop(id(code), None)
        if not _watched:
            _give_tool_back()


def is_watched(code: CodeType, line: int) -> bool:
    """Is this line of this code watched?"""
    return (id(code), line) in _watched


def _events_of(code: CodeType) -> int:
    lines = [line for known, line in _watched if known == id(code)]
    events = _CALL if START in lines else 0
    return events | (_LINE if any(lines) else 0)


def _take_tool() -> None:
    global _tool, _pid
    if _tool >= 0:
        return
    for number in _NUMBERS:
        try:
            _monitoring.use_tool_id(number, "live-kernel: breakpoints")
        except ValueError:
            continue  # somebody's
        _tool, _pid = number, os.getpid()
        _monitoring.register_callback(number, _LINE, _on_line)
        _monitoring.register_callback(number, _CALL, _on_call)
        return
    raise Refused(
        "MonitoringInUse",
        "The program itself uses all of sys.monitoring's tools.",
        "A breakpoint needs one of them: end a profiler or a tracer that runs in it.",
    )


def _give_tool_back() -> None:
    global _tool
    if _tool < 0:
        return
    for code in _codes.values():
        _monitoring.set_local_events(_tool, code, 0)
    _codes.clear()
    for event in (_LINE, _CALL):
        _monitoring.register_callback(_tool, event, None)
    _monitoring.free_tool_id(_tool)
    _tool = -1


def _on_line(code: CodeType, line: int) -> object:
    watchers = _watched.get((id(code), line))
    if watchers is None:
        return _monitoring.DISABLE
    return _tell(watchers, sys._getframe(1))


def _on_call(code: CodeType, _offset: int) -> object:
    watchers = _watched.get((id(code), START))
    if watchers is None:
        return _monitoring.DISABLE
    return _tell(watchers, sys._getframe(1))


def _tell(watchers: tuple[OnHit, ...], frame: FrameType) -> object:
    """(What comes out of it is the program's: a Ctrl-C of its own, while it waits.)"""
    if os.getpid() != _pid:
        _leave_in_child()
        return None
    for on_hit in watchers:
        on_hit(frame)
    return None


def _leave_in_child() -> None:
    """In a forked child, in which nobody waits for what it hits."""
    _watched.clear()
    _give_tool_back()
