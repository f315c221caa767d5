"""What a session has set up: kept in mind, set up again in a successor, saved and restored.

Runs in pytest; the second half with real programs. Rule: what is set up again is what its command
would do, and whatever is not is told, with the reason.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import replaced
from hypothesis import given
from hypothesis import strategies as st
from kernels import Cell, Kernel
from replaced import Family
from snapshots import Program
from targets import eventually
from users import NOBODY

from live_kernel.launcher import evidence, session_files
from live_kernel.launcher.commands.debugging import place_in
from live_kernel.launcher.evidence import Changed, find_again, names_used
from live_kernel.launcher.session_files import SessionNotKept
from live_kernel.launcher.setup import (
    BINDING,
    Item,
    Setup,
    SourceLine,
    as_magics,
    from_json,
    to_json,
)
from live_kernel.launcher.sources import Sources

# -- kept in mind


def test_of_a_slot_the_latest_holds() -> None:
    setup = Setup()
    setup.add(Item("%frame", "step", BINDING))
    setup.add(Item("%break", "price"))
    setup.add(Item("%module", "json", BINDING))
    assert [item.title for item in setup.items] == ["%break price", "%module json"]


def test_what_has_ended_is_forgotten() -> None:
    setup = Setup()
    for number in range(3):
        setup.add(Item("%watch", str(number), mark="%watch n"))
    setup.add(Item("%frame", "step", BINDING))
    setup.keep_standing(["other", "%watch n", "%watch n"])
    assert [item.argument for item in setup.items] == ["1", "2", "step"]
    assert setup.new_mark(["%watch n"] * 3, "%watch ") == "%watch n"
    assert setup.new_mark(["%watch n"] * 2, "%watch ") == ""


def test_what_is_left_waits_for_the_next() -> None:
    setup = Setup()
    setup.add(Item("%break", "price", mark="m"))
    setup.leave()
    assert (setup.items, setup.left) == ([], [Item("%break", "price")])
    setup.add(Item("%break", "other", mark="m"))
    setup.put_off([Item("%break", "gone", mark="m")])
    setup.leave()
    assert [item.argument for item in setup.take_left()] == ["other", "gone", "price"]
    assert setup.left == []


def test_magics_that_can_be_pasted() -> None:
    items = [
        Item("%module", "orders"),
        Item("%%patch", "orders.price\ndef price(order):\n    return 1"),
        Item("%pdb", "on"),
        Item("%patch", "a b", trouble="gone"),
    ]
    patch = "%%patch orders.price\ndef price(order):\n    return 1"
    assert as_magics(items) == f"%module orders\n\n{patch}\n\n%pdb on\n# %patch a b: gone"


items = st.builds(
    Item,
    st.text(max_size=8),
    st.text(),
    slot=st.text(max_size=4),
    mark=st.just(""),
    line=st.none() | st.builds(SourceLine, st.text(), st.integers(0, 99), st.text()),
    source=st.text(max_size=9),
)


@given(st.lists(items, max_size=4))
def test_what_is_kept_comes_back(kept: list[Item]) -> None:
    assert from_json(json.loads(json.dumps(to_json(kept)))) == kept


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.sampled_from(
        ["version", "setup", "command", "argument", "slot", "line", "source"]), inner)
)))  # fmt: skip
def test_whatever_a_file_says(kept: object) -> None:
    for whole in (kept, {"version": 1, "setup": [kept]}, {"version": 1, "setup": kept}):
        try:
            found = from_json(whole)
        except ValueError:
            continue
        assert all(isinstance(item, Item) for item in found)


# -- is it still the same?

TEXT = ["import os", "", "def price(order):", "    return order", "", "def other(order):",
        "    return order", "", "print(price(1))"]  # fmt: skip


class Texts(Sources):
    """One file, in memory."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(0)
        self._files["app.py"] = lines


def line(number: int) -> SourceLine:
    found = evidence.line_at(Texts(TEXT), "app.py", number)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lines", "number", "now"),
    [
        (TEXT, 4, 4),
        (["# new", *TEXT], 4, 5),
        (TEXT[1:], 4, 3),
        ([*TEXT[:2], *TEXT[5:7], "", *TEXT[2:4]], 4, 7),
        ([*TEXT[:3], "    order += 1", *TEXT[3:5]], 4, 5),
        (["# new", *TEXT], 9, 10),
    ],
)
def test_a_line_is_found_again(lines: list[str], number: int, now: int) -> None:
    assert find_again(line(number), Texts(lines)) == now


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([*TEXT[:3], "    return order * 2"], "line 4 reads `return order * 2` now"),
        (TEXT[:3], "is empty now, or not there"),
        ([], "can't be read any more"),
        (["x", "def a(order):", TEXT[3], "def b(order):", TEXT[3]], "stands on the lines 3, 5"),
    ],
)
def test_a_line_that_has_changed(lines: list[str], why: str) -> None:
    with pytest.raises(Changed, match=why.replace("*", r"\*")):
        find_again(line(4), Texts(lines))


