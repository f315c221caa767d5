"""Having an event loop that waits outside Python run a little Python code on its thread.

Runs in the target, on threads of ours. A call of the system that a signal interrupts is
simply made again by the loops written in C: those of Tk, Qt, GLib and uvloop, whose threads
come back to Python for an event only. So each is sent one that does nothing, by what its
library lets other threads do. Rule: nothing is loaded for it, nothing waits for it, and what
stays in the loop until it is served does no harm there, whenever that is.
"""

from __future__ import annotations

import sys

from . import capi, native
from .frames import stack
from .places import program_loop, running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .ledger import Entry, Ledger


class Knocker:
    """Knocks at the loop that a thread runs, if it does; `ledger` has what is made for that."""

    def __init__(self, thread: int, ledger: Ledger) -> None:
        self._thread, self._ledger = thread, ledger
        self._made: dict[Any, Entry] = {}
        self._ways = [self._asyncio, self._tk]
        if thread == native.main_ident():
            self._ways += [self._qt, self._glib]

    def knock(self) -> None:
        """Have the loop look up. Does nothing where there is none. Raises nothing."""
        for way in self._ways:
            try:
                way()
            except BaseException as error:
                del error  # the loop has ended meanwhile, or is none of a kind that is known

    def close(self) -> None:
        """Take away what was made for it."""
        for entry in self._made.values():
            entry.undo()

    def _asyncio(self) -> None:
        """uvloop and its like; asyncio's own loops look up by themselves."""
        loop = running_loop(self._thread)
        if loop is None and self._thread == native.main_ident():
            loop = program_loop()
        if loop is not None and not type(loop).__module__.startswith("asyncio."):
            loop.call_soon_threadsafe(_nothing)

    def _tk(self) -> None:
        if "_tkinter" not in sys.modules:
            return
        frame = next(stack(self._thread), None)
        window = None if frame is None else _window_waited_for(frame)
        if window is None:
            _queue_for_tcl(self._thread)
        elif window not in _asked:
            native.start(_ask, window, name="live-kernel")

    def _qt(self) -> None:
        for binding in _QT:
            core: Any = sys.modules.get(f"{binding}.QtCore")
            application = core and core.QCoreApplication.instance()
            if application and binding not in self._made:
                looker = _looker_for(core)()
                looker.moveToThread(application.thread())
                self._made[binding] = self._ledger.record("an object of Qt's", looker.deleteLater)
                event = core.QEvent(core.QEvent.Type(_USER))
                core.QCoreApplication.postEvent(looker, event)

    def _glib(self) -> None:
        glib: Any = sys.modules.get("gi.repository.GLib")
        if glib is not None and glib not in self._made:
            source = glib.Idle(priority=glib.PRIORITY_HIGH)
            source.set_callback(_nothing)
            source.attach(None)
            self._made[glib] = self._ledger.record("a call in GLib's loop", source.destroy)


def _nothing(*_: object) -> None:
    """It is called, that is all: Python then does what waits for its thread."""


# -- Tk

_EVENT = 16
"""Bytes of a `Tcl_Event`: the function that handles it, and the next one."""

_asked: set[Any] = set()
"""The interpreters of which a thread of ours waits for an answer."""


def _queue_for_tcl(thread: int) -> None:
    """An event of Tcl's whose handler does nothing, and says so by returning other than 0.

    After each event `mainloop` looks for what waits for its thread. Tcl drops the event where
    that thread does not use it, and frees it afterwards.
    """
    allocate, queue, alert = map(_of_tcl, ("Alloc", "ThreadQueueEvent", "ThreadAlert"))
    event = allocate(_EVENT, 0, 0)
    handler = capi.address_of("getpid")
    capi.write(event, handler.to_bytes(8, sys.byteorder) + bytes(8))
    queue(thread, event, 0)
    alert(thread, 0, 0)


def _of_tcl(name: str) -> Any:
    file = getattr(sys.modules["_tkinter"], "__file__", None)  # it may be built in
    symbol = f"Tcl_{name}"
    address = capi.address_in(file, symbol) if file else capi.address_of(symbol)
    return capi.function_on_words(address)


def _window_waited_for(frame: FrameType) -> Any:
    """The Tcl interpreter in which a thread waits for a window, say a dialogue, to be closed.

    It then handles events, but comes back to Python only where one of them calls it.
    """
    if not str(frame.f_globals.get("__name__")).startswith("tkinter"):
        return None
    if frame.f_code.co_name in ("mainloop", "update"):
        return None
    owner: Any = frame.f_locals.get("self")
    return getattr(owner, "tk", None) or getattr(getattr(owner, "master", None), "tk", None)


class _Asked:
    """An argument of a command of Tcl's: Python code has to run for its text."""

    def __init__(self, afterwards: Callable[[], object] = _nothing) -> None:
        self._afterwards = afterwards

    def __str__(self) -> str:
        self._afterwards()
        return ""


_MANY = 1 << 30
"""More windows than there are: `mainloop` returns where there are fewer."""


def _ask(tcl: Any) -> None:
    """On a thread of its own: have the interpreter's thread run a command, and wait for that.

    Outside `mainloop` it has to be told that it handles events; its way to take that back is to
    leave a `mainloop`.
    """
    _asked.add(tcl)
    try:
        try:
            tcl.call("concat", _Asked())
        except RuntimeError:
            tcl.willdispatch()
            tcl.call("concat", _Asked(lambda: _is_in_mainloop() or tcl.mainloop(_MANY)))
    except BaseException as error:
        del error  # the interpreter has gone
    finally:
        _asked.discard(tcl)


def _is_in_mainloop() -> bool:
    return any(frame.f_code.co_name == "mainloop" for frame in stack(native.get_ident()))


# -- Qt

_QT = ("PySide6", "PyQt6", "PyQt5", "PySide2")

_USER = 1000
"""The first of the types of events that are free for all; ours go to an object of ours."""

_kinds: dict[Any, Any] = {}
"""By the binding's QtCore: the class of the objects that are made for it."""

_there: set[Any] = set()
"""Those that Qt has not deleted yet: each is kept until it deletes it, in the loop."""


def _looker_for(core: Any) -> Any:
    """The class of an object whose events are handled in Python, which does nothing."""
    if core in _kinds:
        return _kinds[core]
    deletion = core.QEvent.Type.DeferredDelete

    class LiveKernelLooker(core.QObject):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            _there.add(self)

        def event(self, event: Any) -> bool:
            if event.type() == deletion:
                _there.discard(self)
                super().event(event)
            return True

    return _kinds.setdefault(core, LiveKernelLooker)
