"""What cells see of a program, and where their assignments go.

In process: the program is a module made for the test, and a function of it that
has begun and not returned; cells run by the agent's own `Cells`. Rule: each test
says what the program sees, too, and none of its namespaces ever gains a name.
"""

from __future__ import annotations

import builtins
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.agent import namespace as namespace_module
from live_kernel.agent.cell import Cell
from live_kernel.agent.cells import Cells
from live_kernel.agent.frames import Binding, bind_to
from live_kernel.agent.ledger import Ledger
from live_kernel.agent.names import Names
from live_kernel.agent.namespace import Namespace, ProgramNames

PROGRAM = '''
"""The program's own words."""
from contextlib import contextmanager

count = 10
items = ["a"]
size: int = 3
registry = {}
hex = lambda number: f"the program's hex({number})"

def helper():
    return count

def register(function):
    registry[function.__name__] = function
    return function

class Order:
    def __init__(self, number=0):
        self.number = number

@contextmanager
def opened(value):
    yield value

def work(given):
    total = 1
    count = 99
    pair = (1, 2)
    kept = "kept"
    callback = lambda: (total, kept)
    yield
    return {"given": given, "total": total, "count": count, "pair": pair, "seen": callback()}
'''


class FrameBinding:
    """A binding to the frame of a generator that waits at its `yield`."""

    def __init__(self, frame: FrameType) -> None:
        self.module = frame.f_globals["__name__"]
        self._frame = frame

    def names(self) -> tuple[Any, dict[str, Any]]:
        return self._frame.f_locals, self._frame.f_globals


class Notebook:
    """Cells, one after the other, with a binding to the program."""

    def __init__(self, binding: Any) -> None:
        self.ledger = Ledger()
        self.namespace = Namespace(binding, {})
        self.cells = Cells(self.namespace, self.ledger, "")
        self.count = 0

    @property
    def scratch(self) -> dict[str, Any]:
        return self.namespace.scratch

    def run(self, code: str) -> dict[str, Any]:
        """Run a cell. Returns its outcome."""
        self.count += 1
        outcomes: list[dict[str, Any] | None] = []
        request = {
            "cell": self.count,
            "count": self.count,
            "code": code,
            "silent": False,
            "expressions": {},
            "allow_input": False,
        }
        cell = Cell(request, lambda _events, done: outcomes.append(done), lambda *_: "")
        self.cells.run(cell)
        (outcome,) = [done for done in outcomes if done is not None]
        return outcome

    def __call__(self, code: str) -> Any:
        """Run a cell that raises nothing. Returns the value of its last expression, or None."""
        outcome = self.run(code)
        assert outcome["status"] == "ok", "\n".join(outcome["error"]["traceback"])
        return self.scratch.get("Out", {}).get(self.count)

    def error(self, code: str) -> str:
        """Run a cell that raises. Returns the error's class and text."""
        outcome = self.run(code)
        assert outcome["status"] == "error"
        return f"{outcome['error']['ename']}: {outcome['error']['evalue']}"

    @property
    def is_plain(self) -> bool:
        """Did the last cell run with a plain dictionary of builtins?"""
        return type(self.scratch["__builtins__"]) is dict


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program's module. It must have gained no name when the test ends."""
    module = ModuleType("a_program")
    monkeypatch.setitem(sys.modules, "a_program", module)
    exec(compile(PROGRAM, "a_program.py", "exec", dont_inherit=True), module.__dict__)
    before = set(module.__dict__)
    yield module
    assert set(module.__dict__) <= before


@pytest.fixture
def cell(program: ModuleType) -> Iterator[Notebook]:
    """Cells bound to the program's module."""
    notebook = Notebook(Binding("a_program"))
    yield notebook
    notebook.ledger.close()
    assert notebook.ledger.failures == []


class Running:
    """The program's function `work`, begun; and cells bound to its frame."""

    def __init__(self, module: ModuleType) -> None:
        self._generator = module.work("given")
        next(self._generator)
        self.frame = self._generator.gi_frame
        self.before = set(self.frame.f_locals)
        self.cell = Notebook(FrameBinding(self.frame))

    def seen(self) -> dict[str, Any]:
        """Let the function go on. Returns what it sees in its own variables."""
        assert set(self.frame.f_locals) == self.before
        with pytest.raises(StopIteration) as stop:
            next(self._generator)
        seen: dict[str, Any] = stop.value.value
        return seen


@pytest.fixture
def running(program: ModuleType) -> Iterator[Running]:
    made = Running(program)
    yield made
    made.cell.ledger.close()


# -- reading


def test_a_cell_sees_the_modules_names(cell: Notebook) -> None:
    assert cell("count, items, helper(), Order(3).number") == (10, ["a"], 10, 3)


def test_a_cell_sees_a_functions_locals_before_its_globals(running: Running) -> None:
    assert running.cell("total, count, pair, given") == (1, 99, (1, 2), "given")
    assert running.cell("items, helper()") == (["a"], 10)


