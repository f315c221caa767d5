"""`%patch`: functions of the notebook in the place of a running program's, and back."""

from __future__ import annotations

import re

import pytest
from kernels import Kernel
from snapshots import Program
from targets import PROGRAMS, eventually, python314, python315

pytestmark = [pytest.mark.attach, pytest.mark.client]

STORE = PROGRAMS / "store" / "app.py"
SEEN = (1.0, 1.0, 1.0, 1.0, 1.0)
"""What the store sees of its prices: by module, `from` import, another name, table, variable."""


@pytest.fixture(params=["3.14", "3.15"])
def store(request: pytest.FixtureRequest) -> Program:
    return Program(STORE, python315() if request.param == "3.15" else python314())


def sees(kernel: Kernel, *values: float) -> None:
    """Wait until the store's main thread has seen this."""
    eventually(lambda: kernel.value("seen") == values, what=f"the program sees {values}")


def names(kernel: Kernel) -> object:
    """What the names of the store lead to."""
    return kernel.value(
        "(lambda p: (p.fancy(1), p.Order(3).pay(), p.Order(3).settle(), p.Order.empty(),"
        " p.Returned.kind(), p.Returned(1).big, p.Returned(1).label))(__import__('pricing'))"
    )


ORIGINAL = (1, 3, 3, "empty", "Returned", False, "order")


def test_everywhere_by_name_and_back(store: Program) -> None:
    with store as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            sees(kernel, *SEEN)
            cell = kernel.run(
                "%%patch pricing.price\n"
                "def price(order, discount=0):\n"
                "    global calls\n"
                "    calls += 1\n"
                "    return order.total * rate * 10"
            )
            assert "is patched under 3 names: pricing.price, views.cost, views.price" in cell.stdout
            assert "1 variable of running functions, too" in cell.stdout
            assert "a dict under '/price'" in cell.stdout
            assert "a closure" in cell.stdout
            sees(kernel, 10.0, 10.0, 10.0, 1.0, 10.0)
            assert kernel.value("__import__('pricing').calls > 0")
            assert kernel.run("%patch").stdout == "pricing.price  3 names\n"
            assert "the program's own again" in kernel.run("%unpatch").stdout
            sees(kernel, *SEEN)
            assert kernel.run("%patch").stdout == "Nothing is patched.\n"
            kernel.run("__import__('pricing').calls = 0")
            kernel.run("%detach")
        program.after_leaving()
        program.assert_unharmed_since(before)
        assert program.lines() == ["ready"]


@pytest.mark.parametrize("how", ["detach", "killed"])
def test_leaving_puts_it_back(store: Program, how: str) -> None:
    with store as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("factor = 5\ndef times(number): return number * factor")
            kernel.run(
                "%%patch pricing.price\ndef price(order, discount=0): return times(order.total)"
            )
            kernel.run("%%patch pricing.fetch\nasync def fetch(number): await asyncio.sleep(0.001)")
            kernel.run("%%patch pricing.Order.big\ndef big(self): return True")
            sees(kernel, 5, 5, 5, 1.0, 5)
            if how == "killed":
                kernel.kill_for_good()
            else:
                kernel.run("%detach")
        program.after_leaving()
        program.assert_unharmed_since(before)
        with Kernel("--pid", program.pid) as kernel:
            sees(kernel, *SEEN)
            assert names(kernel) == ORIGINAL
        assert program.lines() == ["ready"]


PATCHES = {
    "fancy": "def fancy(number): return -number",
    "Order.pay": "def pay(self, by='card'): return 7",
    "Order.empty": "def empty(): return 'full'",
    "Returned.kind": "def kind(cls): return 'of ' + cls.__name__",
    "Order.big": "def big(self): return True",
    "Order.label": "def label(self): return 'other'",
}


def test_what_classes_have_keeps_its_kind(store: Program) -> None:
    with store as program, Kernel("--pid", program.pid) as kernel:
        kinds = "[type(vars(__import__('pricing').Order)[n]).__name__ for n in %r]"
        kinds %= ["pay", "empty", "kind", "big", "label"]
        before = kernel.value(kinds)
        told = {
            name: kernel.run(f"%%patch pricing.{name}\n{code}").stdout
            for name, code in PATCHES.items()
        }
        assert "Order.pay, pricing.Order.settle" in told["Order.pay"]
        assert "is inherited: it is Order.kind" in told["Returned.kind"]
        assert "its decorators are replaced with it" in told["fancy"]
        assert names(kernel) == (-1, 7, 7, "full", "of Returned", True, "other")
        assert kernel.value(kinds) == before
        kernel.run("%unpatch pricing.Order.pay")
        assert names(kernel) == (-1, 3, 3, "full", "of Returned", True, "other")
        kernel.run("%unpatch all")
        assert names(kernel) == ORIGINAL


