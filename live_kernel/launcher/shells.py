"""The shells of the kernel: the main one, and the subshells that front-ends ask for.

Runs on the launcher's reactor. A subshell runs its cells beside those of the
others, on a thread of its own in the target, with the same names. Rule: each
shell is one queue; a request belongs to the shell that its header names.
Source: JEP 91, "Kernel subshells".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .execution import Execution, Queue
from .target import Target
from .wire import Request


class UnknownSubshell(Exception):
    """A request names a subshell that is not there (any more)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown subshell_id {name!r}")


class Shells:
    """The queues of the main shell and the subshells."""

    def __init__(self, target: Target, make_queue: Callable[[], Queue]) -> None:
        self._target = target
        self._make_queue = make_queue
        self._queues: dict[str, Queue] = {"": make_queue()}

    def of(self, request: Request) -> Queue:
        """The queue of the shell that a request is for. Raises UnknownSubshell."""
        return self.named(request.subshell)

    def named(self, name: str) -> Queue:
        """The queue of a subshell; of the main shell for the empty name. Raises UnknownSubshell."""
        queue = self._queues.get(name)
        if queue is None:
            raise UnknownSubshell(name)
        return queue

    @property
    def subshells(self) -> list[str]:
        """The ids of the subshells, oldest first."""
        return [name for name in self._queues if name]

    def running(self) -> list[Execution]:
        """The cells that run now."""
        all_of_them = [queue.running for queue in self._queues.values()]
        return [each for each in all_of_them if isinstance(each, Execution)]

    def create(self) -> str:
        """Begin a subshell. Returns its id."""
        name = secrets.token_hex(16)
        self._queues[name] = self._make_queue()
        self._target.set_subshells(self.subshells)
        return name

    def delete(self, name: str) -> None:
        """End a subshell, after the cell that it runs. Raises UnknownSubshell."""
        if not name:
            raise UnknownSubshell(name)
        queue = self.named(name)
        del self._queues[name]
        self._target.set_subshells(self.subshells)
        queue.abort_waiting()
