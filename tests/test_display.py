"""Values as text and as MIME bundles, and `display()`, in one process."""

from __future__ import annotations

import enum
import json
import random
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent.display import DisplayHandle, bundle, display, json_safe
from live_kernel.agent.pretty import LIMIT, Printer, pretty
from live_kernel.link.frames import Decoder, encode


class Colour(enum.Enum):
    RED = 1


class Plain:
    pass


class PlainList(list[int]):
    pass


class Shouting(dict[str, int]):
    def __repr__(self) -> str:
        return "SHOUTING!"


class Lines:
    def __repr__(self) -> str:
        return "one\ntwo"


class Interrupted(BaseException):
    """As the agent's own interrupts."""


Point = namedtuple("Point", "x y")


def function(a: int, b: str = "x") -> bool:
    return bool(a and b)


def recursive_list() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def recursive_dict() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


class TestShort:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (1, "1"),
            (None, "None"),
            (1.5, "1.5"),
            ("it's\n", '"it\'s\\n"'),
            (b"x", "b'x'"),
            (..., "Ellipsis"),
            ([], "[]"),
            ([1, "a", None], "[1, 'a', None]"),
            ((), "()"),
            ((1,), "(1,)"),
            ({}, "{}"),
            ({"a": [1], 2: (3,)}, "{'a': [1], 2: (3,)}"),
            (set(), "set()"),
            ({3, 1, 2}, "{1, 2, 3}"),
            (frozenset(), "frozenset()"),
            (frozenset({2, 1}), "frozenset({1, 2})"),
            (deque([1, 2]), "deque([1, 2])"),
            (deque([1], maxlen=3), "deque([1], maxlen=3)"),
            (defaultdict(list, a=[1]), "defaultdict(list, {'a': [1]})"),
            (OrderedDict(a=1), "OrderedDict({'a': 1})"),
            (OrderedDict(), "OrderedDict()"),
            (Counter("aab"), "Counter({'a': 2, 'b': 1})"),
            (Counter(), "Counter()"),
            ({"a": 1}.keys(), "dict_keys(['a'])"),
            ({"a": 1}.values(), "dict_values([1])"),
            ({"a": 1}.items(), "dict_items([('a', 1)])"),
            (MappingProxyType({"a": 1}), "mappingproxy({'a': 1})"),
            (SimpleNamespace(a=1, b="x"), "namespace(a=1, b='x')"),
            (PlainList([1]), "[1]"),
            (Shouting(a=1), "SHOUTING!"),
            ([Shouting()], "[SHOUTING!]"),
            (Point(1, 2), "Point(x=1, y=2)"),
            (Colour.RED, "<Colour.RED: 1>"),
            (Colour, "<enum 'Colour'>"),
            (int, "int"),
            (OrderedDict, "collections.OrderedDict"),
            (len, "<function len(obj, /)>"),
            (function, f"<function {__name__}.function(a: int, b: str = 'x') -> bool>"),
            (ValueError("x", 1), "ValueError('x', 1)"),
            (range(3), "range(0, 3)"),
            (recursive_list(), "[1, [...]]"),
            (recursive_dict(), "{'self': {...}}"),
            (Lines(), "one\ntwo"),
        ],
    )
    def test_is_what_ipython_writes(self, value: object, text: str) -> None:
        assert pretty(value) == text

    def test_address(self) -> None:
        value = Plain()
        assert pretty(value) == f"<{__name__}.Plain at {id(value):#x}>"

    def test_counts_that_cannot_be_compared(self) -> None:
        assert pretty(Counter({"a": 1, "b": "x"})) == "Counter({'a': 1, 'b': 'x'})"

    def test_a_shared_object_is_no_recursion(self) -> None:
        shared = [1]
        assert pretty([shared, shared]) == "[[1], [1]]"