def test_a_coroutine_function(store: Program) -> None:
    with store as program, Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "%%patch pricing.fetch\nasync def fetch(number):\n"
            "    await asyncio.sleep(0.001)\n    return -number"
        )
        assert kernel.run("import pricing; await pricing.fetch(4)").result == "-4"
        kernel.run("%unpatch")
        assert kernel.run("await pricing.fetch(4)").result == "8"
        program.expected_errors = True  # of a coroutine that nobody awaits, as the user was told
        wrong = kernel.run("%%patch pricing.price\nasync def price(order, discount=0): return 1")
        assert "expect a plain function, and this is a coroutine function" in wrong.stdout
        kernel.run("%unpatch")


def test_a_function_of_the_notebook(kernel: Kernel, program: Program) -> None:
    kernel.run("def other(extra=1): return 'other'")
    cell = kernel.run("%patch total other")
    assert "__main__.total" in cell.stdout
    assert "it takes (extra=1), the original ()" in cell.stdout
    assert kernel.value("total()") == "other"
    assert kernel.value("(total.__name__, total.__module__)") == ("total", "__main__")
    kernel.run("%unpatch total")
    assert kernel.value("total()") == 42


def test_a_patch_may_be_patched_again(store: Program) -> None:
    """As one does who runs the cell once more, with a change."""
    with store as program, Kernel("--pid", program.pid) as kernel:
        for number in (2, 3, 4):
            code = f"def price(order, discount=0): return {number}"
            kernel.run(f"%%patch pricing.price\n{code}")
            sees(kernel, number, number, number, 1.0, number)
        assert kernel.run("%patch").stdout == "pricing.price  3 names\n"
        kernel.run("%unpatch")
        sees(kernel, *SEEN)


@pytest.mark.parametrize("first", ["one", "two"])
def test_two_notebooks_patch_the_same(store: Program, first: str) -> None:
    """Whoever leaves first, what stands is the other's; and in the end, the program's."""
    with store as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as one, Kernel("--pid", program.pid) as two:
            one.run("%%patch pricing.price\ndef price(order, discount=0): return 11")
            two.run("%%patch pricing.price\ndef price(order, discount=0): return 22")
            assert "(by another kernel)" in one.run("%patch").stdout
            sees(one, 22, 22, 22, 1.0, 22)
            leaves, stays, value = (one, two, 22) if first == "one" else (two, one, 11)
            leaves.run("%detach")
            sees(stays, value, value, value, 1.0, value)
            assert stays.run("%patch").stdout.splitlines() == ["pricing.price  3 names"]
            stays.run("%unpatch")
            sees(stays, *SEEN)
        program.after_leaving()
        program.assert_unharmed_since(before)


def test_what_the_program_has_bound_anew_is_left(store: Program) -> None:
    with store as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import pricing, views")
        kernel.run("%%patch pricing.price\ndef price(order, discount=0): return 5")
        kernel.run("pricing.price = lambda order, discount=0: 3")
        told = kernel.run("%unpatch").stdout
        assert "Bound anew by the program meanwhile, and left so: pricing.price" in told
        sees(kernel, 3, 1.0, 1.0, 1.0, 1.0)


def test_names_that_were_bound_meanwhile_are_put_back_too(store: Program) -> None:
    with store as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import pricing, views")
        kernel.run("%%patch pricing.price\ndef price(order, discount=0): return 5")
        kernel.run("views.late = views.price")
        kernel.run("%unpatch")
        assert kernel.value("views.late is pricing.price is views.price")