def test_a_cell_sees_its_own_names_first(cell: Notebook, program: ModuleType) -> None:
    cell("late = 'the cell\\'s'")
    cell("registry['late'] = lambda: late")
    program.__dict__["late"] = "the program's"
    assert cell("late") == cell("registry['late']()") == "the cell's"
    del program.__dict__["late"]


def test_a_cell_sees_what_the_program_has_now(cell: Notebook, program: ModuleType) -> None:
    assert cell("count") == 10
    program.count = 11  # type: ignore[attr-defined]
    assert cell("count") == 11


def test_builtins_come_last(cell: Notebook) -> None:
    assert cell("len(items), hex(1)") == (1, "the program's hex(1)")


def test_a_builtin_may_be_hidden_and_shown_again(cell: Notebook, program: ModuleType) -> None:
    assert cell("len = lambda _: -1\nlen(items)") == -1
    assert cell("del len\nlen(items)") == 1
    program.__dict__["abs"] = lambda _: "the program's abs"
    assert cell("abs(-1)") == "the program's abs"
    del program.__dict__["abs"]
    assert cell("abs(-1)") == 1


def test_the_programs_patched_builtins_are_seen(
    cell: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "brand_new", 1, raising=False)
    assert cell("brand_new") == 1
    monkeypatch.delattr(builtins, "brand_new")
    assert cell.error("brand_new").startswith("NameError")


def test_a_name_that_nobody_has(cell: Notebook) -> None:
    assert cell.error("nowhere") == "NameError: name 'nowhere' is not defined"
    assert cell.error("def f(): return nowhere\nf()").startswith("NameError")


def test_a_cells_name_is_that_of_the_program(cell: Notebook) -> None:
    assert cell("__name__") == "a_program"
    assert cell("class New: pass\nNew.__module__") == "a_program"


# -- assigning: modules


ASSIGNMENTS = [
    "count = 5",
    "count += -5",
    "count: int = 5",
    "count, other = 5, 6",
    "[other, *count] = 0, 5",
    "(count := 5)",
    "print(end='' if (count := 5) else '')",
    "[count := number for number in range(6)]",
    "[[count := number for number in range(6)] for _ in 'ab']",
    "list(count := number for number in range(6))",
    "for count in range(6): pass",
    "with opened(5) as count: pass",
    "match 5:\n    case count: pass",
    "match [1, 5]:\n    case [_, *count]: pass",
    "match {'a': 5}:\n    case {'a': 5, **count}: pass",
    "import json as count",
    "from json import dumps as count",
    "def count(): return 5",
    "async def count(): return 5",
    "class count: pass",
    "type count = int",
    "exec('count = 5')",
    "exec('for count in range(6): pass')",
    "eval('(count := 5)')",
    "exec(compile('count = 5', '<x>', 'exec'))",
    "if True:\n    count = 5",
    "try:\n    count = 5\nfinally:\n    pass",
    "import asyncio\nawait asyncio.sleep(0)\ncount = 5",
    "async def values():\n    yield 5\nasync for count in values(): pass",
]
DECLARED = [
    "global count\ncount = 5",
    "global count\ncount: int = 5",
    "count = 3\ndef f():\n    global count\n    count = 5\nf()",
    "def f():\n    global count\n    count = 5\nf()",
    "def f():\n    global count\n    for count in range(6): pass\nf()",
    "def f():\n    global count\n    import json as count\nf()",
    "def f():\n    global count\n    def count(): return 5\nf()",
    "def f():\n    global count\n    class count: pass\nf()",
    "def f():\n    global count\n    type count = int\nf()",
    "def f():\n    global count\n    match 5:\n        case count: pass\nf()",
    "class New:\n    global count\n    count = 5",
]


@pytest.mark.parametrize("code", ASSIGNMENTS + DECLARED)
def test_an_assignment_reaches_the_module(cell: Notebook, program: ModuleType, code: str) -> None:
    cell(code)
    assert program.count != 10
    assert program.helper() == program.count
    assert "count" not in cell.scratch
    assert cell("count") is program.count


@pytest.mark.parametrize("code", ASSIGNMENTS + DECLARED)
def test_a_new_name_stays_with_the_cells(cell: Notebook, program: ModuleType, code: str) -> None:
    cell("fresh = 10")
    cell(code.replace("count", "fresh"))
    assert cell("fresh") != 10
    assert cell("fresh") is cell.scratch["fresh"]
    assert program.count == 10


def test_an_error_afterwards_undoes_no_assignment(cell: Notebook, program: ModuleType) -> None:
    assert cell.error("count = 5\n1 / 0").startswith("ZeroDivisionError")
    code = "def f():\n    global count\n    import json as count\n    1 / 0\nf()"
    assert cell.error(code).startswith("ZeroDivisionError")
    assert program.count.__name__ == "json"


def test_the_exceptions_name_is_gone_after_its_clause(cell: Notebook, program: ModuleType) -> None:
    """As in any module; a plain `del` does the same."""
    cell("try:\n    1 / 0\nexcept ZeroDivisionError as count:\n    kind = type(count)")
    assert cell("kind") is ZeroDivisionError
    assert not hasattr(program, "count")
    assert cell.error("count").startswith("NameError")


