"""Completion in one process: what it offers, what it leaves alone, and how long it takes."""

from __future__ import annotations

import enum
import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from stand_ins import Dictionary
from targets import eventually

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent import asking, completion
from live_kernel.agent.completion import MATCH_LIMIT, complete

ran: list[str] = []
"""What must not have run in a test, by name."""


class Engine:
    """What a property promises."""

    driver = "psycopg"

    def __init__(self, url: str, *, echo: bool = False) -> None:
        self.url = url
        self.pool = None

    def connect(self, timeout: int = 3) -> Engine:
        return self


class Service:
    """A class with one of everything."""

    limit = 10
    registry: ClassVar[dict[str, int]] = {"first": 1}

    def __init__(self) -> None:
        self.orders = {"a1": [Engine("x")], 7: "seven"}
        self._cache = None

    @property
    def engine(self) -> Engine:
        ran.append("engine")
        raise AssertionError

    @property
    def maybe(self) -> Engine | None:
        ran.append("maybe")
        raise AssertionError

    @property
    def unannotated(self):
        ran.append("unannotated")

    @functools.cached_property
    def cached(self) -> Engine:
        ran.append("cached")
        return Engine("cached")

    def handle(self, order: str, retries: int = 3, *, dry: bool = False, **more: Any) -> bool:
        return True

    @classmethod
    def create(cls, name: str) -> Service:
        return cls()

    @staticmethod
    def parse(text: str) -> Engine:
        return Engine(text)

    @functools.lru_cache  # noqa: B019  (as programs have it)
    def memo(self, key: int) -> int:
        return key

    async def fetch(self) -> Engine:
        return Engine("x")

    def __getattr__(self, name: str) -> Any:
        ran.append(name)
        raise AttributeError(name)


class Slotted:
    __slots__ = ("empty", "engine")

    def __init__(self) -> None:
        self.engine = Engine("slot")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


Point = namedtuple("Point", "x y")


