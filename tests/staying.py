"""What may be different in a program after a kernel has been there, by name, with the reason.

Runs in pytest. Rule: whatever is not let pass here is harm; what is, is told in
docs/what-stays.md under the same name, with its size.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Snapshot = dict[str, Any]

AGENT = re.compile(r"_live_kernel_[0-9a-f]{12}(\..+)?")
"""The modules of the agent, which stay loaded so that the next attach is instant."""


@dataclass
class Change:
    """Two snapshots; and, by the key, what is different, from which is taken what may be.

    `interrupted`: a cell was, so that `_ctypes` is loaded. `has_ipython`: it is among the
    program's own packages, so that cells that need it have loaded it there for good.
    """

    before: Snapshot
    after: Snapshot
    interrupted: bool
    has_ipython: bool

    def __post_init__(self) -> None:
        assert self.before.keys() == self.after.keys()
        self.left = {key: difference(self.before[key], self.after[key]) for key in self.before}
        for what in ("attributes", "sizes"):
            self.left[what] = self._of_same_modules(what)
        self.loaded = self.after["modules"].keys() - self.before["modules"].keys()

    def _of_same_modules(self, what: str) -> dict[str, Any]:
        """What is different in modules that were there before, and still are."""
        before, after = self.before[what], self.after[what]
        return {
            f"{module}.{name}": pair
            for module in before.keys() & after.keys()
            for name, pair in (difference(before[module], after[module]) or {}).items()
        }

    def let_pass(self, key: str, may: Callable[[str, Any, Any], bool]) -> None:
        """Of a key with many items: those of which that is true, by name, was and is now."""
        left = self.left[key] or {}
        self.left[key] = {name: pair for name, pair in left.items() if not may(name, *pair)}


def difference(before: Any, after: Any) -> Any:
    """None, or what was and what is, as small as can be told."""
    if before == after:
        return None
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys(), key=str)
        pairs = {name: (before.get(name), after.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return before, after


def differences(
    before: Snapshot, after: Snapshot, interrupted: bool = False, has_ipython: bool = False
) -> dict[str, Any]:
    """What has changed and must not have. For the options see `Change`."""
    change = Change(before, after, interrupted, has_ipython)
    for key in _TOLD_ONLY:
        change.left[key] = None
    for key, module in _OF_A_MODULE.items():
        if module not in before["modules"]:
            change.left[key] = None
    for let_pass in MAY_STAY.values():
        let_pass(change)
    return {key: what for key, what in change.left.items() if what}


_TOLD_ONLY = ("packages",)
"""What a snapshot tells for the sake of other keys."""

_OF_A_MODULE = {
    "threading": "threading",
    "Thread": "threading",
    "known threads": "threading",
    "warnings": "warnings",
    "asyncio policy": "asyncio.events",
    "random": "random",
    "decimal": "decimal",
}
"""What there is to be seen only once a module of the standard library is loaded."""


# -- modules


def _modules_of_the_agent(change: Change) -> None:
    """They make the next attach instant."""
    change.let_pass("modules", lambda name, was, now: was is None and bool(AGENT.fullmatch(name)))


def _modules_of_python(change: Change) -> None:
    """Unloading one is not safe: others may have taken something from it."""
    standard = {*change.before["standard library"], *_UNLISTED}
    change.let_pass(
        "modules", lambda name, was, now: was is None and name.partition(".")[0] in standard
    )


_UNLISTED = ("_missing_stdlib_info", "_sysconfigdata__linux_x86_64-linux-gnu")
"""Of the standard library, which does not list them."""


def _ipython_of_the_program(change: Change) -> None:
    """As an import of the cell's own would; one that is lent is taken away."""
    own = set(change.after["packages"]) if change.has_ipython else set()
    change.let_pass("modules", lambda name, was, now: was is None and name.partition(".")[0] in own)


def _bound_by_modules(change: Change) -> None:
    """A package knows its modules; some bind what they are asked for the first time."""
    change.let_pass("attributes", lambda name, was, now: was is None and name in change.loaded)
    change.let_pass(
        "attributes", lambda name, was, now: was is None and bool(_LAZY.fullmatch(name))
    )
    change.let_pass("attributes", lambda name, was, now: was == _LAZY_IMPORT)
    change.let_pass("attributes", lambda name, was, now: name in _COUNTERS)


_LAZY_IMPORT = 0
"""What the witness says of an import of 3.15 that waits to be needed."""

_LAZY = re.compile(
    r"typing\..+"
    r"|(collections|_collections_abc|contextlib)\..+\.(__annotat\w+__|_removal_version)"
    r"|concurrent\.futures\.(Thread|Process)PoolExecutor"
    r"|.+\.__slotnames__|PySide6\..+"
)
"""`typing` reads the annotations of the abstract classes when it is loaded; `copy` and `pickle`
note the slots of classes; PySide makes its classes when they are first needed."""

_COUNTERS = {
    "asyncio.events._event_loop_policy": "compared by itself",
    "dataclasses._MODULE_IDENTIFIER_RE": "compiled when first needed",
    "gevent.hub.Hub._hub_counter": "of hubs; that of a thread of ours is gone with it",
    "sysconfig._CONFIG_VARS": "read when first needed",
    "sysconfig._CONFIG_VARS_INITIALIZED": "likewise",
    "typing._lazy_annotationlib": "loads what it stands for when it is first needed",
}


