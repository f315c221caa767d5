"""Finding the code of a place: unit tests, in this process.

Runs in pytest. Rule: modules are made by the test and gone after it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from live_kernel.agent import line_events, locations
from live_kernel.agent.actions import Refused
from live_kernel.agent.frames import Binding
from live_kernel.agent.namespace import Namespace

SOURCE = """\
import functools, contextlib


def plainly(a):
    b = a

    return b


def hidden(function):
    def inner(*args):
        return function(*args)

    return inner


class Callback:
    def __init__(self, function):
        self.callback = function


@hidden
def behind(a):
    return a + 1


@functools.lru_cache
def cached(a):
    return a + 2


@Callback
def command(
    a,
    b=1,
):
    return a + b


class Thing:
    @property
    def value(self):
        return 1

    @staticmethod
    def fixed():
        return 2

    @classmethod
    def made(cls):
        return 3

    @functools.cached_property
    def kept(self):
        return 4

    def __call__(self):
        return 5


thing = Thing()
short = lambda x: x + 1
bound = thing.__call__
table = {"entry": lambda y: y + 2}
partial = functools.partial(plainly, 1)


async def waits():
    await one()
    return 6


async def one():
    return [n for n in range(3)]


def numbers():
    for n in range(3):
        yield n


@contextlib.contextmanager
def managed():
    yield 7
"""
LINES = SOURCE.splitlines()


def line_of(text: str) -> int:
    (number,) = [n for n, line in enumerate(LINES, 1) if text in line]
    return number


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "corners.py").write_text(SOURCE)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").touch()
    (tmp_path / "other" / "corners.py").write_text("def plainly():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("package.corners")
    for name in ("package.corners", "package", "other.corners", "other"):
        sys.modules.pop(name, None)


@pytest.fixture
def namespace(module: ModuleType) -> Namespace:
    return Namespace(Binding("package.corners"), {})


INSIDE = {
    "b = a": "plainly",
    "return function(*args)": "hidden.<locals>.inner",
    "return a + 1": "behind",
    "return a + 2": "cached",
    "return a + b": "command",
    "return 1": "Thing.value",
    "return 2": "Thing.fixed",
    "return 3": "Thing.made",
    "return 4": "Thing.kept",
    "return 5": "Thing.__call__",
    "await one()": "waits",
    "n for n in": "one",
    "yield n": "numbers",
    "yield 7": "managed",
}


HEADS = {
    "def plainly": "plainly",
    "short = ": "<lambda>",
    "y + 2": "<lambda>",
    "@functools.lru_cache": "cached",
    "    b=1,": "command",
}


SPOTS = [
    *((text, function, line_of(text)) for text, function in INSIDE.items()),
    *((text, function, line_events.START) for text, function in HEADS.items()),
]


@pytest.mark.parametrize(("text", "function", "line"), SPOTS)
def test_lines(namespace: Namespace, text: str, function: str, line: int) -> None:
    location = locations.find(f"package/corners.py:{line_of(text)}", namespace)
    assert [(code.co_qualname, line) for code, line in location.spots] == [(function, line)]


FUNCTIONS = {
    "plainly": "plainly",
    "behind": "behind",
    "cached": "cached",
    "command": "command",
    "Thing.value": "Thing.value",
    "Thing.fixed": "Thing.fixed",
    "Thing.made": "Thing.made",
    "Thing.kept": "Thing.kept",
    "thing": "Thing.__call__",
    "bound": "Thing.__call__",
    "short": "<lambda>",
    "partial": "plainly",
    "managed": "managed",
    "waits()": "waits",
    "inner": "hidden.<locals>.inner",
    "package.corners.hidden.inner": "hidden.<locals>.inner",
    "package.corners.numbers": "numbers",
    "Callback": "Callback.__init__",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(namespace: Namespace, name: str) -> None:
    location = locations.find(name, namespace)
    assert {(code.co_qualname, line) for code, line in location.spots} == {(FUNCTIONS[name], 0)}


def test_lines_that_python_tells_of(module: ModuleType) -> None:
    """What is taken for a line with code is one, for each kind of function."""
    monitoring, told = sys.monitoring, set()
    tool = 4
    functions = [module.plainly, module.short, module.Thing.fixed, module.Thing.__call__]
    monitoring.use_tool_id(tool, "test")
    try:
        monitoring.register_callback(
            tool, monitoring.events.LINE, lambda code, line: told.add((code.co_qualname, line))
        )
        for function in [*functions, module.waits, module.one, module.numbers]:
            monitoring.set_local_events(tool, function.__code__, monitoring.events.LINE)
        module.plainly(1), module.short(1), module.Thing.fixed(), module.thing()
        assert asyncio.run(module.waits()) == 6
        assert list(module.numbers()) == [0, 1, 2]
    finally:
        monitoring.free_tool_id(tool)
    for function in [*functions, module.waits, module.one, module.numbers]:
        code = function.__code__
        assert locations.lines_of(code) == {line for name, line in told if name == code.co_qualname}


@pytest.mark.parametrize("name", ["started.as_module", "started"])
def test_the_main_module_by_the_name_it_was_started_by(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    main = ModuleType("__main__")
    if "." in name:
        main.__spec__ = ModuleSpec(name, None)
    else:
        main.__file__ = f"/srv/{name}.py"
    exec("def own(): pass", vars(main))
    monkeypatch.setitem(sys.modules, "__main__", main)
    (spot,) = locations.find(f"{name}.own", namespace).spots
    assert spot[0] is vars(main)["own"].__code__
    with pytest.raises(Refused, match="There is no"):
        locations.find("another.own", namespace)


def test_two_files_of_a_name(namespace: Namespace) -> None:
    importlib.import_module("other.corners")
    with pytest.raises(Refused, match=r"There are 2 files 'corners\.py'"):
        locations.find("corners.py:5", namespace)
    assert locations.find("package/corners.py:5", namespace).spots
    (spot,) = locations.find("other/corners.py:2", namespace).spots
    assert spot[1] == 2
    assert locations.find("5", namespace).text.startswith("corners.py:5")


def test_functions_of_one_name(namespace: Namespace) -> None:
    importlib.import_module("other.corners")
    outside = Namespace(Binding("sys"), {})
    with pytest.raises(Refused, match="2 functions are called 'plainly'"):
        locations.find("plainly", outside)
    assert locations.find("package.corners.plainly", outside).spots
    (spot,) = locations.find("other.corners.plainly", outside).spots
    assert spot[0].co_filename.endswith("other/corners.py")


def test_a_function_that_only_a_list_somewhere_holds(
    namespace: Namespace, module: ModuleType
) -> None:
    kept = [module.plainly]
    del module.plainly, module.partial
    location = locations.find(f"package/corners.py:{line_of('b = a')}", namespace)
    assert location.spots[0][0] is kept[0].__code__


def test_no_code_there(namespace: Namespace) -> None:
    with pytest.raises(Refused) as caught:
        locations.find("package/corners.py:6", namespace)
    assert "nearest lines with code are 5, 7" in caught.value.remedy.replace("There", "")


def test_nothing_of_the_programs_is_called(namespace: Namespace, module: ModuleType) -> None:
    class Trap:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise AssertionError("__class__")

        @property
        def __wrapped__(self) -> object:
            raise AssertionError("__wrapped__")

    module.trap = module.Thing.trap = Trap()  # type: ignore[attr-defined]
    assert locations.find(f"package/corners.py:{line_of('return 1')}", namespace).spots
    with pytest.raises(Refused, match="no Python code"):
        locations.find("trap", namespace)
