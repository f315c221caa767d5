"""`%threads`, `%stack`, `%tasks`, `%where`: what the program is doing.

Runs on the launcher's reactor, and shows on a thread. Rule: these never wait for a cell
that runs, for the program's main thread, or for its GIL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..execution import Done, Execution
from ..guarding import Reach
from .command import Command

if TYPE_CHECKING:
    from ..looking import Seen


class Look(Command):
    """A look at the target. `about` is the agent's question (see `agent/looks.py`)."""

    about: ClassVar[str]
    is_aside = True

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        from ..looking import Looking  # with what reads processes from outside

        what = self.what(argument.strip())

        def look() -> None:
            Looking(self._target, self.about, what, execution, show, done).begin()

        def show(seen: Seen) -> dict[str, str]:
            return self.show(seen, what)

        if self._target.is_there:
            look()
        else:
            self._in_target.when_attached(execution, look, done)

    def what(self, argument: str) -> str:
        """What is to be looked at. Raises CommandMisused."""
        if argument:
            raise self.misused(f"{self.name()} takes no argument.")
        return ""

    def show(self, seen: Seen, what: str) -> dict[str, str]:
        """A MIME bundle of what was found. Runs on a thread. Raises LiveKernelError."""
        raise NotImplementedError


class Threads(Look):
    """Show every thread of the program: where it is, in what it waits, who holds the GIL.

    `CPU` is the processor time that it has used, and the share of a processor since the last
    %threads. Also works while a cell runs, and where the program can't answer: before the
    kernel is in, and while C code keeps the GIL. Then Python is read from outside.
    """

    reach = Reach.LOOKS
    usage = "%threads"
    about = "threads"

    def show(self, seen: Seen, what: str) -> dict[str, str]:
        from ..showing import threads

        return threads.table(seen).as_bundle()


class Stack(Look):
    """Show the frames of a thread or a task, the innermost last; of the bound one by itself.

    The number in front is what %frame takes. `→` marks the frame that cells see.

        %stack                 of the bound thread or task
        %stack worker-1        of a thread, by its name or id; or of a task, by its name or number
    """

    reach = Reach.LOOKS
    usage = "%stack [THREAD|TASK]"
    about = "stack"
    completes = "stacks"

    def what(self, argument: str) -> str:
        return argument

    def show(self, seen: Seen, what: str) -> dict[str, str]:
        from ..showing import stacks

        return stacks.table(seen, what).as_bundle()


class Tasks(Look):
    """Show the program's asyncio tasks as a tree: below each, the tasks for which it waits.

    All loops' on all threads. The number in front is what %task takes.
    """

    reach = Reach.LOOKS
    usage = "%tasks"
    about = "tasks"

    def show(self, seen: Seen, what: str) -> dict[str, str]:
        from ..showing import tasks

        return tasks.table(seen).as_bundle()


class Where(Look):
    """Show which names cells see, where that place stands now, and what the main thread does."""

    reach = Reach.LOOKS
    usage = "%where"
    about = "where"

    def show(self, seen: Seen, what: str) -> dict[str, str]:
        from ..showing import places

        return places.bundle(seen)
