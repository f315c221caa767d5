"""Who sees to what a launcher leaves that is killed: a shell that waits for a word.

Runs in pytest; the launchers are processes that make something watched over, and wait to be killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from elsewhere import Elsewhere
from kernels import Kernel
from snapshots import Program, landings
from targets import ROOT, eventually

from live_kernel.attach import landing, slot, watchdog
from live_kernel.attach.processes import identify
from live_kernel.attach.watchdog import Watchdog

SCHEDULES = """
import sys
from live_kernel.attach import injector, landing, processes
process = processes.identify(int(sys.argv[1]))
place = landing.for_process(process)
injector.inject(process, place)
print(place.path, flush=True)
sys.stdin.read()
"""


@contextmanager
def launcher(pid: int, place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has scheduled a script in the target, whose files it tells."""
    with subprocess.Popen(
        [sys.executable, "-c", SCHEDULES, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(place), "XDG_RUNTIME_DIR": ""},
    ) as process:
        assert process.stdout is not None
        made = process.stdout.readline().strip()
        try:
            assert made
            yield process, Path(made)
        finally:
            process.kill()


def watchdogs() -> list[psutil.Process]:
    """The shells that wait on this machine, for whoever it may be."""
    processes = psutil.process_iter(["cmdline"])
    return [each for each in processes if "live-kernel-watchdog" in (each.info["cmdline"] or [])]


def watchdog_of(path: Path) -> psutil.Process:
    """The one that watches over this directory."""

    def one() -> psutil.Process | None:
        mine = [each for each in watchdogs() if str(path) in each.info["cmdline"]]
        return mine[0] if len(mine) == 1 else None

    found = eventually(one)
    assert found is not None
    return found


def test_it_acts_where_no_word_is_said(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
    text += "from live_kernel.attach.watchdog import Watchdog\n"
    text += f"kept = Watchdog('/bin/sh', '-c', 'echo done > {mark}')\n"
    subprocess.run([sys.executable, "-c", text + "os._exit(0)"], check=True)
    eventually(lambda: mark.exists() and mark.read_text() == "done\n")


def test_it_does_nothing_once_it_is_dismissed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    Watchdog("/bin/sh", "-c", f"echo wrong >> {mark}").dismiss()
    kept = Watchdog("/bin/sh", "-c", f"echo done >> {mark}")
    kept.dismiss()
    kept.dismiss()
    eventually(lambda: not [each for each in watchdogs() if str(mark) in str(each.info["cmdline"])])
    assert not mark.exists()


def test_a_machine_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no watchdog then, and nobody misses it."""
    monkeypatch.setattr(watchdog, "_SHELL", "/nowhere/sh")
    before = set(Path("/proc/self/fd").iterdir())
    Watchdog("true").dismiss()
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.attach
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_script_that_waits_is_taken_back(is_stopped: bool) -> None:
    """Also from a program that is stopped, which would complain when it goes on."""
    with Program("asleep") as program:
        process = identify(program.pid)
        with launcher(program.pid, Path("/tmp")) as (killed, made):
            assert slot.waiting_script(process)
            if is_stopped:
                program.signal(signal.SIGSTOP)
            killed.kill()
            killed.wait()
            eventually(lambda: not made.exists())
            assert slot.waiting_script(process) == ""
        program.signal(signal.SIGCONT)


@pytest.mark.attach
@pytest.mark.root
def test_among_the_files_of_a_program_that_has_others() -> None:
    with Elsewhere("asleep") as program:
        process = identify(program.pid)
        with launcher(program.pid, Path("/tmp")) as (killed, _):
            assert landings(program.ours("/tmp"))
            assert slot.waiting_script(process)
            killed.kill()
            killed.wait()
            eventually(lambda: not program.left())
            assert slot.waiting_script(process) == ""


@pytest.mark.attach
def test_a_watchdog_that_is_killed_is_missed_by_nobody() -> None:
    with Program("asleep") as program, launcher(program.pid, Path("/tmp")) as (process, made):
        watchdog_of(made).kill()
        assert process.stdin is not None
        assert process.poll() is None
        process.kill()
        process.wait()
        assert made.exists(), "a later launcher removes it"
        with pytest.MonkeyPatch.context() as patch:
            from live_kernel.attach import leftovers

            patch.setattr(leftovers, "OLD", 0.0)
            leftovers.sweep(made.parent)
        assert not made.exists()


@pytest.mark.attach
def test_a_watchdog_is_there_for_the_attach_only(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        eventually(
            lambda: not [g for g in watchdogs() if str(kernel.place) in str(g.info["cmdline"])]
        )
        children = psutil.Process(kernel.launcher_pid).children()
        assert not children


def test_many_directories_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a watchdog of its own, and none keeps another's pipe."""
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    made = [landing.PrivateDirectory(os.geteuid(), os.getegid()) for _ in range(5)]
    watching = [watchdog_of(each.path) for each in made]
    threads = [threading.Thread(target=each.close) for each in made[:4]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: not any(each.is_running() for each in watching[:4]))
    assert watching[4].is_running()
    assert made[4].path.exists()
    made[4].close()
    eventually(lambda: not watching[4].is_running())
    assert not any(each.path.exists() for each in made)
