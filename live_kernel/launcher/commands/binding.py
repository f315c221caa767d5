"""`%frame`, `%up`, `%down`, `%thread`, `%task`, `%module`: which names the cells see.

Runs on the launcher's reactor; what is bound, the agent decides (`agent/rebinding.py`).
Rule: a binding is the kernel's own; the program is not touched by it.
"""

from __future__ import annotations

from typing import Any

from ..guarding import Reach
from .command import Action


class Bind(Action):
    """A command that chooses a binding."""

    action = "bind"

    def options(self, argument: str) -> dict[str, Any]:
        how = self.name().removeprefix("%")
        return {"how": how, "what": self.what(argument)}

    def what(self, argument: str) -> str:
        """What is to be bound, in the user's words. Raises CommandMisused."""
        if not argument:
            raise self.misused(f"{self.name()} needs to know which.")
        return argument


class Frame(Bind):
    """Let cells see the variables of another function that runs or waits, and assign to them.

    It is found again before every cell; once it has returned, you are told what is seen instead.

        %frame                    what is seen now
        %frame 3                  by the number that %stack shows
        %frame 3 worker-1         on another thread, or in a task
        %frame handle             by the function's name; or a name for a generator or coroutine
        %frame orders.py:120      by the file, and a line in the function
        %frame --default          as after the attach
    """

    reach = Reach.LOOKS
    usage = "%frame [N [THREAD|TASK] | NAME | FILE:LINE | --default]"
    words = ("--default",)
    completes = "frames"

    def what(self, argument: str) -> str:
        return argument


class Up(Bind):
    """Let cells see the caller of the function that they see; %up 2: the caller's caller."""

    reach = Reach.LOOKS
    usage = "%up [N]"

    def what(self, argument: str) -> str:
        if argument and not argument.isdecimal():
            raise self.misused(f"{argument!r} is no number of frames.")
        return argument or "1"


class Down(Up):
    """Let cells see the function that the one which they see has called; %down 2: two further."""

    reach = Reach.LOOKS
    usage = "%down [N]"


class Thread(Bind):
    """Let cells see the innermost function of your code on another thread.

    By the thread's name, or one of the numbers that %threads shows.
    """

    reach = Reach.LOOKS
    usage = "%thread NAME|ID"
    completes = "threads"


class Task(Bind):
    """Let cells see the innermost function of your code in which an asyncio task waits.

    By the task's name, or the number that %tasks shows. %up and %down go along what it awaits.
    """

    reach = Reach.LOOKS
    usage = "%task NAME|N"
    completes = "tasks"


class Module(Bind):
    """Let cells see the names of a module that the program has loaded, such as __main__."""

    reach = Reach.LOOKS
    usage = "%module NAME"
    completes = "modules"
