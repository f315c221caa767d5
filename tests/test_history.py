"""The history: what is kept, what is found again, and what must not get in a cell's way.

IPython itself is the oracle: it reads what we write, and we what it writes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from IPython.core.history import HistoryAccessor
from kernels import Kernel
from loading import loaded_by
from targets import Target, eventually

from live_kernel.launcher import history as history_module
from live_kernel.launcher.completeness import completeness, is_plainly_complete
from live_kernel.launcher.history import History
from live_kernel.launcher.history_database import Database
from live_kernel.launcher.ipython_profile import history_file
from live_kernel.launcher.reactor import Reactor

CELLS = ["a = 1", "a + 1", "%time a", "print(a)\nprint('ö?')", "a + 1", "a*2"]


def session(file: Path | None, *cells: str) -> Database:
    """A session with these cells, numbered from 1."""
    return Database(deque(enumerate(cells, 1)), lambda: file)


def ended(file: Path, *cells: str) -> None:
    """Such a session, which is over."""
    database = session(file, *cells)
    database.end()
    database.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "profile_default" / "history.sqlite"


@pytest.fixture
def present(file: Path) -> Iterator[Database]:
    """The third of three sessions, with CELLS."""
    ended(file, "first = 1", "a + 1")
    ended(file, "second = 2", "a + 1", "last")
    database = session(file, *CELLS)
    yield database
    database.close()


def codes(database: Database, **question: Any) -> list[str]:
    return [line[2] for line in database.answer(question)]


@pytest.fixture
def ipython(file: Path, present: Database) -> Iterator[HistoryAccessor]:
    """IPython's view of the same file."""
    present.save()
    with closing(HistoryAccessor(hist_file=str(file))) as accessor:
        yield accessor


@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 7, 100])
def test_tail_is_as_ipython_has_it(
    present: Database, ipython: HistoryAccessor, count: int, output: bool
) -> None:
    theirs = list(ipython.get_tail(count, output=output, include_latest=True))
    question = {"hist_access_type": "tail", "n": count, "output": output, "raw": True}
    assert present.answer(question) == theirs


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 2, 50])
@pytest.mark.parametrize("pattern", ["*", "a?+*", "a [+] 1", "nothing", "print*", "", "*ö[?]*"])
def test_search_is_as_ipython_has_it(
    present: Database, ipython: HistoryAccessor, pattern: str, limit: int | None, unique: bool
) -> None:
    theirs = list(ipython.search(pattern, n=limit, unique=unique))
    question = {"hist_access_type": "search", "pattern": pattern, "n": limit, "unique": unique}
    assert present.answer(question) == theirs


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize(("start", "stop"), [(0, None), (1, 2), (2, None), (1, 99), (3, 1)])
def test_range_of_another_session_is_as_ipython_has_it(
    present: Database, ipython: HistoryAccessor, number: int, start: int, stop: int | None
) -> None:
    theirs = list(ipython.get_range(number, start, stop))
    question = {"hist_access_type": "range", "session": number, "start": start, "stop": stop}
    assert present.answer(question) == theirs


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({"session": 0}, [(0, n, code) for n, code in enumerate(CELLS, 1)]),
        ({"session": 3, "start": 2, "stop": 3}, [(3, 2, "a + 1")]),
        ({"session": 0, "start": -1}, [(0, 6, "a*2")]),
        ({"session": 0, "start": -2, "stop": -1}, [(0, 5, "a + 1")]),
        ({"session": -1, "start": 3}, [(2, 3, "last")]),
        ({"session": -2, "stop": 2}, [(1, 1, "first = 1")]),
        ({"session": -9}, []),
    ],
)
def test_range_counts_from_this_session(
    present: Database, asked: dict[str, int], lines: list[tuple[int, int, str]]
) -> None:
    assert present.answer({"hist_access_type": "range", **asked}) == lines


def test_sessions_are_counted_before_a_cell_is_there(file: Path) -> None:
    ended(file, "before")
    with closing(session(file)) as database:
        question = {"hist_access_type": "range", "session": -1}
        assert database.answer(question) == [(1, 1, "before")]
        assert database.answer(question | {"session": 0}) == []
    with closing(sqlite3.connect(file)) as look:
        assert look.execute("SELECT COUNT(*) FROM sessions").fetchone() == (1,)


def test_syntax_of_ipython_is_kept_raw_and_as_python(present: Database) -> None:
    search = {"hist_access_type": "search", "pattern": "%time*"}
    assert codes(present, **search, raw=True) == ["%time a"]
    assert codes(present, **search, raw=False) == ["get_ipython().run_line_magic('time', 'a')"]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"hist_access_type": "all"},
        {"hist_access_type": "tail", "n": "many"},
        {"hist_access_type": "tail", "n": 10**30},
        {"hist_access_type": "tail", "n": []},
        {"hist_access_type": "range", "session": {}},
        {"hist_access_type": "search"},
        {"hist_access_type": "search", "pattern": "\ud800"},
    ],
)
def test_a_question_without_sense_finds_nothing(
    present: Database, question: dict[str, Any]
) -> None:
    assert present.answer(question) == []


