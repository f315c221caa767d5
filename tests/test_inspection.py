"""Inspection in one process: which object is meant, and what the page says of it."""

from __future__ import annotations

import functools
import linecache
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stand_ins import Dictionary
from targets import eventually

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent import asking
from live_kernel.agent.completion import MATCH_LIMIT
from live_kernel.agent.inspection import inspect, inspect_name
from live_kernel.agent.search import search

NOT_FOUND = {"found": False, "data": {}}
HERE = __file__

ran: list[str] = []


class Engine:
    """Connects to a database."""

    def __init__(self, url: str, *, echo: bool = False) -> None:
        """Connect."""
        self.url = url

    def connect(self, timeout: int = 3) -> Engine:
        """Open a connection."""
        return self

    @property
    def state(self) -> Engine:
        """What state it is in."""
        ran.append("state")
        return self

    @functools.cached_property
    def pool(self) -> dict[str, int]:
        """The connections."""
        ran.append("pool")
        return {}

    def __repr__(self) -> str:
        return f"Engine({self.url!r})"


class Faster(Engine):
    def connect(self, timeout: int = 1) -> Engine:
        # faster
        return self


class Handler:
    """Handles."""

    def __call__(self, request: str) -> bool:
        """Handle one."""
        return True


def decorate(function: Any) -> Any:
    return function


@decorate
def scale(value: float, factor: float = 2.0, /, *rest: int, clamp: bool | None = None) -> float:
    """Scale a value.

    By a factor.
    """
    return value * factor


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    ran.clear()
    yield
    assert ran == []


@pytest.fixture
def names() -> Dictionary:
    return Dictionary(
        engine=Engine("db"),
        faster=Faster("db"),
        Engine=Engine,
        Faster=Faster,
        handle=Handler(),
        scale=scale,
        functools=functools,
        table={"k": Engine("deep")},
        table_size=3,
    )


def page(name: str, names: Dictionary, detail: int = 0) -> str:
    """The text of a page, without colours."""
    reply = inspect_name(name, detail, names)
    assert set(reply) == {"found", "data"}
    assert reply["found"] is True
    return plain(reply)


def plain(reply: dict[str, Any]) -> str:
    assert set(reply["data"]) == {"text/plain"}
    text = reply["data"]["text/plain"]
    assert type(text) is str
    return text.replace("\x1b[31m", "").replace("\x1b[39m", "")


def sections(text: str) -> list[str]:
    """The titles, in order."""
    lines = text.splitlines()
    known = {
        *("Signature", "Init signature", "Call signature", "Docstring", "Class docstring"),
        *("Init docstring", "Call docstring", "Source", "File", "Type", "Subclasses", "Length"),
        *("String form", "Value", "Promised type"),
    }
    return [line.partition(":")[0] for line in lines if line.partition(":")[0] in known]


