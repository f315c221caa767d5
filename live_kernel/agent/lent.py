"""Imports of IPython by cells: found in the target, or lent; and made to speak through us.

Runs in the target, on threads of cells. `IPython.display` asks one class for
"the" shell of the process; here each cell has that of its session, and the
program may have one of its own. So that class is taught to ask who asks, and
so is the package through which widgets reach their views (`comms.py`).
Rule: an import that the program makes itself is never answered here, and what
was lent is gone from `sys.modules` when the last session leaves.
"""

from __future__ import annotations

import os
import sys

from . import comms
from .shared import Shared
from .streams import running_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

    from .ledger import Entry, Ledger
    from .shell import Shell

    type Tell = Callable[[ModuleType, Ledger], object]

_SHELL = "IPython.core.interactiveshell"
_HISTORY = "IPython.core.history"
"""The module of IPython that has itself called at forks."""


class Imports:
    """The finder of one session, among the process's finders while a cell of it runs."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._path: list[str] = []
        self._modules: set[str] = {"IPython"}
        self._has_asked = False

    def enter(self) -> Entry:
        """A cell begins. The entry's `undo` says that it has ended."""
        entry = self._shell.ledger.record("a finder of modules, for a cell", self.leave)
        sys.meta_path.insert(0, self)
        for name, install in _TAUGHT.items():
            if name in sys.modules:
                install(sys.modules[name], self._shell.ledger)
        return entry

    def leave(self) -> None:
        """Be no finder any more, once."""
        for index, finder in enumerate(sys.meta_path):
            if finder is self:
                del sys.meta_path[index]
                return

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        """What the import system asks every finder."""
        if name == _HISTORY and _loans.has(name):
            return _unhooked(_elsewhere(name, path))
        if name in _TAUGHT:
            return self._with(_TAUGHT[name], name, path)
        if split.awaits(name):
            return self._with(split.imported, name, path)
        if name not in self._modules or running_cell() is None or _elsewhere(name, path):
            return None
        if not self._has_asked:
            self._borrow(True)
        return self._lent(name)

    def _with(self, tell: Tell, name: str, path: Sequence[str] | None) -> Any:
        """For a cell: what others find, and `tell` is called when it is loaded."""
        spec = None if running_cell() is None else _elsewhere(name, path)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self._shell.ledger, tell)
        return spec

    def _lent(self, name: str) -> Any:
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, self._path)
        if spec is not None:
            _loans.add(name, self._path, self._shell.ledger)
        return spec

    def borrow(self) -> dict[str, str]:
        """Be ready for IPython. Returns the kernel's own commands with their help."""
        is_needed = "IPython" not in sys.modules and not _elsewhere("IPython", None)
        return self._borrow(is_needed)

    def _borrow(self, is_needed: bool) -> dict[str, str]:
        answer = self._shell.errands.ask("lend", needed=is_needed)
        if is_needed:
            self._has_asked = True
            self._path = [str(place) for place in answer["path"]]
            self._modules.update(map(str, answer["modules"]))
        return {str(name): str(text) for name, text in answer["commands"].items()}


def _elsewhere(name: str, path: Sequence[str] | None) -> Any:
    """What the process's own finders say."""
    for finder in list(sys.meta_path):
        find = None if isinstance(finder, Imports) else getattr(finder, "find_spec", None)
        spec = None if find is None else find(name, path, None)
        if spec is not None:
            return spec
    return None


class _Loader:
    """Loads a module as its own loader does, and then tells of it."""

    def __init__(self, loader: Any, ledger: Ledger, tell: Tell) -> None:
        self._loader, self._ledger, self._tell = loader, ledger, tell

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._tell(module, self._ledger)


def _unhooked(spec: Any) -> Any:
    """For a module that was lent: what it wants to be called at forks is not.

    There is no way to take such a hook back; it would keep the module, and all of IPython with
    it, for the rest of the program's life, once for each time that it is lent.
    """
    if spec is not None and hasattr(spec.loader, "exec_module"):
        spec.loader = _Unhooked(spec.loader)
    return spec


class _Unhooked:
    """Loads a module as its own loader does, but for its hooks."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        original = os.register_at_fork

        def register_at_fork(**hooks: Any) -> None:
            if sys._getframe(1).f_globals is not vars(module):  # what it imports, or the program
                original(**hooks)

        os.register_at_fork = register_at_fork
        try:
            self._loader.exec_module(module)
        finally:
            if os.register_at_fork is register_at_fork:
                os.register_at_fork = original


class _Bridge:
    """What `InteractiveShell` is taught, for as long as there are sessions that need it."""

    def __init__(self) -> None:
        self._shared = Shared("IPython's idea of the present shell", self._take_out)
        self._class: Any = None

    def install(self, module: ModuleType, ledger: Ledger) -> None:
        shell_class = getattr(module, "InteractiveShell", None)
        if shell_class is not None and not self._shared.is_needed_by(ledger):
            self._shared.need(ledger, lambda: self._put_in(shell_class))

    def _put_in(self, shell_class: Any) -> None:
        if self._class is None:
            self._class = shell_class
            _teach(shell_class)

    def _take_out(self) -> None:
        for name in ("instance", "initialized"):
            delattr(self._class, name)
        self._class = None


def _teach(shell_class: Any) -> None:
    """In a cell, the shell is that of the cell's session; elsewhere what it was."""

    def instance(cls: Any, *arguments: Any, **options: Any) -> Any:
        present = _present()
        if present is not None:
            return present
        return super(shell_class, cls).instance(*arguments, **options)

    def initialized(cls: Any) -> bool:
        return _present() is not None or bool(super(shell_class, cls).initialized())

    shell_class.instance = classmethod(instance)
    shell_class.initialized = classmethod(initialized)


def _present() -> Any:
    cell = running_cell()
    return None if cell is None or cell.shell is None else cell.shell.present()


class _Loans:
    """The modules that were lent, to whichever sessions."""

    def __init__(self) -> None:
        self._shared = Shared("modules that were lent", self._call_in)
        self._names: set[str] = set()
        self._places: set[str] = set()

    def add(self, name: str, path: list[str], ledger: Ledger) -> None:
        def note() -> None:
            self._names.add(name)
            self._places.update(path)

        self._shared.need(ledger, note)

    def has(self, name: str) -> bool:
        """Was the package lent in which this module is?"""
        return name.partition(".")[0] in self._names

    def _call_in(self) -> None:
        for name in list(sys.modules):
            if name.partition(".")[0] in self._names:
                sys.modules.pop(name, None)
        for place in [p for p in sys.path_importer_cache if p in self._places]:
            sys.path_importer_cache.pop(place, None)
        self._names.clear()
        self._places.clear()
        # `typing` remembers what was subscripted, and the modules lent with it.
        for forget in getattr(sys.modules.get("typing"), "_cleanups", ()):
            forget()


_bridge = _Bridge()
_loans = _Loans()
_TAUGHT: dict[str, Callable[[ModuleType, Ledger], None]] = {
    _SHELL: _bridge.install,
    comms.PACKAGE: comms.install,
}
"""Modules that are taught as soon as they are there."""