def test_a_line_that_says_nothing_is_no_evidence() -> None:
    assert evidence.line_at(Texts(TEXT), "app.py", 2) is None
    assert evidence.line_at(Texts(TEXT), "app.py", 99) is None


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(x):\n    return x * rate + len(y)", ["rate", "y"]),
        ("import math\nhelp_ = 1\ndef f():\n    return math.pi + help_", []),
        ("def f(x=default):\n    return [n for n in x if n > low]", ["default", "low"]),
        ("@wraps\ndef f():\n    def g(): return inner\n    return g", ["inner", "wraps"]),
        ("len(orders), pool.size", ["orders", "pool"]),
    ],
)
def test_the_names_that_code_uses(code: str, names: list[str]) -> None:
    assert names_used(code) == names


def test_code_that_is_none() -> None:
    with pytest.raises(Changed):
        names_used("def f(:")


@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("app.py:12", "app.py:12"),
        ("  app.py:12 if n > 3", "app.py:12"),
        ("--log n * 2 app.py:12 if n", "app.py:12"),
        ('"my app.py:12"', '"my app.py:12"'),
        ("handle", "handle"),
    ],
)
def test_where_the_place_stands(argument: str, place: str) -> None:
    begin, end = place_in(argument)
    assert argument[begin:end] == place


# -- files