def test_deleting(cell: Notebook, program: ModuleType) -> None:
    cell("fresh = 1")
    cell("del count, fresh")
    assert not hasattr(program, "count")
    for name in ("count", "fresh"):
        assert cell.error(name).startswith("NameError")
        assert cell.error(f"del {name}").startswith("NameError")


def test_deleting_by_a_global_statement(cell: Notebook, program: ModuleType) -> None:
    cell("def f():\n    global count\n    del count\nf()")
    assert not hasattr(program, "count")
    assert cell.error("f()") == "NameError: name 'count' is not defined"


def test_a_name_that_the_program_lost_is_the_cells_when_assigned(
    cell: Notebook, program: ModuleType
) -> None:
    cell("del count")
    cell("count = 1")
    assert cell.scratch["count"] == 1
    assert not hasattr(program, "count")


def test_import_star(cell: Notebook, program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    star = ModuleType("a_star")
    star.__dict__.update(count=5, fresh=6)
    monkeypatch.setitem(sys.modules, "a_star", star)
    cell("from a_star import *")
    assert (program.count, cell.scratch["fresh"]) == (5, 6)
    assert "count" not in cell.scratch
    assert cell("count, fresh") == (5, 6)


@pytest.mark.parametrize(
    "code",
    [
        "'words of the cell'\nfresh = 1",
        "fresh: int = 1",
        "if True:\n    fresh: int = 1",
        "from __future__ import annotations\nfresh: int = 1",
        "fresh: int",
    ],
)
def test_what_a_cell_says_of_itself_is_not_said_of_the_program(
    cell: Notebook, program: ModuleType, code: str
) -> None:
    """The compiler stores `__doc__` and `__annotate__` in whatever namespace there is."""
    before = {name: value for name, value in program.__dict__.items() if name.startswith("__")}
    cell(code)
    cell("size = 4")
    after = {name: value for name, value in program.__dict__.items() if name.startswith("__")}
    assert after == before
    assert program.__dict__["__annotate__"](1) == {"size": int}


def test_a_cells_own_annotations(cell: Notebook) -> None:
    cell("fresh: Order = Order(1)\nstale: 'Order' = None")
    cell("def f(order: Order, late: Unknown = 1) -> list[Order]: ...\nUnknown = int")
    assert cell("{k: v.__name__ for k, v in f.__annotations__.items()}") == {
        "order": "Order", "late": "int", "return": "list",
    }  # fmt: skip


# -- assigning: running functions


@pytest.mark.parametrize("code", ASSIGNMENTS)
def test_an_assignment_reaches_the_running_function(running: Running, code: str) -> None:
    running.cell(code.replace("count", "total"))
    assert "total" not in running.cell.scratch
    value = running.cell("total")
    seen = running.seen()
    assert seen["total"] is value
    assert value != 1
    assert seen["seen"] == (value, "kept")


@pytest.mark.parametrize("code", [code for code in DECLARED if not code.startswith("count")])
def test_a_global_statement_speaks_of_the_module(
    running: Running, program: ModuleType, code: str
) -> None:
    running.cell(code)
    assert program.count != 10
    assert running.seen()["count"] == 99


def test_a_name_may_be_global_in_a_function_and_seen_at_the_top(
    running: Running, program: ModuleType
) -> None:
    running.cell("count = 3\ncount += 1\ndef f():\n    global count\n    count = 5\nf()")
    assert program.count == 5
    assert running.seen()["count"] == 4


def test_a_local_is_assigned_where_module_and_function_have_the_name(
    running: Running, program: ModuleType
) -> None:
    running.cell("count = 5")
    assert program.count == 10
    assert running.seen()["count"] == 5


def test_a_global_is_assigned_where_only_the_module_has_it(
    running: Running, program: ModuleType
) -> None:
    running.cell("size = 5\nfresh = 6\nitems += ['b']")
    assert (program.size, program.items) == (5, ["a", "b"])
    assert running.cell.scratch["fresh"] == 6


def test_a_local_that_is_changed_and_read_in_one_cell(running: Running) -> None:
    assert running.cell("total += 1\ntotal += total\n(total, [total for _ in 'a'])") == (4, [4])


def test_a_functions_cells_read_its_locals_later(running: Running) -> None:
    running.cell("def read(): return total, [total for _ in 'a'], (lambda: total)()")
    assert running.cell("read()") == (1, [1], 1)
    running.cell("total = 2")
    assert running.cell("read()") == (2, [2], 2)


def test_a_running_functions_local_cannot_be_deleted(running: Running) -> None:
    text = running.cell.error("del total")
    assert text.startswith("NameError: 'total' is a local variable of the program's running")
    assert running.seen()["total"] == 1


def test_an_exceptions_name_that_is_a_local_is_none_afterwards(running: Running) -> None:
    """The cell's own `del` of it, at the end of the clause, is nobody's mistake."""
    running.cell("try:\n    1 / 0\nexcept ZeroDivisionError as total:\n    pass")
    assert running.seen()["total"] is None


def test_a_module_global_is_deleted_through_a_running_function(
    running: Running, program: ModuleType
) -> None:
    running.cell("del size")
    assert not hasattr(program, "size")


def test_a_frame_on_a_threads_stack(program: ModuleType) -> None:
    """The agent's own binding: found anew for each cell, gone with the function's return."""
    exec(
        "def serve(begun, leave):\n    total = 1\n    begun.set()\n    leave.wait()\n"
        "    registry['left'] = total",
        program.__dict__,
    )
    begun, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=program.serve, args=(begun, leave))
    thread.start()
    try:
        assert begun.wait(10)
        assert thread.ident is not None
        frame = sys._current_frames()[thread.ident]
        while frame.f_code.co_name != "serve":
            assert frame.f_back is not None
            frame = frame.f_back
        binding = bind_to(frame, thread.ident)
        notebook = Notebook(binding)
        notebook("total += 41")
        assert not binding.is_gone()
        del frame
    finally:
        leave.set()
        thread.join()
    assert program.registry == {"left": 42}
    assert binding.is_gone()
    assert notebook.error("total").startswith("NameError")
    assert notebook("count") == 10
    del program.__dict__["serve"]