class TestLayout:
    def test_a_line_that_just_fits(self) -> None:
        value = ["x" * 35, "y" * 36]
        assert len(repr(value)) == 79
        assert pretty(value) == repr(value)
        assert "\n" in pretty(["x" * 35, "y" * 37])

    def test_a_list(self) -> None:
        text = pretty(list(range(30)))
        assert text.splitlines()[:2] == ["[0,", " 1,"]
        assert text.endswith(" 29]")

    def test_only_the_parts_that_do_not_fit_are_broken(self) -> None:
        value = {"short": [1, 2], "long": ["x" * 40, "y" * 40]}
        expected = f"{{'short': [1, 2],\n 'long': ['{'x' * 40}',\n  '{'y' * 40}']}}"
        assert pretty(value) == expected

    def test_under_a_name(self) -> None:
        text = pretty(defaultdict(list, dict.fromkeys(range(4), "x" * 20)))
        assert text.splitlines()[0] == "defaultdict(list,"
        assert text.splitlines()[1] == "            {0: 'xxxxxxxxxxxxxxxxxxxx',"

    def test_lines_inside(self) -> None:
        assert pretty([1, Lines(), 2]) == "[1,\n one\n two,\n 2]"
        assert pretty({"a": Lines()}) == "{'a': one\n two}"

    def test_is_the_reprs_words_in_the_same_order(self) -> None:
        value = [{"k" * (i % 7): [(j,) * (i % 3) for j in range(i)]} for i in range(25)]
        assert "".join(pretty(value).split()) == "".join(repr(value).split())
        assert eval(pretty(value)) == value
        assert max(map(len, pretty(value).splitlines())) <= 79


def invented(rnd: random.Random, depth: int) -> Any:
    """Some value; containers, of each other, down to a depth."""
    words = ["word " * 5, "it's\n", 10**12, 7, None, 2.5, b"x", Colour.RED, int, Point(1, "y")]
    count = rnd.randrange(12) if depth else 0
    items = [invented(rnd, depth - 1) for _ in range(count)]
    pairs = {f"key{index}": item for index, item in enumerate(items)}
    made = [
        *(items, tuple(items), pairs, deque(items, maxlen=rnd.choice([None, 50]))),
        *(PlainList(items), defaultdict(list, pairs), MappingProxyType(pairs)),
        *(SimpleNamespace(**pairs), ValueError(*items), set(range(count * 5))),
    ]
    return rnd.choice(made if depth else words)


class TestAgainstIPython:
    @pytest.mark.parametrize("seed", range(20))
    def test_same_text(self, seed: int) -> None:
        reference = pytest.importorskip("IPython.lib.pretty")
        rnd = random.Random(seed)
        for _ in range(20):
            value = invented(rnd, 4)
            assert pretty(value) == reference.pretty(value)


class TestLimits:
    def test_a_thousand_items(self) -> None:
        for value in (list(range(2000)), tuple(range(2000)), deque(range(2000))):
            assert "999,\n" in pretty(value)
            assert "1000" not in pretty(value)
            assert "...]" in pretty(value) or "...)" in pretty(value)
        assert pretty(dict.fromkeys(range(2000))).endswith("999: None,\n ...}")
        assert "..." not in pretty(list(range(1000)))

    def test_of_the_whole(self) -> None:
        text = pretty([["x" * 100] * 1000 for _ in range(1000)])
        assert LIMIT < len(text) < LIMIT + 100
        assert text.endswith("… truncated after 1,000,000 characters")

    def test_of_ones_own(self) -> None:
        assert pretty("x" * 1000, 10).startswith("'xxxxxxxxx\n… truncated after 10")
        assert pretty("x" * 7, 10) == "'xxxxxxx'"

    @pytest.mark.parametrize("value", ["x" * 50_000_000, bytearray(50_000_000)])
    def test_of_long_texts(self, value: object) -> None:
        assert len(pretty(value)) < LIMIT + 100

    def test_long_repr(self) -> None:
        class Long:
            def __repr__(self) -> str:
                return "line\n" * 1_000_000

        assert len(pretty(Long())) < LIMIT + 100

    def test_depth(self) -> None:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        assert "[...]" in pretty(value)

    def test_digits(self) -> None:
        assert "repr failed: ValueError" in pretty([10**5000])

    def test_time(self) -> None:
        begun = time.perf_counter()
        pretty(dict.fromkeys(range(1_000_000), "x"))
        pretty([list(range(1000))] * 1000)
        pretty(set(range(1_000_000)))
        assert time.perf_counter() - begun < 5

    def test_while_others_change_it(self) -> None:
        import threading

        value: dict[int, int] = {}
        stop = threading.Event()

        def change() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                value[number % 5000] = number
                if number % 7000 == 0:
                    value.clear()

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(50):
                assert "repr failed" not in pretty(value)
        finally:
            stop.set()
            thread.join()


