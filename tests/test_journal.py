"""The journal as a file: whose it is, many writers, what becomes of it, and how it is read."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from targets import ROOT, eventually

from live_kernel.errors import CommandMisused, JournalUnread
from live_kernel.launcher import journal
from live_kernel.launcher.journal import Journal, files, place
from live_kernel.launcher.past import Entry, News, Past, Wanted, since
from live_kernel.launcher.showing import records

LINE = b'{"event":"test"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "live-kernel" / "journal.jsonl"


class Told(list[str]):
    """What the user was told."""

    def journal(self, path: Path, **options: Any) -> Journal:
        return Journal(path, self.append, **options)


@pytest.fixture
def told() -> Told:
    return Told()


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# -- where it is


def test_place() -> None:
    assert place({"LIVE_KERNEL_JOURNAL": "off", "HOME": "/"}) is None
    assert place({"LIVE_KERNEL_JOURNAL": "OFF"}) is None
    assert place({"LIVE_KERNEL_JOURNAL": "/var/log/j.jsonl"}) == Path("/var/log/j.jsonl")
    assert place({"XDG_STATE_HOME": "/state"}) == Path("/state/live-kernel/journal.jsonl")
    relative = place({"XDG_STATE_HOME": "state", "HOME": str(Path.home())})
    assert relative == Path.home() / ".local/state/live-kernel/journal.jsonl"


@pytest.mark.root
def test_root_does_not_write_into_the_home_of_whoever_has_called_sudo(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    state = tmp_path / ".local" / "state"
    for environment in ({"HOME": str(tmp_path)}, {"XDG_STATE_HOME": str(state)}):
        found = place(environment)
        assert found is not None
        assert tmp_path not in found.parents


# -- whose it is


def test_it_is_made_for_its_user_alone(path: Path, told: Told) -> None:
    before = os.umask(0)
    try:
        told.journal(path).write(LINE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not told


def test_one_that_others_could_read_is_closed_to_them(path: Path, told: Told) -> None:
    path.parent.mkdir(0o700, parents=True)
    path.touch(0o644)
    told.journal(path).write(LINE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def make_symlink(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def make_hard_link(path: Path) -> None:
    path.with_name("elsewhere").touch()
    os.link(path.with_name("elsewhere"), path)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_tamperable(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (make_symlink, "symbolic link"),
        (make_hard_link, "second name"),
        (make_fifo, "No such device|no regular file"),
        (Path.mkdir, "directory"),
        (make_tamperable, "others could tamper"),
    ],
)
def test_what_is_no_journal_of_ours_is_left_alone(
    path: Path, told: Told, make: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is told once; once it can be written, it says how much is missing."""
    monkeypatch.setattr(journal, "CALM", 0.0)
    path.parent.mkdir(0o700, parents=True)
    make(path)
    it = told.journal(path)
    for _ in range(3):
        it.write(LINE)
    (said,) = told
    assert f"The journal {path} can't be written: " in said
    assert "LIVE_KERNEL_JOURNAL" in said
    assert any(each in said for each in why.split("|")), said
    assert not path.with_name("elsewhere").exists() or not path.with_name("elsewhere").read_bytes()
    path.parent.chmod(0o700)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    it.write(LINE)
    gap, line = lines_in(path)
    assert (gap["event"], gap["lost"]) == ("gap", 3)
    assert line == {"event": "test"}
    assert told[1:] == [f"The journal {path} is written again."]


@pytest.mark.root
def test_another_users_file_is_left_alone(path: Path, told: Told) -> None:
    path.parent.mkdir(0o700, parents=True)
    path.touch()
    os.chown(path, 65534, 65534)
    told.journal(path).write(LINE)
    assert "belongs to another user" in told[0]
    assert path.read_bytes() == b""


# -- a disk that is full

FILLS = """
import os, resource, sys
from pathlib import Path
from live_kernel.launcher.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
it = Journal(Path(sys.argv[1]), print)
for number in range(5):
    it.write(b'{"event":"%03d","text":"%s"}\\n' % (number, b"x" * 270))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
it.write(b'{"event":"last"}\\n')
"""


def test_what_does_not_fit_leaves_no_half_line(path: Path) -> None:
    done = run_python(FILLS, path)
    events = [line["event"] for line in lines_in(path)]
    assert events == ["000", "001", "002", "gap", "last"]
    assert lines_in(path)[3]["lost"] == 2
    assert done.stdout.count("can't be written") == 1
    assert "is written again" not in done.stdout, "that may yet change"


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)


def test_half_a_line_of_somebody_who_was_killed(path: Path, told: Told) -> None:
    told.journal(path).write(LINE)
    with path.open("ab") as file:
        file.write(b'{"event":"half')
    told.journal(path).write(LINE)
    past = Past(path)
    assert [entry.record["event"] for entry in past.latest(Wanted(), 0)] == ["test", "test"]
    assert past.damaged == 1


