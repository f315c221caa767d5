"""Which names a cell sees, and where its assignments go.

Runs in the target, on the cells' thread; completion reads it from the control
thread. A cell sees, in this order: its scratch names, the bound frame's
locals, that frame's globals, builtins. It assigns to the program where the
program has the name, else to the scratch namespace, which is gone at detach.
Rule: the program's namespaces never gain a name, and a name of the cell's own
costs what it costs anywhere (PEP 667 makes the write to a running frame real).

How: a cell runs with the scratch dictionary as its globals. What is not found
there, Python looks up in `__builtins__`, which is ours: a dictionary of the
builtins whose `__missing__` asks the program. Only a cell that assigns one of
the program's names runs with a mapping as its locals, to direct the store.
"""

from __future__ import annotations

import builtins

from .names import PROGRAM, Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .frames import Binding

_LOOKS_AROUND = frozenset({"eval", "exec", "globals", "locals", "vars", "dir", "compile"})
"""Builtins that may use names which the code itself does not show."""


class ProgramNames(dict[str, object]):
    """The `__builtins__` of a cell: builtins, and behind them the program's names."""

    __slots__ = ("binding",)

    def __init__(self, binding: Binding) -> None:
        super().__init__()
        self.binding = binding

    def __missing__(self, name: str) -> object:
        local, module = self.binding.names()
        if local is not None and name in local:
            return local[name]
        return module[name]

    def refresh(self, additions: Mapping[str, object]) -> None:
        """Take the builtins as they are now, without those that the program's names hide."""
        local, module = self.binding.names()
        self.clear()
        self.update(builtins.__dict__)
        self.update(additions)
        for name in [n for n in self if n in module or (local is not None and n in local)]:
            if name not in ("__build_class__", "__import__"):
                del self[name]


class Scope:
    """Directs the stores of one cell, as the `locals` of its top level."""

    def __init__(self, scratch: dict[str, Any], local: Any, module: dict[str, Any]) -> None:
        self._scratch, self._local, self._module = scratch, local, module

    def _home(self, name: str) -> Any:
        """The namespace in which this name lives, or in which it will."""
        if name not in self._scratch:
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
        del home[name]

    def __contains__(self, name: str) -> bool:
        return name in self._home(name)

    def keys(self) -> Iterator[str]:
        return iter(self._scratch)

    def __iter__(self) -> Iterator[str]:
        return iter(self._scratch)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


class ProgramGlobals:
    """`__program__` in rewritten code: the globals of the bound module as attributes."""

    __slots__ = ("_program",)

    def __init__(self, program: ProgramNames) -> None:
        object.__setattr__(self, "_program", program)

    def _globals(self) -> dict[str, Any]:
        program: ProgramNames = object.__getattribute__(self, "_program")
        return program.binding.names()[1]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._globals()[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._globals()[name] = value

    def __delattr__(self, name: str) -> None:
        del self._globals()[name]

    def __call__(self, name: str, value: Any) -> Any:
        self._globals()[name] = value
        return value


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
        self._program = ProgramNames(binding)
        self.additions[PROGRAM] = ProgramGlobals(self._program)
        self._plain: dict[str, object] = {}

    def bind(self, binding: Binding) -> None:
        """From the next cell on, see the names of another place."""
        self.binding = self._program.binding = binding

    def prepare(self, names: Names) -> tuple[dict[str, Any], Any]:
        """The globals and locals with which to run code that uses `names` at its top level."""
        self._program.refresh(self.additions)
        self.scratch["__name__"] = self.binding.module
        local, module = self.binding.names()
        theirs = {
            name
            for name in names.read | names.stored
            if name not in self.scratch
            and (name in module or (local is not None and name in local))
        }
        if local is not None:
            _refuse_deletion(names.deleted & theirs, local, module)
        if self._is_self_contained(names, theirs):
            self._plain.clear()
            self._plain.update(self._program)
            # A plain dictionary here lets CPython specialise the look-ups in functions.
            self.scratch["__builtins__"] = self._plain
            return self.scratch, self.scratch
        self.scratch["__builtins__"] = self._program
        if names.star or theirs & names.stored:
            return self.scratch, Scope(self.scratch, local, module)
        return self.scratch, self.scratch

    def _is_self_contained(self, names: Names, theirs: set[str]) -> bool:
        """Does this code get along without the program's names, now and when called later?"""
        if theirs or names.star or names.stored_globally or names.read & _LOOKS_AROUND:
            return False
        return all(
            name in self._program or name in self.scratch or name in names.stored
            for name in names.read
        )

    def written_by_functions(self, names: Names) -> set[str]:
        """The program's globals that functions of a cell assign by a `global` statement."""
        module = self.binding.names()[1]
        return {n for n in names.stored_globally if n in module and n not in self.scratch}

    def settle(self, written: set[str]) -> None:
        """After a cell: hand over what it stored by `global` in a way that was not rewritten."""
        module = self.binding.names()[1]
        for name in written & self.scratch.keys():
            module[name] = self.scratch.pop(name)

    def lookup(self, name: str) -> object:
        """The value that a cell would see. Raises KeyError."""
        if name in self.scratch:
            return self.scratch[name]
        return self._program[name]

    def names(self) -> Iterable[str]:
        """Scratch names, the frame's locals, its globals: in the order of sight."""
        local, module = self.binding.names()
        yield from [name for name in list(self.scratch) if name != "__builtins__"]
        if local is not None:
            yield from list(local)
        yield from list(module)

    def clear(self) -> None:
        """Let go of everything."""
        self.scratch.clear()
        self._program.clear()
        self._plain.clear()
