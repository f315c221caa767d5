"""The private directory in which launcher and agent meet: who may enter, and what remains."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from live_kernel.attach import landing as landing_module
from live_kernel.attach import proc
from live_kernel.attach.acting import acting_as
from live_kernel.attach.landing import (
    LONGEST_SOCKET_PATH,
    Landing,
    private_directory,
    runtime_directory,
)

ME = os.geteuid()
NOBODY = 65534
needs_root = pytest.mark.skipif(ME != 0, reason="needs to be root")


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """All of it happens in a directory of the test's own, under which nothing remains."""
    # A short name: the path of a socket has a limit, and pytest's are long.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield Path(short)
        assert list(Path(short).iterdir()) == []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- what is made


def test_nobody_else_can_enter_or_read() -> None:
    landing = Landing(ME, os.getegid())
    script = landing.write("bootstrap.py", b"pass")
    assert mode(landing.path) == 0o700
    assert mode(landing.path / "link") == mode(script) == 0o600
    assert stat.S_ISSOCK((landing.path / "link").lstat().st_mode)
    assert script.read_bytes() == b"pass"
    assert {path.lstat().st_uid for path in (landing.path, landing.path / "link", script)} == {ME}
    landing.close()


def test_tokens_and_places_are_never_the_same() -> None:
    landings = [Landing(ME, os.getegid()) for _ in range(5)]
    assert len({each.token for each in landings}) == len({each.path for each in landings}) == 5
    assert all(len(each.token) >= 32 for each in landings)
    for each in landings:
        each.close()


@pytest.mark.root
@needs_root
def test_made_by_root_everything_belongs_to_the_targets_user() -> None:
    landing = Landing(NOBODY, NOBODY)
    written = landing.write("bundle", b"")
    for path in (landing.path, landing.path / "link", written):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (NOBODY, NOBODY)
    landing.close()


@pytest.mark.root
@needs_root
def test_root_becomes_that_user_on_this_thread_alone_and_for_that_moment(temporary: Path) -> None:
    temporary.chmod(0o777)
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        with acting_as((NOBODY, NOBODY)):
            (temporary / "mine").touch()
            with pytest.raises(PermissionError):
                Path("/etc/live-kernel-test").touch()
            assert effective() == NOBODY
            assert effective(other.native_id) == ME
    finally:
        ended.set()
        other.join()
    assert effective() == ME
    assert (temporary / "mine").stat().st_uid == (temporary / "mine").stat().st_gid == NOBODY
    assert Path("/proc/self/environ").stat().st_uid == ME, "the process is as dumpable as before"
    with pytest.raises(ZeroDivisionError), acting_as((NOBODY, NOBODY)):
        1 / 0  # noqa: B018
    assert effective() == ME
    (temporary / "mine").unlink()


def effective(thread: int | None = None) -> int:
    """The user that a thread is, by default this one."""
    return proc.status(f"self/task/{thread or threading.get_native_id()}").uids[1]


def test_a_file_is_made_anew_and_written_through_no_link(temporary: Path) -> None:
    landing = Landing(ME, os.getegid())
    outside = temporary / "outside"
    outside.write_bytes(b"somebody else's")
    (landing.path / "bundle").symlink_to(outside)
    written = landing.write("bundle", b"ours")
    assert (written.read_bytes(), outside.read_bytes()) == (b"ours", b"somebody else's")
    assert not written.is_symlink()
    assert landing.write("bundle", b"again").read_bytes() == b"again"
    landing.close()
    outside.unlink()


def test_a_file_is_private_whatever_the_umask() -> None:
    before = os.umask(0)
    try:
        landing = Landing(ME, os.getegid())
        assert mode(landing.write("bundle", b"")) == mode(landing.path / "link") == 0o600
        assert mode(landing.path) == 0o700
        landing.close()
    finally:
        os.umask(before)


# -- who connects


def test_a_connection_is_taken_with_its_peers_pid() -> None:
    landing = Landing(ME, os.getegid())
    assert landing.accept() is None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(landing.path / "link"))
        accepted = landing.accept()
        assert accepted is not None
        connection, pid = accepted
        with connection:
            assert pid == os.getpid()
            client.sendall(b"hello")
            assert connection.recv(16) == b"hello"
    assert landing.accept() is None
    landing.close()
    assert landing.accept() is None


# -- what remains


def test_closing_removes_everything_and_may_be_said_twice() -> None:
    landing = Landing(ME, os.getegid())
    for name in ("bundle", "bootstrap.py"):
        landing.write(name, b"")
    landing.close()
    assert not landing.path.exists()
    landing.close()


def test_closing_a_descriptor_twice_would_close_somebody_elses() -> None:
    landing = Landing(ME, os.getegid())
    landing.close()
    with open(os.devnull) as other:  # noqa: PTH123
        landing.close()
        os.fstat(other.fileno())


def test_files_of_others_are_left_to_them(temporary: Path) -> None:
    landing = Landing(ME, os.getegid())
    (landing.path / "theirs").write_text("kept")
    landing.close()
    assert [path.name for path in landing.path.iterdir()] == ["theirs"]
    (landing.path / "theirs").unlink()
    landing.path.rmdir()


def test_a_directory_put_in_its_place_loses_nothing(temporary: Path) -> None:
    """The target's user may rename the directory while root is about to clean up."""
    landing = Landing(ME, os.getegid())
    landing.write("bundle", b"")
    moved, trap = temporary / "moved", landing.path
    landing.path.rename(moved)
    trap.mkdir()
    for name in ("link", "bundle", "bootstrap.py"):
        (trap / name).write_text("somebody else's")
    landing.close()
    assert sorted(path.name for path in trap.iterdir()) == ["bootstrap.py", "bundle", "link"]
    assert list(moved.iterdir()) == []
    for path in trap.iterdir():
        path.unlink()
    trap.rmdir()
    moved.rmdir()


