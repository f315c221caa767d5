"""What a thread does, in words that all looks share.

Runs in the launcher. Rule: of what is not known, nothing is said.
"""

from __future__ import annotations

from typing import Any

from ...attach import outside
from ...attach.blocked import Blocked, Frame
from ...plain import on_one_line
from ..looking import Seen


def frames_of(rows: Any) -> tuple[Frame, ...]:
    """Frames as the agent tells them: file, line, function."""
    return tuple(Frame(str(file), int(line), str(function)) for file, line, function in rows)


def chain(frames: tuple[Frame, ...]) -> str:
    """All of them in one line, the innermost first."""
    return on_one_line(" ← ".join(f"{f.function} at {f.file}:{f.line}" for f in frames))


def state_of(state: Blocked) -> str:
    """ "runs", "waits: futex", "stopped"."""
    if state.state in ("T", "t"):
        return "stopped"
    if state.state == "R":
        return "runs"
    if state.syscall is None:
        return "waits"
    return f"waits: {state.syscall}" + (f" of {state.descriptor}" if state.descriptor else "")


def at(state: Blocked, is_gil_taken: bool = False) -> str:
    """Where it is in the user's code, and what it has called there.

    `is_gil_taken`: by another thread, so that this one may wait for it.
    """
    frame = state.frame
    if frame is None:
        return ""
    inside = state.stack.index(frame) > 0
    call = state.call if inside or state.state != "R" else ""
    if is_gil_taken and state.syscall == "futex" and not inside:
        call = "a lock or the GIL"
    return f"{frame.function} at {frame.place}" + (f" ({call})" if call else "")


def holding(seen: Seen) -> str:
    """Who has the GIL, and in what. Call it only where somebody has."""
    holder, inside = seen.holder, seen.inside
    assert holder is not None
    assert inside is not None
    frames = tuple(inside.stacks.get(holder.native, ()))
    who = f"a cell's thread ({holder.native})" if holder.is_kernels else called(holder)
    return f"The GIL is held by {who}, which {holder.state._replace(stack=frames).told}."


def called(thread: outside.Thread) -> str:
    return f"{thread.name} ({thread.native})"
