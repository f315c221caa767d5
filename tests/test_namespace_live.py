"""What cells see of a running program, and what becomes of what they assign."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import Kernel
from snapshots import Program
from targets import eventually

from live_kernel.handle import Handle, attach

pytestmark = pytest.mark.attach


class Session:
    """A handle, and what its cells print and return."""

    def __init__(self, program: Program, handle: Handle) -> None:
        self.program, self.handle = program, handle

    def run(self, code: str) -> str:
        """What a cell prints and, after it, its value."""
        told: list[str] = []

        def show(event: dict[str, object]) -> None:
            if event["event"] == "stream":
                told.append(str(event["text"]))
            elif event["event"] == "result":
                data = event["data"]
                assert isinstance(data, dict)
                told.append(data["text/plain"])

        outcome = self.handle.run(code, show)
        assert outcome["status"] == "ok", outcome["error"]["traceback"]
        return "".join(told)

    def fails(self, code: str) -> tuple[str, str]:
        """The name and the text of what a cell raises."""
        outcome = self.handle.run(code)
        assert outcome["status"] == "error"
        return outcome["error"]["ename"], outcome["error"]["evalue"]


@pytest.fixture
def module() -> Iterator[Session]:
    """Bound to a module: the program idles at its top level."""
    with Program("idle") as program, attach(program.pid) as handle:
        yield Session(program, handle)


@pytest.fixture
def frame() -> Iterator[Session]:
    """Bound to a function that runs: `work(word)` with `count`, `settings` and `seen`."""
    with Program("frame") as program, attach(program.pid) as handle:
        yield Session(program, handle)


# -- a module


def test_module_is_seen(module: Session) -> None:
    assert module.run("word") == "'start'"
    assert module.run("total()") == "42"
    assert module.run("[order.total for order in orders]") == "[10, 32]"
    assert module.run("(lambda: word)()") == "'start'"


def test_assignment_reaches_the_program(module: Session) -> None:
    module.run("word = 'changed'")
    module.program.wait_for("word is changed")
    assert module.run("word") == "'changed'"


@pytest.mark.parametrize(
    "code",
    [
        "word = 'new'",
        "word, other = 'new', 1",
        "(word := 'new')",
        "for word in ['a', 'new']: pass",
        "word += ''; word = 'new'",
        "with __import__('contextlib').nullcontext('new') as word: pass",
        "import types as word; word = 'new'",
        "def change():\n    global word\n    word = 'new'\nchange()",
        "[word := 'new' for _ in 'a']",
        "exec('word = \"new\"')",
        "import sys; sys.modules['__main__'].word = 'new'",
        "if True:\n    word: str = 'new'",
        "match 'new':\n    case word: pass",
        "try: word = 'new'\nfinally: pass",
        "class C:\n    global word\n    word = 'new'",
    ],
)
def test_every_way_to_assign(module: Session, code: str) -> None:
    module.run(code)
    module.program.wait_for("word is new")


def test_function_changes_the_program_whenever_it_is_called(module: Session) -> None:
    module.run("def change(to):\n    global word\n    word = to")
    module.run("change('first')")
    module.program.wait_for("word is first")
    module.run("for to in ['second']: change(to)")
    module.program.wait_for("word is second")


def test_new_names_stay_with_the_session(module: Session) -> None:
    before = module.program.from_inside()["names of __main__"]
    module.run("mine = 1\ndef f(): return mine\nclass C: pass\nimport json as j")
    module.run("for n in range(3): pass\nglobals()['by_globals'] = 2")
    module.run("def g():\n    global made\n    made = 3\ng()")
    assert module.run("mine, n, by_globals, made, f()") == "(1, 2, 2, 3, 1)"
    assert module.program.from_inside()["names of __main__"] == before


def test_names_are_gone_after_the_detach(module: Session) -> None:
    module.run("mine = 1")
    with attach(module.program.pid) as other:
        assert Session(module.program, other).fails("mine")[0] == "NameError"


def test_own_name_before_the_program_s(module: Session) -> None:
    """A name that the program gets later does not take away the session's own."""
    module.run("later = 'mine'")
    module.run("import sys\nsys.modules['__main__'].later = 'the program'")
    assert module.run("later") == "'mine'"
    module.run("del later")
    assert module.run("later") == "'the program'"