def program(code: str) -> dict[str, Any]:
    """What a module of this code holds; its annotations are not text as they are here."""
    module = ModuleType("program")
    exec(compile(code, "program.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def scale(value: float, factor: float = 2.0, /, offset: int = 0, *rest: int, clamp: bool = False):
    return value * factor + offset


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    """No property, no __getattr__ ran in any test."""
    ran.clear()
    yield
    assert ran == []


@pytest.fixture
def names() -> Dictionary:
    return Dictionary(
        service=Service(),
        Service=Service,
        slotted=Slotted(),
        scale=scale,
        os=os,
        Colour=Colour,
        point=Point(1, Engine("y")),
        table={"alpha": 1, "beta": {"gamma": Engine("deep")}, 3: 4, b"raw": 5, ("t", 1): 6},
        rows=[Engine("row"), {"k": Engine("k")}],
        index=1,
        key="beta",
        _private=1,
        ordered=OrderedDict(one=Engine("1")),
        counts=defaultdict(list, seen=[1]),
        partial=functools.partial(scale, 1.0),
    )


def matches(code: str, names: Dictionary, cursor: int | None = None) -> list[str]:
    """The matches, after a check that the whole reply is well formed."""
    cursor = len(code) if cursor is None else cursor
    reply = complete(code, cursor, names)
    assert set(reply) == {"matches", "start", "end", "types"}
    assert 0 <= reply["start"] <= reply["end"] == cursor
    assert reply["matches"] == [item["text"] for item in reply["types"]]
    assert len(set(reply["matches"])) == len(reply["matches"])
    for item in reply["types"]:
        assert set(item) == {"text", "type", "signature", "start", "end"}
        assert all(type(item[field]) is str for field in ("text", "type", "signature"))
        assert (item["start"], item["end"]) == (reply["start"], reply["end"])
    return list(reply["matches"])


def kinds(code: str, names: Dictionary) -> dict[str, str]:
    return {item["text"]: item["type"] for item in complete(code, len(code), names)["types"]}


def signatures(code: str, names: Dictionary) -> dict[str, str]:
    return {item["text"]: item["signature"] for item in complete(code, len(code), names)["types"]}


class TestNames:
    def test_of_the_frame_come_before_builtins(self, names: Dictionary) -> None:
        names.entries["prize"] = 1
        assert matches("pri", names) == ["prize", "print"]

    def test_of_the_bound_function_come_first(self) -> None:
        names = Dictionary(alpha=1, zulu=2, zebra=3, beta=4, _zero=5)
        names.local = ["zulu", "zebra", "_zero"]
        assert matches("", names)[:4] == ["zebra", "zulu", "alpha", "beta"]

    def test_public_before_private_before_dunder(self) -> None:
        names = Dictionary(__zeta__=1, _beta=2, gamma=3)
        found = matches("", names)
        assert found.index("gamma") < found.index("_beta") < found.index("__zeta__")
        assert found[0] == "gamma"

    def test_have_kinds(self, names: Dictionary) -> None:
        found = kinds("", names)
        assert found["service"] == "instance"
        assert found["Service"] == "class"
        assert found["scale"] == "function"
        assert found["os"] == "module"
        assert found["while"] == "keyword"
        assert found["len"] == "function"
        assert found["ValueError"] == "class"

    def test_keywords_and_builtins(self, names: Dictionary) -> None:
        assert matches("whil", names) == ["while"]
        assert matches("isinst", names) == ["isinstance"]

    def test_a_name_is_offered_once_and_as_the_cell_sees_it(self) -> None:
        names = Dictionary(len=3)
        assert kinds("len", names) == {"len": "instance"}

    def test_case_matters_unless_nothing_fits(self, names: Dictionary) -> None:
        assert matches("Servi", names) == ["Service"]
        assert matches("SERVI", names) == ["Service", "service"]

    def test_bound_earlier_in_the_cell(self, names: Dictionary) -> None:
        code = (
            "import numbers as figures\n"
            "zrobnicate = 3\n"
            "left, leverage = 1, 2\n"
            "def legend(): pass\n"
            "for lemon in []: pass\n"
            "with open('x') as lense: pass\n"
        )
        assert matches(code + "zro", names) == ["zrobnicate"]
        found = ["left", "legend", "lemon", "lense", "leverage"]
        assert matches(code + "le", names) == [*found, "len"]
        assert matches(code + "figu", names) == ["figures"]

    def test_comparisons_bind_nothing(self, names: Dictionary) -> None:
        assert matches("zebra == 3\nzeb", names) == []

    def test_in_the_middle_of_the_code(self, names: Dictionary) -> None:
        assert matches("x = servi\ny = 2", names, 9) == ["service"]
        assert complete("x = servi", 9, names)["start"] == 4

    def test_not_in_comments_numbers_or_after_nothing(self, names: Dictionary) -> None:
        assert matches("x = 1  # servi", names) == []
        assert matches("12", names) == []
        assert matches("1.", names) == []
        assert matches(".foo", names) == []
        assert matches("...", names) != []  # behind an ellipsis anything may follow

    def test_counts_characters_not_bytes(self, names: Dictionary) -> None:
        names.entries["größe"] = 1
        code = "'😀é'; grö"
        reply = complete(code, len(code), names)
        assert (reply["matches"], reply["start"], reply["end"]) == (["größe"], 6, 9)

    def test_the_cursor_may_be_anywhere(self, names: Dictionary) -> None:
        assert complete("ser", 99, names)["end"] == 3
        assert complete("ser", -5, names)["end"] == 0


class TestAttributes:
    def test_of_an_instance(self, names: Dictionary) -> None:
        found = matches("service.", names)
        for name in ("orders", "engine", "handle", "create", "limit", "_cache", "__init__"):
            assert name in found
        assert found.index("orders") < found.index("_cache") < found.index("__init__")

    def test_kinds_and_signatures(self, names: Dictionary) -> None:
        found = kinds("service.", names)
        assert found["handle"] == found["create"] == found["parse"] == found["memo"] == "function"
        assert found["engine"] == found["cached"] == "property"
        assert found["orders"] == "instance"
        text = signatures("service.", names)
        assert text["handle"] == "(order, retries=3, *, dry=False, **more)"
        assert text["create"] == "(name)"
        assert text["memo"] == "(key)"
        assert text["orders"] == ""

    def test_of_builtins(self, names: Dictionary) -> None:
        names.entries["text"] = "x"
        assert matches("text.startsw", names) == ["startswith"]
        assert signatures("text.splitl", names) == {"splitlines": "(keepends=False)"}
        assert "bit_length" in matches("index.", names)

    def test_of_a_class(self, names: Dictionary) -> None:
        assert "handle" in matches("Service.", names)
        assert signatures("Service.hand", names)["handle"].startswith("(self, order")
        assert matches("Colour.R", names) == ["RED"]
        assert "name" in matches("Colour.RED.", names)

    def test_of_a_module(self, names: Dictionary) -> None:
        assert matches("os.path.joi", names) == ["join"]
        assert kinds("os.pat", names)["path"] == "module"

    def test_of_a_module_with_lazy_names(self) -> None:
        module = ModuleType("lazy")
        module.__dict__.update(
            program(
                "def __dir__(): return ['heavy', 'light']\n"
                "def __getattr__(name): raise AssertionError\n"
                "light = 1\n"
            )
        )
        assert matches("lazy.", Dictionary(lazy=module)) == ["heavy", "light"]

    def test_of_slots(self, names: Dictionary) -> None:
        assert matches("slotted.e", names) == ["empty", "engine"]
        assert matches("slotted.engine.ur", names) == ["url"]
        assert matches("slotted.empty.", names) == []

    @pytest.mark.parametrize(
        "chain",
        [
            "service.orders['a1'][0]",
            'service.orders["a1"][-1]',
            "table['beta']['gamma']",
            "table[key]['gamma']",
            "rows[0]",
            "rows[index]['k']",
            "ordered['one']",
            "point[1]",
            "point.y",
            "(rows[0])",
            "(\n  service\n  .orders['a1'][0]\n)",
            "rows[ 0 ]",
            "x = [1, rows[0]",
            "print(rows[0]",
            "f'{rows[0]",
            "f'{rows[0]} and {table['beta']['gamma']",
            "not rows[0]",
            "a = 1; rows[0]",
            "if rows[0]",
        ],
    )
    def test_of_a_chain(self, chain: str, names: Dictionary) -> None:
        assert matches(f"{chain}.ur", names) == ["url"]

    def test_across_lines(self, names: Dictionary) -> None:
        assert matches("(service\n    .orders\n    .it", names) == ["items"]

    @pytest.mark.parametrize(
        "expression",
        [
            "service.engine",
            "service.maybe",
            "service.cached",
            "service.engine.connect()",
            "Service.create('x').engine",
            "service.parse('x')",
            "Service.parse(text='(')",
            "Engine('x')",
            "Service().engine",
        ],
    )
    def test_of_what_annotations_promise(self, expression: str, names: Dictionary) -> None:
        names.entries["Engine"] = Engine
        found = matches(f"{expression}.", names)
        assert "connect" in found
        assert "driver" in found
        assert "pool" in found  # assigned in a method
        assert signatures(f"{expression}.con", names) == {"connect": "(timeout=3)"}

    def test_of_what_has_been_cached_already(self, names: Dictionary) -> None:
        names.entries["service"].__dict__["cached"] = {"now": 1}
        assert matches("service.cached.pop", names) == ["pop", "popitem"]

    def test_of_what_nothing_promises(self, names: Dictionary) -> None:
        for code in ("service.unannotated.", "service.fetch().", "service.missing.", "nowhere."):
            assert matches(code, names) == []

    def test_of_literals(self, names: Dictionary) -> None:
        assert matches("'a b'.joi", names) == ["join"]
        assert matches("'b'.deco", names) == []
        assert matches("b'x'.deco", names) == ["decode"]
        assert matches("[1, 2].appe", names) == ["append"]
        assert matches("{}.setd", names) == ["setdefault"]
        assert matches("{1, 2}.inters", names) == ["intersection", "intersection_update"]
        assert matches("(1, 2).cou", names) == ["count"]

    def test_a_dict_subclass_with_its_own_subscript_is_not_asked(self) -> None:
        class Loud(dict[str, Engine]):
            def __getitem__(self, key: str) -> Engine:
                ran.append("getitem")
                raise AssertionError

            def __missing__(self, key: str) -> Engine:
                ran.append("missing")
                raise AssertionError

        names = Dictionary(loud=Loud(x=Engine("x")), counts=defaultdict(list))
        assert "connect" in matches("loud['x'].", names)  # by the annotation
        assert matches("counts['new'].", names) == []
        assert names.entries["counts"] == {}

    def test_of_what_lazy_annotations_promise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        code = (
            "from dataclasses import dataclass\n"
            "from typing import Optional, Self\n"
            "@dataclass\n"
            "class Order:\n"
            "    number: int\n"
            "    customer: Order | None = None\n"
            "    def copy(self) -> Self: ...\n"
            "def newest() -> Optional[Order]: ...\n"
            "def all() -> list[Order | None]: ...\n"
            "def broken() -> 1 / 0: ...\n"
            "def unset() -> Unknown.Name: ...\n"
        )
        monkeypatch.setitem(sys.modules, "program", ModuleType("program"))
        entries = program(code)
        sys.modules["program"].__dict__.update(entries)
        names = Dictionary(**entries)
        assert matches("newest().num", names) == ["number"]
        assert matches("newest().copy().copy().cust", names) == ["customer"]
        assert matches("all().appe", names) == ["append"]
        assert matches("broken().", names) == matches("unset().", names) == []

    def test_classes_are_left_as_they_are(self) -> None:
        entries = program("class Plain:\n    def method(self) -> Plain: ...\n")
        before = dict(entries["Plain"].__dict__)
        names = Dictionary(plain=entries["Plain"]())
        assert "method" in matches("plain.method().", names)
        assert dict(entries["Plain"].__dict__) == before


class TestCalls:
    def test_keywords_of_a_function(self, names: Dictionary) -> None:
        found = matches("scale(", names)
        assert found[:2] == ["offset=", "clamp="]
        assert kinds("scale(", names)["offset="] == "param"

    def test_keywords_with_a_prefix(self, names: Dictionary) -> None:
        assert matches("scale(1, cla", names)[0] == "clamp="
        assert complete("scale(1, cla", 12, names)["start"] == 9

    def test_those_given_are_gone(self, names: Dictionary) -> None:
        assert "clamp=" not in matches("scale(1, clamp=True, ", names)
        assert "offset=" not in matches("scale(1, 2, 3, ", names)
        assert "clamp=" in matches("scale(1, f(clamp=1), ", names)

    def test_only_where_an_argument_begins(self, names: Dictionary) -> None:
        assert "clamp=" not in matches("scale(offset=", names)
        assert "clamp=" not in matches("scale(1 + ", names)
        assert "clamp=" not in matches("scale([", names)
        assert "clamp=" in matches("scale([1, 2], ", names)
        assert "clamp=" in matches("scale(\n    1,\n    ", names)

    def test_of_methods_classes_partials_and_builtins(self, names: Dictionary) -> None:
        names.entries["Engine"] = Engine
        assert matches("service.handle(", names)[:3] == ["order=", "retries=", "dry="]
        assert matches("Engine(", names)[:2] == ["url=", "echo="]
        assert matches("partial(", names)[:2] == ["offset=", "clamp="]
        assert matches("sorted([], ", names)[:2] == ["key=", "reverse="]
        assert matches("print(1, ", names)[:4] == ["sep=", "end=", "file=", "flush="]
        assert matches("Point(", Dictionary(Point=Point))[:2] == ["x=", "y="]

    def test_through_decorators(self) -> None:
        def decorated(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            return wrapper

        names = Dictionary(f=decorated(scale), g=functools.lru_cache(scale))
        assert matches("f(off", names) == ["offset="]
        assert matches("g(off", names) == ["offset="]

    def test_of_a_callable_object(self) -> None:
        class Handler:
            def __call__(self, request: str, *, user: str = "") -> None: ...

        assert matches("handle(us", Dictionary(handle=Handler()))[0] == "user="

    def test_a_function_that_wraps_itself(self) -> None:
        def f(value: int) -> None: ...

        f.__wrapped__ = f
        assert "print" in matches("f(", Dictionary(f=f))


class TestKeys:
    def test_in_quotes(self, names: Dictionary) -> None:
        reply = complete('table["al', 9, names)
        assert reply["matches"] == ["alpha"]
        assert (reply["start"], reply["end"]) == (7, 9)
        assert reply["types"][0]["type"] == "dict key"

    def test_in_their_own_order(self) -> None:
        assert matches("d['", Dictionary(d={"z": 1, "a": 2})) == ["z", "a"]

    def test_bytes(self, names: Dictionary) -> None:
        assert matches('table[b"', names) == ["raw"]

    def test_without_quotes(self, names: Dictionary) -> None:
        expected = ["'alpha'", "'beta'", "3", "b'raw'", "('t', 1)"]
        assert matches("table[", names)[:5] == expected

    def test_deep_and_of_subclasses(self, names: Dictionary) -> None:
        assert matches("table['beta']['", names) == ["gamma"]
        assert matches("service.orders['", names) == ["a1"]
        assert matches("counts['", names) == ["seen"]
        assert matches("Service.registry['", names) == ["first"]
        assert matches("print(table['beta'], table['al", names) == ["alpha"]
        assert matches("f'{table['al", names) == ["alpha"]

    def test_are_escaped_for_their_quotes(self) -> None:
        names = Dictionary(d={"it's": 1, 'say "x"': 2, "a\nb": 3})
        assert matches("d['", names) == ["it\\'s", 'say "x"', "a\\nb"]
        assert matches('d["', names) == ["it's", 'say \\"x\\"', "a\\nb"]

    def test_that_a_class_names(self) -> None:
        class Frame:
            def _ipython_key_completions_(self) -> list[str]:
                return ["price", "two words"]

        names = Dictionary(frame=Frame())
        assert matches('frame["', names) == ["price", "two words"]
        assert matches('frame[["price", "two', names) == ["two words"]
        assert matches('frame.loc[0, "pri', names) == ["price"]

    def test_of_a_pandas_frame_and_its_columns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Series:
            def median(self) -> float: ...

        class DataFrame:
            def keys(self) -> list[str]:
                return ["price"]

        for cls in (Series, DataFrame):
            cls.__module__, cls.__qualname__ = "pandas.core.frame", cls.__name__
        pandas = ModuleType("pandas")
        pandas.Series = Series
        monkeypatch.setitem(sys.modules, "pandas", pandas)
        names = Dictionary(frame=DataFrame())
        assert matches('frame["', names) == ["price"]
        assert matches('frame["price"].me', names) == ["median"]
        assert matches("frame.price.me", names) == ["median"]
        assert matches("frame.other.me", names) == []

    def test_that_are_tuples(self) -> None:
        table = {("north", 1): 1, ("north", "east"): 2, ("south", "west"): 3, "plain": 4}
        names = Dictionary(t=table, n={"deep": table}, first="north")
        assert matches('t["', names) == ["north", "south", "plain"]
        assert matches("t['north', '", names) == ["east"]
        assert matches("t['north', ", names)[:2] == ["1", "'east'"]
        assert matches("t[first, '", names) == ["east"]
        assert matches('n["deep"]["south", "', names) == ["west"]
        assert matches('t[("so', names) == ["south"]
        assert matches("t[('south', '", names) == ["west"]
        assert matches("t['nowhere', ", names)[:1] != ["1"]
        assert matches("f(('a', t['south', '", names) == ["west"]

    def test_that_are_numbers_and_none(self) -> None:
        names = Dictionary(d={2.5: 1, True: 2, None: 3, 7: 4})
        assert matches("d[", names)[:4] == ["2.5", "True", "None", "7"]
        assert matches("d[2", names) == ["2.5"]

    def test_not_of_other_mappings(self) -> None:
        assert matches('users["', Dictionary(users=UserDict(a=1))) != ["a"]


class TestLibraries:
    """As NumPy and pandas really are; what they have is read without their properties."""

    @pytest.fixture
    def names(self) -> Dictionary:
        numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
        frame = pandas.DataFrame({"price": [1], "two words": [2]})
        pairs = pandas.MultiIndex.from_tuples([("top", "one"), ("top", "two")])
        array = numpy.zeros(3, dtype=[("x", "f4"), ("speed", "i4")])
        return Dictionary(
            frame=frame,
            pairs=pandas.DataFrame([[1, 2]], columns=pairs),
            series=pandas.Series({"aa": 1, "bb": 2}),
            array=array,
            deep={"k": array},
            np=numpy,
        )

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ('frame["', ["price", "two words"]),
            ('frame[["price", "', ["price", "two words"]),
            ('frame.loc[0, "pri', ["price"]),
            ('pairs["', ["top"]),
            ('pairs["top", "', ["one", "two"]),
            ('series["', ["aa", "bb"]),
            ('array["', ["x", "speed"]),
            ('array[0]["sp', ["speed"]),
            ('deep["k"]["', ["x", "speed"]),
            ('frame["price"].medi', ["median"]),
            ("frame.price.medi", ["median"]),
            ("frame.columns.get_lo", ["get_loc"]),
            ("frame.index.get_lo", ["get_loc"]),
            ('frame.groupby("price").ngrou', ["ngroup", "ngroups"]),
            ("frame.price.str.upp", ["upper"]),
        ],
    )
    def test_offers(self, code: str, found: list[str], names: Dictionary) -> None:
        assert matches(code, names) == found

    def test_an_array_that_lies_is_not_asked(self) -> None:
        class Array:
            __getitem__ = dtype = property(raiser("array"))

        Array.__module__, Array.__qualname__ = "numpy", "ndarray"
        for code in ('lie["', "lie[0].", 'lie[0]["'):
            matches(code, Dictionary(lie=Array()))


class TestAssigned:
    """Names that the cell itself binds, before it has run."""

    @pytest.mark.parametrize(
        "code",
        [
            "new = service\nnew.",
            "new = service; new.",
            "new: Service = service  # mine\nnew.",
            "new = (\n    service\n)\nnew.",
            "other = rows\nnew = service\nif new:\n    print(new.",
            "for new in [1]: pass\nnew = Service()\nnew.",
            "first = service\nnew = first\nnew.",
            "for new in services:\n    new.",
            "print([new.x for new in services], new.",
            "with service.itself() as new:\n    new.",
        ],
    )
    def test_are_known(self, code: str, names: Dictionary) -> None:
        names.entries |= {"services": [names.entries["service"]]}
        names.entries["service"].itself = service_itself
        assert "retries=" in matches(code + "handle(", names)

    def test_imports(self, names: Dictionary) -> None:
        assert matches("import json as j\nj.dum", names) == ["dump", "dumps"]
        assert matches("from os import path as p\np.joi", names) == ["join"]
        assert matches("from os import (path, sep)\npath.joi", names) == ["join"]
        assert matches("import never_loaded as n\nn.", names) == []

    def test_what_has_run_is_believed_rather_than_a_promise(self, names: Dictionary) -> None:
        names.entries["new"] = {"live": 1}
        assert matches("new = Service.create('x')\nnew['", names) == ["live"]

    def test_come_to_an_end(self, names: Dictionary) -> None:
        assert matches("new = new\nnew.", names) == []
        assert matches("a = b\nb = a\n" * 50 + "a.", names) == []

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("'a b'.split().appe", ["append"]),
            ("key.strip().upp", ["upper"]),
            ("key[0].upp", ["upper"]),
            ("key.encode().deco", ["decode"]),
            ("sorted(rows).appe", ["append"]),
            ("repr(1).upp", ["upper"]),
            ("open('x').readlin", ["readline", "readlines"]),
            ("ordered.copy().nothing", []),
            ("rows.pop().", []),
        ],
    )
    def test_what_built_in_functions_give(
        self, code: str, found: list[str], names: Dictionary
    ) -> None:
        assert matches(code, names) == found


