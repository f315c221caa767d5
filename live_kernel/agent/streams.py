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

from .native import SafeLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType
    from typing import Any

    from .cell import Cell
    from .ledger import Entry, Ledger

current_cell: contextvars.ContextVar[Cell | None] = contextvars.ContextVar(
    "live_kernel_cell", default=None
)
"""The cell on whose behalf the current code runs, if any; it may have ended."""

keeps_cell: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "live_kernel_keeps_cell", default=False
)
"""Does what is written after its cell's end still belong to that cell?"""


def running_cell() -> Cell | None:
    """The cell whose output it is that the current code writes, if any.

    A cell that has ended may have left threads or tasks: what these write belongs to the cell
    that runs by then (see `Cell.heir`). One that lost its launcher, or was left to itself,
    keeps what it writes: that is nobody's, least of all the program's.
    """
    cell = current_cell.get()
    if cell is None or not cell.output.closed or cell.output.dropped:
        return cell
    return cell.heir()


class SplitStream:
    """Stands in for `sys.stdout` while a cell runs.

    Whoever kept a reference to it beyond the cell finds the original behind it:
    with no cell's output in the context it only passes on.
    """

    def __init__(self, name: str, original: Any) -> None:
        self._name = name
        self.original = original

    def write(self, text: str) -> int:
        cell = current_cell.get()
        if cell is not None and type(text) is str:
            output = cell.output
            if not output.closed and output.gather(self._name, text):
                return len(text)
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

    @property
    def buffer(self) -> Any:
        """The bytes behind the text; a cell's are its output like any other."""
        return self.original.buffer if running_cell() is None else _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Bytes:
    """What a cell gets for `sys.stdout.buffer`: it takes UTF-8."""

    def __init__(self, text: SplitStream) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)

    def flush(self) -> None:
        self._text.flush()


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


_ABSENT = object()
_STAND_INS: dict[str, Any] = {"stdout": SplitStream, "stderr": SplitStream, "stdin": SplitInput}


class Split:
    """The streams of one target, wrapped while at least one cell of any session runs."""

    def __init__(self) -> None:
        self._lock = SafeLock()
        self._cells = 0
        self._wrapped: dict[str, Any] = {}
        self._absent: set[str] = set()
        self._replaced: dict[str, list[Replaced]] = {}
        self._installed: list[Replaced] = []
        self._told_of: dict[str, Callable[[ModuleType, Ledger], object]] = {}

    def add(self, *functions: Replaced) -> None:
        """Have these replaced, too, while a cell runs."""
        for each in functions:
            self._replaced.setdefault(each.module, []).append(each)

    def on_import(self, module: str, tell: Callable[[ModuleType, Ledger], object]) -> None:
        """Have `tell` called when a cell is the first to import this module."""
        self._told_of[module] = tell

    def awaits(self, module: str) -> bool:
        """Is there anything to be done when a cell has imported this module?"""
        return module in self._told_of or module in self._replaced

    def imported(self, module: ModuleType, ledger: Ledger) -> None:
        """A cell has imported a module, directly or not, that was not loaded before."""
        with self._lock:
            if self._cells:
                self._replace()
        if module.__name__ in self._told_of:
            self._told_of[module.__name__](module, ledger)

    def enter(self, ledger: Ledger) -> Entry:
        """Wrap the streams for one more cell. The entry's `undo` gives them back."""
        entry = ledger.record("sys.stdin, sys.stdout and sys.stderr, for a cell", self._leave)
        with self._lock:
            self._cells += 1
            if self._cells == 1:
                self._replace()
                for name in _STAND_INS:
                    self._wrap(name)
        return entry

    def expect(self, imported: Collection[str]) -> None:
        """The cell is going to import these: load what we replace before it does."""
        # Threads may be started by any module, whatever its name.
        for module in ("threading", *{"getpass"}.intersection(imported)):
            try:
                __import__(module)
            except Exception as error:  # the cell is to hear of its own imports only
                del error
        with self._lock:
            self._replace()

    def _replace(self) -> None:
        for module, functions in list(self._replaced.items()):  # another cell may load more
            for each in functions if module in sys.modules else ():
                if each.install():
                    self._installed.append(each)

    def _wrap(self, name: str) -> None:
        present: Any = getattr(sys, name, _ABSENT)
        stand_in = _STAND_INS[name]
        if present is _ABSENT:  # a program may have deleted it
            present = None
            self._absent.add(name)
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
        for each in self._installed:
            each.remove()
        self._installed.clear()
        for name, stream in self._wrapped.items():
            present = getattr(sys, name, None)
            if present is stream and name in self._absent:
                delattr(sys, name)
            elif present is stream:
                setattr(sys, name, present.original)
        self._wrapped.clear()
        self._absent.clear()

    def forget(self) -> None:
        """In a forked child: restore, whatever the parent's lock and count were."""
        self._lock = SafeLock()
        self._cells = 0
        self.restore()