def test_deleting(module: Session) -> None:
    module.run("mine = 1")
    module.run("del mine")
    assert module.fails("mine")[0] == "NameError"
    module.run("extra = 0\nimport sys\nsys.modules['__main__'].gone = 1")
    module.run("del gone")
    assert "gone" not in module.program.from_inside()["names of __main__"]
    assert module.fails("del never_there")[0] == "NameError"


def test_builtins(module: Session) -> None:
    assert module.run("len('abc'), max(1, 2)") == "(3, 2)"
    module.run("len = lambda x: 99")
    assert module.run("len('abc')") == "99"
    module.run("del len")
    assert module.run("len('abc')") == "3"
    assert "len" not in module.program.from_inside()["names of __main__"]


def test_program_s_name_before_the_builtin(module: Session) -> None:
    module.run("import sys\nsys.modules['__main__'].max = lambda *a: 'own max'")
    assert module.run("max(1, 2)") == "'own max'"
    module.run("def f(): return max(1)\n")
    assert module.run("f()") == "'own max'"
    module.run("del sys.modules['__main__'].max")
    assert module.run("max(1, 2)") == "2"


def test_definitions(module: Session) -> None:
    code = (
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "    y: int = 2\n"
        "    def both(self): return self.x, self.y, word, super().__class__.__name__\n"
        "def down(n): return 0 if n == 0 else down(n - 1)\n"
        "def outer():\n"
        "    inside = 1\n"
        "    def inner():\n"
        "        nonlocal inside\n"
        "        inside += 1\n"
        "        return inside\n"
        "    return inner()\n"
    )
    module.run(code)
    assert module.run("Point(1).both(), down(5), outer()") == "((1, 2, 'start', 'super'), 0, 2)"
    assert module.run("def f[T](x: T) -> T: return x\nf(3)") == "3"
    assert "Order" in module.run("type Alias = list[Order]\nAlias.__value__")


def test_star_import(module: Session) -> None:
    module.run("from math import *")
    assert module.run("floor(pi)") == "3"
    assert "pi" not in module.program.from_inside()["names of __main__"]


def test_looking_around(module: Session) -> None:
    module.run("mine = 1")
    assert module.run("'mine' in globals(), 'mine' in dir()") == "(True, True)"
    assert module.run("eval('word'), eval('mine')") == "('start', 1)"
    assert module.run("__name__") == "'__main__'"


def test_future_import_holds_for_later_cells(module: Session) -> None:
    module.run("from __future__ import annotations")
    module.run("def f(x: nowhere): pass")
    assert module.run("f.__annotations__") == "{'x': 'nowhere'}"


def test_error_half_way_keeps_what_was_done(module: Session) -> None:
    module.fails("word = 'half'\nmine = 1\n1 / 0")
    module.program.wait_for("word is half")
    assert module.run("mine") == "1"


# -- a function that runs


def test_bound_frame_is_shown(frame: Session) -> None:
    assert "cells see work() at frame.py:" in frame.handle.description


def test_locals_are_seen(frame: Session) -> None:
    assert frame.run("word") == "'start'"
    assert frame.run("settings['pause']") == "0.005"
    assert frame.run("limit") == str(10**9), "a global behind the locals"
    first = int(frame.run("count"))
    eventually(lambda: int(frame.run("count")) > first, what="the count goes on")


def test_local_is_changed_in_the_running_function(frame: Session) -> None:
    frame.run("word = 'changed'")
    frame.program.wait_for("local changed None")
    frame.run("settings['level'] = 3")
    frame.program.wait_for("local changed 3")


@pytest.mark.parametrize(
    "code",
    [
        "word = 'new'",
        "word, mine = 'new', 1",
        "for word in ['new']: pass",
        "(word := 'new')",
        "word += 'x'; word = 'new'",
    ],
)
def test_every_way_to_assign_a_local(frame: Session, code: str) -> None:
    frame.run(code)
    frame.program.wait_for("local new None")


