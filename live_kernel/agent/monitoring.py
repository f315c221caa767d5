"""The one tool of ours in `sys.monitoring`: it watches the calls of single functions.

Runs in the target: probes are set on threads of ours, and told by the interpreter on the
program's, in the middle of its calls. Events are local to the code of the functions that
are watched; but CPython 3.14 tells of a function left by an exception either for all code
or for none. There we ask for all of it as long as there is a probe, which costs the program
something only where an exception leaves a function, and only some hundredths of a
microsecond.
Rule: nothing of ours is raised into the program, and nothing of the program's, such as a
signal handler's exception, is swallowed. Tools of the program are not touched:
we take a free number, and give it back with the last probe.
"""

from __future__ import annotations

import atexit
import sys

from . import forks, native
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


_monitoring = sys.monitoring
_EVENTS = _monitoring.events
_NUMBERS = (4, 3, 5)
"""Those of the tools that stand for nothing in particular, or for nobody so far."""

_PAUSES = 0x20 | 0x80 | 0x200
"""Flags of the code of generators, coroutines, and what is both."""

_UNWINDS_LOCALLY = sys.version_info >= (3, 15)

_probes: dict[int, Probe] = {}
"""By the id of the code: to find a code object by itself would take longer."""

_codes: dict[int, CodeType] = {}
"""Those codes, so that their ids stay theirs."""

_lock = native.RLock()
_tool = -1


def watch(code: CodeType, probe: Probe) -> None:
    """Have the probe told of this code's calls. Raises Refused."""
    with _lock:
        if id(code) in _probes:
            raise Refused(
                "TracedAlready",
                f"{code.co_qualname}() is traced already, here or by another kernel.",
                "%untrace ends a trace of this notebook's; %trace lists them.",
            )
        if _tool < 0:
            _begin()
        _probes[id(code)], _codes[id(code)] = probe, code
        _monitoring.set_local_events(_tool, code, _EVENTS.PY_START | _endings(code))
        if not _UNWINDS_LOCALLY:
            _monitoring.set_events(_tool, _EVENTS.PY_UNWIND)


def tell_of(code: CodeType, beginnings: bool = True, endings: bool = True) -> None:
    """From now on, tell of these only."""
    with _lock:
        if id(code) in _probes:
            events = _EVENTS.PY_START * beginnings | _endings(code) * endings
            _monitoring.set_local_events(_tool, code, events)


def leave(code: CodeType) -> None:
    """Watch this code no longer. May be said on any thread, and again."""
    with _lock:
        if _probes.pop(id(code), None) is None:
            return
        del _codes[id(code)]
        _monitoring.set_local_events(_tool, code, 0)
        if not _probes:
            _end()


def _end() -> None:
    global _tool
    _monitoring.set_events(_tool, 0)
    for event in _CALLBACKS:
        _monitoring.register_callback(_tool, event, None)
    _monitoring.free_tool_id(_tool)
    atexit.unregister(_leave_all)
    _tool = -1


def _leave_all() -> None:
    """At the interpreter's exit, which takes away what the callbacks need."""
    for code in list(_codes.values()):
        leave(code)


def _leave_all_in_child() -> None:
    """In a forked child, where nobody is told of calls; whoever had the lock is not there."""
    global _lock
    _lock = native.RLock()
    _leave_all()


forks.in_child.append(_leave_all_in_child)


def _begin() -> None:
    global _tool
    for number in _NUMBERS:
        if _monitoring.get_tool(number) is None:
            _monitoring.use_tool_id(number, "live-kernel")
            _tool = number
            atexit.register(_leave_all)
            for event, callback in _CALLBACKS.items():
                _monitoring.register_callback(number, event, callback)
            return
    owners = ", ".join(str(_monitoring.get_tool(number)) for number in _NUMBERS)
    raise Refused(
        "NoToolFree",
        f"The program uses all of sys.monitoring's tools that are free for any use: {owners}.",
        "A trace is possible once one of them has been given back.",
    )


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