class TestPages:
    def test_function(self, names: Dictionary) -> None:
        text = page("scale", names)
        assert sections(text) == ["Signature", "Docstring", "File", "Type"]
        expected = (
            "scale(\n    value: float,\n    factor: float = 2.0,\n    /,\n"
            "    *rest: int,\n    clamp: bool | None = None,\n) -> float"
        )
        assert expected in text
        assert "Docstring:\nScale a value.\n\nBy a factor." in text.replace("    By", "By")
        assert f"{HERE}:{scale.__code__.co_firstlineno}" in text
        assert "Type:      function" in text

    def test_function_source(self, names: Dictionary) -> None:
        text = page("scale", names, 1)
        assert sections(text) == ["Signature", "Source", "File", "Type"]
        assert "@decorate\ndef scale(" in text
        assert "return value * factor\n" in text

    def test_method(self, names: Dictionary) -> None:
        text = page("engine.connect", names)
        assert "engine.connect(timeout: int = 3) -> Engine" in text
        assert "Open a connection." in text
        assert "Type:      method" in text

    def test_method_inherits_its_docstring(self, names: Dictionary) -> None:
        assert "Open a connection." in page("faster.connect", names)
        assert "# faster" in page("faster.connect", names, 1)

    def test_class(self, names: Dictionary) -> None:
        text = page("Engine", names)
        titles = ["Init signature", "Docstring", "Init docstring", "File", "Type", "Subclasses"]
        assert sections(text) == titles
        assert "Engine(url: str, *, echo: bool = False)\n" in text
        assert "Connects to a database." in text
        assert f"{HERE}:{Engine.__firstlineno__}" in text
        assert "Subclasses:     Faster" in text

    def test_class_source(self, names: Dictionary) -> None:
        text = page("Faster", names, 1)
        assert "class Faster(Engine):\n" in text
        assert "# faster" in text

    def test_instance(self, names: Dictionary) -> None:
        text = page("engine", names)
        assert sections(text) == ["Type", "String form", "File", "Docstring", "Init docstring"]
        assert f"Type:           {__name__}.Engine" in text
        assert "String form:    Engine('db')" in text
        assert "Connects to a database." in text

    def test_instance_source_is_that_of_its_class(self, names: Dictionary) -> None:
        assert "class Engine:\n" in page("engine", names, 1)

    def test_instance_with_words_of_its_own(self, names: Dictionary) -> None:
        engine = names.entries["engine"]
        engine.__doc__ = "This one."
        text = page("engine", names)
        assert "Docstring:       This one." in text
        assert "Class docstring: Connects to a database." in text

    def test_docstrings_lose_their_margin(self) -> None:
        def odd() -> None: ...

        odd.__doc__ = "First.\n\n        Second.\n            Third.\n        "
        assert "Docstring:\nFirst.\n\nSecond.\n    Third.\n" in page("odd", Dictionary(odd=odd))

    def test_callable_instance(self, names: Dictionary) -> None:
        text = page("handle", names)
        titles = ["Call signature", "Type", "String form", "File", "Docstring", "Call docstring"]
        assert sections(text) == titles
        assert "handle(request: str) -> bool" in text
        assert "Handle one." in text

    def test_builtins(self, names: Dictionary) -> None:
        assert "len(obj, /)" in page("len", names)
        assert "Length:      1" in page("table", names)
        assert "String form: {'k': Engine('deep')}" in page("table", names)
        assert "int()" not in page("int", names)
        assert sections(page("int", names))[-3:] == ["Docstring", "Type", "Subclasses"]
        assert sections(page("len", names, 1)) == ["Signature", "Docstring", "Type"]

    def test_module(self, names: Dictionary) -> None:
        text = page("functools", names)
        assert sections(text) == ["Type", "String form", "File", "Docstring"]
        assert "functools.py" in text
        assert "def wraps(" in page("functools", names, 1)

    def test_property_is_not_run(self, names: Dictionary) -> None:
        text = page("engine.state", names)
        assert "Type:          property" in text
        assert "not read" in text
        assert f"Promised type: {__name__}.Engine" in text
        assert "What state it is in." in text
        assert "def state(self)" in page("engine.state", names, 1)
        assert "Promised type: dict" in page("engine.pool", names)

    def test_cached_value_is_read(self, names: Dictionary) -> None:
        names.entries["engine"].__dict__["pool"] = {"a": 1}
        assert "String form: {'a': 1}" in page("engine.pool", names)

    def test_what_a_call_promises(self, names: Dictionary) -> None:
        assert f"Promised type: {__name__}.Engine" in page("engine.connect()", names)

    def test_undocumented(self) -> None:
        def nothing() -> None: ...

        assert "<no docstring>" in page("nothing", Dictionary(nothing=nothing))

    def test_subscripts(self, names: Dictionary) -> None:
        assert "Engine('deep')" in page("table['k']", names)
        assert inspect_name("table['missing']", 0, names) == NOT_FOUND

    def test_not_found(self, names: Dictionary) -> None:
        for name in ("nowhere", "engine.nothing", "", "1 + 1", "for", "engine.", "%magic"):
            assert inspect_name(name, 0, names) == NOT_FOUND

    def test_a_function_of_a_cell(self) -> None:
        source = "def made(a):\n    # in a cell\n    return a\n"
        linecache.cache["<In [3]>"] = (len(source), None, source.splitlines(True), "<In [3]>")
        try:
            scope: dict[str, Any] = {}
            exec(compile(source, "<In [3]>", "exec"), scope)
            text = page("made", Dictionary(**scope), 1)
            assert "# in a cell" in text
            assert "<In [3]>:1" in text
            assert "<In [3]>" in linecache.cache
        finally:
            del linecache.cache["<In [3]>"]

    def test_source_that_has_changed_since_is_not_shown(self, tmp_path: Path) -> None:
        file = tmp_path / "changing.py"
        source = "def first():\n    'The first.'\n"
        file.write_text(source)
        scope: dict[str, Any] = {}
        exec(compile(source, str(file), "exec"), scope)
        names = Dictionary(**scope)
        assert "def first" in page("first", names, 1)
        file.write_text("def other():\n    pass\n")
        text = page("first", names, 1)
        assert "Source" not in text
        assert "The first." in text

    def test_leaves_no_lines_in_memory(self, names: Dictionary) -> None:
        known = set(linecache.cache)
        page("functools", names, 1)
        assert set(linecache.cache) == known

    def test_class_of_a_cell_has_no_wrong_place(self) -> None:
        scope: dict[str, Any] = {"__name__": __name__}
        exec(compile("class Made:\n    value = 1\n", "<In [4]>", "exec"), scope)
        assert "File" not in page("Made", Dictionary(**scope))

    def test_class_that_says_it_is_of_another_module(self) -> None:
        class Moved(Engine):
            def method(self) -> None: ...

        Moved.__module__ = "elsewhere"  # which takes its line away
        assert "__firstlineno__" not in vars(Moved)
        text = page("Moved", Dictionary(Moved=Moved), 1)
        assert f"{HERE}:" in text
        assert "class Moved(Engine):" in text

    def test_partial(self) -> None:
        text = page("part", Dictionary(part=functools.partial(scale, 1.0)))
        assert sections(text)[:3] == ["Signature", "Type", "String form"]

    def test_dataclass_in_a_module(self) -> None:
        import dataclasses

        names = Dictionary(Field=dataclasses.Field, f=dataclasses.fields)
        assert "dataclasses.py" in page("Field", names)
        assert "class Field:" in page("Field", names, 1)