# -- many writers, and files that are put aside

WRITES = """
import os, sys
from pathlib import Path
from live_kernel.launcher import journal
journal.LOOK_AFTER = float(sys.argv[3])
it = journal.Journal(Path(sys.argv[1]), lambda text: print(text, file=sys.stderr), 60_000, 500)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    size = 70_000 if number % 40 == 39 else number * 7
    line = sys.argv[2].encode(), number, b"x" * size
    it.write(b'{"event":"%s","number":%d,"text":"%s"}\\n' % line)
"""


@pytest.mark.parametrize("look_after", [0.0, 0.02])
def test_many_writers_lose_nothing_while_files_are_put_aside(path: Path, look_after: float) -> None:
    writers, count = 5, 160
    command = [sys.executable, "-c", WRITES, str(path)]
    started = [
        subprocess.Popen(
            [*command, f"w{number}", str(look_after), str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        _, errors = process.communicate(timeout=50)
        assert (process.returncode, errors) == (0, "")
    there = [each for each in files(path, 500) if each.exists()]
    assert len(there) > (5 if look_after == 0 else 1)
    found: dict[str, list[int]] = {}
    for each in reversed(there):
        for line in lines_in(each):
            found.setdefault(line["event"], []).append(line["number"])
    assert {name: sorted(numbers) for name, numbers in found.items()} == {
        f"w{number}": [*range(count)] for number in range(writers)
    }


def test_only_so_many_files_are_kept(path: Path, told: Told) -> None:
    it = told.journal(path, full=1000, kept=3)
    for number in range(200):
        it.write(b'{"event":"n","number":%d}\n' % number)
        it.close()  # so that the next one looks
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "journal.jsonl",
        "journal.jsonl.1",
        "journal.jsonl.2",
        "journal.jsonl.3",
    ]
    latest = lines_in(path)[-1]["number"]
    assert latest == 199
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in path.parent.iterdir())
    assert not told


@pytest.mark.parametrize("how", ["unlink", "rename", "directory"])
def test_whoever_moves_it_away_finds_the_next_lines_in_a_new_one(
    path: Path, told: Told, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOOK_AFTER", 0.0)
    it = told.journal(path)
    it.write(LINE)
    if how == "unlink":
        path.unlink()
    elif how == "rename":
        path.rename(path.with_name("taken"))
    else:
        path.parent.rename(path.parent.with_name("taken"))
    it.write(LINE)
    assert path.read_bytes() == LINE
    assert not told


def test_files_that_cant_be_put_aside_grow(path: Path, told: Told) -> None:
    path.parent.mkdir(0o700, parents=True)
    (path.with_name("journal.jsonl.1") / "in the way").mkdir(parents=True)
    it = told.journal(path, full=100, kept=1)
    for _ in range(20):
        it.write(LINE)
        it.close()
    assert path.read_bytes() == LINE * 20
    (said,) = told
    assert "can't be put aside" in said


def test_who_keeps_the_lock_holds_up_nobody(path: Path, told: Told) -> None:
    it = told.journal(path)
    it.write(LINE)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        begun = time.monotonic()
        it.write(LINE)
        assert time.monotonic() - begun < 5
    assert path.read_bytes() == LINE * 2


def test_a_descriptor_is_not_inherited(path: Path, told: Told) -> None:
    it = told.journal(path)
    it.write(LINE)
    code = "import os; print(*[os.path.realpath(f'/proc/self/fd/{n}') for n in range(3, 50)])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, close_fds=False)
    assert str(path) not in done.stdout
    it.close()


# -- reading


def write(path: Path, *lines: dict[str, Any] | bytes) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def cell(number: str, code: str, **more: Any) -> dict[str, Any]:
    at = more.pop("at", "2026-11-26T10:00:00.000Z")
    target = {"pid": more.pop("pid", 1), "command": "python app.py", "start_time": 5}
    return {"at": at, "event": "cell", "id": number, "code": code, "target": target, **more}


def outcome(number: str, how: str, **more: Any) -> dict[str, Any]:
    at = "2026-11-26T10:00:01.000Z"
    return {"at": at, "event": "outcome", "id": number, "outcome": how, "ms": 12.3, **more}


def codes(entries: list[Entry]) -> list[Any]:
    return [entry.record.get("code") for entry in entries]


def test_a_cells_lines_are_one_entry(path: Path) -> None:
    write(path, cell("a", "1"), cell("b", "2"), outcome("b", "ok"), outcome("a", "error"))
    first, second = Past(path).latest(Wanted(), 0)
    assert (first.record["code"], first.outcome and first.outcome["outcome"]) == ("1", "error")
    assert (second.record["code"], second.outcome and second.outcome["outcome"]) == ("2", "ok")


def test_files_put_aside_are_read_too(path: Path) -> None:
    aside = path.with_name("journal.jsonl.1")
    write(aside, cell("a", "1"))
    write(path, outcome("a", "ok"), cell("b", "2"))
    write(path.with_name("journal.jsonl.2"), cell("c", "0"))
    found = Past(path).latest(Wanted(), 0)
    assert codes(found) == ["0", "1", "2"]
    assert found[1].outcome is not None
    assert codes(Past(path).latest(Wanted(), 2)) == ["1", "2"]


def test_what_makes_no_sense_is_skipped_and_counted(path: Path) -> None:
    deep = b"[" * 100_000 + b"\n"
    bad = [b"\xff\xfe\n", b"null\n", b"{}\n", b'{"event":1}\n', deep, b"{" * 50 + b"\n"]
    write(path, cell("a", "1"), *bad, cell("b", "2"), b'{"event":"being writ')
    past = Past(path)
    assert codes(past.latest(Wanted(), 0)) == ["1", "2"]
    assert past.damaged == len(bad)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(pid=2), ["orders"]),
        (Wanted(text="ord"), ["orders"]),
        (Wanted(text="app.py"), ["1", "orders"]),
        (Wanted(user="ann"), ["1"]),
        (Wanted(user="1000"), ["1"]),
        (Wanted(user="bob"), ["orders"]),
        (Wanted(since=since("2026-11-26T10:30:00+00:00")), ["orders"]),
        (Wanted(pid=7), []),
    ],
)
def test_filters(path: Path, wanted: Wanted, found: list[str]) -> None:
    later = "2026-11-26T11:00:00.000Z"
    write(
        path,
        cell("a", "1", user="ann", uid=1000),
        cell("b", "orders", pid=2, login="bob", at=later),
    )
    assert codes(Past(path).latest(wanted, 0)) == found