def service_itself() -> Service:
    raise AssertionError


BOTH = """
import collections, functools, json, os
import numpy, pandas
class Base:
    def inherited(self, width=1): ...
class Thing(Base):
    shared = 1
    def __init__(self, name, *, colour="red"): self.name = name
    def method(self, alpha, beta=2): ...
class Caller:
    def __call__(self, speed, angle=0): ...
def scale(value, factor=2, *, clamp=False): ...
@functools.wraps(scale)
def wrapped(*args, **options): ...
part = functools.partial(scale, 1)
call = Caller()
thing = Thing("x")
things = [thing, {"deep": thing}]
text = "abc"
table = {"alpha": 1, "beta": {"gamma": {"delta": 3}}, 3: 4, b"raw": 1}
pairs = {("a", 1): 1, ("a", "x"): 2, ("b", "y"): 3}
ordered = collections.OrderedDict(first=1)
frame = pandas.DataFrame({"price": [1], "two words": [2]})
levels = pandas.DataFrame(
    [[1, 2]], columns=pandas.MultiIndex.from_tuples([("top", "one"), ("top", "two")])
)
array = numpy.zeros(3, dtype=[("x", "f4"), ("speed", "i4")])
holder = {"k": array}
"""
"""What is run in IPython and here, before the cases below."""

