"""Who may import whom: the floors of the package, held by reading its imports.

Reads source; imports nothing of it but the list of what is sent into targets.
Rule: `link` below `agent` and `attach`, those below `launcher`, the entry
points on top; the agent stands on the standard library, the link and itself.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import live_kernel
from live_kernel.attach import payload

PACKAGE = "live_kernel"
ROOT = Path(live_kernel.__file__).parent
ALONE = {"agent.bootstrap", "attach.foreign"}
"""Sent into a target, or to its interpreter, as text of their own."""

ROOMS = {
    "link": {"link"},
    "agent": {"agent", "link"},
    "plain": {"plain"},
    "records": {"records"},
    "errors": {"errors", "plain"},
    "attach": {"attach", "errors", "plain", "records"},
    "launcher": {"launcher", "attach", "link", "errors", "plain", "records", "__init__"},
    "beside": {"beside", "link"},
    "handle": {"handle", "launcher", "attach", "errors"},
    "kernelspec": {"kernelspec", "errors"},
    "terminal": {"terminal", "launcher", "attach", "plain"},
    "printing": {"printing", "launcher", "attach"},
    "console": {"console"},
    "following": {"following", "launcher", "plain"},
    "supervisor": {"supervisor", "attach", "errors", "plain", "records"},
    "supervising": {"supervising", "attach", "launcher", "errors", "plain"},
    "picker": {"picker", "launcher", "attach", "errors", "plain", "records"},
    "completing": {"completing", "launcher", "attach", "errors", "plain"},
    "cli": {"cli", "handle", "terminal", "following", "launcher", "attach", "errors", "plain"}
    | {"kernelspec", "extension", "supervising", "picker", "completing", "printing", "__init__"},
    "server": {"server", "launcher", "attach", "errors", "plain", "records"},
    "extension": {"extension", "errors"},
    "__init__": {"__init__", "handle"},
    "__main__": {"__main__", "cli", "console", "launcher", "supervisor"},
}
"""Each room, and those from which it may import."""

AT_ONCE = {
    "__future__", "_collections_abc", "_frozen_importlib", "_frozen_importlib_external", "_socket",
    "contextlib", "contextvars", "opcode", "os", "types",
    "json", "collections", "functools", "re",
}  # fmt: skip
"""What the agent may import at the top of its modules, beside what is part of the interpreter:
what is there in any program, what is small, and `json` with what that loads.
"""


@dataclass(frozen=True)
class Import:
    """One name taken from one module; `name` is empty for `import module`."""

    importer: str
    module: str
    name: str
    line: int
    is_relative: bool
    at_once: bool
    for_types: bool

    @property
    def top(self) -> str:
        """The package that it comes from."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.name or 'all'} of {self.module or '.'}"


def modules() -> list[str]:
    """All modules of the package, by their dotted names within it; `__init__` is the package."""
    names = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "__init__")
    return names


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*([] if module == "__init__" else module.split(".")))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    tree = ast.parse(source_of(module).read_text())
    return tuple(_walk(tree, module, at_once=True, for_types=False))


