"""Which names a cell sees, and where its assignments go.

Runs in the target, on the threads of cells; completion reads it from the control
thread. A cell sees, in this order: its scratch names, the bound frame's
locals, that frame's globals, builtins. It assigns to the program where the
program has the name, else to the scratch namespace, which is gone at detach.
Rule: the program's namespaces never gain a name, and a name of the cell's own
costs what it costs anywhere (PEP 667 makes the write to a running frame real).

How: a cell runs with the scratch dictionary as its globals. What is not found
there, Python looks up in `__builtins__`, which is ours: a dictionary of the
builtins whose `__missing__` asks the program. Only a cell that assigns one of
the program's names runs with a mapping as its locals, to direct the store; and
what Python would store as a global is rewritten to reach the program (`names.py`).
"""

from __future__ import annotations

import builtins
from _collections_abc import MutableMapping
from time import monotonic

from .names import PROGRAM, Names
from .native import RLock
from .streams import current_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .cell import Cell
    from .frames import Binding

SEEK_EVERY = 0.05
"""Seconds for which a running cell may see the names of a function that has returned meanwhile."""

_RUNS_TEXT = frozenset({"eval", "exec", "compile"})
_LOOKS_AROUND = _RUNS_TEXT | {"globals", "locals", "vars", "dir"}
"""Builtins that may use names which the code itself does not show."""

_OF_THE_CODE = frozenset(
    {"__doc__", "__annotations__", "__annotate__", "__conditional_annotations__"}
)
"""What the compiler stores at the top level about the code itself: nothing of the program's."""


def _become(names: dict[str, Any], now: Mapping[str, Any]) -> None:
    """Give a dictionary new contents, with no moment at which a name of both is missing.

    Threads of the program that run a cell's functions look names up in it all the while.
    """
    names.update(now)
    if len(names) > len(now):
        for name in names.keys() - now.keys():
            del names[name]


class ProgramNames(dict[str, object]):
    """The `__builtins__` of a cell: builtins, and behind them the program's names.

    To find the bound frame takes longer than to look up a name in it. So while a cell
    runs it is held, and sought again only every now and then; between cells it is not.
    """

    __slots__ = ("_held", "_held_since", "_is_holding", "binding")

    def __init__(self, binding: Binding) -> None:
        super().__init__()
        self.binding = binding
        self._is_holding = False
        self._held: Any = None
        self._held_since = 0.0

    def names(self) -> tuple[Any, dict[str, Any]]:
        """The bound frame's locals, None for a module, and its globals."""
        held = self._held
        if held is None or monotonic() - self._held_since > SEEK_EVERY:
            held = self.binding.names()
            if self._is_holding:
                self._keep(held)
        return held  # type: ignore[no-any-return]

    def _keep(self, held: Any) -> None:
        self._held, self._held_since = held, monotonic()
        if not self._is_holding:  # the cell has ended; this was another thread's look-up
            self._held = None

    def hold(self) -> None:
        """A cell begins: seek the frame, and keep it at hand."""
        self._held, self._is_holding = None, True
        self.names()

    def let_go(self) -> None:
        """The cell has ended: nothing of the program lives longer because of us."""
        self._held, self._is_holding = None, False

    def __missing__(self, name: str) -> object:
        local, module = self.names()
        if local is not None and name in local:
            return local[name]
        return module[name]

    def refresh(self, additions: Mapping[str, object]) -> None:
        """Take the builtins as they are now, without those that the program's names hide."""
        local, module = self.names()
        now = {**builtins.__dict__, **additions}
        hidden = now.keys() & module.keys()
        if local is not None:
            hidden |= now.keys() & local.keys()
        for name in hidden - {"__build_class__", "__import__"}:
            del now[name]
        _become(self, now)


class Scope(MutableMapping):  # type: ignore[type-arg] # subscribing it would need `typing`
    """Directs the stores of one cell, as the `locals` of its top level."""

    def __init__(self, scratch: dict[str, Any], local: Any, module: dict[str, Any]) -> None:
        self._scratch, self._local, self._module = scratch, local, module

    def _home(self, name: str) -> Any:
        """The namespace in which this name lives, or in which it will."""
        if name not in self._scratch and name not in _OF_THE_CODE:
            if self._local is not None and name in self._local:
                return self._local
            if name in self._module:
                return self._module
        return self._scratch

    def __getitem__(self, name: str) -> Any:
        return self._home(name)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._home(name)[name] = value

    def __delitem__(self, name: str) -> None:
        home = self._home(name)
        try:
            del home[name]
        except ValueError:
            if home[name] is not None:
                raise
            # The end of `except … as name`, which leaves it None: see `_refuse_deletion`.

    def let_go(self) -> None:
        """The cell has ended. An error of it that is kept has its frame, and that has us."""
        self._local = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._scratch)

    def __len__(self) -> int:
        return len(self._scratch)

    def __repr__(self) -> str:
        return repr(dict(self))


