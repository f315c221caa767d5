"""Our tools at `sys.monitoring`: each has a number of its own for as long as it is needed.

Runs in the target: numbers are taken and given back on threads of ours, at the interpreter's
exit on its main thread, and in a forked child on the only one there is.
Rule: tools of the program are not touched: we take a number that is free and stands for
nothing in particular. Events are wanted of single code objects, of all code only where
Python has no other way, and with the number all of them go.
"""

from __future__ import annotations

import atexit
import os
import sys

from . import forks, native
from .actions import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

_monitoring = sys.monitoring
_NUMBERS = (4, 3, 5)
"""Those of the tools that stand for nothing in particular, or for nobody so far."""


class Tool:
    """One tool, with what it is for, in words. `lock`: held to change what it is told of.

    `end` is called in a forked child, where nobody waits for what is told, and at exit, which
    takes away what callbacks need: it gives the tool back, if it has a number.
    """

    def __init__(self, purpose: str, end: Callable[[], object]) -> None:
        self._purpose, self._end = purpose, end
        self._number = -1
        self._pid = 0
        self._callbacks: Mapping[int, Callable[..., object]] = {}
        self.lock = native.SafeLock()
        forks.in_child.append(self._end_in_child)

    def take(self, callbacks: Mapping[int, Callable[..., object]]) -> None:
        """Have a number, unless there is one, and these called, by events. Raises Refused."""
        if self._number >= 0:
            return
        for number in _NUMBERS:
            try:
                _monitoring.use_tool_id(number, f"live-kernel: {self._purpose}")
            except ValueError:
                continue  # somebody's
            self._number, self._pid, self._callbacks = number, os.getpid(), callbacks
            atexit.register(self._end)
            for event, callback in callbacks.items():
                _monitoring.register_callback(number, event, callback)
            return
        owners = ", ".join(str(_monitoring.get_tool(number)) for number in _NUMBERS)
        raise Refused(
            "NoToolFree",
            f"The program uses all of sys.monitoring's tools that are free for any use: {owners}.",
            "It is possible once one of them has been given back.",
        )

    def give_back(self) -> None:
        """Be told of nothing any more. What is wanted of single code objects goes before."""
        if self._number < 0:
            return
        _monitoring.set_events(self._number, 0)
        for event in self._callbacks:
            _monitoring.register_callback(self._number, event, None)
        _monitoring.free_tool_id(self._number)
        atexit.unregister(self._end)
        self._number = -1

    def tell_of(self, code: CodeType, events: int) -> None:
        """Be told of these events of this code from now on."""
        if self._number >= 0:
            _monitoring.set_local_events(self._number, code, events)

    def tell_of_all(self, events: int) -> None:
        """Be told of these events of all code."""
        _monitoring.set_events(self._number, events)

    def is_inherited(self) -> bool:
        """Is this a forked child, in which nothing was ended yet?"""
        return os.getpid() != self._pid

    def _end_in_child(self) -> None:
        self.lock = native.SafeLock()  # whoever had it is not there
        self._end()
