"""The program's threads, by name and number, and the frames of each.

Runs in the target, on the control thread and the threads of cells; loaded late.
Rule: threads are read from the interpreter's own tables; `threading` is asked for names
only where the program has loaded it, and no method of a thread is called.
"""

from __future__ import annotations

import sys

from . import native
from .frames import OURS, is_ours, main_native_id
from .lookup import own_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_AGENTS = ("_live_kernel_", "live_kernel_entry", OURS + ".agent.")
"""How the names of modules begin with whose functions an agent's threads begin."""


class Seen:
    """One thread of the program at this moment, with its stack.

    `native` is 0 where Python does not know it; then the launcher may, by `ident`.
    `known`: the program's `threading.Thread`, or None.
    """

    def __init__(self, ident: int, innermost: FrameType, known: object = None) -> None:
        self.ident = ident
        self.known = known
        self._innermost = innermost
        told = main_native_id() if self.is_main else _entry_of(known, "_native_id")
        self.native: int = told if type(told) is int else 0
        self.name = self._name()

    def _name(self) -> str:
        return _name_in(self.known) or ("MainThread" if self.is_main else "unnamed")

    @property
    def is_main(self) -> bool:
        """Is it the thread on which Python handles signals?"""
        return self.ident == native.main_ident()

    def frames(self) -> list[FrameType]:
        """Its frames without the agent's, the outermost first."""
        return [frame for frame in self._all_frames() if not is_ours(frame)]

    def _all_frames(self) -> list[FrameType]:
        found = []
        frame: FrameType | None = self._innermost
        while frame is not None:
            found.append(frame)
            frame = frame.f_back
        return found[::-1]

    def is_kernels(self) -> bool:
        """Has it begun in the code of an agent, be it this one or another session's?

        The control thread begins in the bootstrap, and the agent's code is the next.
        """
        first = self._all_frames()[:2]
        return any(str(frame.f_globals.get("__name__")).startswith(_AGENTS) for frame in first)

    def as_message(self) -> dict[str, Any]:
        """How the launcher is told of it."""
        return {"ident": self.ident, "native": self.native, "name": self.name}


def _entry_of(thread: object, name: str) -> Any:
    return None if thread is None else own_entry(thread, name)


def innermost_frames() -> dict[int, FrameType]:
    """By ident, the innermost frame of each thread but the calling one.

    A function that has its own frame among its variables would keep that, and with it those
    of all its callers, until the garbage collector comes by.
    """
    found = sys._current_frames()
    found.pop(native.get_ident(), None)
    return found


def seen() -> tuple[list[Seen], list[int]]:
    """The program's threads, the main one first, and the idents of the kernel's."""
    every = [Seen(i, frame, known_by(i)) for i, frame in innermost_frames().items()]
    kernels = [thread.ident for thread in every if thread.is_kernels()]
    theirs = [thread for thread in every if thread.ident not in kernels]
    theirs.sort(key=lambda thread: (not thread.is_main, thread.native, thread.ident))
    return theirs, [*kernels, native.get_ident()]


def with_ident(ident: int) -> Seen | None:
    """The thread that Python knows by this number, if it (still) runs."""
    return next((thread for thread in seen()[0] if thread.ident == ident), None)


def named(text: str, is_exact: bool = True) -> list[Seen]:
    """The threads of this name, or of this number of Python's or the system's; or, no number,
    those with the text in their name.
    """
    every, _ = seen()
    if is_exact:
        return [t for t in every if text in (t.name, str(t.ident), str(t.native), f"{t.ident:#x}")]
    return [t for t in every if not text.isdecimal() and text.lower() in t.name.lower()]


def known_by(ident: int) -> object:
    """The program's `threading.Thread` of this number at this moment, or None."""
    known = getattr(sys.modules.get("threading"), "_active", None)
    return known.get(ident) if type(known) is dict else None


def name_of(ident: int) -> str:
    """What the program calls a thread; empty where it has no name for it."""
    return _name_in(known_by(ident))


def _name_in(known: object) -> str:
    name = _entry_of(known, "_name")
    return name if type(name) is str else ""