def test_half_a_character_is_kept(file: Path) -> None:
    with closing(session(file, "x = '\ud800'", "y")) as database:
        assert codes(database, hist_access_type="tail") == [r"x = '\ud800'", "y"]


def test_end_of_a_session_is_written_down(file: Path) -> None:
    ended(file, "1", "2")
    with closing(HistoryAccessor(hist_file=str(file))) as accessor:
        number, start, end, count, _ = accessor.get_session_info(1)
    assert (number, count) == (1, 2)
    assert start
    assert end


# -- databases out of reach


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else has the database for themselves."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()


def test_locked_database_is_written_when_it_is_free(file: Path) -> None:
    ended(file, "before")
    with closing(session(file, "meanwhile")) as database:
        with locked(file):
            database.save()
            assert codes(database, hist_access_type="tail") == ["meanwhile"]
        assert codes(database, hist_access_type="tail") == ["before", "meanwhile"]
    assert [entry.name for entry in file.parent.iterdir()] == ["history.sqlite"]


@pytest.fixture
def unwritable(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database that can be read only, with a session in it (for root too)."""
    ended(file, "before")
    connect = sqlite3.connect

    def read_only(place: str, **options: Any) -> sqlite3.Connection:
        if place == str(file):
            return connect(f"file:{place}?mode=ro", uri=True, **options)
        return connect(place, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    return file


def test_database_that_can_only_be_read(unwritable: Path) -> None:
    with closing(session(unwritable, "now")) as database:
        database.end()
        assert codes(database, hist_access_type="tail") == ["before", "now"]
        assert codes(database, hist_access_type="range", session=-1) == ["before"]
        assert codes(database, hist_access_type="search", pattern="*", unique=True) == [
            "before",
            "now",
        ]


def test_database_that_is_none_is_left_as_it_is(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is not a database" * 100)
    with closing(session(file, "now")) as database:
        assert codes(database, hist_access_type="tail") == ["now"]
        database.end()
    assert file.read_bytes().startswith(b"this is not")
    assert len(list(file.parent.iterdir())) == 1


def test_home_that_is_none() -> None:
    with closing(session(Path("/dev/null/profile/history.sqlite"), "now")) as database:
        database.end()
        assert codes(database, hist_access_type="tail") == ["now"]


def test_nothing_is_kept_where_the_user_wants_none(tmp_path: Path) -> None:
    with closing(session(None, "secret")) as database:
        assert codes(database, hist_access_type="tail") == ["secret"]
    assert not list(tmp_path.iterdir())


# -- where it is


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    place = tmp_path / "profile_default"
    place.mkdir()
    return place


def test_file_is_where_ipython_has_it(profile: Path) -> None:
    assert history_file() == profile / "history.sqlite"


@pytest.mark.parametrize("name", ["ipython_config", "ipython_kernel_config"])
@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("py", "c.HistoryManager.enabled = False"),
        ("py", "c.HistoryAccessor.hist_file = ':memory:'"),
        ("json", '{"HistoryManager": {"enabled": false}}'),
    ],
)
def test_settings_can_switch_it_off(profile: Path, name: str, suffix: str, text: str) -> None:
    (profile / f"{name}.{suffix}").write_text(text)
    assert history_file() is None


def test_settings_can_move_it(profile: Path) -> None:
    other = profile / "other.sqlite"
    (profile / "ipython_config.py").write_text(f"c.HistoryManager.hist_file = {str(other)!r}")
    assert history_file() == other


def test_settings_on_something_else_are_not_run(profile: Path) -> None:
    (profile / "ipython_config.py").write_text("raise SystemExit")
    assert history_file() == profile / "history.sqlite"


def test_broken_settings_are_told(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (profile / "ipython_config.py").write_text("c.HistoryManager.enabled = 1 / 0")
    assert history_file() == profile / "history.sqlite"
    assert "ipython_config.py was not understood: division by zero" in capsys.readouterr().err


# -- beside the reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.close()


def test_no_cell_waits_for_a_locked_database(
    profile: Path, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "SAVE_AFTER", 0.0)
    monkeypatch.setattr(history_module, "ANSWER_WITHIN", 0.1)
    file = profile / "history.sqlite"
    ended(file, "before")
    history = History(reactor)
    answers: list[list[Any]] = []
    with locked(file):
        begin = time.monotonic()
        for number in range(100):
            history.add(number, "x")
            reactor.step(0)
        history.ask({"hist_access_type": "tail"}, answers.append)
        assert time.monotonic() - begin < 0.2
        reactor.run_until(lambda: bool(answers), 5)
        assert answers == [[]]
        begin = time.monotonic()
        history.leave()
        history.close(0.03)
        assert time.monotonic() - begin < 0.1
    eventually(lambda: "history" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.parametrize("code", ["", "  \n", "exit", " quit() ", "exit(0)"])
def test_what_is_no_cell_is_not_kept(profile: Path, reactor: Reactor, code: str) -> None:
    history = History(reactor)
    history.add(1, code)
    history.leave()
    history.close(1)
    assert not list(profile.iterdir())


def test_ipython_is_not_imported_for_plain_cells(profile: Path) -> None:
    code = (
        "from collections import deque;"
        "from live_kernel.launcher.history_database import Database;"
        "d = Database(deque([(1, 'x = 1')]));"
        "assert d.answer({'hist_access_type': 'tail'}) == [(1, 1, 'x = 1')]; d.end()"
    )
    assert "IPython" not in loaded_by(code)


# -- is this complete?


GLANCES = """\
x
x = 1
f(1, 2)
print('a b')
a[1] + b
x is y
x is 1
import os
x = {1}
return
x y
for
_
1
f(
x = 'a
await x
raise x
pass
1_
x +
x = 1 if y else 2
yield
del x
x = y = 1
01
1if x else 2
x = *a, b
f'a'
{*a}
print 1
assert (x, 1)
x, y = 1
nonlocal x
global x
import
"""


@pytest.mark.parametrize("code", GLANCES.splitlines())
def test_a_glance_is_never_wrong(code: str) -> None:
    if is_plainly_complete(code):
        assert completeness(code) == {"status": "complete"}


@pytest.mark.parametrize("code", ["x", "x = 1", "print('a b')", "a[1] + b", "import os"])
def test_plain_lines_need_no_ipython(code: str) -> None:
    assert is_plainly_complete(code)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("def f(x):\n  x*2", {"status": "incomplete", "indent": "  "}),
        ("if x:", {"status": "incomplete", "indent": "    "}),
        ("import = 7q", {"status": "invalid"}),
        ("%%timeit\nx", {"status": "incomplete", "indent": ""}),
        ("!ls", {"status": "complete"}),
        ("x?", {"status": "complete"}),
        ("await x", {"status": "complete"}),
        ("", {"status": "complete"}),
    ],
)
def test_completeness(code: str, answer: dict[str, str]) -> None:
    assert completeness(code) == answer


# -- whole kernels


@pytest.mark.attach
@pytest.mark.client
def test_next_kernel_finds_what_was_typed_in_this_one(tmp_path: Path) -> None:
    env = {"IPYTHONDIR": str(tmp_path)}
    with Target("idle") as target:
        with Kernel("--pid", target.pid, env=env) as kernel:
            kernel.run("word")
            kernel.run("'probe'", silent=True)
            kernel.run("'unkept'", store_history=False)
            kernel.run("1/0")
            assert kernel.shutdown() < 1
        with Kernel(env=env) as kernel:
            reply = kernel.ask("history_request", hist_access_type="tail", n=9, output=False)
            assert reply["history"] == [[1, 1, "word"], [1, 2, "1/0"]]


@pytest.mark.attach
@pytest.mark.client
@pytest.mark.parametrize("name", [":memory:", "another.sqlite"])
def test_history_is_kept_where_the_front_end_says(tmp_path: Path, name: str) -> None:
    """By IPython's own option, as nbclient gives it to keep a notebook's cells out of it."""
    place = name if name == ":memory:" else str(tmp_path / name)
    option = f"--HistoryManager.hist_file={place}"
    with Target("idle") as target:
        env = {"IPYTHONDIR": str(tmp_path / "ipython")}
        with Kernel("--pid", target.pid, option, env=env) as kernel:
            kernel.run("word")
            question = {"hist_access_type": "tail", "n": 9, "output": False}
            reply = kernel.ask("history_request", **question)
            assert reply["history"] == [[1, 1, "word"]], "this session is known anyway"
    kept = [file.name for file in tmp_path.rglob("*.sqlite")]
    assert kept == ([] if name == ":memory:" else [name])


@pytest.mark.attach
@pytest.mark.client
def test_cells_run_while_the_database_is_locked(tmp_path: Path) -> None:
    file = tmp_path / "profile_default" / "history.sqlite"
    ended(file, "before")
    with (
        Target("idle") as target,
        Kernel("--pid", target.pid, env={"IPYTHONDIR": str(tmp_path)}) as kernel,
        locked(file),
    ):
        kernel.run("1")
        begin = time.monotonic()
        for _ in range(10):
            assert kernel.run("word").result == "'start'"
        assert time.monotonic() - begin < 2
        assert kernel.shutdown() < 1


@pytest.mark.client
def test_messages_of_other_kernels_get_their_idle(tmp_path: Path) -> None:
    with Kernel(env={"IPYTHONDIR": str(tmp_path)}) as kernel:
        message = kernel.client.session.msg("apply_request", {})
        kernel.client.shell_channel.send(message)
        kernel.wait(
            lambda: (
                [
                    m["content"]["execution_state"]
                    for m in kernel.messages
                    if m["msg_type"] == "status"
                    and m["parent_header"].get("msg_id") == message["header"]["msg_id"]
                ]
                == ["busy", "idle"]
            )
        )
        reply = kernel.ask("debug_request", "control", seq=7, command="initialize", type="request")
        assert not reply["success"]
        assert (reply["request_seq"], reply["command"]) == (7, "initialize")
