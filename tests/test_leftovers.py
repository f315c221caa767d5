"""What a launcher leaves that is killed in the middle of an attach, and who takes it away.

Runs in pytest; the launchers are processes that make a private directory, schedule the
bootstrap, and wait to be killed. Rule: what a living one uses is never touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from snapshots import Program, landings
from targets import eventually

from live_kernel.attach import landing, leftovers, slot
from live_kernel.attach.processes import identify
from live_kernel.errors import TargetBlocked
from live_kernel.handle import attach
from live_kernel.launcher import entering
from live_kernel.launcher.choosing import forget_dead

MAKES = """
import os, sys
from live_kernel.attach import injector, processes
from live_kernel.attach.landing import Landing
place = Landing(os.getuid(), os.getgid())
if len(sys.argv) > 1:
    injector.inject(processes.identify(int(sys.argv[1])), place)
print(place.path, flush=True)
sys.stdin.read()
"""

MAKES_FOR_NOBODY = """
import os, pathlib, sys
from live_kernel.attach import landing
landing.EVERYBODYS = pathlib.Path(sys.argv[1])
landing.Landing(65534, 65534).write("bundle", b"")
os._exit(0)
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private directories are made, and count as old at once."""
    # A short name: the path of a socket has a limit, and pytest's are long.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(leftovers, "OLD", 0.0)
        assert landing.runtime_directory(os.geteuid()) == Path(short)
        yield Path(short)


@contextmanager
def launcher(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process with a private directory, which exists when the block begins."""
    command = [sys.executable, "-c", MAKES, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_a_dead_launchers_directory_is_removed(place: Path) -> None:
    with launcher() as process:
        (made,) = landings(place)
        leftovers.sweep(place)
        assert landings(place) == [made], "its launcher lives"
        process.kill()
        process.wait()
        leftovers.sweep(place)
        assert landings(place) == []


def test_what_is_young_or_not_of_our_making_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "live-kernel-notes").mkdir()
    (place / "live-kernel-0123456789ab").symlink_to(place / "live-kernel-notes")
    with launcher() as process:
        process.kill()
        process.wait()
        monkeypatch.setattr(leftovers, "OLD", 60.0)
        leftovers.sweep(place)
        assert len(landings(place)) == 3
        monkeypatch.setattr(leftovers, "OLD", 0.0)
        (made,) = (path for path in landings(place) if (path / landing.LINK).exists())
        (made / "other").touch()
        leftovers.sweep(place)
        assert [path.name for path in made.iterdir()] == ["other"]
        assert len(landings(place)) == 3


@pytest.mark.root
def test_root_removes_what_it_made_for_another_user(place: Path) -> None:
    place.chmod(0o1777)
    with subprocess.Popen([sys.executable, "-c", MAKES_FOR_NOBODY, str(place)]) as process:
        process.wait()
    (left,) = landings(place)
    assert left.stat().st_uid == 65534
    leftovers.sweep(place)
    assert landings(place) == []


@pytest.mark.attach
def test_a_script_that_waits_is_taken_back_first(place: Path) -> None:
    """Else the program would complain, whenever it wakes, that it can't open the file."""
    with Program("asleep") as program:
        process = identify(program.pid)
        with launcher(program.pid) as killed:
            killed.kill()
            killed.wait()
        assert slot.waiting_script(process)
        leftovers.sweep(place)
        assert slot.waiting_script(process) == ""
        assert landings(place) == []


def test_what_was_kept_beside_a_connection_file_goes_after_it(tmp_path: Path) -> None:
    for name in ("kernel-1.json", "kernel-1.live-kernel", "kernel-[2].live-kernel"):
        (tmp_path / name).touch()
    forget_dead(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "kernel-1.json",
        "kernel-1.live-kernel",
    ]


@pytest.mark.attach
def test_giving_up_does_not_wait_for_the_injection(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Python that compiles the agent may take long."""
    goes_on = threading.Event()
    inject = entering.injector.inject

    def slowly(*arguments: object) -> None:
        goes_on.wait(20)
        inject(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(entering.injector, "inject", slowly)
    with Program("asleep") as program:
        begun = time.monotonic()
        with pytest.raises(TargetBlocked, match="Gave up entering"):
            attach(program.pid, timeout=0.1)
        assert time.monotonic() - begun < 5
        goes_on.set()
        eventually(lambda: not landings(place))
        assert slot.waiting_script(identify(program.pid)) == ""


@pytest.mark.attach
@pytest.mark.root
def test_a_name_alone_takes_nobody_s_script_back(place: Path) -> None:
    """In a container, say, somebody may make a directory of a name that means another here."""
    with Program("asleep") as program, launcher(program.pid):
        assert slot.waiting_script(identify(program.pid))

        def asked(owner: int) -> set[int]:
            return {process.pid for process in leftovers._which_may_have_scripts(owner)}

        assert program.pid not in asked(65534), "no program of that user's runs it"
        assert program.pid in asked(os.geteuid())


@pytest.mark.attach
def test_what_may_still_run_is_not_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else anybody could put another script where the program will look for ours."""
    with Program("asleep") as program:
        with launcher(program.pid) as killed:
            killed.kill()
            killed.wait()
        with monkeypatch.context() as patched:
            patched.setattr(slot, "clear", lambda _process, _script: False)
            leftovers.sweep(place)
        (left,) = landings(place)
        assert (left / landing.SCRIPT).exists()
        leftovers.sweep(place)
        assert landings(place) == []
