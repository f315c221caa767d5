"""`%break`, `%breaks`, `%unbreak`, `%enter`: stopping the running program, where the user says so.

Runs on the launcher's reactor. Rule: here it is only read what is typed; places are found, and
threads stopped, by the agent (see `agent/debugging.py`).
"""

from __future__ import annotations

import re
from typing import Any

from ..execution import Execution
from ..guarding import Reach
from ..wire import Content
from .command import Action, Question

_PLACE = r'(?P<where>"[^"]+"|[^\s"]+)'
_CONDITION = r"(?:\s+if\s+(?P<condition>.+))?"
_BREAK = re.compile(_PLACE + _CONDITION, re.DOTALL)
_LOG = re.compile(r"--log\s+(?P<log>.+?)\s+" + _PLACE + _CONDITION, re.DOTALL)


class Break(Action):
    """Set a breakpoint in the running program, on all its threads.

        %break app.py:12                      a line; of the path, as much as is needed
        %break 12                             a line of the file whose names cells see
        %break handle                         a function, whenever it is called
        %break app.py:12 if n > 3             only where that is true there
        %break --log n * 2 app.py:12 if n     show a value each time, and stop nothing

    It costs nothing until it is hit. Then the notebook says so, and the thread that has hit it
    waits, and no other: %enter takes it up. A cell that calls such code is asked at once. What
    is logged appears below this cell; where too much comes, some is left out, and said to be.
    """

    reach = Reach.RUNS
    usage = "%break [--log EXPR] FILE:LINE|FUNCTION [if EXPR]"
    action = "break"
    words = ("--log",)
    takes_code = True

    def options(self, argument: str) -> dict[str, Any]:
        is_log = _is_log(argument)
        found = (_LOG if is_log else _BREAK).fullmatch(argument)
        if found is None:
            what = "%break needs to know what to show, and where." if is_log else _NO_PLACE
            raise self.misused(what if argument else "%break needs a place.")
        given = {"log": "", **found.groupdict("")}
        given["where"] = given["where"].strip('"')
        return given

    def reach_of(self, argument: str) -> Reach:
        return Reach.EVALUATES if _is_log(argument) else self.reach


def place_in(argument: str) -> tuple[int, int]:
    """Where the place stands in an argument of `%break` that makes sense."""
    text = argument.strip()
    found = (_LOG if _is_log(text) else _BREAK).fullmatch(text)
    assert found is not None
    skipped = len(argument) - len(argument.lstrip())
    return found.start("where") + skipped, found.end("where") + skipped


def _is_log(argument: str) -> bool:
    """Does it show something, and stop nothing?"""
    return argument.split(maxsplit=1)[:1] == ["--log"]


_NO_PLACE = "%break takes one place, and a condition behind `if`."


class Breaks(Question):
    """List the breakpoints, how often each was hit, and the threads that wait there."""

    reach = Reach.LOOKS
    usage = "%breaks"
    about = "breaks"

    def show(self, answer: Content, argument: str, execution: Execution) -> None:
        rows = answer.get("rows")
        if not isinstance(rows, list) or not rows:
            execution.print("There are no breakpoints." if rows == [] else "No answer.")
            return
        table = [("", "place", "hits", ""), *map(_as_row, rows)]
        widths = [max(len(row[column]) for row in table) for column in range(3)]
        for number, place, hits, more in table:
            line = f"{number:>{widths[0]}}  {place:<{widths[1]}}  {hits:>{widths[2]}}  {more}"
            execution.print(line.rstrip())


def _as_row(row: Content) -> tuple[str, str, str, str]:
    more = []
    if row.get("log"):
        more.append(f"logs {row['log']}")
    if row.get("condition"):
        more.append(f"if {row['condition']}")
    more += [f"{name} waits" for name in row.get("waiting") or []]
    return str(row.get("number")), str(row.get("place")), str(row.get("hits")), ", ".join(more)


class Unbreak(Action):
    """Remove a breakpoint, by its number in %breaks; without one, the last that was set.

    Threads that wait there go on.
    """

    reach = Reach.LOOKS
    usage = "%unbreak [N|all]"
    action = "unbreak"
    words = ("all",)

    def options(self, argument: str) -> dict[str, Any]:
        if argument and argument != "all" and not argument.isdecimal():
            raise self.misused(f"{argument!r} is no number of a breakpoint.")
        return {"which": argument}


class Enter(Action):
    """Debug a thread of the program, with pdb, while its other threads run.

    It is the one that waits at a breakpoint: the thread whose names cells see first, else the
    latest; or THREAD, by its name or one of its ids. Where none waits, the thread whose names
    cells see is stopped where it is. Commands are those of pdb: step, next, until, return, up,
    down, where, list, p, b, tbreak, clear, display and so on (`help` shows them all). Statements
    see and change the names of the frame, and the notebook's. `interact` is a prompt of Python's
    own. `continue` lets the program run, to the next breakpoint that was set at this prompt if
    there is one; `detach` (or `quit`) leaves it for good, and never ends it. Interrupting the
    cell does that too.
    """

    reach = Reach.RUNS
    usage = "%enter [THREAD]"
    action = "enter"
    words = ("main",)

    def options(self, argument: str) -> dict[str, Any]:
        return {"thread": argument}
