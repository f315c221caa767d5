"""`%%main`, `%%loop`, `%%thread`, `%%own`, `%place`: on which thread of the program a cell runs.

Runs on the launcher's reactor. Rule: here it is only written down; the agent goes there
(see `agent/held.py` and `agent/places.py`).
"""

from __future__ import annotations

from typing import ClassVar

from .. import placing
from ..execution import Done, Execution
from ..guarding import Reach
from .command import Command


class Placed(Command):
    """Base of the commands that say where the code below them runs."""

    kind: ClassVar[str]
    words = (placing.LIMIT,)

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        execution.place = placing.parse(self.kind, argument)
        done(None)


class OnMain(Placed):
    """Run the cell on the program's main thread, which it holds meanwhile.

    For what belongs to that thread: a GUI, a handle of sqlite, signal handlers. It runs at the
    thread's next safe point, also where that waits for something: the wait goes on afterwards.
    Output, errors, input() and interrupts are as in any cell. Ctrl-C and other signals of the
    program reach it when the cell has ended. With --at-most the cell is interrupted when it has
    held the thread for that long, and the program goes on.
    """

    kind = "main"
    reach = Reach.RUNS
    usage = placing.USAGES["main"]


class InLoop(Placed):
    """Run the cell in the program's running asyncio loop, as a callback there.

    Cells that await run there by themselves. With --at-most the cell is interrupted when it has
    kept the loop from its other work for that long at a time.
    """

    kind = "loop"
    reach = Reach.RUNS
    usage = placing.USAGES["loop"]


class OnThread(Placed):
    """Run the cell on a thread of the program, which it holds meanwhile.

    ID is the thread's name, its Python ident or its native id, as %threads shows them; without
    it, the thread whose names cells see. It runs at the thread's next safe point; a thread that
    waits for a lock comes to one when it gets that.
    """

    kind = "thread"
    reach = Reach.RUNS
    usage = placing.USAGES["thread"]


class OnOwn(Placed):
    """Run the cell on the kernel's own thread in the program, beside whatever that does.

    So do all cells for which nothing else is said.
    """

    kind = "own"
    reach = Reach.RUNS
    usage = placing.USAGES["own"]


class Place(Command):
    """Show where cells run, or have all cells of this session run elsewhere.

        %place main --at-most 2s     on the main thread
        %place loop                  in the program's event loop
        %place thread NAME|ID        on one of its threads
        %place own                   on the kernel's own thread, as in the beginning

    What stands above a cell (%%main, say) goes for that cell alone.
    """

    words = (*placing.USAGES, placing.LIMIT)
    reach = Reach.KERNEL
    usage = "%place [main | loop | own | thread NAME|ID] [--at-most 2s]"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        kind, _, rest = argument.strip().partition(" ")
        if kind:
            if kind not in placing.USAGES:
                raise self.misused(f"There is no place {kind!r}.")
            self._target.place = placing.parse(kind, rest)
        execution.print(f"Cells run {placing.described(self._target.place)}.")
        done(None)