class ProgramGlobals:
    """`__program__` in rewritten code: the bound module's globals as attributes, and what a
    cell sees of the program as items. Called, it assigns either and returns the value;
    what the cell itself has stored under that name is handed over by that.
    """

    __slots__ = ("_program", "_scratch")

    def __init__(self, program: ProgramNames, scratch: dict[str, Any]) -> None:
        object.__setattr__(self, "_program", program)
        object.__setattr__(self, "_scratch", scratch)

    def __getattribute__(self, name: str) -> Any:
        try:
            return _module_of(self)[name]
        except KeyError:
            if name.startswith("__") and name.endswith("__"):
                return object.__getattribute__(self, name)
            raise _undefined(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        _module_of(self)[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del _module_of(self)[name]
        except KeyError:
            raise _undefined(name) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return _home_of(self, name)[name]
        except KeyError:
            raise _undefined(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        _home_of(self, name)[name] = value

    def __delitem__(self, name: str) -> None:
        try:
            del _home_of(self, name)[name]
        except KeyError:
            raise _undefined(name) from None

    def __call__(self, name: str, value: Any, as_item: bool) -> Any:
        (_home_of(self, name) if as_item else _module_of(self))[name] = value
        object.__getattribute__(self, "_scratch").pop(name, None)
        return value


def _module_of(program: ProgramGlobals) -> dict[str, Any]:
    names: ProgramNames = object.__getattribute__(program, "_program")
    return names.names()[1]


def _home_of(program: ProgramGlobals, name: str) -> Any:
    names: ProgramNames = object.__getattribute__(program, "_program")
    local, module = names.names()
    return module if local is None or name not in local else local


def _undefined(name: str) -> NameError:
    return NameError(f"name {name!r} is not defined", name=name)


_FUNCTION = type(lambda: 0)
_MODULE = type(builtins)


async def _nothing() -> None:
    pass


_nobody = _nothing()
_nobody.close()
_COROUTINE = type(_nobody)


def _is_not_begun(coroutine: Any) -> bool:
    frame = coroutine.cr_frame  # None when it has ended
    return frame is not None and not coroutine.cr_running and not coroutine.cr_suspended


def _refuse_deletion(names: set[str], local: Any, module: dict[str, Any]) -> None:
    """Say before the cell runs what Python would only call an undefined name (PEP 667)."""
    for name in names:
        if local is not module and name in local:
            raise NameError(
                f"{name!r} is a local variable of the program's running function, which "
                "can't be deleted from outside; assign None instead"
            )


class Namespace:
    """The names of one session: its scratch dictionary in front of a binding.

    `additions` are names that stand among the builtins, such as `display`.
    """

    def __init__(self, binding: Binding, additions: Mapping[str, object]) -> None:
        self.binding = binding
        self.additions = dict(additions)
        self.scratch: dict[str, Any] = {}
        self.only_looks = False
        """Its session runs no code: no cell, and no expression that would call something."""
        self.task_numbers: Any = None
        """By which numbers the user knows the program's tasks, once he has seen any."""
        self._program = ProgramNames(binding)
        self.additions[PROGRAM] = ProgramGlobals(self._program, self.scratch)
        self._plain: dict[str, object] = {}
        self._read_by_functions: set[str] = set()
        self._is_chained = False
        self._scopes: dict[Cell | None, list[Scope]] = {}
        """Of the cells that run."""
        self._lock = RLock()

    def share(self) -> None:
        """From now on, cells may run side by side: none of them has plain builtins any more."""
        self._is_chained = True

    def bind(self, binding: Binding) -> None:
        """From the next cell on, see the names of another place."""
        self.binding = self._program.binding = binding

    def prepare(self, names: Names) -> tuple[dict[str, Any], Any]:
        """The globals and locals with which to run code that uses `names` at its top level."""
        with self._lock:
            return self._prepare(names)

    def _prepare(self, names: Names) -> tuple[dict[str, Any], Any]:
        self._scopes.setdefault(current_cell.get(), [])
        self._program.hold()
        self._program.refresh(self.additions)
        self._read_by_functions |= names.read_inside
        self.scratch["__name__"] = self.binding.module
        local, module = self._program.names()
        stored = names.stored - _OF_THE_CODE
        theirs = {
            name
            for name in names.read | stored
            if name not in self.scratch
            and (name in module or (local is not None and name in local))
        }
        if local is not None:
            _refuse_deletion(names.deleted & theirs, local, module)
        if self._is_self_contained(names, theirs):
            _become(self._plain, {**builtins.__dict__, **self.additions})
            # A plain dictionary here lets CPython specialise the look-ups in functions.
            self.scratch["__builtins__"] = self._plain
            return self.scratch, self.scratch
        self.scratch["__builtins__"] = self._program
        if names.star or theirs & stored or names.read & _RUNS_TEXT:
            scope = Scope(self.scratch, local, module)
            self._scopes[current_cell.get()].append(scope)
            return self.scratch, scope
        return self.scratch, self.scratch

    def _is_self_contained(self, names: Names, theirs: set[str]) -> bool:
        """Does this code get along without the program's names, now and when called later?

        A function finds its `__builtins__` when it is made. So once there are functions that
        may make others which need the program, no cell has the plain ones any more.
        """
        own = (names.stored, self.scratch, self._program)  # never joined: there may be thousands

        def are_own(used: set[str]) -> bool:
            return all(any(name in names for names in own) for name in used)

        self._is_chained |= bool(names.read & _RUNS_TEXT or not are_own(names.read_later))
        if self._is_chained or theirs or names.star:
            return False
        return not (names.stored_globally or names.read & _LOOKS_AROUND) and are_own(names.read)

    def stored_globally(self, names: Names) -> tuple[set[str], set[str]]:
        """What a cell stores as globals although the program has it: in the bound module, and
        where the cell sees it.
        """
        local, module = self.binding.names()
        ours = {name for name in names.stored_globally if name not in self.scratch}
        declared = {name for name in ours if name in module}
        return declared, declared | {n for n in ours if local is not None and n in local}

    def settle(self, declared: set[str]) -> None:
        """After a cell: hand over what it stored by `global` in a way that was not rewritten."""
        module = self.binding.names()[1]
        for name in declared:
            if name in self.scratch:
                module[name] = self.scratch.pop(name)

    def let_go(self, cell: Cell | None = None) -> None:
        """A cell has ended: hold nothing of the program for it, and nothing after the last."""
        with self._lock:
            for scope in self._scopes.pop(cell, ()):
                scope.let_go()
            if not self._scopes:
                self._program.let_go()

    def lookup(self, name: str) -> object:
        """The value that a cell would see. Raises KeyError."""
        if name in self.scratch:
            return self.scratch[name]
        return self._program[name]

    def names(self) -> list[str]:
        """Scratch names, the frame's locals, its globals: in the order of sight."""
        local, module = self.binding.names()
        scratch = list(self.scratch)
        if "__builtins__" in scratch:
            scratch.remove("__builtins__")
        return [*scratch, *list(() if local is None else local), *list(module)]

    def local_names(self) -> list[str]:
        """The variables of the bound function; none where that is a module."""
        local, _ = self.binding.names()
        return [] if local is None else list(local)

    def release(self) -> None:
        """Let go of everything, but for what functions left in the program go on needing.

        Whether any was left can't be told cheaply; so functions, classes and modules stay in
        the dictionary, and whatever functions of its cells read. Nobody but the functions
        refers to it: without them it is gone at once, or at the next garbage collection.
        """
        self.task_numbers = None
        self._close_coroutines()
        needed = self._read_by_functions | {"__builtins__", "__name__"}
        for name, value in list(self.scratch.items()):
            if name not in needed and not isinstance(value, (_FUNCTION, type, _MODULE)):
                del self.scratch[name]
        self.scratch = {}
        self._program = ProgramNames(self.binding)
        self._plain = {}

    def _close_coroutines(self) -> None:
        """Those that nobody has awaited: Python would warn of each on the program's stderr."""
        shown = self.scratch.get("Out")
        kept = [*self.scratch.values(), *(shown.values() if isinstance(shown, dict) else ())]
        for value in kept:
            if isinstance(value, _COROUTINE) and _is_not_begun(value):
                value.close()