def _caches(change: Change) -> None:
    """They are Python's, and most of them bounded."""
    change.let_pass("sizes", lambda name, was, now: name in CACHES)
    if set(change.before["importer cache"]) <= set(change.after["importer cache"]):
        change.left["importer cache"] = None


CACHES = {
    "sys.modules": "of which each is compared",
    "sys.lazy_modules": "names of such",
    "sys.path_importer_cache": "of places that are searched for modules",
    "linecache.cache": "of which each is compared",
    "encodings._cache": "of codecs, each once",
    "sysconfig._CONFIG_VARS": "read when first needed",
    "threading._threading_atexits": "of concurrent.futures.thread, once it is loaded",
    "copyreg.dispatch_table": "of `typing`, once it is loaded; it has two names more",
    "copy.dispatch_table": "the same one",
    "pickle.dispatch_table": "the same one",
    "asyncio.coroutines._iscoroutine_typecache": "classes, 100 at most",
    "logging._handlerList": "of loggers that libraries make as they are loaded",
    "re._cache": "compiled patterns, 512 at most",
    "re._cache2": "compiled patterns, 256 at most",
}


def _shared_libraries(change: Change) -> None:
    """Those that modules need; from where the program's others come from, and nothing else."""
    before, after = change.before["mappings"], change.after["mappings"]
    places = {str(Path(file).parent) for file in before if ".so" in file}
    places |= {f"{Path(os.__file__).parent}/lib-dynload"}

    def is_library(file: str) -> bool:
        is_own = change.has_ipython and "/site-packages/" in file
        return ".so" in file and (is_own or str(Path(file).parent) in places)

    new = {file for file in after if file not in before and not is_library(file)}
    change.left["mappings"] = dict.fromkeys({*before} - {*after}, "gone") | dict.fromkeys(
        new, "new"
    )


# -- what is called later


def _fork_hooks_of_the_agent(change: Change) -> None:
    """There is no way to take them back; without a session they do nothing."""
    _hooks(change, lambda hook: bool(AGENT.match(hook)), 2)


def _fork_hooks_of_python(change: Change) -> None:
    """Modules of the standard library have them, and IPython has one."""
    expected = sum(count for module, count in _FORK_HOOKS.items() if module in change.loaded)
    _hooks(change, lambda hook: True, expected)


_FORK_HOOKS = {
    "logging": 3,
    "threading": 1,
    "random": 1,
    "asyncio.events": 1,
    "concurrent.futures.thread": 4,
    "IPython.core.history": 1,
}
"""What modules have called at forks, once they are loaded, and how many of these."""


def _hooks(change: Change, may: Callable[[str], bool], count: int) -> None:
    """Let so many hooks pass of which that is true. What is left: those gone, those new."""
    if change.left["fork hooks"] is None:
        return
    gone, new = (sorted(itertools.chain(*hooks)) for hooks in change.left["fork hooks"])
    for hook in [hook for hook in gone if hook in new]:
        gone.remove(hook)
        new.remove(hook)
    passing = [hook for hook in new if may(hook)][:count]
    for hook in passing:
        new.remove(hook)
    change.left["fork hooks"] = ([gone], [new]) if gone or new else None


def _atexit_of_logging(change: Change) -> None:
    """`logging` has itself called at exit, once it is loaded."""
    if "logging" in change.loaded:
        before, after = change.before["atexit"] + 1, change.after["atexit"]
        change.left["atexit"] = difference(before, after)


# -- what else Python makes once


def _asyncio_policy(change: Change) -> None:
    """asyncio's usual one, made when a loop is first asked for; the program would get the same."""
    before, after = change.before["asyncio policy"], change.after["asyncio policy"]
    if before.startswith("NoneType") and "DefaultEventLoopPolicy" in after:
        change.left["asyncio policy"] = None


def _descriptor_of_libffi(change: Change) -> None:
    """Some builds of libffi, below `_ctypes`, keep one open on their own file."""
    found = change.left["descriptors"] or {}
    if change.interrupted and len(found) == 1:
        ((was, now),) = found.values()
        if was is None and "libffi" in now:
            change.left["descriptors"] = change.left["descriptors' flags"] = None


def _sources_for_qt(change: Change) -> None:
    """PySide's import hook reads the source of whatever is imported."""
    before, after = set(change.before["linecache"]), set(change.after["linecache"])
    is_qt = "shiboken6" in change.before["modules"]
    if is_qt and before <= after and all(map(_is_of_python, after - before)):
        change.left["linecache"] = None


def _is_of_python(file: str) -> bool:
    return Path(file).is_relative_to(Path(os.__file__).parent) and "site-packages" not in file


MAY_STAY: dict[str, Callable[[Change], None]] = {
    "modules of the agent": _modules_of_the_agent,
    "modules of Python": _modules_of_python,
    "IPython of the program": _ipython_of_the_program,
    "names bound by modules": _bound_by_modules,
    "caches of Python": _caches,
    "shared libraries": _shared_libraries,
    "fork hooks of the agent": _fork_hooks_of_the_agent,
    "fork hooks of Python": _fork_hooks_of_python,
    "atexit of logging": _atexit_of_logging,
    "policy of asyncio": _asyncio_policy,
    "descriptor of libffi": _descriptor_of_libffi,
    "sources for Qt": _sources_for_qt,
}
"""By the name in docs/what-stays.md."""
