"""Thread primitives of the interpreter itself, whatever the program put in their place.

Runs in the target. gevent and its like replace functions of `_thread`; an agent
that waited on theirs would wait for an event loop that nobody runs. Rule: the
agent takes locks and threads from here only, and never imports `threading`.
"""

from __future__ import annotations

import _imp
import _thread
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _fresh_thread_module() -> Any:
    """A second instance of the built-in module, with its functions as CPython made them."""
    module = _imp.create_builtin(ModuleSpec("_thread", None))
    _imp.exec_builtin(module)
    return module


def _is_builtin(function: object) -> bool:
    return type(function) is type(_imp.lock_held)


_native: Any = _thread if _is_builtin(_thread.start_new_thread) else _fresh_thread_module()

Lock: Callable[[], Any] = _native.allocate_lock
RLock: Any = _native.RLock
get_ident: Callable[[], int] = _native.get_ident
main_ident: Callable[[], int] = _native._get_main_thread_ident
TIMEOUT_MAX: float = _native.TIMEOUT_MAX


def on_main_thread() -> bool:
    """Is this the program's main thread, on which nothing of ours may wait?"""
    return get_ident() == main_ident()


def got(lock: Any, waits: bool = True) -> bool:
    """Get an RLock, wherever a signal's handler of the program's raises: then it is not held.

    CPython calls handlers when a function written in C has returned, here `acquire`: what one
    raises would leave the lock held for good, before any `with` or `try` is in force. After the
    end of this function it calls none until the next call.
    """
    before = lock._recursion_count()
    try:
        return bool(lock.acquire(waits))
    except BaseException:
        if lock._recursion_count() > before:
            lock.release()
        raise


class SafeLock(RLock):  # type: ignore[misc]
    """An RLock for what also runs on the program's main thread, outside of cells: see `got`."""

    __slots__ = ()

    def __enter__(self) -> bool:
        return got(self)


def start(body: Callable[..., object], *args: object, name: str) -> int:
    """Run `body(*args)` in a new native thread, named for `top` and `ps -L`. Returns its ident.

    The thread is of the kind that never delays the interpreter's exit.
    """

    def named() -> None:
        begin_thread(name)
        try:
            body(*args)
        except BaseException as error:
            del error  # nothing may reach the program's stderr
        finally:
            end_thread()

    return int(_native.start_new_thread(named, ()))


ours: set[int] = set()
"""The idents of the threads that are the agent's, and not the program's."""


def begin_thread(name: str) -> None:
    """The calling thread is one of ours from now on; `name` is for the system only."""
    ours.add(get_ident())
    try:
        _native.set_name(name)
    except (AttributeError, OSError, ValueError):
        pass  # not on this platform: the name is a courtesy


def end_thread() -> None:
    """The calling thread is about to end. Closes the hub that gevent, or eventlet, made for it."""
    ours.discard(get_ident())
    try:
        hub = sys.modules["gevent._hub_local"].get_hub_if_exists()
        hub.destroy(destroy_loop=True)
    except (AttributeError, KeyError):
        pass  # there is no gevent, or it has made none
    try:
        own = vars(sys.modules["eventlet.hubs"]._threadlocal)
        own.pop("hub").poll.close()
    except (AttributeError, KeyError):
        pass


class Signal:
    """A flag that one thread sets, once, and others wait for: an Event without `threading`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()
        self.is_set = False

    def set(self) -> None:
        """Let every waiter go, now and later."""
        if not self.is_set:
            self.is_set = True
            self._lock.release()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until set, or for so many seconds (-1: for ever). Returns whether it is set."""
        if self.is_set:
            return True
        if self._lock.acquire(True, seconds):
            self._lock.release()
        return self.is_set
