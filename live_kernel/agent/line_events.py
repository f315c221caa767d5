"""Lines and functions of the program that are watched: whoever comes by is told of.

Runs in the target: places are watched on threads of cells, the callbacks run on whatever
thread comes by. One tool for all sessions, there as long as a place is watched.
Rule: whatever line of a watched function is not watched itself is left alone from the first
time on; nothing of ours is raised into the program.
"""

from __future__ import annotations

import sys

from . import monitoring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    Spot = tuple[CodeType, int]
    OnHit = Callable[[FrameType], object]

START = 0
"""The "line" of a spot which is the begin of a function, whenever it is called."""

_LINE, _CALL = sys.monitoring.events.LINE, sys.monitoring.events.PY_START
_DISABLE = sys.monitoring.DISABLE

_watched: dict[tuple[int, int], tuple[OnHit, ...]] = {}
"""By the identity of a code object, and the line (`START`: its begin)."""

_codes: dict[int, CodeType] = {}


def watch(spots: list[Spot], on_hit: OnHit) -> None:
    """Have `on_hit` called, with the frame, whenever a thread comes by. Raises Refused."""
    with _tool.lock:
        _tool.take(_CALLBACKS)
        for code, line in spots:
            _codes[id(code)] = code
            _watched[id(code), line] = (*_watched.get((id(code), line), ()), on_hit)
        for code in _codes_of(spots):
            # Off and on: so the lines that were left alone are told of again.
            _tool.tell_of(code, 0)
            _tool.tell_of(code, _events_of(code))


def unwatch(spots: list[Spot], on_hit: OnHit) -> None:
    """Call it no longer. With the last place that is watched, the tool is given back."""
    with _tool.lock:
        for code, line in spots:
            left = tuple(each for each in _watched.get((id(code), line), ()) if each != on_hit)
            _watched[id(code), line] = left  # of nothing, a thread that is there would disable it
            if not left:
                del _watched[id(code), line]
        for code in _codes_of(spots):
            events = _events_of(code)
            _tool.tell_of(code, events)
            if not events:
                _codes.pop(id(code), None)
        if not _watched:
            _end()


def _codes_of(spots: list[Spot]) -> list[CodeType]:
    return list({id(code): code for code, _ in spots}.values())


def is_watched(code: CodeType, line: int) -> bool:
    """Is this line of this code watched?"""
    return (id(code), line) in _watched


def _events_of(code: CodeType) -> int:
    lines = [line for known, line in _watched if known == id(code)]
    events = _CALL if START in lines else 0
    return events | (_LINE if any(lines) else 0)


def _end() -> None:
    """Watch nothing."""
    with _tool.lock:
        _watched.clear()
        while _codes:
            _tool.tell_of(_codes.popitem()[1], 0)
        _tool.give_back()


_tool = monitoring.Tool("breakpoints", _end)


# On the program's threads.


def _on_line(code: CodeType, line: int) -> object:
    watchers = _watched.get((id(code), line))
    if watchers is None:
        return _DISABLE
    return _tell(watchers, sys._getframe(1))


def _on_call(code: CodeType, _offset: int) -> object:
    watchers = _watched.get((id(code), START))
    if watchers is None:
        return _DISABLE
    return _tell(watchers, sys._getframe(1))


_CALLBACKS = {_LINE: _on_line, _CALL: _on_call}


def _tell(watchers: tuple[OnHit, ...], frame: FrameType) -> object:
    """(What comes out of it is the program's: a Ctrl-C of its own, while it waits.)"""
    if _tool.is_inherited():  # by a child in which hooks of the program's come before ours
        return None
    for on_hit in watchers:
        on_hit(frame)
    return None
