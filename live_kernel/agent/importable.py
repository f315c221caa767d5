"""What could be imported, found without importing any of it.

Runs in the target, on the thread `control`. Rule: no module is imported or run,
no finder asked; directories are listed, and what isn't loaded is read as text.
"""

from __future__ import annotations

import os
import sys
from itertools import islice

from .cursor import CODE_LIMIT, bound_names
from .lookup import own_entry

DIRECTORY_LIMIT = 10_000
"""So many entries of a directory are looked at."""


def modules_in(parent: str) -> set[str]:
    """The modules directly below a package, "" for the top."""
    prefix = parent + "." if parent else ""
    found = set() if parent else set(sys.builtin_module_names)
    for directory in _directories_of(parent):
        found.update(_modules_at(directory))
    for name in list(sys.modules):
        if type(name) is str and name.startswith(prefix):
            found.add(name.removeprefix(prefix))
    return {name for name in found if name.isidentifier() and name != "__init__"}


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
        path = path if type(path) is list else own_entry(path, "_path")  # of a namespace package
    else:
        above, _, name = parent.rpartition(".")
        return [f"{directory}/{name}" for directory in _directories_of(above)]
    entries = list(path) if type(path) is list else []
    return [entry or "." for entry in entries if type(entry) is str]


def _modules_at(directory: str) -> list[str]:
    """What a directory has to import. Its parts without `__init__.py` don't count."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in islice(entries, DIRECTORY_LIMIT)]
    except OSError:
        return []
    found = [name.partition(".")[0] for name in names if name.endswith((".py", ".so"))]
    packages = [name for name in names if "." not in name]
    return found + [n for n in packages if os.path.exists(f"{directory}/{n}/__init__.py")]