def _walk(node: ast.AST, importer: str, at_once: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(importer, alias.name, "", child.lineno, False, at_once, for_types)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(importer, child)
            for alias in child.names:
                yield Import(
                    importer, module, alias.name, child.lineno, child.level > 0, at_once, for_types
                )
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from _walk(_module(statement), importer, at_once, for_types=True)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(child, importer, at_once and not inside, for_types)


def _module(statement: ast.stmt) -> ast.Module:
    return ast.Module([statement], [])


def _absolute(importer: str, node: ast.ImportFrom) -> str:
    """The module within the package that a relative import means, or the outside one."""
    if not node.level:
        return node.module or ""
    is_package = source_of(importer).name == "__init__.py"
    parts = [] if importer == "__init__" else importer.split(".")
    keep = len(parts) - node.level + int(is_package and importer != "__init__")
    base = parts[: max(keep, 0)]
    return ".".join([*base, *((node.module or "").split(".") if node.module else [])])


def targets_of(one: Import) -> str:
    """The module that is loaded: `from . import frames` loads `frames`."""
    whole = f"{one.module}.{one.name}" if one.module else one.name
    return whole if whole in MODULES else (one.module or "__init__")


def room_of(module: str) -> str:
    return module.partition(".")[0]


MODULES = modules()
INJECTED = [m for m in MODULES if room_of(m) in ("agent", "link") and m not in ALONE]


def test_the_walk_finds_the_imports_that_we_know() -> None:
    """Or everything below would hold of an empty list."""
    found = {str(one).partition(" ")[2] for module in MODULES for one in imports_of(module)}
    assert {"imports frames of link", "imports main of cli", "imports all of zmq"} <= found
    assert {"agent.session", "launcher.router", "link.frames", "cli", "__init__"} <= set(MODULES)
    typed = [one for one in imports_of("agent.session") if one.for_types]
    assert "typing" in {one.module for one in typed}
    assert any(not one.at_once and one.name == "completion" for one in imports_of("agent.answers"))


def imports_in(modules: Iterable[str]) -> Iterator[Import]:
    """What they import when they run; not what only a type checker sees."""
    for module in modules:
        yield from (one for one in imports_of(module) if not one.for_types)


def all_imports() -> Iterator[Import]:
    return itertools.chain.from_iterable(map(imports_of, MODULES))


def test_each_room_imports_from_the_rooms_below() -> None:
    inside = [one for one in all_imports() if one.is_relative]
    wrong = [one for one in inside if room_of(targets_of(one)) not in ROOMS[room_of(one.importer)]]
    assert list(map(str, wrong)) == []


def test_the_package_imports_itself_relatively() -> None:
    """The agent is loaded under another name."""
    wrong = [one for one in all_imports() if not one.is_relative and one.top == PACKAGE]
    assert list(map(str, wrong)) == []


def test_what_is_private_is_imported_by_nobody() -> None:
    inside = [one for one in all_imports() if one.is_relative]
    wrong = [one for one in inside if any(map(is_private, [*targets_of(one).split("."), one.name]))]
    assert list(map(str, wrong)) == []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_a_target_needs_nothing_but_its_standard_library() -> None:
    outside = [one for one in imports_in(INJECTED) if not one.is_relative]
    wrong = [one for one in outside if one.top not in sys.stdlib_module_names]
    assert list(map(str, wrong)) == []


def test_a_target_is_made_to_load_little_at_once() -> None:
    at_once = [module for module in INJECTED if module not in payload.groups()]
    outside = [one for one in imports_in(at_once) if not one.is_relative and one.at_once]
    free = AT_ONCE | set(sys.builtin_module_names)
    assert [str(one) for one in outside if one.module not in free] == []


def test_the_launcher_unpickles_nothing() -> None:
    ours = [m for m in MODULES if room_of(m) not in ("agent", "link", "beside")]
    wrong = [one for one in imports_in(ours) if "parcels" in (one.name, targets_of(one)[5:])]
    wrong += [one for one in imports_in(ours) if one.top in ("pickle", "_pickle", "shelve")]
    assert list(map(str, wrong)) == []


def test_a_target_is_never_made_to_load_these() -> None:
    """`threading` and `socket` change when gevent comes; `typing` and `dataclasses` are large."""
    never = ("threading", "socket", "typing", "dataclasses", "ctypes")
    assert [str(one) for one in imports_in(INJECTED) if one.module in never] == []


def test_what_is_sent_as_text_stands_alone() -> None:
    for module in ALONE:
        assert imports_of(module) != ()
    wrong = [one for one in imports_in(ALONE) if one.is_relative]
    wrong += [one for one in imports_in(ALONE) if one.top not in sys.stdlib_module_names]
    assert list(map(str, wrong)) == []


def test_imports_go_round_in_no_circle() -> None:
    """Counting all that is imported at once: two modules that need each other are one."""
    graph = {
        module: {
            targets_of(one)
            for one in imports_of(module)
            if one.is_relative and one.at_once and not one.for_types
        }
        - {module}
        for module in MODULES
    }
    done: set[str] = set()
    while ready := {module for module in graph if module not in done and graph[module] <= done}:
        done |= ready
    assert set(graph) - done == set()


# -- what is sent into a target


def test_every_module_of_the_agent_is_sent() -> None:
    """A new file that is not in the list would be missing in targets, and nowhere else."""
    assert set(payload.WITH_ENTRY) == set(INJECTED)
    assert payload.WITH_ENTRY[: len(payload.MODULES)] == payload.MODULES
    assert payload.WITH_ENTRY[-1] == "agent.entry"
    assert len(set(payload.WITH_ENTRY)) == len(payload.WITH_ENTRY)


@pytest.mark.parametrize("group", [(), *payload.LATE], ids=lambda group: group[0] if group else "")
def test_every_module_is_sent_after_those_that_it_imports(group: tuple[str, ...]) -> None:
    """At once, or in its own group; those of other groups are taken from the package."""
    sent = (*payload.MODULES, *group)
    for position, module in enumerate(sent):
        before = set(sent[:position])
        parent = module.rpartition(".")[0]
        assert not parent or parent in before, module
        for one in imports_of(module):
            if one.is_relative and one.at_once and not one.for_types:
                assert targets_of(one) in before or one.module == "agent", one


def test_what_is_loaded_late_is_taken_from_the_package() -> None:
    """`from .completion import …` would look for a file, of which there is none in a target."""
    late = payload.groups()
    for module in payload.WITH_ENTRY:
        for one in imports_of(module):
            wanted = targets_of(one)
            is_other = wanted in late and late[wanted] != late.get(module)
            if one.is_relative and not one.for_types and is_other:
                assert one.module == "agent", one
                assert not one.at_once or module in late, one


def test_what_is_imported_later_is_sent_too() -> None:
    sent = set(payload.WITH_ENTRY)
    for module in payload.WITH_ENTRY:
        for one in imports_of(module):
            if one.is_relative and not one.for_types:
                assert targets_of(one) in sent, one


def test_the_sources_that_are_sent_are_those_files() -> None:
    for module, file, text in payload.sources():
        assert Path(file) == source_of(module)
        assert text == Path(file).read_text()


def test_every_module_says_what_it_is() -> None:
    trees = {module: ast.parse(source_of(module).read_text()) for module in MODULES}
    assert [module for module, tree in trees.items() if not ast.get_docstring(tree)] == []
