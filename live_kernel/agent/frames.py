"""Which frame of the program the cells are bound to.

Runs in the target, on the agent's threads. Rule: a binding names a place (a
function of a file on a thread, or a module); frames are looked up when they
are needed and let go at once, so that nothing of the program lives longer
because of us.
"""

from __future__ import annotations

import os
import sys
from time import clock_gettime, pthread_getcpuclockid

from .native import Signal, main_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import CodeType, FrameType
    from typing import Any

OURS = __name__.partition(".agent.")[0]
"""The package under which the agent is loaded in this target."""

_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_SCRIPTS = os.path.join(sys.prefix, "bin") + os.sep
_LASTING = 0.002
"""Seconds of work that a function has to outlive to be bound to: a busy loop's steps don't."""

_WAITS = 50
"""How often that long is waited for a thread that is ready to work and gets no processor."""

_EVENT_LOOP = (os.path.join(_LIBRARY, "asyncio") + os.sep, f"{os.sep}trio{os.sep}_core{os.sep}")


def stack(thread: int) -> Iterator[FrameType]:
    """The frames of a thread, innermost first, without the agent's own."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if not is_ours(frame):
            yield frame
        frame = frame.f_back


def is_ours(frame: FrameType) -> bool:
    """Does this frame run the agent's code?"""
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and (name == OURS or name.startswith(OURS + "."))


def is_user_code(filename: str) -> bool:
    """Is this file the user's: neither library, nor installed, nor a console script?"""
    if filename.startswith(("<frozen ", _SCRIPTS)):
        return False
    if any(part in filename for part in _INSTALLED):
        return False
    return not filename.startswith(_LIBRARY)


def _outside_event_loop(frames: list[FrameType]) -> list[FrameType]:
    """The frames from the one that runs the event loop outwards.

    What the loop happens to be running at this moment is gone in the next.
    """
    for index in range(len(frames) - 1, -1, -1):
        if frames[index].f_code.co_filename.startswith(_EVENT_LOOP[0]) or (
            _EVENT_LOOP[1] in frames[index].f_code.co_filename
        ):
            return frames[index + 1 :]
    return frames


_OPTIMIZED = 0x1  # CO_OPTIMIZED: the code of a function


def _own_locals() -> object:
    return sys._getframe().f_locals


_PROXY: Any = type(_own_locals())


class Comprehension(dict[str, object]):
    """The variables of a comprehension that stands in no function, as they are now.

    Python keeps them where nobody else can write (PEP 709), and says nothing of an attempt.
    """

    def __setitem__(self, name: str, value: object) -> None:
        raise NameError(
            f"{name!r} is a variable of a comprehension at the top level of a module or a class, "
            "which Python lets nobody assign from outside"
        )

    def __delitem__(self, name: str) -> None:
        self[name] = None


def locals_of(frame: FrameType) -> Any:
    """The variables of a frame: what is written there, the program sees."""
    found: Any = frame.f_locals
    if not frame.f_code.co_flags & _OPTIMIZED and isinstance(found, _PROXY):
        return Comprehension(found)
    return found