class Replaced:
    """One function (or table) of a library, replaced while a cell runs.

    `owner`: the class that has it, or "" for the module itself. `make` gets the
    original, and makes what stands in for it; for threads of the program that
    must behave like the original. A program that has not loaded the module is
    given nothing; see `Split.imported` and `Split.expect` for cells that load it.
    """

    def __init__(
        self, module: str, owner: str, name: str, make: Callable[[Callable[..., Any]], Any]
    ) -> None:
        self.module = module
        self._owner_name, self._name, self._make = owner, name, make
        self._original: Any = None
        self._ours: Any = None
        self._owner: Any = None

    def install(self) -> bool:
        """Returns whether that was to be done."""
        module = sys.modules.get(self.module)
        owner = getattr(module, self._owner_name, None) if self._owner_name else module
        original = getattr(owner, "__dict__", {}).get(self._name)
        if self._owner is not None or original is None:
            return False
        ours = self._make(original)
        ours.__doc__ = original.__doc__
        ours.__name__, ours.__qualname__ = self._name, getattr(original, "__qualname__", self._name)
        self._original, self._ours, self._owner = original, ours, owner
        setattr(owner, self._name, ours)
        return True

    def remove(self) -> None:
        """Put the original back, unless the program has replaced it itself in the meantime."""
        owner, self._owner = self._owner, None
        if owner is not None and vars(owner).get(self._name) is self._ours:
            setattr(owner, self._name, self._original)


def _start_in_context(original: Callable[..., Any]) -> Any:
    """`Thread.start`: a thread that a cell starts inherits its context.

    That is what CPython itself does under `-X thread_inherit_context`, for all threads.
    As long as it runs, the streams stay split, since it may write after the cell's end.
    """

    def start(self: Any) -> Any:
        cell = running_cell()
        if cell is None or getattr(self, "_context", 0) is not None:
            return original(self)
        self._context = contextvars.copy_context()
        end = _at_end(self, split.enter(cell.ledger))
        try:
            return original(self)
        except BaseException:
            end()
            raise

    return start


def _at_end(thread: Any, entry: Entry) -> Callable[[], None]:
    """Undo a change when the thread, which has not started yet, comes to its end.

    Returns what does so earlier.
    """
    own, run = vars(thread).get("run"), thread.run

    def end() -> None:
        if own is None:
            vars(thread).pop("run", None)
        else:
            thread.run = own
        entry.undo()

    def run_and_end() -> None:
        try:
            run()
        except BaseException as error:  # told while there is somebody to be told
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            thread._invoke_excepthook(thread)
        finally:
            end()

    thread.run = run_and_end
    return end


def _ask_for_password(original: Callable[..., Any]) -> Any:
    """`getpass.getpass`: a cell asks the front-end, never the terminal of the program."""

    def getpass(prompt: str = "Password: ", *args: Any, **options: Any) -> Any:
        cell = running_cell()
        if cell is None:
            return original(prompt, *args, **options)
        return cell.ask(str(prompt), password=True)

    return getpass


split = Split()
"""The one of this process: sessions share it, since they share `sys`."""
split.add(
    Replaced("threading", "Thread", "start", _start_in_context),
    Replaced("getpass", "", "getpass", _ask_for_password),
)