class TestOwnMethod:
    def test_repr_pretty(self) -> None:
        class Tree:
            def __init__(self, *children: Any) -> None:
                self.children = children

            def _repr_pretty_(self, p: Printer, cycle: bool) -> None:
                if cycle:
                    p.text("Tree(...)")
                    return
                with p.group(5, "Tree(", ")"):
                    for index, child in enumerate(self.children):
                        if index:
                            p.text(",")
                            p.breakable()
                        p.pretty(child)

        assert pretty(Tree(1, Tree(2))) == "Tree(1, Tree(2))"
        broken = pretty(Tree("x" * 40, "y" * 40))
        assert broken == f"Tree('{'x' * 40}',\n     '{'y' * 40}')"
        cyclic = Tree()
        cyclic.children = (cyclic,)
        assert pretty(cyclic) == "Tree(Tree(...))"

    def test_other_ways_to_group(self) -> None:
        class Block:
            def _repr_pretty_(self, p: Printer, cycle: bool) -> None:
                p.begin_group(2, "{")
                with p.indent(2):
                    p.break_()
                    p.text("inner")
                p.end_group(2, "}")

        assert pretty(Block()) == "{\n    inner}"

    def test_a_subclass_with_a_repr_goes_before(self) -> None:
        class Base:
            def _repr_pretty_(self, p: Printer, cycle: bool) -> None:
                p.text("base")

        class Derived(Base):
            def __repr__(self) -> str:
                return "derived"

        assert pretty([Base(), Derived()]) == "[base, derived]"

    def test_that_fails_half_way(self) -> None:
        class Half:
            def _repr_pretty_(self, p: Printer, cycle: bool) -> None:
                p.begin_group(4, "Half(")
                raise ValueError("no more")

        assert pretty([Half(), 1]) == "[Half(<repr failed: ValueError: no more>, 1]"


def raising(error: type[BaseException]) -> Any:
    class Bad:
        def __repr__(self) -> str:
            raise error("why")

    return Bad()


class TestHostile:
    @pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit, RecursionError])
    def test_repr_that_raises(self, error: type[BaseException]) -> None:
        expected = f"<repr failed: {error.__name__}: why>"
        assert pretty(raising(error)) == expected
        assert pretty([1, {"a": raising(error)}, 2]) == f"[1, {{'a': {expected}}}, 2]"

    @pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted])
    def test_interrupts_pass(self, error: type[BaseException]) -> None:
        with pytest.raises(error):
            pretty([raising(error)])

    def test_error_that_has_no_text(self) -> None:
        class Worse(Exception):
            def __str__(self) -> str:
                raise ValueError

        assert pretty(raising(Worse)).startswith("<repr failed: ")

    def test_repr_that_is_no_text(self) -> None:
        class Bad:
            def __repr__(self) -> Any:
                return None

        assert "repr failed: TypeError" in pretty(Bad())

    def test_endless_recursion(self) -> None:
        class Endless:
            def __repr__(self) -> str:
                return f"<{self!r}>"

        assert "repr failed: RecursionError" in pretty([Endless()])

    def test_containers_that_lie(self) -> None:
        def lie(*args: Any) -> Any:
            raise AssertionError

        class Lying(list[int]):
            __iter__ = __len__ = __getitem__ = __bool__ = lie
            __class__ = property(lie)

        class LyingDict(dict[str, int]):
            __iter__ = __len__ = items = keys = __getitem__ = lie

        assert pretty(Lying([1, 2])) == "[1, 2]"
        assert pretty(LyingDict(a=1)) == "{'a': 1}"

    def test_metaclass_that_lies(self) -> None:
        def lie(*args: Any) -> Any:
            raise AssertionError

        class Meta(type):
            __eq__ = __hash__ = __getattribute__ = __instancecheck__ = lie

        class Bad(metaclass=Meta):
            pass

        bad = object.__new__(Bad)
        assert "Bad at 0x" in pretty(bad)
        assert pretty({"a": [bad]}).count("Bad at 0x") == 1
        assert "Bad" in pretty(Bad)
        assert bundle(bad)[0].keys() == {"text/plain"}

    def test_lone_surrogates_and_text_subclasses(self) -> None:
        class Text(str):
            __slots__ = ()

        class Bad:
            def __repr__(self) -> str:
                return Text("a\ud800")

        assert pretty(Bad()) == "a?"
        assert type(pretty(Bad())) is str