CASES = """
thi|things[0].|thing.|thing.inh|Thing.sha|things[1]["deep"].na|text.upp|text[0].upp|"x".joi
[1].app|{}.setd|(1).bit|(thing).na|thing .na|f"{thing.na|if thing.na|lambda q: thing.na
x = thing.na|json.dum|os.path.joi|numpy.random.randi|numpy.lina|pandas.read_cs|frame.pri
frame.groupb|frame.price.media|table["|table['al|table["beta"]["|table["beta"]["gamma"]["
table[b"|pairs["|pairs["a", "|pairs["b", "|ordered["|frame["|frame['tw|frame.loc[:, "|levels["
levels["top", "|array["|array[0]["|holder["k"]["|scale(fac|scale(1, cl|thing.method(al|Thing(col
Thing("a", col|part(fac|wrapped(cl|call(sp|call(1, an|print(1, se|import jso|import os.pa
import collections.ab|from json import lo|from os.path import jo|from collections import Ord
whil|Non|isinst|raise ValueE|class Foo(Thi|for x in thin|with open(tex|%timeit thing.met
%time table["
"""
"""Code to complete at its end; what lies behind a `|` is the next case."""

ASK_IPYTHON = """
import json, sys
from IPython.core.completer import IPCompleter, provisionalcompleter
names = {}
exec(sys.stdin.readline().encode().decode("unicode_escape"), names)
completer = IPCompleter(namespace=names, global_namespace={}, use_jedi=False)
found = {}
with provisionalcompleter():
    for code in json.loads(sys.stdin.readline()):
        found[code] = [c.text for c in completer.completions(code, len(code))]
print(json.dumps(found))
"""


