"""`%frame`, `%up`, `%down`, `%thread`, `%task`, `%module`: which names the cells see.

Runs in the target, as actions of cells; loaded late. Rule: the binding is the session's
and changes from the next cell on; the program is not touched.
"""

from __future__ import annotations

import sys

from . import seeking
from .actions import Refused
from .bindings import Stack, index_in, printable, stack_of
from .frames import Binding, default_binding, is_user_code, of_the_user
from .native import Signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .cell import Cell
    from .namespace import Namespace
    from .shell import Shell


_A_MOMENT = 0.01
"""Seconds that a function has to outlive, to be bound to as one of its thread's."""


def bind(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """Bind as the action says, and show what the cells see then. Raises Refused."""
    namespace = shell.namespace
    binding = _HOWS[str(action["how"])](str(action["what"]), namespace)
    namespace.bind(binding)
    cell.output.write("stdout", f"Cells see {printable_place(binding)}.\n")


def printable_place(binding: Binding) -> str:
    """Where a binding is, in words, with the number of its frame."""
    frames = stack_of(binding).frames()
    index = index_in(binding, frames)
    return binding.describe() + (f" (frame {index} of {len(frames)})" if index >= 0 else "")


def _frame(what: str, namespace: Namespace) -> Binding:
    if not what:
        return namespace.binding
    return default_binding() if what == "--default" else seeking.frame(what, namespace)


def _up(what: str, namespace: Namespace) -> Binding:
    return _moved(-int(what), namespace)


def _down(what: str, namespace: Namespace) -> Binding:
    return _moved(int(what), namespace)


def _moved(by: int, namespace: Namespace) -> Binding:
    """The frame so many calls further in, or out."""
    binding = namespace.binding
    stack = stack_of(binding)
    frames = stack.frames()
    index = index_in(binding, frames)
    if index < 0:
        raise Refused(
            "FrameUnknown",
            f"cells see {binding.describe()}, which stands in no frame of the bound thread",
            "Choose one first: %stack shows the frames, %frame N binds to one.",
        )
    if not 0 <= index + by < len(frames):
        there = index if by < 0 else len(frames) - 1 - index
        side = "outside" if by < 0 else "inside"
        raise Refused(
            "FrameUnknown",
            f"cells see frame {index}, and {side} of it there are {there} frames",
            "%stack shows them.",
        )
    return stack.bind(frames, index + by)


def _thread(what: str, _namespace: Namespace) -> Binding:
    """The innermost function of the user's on a thread that is there for more than a moment."""
    stack = seeking.thread(what)
    before = of_the_user(stack.ident)
    if len(before) > 1:
        Signal().wait(_A_MOMENT)
    lasting = [frame for frame in of_the_user(stack.ident) if frame in before]
    frames = stack.frames()
    return _innermost(stack, [i for i, frame in enumerate(frames) if frame in lasting])


def _task(what: str, namespace: Namespace) -> Binding:
    return _innermost(seeking.task(what, namespace), [])


def _innermost(stack: Stack, wanted: list[int]) -> Binding:
    """The innermost of the wanted frames, or else of the user's, or of all."""
    frames = stack.frames()
    if not frames:
        raise Refused("FrameUnknown", f"{stack.label or 'the thread'} has just ended")
    users = [i for i, frame in enumerate(frames) if is_user_code(frame.f_code.co_filename)]
    return stack.bind(frames, (wanted or users or [len(frames) - 1])[-1])


def _module(what: str, _namespace: Namespace) -> Binding:
    module = sys.modules.get(what)
    if type(getattr(module, "__dict__", None)) is dict:
        return Binding(what)
    theirs = [
        name
        for name, each in list(sys.modules.items())
        if is_user_code(str(getattr(each, "__file__", None) or "<frozen >"))
        and not name.startswith("_live_kernel_")
    ]
    raise Refused(
        "ModuleUnknown",
        f"the program has no module {printable(what)!r} loaded",
        f"Of its own it has: {', '.join(sorted(theirs)[:20]) or '__main__'}.",
    )


_HOWS: dict[str, Callable[[str, Namespace], Binding]] = {
    "frame": _frame,
    "up": _up,
    "down": _down,
    "thread": _thread,
    "task": _task,
    "module": _module,
}