PNG = b"\x89PNG\r\n\x1a\nrest"


class Rich:
    def _repr_html_(self) -> str:
        return "<b>rich</b>"

    def _repr_markdown_(self) -> str:
        return "**rich**"

    def _repr_svg_(self) -> str:
        return "<svg/>"

    def _repr_png_(self) -> bytes:
        return PNG

    def _repr_jpeg_(self) -> tuple[bytes, dict[str, int]]:
        return b"jpeg", {"width": 10}

    def _repr_pdf_(self) -> bytes:
        return b"%PDF"

    def _repr_latex_(self) -> str:
        return "$x$"

    def _repr_json_(self) -> dict[str, Any]:
        return {"a": [1, float("nan"), (2,)], 3: {"b": b"x"}}

    def _repr_javascript_(self) -> None:
        return None

    def __repr__(self) -> str:
        return "rich"


class TestBundle:
    def test_all_representations(self) -> None:
        data, metadata = bundle(Rich())
        assert data == {
            "text/html": "<b>rich</b>",
            "text/markdown": "**rich**",
            "image/svg+xml": "<svg/>",
            "image/png": PNG,
            "image/jpeg": b"jpeg",
            "application/pdf": b"%PDF",
            "text/latex": "$x$",
            "application/json": {"a": [1, None, [2]], "3": {"b": b"x"}},
            "text/plain": "rich",
        }
        assert metadata == {"image/jpeg": {"width": 10}}
        encode({"sent": [data, metadata]})

    def test_include_and_exclude(self) -> None:
        assert set(bundle(Rich(), include=["text/html"])[0]) == {"text/html"}
        assert "text/html" not in bundle(Rich(), exclude=["text/html"])[0]
        assert bundle(3, exclude=["text/plain"]) == ({}, {})

    def test_plain_values(self) -> None:
        assert bundle([1, 2]) == ({"text/plain": "[1, 2]"}, {})
        assert bundle("x") == ({"text/plain": "'x'"}, {})

    def test_mimebundle(self) -> None:
        asked: list[Any] = []

        class Bundled(Rich):
            def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
                asked.append((include, exclude))
                data = {"text/html": "<i/>", "application/x+json": {"a": 1}, "image/gif": None}
                return data, {"text/html": {"isolated": True}}

        data, metadata = bundle(Bundled(), exclude=["image/png"])
        assert asked == [(None, ["image/png"])]
        assert data["text/html"] == "<i/>"
        assert data["application/x+json"] == {"a": 1}
        assert data["text/markdown"] == "**rich**"
        assert "image/gif" not in data
        assert metadata["text/html"] == {"isolated": True}

    def test_mimebundle_may_have_the_text(self) -> None:
        class Bundled:
            def _repr_mimebundle_(self, **_: Any) -> Any:
                return {"text/plain": "mine"}

        assert bundle(Bundled()) == ({"text/plain": "mine"}, {})

    def test_mimebundle_that_is_none(self) -> None:
        class Bundled:
            def _repr_mimebundle_(self, **_: Any) -> Any:
                return None

        assert set(bundle(Bundled())[0]) == {"text/plain"}

    def test_an_object_may_display_itself(self) -> None:
        shown: list[str] = []

        class Own:
            def _ipython_display_(self) -> None:
                shown.append("own")

        assert bundle(Own()) == ({}, {})
        assert shown == ["own"]

    def test_an_object_may_decline(self) -> None:
        class Own:
            def _ipython_display_(self) -> None:
                raise NotImplementedError

            def _repr_html_(self) -> str:
                raise NotImplementedError

        errors: list[BaseException] = []
        assert set(bundle(Own(), on_error=errors.append)[0]) == {"text/plain"}
        assert errors == []

    def test_classes_are_not_asked(self) -> None:
        assert set(bundle(Rich)[0]) == {"text/plain"}

    def test_an_object_with_any_attribute_is_not_believed(self) -> None:
        from unittest.mock import MagicMock

        class Anything:
            def __getattr__(self, name: str) -> Any:
                return lambda *args, **kwargs: "anything"

        for value in (Anything(), MagicMock()):
            assert set(bundle(value)[0]) == {"text/plain"}

    def test_an_object_that_raises_for_any_attribute(self) -> None:
        class Closed:
            def __getattr__(self, name: str) -> Any:
                raise SystemExit

        assert set(bundle(Closed())[0]) == {"text/plain"}

    def test_a_proxy_shows_what_it_stands_for(self) -> None:
        class Proxy:
            def __getattr__(self, name: str) -> Any:
                return getattr(Rich(), name)

        assert bundle(Proxy())[0]["text/html"] == "<b>rich</b>"

    def test_an_error_leaves_the_others(self) -> None:
        class Broken(Rich):
            def _repr_html_(self) -> str:
                raise ValueError("broken")

            def _repr_png_(self) -> Any:
                raise SystemExit

            def _repr_latex_(self) -> Any:
                return 3

        errors: list[BaseException] = []
        data, _ = bundle(Broken(), on_error=errors.append)
        assert {"text/html", "image/png", "text/latex"}.isdisjoint(data)
        assert data["text/markdown"] == "**rich**"
        assert [type(error) for error in errors] == [ValueError, SystemExit, TypeError]
        assert "text/html" not in bundle(Broken())[0]

    def test_an_interrupt_passes(self) -> None:
        class Slow:
            def _repr_html_(self) -> str:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bundle(Slow())

    def test_methods_on_the_instance(self) -> None:
        value = Plain()
        value._repr_html_ = lambda: "<u/>"
        assert bundle(value)[0]["text/html"] == "<u/>"

    def test_text_limit(self) -> None:
        text = bundle("x" * 2_000_000)[0]["text/plain"]
        said = "after 1,000,000 of 2,000,002 characters; %limits repr 2.1MB shows them all"
        assert text.endswith(f"… truncated {said}")


