"""What could be imported, found without importing any of it.

Runs in the target, on the thread `control`. In a program that is busy in
Python, each system call costs a turn of the interpreter lock; so what is in a
directory is taken from the import system's own memory of it where that will do.
Rule: nothing is imported and no module is run; what isn't loaded is read as text.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from .cursor import CODE_LIMIT, bound_names
from .lookup import own_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

VERIFY_SECONDS = 0.05
"""So long directories are looked into, to see whether they are packages; then they pass for it."""


def modules_in(parent: str) -> dict[str, str]:
    """The modules directly below a package, "" for the top.

    With each comes the file that must exist for it to be one, "" if that is sure.
    """
    prefix = parent + "." if parent else ""
    found: dict[str, str] = {}
    for directory in _directories_of(parent):
        found.update(_modules_at(directory))
    loaded = [name for name in list(sys.modules) if type(name) is str and name.startswith(prefix)]
    known = [name.removeprefix(prefix) for name in loaded]
    if not parent:
        known += sys.builtin_module_names
    found.update({name: "" for name in known if name and "." not in name})
    return found


def proven(found: dict[str, str], names: Iterable[str]) -> list[str]:
    """The names without those of `modules_in` whose file does not exist."""
    end = monotonic() + VERIFY_SECONDS
    return [
        name
        for name in names
        if not found.get(name) or monotonic() > end or os.path.exists(found[name])
    ]


def names_in(module: str) -> list[str]:
    """The names that a module which is not loaded binds, as far as its text tells."""
    above, _, name = module.rpartition(".")
    for directory in _directories_of(above):
        for file in (f"{name}.py", f"{name}/__init__.py"):
            try:
                with open(f"{directory}/{file}", encoding="utf-8", errors="replace") as source:
                    return bound_names(source.read(CODE_LIMIT), "^")
            except OSError:
                continue
    return []


def _directories_of(parent: str) -> list[str]:
    """Where modules below a package are looked for."""
    if not parent:
        path: object = sys.path
    elif parent in sys.modules:
        path = own_entry(sys.modules[parent], "__path__")
        path = path if type(path) is list else own_entry(path, "_path")  # without `__init__.py`
    else:
        above, _, name = parent.rpartition(".")
        return [f"{directory}/{name}" for directory in _directories_of(above)]
    entries = list(path) if type(path) is list else []
    return [entry or "." for entry in entries if type(entry) is str]


def _modules_at(directory: str) -> dict[str, str]:
    """The modules in one directory, each with the file that would prove it."""
    found: dict[str, str] = {}
    for name in _contents(directory):
        stem, dot, suffix = name.partition(".")
        if not stem.isidentifier() or stem in ("__init__", "__pycache__"):
            continue
        if not dot:
            found.setdefault(stem, f"{directory}/{name}/__init__.py")
        elif suffix == "py" or suffix.endswith("so"):
            found[stem] = ""
    return found


def _contents(directory: str) -> list[str]:
    """The names in a directory, as the import system remembers them or else as they are."""
    remembered = own_entry(sys.path_importer_cache.get(directory), "_path_cache")
    if type(remembered) is set and remembered:
        return list(remembered)
    try:
        return os.listdir(directory)
    except OSError:
        return []