class Binding:
    """A place in the program whose names the cells see.

    `function` is None where it is a whole module, which never goes away. `caller` is the
    place from which the function was called, if that is the user's code, too. `depth`: how
    many calls of the same function are outside of this one; None for the innermost. `within`
    says on which stack it is, in words, where that is not the main thread's.
    """

    def __init__(
        self,
        module: str,
        frame: FrameType | None = None,
        thread: int = 0,
        caller: Binding | None = None,
        *,
        depth: int | None = None,
        within: str = "",
    ) -> None:
        self.module = module
        self.thread = thread
        self.caller = caller
        self.depth = depth
        self.within = within
        self.function: tuple[str, str, int] | None = None
        self.file = getattr(sys.modules.get(module), "__file__", None) or ""
        if frame is not None:
            self.function = key(frame.f_code)
            self.file = frame.f_code.co_filename

    def frame(self) -> FrameType | None:
        """The bound frame; None for a module, or once the function has returned."""
        return None if self.function is None else self._sought(stack(self.thread))

    def _sought(self, frames: Iterable[FrameType]) -> FrameType | None:
        """The bound one among the frames of a stack, the innermost first."""
        found = (frame for frame in frames if key(frame.f_code) == self.function)
        if self.depth is None:
            return next(found, None)
        calls = list(found)
        return calls[-1 - self.depth] if self.depth < len(calls) else None

    def is_gone(self) -> bool:
        """Has the bound function returned?"""
        return self.function is not None and self.frame() is None

    def names(self) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
        """The frame's locals (None for a module) and its globals, as they are now."""
        frame = self.frame()
        if frame is not None:
            return locals_of(frame), frame.f_globals
        module = sys.modules.get(self.module)
        return None, ({} if module is None else module.__dict__)

    def describe(self) -> str:
        """In words, for the user: `run() at worker.py:17` or `module __main__`."""
        if self.function is None:
            where = f" ({os.path.basename(self.file)})" if self.file else ""
            return f"module {self.module}{where}"
        line = self.line() or self.function[2]  # where it begins, if it has returned
        return f"{self.function[1]}() at {os.path.basename(self.file)}:{line}{self.within}"

    def how_gone(self) -> str:
        """In words, that its function has returned."""
        _, name, line = self.function or ("", "?", 0)
        return f"{name}() ({os.path.basename(self.file)}:{line}{self.within}) has returned"

    def line(self) -> int:
        """The line at which the bound frame stands, or 0."""
        frame = self.frame()
        return 0 if frame is None else frame.f_lineno or 0

    def as_message(self) -> dict[str, Any]:
        return {"place": self.describe(), "file": self.file, "line": self.line()}


def key(code: CodeType) -> tuple[str, str, int]:
    """What makes a function the same one: its file, its name, and where it begins."""
    return code.co_filename, code.co_qualname, code.co_firstlineno


def default_binding() -> Binding:
    """The innermost lasting frame of the main thread that is the user's code, else `__main__`.

    Inside an event loop that is the frame which runs the loop: see `_outside_event_loop`.
    """
    thread = main_ident()
    binding: Binding | None = None
    for frame in reversed(_lasting_on_main()):
        binding = bind_to(frame, thread, binding)
    return binding or Binding("__main__")


def binding_after(binding: Binding) -> Binding:
    """Where to bind once this one's function has returned: its nearest caller that still runs."""
    caller = binding.caller
    while caller is not None and caller.is_gone():
        caller = caller.caller
    return caller or default_binding()


def _lasting_on_main() -> list[FrameType]:
    """The user's frames of the main thread, innermost first, that are still there in a moment.

    A loop that calls short functions is found in one of them, which has returned before
    anybody could use its names. A frame that is alone there is what there is.
    """
    thread = main_ident()
    frames = of_the_user(thread)
    if len(frames) < 2:
        return frames
    clock = pthread_getcpuclockid(thread)
    begun = clock_gettime(clock)
    for _ in range(_WAITS):
        Signal().wait(_LASTING)
        if clock_gettime(clock) - begun > _LASTING or not _main_thread_is_ready():
            break
    later = of_the_user(thread)
    return [frame for frame in later if frame in frames] or later[-1:]


def main_native_id() -> int:
    """The system's number of the main thread: a part of its clock's, on Linux.

    What `threading` knows of it is wrong where another thread has loaded that.
    """
    return ~(pthread_getcpuclockid(main_ident()) >> 3)


def _main_thread_is_ready() -> bool:
    """Does the main thread work, or would it with a processor? (Reading lets go of the GIL.)"""
    try:
        # The state is that of the first thread. (/proc may count pids otherwise than we.)
        with open("/proc/self/stat", "rb", buffering=0) as file:
            return file.read(4096).rpartition(b") ")[2].startswith(b"R")
    except OSError:
        return False


def of_the_user(thread: int) -> list[FrameType]:
    """The frames of a thread that are the user's code, innermost first; around an event loop."""
    frames = _outside_event_loop(list(stack(thread)))
    return [frame for frame in frames if is_user_code(frame.f_code.co_filename)]


def bind_to(frame: FrameType, thread: int, caller: Binding | None = None) -> Binding:
    """A binding to the place at which this frame stands."""
    name = module_of(frame)
    return Binding(name) if is_module(frame) else Binding(name, frame, thread, caller)


def module_of(frame: FrameType) -> str:
    """The name of the module whose code a frame runs."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else "__main__"


def is_module(frame: FrameType) -> bool:
    """Does it run the top level of a module that can be found by its name?"""
    known = getattr(sys.modules.get(module_of(frame)), "__dict__", None)
    return known is frame.f_globals and frame.f_code.co_name == "<module>"
