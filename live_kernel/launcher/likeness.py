"""Which of the programs that are there is most like one that has gone.

Runs in the launcher. Rule: a likeness is offered, and never taken without the user's word.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..attach import naming
from ..attach.processes import Candidate, Process
from ..records import NamedTuple

_SAME = 0.5
"""From this likeness on it is the same program, if perhaps with other arguments."""


class Ranked(NamedTuple):
    """`candidates`: the likest first. `best`: one that may be the same program again."""

    candidates: list[Candidate]
    best: Process | None


def rank(candidates: Sequence[Candidate], command: Sequence[str]) -> Ranked:
    """Order these by how like their command lines are to one, of which the name may be all that
    is known. Without a command the order stays.
    """
    if not command:
        return Ranked(list(candidates), None)
    commands = {each.process.pid: each.process.cmdline for each in candidates}
    likenesses = {each.process.pid: _likeness(each.process, command) for each in candidates}

    def order(candidate: Candidate) -> tuple[bool, float, bool, int]:
        process = candidate.process
        is_worker = commands.get(process.parent) == process.cmdline
        is_like = -likenesses[process.pid]
        return not candidate.attachable, is_like, is_worker, -process.start_time

    ordered = sorted(candidates, key=order)
    first = ordered[0] if ordered else None
    is_same = first is not None and first.attachable and likenesses[first.process.pid] >= _SAME
    return Ranked(ordered, first.process if first is not None and is_same else None)


def _likeness(process: Process, command: Sequence[str]) -> float:
    """From 0 to 1."""
    if tuple(command) == process.cmdline:
        return 1.0
    from difflib import SequenceMatcher  # few need it

    name = naming.of(process)
    before = naming.short_name(command, command[0], process.cwd)
    if len(command) == 1:
        return _SAME if name == before else 0.0
    is_same = name == before
    ratio = SequenceMatcher(None, list(command[1:]), list(process.cmdline[1:])).ratio()
    return _SAME * is_same + 0.4 * ratio
