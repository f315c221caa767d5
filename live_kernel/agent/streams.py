"""Standard streams of the target, split by who writes.

Runs in the target. The program's own threads keep writing where they always
did; what a cell writes, or a thread or task that the cell started, goes to the
notebook. Who is who is told by a context variable, so that it holds for
coroutines in the program's event loop as well as for threads.
Rule: nothing here may raise into the program's write().
"""

from __future__ import annotations

import contextvars
import sys

from .native import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cells import Cell
    from .ledger import Entry, Ledger

current_cell: contextvars.ContextVar[Cell | None] = contextvars.ContextVar(
    "live_kernel_cell", default=None
)
"""The cell on whose behalf the current code runs, if any; it may have ended."""


def running_cell() -> Cell | None:
    """The cell on whose behalf the current code runs, unless it has ended."""
    cell = current_cell.get()
    return None if cell is None or cell.output.closed else cell


class SplitStream:
    """Stands in for `sys.stdout` while a cell runs.

    Whoever kept a reference to it beyond the cell finds the original behind it:
    with no cell's output in the context it only passes on.
    """

    def __init__(self, name: str, original: Any) -> None:
        self._name = name
        self.original = original

    def write(self, text: str) -> int:
        cell = running_cell()
        if cell is None:
            return 0 if self.original is None else self.original.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with cell.interruption:
            cell.output.write(self._name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        cell = running_cell()
        if cell is not None:
            with cell.interruption:
                cell.output.flush()
        elif self.original is not None:
            self.original.flush()

    def isatty(self) -> bool:
        return running_cell() is None and bool(getattr(self.original, "isatty", bool)())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class SplitInput:
    """Stands in for `sys.stdin` while a cell runs: a cell's reads ask the front-end."""

    def __init__(self, name: str, original: Any) -> None:
        self._name = name
        self.original = original

    def readline(self, size: int = -1) -> str:
        cell = running_cell()
        if cell is None:
            return "" if self.original is None else self.original.readline(size)
        line = cell.ask("") + "\n"
        return line if size < 0 else line[:size]

    def read(self, size: int = -1) -> str:
        if running_cell() is None and self.original is not None:
            return str(self.original.read(size))
        return self.readline(size)

    def __iter__(self) -> SplitInput:
        return self

    def __next__(self) -> str:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def fileno(self) -> int:
        if running_cell() is not None:
            raise OSError("the input of a cell comes from the notebook and has no file descriptor")
        return int(self.original.fileno())

    def isatty(self) -> bool:
        return running_cell() is None and bool(getattr(self.original, "isatty", bool)())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


_STAND_INS: dict[str, Any] = {"stdout": SplitStream, "stderr": SplitStream, "stdin": SplitInput}


class Split:
    """The streams of one target, wrapped while at least one cell of any session runs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cells = 0
        self._wrapped: dict[str, Any] = {}

    def enter(self, ledger: Ledger) -> Entry:
        """Wrap the streams for one more cell. The entry's `undo` gives them back."""
        entry = ledger.record("sys.stdin, sys.stdout and sys.stderr, for a cell", self._leave)
        with self._lock:
            self._cells += 1
            if self._cells == 1:
                _inherit.install()
                for name in _STAND_INS:
                    self._wrap(name)
        return entry

    def _wrap(self, name: str) -> None:
        present: Any = getattr(sys, name, None)
        stand_in = _STAND_INS[name]
        while isinstance(present, stand_in):  # the program has put back what it got from us
            present = present.original
        self._wrapped[name] = stand_in(name, present)
        setattr(sys, name, self._wrapped[name])

    def _leave(self) -> None:
        with self._lock:
            self._cells -= 1
            if self._cells == 0:
                self.restore()

    def restore(self) -> None:
        """Give the streams back, except one that the program has replaced in the meantime."""
        _inherit.remove()
        for name, stream in self._wrapped.items():
            present = getattr(sys, name, None)
            if present is stream:
                setattr(sys, name, present.original)
        self._wrapped.clear()

    def forget(self) -> None:
        """In a forked child: restore, whatever the parent's lock and count were."""
        self._lock = Lock()
        self._cells = 0
        self.restore()


class _InheritContext:
    """While a cell runs: a `threading.Thread` that the cell starts inherits its context.

    That is what CPython itself does under `-X thread_inherit`; here only
    for threads started by a cell. A program that never imported `threading` is
    given nothing.
    """

    def __init__(self) -> None:
        self._original: Any = None
        self._ours: Any = None
        self._class: Any = None

    def install(self) -> None:
        threading = sys.modules.get("threading")
        thread_class = getattr(threading, "Thread", None)
        if thread_class is None or "start" not in vars(thread_class):
            return
        original = thread_class.start

        def start(self: Any) -> Any:
            if running_cell() is not None and getattr(self, "_context", 0) is None:
                self._context = contextvars.copy_context()
            return original(self)

        start.__doc__ = original.__doc__
        start.__qualname__ = original.__qualname__
        self._original, self._class, self._ours = original, thread_class, start
        thread_class.start = start

    def remove(self) -> None:
        thread_class, self._class = self._class, None
        if thread_class is not None and vars(thread_class).get("start") is self._ours:
            thread_class.start = self._original


_inherit = _InheritContext()
split = Split()
"""The one of this process: sessions share it, since they share `sys`."""
