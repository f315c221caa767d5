"""`%watch`, `%trace` and their ends: a value again and again, the calls of a function.

Runs on the launcher's reactor. Rule: what stands at the end of the line, `every`, `for`
and `-n`, is the command's; all before it is the program's.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from ..execution import Done, Execution
from ..guarding import Reach
from .command import Action, Command, Ending

_CLAUSE = re.compile(r"(?:^|\s)(every|for)\s+([\d.]+\s*[a-z]*)\s*$")
_WHERE = re.compile(r"(?:^|\s)--(here|beside)\s*$|^--(here|beside)(?:\s|$)")

_COUNT = re.compile(r"(?:^|\s)-n\s*(\d{1,6}|all)(?=\s|$)")

LEAST = 0.02
"""Seconds between two values: a front-end shows no more than that."""


class Lasting(Action):
    """An action that goes on for a time: beside other cells, or as long as its own lasts.

    A notebook shows what comes late below the cell, so there it goes on beside. In a console
    that would fall into the next prompt, and a script would be over before it: there the
    cell lasts. `--here` and `--beside` say otherwise. Nobody is there to interrupt a script's
    cell, so that lasts `in_a_script` seconds unless it is told for how long.
    """

    in_a_script: ClassVar[float]
    words = ("--here", "--beside")
    takes_code = True

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        text, where = without_place(argument.strip())
        is_notebook = execution.notebook is not None
        is_script = not is_notebook and not execution.allows_input
        action = {
            "name": self.action,
            **self.options(text),
            "beside": where == "beside" or (is_notebook and where != "here"),
            "updates": is_notebook or is_script,
        }
        if is_script and not action["beside"] and not action["seconds"]:
            action["seconds"] = self.in_a_script
        self.act(action, argument, execution, done)


def without_place(text: str) -> tuple[str, str]:
    """What is left without `--here` or `--beside` at either end, and which it was."""
    found = _WHERE.search(text)
    if found is None:
        return text, ""
    return (text[: found.start()] + text[found.end() :]).strip(), found.group(1) or found.group(2)


def clauses(text: str, command: Command) -> tuple[str, dict[str, float]]:
    """What stands before `every 0.5s` and `for 30s`, and these in seconds."""
    found: dict[str, float] = {}
    while match := _CLAUSE.search(text):
        name, span = match.groups()
        if name in found:
            raise command.misused(f"`{name}` is said twice.")
        found[name] = command.span(span)
        text = text[: match.start()].strip()
    return text, found


class Watch(Lasting):
    """Show a value again and again, with a small plot if it is a number or a few of them.

    The expression sees what a cell sees. In a notebook it is watched beside other cells, until
    its time is over, or %unwatch, or detaching; in a console the cell lasts until then, or until
    it is interrupted; in a script it lasts ten seconds unless told. --here and --beside say which
    of these. Errors are shown and don't end it.

        %watch len(orders)                       twice a second, until %unwatch
        %watch pool.size, pool.idle for 1min     several numbers, each with a line of its own
        %watch cache.hits every 5s --here        the cell lasts as long as the watch
        %watch                                   what is watched
    """

    reach = Reach.EVALUATES
    usage = "%watch [EXPRESSION [every 0.5s] [for 30s] [--here | --beside]]"
    action = "watch"
    in_a_script = 10.0

    def options(self, argument: str) -> dict[str, Any]:
        expression, found = clauses(argument, self)
        if not expression and found:
            raise self.misused("%watch is told when, but not what.")
        every, seconds = found.get("every", 0.5), found.get("for", 0.0)
        if every < LEAST:
            raise self.misused(f"A value every {every:g} s is too often; {LEAST:g}s is possible.")
        return {"expression": expression, "every": every, "seconds": seconds}

    def reach_of(self, argument: str) -> Reach:
        return self.reach if argument.strip() else Reach.LOOKS


class Unwatch(Ending):
    """End a watch: the only one, or that of this number, or all."""

    reach = Reach.LOOKS
    usage = "%unwatch [N | all]"
    action = "unwatch"


class Trace(Lasting):
    """Show the calls of a function: arguments, result or exception, duration, caller.

    It ends by itself after so many calls (20 unless told), and then costs the program nothing
    any more. What is shown is read from memory: no __repr__ of the program is run for it. In a
    notebook other cells run meanwhile; see %watch.

        %trace app.price                          the next 20 calls
        %trace app.Order.total -n 5               a method, of whichever instance
        %trace app.price if order.total > 100     only those; it sees the arguments
        %trace app.price -n all for 10s           all in that time; too many are only counted
        %trace                                    what is traced
    """

    reach = Reach.EVALUATES
    usage = "%trace [FUNCTION [-n 20 | -n all] [for 30s] [if CONDITION] [--here | --beside]]"
    action = "trace"
    in_a_script = 60.0

    def options(self, argument: str) -> dict[str, Any]:
        name, _, rest = argument.partition(" ")
        rest, is_conditional, condition = f" {rest.strip()}".partition(" if ")
        condition, late = clauses(condition.strip(), self)
        rest, found = clauses(rest.strip(), self)
        count, rest = self._count(rest)
        rest, more = clauses(rest, self)
        found |= late | more
        if rest or "every" in found or (is_conditional and not condition):
            raise self.misused(f"{argument!r} is not understood.")
        seconds = found.get("for", 0.0)
        return {"function": name, "count": count, "seconds": seconds, "condition": condition}

    def reach_of(self, argument: str) -> Reach:
        return self.reach if " if " in argument else Reach.LOOKS

    def _count(self, text: str) -> tuple[int, str]:
        """How many calls, 0 for all; and the text without that."""
        found = _COUNT.search(text)
        if found is None:
            return 20, text
        wanted = found.group(1)
        if wanted == "0":
            raise self.misused("-n 0 would show nothing.")
        rest = (text[: found.start()] + text[found.end() :]).strip()
        return 0 if wanted == "all" else int(wanted), rest


class Untrace(Ending):
    """End a trace: the only one, or that of this number, or all."""

    reach = Reach.LOOKS
    usage = "%untrace [N | all]"
    action = "untrace"