class TestJsonSafe:
    @pytest.mark.parametrize(
        ("value", "safe"),
        [
            (1, 1),
            (True, True),
            (None, None),
            (1.5, 1.5),
            (float("inf"), None),
            ([1.0, float("nan")], [1.0, None]),
            ([1e308, 1e308], [1e308, 1e308]),
            ([10**400, 1.0], [10**400, 1.0]),
            ("a\ud800", "a?"),
            (b"\x00", b"\x00"),
            (memoryview(b"\x00"), b"\x00"),
            ((1, [2]), [1, [2]]),
            ({1: {None: "x"}}, {"1": {"None": "x"}}),
            ({3}, "{3}"),
            (Colour.RED, "<Colour.RED: 1>"),
            (enum.IntEnum("E", "A").A, 1),
            (recursive_list(), [1, "..."]),
            (recursive_dict(), {"self": "..."}),
        ],
    )
    def test_values(self, value: object, safe: object) -> None:
        assert json_safe(value) == safe
        (received,) = Decoder().feed(b"".join(encode({"value": json_safe(value)})))
        assert received["value"] == safe

    def test_arrays(self) -> None:
        class Array:
            def tolist(self) -> list[Any]:
                return [1, [2.5]]

        class Broken:
            def tolist(self) -> list[Any]:
                raise ValueError

        assert json_safe({"x": Array()}) == {"x": [1, [2.5]]}
        assert "Broken at" in json_safe(Broken())

    def test_plain_types_only(self) -> None:
        class Text(str):
            __slots__ = ()

            def __str__(self) -> str:
                raise AssertionError

        class Number(float):
            def __float__(self) -> float:
                raise AssertionError

        made = json_safe({Text("k"): [Text("v"), Number(1.5)]})
        assert made == {"k": ["v", 1.5]}
        (key,), (items,) = made.keys(), made.values()
        assert [type(key), type(items[0]), type(items[1])] == [str, str, float]

    def test_depth_is_bounded(self) -> None:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value, 1]
        json.dumps(json_safe(value))

    def test_long_lists_are_quick(self) -> None:
        value = [float(i) for i in range(1_000_000)]
        begun = time.perf_counter()
        assert json_safe({"y": value}) == {"y": value}
        assert time.perf_counter() - begun < 1


