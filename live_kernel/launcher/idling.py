"""Leaving a program that nobody uses any more.

Runs on the launcher's reactor. What counts as use is what a person does: cells, answers,
widgets, completion and help; not what front-ends ask for by themselves. Rule: no cell that
works is cut off. But one that only shows a value for ever is no work; and a thread of the
program that stands still for somebody who does not answer is let go.
"""

from __future__ import annotations

from collections.abc import Callable

from .attachment import State
from .reactor import Reactor, Timer
from .target import Target
from .wire import Request

_OF_FRONT_ENDS = frozenset(
    {
        *("kernel_info_request", "comm_info_request", "connect_request", "history_request"),
        *("usage_request", "debug_request", "list_subshell_request"),
        *("create_subshell_request", "delete_subshell_request"),
    }
)
"""Requests that front-ends send without anybody's doing."""


class Idling:
    """Has the target left once it has not been used for as long as its rails say.

    `is_busy_beside` tells whether a cell runs elsewhere than in the target.
    """

    def __init__(self, reactor: Reactor, target: Target) -> None:
        self._reactor, self._target = reactor, target
        self._timer: Timer | None = None
        target.on_entered = self.look
        self.is_busy_beside: Callable[[], bool] = lambda: False

    def hear(self, request: Request) -> None:
        """A request of a front-end's has come."""
        is_silent = request.kind == "execute_request" and request.content.get("silent") is True
        if request.kind not in _OF_FRONT_ENDS and not is_silent:
            self._target.use.go_on()

    def look(self) -> None:
        """See whether it is time to leave, and look again when it may be."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        limit, _ = self._target.idle
        if not limit or self._target.state is not State.ATTACHED:
            return
        if self._target.is_in_use() or self.is_busy_beside():
            self._target.use.go_on()
        rest = self._target.use.rest(limit)
        if rest > 0:
            self._timer = self._reactor.later(rest, self.look)
        else:
            self._target.leave_unused()
