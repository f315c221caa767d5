"""Which names code uses, and the rewriting of what it stores as globals.

Pure: code is compiled and looked at; what was rewritten is run against a
stand-in for `__program__` that keeps book.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.agent.names import PROGRAM, Names, direct_global_writes

TOP_LEVEL_AWAIT = 0x2000


def code_of(source: str) -> CodeType:
    code: CodeType = compile(source, "<cell>", "exec", TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def names_of(source: str) -> Names:
    return Names(code_of(source))


# -- reading


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("a", {"a"}),
        ("a.b.c", {"a"}),
        ("a = 1", set()),
        ("a += b", {"a", "b"}),
        ("a[b] = c", {"a", "b", "c"}),
        ("a.b = c", {"a", "c"}),
        ("f'{a} {b!r:{c}}'", {"a", "b", "c"}),
        ("def f(x=a, *, y: b = 1) -> c: return d + x", {"a", "b", "c", "d"}),
        ("def f():\n    a = 1\n    return a, b", {"b"}),
        ("def f():\n    def g():\n        return lambda: a\n    return g", {"a"}),
        ("class C(a, metaclass=b):\n    c = d", {"a", "b", "d", "__name__"}),
        ("class C:\n    def f(self): return a", {"a", "__name__"}),
        ("[a for b in c if d]", {"a", "c", "d"}),
        ("{a: b for b in [1]}", {"a"}),
        ("sum(a * b for b in c)", {"sum", "a", "c"}),
        ("[[a for _ in b] for b in c]", {"a", "c"}),
        ("lambda: [a for a in b]", {"b"}),
        ("def f[T: a](x: T) -> b: ...", {"a", "b"}),
        ("type X[T] = list[T] | a", {"list", "a"}),
        ("x: a = 1", {"a"}),
        ("@a\ndef f(): ...", {"a"}),
        ("match a:\n    case b.c: d", {"a", "b", "d"}),
        ("match 1:\n    case Point(x=1): pass", {"Point"}),
        ("await a", {"a"}),
        ("async with a as b: pass", {"a"}),
        ("del a[b]", {"a", "b"}),
        ("import a.b.c", set()),
        ("assert a, b", {"a", "b"}),
        ("try: a\nexcept b: c\nelse: d\nfinally: e", {"a", "b", "c", "d", "e"}),
        ("global a\na", {"a"}),
    ],
)
def test_what_is_read(source: str, read: set[str]) -> None:
    assert names_of(source).read - {"__conditional_annotations__"} == read


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("a = b = 1", {"a", "b"}),
        ("a, (b, *c) = x", {"a", "b", "c"}),
        ("a += 1", {"a"}),
        ("a.b = a[0] = 1", set()),
        ("(a := 1)", {"a"}),
        ("for a in x: b = 1", {"a", "b"}),
        ("with x as a, y as (b, c): pass", {"a", "b", "c"}),
        ("try: pass\nexcept E as a: pass", {"a"}),
        ("import a.b, c as d", {"a", "d"}),
        ("from x import a, b as c", {"a", "c"}),
        ("def a(): b = 1", {"a"}),
        ("async def a(): b = 1", {"a"}),
        ("class a:\n    b = 1", {"a"}),
        ("type a = int", {"a"}),
        ("del a", {"a"}),
        ("match x:\n    case [a, *b, {'k': c, **d}] | C(a, b, c, k=d) as e: pass", set("abcde")),
        ("[a for a in x]", set()),
        ("lambda: (a := 1)", set()),
        ("'words'", {"__doc__"}),
    ],
)
def test_what_is_stored_at_the_top(source: str, stored: set[str]) -> None:
    assert names_of(source).stored == stored
    assert names_of(f"if 1:\n    {source.replace('\n', '\n    ')}").stored - {"__doc__"} == (
        stored - {"__doc__"}
    )
    inside = names_of(f"def f():\n    {source.replace('\n', '\n    ')}")
    assert inside.stored == {"f"}
    assert inside.stored_globally == set()


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("global a\na = 1", {"a"}),
        ("global a\ndel a", {"a"}),
        ("def f():\n    global a\n    a = 1", {"a"}),
        ("def f():\n    global a\n    del a", {"a"}),
        ("def f():\n    def g():\n        global a\n        import a", {"a"}),
        ("class C:\n    global a\n    a = 1", {"a"}),
        ("[a := x for x in y]", {"a"}),
        ("list(a := x for x in y)", {"a"}),
        ("def f(): return [a := x for x in y]", set()),
        ("def f():\n    global a\n    return a", set()),
        ("a = 1\ndef f():\n    global a\n    a = 2", {"a"}),
    ],
)
def test_what_is_stored_globally(source: str, stored: set[str]) -> None:
    assert names_of(source).stored_globally == stored


@pytest.mark.parametrize(
    ("source", "deleted"),
    [
        ("del a, b", {"a", "b"}),
        ("a = 1\nprint(a)\ndel a", {"a"}),
        ("try: pass\nexcept E as a: pass", set()),
        ("try: pass\nexcept E as a: pass\ndel a", {"a"}),
        ("def f():\n    x = 1\n    del x", set()),
    ],
)
def test_what_is_deleted(source: str, deleted: set[str]) -> None:
    assert names_of(source).deleted == deleted


@pytest.mark.parametrize(
    ("source", "read_later"),
    [
        ("a", set()),
        ("def f(): return a", set()),
        ("def f(): return [a for _ in b]", set()),
        ("def f(): return lambda: a", {"a"}),
        ("lambda: (a for _ in b)", {"a"}),
        ("def f():\n    class C:\n        x = a", {"a", "__name__"}),
        ("class C:\n    def f(self): return a", {"a"}),
    ],
)
def test_what_functions_read_that_functions_make(source: str, read_later: set[str]) -> None:
    assert names_of(source).read_later == read_later


def test_import_star() -> None:
    assert names_of("from os.path import *").star
    assert not names_of("from os import path\nx = '*', ('a', '*')").star


def test_the_names_of_several_pieces() -> None:
    names = Names(code_of("a = b"), compile("c", "<cell>", "eval", dont_inherit=True))
    assert (names.stored, names.read) == ({"a"}, {"b", "c"})


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 700))
def test_names_beyond_the_two_hundred_and_fifty_sixth(count: int) -> None:
    """Their index takes an EXTENDED_ARG."""
    read = {f"r{n}" for n in range(count)}
    stored = {f"s{n}" for n in range(count)}
    names = names_of("\n".join(map("{} = {}".format, sorted(stored), sorted(read))))
    assert (names.read, names.stored) == (read, stored)
    inside = names_of(f"def f():\n    return {', '.join(sorted(read))}")
    assert inside.read == read


# -- rewriting


class Program:
    """What `__program__` is to rewritten code, with two namespaces that tell who was used."""

    def __init__(self) -> None:
        object.__setattr__(self, "module", {"x": 0})
        object.__setattr__(self, "seen", {"x": 0})

    def __getattribute__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "module")[name]
        except KeyError:
            return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.module[name] = value

    def __delattr__(self, name: str) -> None:
        del self.module[name]

    def __getitem__(self, name: str) -> Any:
        return self.seen[name]

    def __setitem__(self, name: str, value: object) -> None:
        self.seen[name] = value

    def __delitem__(self, name: str) -> None:
        del self.seen[name]

    def __call__(self, name: str, value: Any, as_item: bool) -> Any:
        (self.seen if as_item else self.module)[name] = value
        return value


def rewritten(source: str, declared: str = "x", visible: str = "x") -> CodeType:
    tree = direct_global_writes(ast.parse(source), declared.split(), visible.split())
    code: CodeType = compile(tree, "<cell>", "exec", TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


class Ran:
    """What became of it: the program's namespaces, and the code's own globals."""

    def __init__(self, source: str, **given: Any) -> None:
        program = Program()
        self.own: dict[str, Any] = {PROGRAM: program, **given}
        exec(rewritten(source), self.own)
        self.module, self.seen = program.module, program.seen


WRITES = [
    "x = 5",
    "x += 5",
    "x -= -5",
    "x, y = 5, 6",
    "[y, *x] = 6, 5",
    "(y, (x, z)) = 6, (5, 7)",
    "y = x = 5",
    "(x := 5)",
    "print(end='') or (x := 5)",
    "for x in [4, 5]: pass",
    "for y, x in [(4, 5)]: pass",
    "for x in []: pass\nelse: x = 5",
    "with opened(5) as x: pass",
    "with opened((6, 5)) as (y, x): pass",
    "while True:\n    x = 5\n    break",
    "if True: x = 5",
    "try:\n    1 / 0\nexcept ZeroDivisionError:\n    x = 5",
    "try: pass\nfinally: x = 5",
    "match 5:\n    case 4: pass\n    case x: pass",
    "match [4, 5]:\n    case [_, *x]: pass",
    "match {'a': 1, 'b': 5}:\n    case {'a': 1, **x}: pass",
    "match 5:\n    case int() as x: pass",
    "match 5:\n    case x if x == 5: pass",
    "import json as x",
    "import os.path, json as x",
    "from signal import SIGTRAP as x",
    "def x(): return 5",
    "async def x(): return 5",
    "class x: pass",
    "type x = int",
]
WRITES_IN_COMPREHENSIONS = [
    "[x := 5 for _ in 'a']",
    "[[x := 5 for _ in 'a'] for _ in 'b']",
    "list(x := 5 for _ in 'a')",
    "{(x := 5): 1 for _ in 'a'}",
]
ALL_WRITES = WRITES + WRITES_IN_COMPREHENSIONS


class Opened:
    def __init__(self, value: object) -> None:
        self.value = value

    def __enter__(self) -> object:
        return self.value

    def __exit__(self, *_: object) -> None: ...


def indented(source: str, by: str = "    ") -> str:
    return by + source.replace("\n", "\n" + by)


@pytest.mark.parametrize("write", ALL_WRITES)
def test_a_function_writes_to_the_module(write: str) -> None:
    ran = Ran(f"def f():\n    global x\n{indented(write)}\nf()", opened=Opened)
    assert ran.module["x"] != 0
    assert ran.seen == {"x": 0}


@pytest.mark.parametrize("write", ALL_WRITES)
def test_the_top_level_writes_to_what_is_seen(write: str) -> None:
    """Because a function declares the name: that makes it explicitly global at the top, too."""
    ran = Ran(f"def f():\n    global x\n{write}", opened=Opened)
    assert ran.seen["x"] != 0
    assert ran.module == {"x": 0}


@pytest.mark.parametrize("write", ALL_WRITES)
def test_the_top_level_writes_to_the_module_where_it_says_so(write: str) -> None:
    ran = Ran(f"global x\n{write}", opened=Opened)
    assert ran.module["x"] != 0
    assert ran.seen == {"x": 0}


FUNCTIONS = [
    ("def f():", "f()"),
    ("def f():\n    global x\n    def g():", "    g()\nf()"),
    ("def f():\n    def g():\n        global x", "f()"),
]
CLASSES = [("class C:", ""), ("def f():\n    global x\n    class C:", "f()")]


@pytest.mark.parametrize(
    ("write", "scope"),
    [(write, scope) for scope in FUNCTIONS for write in ALL_WRITES]
    + [(write, scope) for scope in CLASSES for write in WRITES],
)
def test_what_is_local_stays_local(write: str, scope: tuple[str, str]) -> None:
    head, tail = scope
    body = "x = 1\n" + write
    inner = head.rpartition("\n")[2].endswith(":") and head.startswith("def f():\n")
    ran = Ran(f"{head}\n{indented(body, '        ' if inner else '    ')}\n{tail}", opened=Opened)
    assert (ran.module, ran.seen) == ({"x": 0}, {"x": 0})
    assert "x" not in ran.own


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("def f():\n    global x\n    del x\nf()", {}),
        ("def f():\n    global x, y\n    y = 1\n    x = 2\nf()", {"x": 2}),
        ("async def f():\n    global x\n    async for x in numbers(): pass\nrun(f())", {"x": 5}),
        ("async def f():\n    global x\n    async with o as x: pass\nrun(f())", {"x": 5}),
        ("async def f():\n    global x\n    [x := n async for n in numbers()]\nrun(f())", {"x": 5}),
        ("def f():\n    global x\n    def g():\n        global x\n        x = 5\n    g()\nf()",
         {"x": 5}),
        ("def f():\n    global x\n    return [x for x in range(3)]\nf()", {"x": 0}),
        ("def f():\n    global x\n    return [n for n in [1] for x in [n]]\nf()", {"x": 0}),
        ("def f():\n    global x\n    return [(x := n) for n in [1, 5]]\nf()", {"x": 5}),
        ("def f():\n    global x\n    return (lambda: (x := 5))()\nf()", {"x": 0}),
        ("def f():\n    global x\n    return (lambda a=(x := 5): a)()\nf()", {"x": 5}),
        ("def f():\n    global x\n    def g(a=(x := 5)): ...\nf()", {"x": 5}),
        ("def f():\n    global x\n    class C((x := int)): ...\nf()", {"x": int}),
        ("def f():\n    global x\n    try: 1 / 0\n    except Exception as x: pass\nf()", {"x": 0}),
        ("def f():\n    x = 1\n    def g(a=(x := 5)):\n        global x\nf()", {"x": 0}),
        ("def f(x):\n    def g():\n        global x\n        x = 5\n    g()\nf(1)", {"x": 5}),
    ],
)  # fmt: skip
def test_scopes(source: str, module: dict[str, Any]) -> None:
    async def numbers() -> Any:
        yield 5

    class Entered:
        async def __aenter__(self) -> int:
            return 5

        async def __aexit__(self, *_: object) -> None: ...

    def run(coroutine: Any) -> None:
        with pytest.raises(StopIteration):
            coroutine.send(None)

    ran = Ran(source, numbers=numbers, o=Entered(), run=run)
    assert ran.module == module
    assert ran.seen == {"x": 0}


def test_values_and_their_order_stay_what_they_were() -> None:
    told: list[object] = []
    ran = Ran(
        "def f():\n    global x\n    tell((x := tell(1)) + (x := tell(2)))\n"
        "    x = y = tell(x)\n    return x\nresult = f()",
        tell=lambda value: told.append(value) or value,
        x=2,  # what the code reads where there is no cell: its own globals
    )
    assert told == [1, 2, 3, 2]
    assert (ran.module["x"], ran.own["result"]) == (2, 2)


def test_other_names_are_left_alone() -> None:
    source = "def f():\n    global y\n    y = 1\n    def x(): pass\nf()\nx = 2"
    tree = ast.parse(source)
    assert ast.dump(direct_global_writes(tree, ["z"], ["z"])) == ast.dump(ast.parse(source))


@pytest.mark.parametrize("write", ALL_WRITES)
def test_lines_are_those_of_the_source(write: str) -> None:
    source = f"\n\ndef f():\n    global x\n{indented(write)}"
    last = source.count("\n") + 1
    function = next(c for c in rewritten(source).co_consts if isinstance(c, CodeType))
    lines = {line for _, _, line in function.co_lines() if line is not None}
    assert lines <= set(range(3, last + 1))


def test_an_annotated_assignment_at_the_top() -> None:
    assert Ran("def f():\n    global x\nx: int = 5").seen == {"x": 5}