# -- functions, classes, comprehensions


def test_functions_see_the_program_their_own_names_and_each_other(cell: Notebook) -> None:
    cell("factor = 2\ndef double(): return factor * count")
    cell("def four(): return double() + double()")
    assert cell("four()") == 40
    cell("factor, count = 3, 100")
    assert cell("four()") == 600


def test_recursion_closures_and_nonlocal(cell: Notebook) -> None:
    cell("def down(n): return [n] + (down(n - 1) if n else [])")
    assert cell("down(2)") == [2, 1, 0]
    cell(
        "def counter(start=count):\n"
        "    n = start\n"
        "    def step():\n"
        "        nonlocal n\n"
        "        n += len(items)\n"
        "        return n\n"
        "    return step\n"
        "step = counter()"
    )
    assert cell("step(), step()") == (11, 12)


def test_defaults_decorators_and_annotations_are_evaluated_in_place(
    cell: Notebook, program: ModuleType
) -> None:
    cell("@register\ndef hook(n=count, *, m=items) -> Order:\n    return n, m, count")
    cell("count = 11")
    assert program.registry["hook"]() == (10, ["a"], 11)
    assert cell("(lambda n=count: n)()") == 11


def test_classes(cell: Notebook) -> None:
    cell(
        "class Big(Order):\n"
        "    size = count\n"
        "    own = [size for size in items]\n"
        "    def __init__(self):\n"
        "        super().__init__(number=count)\n"
        "    @classmethod\n"
        "    def make(cls): return cls()\n"
        "    @property\n"
        "    def double(self): return self.number + count + len(items)"
    )
    assert cell("Big.size, Big.own, Big.make().number, Big().double") == (10, ["a"], 10, 21)


def test_a_class_body_hides_a_program_name_only_in_itself(
    cell: Notebook, program: ModuleType
) -> None:
    assert cell("class Own:\n    count = count + 1\n(Own.count, count)") == (11, 10)
    assert program.count == 10


def test_a_function_may_have_a_local_of_a_program_names_name(
    cell: Notebook, program: ModuleType
) -> None:
    cell("def f(items):\n    count = len(items)\n    return count")
    assert cell("f('abc'), count") == (3, 10)
    assert program.count == 10


def test_dataclasses(cell: Notebook) -> None:
    cell(
        "from dataclasses import dataclass, field, KW_ONLY\n"
        "from typing import ClassVar\n"
        "@dataclass(order=True, slots=True)\n"
        "class Line:\n"
        "    order: 'Order | None'\n"
        "    kind: ClassVar['int'] = count\n"
        "    _: KW_ONLY\n"
        "    amount: int = count\n"
        "    parts: 'list[Order]' = field(default_factory=list)"
    )
    assert cell("Line(None), Line.kind, Line(None, amount=1) < Line(None, amount=2)")[1:] == (
        10, True,
    )  # fmt: skip
    assert cell("repr(Line(None))") == "Line(order=None, amount=10, parts=[])"


