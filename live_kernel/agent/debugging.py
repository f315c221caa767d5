"""`%break`, `%unbreak`, `%enter`, and the answer to `%breaks`.

Runs in the target, on the thread of a cell; the answer on the control thread. Rule: what
can't be done is said before anything is changed.
"""

from __future__ import annotations

from . import breakpoints, brief, locations, native, stops
from .actions import Refused
from .entering import Entered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell
    from .shell import Shell

    Options = dict[str, Any]


def break_(cell: Cell, shell: Shell, options: Options) -> None:
    """Set a breakpoint."""
    location = locations.find(options["where"], shell.namespace)
    made = breakpoints.of(shell).set(cell, location, options["condition"], options["log"])
    condition = f", if {made.condition}" if made.condition else ""
    what = "Logs" if made.log else "Breakpoint"
    cell.output.write("stdout", f"{what} {made.number}: {location.text}{condition}\n")
    for note in location.notes:
        cell.output.write("stdout", f"({note})\n")


def unbreak(cell: Cell, shell: Shell, options: Options) -> None:
    """Remove one breakpoint, the last, or all."""
    known = breakpoints.of(shell).breakpoints
    which = options["which"]
    numbers = list(known) if which == "all" else [int(which)] if which else list(known)[-1:]
    for number in numbers:
        if number not in known:
            raise Refused("BreakpointUnknown", f"There is no breakpoint {number}.", "See %breaks.")
    for number in numbers:
        gone = known[number]
        gone.entry.undo()
        hits = brief.plural(gone.hits, "hit")
        cell.output.write("stdout", f"Removed {number}: {gone.location.text} ({hits})\n")
    if not numbers:
        cell.output.write("stdout", "There are no breakpoints.\n")


def rows(shell: Shell) -> list[Options]:
    """The breakpoints of a session."""
    return [each.as_row() for each in list(breakpoints.of(shell).breakpoints.values())]


def enter(cell: Cell, shell: Shell, options: Options) -> None:
    """Debug a thread of the program until the user lets it run on."""
    if not cell.allow_input:
        raise Refused(
            "InputNeeded",
            "%enter asks what to do next, and this front-end can't be asked.",
            "It works in a notebook, in a console, and wherever input() does.",
        )
    table = breakpoints.of(shell)
    wanted = _thread(options["thread"])
    bound = shell.namespace.binding.thread or native.main_ident()
    stop = table.stop_for(wanted or bound) or (None if wanted else table.stop_for(0))
    thread = stop.thread if stop is not None else wanted or bound
    if breakpoints.is_thread_of_ours(thread):
        raise Refused("ThreadOfTheKernel", "That thread is the kernel's own.", _THREADS)
    if stop is None and thread in stops.waiting:
        raise Refused(
            "ThreadWaits", "That thread waits at a breakpoint that another session has set."
        )
    entered = Entered(cell, shell, thread)
    if stop is None:
        entered.attend(Entered.visit)
    else:
        entered.attend(lambda entered: _take_up(stop, entered))


_THREADS = "%enter takes a thread of the program."


def _take_up(stop: stops.Stop, entered: Entered) -> None:
    if not stop.take_up(entered):
        entered.visit()  # it has gone on at this very moment


def _thread(text: str) -> int:
    """The thread that is named, or 0. Raises Refused."""
    if not text:
        return 0
    if text.isdecimal() and breakpoints.is_thread_of_ours(int(text)):
        return int(text)  # which no name of the program's threads leads to
    from . import held

    return held.thread_named(text)