def test_functions_of_cells_see_locals_as_they_are(frame: Session) -> None:
    frame.run("def now(): return count")
    first = int(frame.run("now()"))
    eventually(lambda: int(frame.run("now()")) > first)
    assert frame.run("[word for _ in range(2)]") == "['start', 'start']"
    assert frame.run("class C:\n    kept = word\nC.kept") == "'start'"


def test_global_behind_the_locals_is_changed(frame: Session) -> None:
    frame.run("limit = 0")
    frame.program.wait_for("returned")


def test_new_names_do_not_become_locals(frame: Session) -> None:
    frame.run("mine = 1")
    assert frame.run("import sys\n'mine' in sys.modules['__main__'].__dict__") == "False"
    assert frame.run("mine") == "1"


def test_local_can_not_be_deleted(frame: Session) -> None:
    name, text = frame.fails("del word")
    assert name == "NameError"
    assert "local variable of the program's running function" in text
    assert frame.run("word") == "'start'"


def test_function_that_returns_is_told_and_left() -> None:
    with Program("frame") as program, Kernel("--pid", program.pid) as kernel:
        assert kernel.run("word").result == "'start'"
        kernel.run("mine = 1\nword = 'return'")
        program.wait_for("returned")
        cell = kernel.run("mine")
        assert "work() (frame.py:" in cell.notes
        assert "has returned; cells now see module __main__" in cell.notes
        assert cell.result == "1"
        assert kernel.run("word").error[0] == "NameError"
        assert "module __main__" in kernel.run("%status").stdout


def test_nothing_of_the_frame_is_kept_alive() -> None:
    """What the function held is freed when it returns, although cells have seen it."""
    with Program("frame") as program, attach(program.pid) as handle:
        session = Session(program, handle)
        session.run(
            "import sys, weakref\nclass Held: pass\nheld = Held()\ngone = weakref.ref(held)"
        )
        session.run("settings['held'] = held\ndel held")
        session.run("settings, len(settings)")
        session.run("Out.clear()\n_ = __ = ___ = None\nsettings.pop('held', None) and None")
        assert session.run("import gc\ngc.collect() and None\ngone()") == ""
        session.run("word = 'return'")
        program.wait_for("returned")
        assert session.run("gone()") == ""


def test_event_loop_shows_what_runs_it() -> None:
    """Not what the loop happens to run at this moment."""
    with Program("aio_busy") as program:
        places = set()
        for _ in range(5):
            with attach(program.pid) as handle:
                places.add(handle.description.partition("cells see ")[2])
        assert places == {"module __main__ (aio_busy.py)."}


def test_busy_loop_shows_the_function_that_lasts() -> None:
    """Not the short ones that it calls, which return before a cell could see their names."""
    with Program("steps") as program:
        for _ in range(5):
            with attach(program.pid) as handle:
                assert "cells see work() at steps.py:" in handle.description
                assert Session(program, handle).run("count > 0 and total >= 0") == "True"


def test_function_that_returns_is_left_for_its_caller() -> None:
    with Program("steps") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("is_over = True")
        program.wait_for("worked")
        cell = kernel.run("outcome > 0")
        assert "has returned; cells now see main() at steps.py:" in cell.notes
        assert cell.result == "True"


# -- the bound names under load


def test_own_names_are_fast(module: Session) -> None:
    """A loop over a cell's own names costs what it costs in a module: see `make bench`."""
    module.run("import time\nstep = 1")
    module.run("def loop():\n    n = 0\n    for i in range(200_000): n += step\n    return n\n")
    taken = float(module.run("begin = time.perf_counter()\nloop()\ntime.perf_counter() - begin"))
    assert taken < 1.0


def test_two_cells_of_two_sessions_share_the_program(module: Session) -> None:
    with attach(module.program.pid) as other:
        second = Session(module.program, other)
        module.run("word = 'one'")
        assert second.run("word") == "'one'"
        second.run("word = 'two'")
        assert module.run("word") == "'two'"