def test_since() -> None:
    now = time.time()
    assert abs(since("2h") - (now - 7200)) < 60
    assert abs(since("3d") - (now - 3 * 86400)) < 60
    assert since("2026-11-26T09:30:00Z") == 1795685400.0
    for nonsense in ("", "soon", "-3h", "d", "1e400d"):
        with pytest.raises(CommandMisused, match="no time"):
            since(nonsense)


def test_news_go_on_when_the_file_is_put_aside(path: Path) -> None:
    write(path, cell("a", "old"))
    news = News(path)
    assert news.take() == []
    write(path, cell("b", "1"), b'{"event":"ha')
    assert [record["code"] for record in news.take()] == ["1"]
    write(path, b'lf"}\n', cell("c", "2"))
    path.rename(path.with_name("journal.jsonl.1"))
    write(path, cell("d", "3"))
    assert [record.get("code") for record in news.take()] == [None, "2", "3"]
    assert news.take() == []
    news.close()


def test_news_of_a_journal_that_is_yet_to_come(path: Path) -> None:
    news = News(path)
    assert news.take() == []
    write(path, cell("a", "1"))
    assert [record["code"] for record in news.take()] == ["1"]
    news.close()


def test_no_link_is_read(path: Path) -> None:
    path.parent.mkdir(0o700, parents=True)
    path.symlink_to("/etc/passwd")
    with pytest.raises(JournalUnread, match="can't be read"):
        Past(path).latest(Wanted(), 0)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(JournalUnread, match="no regular file"):
        Past(path).latest(Wanted(), 0)


def test_no_line_is_obeyed_by_a_terminal(path: Path) -> None:
    """Whatever stands in it, in any field."""
    evil = "\x1b]0;gotcha\x07\x9b31m\u202e"
    write(
        path,
        cell("a", evil, user=evil, notebook=evil, count=evil),
        outcome("a", evil, why=evil, output=evil),
        {"event": "failed", "asked": evil, "why": evil},
        {"event": "comms", "counts": [{"kind": evil, "count": evil}, evil]},
        {"event": "follower", "follower": evil, "why": evil},
        {"event": "follower", "follower": {"user": evil}},
        {"event": evil, "target": {"pid": evil, "command": evil}, "at": evil},
    )
    entries = Past(path).latest(Wanted(), 0)
    for text in (records.as_text(entries), records.as_json(entries)):
        assert not set(text) & set("\x1b\x07\x9b\u202e")
        assert "gotcha" in text


def test_the_lock_of_a_stopped_writer_is_no_hindrance(path: Path) -> None:
    """Nor is that of one who was killed: the system takes it back."""
    holds = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDWR); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    told = Told()
    told.journal(path).write(LINE)
    command = [sys.executable, "-c", holds, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        told.journal(path).write(LINE)
        assert path.read_bytes() == LINE * 2
        process.kill()
        process.wait()
    it = told.journal(path, full=1, kept=2)
    eventually(lambda: it.write(LINE) or path.with_name("journal.jsonl.1").exists())
    assert not told