def test_type_parameters(cell: Notebook) -> None:
    cell(
        "def first[T: Order = Order](values: list[T]) -> T: return values[count - 10]\n"
        "class Box[T](Order):\n"
        "    kept: T | None = None\n"
        "    def get[U](self, other: U) -> T | U: return other if count else self.kept\n"
        "type Pair[T] = tuple[T, Order, 'Line']"
    )
    assert cell("first(['x']), Box[int]().get(5)") == ("x", 5)
    assert cell("Pair.__value__.__args__[1] is Order") is True
    assert cell("first.__type_params__[0].__bound__ is Order") is True


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("[count + n for n in range(2)]", [10, 11]),
        ("{n: count for n in items}", {"a": 10}),
        ("{count for _ in items}", {10}),
        ("sum(count for _ in range(3))", 30),
        ("[[count * n for n in range(m)] for m in range(3)]", [[], [0], [0, 10]]),
        ("[f() for f in [lambda: count, lambda: len(items)]]", [10, 1]),
        ("[x for x in [1] if count if helper()]", [1]),
        ("f'{count} {items!r} {count:>{count}}'", "10 ['a']         10"),
        ("t'{count}'.interpolations[0].value", 10),
        ("(lambda: (lambda: count)())()", 10),
        ("[count for count in range(3)], count", ([0, 1, 2], 10)),
        ("[(n := count) for _ in items], n", ([10], 10)),
        ("next(iter([count])) if count > 5 else helper", 10),
    ],
)
def test_expressions(cell: Notebook, code: str, value: object) -> None:
    assert cell(code) == value


def test_generators_and_coroutines_read_when_they_run(cell: Notebook) -> None:
    cell("def numbers():\n    while True:\n        yield count\nit = numbers()\nfirst = next(it)")
    cell("count = 11")
    assert cell("first, next(it)") == (10, 11)
    cell("async def ask(): return count, len(items)")
    assert cell("await ask()") == (11, 1)


# -- functions that the program calls later


def test_the_program_calls_a_function_of_a_cell(cell: Notebook, program: ModuleType) -> None:
    cell("calls = 0\n@register\ndef hook():\n    global calls\n    calls += 1\n    return count")
    program.count = 1  # type: ignore[attr-defined]
    assert [program.registry["hook"]() for _ in range(2)] == [1, 1]
    assert cell("calls") == 2


GLOBAL_WRITES = [
    "count = 5",
    "count += -5",
    "count, other = 5, 6",
    "(count := 5)",
    "[count := n for n in range(6)]",
    "list(count := n for n in range(6))",
    "for count in range(6): pass",
    "with opened(5) as count: pass",
    "match 5:\n        case count: pass",
    "match [1, 5]:\n        case [_, count] if count: pass",
    "from signal import SIGTRAP as count",
]
"""What reaches the program whenever it runs."""


@pytest.mark.parametrize("statement", GLOBAL_WRITES)
def test_a_global_statement_reaches_the_program_after_the_cell(
    cell: Notebook, program: ModuleType, statement: str
) -> None:
    cell(f"@register\ndef hook():\n    global count\n    {statement}\n    return count")
    assert program.count == 10
    assert program.registry["hook"]() == program.count == program.helper() == 5
    assert "count" not in cell.scratch
    program.count = 7  # type: ignore[attr-defined]
    assert cell("count") == 7


@pytest.mark.parametrize(
    "definition",
    ["def count(): pass", "class count: pass", "import json as count", "type count = int"],
)
def test_a_global_definition_reaches_the_program_after_the_cell(
    cell: Notebook, program: ModuleType, definition: str
) -> None:
    cell(f"@register\ndef hook():\n    global count\n    {definition}\n    return count")
    assert program.count == 10
    assert program.registry["hook"]() is program.count is cell("count")
    assert "count" not in cell.scratch


def test_a_replaced_function_of_the_program_is_called_by_the_program(
    cell: Notebook, program: ModuleType
) -> None:
    cell("before = helper\ndef helper(): return before() + count + len(items)")
    assert program.helper() == 21
    cell("helper = before")
    assert program.helper() == 10


