"""What the tools of IPython may change in a process, and putting it back.

Runs in the target, on the thread of a cell. A look before and one after tell
what has changed; the ledger puts it back at detach.
Rule: only what still stands as the tool left it is put back.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .ledger import Ledger

_ATTRIBUTES = {
    "sys": (
        *("displayhook", "excepthook", "unraisablehook", "breakpointhook"),
        *("ps1", "ps2", "ps3", "argv", "tracebacklimit"),
    ),
    "builtins": ("display", "get_ipython", "__IPYTHON__", "input", "exit", "quit", "help"),
    "linecache": ("checkcache", "_checkcache_ori", "getlines", "updatecache"),
    "warnings": ("showwarning", "_showwarning_orig", "formatwarning"),
    "pdb": ("set_trace", "Pdb"),
    "traceback": ("print_exception",),
    "pydoc": ("help", "pager"),
    "threading": ("excepthook",),
}
"""Where tools for people at a prompt like to hook in."""

_LISTS = (("sys", "path"), ("sys", "meta_path"), ("sys", "path_hooks"), ("warnings", "filters"))

_ABSENT = object()


class Watched:
    """Global state of the process at one moment.

    Without `paths_too`, but for `sys.path` and the environment: to start IPython takes long and
    changes neither, so that what changes there in the meantime is the program's doing.
    """

    def __init__(self, paths_too: bool = True) -> None:
        self._values = dict(_values())
        self._lists = {place: list(found) for place, found in _lists()}
        if not paths_too:
            del self._lists["sys", "path"]
        self._environment = dict(os.environ) if paths_too else None
        self._main = sys.modules.get("__main__")

    def record(self, ledger: Ledger, what: str) -> None:
        """Enter in the ledger what is different now; only that is put back, if it still stands."""
        for (module, name), now in list(_values()):
            before = self._values.get((module, name), _ABSENT)
            if now is not before:
                _record_value(ledger, f"{module}.{name}, by {what}", module, name, before, now)
        for place, now in list(_lists()):
            before = self._lists.get(place)
            if before is not None and before != now:
                added = [item for item in now if item not in before]
                _record_list(ledger, f"{'.'.join(place)}, by {what}", now, before, added)
        environment = os.environ if self._environment is None else self._environment
        for name in os.environ.keys() | environment.keys():
            was, is_now = environment.get(name), os.environ.get(name)
            if was != is_now:
                _record_variable(ledger, f"${name}, by {what}", name, was, is_now)
        main = self._main
        if main is not None and sys.modules.get("__main__") is not main:
            sys.modules["__main__"] = main


class Watching:
    """While a magic runs, and after: what it changes in the process is put back at detach."""

    def __init__(self, ledger: Ledger | None, what: str) -> None:
        self._ledger, self._what = ledger, what

    def __enter__(self) -> None:
        if self._ledger is not None:
            self._watched = Watched()

    def __exit__(self, *_: object) -> None:
        if self._ledger is not None:
            self._watched.record(self._ledger, self._what)


def _values() -> Iterator[tuple[tuple[str, str], Any]]:
    for module, names in _ATTRIBUTES.items():
        loaded = sys.modules.get(module)
        if loaded is not None:
            for name in names:
                yield (module, name), vars(loaded).get(name, _ABSENT)


def _lists() -> Iterator[tuple[tuple[str, str], list[Any]]]:
    for module, name in _LISTS:
        loaded = sys.modules.get(module)
        if loaded is not None:
            yield (module, name), getattr(loaded, name)


def _record_value(ledger: Ledger, what: str, module: str, name: str, before: Any, now: Any) -> None:
    owner = sys.modules[module]

    def put_back() -> None:
        if vars(owner).get(name, _ABSENT) is not now:
            return  # somebody has changed it since
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    ledger.record(what, put_back)


def _record_list(
    ledger: Ledger, what: str, now: list[Any], before: list[Any], added: list[Any]
) -> None:
    def put_back() -> None:
        if sorted(map(id, now)) == sorted(map(id, [*before, *added])):
            now[:] = before
        else:
            now[:] = [item for item in now if item not in added]
        tell = getattr(sys.modules.get("warnings"), "_filters_mutated", None)
        if tell is not None:
            tell()

    ledger.record(what, put_back)


def _record_variable(
    ledger: Ledger, what: str, name: str, before: str | None, now: str | None
) -> None:
    def put_back() -> None:
        if os.environ.get(name) == now:
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before

    ledger.record(what, put_back)