class TestBesideIPython:
    """Whatever IPython's own completer offers is offered here, too."""

    def test_nothing_is_missing(self, tmp_path: Path) -> None:
        for library in ("IPython", "numpy", "pandas"):
            pytest.importorskip(library)
        cases = [case for line in CASES.strip().splitlines() for case in line.split("|")]
        question = BOTH.encode("unicode_escape").decode() + "\n" + json.dumps(cases) + "\n"
        done = subprocess.run(
            [sys.executable, "-c", ASK_IPYTHON],
            input=question,
            env=os.environ | {"IPYTHONDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        theirs = json.loads(done.stdout.splitlines()[-1])
        names = Dictionary(**{k: v for k, v in program(BOTH).items() if not k.startswith("__")})
        missing = {}
        for case in cases:
            ours = {plain_match(text) for text in matches(case, names)}
            wanted = {plain_match(text) for text in theirs[case]} - ours
            if wanted or not ours:
                missing[case] = wanted
        assert len(cases) > 60
        assert missing == {}


def plain_match(text: str) -> str:
    """A match without what was there before, which IPython repeats in some of its own."""
    return text.strip("[]()'\" ").rpartition(".")[2]


class TestPaths:
    @pytest.fixture(autouse=True)
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "orders.csv").touch()
        (tmp_path / "date's.txt").touch()
        (tmp_path / ".hidden").touch()
        monkeypatch.chdir(tmp_path)

    def test_relative(self, names: Dictionary) -> None:
        assert matches("open('dat", names) == ["data/", "date\\'s.txt"]
        assert kinds('open("data/o', names) == {"orders.csv": "path"}
        assert complete('open("data/o', 12, names)["start"] == 11

    def test_absolute_and_home(
        self, names: Dictionary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert matches(f"open('{tmp_path}/data/", names) == ["orders.csv"]
        monkeypatch.setenv("HOME", str(tmp_path))
        assert matches("open('~/data/", names) == ["orders.csv"]

    def test_hidden_files_when_asked_for(self, names: Dictionary) -> None:
        assert ".hidden" not in matches("open('", names)
        assert matches("open('.h", names) == [".hidden"]

    def test_nothing_there(self, names: Dictionary) -> None:
        assert matches("open('nowhere/", names) == []
        assert matches("'''dat", names) == []
        assert matches("'\\x41", names) == []


class TestImports:
    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        root = tmp_path / "zqpackage"
        (root / "inner").mkdir(parents=True)
        (root / "__init__.py").write_text("raise AssertionError('imported')\ndef outer(): ...\n")
        (root / "inner" / "__init__.py").write_text("VALUE: int = 3\nclass Thing: ...\n")
        (root / "inner" / "leaf.py").touch()
        (root / "not-a-module").touch()
        (tmp_path / "zqdata").mkdir()
        (tmp_path / "zqREADME").touch()
        monkeypatch.syspath_prepend(str(tmp_path))
        return "zqpackage"

    def test_top_level(self, names: Dictionary, package: str) -> None:
        assert matches("import zq", names) == [package]
        assert matches("import os, zq", names) == [package]
        assert matches("from zq", names) == [package]
        assert "sys" in matches("import sy", names)
        assert kinds("import textw", names) == {"textwrap": "module"}

    def test_below_without_importing(self, names: Dictionary, package: str) -> None:
        assert matches("import zqpackage.", names) == ["inner"]
        assert matches("import zqpackage.inner.l", names) == ["leaf"]
        assert complete("import zqpackage.inner.l", 24, names)["start"] == 23
        assert package not in sys.modules

    def test_members(self, names: Dictionary, package: str) -> None:
        assert matches("from zqpackage import ", names) == ["outer", "inner"]
        assert matches("from zqpackage.inner import Th", names) == ["Thing"]
        assert matches("from zqpackage.inner import (VALUE,\n    l", names) == ["leaf"]
        assert kinds("from os import pat", names)["path"] == "module"
        assert "join" in matches("from os.path import isfile, jo", names)
        assert package not in sys.modules

    def test_the_word_import(self, names: Dictionary) -> None:
        assert matches("from os ", names) == ["import"]
        assert matches("from os imp", names) == ["import"]

    def test_where_a_new_name_is_due(self, names: Dictionary) -> None:
        assert matches("import os as ", names) == []
        assert matches("from os import path as p", names) == []

    def test_relative_ones_are_left_alone(self, names: Dictionary, package: str) -> None:
        names.entries["__package__"] = "zqpackage"
        for code in ("from .", "from .in", "from . import in", "from .inner import Th"):
            assert matches(code, names) == []

    def test_below_a_package_without_init(
        self, names: Dictionary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "zqspace").mkdir()
        (tmp_path / "zqspace" / "leaf.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path))
        __import__("zqspace")
        try:
            assert matches("import zqsp", names) == ["zqspace"]
            assert matches("import zqspace.", names) == ["leaf"]
        finally:
            del sys.modules["zqspace"]

    def test_a_new_module_is_seen(self, names: Dictionary, package: str, tmp_path: Path) -> None:
        assert matches("import zqpackage.", names) == ["inner"]
        (tmp_path / "zqpackage" / "later.py").touch()
        os.utime(tmp_path / "zqpackage", ns=(1, 1))
        assert matches("import zqpackage.", names) == ["inner", "later"]


class Hostile(Exception):
    """What hostile objects raise; also the other two are tried."""


def raiser(what: str) -> Any:
    def method(*args: Any, **kwargs: Any) -> Any:
        ran.append(what)
        raise SystemExit(what)

    return method


def hostile_class() -> type:
    """Made in a function because pytest looks at what a test module holds."""

    class Meta(type):
        __getattribute__ = raiser("meta getattribute")
        __eq__ = raiser("meta eq")
        __hash__ = raiser("meta hash")
        __instancecheck__ = raiser("meta instancecheck")
        __subclasscheck__ = raiser("meta subclasscheck")
        __call__ = raiser("meta call")
        __bool__ = raiser("meta bool")
        __len__ = raiser("meta len")

    class Bad(metaclass=Meta):
        visible = 1
        __getattribute__ = raiser("getattribute")
        __getattr__ = raiser("getattr")
        __eq__ = raiser("eq")
        __hash__ = raiser("hash")
        __bool__ = raiser("bool")
        __len__ = raiser("len")
        __iter__ = raiser("iter")
        __getitem__ = raiser("getitem")
        __repr__ = raiser("repr")
        __str__ = raiser("str")
        __call__ = raiser("call")
        __class__ = property(raiser("class"))
        __doc__ = property(raiser("doc"))
        __module__ = property(raiser("module"))
        prop = property(raiser("prop"))

    return Bad


def hostile_object() -> Any:
    made = object.__new__(hostile_class())
    object.__setattr__(made, "own", 1)
    return made


class HostileDict(dict[Any, Any]):
    __iter__ = keys = items = get = values = raiser("dict")
    __getitem__ = __contains__ = __len__ = __eq__ = raiser("dict")
    __hash__ = None


class Descriptor:
    __get__ = raiser("descriptor get")
    __set__ = raiser("descriptor set")


class TestHostile:
    """Nothing of theirs runs (the fixture sees to it), and something comes of it."""

    def test_object(self) -> None:
        names = Dictionary(bad=hostile_object())
        found = matches("bad.", names)
        assert {"own", "visible", "prop"} <= set(found)
        assert matches("bad.own.bit_l", names) == ["bit_length"]
        for code in ("bad.prop.", "bad[0].", "bad().", "bad(", "bad['", "bad[bad].", "ba"):
            matches(code, names)

    def test_class(self) -> None:
        names = Dictionary(Bad=hostile_class(), table={"x": hostile_class()})
        assert "visible" in matches("Bad.", names)
        assert "visible" in matches("table['x'].vis", names)
        assert matches("Ba", names)[0] == "Bad"
        matches("Bad(", names)
        matches("Bad().", names)

    def test_dictionary(self) -> None:
        assert matches("d['", Dictionary(d=HostileDict(alpha=1))) == ["alpha"]
        matches("d['alpha'].", Dictionary(d=HostileDict(alpha=1)))

    def test_keys(self) -> None:
        class Key(str):
            __slots__ = ()
            __repr__ = __str__ = raiser("key")

        class Other:
            __repr__ = raiser("other")

        assert matches("d['", Dictionary(d={Key("alpha"): 1, Other(): 2})) == ["alpha"]

    def test_descriptors(self) -> None:
        class Owner:
            field = Descriptor()

        owner = Owner()
        owner.__dict__["field"] = "text"  # as an ORM keeps it
        names = Dictionary(owner=owner, fresh=Owner(), Owner=Owner)
        assert matches("owner.field.upp", names) == ["upper"]
        assert matches("fresh.field.", names) == []
        assert matches("Owner.field.", names) == []
        assert "field" in matches("owner.", names)

    def test_dict_slot_that_is_a_property(self) -> None:
        class Owner:
            visible = 1
            __dict__ = property(raiser("dict"))

        assert "visible" in matches("owner.", Dictionary(owner=Owner()))

    @pytest.mark.parametrize("error", [Hostile, SystemExit, KeyboardInterrupt, RecursionError])
    def test_dir_that_raises(self, error: type[BaseException]) -> None:
        class Owner:
            visible = 1

            def __dir__(self) -> list[str]:
                raise error

        assert "visible" in matches("owner.", Dictionary(owner=Owner()))

    def test_dir_that_never_ends(self) -> None:
        class Owner:
            def __dir__(self) -> Any:
                number = 0
                while True:
                    number += 1
                    yield f"name{number}"

        assert len(matches("owner.", Dictionary(owner=Owner()))) == MATCH_LIMIT

    def test_dir_with_odd_things(self) -> None:
        class Owner:
            def __dir__(self) -> Any:
                return [1, None, "fine", b"x", object()]

        assert matches("owner.", Dictionary(owner=Owner())) == ["fine"]

    def test_dir_that_is_a_property(self) -> None:
        class Owner:
            visible = 1
            __dir__ = property(raiser("dir"))

        assert "visible" in matches("owner.", Dictionary(owner=Owner()))

    def test_names_that_raise(self) -> None:
        class Broken:
            def lookup(self, name: str) -> object:
                raise RuntimeError

            def names(self) -> Any:
                yield "one"
                raise RuntimeError

        reply = complete("x.", 2, Broken())
        assert reply["matches"] == []
        assert complete("pri", 3, Broken())["end"] == 3

    def test_a_dictionary_that_changes_meanwhile(self) -> None:
        target: dict[str, int] = {}
        stop = threading.Event()

        def change() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                target[f"k{number}"] = 1
                if number % 100 == 0:
                    target.clear()

        thread = threading.Thread(target=change)
        thread.start()
        try:
            names = Dictionary(target=target)
            for _ in range(300):
                matches("target['", names)
        finally:
            stop.set()
            thread.join()

    def test_every_prefix_of_some_code(self, names: Dictionary) -> None:
        code = (
            "from os import (path,\n  sep)\n"
            "x = f\"{service.orders['a1'][0].url!r:>{index}} {{}} \" + '''a\n\"b''' # c (\n"
            "y = rows[0:1][-1].url if x else scale(1, *rows, **{'a': b'\\'x'})\n"
            "class A(Service, metaclass=type): z: int = table[key]['gamma'].url; del x\n"
            "@decorator(a=1)\nasync def f(a, /, *, b=(1, 2)[0]) -> 'int': return a.b.c[d](e)\n"
            ") ] } \" ' ''' unbalanced \\\n never . ends ..\n"
        )
        for end in range(len(code) + 1):
            reply = complete(code[:end], end, names)
            assert reply["start"] <= reply["end"] == end
            assert complete(code, end, names) == reply or code[end:]


class TestHanging:
    """What comes to no end is not waited for."""

    @pytest.fixture
    def method(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Comes to an end only when the test has."""
        monkeypatch.setattr(asking, "PATIENCE", 0.1)
        is_over = threading.Event()
        asked: list[threading.Thread] = []

        def method(*args: Any) -> Any:
            asked.append(threading.current_thread())
            is_over.wait(30)
            return ["late"]

        yield method
        is_over.set()
        eventually(lambda: all(ended.is_set for ended in asking._late))
        assert asked

    def test_dir(self, method: Any) -> None:
        owner = type("Owner", (), {"__dir__": method, "visible": 1})()
        assert "visible" in matches("owner.", Dictionary(owner=owner))

    def test_dir_of_a_module(self, method: Any) -> None:
        module = ModuleType("slow")
        module.__dict__.update(__dir__=method, visible=1)
        assert "visible" in matches("slow.", Dictionary(slow=module))

    def test_keys(self, method: Any) -> None:
        owner = type("Owner", (), {"_ipython_key_completions_": method})()
        assert "owner" in matches("owner[", Dictionary(owner=owner))


class TestSize:
    """Bounds, with room for a slow machine."""

    def spent(self, code: str, names: Dictionary) -> float:
        complete(code, len(code), names)
        begun = time.perf_counter()
        complete(code, len(code), names)
        return time.perf_counter() - begun

    def test_usual_cases_are_quick(self, names: Dictionary) -> None:
        for code in ("service.", "serv", "os.path.jo", "table['", "scale(", "import o"):
            assert self.spent(code, names) < 0.02, code

    def test_many_names(self) -> None:
        names = Dictionary(**{f"name{i}": i for i in range(100_000)})
        assert len(matches("name", names)) == MATCH_LIMIT
        assert matches("name9999", names)[0] == "name9999"
        assert self.spent("name", names) < 1

    def test_of_many_names_the_first_are_shown(self) -> None:
        """By rank, then by letters, wherever they stand."""
        public = [f"name{number:05}" for number in range(MATCH_LIMIT - 2, 0, -1)]
        private = ["_late", "_early", "_middle"]
        names = Dictionary(**dict.fromkeys([*private, "__special__", *public], 0))
        found = matches("", names)
        assert found[: len(public)] == sorted(public)
        assert not {"_late", "__special__"} & set(found)
        many = Dictionary(**{f"n{number}": 0 for number in range(3 * MATCH_LIMIT, 0, -1)})
        expected = sorted(f"n{number}" for number in range(1, 3 * MATCH_LIMIT + 1))
        assert matches("n", many) == expected[:MATCH_LIMIT]

    def test_a_name_that_is_a_keyword_elsewhere(self) -> None:
        for names, kind in ((Dictionary(), "keyword"), (Dictionary(match=1), "instance")):
            reply = complete("matc", 4, names)
            assert [(each["text"], each["type"]) for each in reply["types"]] == [("match", kind)]

    def test_of_pairs_that_begin_alike_others_are_shown_too(self) -> None:
        pairs = {("a", number): 0 for number in range(2 * MATCH_LIMIT)}
        assert matches("d['", Dictionary(d={**pairs, "b": 0})) == ["a", "b"]

    def test_keys_that_are_written_otherwise_than_they_are(self) -> None:
        names = Dictionary(d={"a\\b": 0, "a\nb": 0, 'say "so"': 0, "it's": 0, b"raw": 0})
        assert matches("d['a\\\\", names) == ["a\\\\b"]
        assert matches("d['a\\n", names) == ["a\\nb"]
        assert matches("d['it", names) == ["it\\'s"]
        assert matches('d["say', names) == ['say \\"so\\"']
        assert matches("d[b'ra", names) == ["raw"]
        assert matches("d[b", names)[0] == "b'raw'"

    def test_many_keys(self) -> None:
        names = Dictionary(d={f"key{i}": i for i in range(1_000_000)})
        assert len(matches("d['", names)) == MATCH_LIMIT
        assert matches("d['key9999", names)[0] == "key9999"
        assert self.spent("d['key", names) < 1

    def test_many_attributes(self) -> None:
        owner = Engine("x")
        owner.__dict__.update({f"a{i}": i for i in range(100_000)})
        names = Dictionary(owner=owner)
        assert len(matches("owner.a", names)) == MATCH_LIMIT
        assert self.spent("owner.a", names) < 1

    def test_many_columns(self) -> None:
        numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
        columns = [f"column{number}" for number in range(10_000)]
        names = Dictionary(frame=pandas.DataFrame(numpy.zeros((1, 10_000)), columns=columns))
        assert len(matches('frame["', names)) == MATCH_LIMIT
        assert matches('frame["column999', names) == [c for c in columns if "n999" in c]
        for code in ('frame["', 'frame["column1"].', "frame.column12", "frame.sum("):
            assert self.spent(code, names) < 0.5

    def test_many_pairs(self) -> None:
        names = Dictionary(d={("a", number): number for number in range(200_000)})
        assert len(matches("d['a', ", names)) == MATCH_LIMIT
        assert self.spent("d['a', ", names) < 2

    def test_much_code(self, names: Dictionary) -> None:
        code = "value = {'key': [1, 2, (3, 4)]}  # comment\n" * 5000
        assert matches(code + "service.ord", names) == ["orders"]
        assert self.spent(code + "service.ord", names) < 2

    def test_many_files(
        self, tmp_path: Path, names: Dictionary, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(completion, "DIRECTORY_LIMIT", 50)
        for number in range(100):
            (tmp_path / f"f{number}").touch()
        assert len(matches(f"open('{tmp_path}/", names)) == 50
