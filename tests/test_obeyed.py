"""Whose word the launcher takes: no file that another user could have put in its way.

Root works in other users' directories, with other users' HOME, and in directories that
are everybody's.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from users import NOBODY

from live_kernel.attach.processes import identify
from live_kernel.kernelspec import prepare
from live_kernel.launcher import ipython_profile, ownership, session_files
from live_kernel.launcher.choosing import Memory, forget_dead, from_notebook
from live_kernel.launcher.history_database import Database
from live_kernel.launcher.journal import Journal
from live_kernel.launcher.session_files import SessionNotKept

needs_root = pytest.mark.root

TRAP = "import os\nopen('{sprung}', 'a').write(__name__ + '\\n')\nraise ImportError('a trap')\n"
STANDARD = ("json", "zmq", "click", "getpass", "hmac", "selectors", "IPython", "traitlets")
OURS = ("live_kernel", "ipykernel", "ipykernel_launcher", "jupyter_console", "sitecustomize")


@pytest.fixture
def trapped() -> Iterator[Path]:
    """A directory of another user's, full of modules that tell when they are imported."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:
        place = Path(short)
        place.chmod(0o755)
        for name in (*STANDARD, *OURS):
            (place / f"{name}.py").write_text(TRAP.format(sprung=place / "sprung"))
        config = TRAP.format(sprung=place / "sprung") + "# HistoryManager\n"
        startup = place / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        for each in (place, startup.parent):
            (each / "ipython_config.py").write_text(config)
            (each / "ipython_kernel_config.py").write_text(config)
        (startup / "first.py").write_text(config)
        (place / "mine.py").write_text("word = 'imported'")
        if os.geteuid() == 0:
            for path in (place, *place.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        yield place
        assert not (place / "sprung").exists(), (place / "sprung").read_text()


# -- what is run and imported


def test_the_kernelspec_imports_nothing_from_where_it_is_started(trapped: Path) -> None:
    with tempfile.TemporaryDirectory() as prepared:
        spec = json.loads((prepare(Path(prepared)) / "kernel.json").read_text())
    argv = [word.replace("{connection_file}", str(trapped / "none.json")) for word in spec["argv"]]
    done = subprocess.run(argv, cwd=trapped, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "can't serve" in done.stderr


@needs_root
def test_root_in_a_user_s_directory_with_that_user_s_home(
    trapped: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that a kernel does in passing: cells, `%%local`, history, magics, commands."""
    monkeypatch.chdir(trapped)
    with Kernel("--pid", program.pid, env={"HOME": str(trapped)}) as kernel:
        assert kernel.value("1 + 1") == 2
        assert kernel.run("!true").status == "ok"
        assert kernel.run("%time 1").status == "ok"
        assert kernel.run("%%local\nlocal = 2; print(local)").stdout == "2\n"
        assert kernel.run("%push local").status == "ok"
        assert kernel.ask("history_request", hist_access_type="tail", n=3, raw=True, output=False)
        missing = kernel.run("%%local\nimport mine")
        assert missing.error[0] == "ModuleNotFoundError"
        assert not (trapped / ".ipython" / "profile_default" / "history.sqlite").exists()


def test_cells_of_local_import_from_a_directory_of_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of any notebook; but the kernel itself does not."""
    (tmp_path / "mine.py").write_text("word = 'imported'")
    for name in ("ipykernel", "json", "traitlets"):
        (tmp_path / f"{name}.py").write_text(TRAP.format(sprung=tmp_path / "sprung"))
    monkeypatch.chdir(tmp_path)
    with Kernel() as kernel:
        assert kernel.run("%%local\nimport mine; print(mine.word)").stdout == "imported\n"
    assert not (tmp_path / "sprung").exists()


@needs_root
@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o600), (0, 0o666), (0, 0o660)])
def test_settings_of_ipython_that_are_not_ours_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int
) -> None:
    profile = tmp_path / "profile_default"
    profile.mkdir()
    file = profile / "ipython_config.py"
    ran = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    file.write_text(f"{ran}\nget_config().HistoryManager = {{}}\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    os.chown(file, owner, owner)
    file.chmod(mode)
    ipython_profile.history_file()
    assert not (tmp_path / "ran").exists()
    os.chown(file, 0, 0)
    file.chmod(0o644)
    ipython_profile.history_file()
    assert (tmp_path / "ran").exists(), "one that is ours is"


# -- what is remembered beside the connection file


@needs_root
def test_memory_is_written_through_no_link(tmp_path: Path, program: Program) -> None:
    """Links of either kind, which lie where the file belongs."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    file = tmp_path / "kernel.live-kernel"
    for link in (file.symlink_to, file.hardlink_to):
        link(precious)
        Memory(tmp_path / "kernel.json").remember(identify(program.pid), "4242", pinned=True)
        assert precious.read_text() == "kept"
        assert not file.is_symlink()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.unlink()


@needs_root
@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o600), (0, 0o666)])
def test_memory_that_others_could_write_is_not_believed(
    tmp_path: Path, program: Program, owner: int, mode: int
) -> None:
    """Else another user said which program root's kernel enters."""
    memory = Memory(tmp_path / "kernel.json")
    memory.remember(identify(program.pid), str(program.pid), pinned=True)
    assert memory.recall(pinned=True) is not None
    os.chown(tmp_path / "kernel.live-kernel", owner, owner)
    (tmp_path / "kernel.live-kernel").chmod(mode)
    assert memory.recall(pinned=True) is None


@needs_root
def test_a_notebook_of_another_s_does_not_choose_a_program(tmp_path: Path) -> None:
    notebook = tmp_path / "a.ipynb"
    notebook.write_text(json.dumps({"metadata": {"live_kernel": {"target": "service"}}}))
    named = from_notebook({"JPY_SESSION_NAME": str(notebook)})
    assert named is not None
    assert named.text == "service"
    os.chown(notebook, NOBODY, NOBODY)
    assert from_notebook({"JPY_SESSION_NAME": str(notebook)}) is None


@needs_root
def test_what_is_another_s_is_not_tidied_away(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.live-kernel", tmp_path / "ours.live-kernel"
    for file in (theirs, ours):
        file.touch()
    os.chown(theirs, NOBODY, NOBODY)
    forget_dead(tmp_path)
    assert (theirs.exists(), ours.exists()) == (True, False)


# -- modes


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_history_is_private_whatever_the_umask(tmp_path: Path, no_umask: None) -> None:
    file = tmp_path / "deep" / "history.sqlite"
    database = Database(deque([(1, "secret = 1")]), lambda: file)
    database.save()
    database.close()
    with sqlite3.connect(file) as saved:
        assert saved.execute("SELECT source_raw FROM history").fetchall() == [("secret = 1",)]
    saved.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_everything_that_a_kernel_makes_is_private_whatever_the_umask(
    program: Program, no_umask: None
) -> None:
    with Kernel("--pid", program.pid, transport="ipc") as kernel:
        assert kernel.run(f"%attach {program.pid}").status == "ok"
        kernel.run("%%local\n1")
        made = [path for path in kernel.place.rglob("*") if path.name != "launcher.log"]
        assert len([path for path in made if path.is_socket()]) == 5
        assert any(path.suffix == ".live-kernel" for path in made)
        assert [path for path in made if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []
        assert kernel.run("!umask").stdout == "0000\n", "the user's own files are as ever"


# -- the rule


def test_ours_is_what_nobody_else_can_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("word")
    file.chmod(0o644)
    assert ownership.text_of_ours(file) == "word"
    file.chmod(0o646)
    with pytest.raises(PermissionError, match="is not obeyed"):
        ownership.text_of_ours(file)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PermissionError, match="is not obeyed"):
        ownership.text_of_ours(tmp_path / "pipe")
    assert ownership.is_place_of_ours(tmp_path / "not" / "yet" / "there")
    assert not ownership.is_place_of_ours(Path("/tmp"))


def test_what_is_obeyed_later_is_not_written_where_others_could_put_another(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("kept")
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="tamper"):
        ownership.write_whole(file, "new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["kept"]
    tmp_path.chmod(0o1777)  # as /tmp is: there nobody removes what is another's
    ownership.write_whole(file, "new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]
    assert file.stat().st_mode & 0o777 == 0o600


@needs_root
@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o700), (NOBODY, 0o1777), (0, 0o770)])
def test_nor_where_another_user_could(tmp_path: Path, owner: int, mode: int) -> None:
    """What is his, as with `sudo -E`: be it sticky, its owner takes out what he likes."""
    os.chown(tmp_path, owner, owner)
    tmp_path.chmod(mode)
    with pytest.raises(PermissionError, match="tamper"):
        ownership.write_whole(tmp_path / "words", "new")
    with pytest.raises(SessionNotKept, match="tamper") as refused:
        session_files.save(tmp_path / "session.json", [], {})
    assert "Name another file" in str(refused.value.remedy)
    told: list[str] = []
    Journal(tmp_path / "journal.jsonl", told.append).write(b"{}\n")
    assert "tamper" in told[0]
    assert "names another file" in told[0]
    assert not list(tmp_path.iterdir())


@needs_root
def test_a_user_s_group_may_be_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the umask 002 of many systems, a user's directories are open to the user's group."""
    os.chown(tmp_path, NOBODY, NOBODY)
    tmp_path.chmod(0o770)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    os.close(ownership.open_place(tmp_path))