def test_a_file_is_its_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "made" / "session.json"
    kept = [Item("%break", "price")]
    session_files.save(file, kept, {"notebook": "x"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert session_files.load(file)[0] == kept
    session_files.save(file, [], {})
    assert session_files.load(file)[0] == []
    assert [path.name for path in file.parent.iterdir()] == ["session.json"]
    assert session_files.remove(file)
    assert not session_files.remove(file)
    with pytest.raises(SessionNotKept, match="Nothing was saved"):
        session_files.load(file)


def test_one_that_others_could_have_written_is_not_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    session_files.save(file, [], {})
    file.chmod(0o666)
    with pytest.raises(SessionNotKept, match="not obeyed"):
        session_files.load(file)


@pytest.mark.root
def test_nor_is_one_of_another_users(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    session_files.save(file, [], {})
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(SessionNotKept, match="not obeyed"):
        session_files.load(file)
    with pytest.raises(SessionNotKept, match="no file of yours"):
        session_files.save(file, [], {})


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "session.json").symlink_to("other")
    with pytest.raises(SessionNotKept, match="no file of yours"):
        session_files.save(tmp_path / "session.json", [], {})
    assert (tmp_path / "other").read_text() == "kept"


def test_each_notebook_has_its_own() -> None:
    def place(name: str) -> Path:
        return session_files.place({"JPY_SESSION_NAME": name, "XDG_STATE_HOME": "/state"})

    assert place("/home/a.ipynb") != place("/home/b.ipynb")
    assert place("/home/a.ipynb") == place("/home/../home/a.ipynb")
    assert place("/home/a.ipynb").parent == Path("/state/live-kernel/sessions")
    with pytest.raises(SessionNotKept, match="no notebook"):
        place("console")


# -- set up again


@pytest.fixture
def family() -> Iterator[Family]:
    with replaced.reloaded() as family:
        family.answers()
        yield family


def reload(kernel: Kernel, family: Family, text: str) -> None:
    """Edit the program, and wait until uvicorn has loaded it anew and the kernel knows."""
    before = family.workers()
    (family.place / "orders.py").write_text(text)
    family.workers(other_than=before)
    eventually(lambda: "lost" in kernel.run("%status").stdout, 30)


def in_notebook(kernel: Kernel, code: str) -> Cell:
    """As a notebook sends it: what lasts goes on beside."""
    content = {"code": code, "allow_stdin": False}
    request = kernel.send("execute_request", content, metadata={"cellId": "one"})
    return Cell(kernel, request).finish()


EVERYTHING = (
    "%module orders",
    "%break orders.py:6 if order > 1000",
    "%break 7 if False",
    "%break --log order * 2 price",
    "%trace orders.price -n all",
    "%watch RATE",
    "%%patch orders.price\ndef price(order):\n    return order * RATE + 1000",
    "%pdb on",
)


@pytest.mark.attach
@pytest.mark.client
def test_all_of_it_is_set_up_again(family: Family) -> None:
    with Kernel("--pid", family.worker, "--follow") as kernel:
        for code in EVERYTHING:
            assert in_notebook(kernel, code).status == "ok", code
        listed = kernel.run("%session").stdout
        assert listed.count("\n") > len(EVERYTHING)
        reload(kernel, family, "# a line more\n" + replaced.ORDERS.replace("= 2", "= 3"))
        cell = in_notebook(kernel, "RATE, price(1)")
        assert cell.result == "(3, 1003)", cell
        assert "set up again 8 things" in cell.notes
        assert "✓ %break orders.py:7 if order > 1000 (the line was 6 before)" in cell.notes
        assert "✓ %break --log order * 2 price" in cell.notes
        assert "orders.price is patched under 1 name" in cell.notes
        places = kernel.run("%breaks").stdout
        assert "orders.py:7" in places
        assert "orders.py:8" in places
        assert "price" in kernel.run("%trace").stdout
        assert "RATE" in kernel.run("%watch").stdout
        assert family.answers() == "1000"
        cell.wait_for("RATE = 3")


@pytest.mark.attach
@pytest.mark.client
def test_what_is_not_the_same_is_told(family: Family) -> None:
    with Kernel("--pid", family.worker, "--follow") as kernel:
        in_notebook(kernel, "import orders\nextra = 5")
        for code in (
            "%break orders.py:6",
            "%watch len(orders.seen)",
            "%%patch orders.price\ndef price(order):\n    return order",
        ):
            assert in_notebook(kernel, code).status == "ok", code
        reload(kernel, family, replaced.ORDERS.replace("order * RATE", "order * RATE * 2"))
        cell = in_notebook(kernel, "1")
        assert "set up again 0 of 3 things" in cell.notes
        assert "line 6 reads `total = order * RATE * 2` now, and read `total = order" in cell.notes
        assert "cells don't see orders here: import or define it first" in cell.notes
        assert "the source of orders.price has changed" in cell.notes
        assert "3 things are not set up here" in kernel.run("%session").stdout
        kernel.run("import orders")
        again = in_notebook(kernel, "%session restore")
        assert "set up again 1 of 3 things" in again.notes
        reload(kernel, family, replaced.ORDERS)
        cell = in_notebook(kernel, "1")
        assert "✓ %break orders.py:6" in cell.notes, "the old text is there again"


@pytest.mark.attach
@pytest.mark.client
def test_a_patch_that_uses_the_notebook_is_not_put_there(family: Family) -> None:
    """It would raise in the midst of the program, whose customers would see that."""
    with Kernel("--pid", family.worker, "--follow") as kernel:
        kernel.run("bonus = 5\ndef cheap(order):\n    return 0")
        kernel.run("%%patch orders.price\ndef price(order):\n    return order + bonus")
        assert kernel.run("import orders\norders.price(1)").result == "6"
        reload(kernel, family, replaced.ORDERS + "\n")
        cell = kernel.run("1")
        assert "it uses bonus, which the notebook had, and which is gone" in cell.notes
        kernel.run("def cheap(order):\n    return 0")
        kernel.run("%patch orders.price cheap")
        reload(kernel, family, replaced.ORDERS)
        assert "it takes cheap, a function of the notebook" in kernel.run("1").notes
        assert family.answers() == "0"


@pytest.mark.attach
@pytest.mark.client
def test_what_has_ended_is_not_set_up_again(family: Family) -> None:
    with Kernel("--pid", family.worker, "--follow") as kernel:
        kernel.run("%module orders")
        kernel.run("%break price\n%unbreak")
        trace = in_notebook(kernel, "%trace price -n 2")
        in_notebook(kernel, "%watch RATE for 20s")
        kernel.run("price(1); price(2)")
        trace.wait_for("that many were asked for")
        eventually(lambda: "%trace" not in kernel.run("%session").stdout)
        assert kernel.run("%session").stdout.strip() == "%module orders"
        kernel.run("%frame --default")
        assert "Nothing is set up" in kernel.run("%session").stdout


@pytest.mark.attach
@pytest.mark.client
def test_numbers_become_names() -> None:
    with Program("store/app") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("%thread worker")
        assert kernel.run("%session").stdout.strip() == "%thread worker"
        kernel.run("%up")
        assert "%frame " in kernel.run("%session").stdout
        ident = kernel.value("__import__('threading').main_thread().ident")
        kernel.run(f"%thread {ident}")
        listed = kernel.run("%session").stdout
        assert str(ident) not in listed
        assert listed.startswith(("%frame ", "%module "))


@pytest.mark.attach
@pytest.mark.client
def test_the_user_may_go_there_himself() -> None:
    """To name the successor is to go on there; another program is another one."""
    with replaced.restarted() as family, Kernel("--pid", family.worker) as kernel:
        kernel.run("%break price if False")
        fresh = family.replace(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run(f"%attach {fresh}")
        assert "✓ %break price if False" in cell.notes
        with Program("idle") as other:
            cell = kernel.run(f"%attach {other.pid}")
            assert "has not set up again what it had before (1 thing is left)" in cell.notes
            assert "no breakpoints" in kernel.run("%breaks").stdout
        other.expected_to_end = True


@pytest.mark.attach
@pytest.mark.client
def test_only_looking_sets_up_looks() -> None:
    with replaced.restarted() as family, Kernel("--follow") as kernel:
        kernel.run(f"%attach {family.worker}")
        kernel.run("%break price if False\n%trace price -n all --beside")
        fresh = family.replace(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run(f"%attach --observe {fresh}")
        assert "✓ %trace price -n all --beside" in cell.notes
        assert "✗ %break price if False: %break is refused" in cell.notes


@pytest.mark.attach
@pytest.mark.client
def test_it_is_asked_about_once_and_apart_from_the_cell() -> None:
    env = {"LIVE_KERNEL_CONFIRM": "1"}
    with replaced.restarted() as family, Kernel("--follow", env=env) as kernel:
        kernel.answers.append("a")
        kernel.run(f"%attach {family.worker}")
        kernel.run("%break price if False\n%break step if False", allow_stdin=True)
        family.replace(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        kernel.answers.extend(["y", "n"])
        count = len(kernel.prompts)
        cell = kernel.run("rate", allow_stdin=True)
        first, second = [each["prompt"] for each in kernel.prompts[count:]]
        assert "%break price if False" in first
        assert "%break step if False" in first
        assert "    rate" in second
        assert "set up again 2 things" in cell.notes
        assert cell.error[0] == "NotConfirmed"
        kernel.answers.extend(["n", "n"])
        family.replace(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("rate", allow_stdin=True)
        assert "set up again 0 of 2 things" in cell.notes
        assert "nobody has said yes" in cell.notes


@pytest.mark.attach
@pytest.mark.client
def test_a_session_is_kept_with_its_notebook(tmp_path: Path) -> None:
    notebook = tmp_path / "orders.ipynb"
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with replaced.restarted() as family:
        with Kernel("--pid", family.worker, notebook=notebook, env=env) as kernel:
            assert "Nothing was saved" in kernel.run("%session restore").error[1]
            kernel.run("%break price if False\n%module json\n%limits repr 10MB\n%idle 1h")
            kernel.run("%place main --at-most 2s")
            saved = kernel.run("%session save").stdout
            assert "5 things are saved in" in saved
            assert "names are not kept" in saved
            (file,) = (tmp_path / "state" / "live-kernel" / "sessions").iterdir()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert str(notebook) in file.read_text()
        with Kernel("--pid", family.worker, notebook=notebook, env=env) as kernel:
            cell = kernel.run("%session restore")
            assert "set up again 5 things" in cell.notes
            assert "price" in kernel.run("%breaks").stdout
            assert "on the program's main thread" in kernel.run("%place").stdout
            assert "10MB" in kernel.run("%limits").stdout
            assert "1 h without use" in kernel.run("%idle").stdout
            assert "module json" in kernel.run("%status").stdout
            assert "set up already" in kernel.run("%session restore").stdout
            shown = kernel.run("%session show")
            (payload,) = shown.payload
            assert payload["source"] == "set_next_input"
            assert "%break price if False" in payload["text"].splitlines()
            assert "forgotten" in kernel.run("%session clear").stdout
            assert "Nothing was saved" in kernel.run("%session restore").error[1]


@pytest.mark.attach
@pytest.mark.client
def test_nothing_but_what_sets_up_is_restored(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    session_files.save(file, [Item("%detach", ""), Item("%break", "x\nword = 'set'")], {})
    with Kernel("--pid", program.pid) as kernel:
        cell = kernel.run(f"%session restore {file}")
        assert cell.notes.count("it is no command that sets something up") == 2
        assert kernel.value("word") == "start"


@pytest.mark.attach
@pytest.mark.client
def test_it_is_on_record_what_was_set_up(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    env = {"LIVE_KERNEL_JOURNAL": str(journal)}
    with replaced.restarted() as family, Kernel("--follow", env=env) as kernel:
        kernel.run(f"%attach {family.worker}\n%break price if False")
        family.replace(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        kernel.run("1")
    cells = [json.loads(line) for line in journal.read_text().splitlines()]
    (again,) = [c for c in cells if c.get("code") == "%break price if False"]
    assert again["commands"] == ["%break"]
    assert [c["outcome"] for c in cells if c["event"] == "outcome" and c["id"] == again["id"]] == [
        "ok"
    ]


def test_nothing_takes_long() -> None:
    """A look for names in a large file is a matter of milliseconds."""
    lines = [f"x_{n} = {n}" for n in range(50_000)]
    begin = time.monotonic()
    was = SourceLine("app.py", 40_000, "x_39000 = 39000")
    assert find_again(was, Texts(lines)) == 39_001
    assert time.monotonic() - begin < 5
