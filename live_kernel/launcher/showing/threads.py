"""Threads as a table.

Runs in the launcher, on a thread. Rule: a row a thread of the program; of the kernel's
own, only the number is told.
"""

from __future__ import annotations

from ...attach import outside
from ...attach.blocked import Blocked, Frame
from ..looking import Seen
from ..tables import Table
from .words import at, chain, frames_of, holding, state_of


def table(seen: Seen) -> Table:
    """Every thread of the program, a row each."""
    by_native = {thread.native: thread for thread in seen.threads}
    by_ident = {thread.ident: thread for thread in seen.threads if thread.ident}
    rows, titles = [], []
    shown: set[int] = set()
    for name, ident, native, frames in _told(seen):
        thread = by_ident.get(ident) or by_native.get(native)
        if thread is not None:
            shown.add(thread.native)
        rows.append(_row(name, ident, thread, frames, seen))
        titles.append(chain(frames))
    columns = ("Thread", "Id", "Ident", "State", "At", "GIL", "CPU")
    return Table(columns, rows, titles, more=_below(seen, shown))


def _told(seen: Seen) -> list[tuple[str, int, int, tuple[Frame, ...]]]:
    """Name, Python's number, the system's, and the innermost frames of each thread."""
    if seen.inside is None:
        return [
            (str(t["name"]), int(t["ident"]), int(t["native"]), frames_of(t["frames"]))
            for t in seen.answer["threads"]
        ]
    stacks = seen.inside.stacks
    return [
        (thread.name, thread.ident, thread.native, tuple(stacks.get(thread.native, ())))
        for thread in seen.threads
        if (thread.ident or thread.native in stacks) and not thread.is_kernels
    ]


def _row(
    name: str, ident: int, thread: outside.Thread | None, frames: tuple[Frame, ...], seen: Seen
) -> tuple[str, ...]:
    if thread is None:
        return (name, "", str(ident), "", at(Blocked(0, 0, "", stack=frames)), "", "")
    state = thread.state._replace(stack=frames)
    return (
        name,
        str(thread.native),
        str(ident or ""),
        state_of(state),
        at(state, seen.holder not in (None, thread)),
        "has it" if thread.holds_gil else "",
        _processor(thread, seen),
    )


def _processor(thread: outside.Thread, seen: Seen) -> str:
    since = seen.used.get(thread.native)
    text = f"{thread.seconds:.2f} s"
    if since is None or since[1] <= 0:
        return text
    return f"{text}, {since[0] / since[1]:.0%}"


def _below(seen: Seen, shown: set[int]) -> list[str]:
    """What is to be said of all threads together."""
    idents = seen.answer.get("kernel", [])
    kernels = [t for t in seen.threads if t.is_kernels or (t.ident and t.ident in idents)]
    others = [t for t in seen.threads if t.native not in shown and t not in kernels]
    lines = [seen.why] if seen.why else []
    holder = seen.holder
    if holder is not None and seen.inside is not None:
        lines.append(holding(seen))
    elif holder in kernels:
        lines.append("A thread of the kernel's has the GIL, as while a cell computes.")
    if others:
        lines.append(f"and {len(others)} in which no Python runs")
    if kernels:
        lines.append(f"and {len(kernels)} of the kernel's")
    left_out = seen.answer.get("left_out", 0)
    return [*lines, *([f"and {int(left_out)} more"] if left_out else [])]