def test_one_that_cannot_be_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    def refuse(*_: object) -> None:
        raise OSError("no sockets today")

    for name in ("bind", "listen"):
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, name, refuse)
            with pytest.raises(OSError, match="no sockets today"):
                Landing(ME, os.getegid())
    assert set(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


# -- where it is made


@pytest.fixture
def runtime(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's runtime directory, as the system makes it."""
    directory = temporary / "run"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    yield directory
    directory.rmdir()


def test_the_users_own_runtime_directory_is_preferred(runtime: Path) -> None:
    assert runtime_directory(ME) == runtime
    landing = Landing(ME, os.getegid())
    assert landing.path.parent == runtime
    landing.close()


def test_for_the_targets_of_others_it_is_everybodys(runtime: Path) -> None:
    """They could not enter a directory of ours, whatever TMPDIR says."""
    assert runtime_directory(ME + 1) == Path("/tmp")


def test_it_must_be_private(runtime: Path, temporary: Path) -> None:
    for open_to in (0o710, 0o701, 0o777):
        runtime.chmod(open_to)
        assert runtime_directory(ME) == temporary
    runtime.chmod(0o700)


def test_it_must_be_there_and_a_directory(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(temporary)
    (temporary / "relative").mkdir(0o700)
    (temporary / "file").write_text("")
    unusable = ["", str(temporary / "missing"), str(temporary / "file"), "relative"]
    for value in unusable:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert runtime_directory(ME) == temporary
    for value in unusable:
        monkeypatch.setenv("TMPDIR", value)
        assert runtime_directory(ME) == Path("/tmp")
    (temporary / "relative").rmdir()
    (temporary / "file").unlink()


@pytest.mark.root
@needs_root
def test_it_must_be_our_own(runtime: Path, temporary: Path) -> None:
    os.chown(runtime, NOBODY, NOBODY)
    assert runtime_directory(ME) == temporary


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("where", ["itself", "above"])
@pytest.mark.parametrize(("owner", "mode"), [(0, 0o777), (0, 0o775), (NOBODY, 0o755)])
def test_no_place_where_others_could_put_something_else(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, where: str, owner: int, mode: int
) -> None:
    """They could rename our directory, and the target would run what lies in theirs."""
    inner = temporary / "above" / "itself"
    inner.mkdir(parents=True)
    weak = inner if where == "itself" else inner.parent
    monkeypatch.setenv("TMPDIR", str(inner))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(inner))
    assert runtime_directory(ME) == inner
    os.chown(weak, owner, owner)
    weak.chmod(mode)
    assert runtime_directory(ME) == Path("/tmp")
    weak.chmod(mode | stat.S_ISVTX)
    assert (runtime_directory(ME) == inner) == (owner == 0), "where only owners can rename"
    shutil.rmtree(inner.parent)


def test_links_to_a_place_are_followed_once(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at is where they lead; and that is where things are made."""
    link, place = temporary / "link", temporary / "place"
    place.mkdir()
    link.symlink_to(place)
    monkeypatch.setenv("TMPDIR", str(link))
    assert runtime_directory(ME) == place
    link.unlink()
    place.rmdir()


def test_without_any_fit_place_nothing_is_made(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A /tmp that can be written by all and is not sticky, as badly made containers have it."""
    weak = temporary / "weak"
    weak.mkdir()
    weak.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(weak))
    monkeypatch.setattr(landing_module, "EVERYBODYS", weak)
    monkeypatch.setattr(landing_module, "_OTHERS", ())
    for make in (lambda: Landing(ME, os.getegid()), lambda: Landing(NOBODY, NOBODY)):
        with pytest.raises(PermissionError, match=r"is not sticky \(chmod \+t "):
            make()
    with pytest.raises(PermissionError):
        private_directory()
    assert list(weak.iterdir()) == []
    weak.chmod(0o1777)
    made = private_directory()
    assert (made.parent, mode(made)) == (weak, 0o700)
    made.rmdir()
    weak.rmdir()


@pytest.mark.parametrize("kind", ["directory", "link", "file"])
def test_a_name_that_is_taken_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(landing_module, "_random_name", lambda: "0123456789ab")
    taken, theirs = temporary / "live-kernel-0123456789ab", temporary / "theirs"
    theirs.mkdir()
    {
        "directory": taken.mkdir,
        "link": lambda: taken.symlink_to(theirs),
        "file": taken.touch,
    }[kind]()
    with pytest.raises(FileExistsError):
        Landing(ME, os.getegid())
    with pytest.raises(FileExistsError):
        private_directory()
    assert list(theirs.iterdir()) == []
    taken.rmdir() if kind == "directory" else taken.unlink()
    theirs.rmdir()


def test_a_long_path_is_avoided(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert runtime_directory(ME) == temporary
    monkeypatch.setenv("TMPDIR", str(long))
    assert runtime_directory(ME) == Path("/tmp")
    landing = Landing(ME, os.getegid())
    assert len(os.fsencode(landing.path / "link")) <= LONGEST_SOCKET_PATH
    landing.close()


def test_the_longest_path_that_is_not_avoided_is_short_enough(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = temporary / ("x" * (59 - len(str(temporary)) - 1))
    longest.mkdir()
    monkeypatch.setenv("TMPDIR", str(longest))
    landing = Landing(ME, os.getegid())
    assert landing.path.parent == longest
    landing.close()
    longest.rmdir()
