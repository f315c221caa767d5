"""What a target without IPython is lent of ours.

Runs in the launcher. Rule: IPython and what it requires, by the metadata of the
installed packages; nothing else of our environment is to be found in a target, and
nothing at all in one that does not see our files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..attach.processes import Process

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def refusal(process: Process) -> str:
    """What a cell is told where nothing can be lent; else nothing."""
    if not process.has_other_files:
        return ""
    return (
        f"{process} has no IPython, and can't be lent the kernel's: it sees other files. "
        "Magics work once IPython is installed where it runs.\n"
    )


@cache
def ipython() -> tuple[list[str], list[str]]:
    """The directories from which to import, and the top-level modules to be found there."""
    path: dict[str, None] = {}
    modules: set[str] = set()
    for package in _with_requirements("ipython", set()):
        path[str(package.locate_file(""))] = None
        modules.update(_top_level(package))
    return list(path), sorted(modules)


def _with_requirements(name: str, seen: set[str]) -> Iterator[Distribution]:
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen.add(key)
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return  # for another platform or Python
    yield package
    for requirement in package.requires or ():
        wanted = _NAME.match(requirement)
        if wanted and "extra ==" not in requirement:
            yield from _with_requirements(wanted.group(), seen)


def _top_level(package: Distribution) -> Iterator[str]:
    for file in package.files or ():
        first = file.parts[0]
        if len(file.parts) > 1 and first.isidentifier() and first != "__pycache__":
            yield first
        elif len(file.parts) == 1 and first.endswith(".py"):
            yield first.removesuffix(".py")