def test_a_function_is_called_by_another_thread_while_cells_run(
    cell: Notebook, program: ModuleType
) -> None:
    """Between two lines of a cell's preparation a thread may look up any name."""
    cell("fresh = 1\n@register\ndef slow(): return count, len(items), fresh, abs(-1)")
    cell("def plain(n): return len(range(n)), abs(-1), fresh")
    assert cell.is_plain
    cell("register(plain)")
    looked: set[int] = set()

    def at_each_line(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != namespace_module.__file__:
            return None
        if event == "line" and frame.f_code.co_name in ("_prepare", "refresh", "settle"):
            sys.settrace(None)
            looked.add(frame.f_lineno)
            assert program.registry["slow"]() == (10, 1, 1, 1)
            assert program.registry["plain"](2) == (2, 1, 1)
            sys.settrace(at_each_line)
        return at_each_line

    before = sys.gettrace()
    sys.settrace(at_each_line)
    try:
        for code in ("1", "count", "fresh = 2\nfresh = 1"):
            cell.namespace.prepare(Names(compile(code, "<x>", "exec")))
    finally:
        sys.settrace(before)
    assert len(looked) > 10


# -- eval, exec, globals, locals, vars, dir


def test_eval_and_exec_see_what_the_cell_sees(cell: Notebook, running: Running) -> None:
    assert cell("eval('count, len(items)')") == (10, 1)
    assert cell("def f(): return eval('count')\nf()") == 10
    assert running.cell("eval('total, count, size')") == (1, 99, 3)
    assert running.cell("n = []\nexec('n.append(total)')\nn") == [1]


def test_exec_in_a_function_assigns_nothing_outside(cell: Notebook, program: ModuleType) -> None:
    cell("def f():\n    exec('count = 5; fresh = 6')\nf()")
    assert program.count == 10
    assert "fresh" not in cell.scratch
    assert "count" not in cell.scratch


def test_exec_with_a_namespace_of_its_own(cell: Notebook, program: ModuleType) -> None:
    assert cell("own = {}\nexec('count = len(\"abc\")', own)\nown['count']") == 3
    assert program.count == 10


def test_globals_are_the_cells_own_names(cell: Notebook) -> None:
    cell("fresh = 1")
    assert cell("globals()['fresh']") == 1
    cell("globals()['other'] = 2")
    assert cell("other") == 2
    assert cell("globals() is (lambda: globals())()") is True


def test_locals_and_vars_show_and_set(cell: Notebook, program: ModuleType) -> None:
    cell("fresh = 1")
    assert cell("locals()['fresh'], vars()['fresh']") == (1, 1)
    cell("locals()['other'] = 2")
    assert cell("other") == 2
    assert cell("def f(a):\n    b = a\n    return locals()\nf(1)") == {"a": 1, "b": 1}
    assert cell("vars(Order(4))") == {"number": 4}


def test_dir_lists_the_cells_own_names(cell: Notebook) -> None:
    cell("fresh = 1")
    names = cell("dir()")
    assert "fresh" in names
    assert names == sorted(names)
    assert "append" in cell("dir(items)")


# -- plain speed


PLAIN = [
    "1 + 1",
    "fresh = 1\nfresh + 1",
    "total = 0\nfor i in range(10):\n    total += i",
    "import math\nmath.pi",
    "def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nf(5)",
    "class New:\n    def m(self): return len(self.__class__.__name__)\nNew().m()",
    "[x * x for x in range(3)]",
    "def f():\n    count = 1\n    return count",
    "known",
    "known = 2",
    "print(end='')",
    "def outer():\n    def inner(): return known\n    return inner\nouter()()",
    "'words'\nfresh = 1",
    "try:\n    int('x')\nexcept ValueError as error:\n    kept = str(error)",
]
CHAINED = [
    "count",
    "def f(): return count",
    "lambda: (lambda: count)",
    "class New:\n    n = count",
    "[count for _ in 'a']",
    "f'{count}'",
    "def f(x: Order): pass",
    "not_yet_there = lambda: comes_later",
    "count = 1",
    "import json as count",
    "eval('1')",
    "exec('known = 3')",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "from math import *",
    "def f():\n    global fresh\n    fresh = 1",
    "hex(1)",
    "__doc__",
]


@pytest.mark.parametrize("code", PLAIN)
def test_a_cell_of_its_own_names_runs_at_plain_speed(cell: Notebook, code: str) -> None:
    cell("known = 1")
    cell(code)
    assert cell.is_plain
    scope = cell.namespace.prepare(Names(compile(code, "<x>", "exec")))
    assert scope[0] is scope[1] is cell.scratch


@pytest.mark.parametrize("code", CHAINED)
def test_a_cell_that_may_need_the_program_can_reach_it(cell: Notebook, code: str) -> None:
    cell("known = 1")
    cell(code)
    assert type(cell.scratch["__builtins__"]) is ProgramNames


def test_a_plain_function_needs_the_program_in_no_later_cell(cell: Notebook) -> None:
    cell("def size_of(value): return len(value)")
    assert cell.is_plain
    cell("count")
    assert cell("size_of(items), size_of(str(count))") == (1, 2)


def test_a_function_that_waits_for_a_name_gets_it(cell: Notebook, program: ModuleType) -> None:
    cell("@register\ndef hook(): return late")
    assert cell.error("hook()") == "NameError: name 'late' is not defined"
    program.__dict__["late"] = "from the program"
    assert program.registry["hook"]() == "from the program"
    del program.__dict__["late"]
    cell("late = 'from a cell'")
    assert program.registry["hook"]() == "from a cell"


MAKERS = [
    "def make(): return (lambda: count)()",
    "def make(): return sum(count for _ in items)",
    "def make():\n    class New:\n        n = count\n    return New.n",
    "def make():\n    class New:\n        def n(self): return count\n    return New().n()",
    "def make():\n    def inner(): return (lambda: count)()\n    return inner()",
    "def make(): return eval('count')",
    "def make(): return eval('(lambda: count)')()",
    "exec('def make(): return (lambda: count)()')",
    "class New:\n    def m(self): return (lambda: count)()\nmake = New().m",
    "make = lambda: [inner() for inner in [lambda: count]][0]",
    "def make() -> int:\n    def inner(x: Order): return x\n    "
    "return count if inner.__annotations__ else 0",
]


@pytest.mark.parametrize("code", MAKERS)
def test_a_function_that_makes_functions_finds_the_program_in_a_plain_cell(
    cell: Notebook, program: ModuleType, code: str
) -> None:
    """A function takes its builtins from its globals when it is made: see `prepare`."""
    cell(code + "\nregister(make)")
    assert cell("[1 + 1]") == [2]
    assert cell("make()") == 10
    assert next(iter(program.registry.values()))() == 10


def test_functions_that_make_none_leave_later_cells_plain(cell: Notebook) -> None:
    cell("def f(x: Order = None): return [count for _ in items]")
    assert not cell.is_plain
    assert cell("f()") == [10]
    assert cell.is_plain
    cell("def g(): return (lambda: len('own'))()")
    assert cell("g()") == 3
    assert cell.is_plain


def test_a_part_of_a_cell_leaves_the_rest_as_it_is(cell: Notebook) -> None:
    """What `%time` runs may be plain, where the cell around it is not."""
    cell.scratch["inside"] = cell.cells.run_inside
    assert cell("inside('1 + 1')\ndef f(): return count\nf()") == 10
    assert cell("inside('count = 5')\ncount") == 5


# -- the bound frame, sought and held


class Counting(FrameBinding):
    """Counts how often the frame is sought; another one is found once that is said."""

    def __init__(self, frame: FrameType) -> None:
        super().__init__(frame)
        self.sought = 0
        self.gone = False

    def names(self) -> tuple[Any, dict[str, Any]]:
        self.sought += 1
        local, module = super().names()
        return (None if self.gone else local), module


@pytest.fixture
def counting(running: Running) -> Counting:
    binding = Counting(running.frame)
    running.cell.namespace.bind(binding)  # type: ignore[arg-type]
    return binding


def test_a_cell_seeks_its_frame_once(
    running: Running, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_module, "monotonic", lambda: 5.0)
    running.cell("1")
    seldom = counting.sought
    running.cell("[total for _ in range(1000)]\ntotal = 2\n[size for _ in range(1000)]")
    assert counting.sought <= 2 * seldom < 10


def test_a_long_cell_sees_it_when_the_function_has_returned(
    running: Running, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [5.0]
    monkeypatch.setattr(namespace_module, "monotonic", lambda: now[0])

    def return_it() -> None:
        counting.gone = True
        now[0] += namespace_module.SEEK_EVERY * 1.1

    running.cell.scratch["return_it"] = return_it
    assert running.cell("a = count\nreturn_it()\na, count") == (99, 10)


def test_between_cells_nothing_of_the_program_is_held(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the cell did: what the function has made goes when it returns."""
    for code in (
        "total",
        "total = 2",
        "exec('total')",
        "total = 1 / 0",
        "total +",
        "x = lambda: total",
    ):
        made = Running(program)
        token = type("Token", (), {})()
        made.frame.f_locals["pair"] = token
        gone = weakref.ref(token)
        made.cell.run(code)
        del token
        made.seen()
        del made.frame, made._generator
        made.cell.namespace.bind(Binding("a_program"))
        gc.collect()
        assert gone() is None, code
        assert made.cell("size") == 3


# -- bound anew, let go


def test_bound_anew_the_cells_keep_their_own_names(
    cell: Notebook, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModuleType("another_module")
    other.__dict__["count"] = "another count"
    monkeypatch.setitem(sys.modules, "another_module", other)
    cell("fresh = 1\ndef read(): return count, fresh")
    cell.namespace.bind(Binding("another_module"))
    assert cell("count, fresh, read(), __name__") == (
        "another count", 1, ("another count", 1), "another_module",
    )  # fmt: skip
    cell("count = 2")
    assert (program.count, other.__dict__["count"]) == (10, 2)


def test_a_module_that_is_gone_has_no_names(
    cell: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "a_program")
    assert cell("fresh = 1\nlen([fresh])") == 1
    assert cell.error("count").startswith("NameError")


def test_the_listed_names_and_their_values(running: Running) -> None:
    running.cell("fresh = 1")
    names = list(running.cell.namespace.names())
    assert "__builtins__" not in names[: names.index("total")]
    assert names.index("fresh") < names.index("total") < names.index("size")
    lookup = running.cell.namespace.lookup
    assert [lookup(name) for name in ("fresh", "total", "count", "size")] == [1, 1, 99, 3]
    assert lookup("len") is len
    with pytest.raises(KeyError):
        lookup("nowhere")


def test_closing_lets_go_of_everything(cell: Notebook) -> None:
    scratch = cell.scratch
    cell("fresh = Order()")
    values = [weakref.ref(scratch["fresh"])]
    cell.namespace.release()
    assert "fresh" not in scratch
    assert values[0]() is None


def test_a_function_left_in_the_program_goes_on_working(
    cell: Notebook, program: ModuleType
) -> None:
    cell("seen, idle = [], []\ndef note(x): seen.append(x); return len(seen) + count")
    cell("register(note)")
    scratch = cell.scratch
    cell.namespace.release()
    assert "idle" not in scratch
    (note,) = program.registry.values()
    assert note(1) == 11
    program.count = 20
    assert note(2) == 22


# -- against plain Python

NAMES = ["a", "b", "c", "x", "y"]
"""a, b and c are the program's; b and c also the running function's; x and y nobody's."""

name, other = st.sampled_from(NAMES), st.sampled_from(NAMES)
STATEMENTS = [
    "{n} = {v}",
    "{n} = {m}",
    "{n} += 1",
    "{n}, {m} = {m}, {n}",
    "{n}: int = {m}",
    "({n} := {m} + {v})",
    "[{n} := i + {m} for i in range(3)]",
    "x = [{m} for {n} in range(3)][-1]",
    "for {n} in range({v}): {m} = {n}",
    "import json as {n}; {n} = len({n}.__name__)",
    "match [{m}, {v}]:\n    case [{n}, _]: pass",
    "with closing_nothing({v}) as {n}: pass",
    "class Body:\n    {n} = {m}\n    {m} = {n}",
    "y = (lambda: {m})() + {v}",
    "def f({n}=1): return {n} + {m}\n{m} = f()",
    "def f():\n    {n} = {v}\n    return [{n} for _ in range(1)][0]\n{m} = f()",
    "exec('{n} = {v}')",
    "{m} = eval('{n}')",
    "try: {n}\nexcept NameError: {n} = {v}",
    "if {v} % 2: {n} = {m}\nelse: {m} = {n}",
]
GLOBALS = [
    "def f():\n    global {n}\n    {n} = {v}\nf()",
    "def f():\n    global {n}, {m}\n    {n} = {m} + 1\n    [i for i in range({v})]\nf()",
    "def f():\n    global {n}\n    for {n} in range({v} + 1): pass\nf()",
    "def f():\n    global {n}\n    [{n} for {n} in range({v})]\nf()",
]


def cells_of(templates: list[str]) -> st.SearchStrategy[list[str]]:
    def fill(template: str, n: str, m: str, v: int) -> str:
        return template.format(n=n, m=m, v=v)

    statement = st.builds(fill, st.sampled_from(templates), name, other, st.integers(0, 3))
    return st.lists(st.lists(statement, min_size=1, max_size=3).map("\n".join), max_size=5)


class _Nothing:
    def __init__(self, value: int) -> None:
        self.value = value

    def __enter__(self) -> int:
        return self.value

    def __exit__(self, *_: object) -> None: ...


def outcome_in(namespace: dict[str, Any], code: str) -> str:
    """Run code as a module's. Returns the class of its error, or nothing."""
    try:
        exec(compile(code, "<reference>", "exec", dont_inherit=True), namespace)
    except Exception as error:
        return type(error).__name__
    return ""


def compare(
    notebook: Notebook,
    cells: list[str],
    reference: dict[str, Any],
    homes: Callable[[], dict[str, Any]],
) -> None:
    """Run the same in cells and in one plain namespace; `homes`: the program's names, merged."""
    program_names = homes().keys()
    for code in cells:
        done = notebook.run(code)
        ename = done["error"]["ename"] if done["status"] == "error" else ""
        assert ename == outcome_in(reference, code), code
        now = homes()
        assert now.keys() == program_names, code
        for each in NAMES:
            expected = reference.get(each, "nowhere")
            try:
                seen = notebook.namespace.lookup(each)
            except KeyError:
                seen = "nowhere"
            assert seen == expected, (code, each)
            if each in program_names:
                assert now[each] == expected, (code, each)
                assert each not in notebook.scratch, (code, each)


@settings(deadline=None, max_examples=60)
@given(cells_of(STATEMENTS + GLOBALS))
def test_cells_do_to_a_module_what_its_own_code_would(cells: list[str]) -> None:
    module = ModuleType("a_module")
    module.__dict__.update(a=1, b=2, c=3, closing_nothing=_Nothing)
    binding = Binding("a_module")
    binding.names = lambda: (None, module.__dict__)  # type: ignore[method-assign]
    before = set(module.__dict__)
    reference = dict(module.__dict__)

    def homes() -> dict[str, Any]:
        assert set(module.__dict__) == before
        return {each: module.__dict__[each] for each in "abc"}

    compare(Notebook(binding), cells, reference, homes)


@settings(deadline=None, max_examples=60)
@given(cells_of(STATEMENTS))
def test_cells_do_to_a_function_what_its_own_code_would(cells: list[str]) -> None:
    module: dict[str, Any] = {"__name__": "a_module", "a": 1, "b": "hidden", "c": "hidden"}
    module["closing_nothing"] = _Nothing
    exec("def run():\n    b, c = 2, 3\n    use = lambda: c\n    yield\n    use", module)
    generator = module["run"]()
    next(generator)
    frame = generator.gi_frame
    reference = module | dict(frame.f_locals)
    before = set(module)

    def homes() -> dict[str, Any]:
        assert set(module) == before
        assert (module["b"], module["c"]) == ("hidden", "hidden")
        assert set(frame.f_locals) == {"b", "c", "use"}
        return {"a": module["a"], "b": frame.f_locals["b"], "c": frame.f_locals["c"]}

    compare(Notebook(FrameBinding(frame)), cells, reference, homes)
    generator.close()