class TestCursor:
    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("sca|le", "scale("),
            ("|scale", "scale("),
            ("scale|", "scale("),
            ("scale(|", "scale("),
            ("scale(1, |", "scale("),
            ("scale(1, unknown|", "scale("),
            ("scale(1, 'text|", "scale("),
            ("scale(1, [2, |", "scale("),
            ("scale(1)|", "scale("),
            ("scale(len|(x))", "len("),
            ("scale(len(|x))", "len("),
            ("scale(len(x), |)", "scale("),
            ("engine.con|nect", "engine.connect("),
            ("engi|ne.connect", "Engine('db')"),
            ("print(engine.connect(\n    |", "engine.connect("),
            ("table['k'].connect(|", "table['k'].connect("),
            ("table['k']|", "Engine('deep')"),
            ("x = engine.connect", "engine.connect("),
            ("for x in scale|:", "scale("),
        ],
    )
    def test_finds(self, code: str, found: str, names: Dictionary) -> None:
        cursor = code.find("|") if "|" in code else len(code)
        reply = inspect(code.replace("|", ""), cursor, 0, names)
        assert reply["found"]
        assert found in plain(reply)

    @pytest.mark.parametrize("code", ["", "   |", "# scale|", "'scale|'", "1 + |", "|(", "12|"])
    def test_finds_nothing(self, code: str, names: Dictionary) -> None:
        cursor = code.find("|") if "|" in code else len(code)
        assert inspect(code.replace("|", ""), cursor, 0, names) == NOT_FOUND

    def test_cursor_out_of_range(self, names: Dictionary) -> None:
        assert inspect("scale", 99, 0, names)["found"]
        assert inspect("scale", -99, 0, names)["found"]

    def test_every_cursor(self, names: Dictionary) -> None:
        code = "x = f'{engine.connect(table['k'], [scale(1' # )\n) ] \" ' engine . state\n"
        for cursor in range(len(code)):
            inspect(code, cursor, 1, names)