def test_calls_under_way_end_in_what_they_began_in(program: Program) -> None:
    """In the original, and, after detaching, in what had been put in its place."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run(
            "import threading, sys, types\n"
            "module = sys.modules['made'] = types.ModuleType('made')\n"
            "exec('''def wait(gate, told): gate.wait(10); told.append(\"old\")''', vars(module))\n"
            "gate, told = threading.Event(), []\n"
            "def begin(): threading.Thread(target=lambda: module.wait(gate, told)).start()\n"
            "begin()"
        )
        kernel.run("word_for = 'new'\ndef told_of(): return word_for")
        kernel.run(
            "%%patch made.wait\n"
            "def wait(gate, told):\n    gate.wait(10)\n    told.append(told_of())\n"
        )
        kernel.run("begin(); module.gate, module.told = gate, told")
        kernel.run("%detach")
        kernel.run(f"%attach {program.pid}")
        kernel.run("import made\nmade.gate.set()")
        eventually(lambda: kernel.value("sorted(made.told)") == ["new", "old"])
        assert kernel.value("made.wait.__code__.co_filename") == "<string>"
        kernel.run("import sys; del sys.modules['made']")
    assert program.errors() == []


def test_it_runs_at_plain_speed(kernel: Kernel) -> None:
    """With the globals of what it replaces, and not through a look-up of ours."""
    kernel.run("mine = 1")
    kernel.run("%%patch total\ndef total(): return len(orders)")
    assert kernel.value("total.__globals__ is vars(__import__('__main__'))")
    assert kernel.value("total()") == 2
    kernel.run("%%patch total\ndef total(): return len(orders) + mine")
    assert kernel.value("total()") == 3
    kernel.run("mine = 5")
    assert kernel.value("total()") == 7
    cell = kernel.run("%%patch total\ndef total():\n    global word\n    word = mine")
    assert "also reads the notebook's mine" in cell.traceback
    kernel.run("%%patch total\ndef total(mine=mine):\n    global word\n    word = str(mine)")
    kernel.run("total()")
    assert kernel.value("word") == "5"


def test_helpers_stay_in_the_notebook(kernel: Kernel, program: Program) -> None:
    before = program.from_inside()["names of __main__"]
    kernel.run(
        "%%patch total\nimport math\ndef helper(): return math.floor(2.5)\n"
        "def total(): return helper()"
    )
    assert kernel.value("total()") == 2
    assert program.from_inside()["names of __main__"] == before
    assert kernel.value("helper()") == 2


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("%%patch nothing.such\ndef such(): pass", "There is no 'nothing.such'"),
        ("%%patch Order\ndef Order(): pass", "what it has made would stay of the old one"),
        ("%%patch word\ndef word(): pass", "is no function"),
        ("%%patch print\ndef print(): pass", "on which the whole process stands"),
        ("%%patch str.upper\ndef upper(self): pass", "which can't be changed"),
        ("%%patch total\nx = 1", "defines no 'total'"),
        ("%%patch total", "stands above the definition"),
        ("%%patch\ndef total(): pass", "stands above the definition"),
        ("%patch total", "is told which function"),
        ("%patch total nothing_such", "no name 'nothing_such'"),
        ("%patch total word", "can't be called"),
        ("%patch total total", "is that very function already"),
        ("%%patch total\nraise ValueError('mine')", "ValueError: mine"),
        ("%%patch total\ndef total(:", "SyntaxError"),
        ("%unpatch", "Patched by this notebook: none"),
        ("%unpatch total", "Patched by this notebook: none"),
    ],
)
def test_misuse_is_explained_and_changes_nothing(program: Program, code: str, text: str) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid) as kernel:
        assert text in kernel.run(code).traceback
        assert kernel.value("total()") == 42
        assert kernel.run("%patch").stdout == "Nothing is patched.\n"
        kernel.run("%detach")
    program.assert_unharmed_since(before)


def test_an_error_in_a_patch_shows_its_lines(kernel: Kernel) -> None:
    kernel.run("%%patch total\ndef total():\n    return 1 / 0")
    traceback = kernel.run("total()").traceback
    assert "ZeroDivisionError" in traceback
    assert re.search(r"%%patch total.*line 3", traceback)
    assert "return 1 / 0" in traceback


def test_builtin_functions_of_modules_may_be_patched(kernel: Kernel, program: Program) -> None:
    kernel.run("import time; real = time.sleep; count = []")
    kernel.run("%%patch time.sleep\ndef sleep(seconds):\n    count.append(1)\n    real(seconds)")
    eventually(lambda: kernel.value("len(count) > 5"))
    kernel.run("%unpatch")
    assert kernel.value("time.sleep is real")
    assert program.lines() == ["ready"]


def test_an_attribute_of_one_object_is_refused(kernel: Kernel) -> None:
    kernel.run("orders[0].own = lambda: 1; first = orders[0]")
    assert (
        "an attribute of one object" in kernel.run("%%patch first.own\ndef own(): pass").traceback
    )


def test_a_forked_child_has_the_programs_own(store: Program) -> None:
    """And is told of no calls: there is no agent in it that could ever end that."""
    with store as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import os, sys, pricing, views")
        kernel.run("%%patch pricing.price\ndef price(order, discount=0): return 5")
        kernel.run("%trace pricing.fetch -n all --beside")
        kernel.run(
            "def looks():\n"
            "    own = pricing.price(pricing.Order(1)) == views.cost(pricing.Order(1)) == 1.0\n"
            "    return own and sys.monitoring.get_tool(4) is None\n"
            "def child():\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        os._exit(0 if looks() else 1)\n"
            "    return os.waitpid(pid, 0)[1]"
        )
        assert kernel.value("looks()") is False
        assert kernel.value("child()") == 0
        sees(kernel, 5, 5, 5, 1.0, 5)