class Emitted(list[tuple[str, Any, Any, Any]]):
    """What `emit` was called with."""

    def __call__(self, kind: str, data: Any, metadata: Any, transient: Any) -> None:
        encode({"sent": [data, metadata, transient]})
        self.append((kind, data, metadata, transient))


class TestDisplay:
    @pytest.fixture
    def emit(self) -> Emitted:
        return Emitted()

    def test_objects(self, emit: Emitted) -> None:
        assert display(1, "x", emit=emit) is None
        expected = [
            ("display", {"text/plain": "1"}, {}, {}),
            ("display", {"text/plain": "'x'"}, {}, {}),
        ]
        assert emit == expected

    def test_new_id(self, emit: Emitted) -> None:
        handle = display(1, emit=emit, display_id=True)
        other = display(2, emit=emit, display_id=True)
        assert isinstance(handle, DisplayHandle)
        assert isinstance(other, DisplayHandle)
        assert emit[0][3] == {"display_id": handle.display_id}
        assert handle.display_id != other.display_id
        assert handle.display_id in repr(handle)

    def test_update(self, emit: Emitted) -> None:
        handle = display(1, emit=emit, display_id="mine")
        assert handle
        handle.update(2)
        handle.display(3, metadata={"a": 1})
        assert emit[1:] == [
            ("update", {"text/plain": "2"}, {}, {"display_id": "mine"}),
            ("display", {"text/plain": "3"}, {"a": 1}, {"display_id": "mine"}),
        ]

    def test_update_by_id(self, emit: Emitted) -> None:
        display(1, emit=emit, display_id="mine", update=True)
        assert emit[0][0] == "update"
        with pytest.raises(TypeError, match="display_id"):
            display(1, emit=emit, update=True)

    def test_a_handle_without_objects(self, emit: Emitted) -> None:
        handle = display(emit=emit, display_id=True)
        assert isinstance(handle, DisplayHandle)
        assert emit == []

    def test_raw(self, emit: Emitted) -> None:
        display({"image/png": PNG, "text/plain": "x"}, raw=True, emit=emit)
        assert emit[0][1] == {"image/png": PNG, "text/plain": "x"}
        with pytest.raises(TypeError, match="dict"):
            display("x", raw=True, emit=emit)

    def test_metadata_and_transient(self, emit: Emitted) -> None:
        given = {"image/jpeg": {"height": 5}}
        transient = {"extra": 1}
        display(Rich(), emit=emit, metadata=given, transient=transient, display_id="d")
        assert emit[0][2] == {"image/jpeg": {"width": 10, "height": 5}}
        assert emit[0][3] == {"extra": 1, "display_id": "d"}
        assert transient == {"extra": 1}

    def test_include(self, emit: Emitted) -> None:
        display(Rich(), emit=emit, include=["text/html"])
        assert set(emit[0][1]) == {"text/html"}

    def test_what_displays_itself_is_not_shown_twice(self, emit: Emitted) -> None:
        class Own:
            def _ipython_display_(self) -> None:
                display(3, emit=emit)

        display(Own(), emit=emit)
        assert [data for _, data, _, _ in emit] == [{"text/plain": "3"}]

    def test_errors_are_reported(self, emit: Emitted) -> None:
        class Broken:
            def _repr_html_(self) -> str:
                raise ValueError

        errors: list[BaseException] = []
        handle = display(Broken(), emit=emit, display_id="x", on_error=errors.append)
        assert handle
        handle.update(Broken())
        assert len(errors) == 2
        assert [kind for kind, *_ in emit] == ["display", "update"]