class TestSearch:
    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("eng*", ["Engine", "engine"]),
            ("Eng*", ["Engine"]),
            ("*.connect", ["Engine.connect", "Faster.connect", "engine.connect", "faster.connect"]),
            ("table_*.*length", ["table_size.bit_length"]),
            ("faster.con*", ["Faster.connect", "faster.connect"]),
            ("FASTER.con*", []),
            ("engine.s?ate", ["Engine.state", "engine.state"]),
            ("Engine.__rep*", ["Engine.__repr__"]),
            ("functools.*cmp*", ["functools.cmp_to_key"]),
            ("print*", ["print"]),
            ("nowhere.*", []),
            ("", []),
            (".*", []),
            ("engine..*", []),
            ("[", []),
        ],
    )
    def test_finds(self, pattern: str, expected: list[str], names: Dictionary) -> None:
        assert search(pattern, names) == expected

    def test_finds_no_more_than_can_be_read(self, names: Dictionary) -> None:
        names.entries |= {f"name_{number}": names.entries["engine"] for number in range(5_000)}
        assert len(search("name_*.*", names)) == MATCH_LIMIT


class TestHostile:
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
    def test_repr_that_raises(self, error: type[BaseException]) -> None:
        class Bad:
            """Bad."""

            def __repr__(self) -> str:
                raise error("why")

        text = page("bad", Dictionary(bad=Bad()))
        assert f"<repr failed: {error.__name__}: why>" in text
        assert "Bad." in text

    def test_repr_that_comes_to_no_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "PATIENCE", 0.1)
        is_over = threading.Event()

        class Endless:
            def __repr__(self) -> str:
                is_over.wait(30)
                return "late"

        text = page("endless", Dictionary(endless=[Endless()]))
        is_over.set()
        assert "<repr not shown" in text
        assert "Length:      1" in text
        eventually(lambda: all(ended.is_set for ended in asking._late))

    def test_repr_that_is_no_text(self) -> None:
        class Bad:
            def __repr__(self) -> Any:
                return 3

        assert "<repr failed: TypeError" in page("bad", Dictionary(bad=Bad()))

    def test_huge_repr(self) -> None:
        class Huge:
            def __repr__(self) -> str:
                return "x" * 10_000_000

        text = page("huge", Dictionary(huge=Huge()))
        assert len(text) < 10_000
        assert "truncated" in text

    def test_class_that_lies(self) -> None:
        def lie(self: Any) -> Any:
            ran.append("lie")
            raise SystemExit

        class Liar:
            __class__ = property(lie)
            __doc__ = property(lie)
            __wrapped__ = property(lie)
            __len__ = __getattribute__ = lie

        names = Dictionary(liar=Liar(), Liar=Liar)
        assert "TestHostile" in page("liar", names)
        assert page("Liar", names, 1)

    def test_large_things(self) -> None:
        module = ModuleType("big")
        module.__doc__ = "x" * 10_000_000
        names = Dictionary(big=module, rows=OrderedDict.fromkeys(range(1_000_000)))
        begun = time.perf_counter()
        assert len(page("big", names)) < 200_000
        assert len(page("rows", names)) < 20_000
        assert time.perf_counter() - begun < 2

    def test_file_that_is_gone(self) -> None:
        scope: dict[str, Any] = {}
        exec(compile("def lost(): 'Lost.'", "/nowhere/lost.py", "exec"), scope)
        assert "Lost." in page("lost", Dictionary(**scope), 1)

    def test_source_that_is_broken(self, tmp_path: Path) -> None:
        file = tmp_path / "broken.py"
        file.write_text("def broken(:\n  '''\n")
        scope: dict[str, Any] = {}
        exec(compile("def broken(): 'Doc.'", str(file), "exec"), scope)
        assert page("broken", Dictionary(**scope), 1)
