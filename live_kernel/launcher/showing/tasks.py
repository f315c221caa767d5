"""asyncio's tasks as a tree in a table.

Runs in the launcher, on a thread. Rule: a task is below each that waits for it, and drawn
in full once, whatever waits for whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...attach.blocked import Blocked, Frame
from ..looking import Seen
from ..tables import Table
from .words import chain, frames_of, holding


def table(seen: Seen) -> Table:
    """The tasks as a tree: below each, those for which it waits."""
    told = _told_from_outside(seen) if seen.inside is not None else list(seen.answer["tasks"])
    rows: list[tuple[str, ...]] = []
    titles: list[str] = []
    for branch, task, waits_for, was_drawn in _drawn(told):
        frames = frames_of(task["frames"])
        rows.append(_task_row(task, branch, frames, waits_for, was_drawn, seen))
        titles.append(chain(frames))
    columns = ("#", "Task", "State", "At", "Loop on")
    return Table(columns, rows, titles, more=_below_tasks(seen, bool(told)))


def _drawn(told: list[Any]) -> Iterator[tuple[str, Any, int, bool]]:
    """The lines of the tree: the branch, the task, for how many it waits, and whether it stands
    above already, with those below it.
    """
    numbers = {task["number"] for task in told}
    below: dict[Any, list[Any]] = {}
    for task in told:
        for waiter in task["waiters"]:
            below.setdefault(waiter, []).append(task)
    roots = [task for task in told if not numbers.intersection(task["waiters"])]
    drawn: set[Any] = set()
    for root in [*roots, *told]:  # those that wait for each other have no root
        waiting = [] if root["number"] in drawn else [("", "", root)]
        while waiting:
            lines, branch, task = waiting.pop()
            children = below.get(task["number"], [])
            yield lines + branch, task, len(children), task["number"] in drawn
            if task["number"] in drawn:
                continue
            drawn.add(task["number"])
            under = lines + _UNDER[branch]
            branches = ["├─ "] * (len(children) - 1) + ["└─ "]
            pairs = list(zip(branches, children, strict=False))
            waiting += [(under, branch, child) for branch, child in reversed(pairs)]


_UNDER = {"": "", "├─ ": "│  ", "└─ ": "   "}
"""What stands below a branch, in front of the next."""


def _task_row(
    task: Any,
    branch: str,
    frames: tuple[Frame, ...],
    waits_for: int,
    was_drawn: bool,
    seen: Seen,
) -> tuple[str, ...]:
    number = "" if seen.inside is not None else str(int(task["number"]))
    name = branch + str(task["name"])
    if was_drawn:
        return (number, name, "(see above)", "", "")
    state = Blocked(0, 0, "S", stack=frames)
    if state.call:
        inner = f"waits: {state.call}"
    elif waits_for:
        inner = f"waits for {waits_for} task{'s' * (waits_for > 1)}"
    else:
        inner = "waits" if frames else "not begun"
    frame = state.frame
    where = "" if frame is None else f"{frame.function} at {frame.place}"
    return (number, name, "runs" if task["running"] else inner, where, str(task["thread"]))


def _told_from_outside(seen: Seen) -> list[dict[str, Any]]:
    assert seen.inside is not None
    names = {thread.native: thread.name for thread in seen.threads}
    return [
        {
            "number": task["id"],
            "name": task["name"],
            "thread": names.get(task["thread"], ""),
            "frames": task["frames"],
            "running": False,
            "waiters": [waiter for waiter in task["waiters"] if waiter != task["id"]],
        }
        for task in seen.inside.tasks
        if not any("LoopRun._guard" in frame[2] for frame in task["frames"])
    ]


def _below_tasks(seen: Seen, are_some: bool) -> list[str]:
    lines = [seen.why] if seen.why else []
    if not are_some:
        lines.append("There are no asyncio tasks.")
    if seen.holder is not None and seen.inside is not None:
        lines.append(holding(seen))
    bound, left_out = seen.answer.get("bound"), seen.answer.get("left_out")
    if bound:
        lines.append(f"Cells see {bound}.")
    if left_out:
        lines.append(f"and {int(left_out)} more")
    if seen.answer.get("kernel"):
        lines.append(f"and {int(seen.answer['kernel'])} of the kernel's")
    return lines
