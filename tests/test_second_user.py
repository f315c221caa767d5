"""Another user of the machine, who tries everything, in every phase of an attachment: gets nothing.

And what users may do: root attaches to anyone's program, others to their own.
"""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kernels import Kernel
from snapshots import Program
from targets import PROGRAMS, Target, eventually
from users import NOBODY, SOMEBODY, become, python_for, run_as, stranger

from live_kernel.attach import slot
from live_kernel.attach.landing import BUNDLE, LINK, SCRIPT, Landing
from live_kernel.attach.processes import identify

pytestmark = [pytest.mark.attach, pytest.mark.root]

EVERYWHERE = {"TMPDIR": "/tmp"}
"""The launcher's directories are made where every user goes."""


@pytest.fixture
def asleep() -> Iterator[Program]:
    with Program("asleep") as program:
        yield program


@pytest.fixture
def python_of_nobody() -> str:
    return python_for(NOBODY)


def landing_for(program: Program) -> Path:
    """The directory whose script waits in the program, with all that belongs in it."""

    def whole() -> Path:
        script = slot.waiting_script(identify(program.pid))
        assert script
        landing = Path(script).parent
        assert {path.name for path in landing.iterdir()} == {LINK, BUNDLE, SCRIPT}
        return landing

    return eventually(whole)


def all_of(kernel: Kernel) -> tuple[set[int], list[Path], list[int]]:
    """Its processes with those of what it has started, its files, and its ports."""
    launcher = psutil.Process(kernel.launcher_pid)
    pids = {launcher.pid, *(child.pid for child in launcher.children(recursive=True))}
    connection = json.loads((kernel.place / "kernel.json").read_text())
    ports = [port for name, port in connection.items() if name.endswith("_port")]
    return pids, [kernel.place, *kernel.place.iterdir()], ports


# -- everything, in every phase


def test_the_stranger_knows_how(tmp_path: Path) -> None:
    """What a user tries elsewhere in vain works with what is his own: else nothing were shown."""
    python = python_for(NOBODY)
    theirs = Landing(NOBODY, NOBODY)
    try:
        script = theirs.write(SCRIPT, b"pass")
        with Target("blocked_in", python, args=["sleep"], wrap=become(NOBODY)) as target:
            paths = [theirs.path, theirs.path / LINK, script]
            got = stranger(NOBODY, [target.pid], paths, spare=True)
    finally:
        theirs.close()
    names = {name for name, _ in got}
    of_processes = {"environment", "maps", "open files", "memory by file", "memory by call"}
    of_processes |= {"tracing", "descriptor", "its limits", "a question by signal"}
    of_paths = {"listing", "what is below", "reading", "writing", "a file in it", "connecting"}
    of_paths |= {"a change of its mode", "its times", "a link to it", "going there"}
    assert of_processes | of_paths <= names, of_processes | of_paths - names


def test_while_the_target_is_waited_for(asleep: Program) -> None:
    with Kernel("--pid", asleep.pid, env=EVERYWHERE) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_for(asleep)
        pids, paths, ports = all_of(kernel)
        paths += [landing, *landing.iterdir()]
        assert stranger(SOMEBODY, pids | {asleep.pid}, paths, ports) == []
        asleep.send("wake")
        assert cell.finish().result == "'awake'"


def test_while_attached_at_a_breakpoint_and_beside_a_local_kernel(program: Program) -> None:
    with Kernel("--pid", program.pid, env=EVERYWHERE) as kernel:
        assert kernel.run("%%local\nhere = [1]").status == "ok"
        line = 1 + (PROGRAMS / "idle.py").read_text().splitlines().index("    if word != seen:")
        assert kernel.run(f"%break idle.py:{line}").status == "ok"
        kernel.wait(lambda: "is hit" in told(kernel), what="a stop at the breakpoint")
        busy = kernel.begin("import time\nwhile True: time.sleep(0.01)")
        pids, paths, ports = all_of(kernel)
        assert len(pids) == 2, "the launcher and its local kernel"
        assert stranger(SOMEBODY, pids | {program.pid}, paths, ports) == []
        kernel.interrupt()
        assert busy.finish().error[0] == "KeyboardInterrupt"
        assert kernel.run("%unbreak").status == "ok"
        assert kernel.run("%push here").status == "ok"
        assert kernel.value("here") == [1]
        log = kernel.log()
    assert "refused to talk to uid 64444" in log


def told(kernel: Kernel) -> str:
    return "".join(m["content"].get("text", "") for m in kernel.messages)


def test_between_two_users_root_is_a_wall(python_of_nobody: str) -> None:
    """Root has entered a program of one user's: a third gets nothing, and the owner no more."""
    with (
        Program("asleep", python_of_nobody, wrap=become(NOBODY)) as program,
        Kernel("--pid", program.pid, env=EVERYWHERE) as kernel,
    ):
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_for(program)
        pids, paths, ports = all_of(kernel)
        places = [landing, *landing.iterdir()]
        assert stranger(SOMEBODY, pids | {program.pid}, paths + places, ports) == []
        # Its own program is the owner's to look into, and so are the files for it; not root's.
        assert stranger(NOBODY, pids, paths, ports) == []
        program.send("wake")
        assert cell.finish().result == "'awake'"


# -- races


SQUATTER = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
seen, taken = set(), 0

def attempt(*deeds):
    done = 0
    for deed, *arguments in deeds:
        try:
            deed(*arguments)
            done += 1
        except OSError:
            pass
    return done

old = set(os.listdir("/tmp"))
print("ready", flush=True)
while time.monotonic() < end:
    for name in set(os.listdir("/tmp")) - old:
        if name.startswith("live-kernel-"):
            path = f"/tmp/{name}"
            try:
                if os.lstat(path).st_uid == os.getuid():
                    continue
            except OSError:
                continue
            seen.add(name)
            taken += attempt(
                (os.rename, path, path + "-taken"),
                (os.rmdir, path),
                (os.unlink, path + "/link"),
                (os.open, path + "/bootstrap.py", os.O_RDWR),
                (os.listdir, path),
            )
            # A name that is free again is anybody's; it is not used twice.
            attempt((os.symlink, "/etc", path), (os.unlink, path))
            attempt((os.mkdir, path), (os.rmdir, path))
print(len(seen), taken, flush=True)
"""
"""Waits for directories of launchers, to get into them, or put others in their place."""


def test_races_for_the_private_directory_are_lost(program: Program) -> None:
    squatter = subprocess.Popen(
        [*become(SOMEBODY), python_for(SOMEBODY), "-I", "-S", "-c", SQUATTER, "3"],
        stdout=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip
    code = (
        "import sys, time; from live_kernel.handle import attach\n"
        "rounds = 0; end = time.monotonic() + 2\n"
        "while time.monotonic() < end:\n"
        "    with attach(int(sys.argv[1])) as handle:\n"
        "        assert handle.run('1')['status'] == 'ok'\n"
        "    rounds += 1\n"
        "print(rounds)"
    )
    with squatter:
        assert squatter.stdout is not None
        assert squatter.stdout.readline() == "ready\n"
        done = run_as(0, code, program.pid)
        assert done.returncode == 0, done.stderr
        tried, taken = map(int, squatter.stdout.read().split())
    assert int(done.stdout) > 2
    assert tried > 0, "it has seen some"
    assert taken == 0


# -- who may attach to what


def test_root_attaches_to_another_user_s_program(python_of_nobody: str) -> None:
    with Program("idle", python_of_nobody, wrap=become(NOBODY)) as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            assert kernel.value("__import__('os').getuid()") == NOBODY
            assert kernel.run("word = 'by root'").status == "ok"
            program.wait_for("word is by root")
            kernel.run("word = 'start'")
        program.assert_unharmed_since(before)


def test_landing_for_another_user_s_program_is_that_user_s(python_of_nobody: str) -> None:
    """It is made where everybody can go, and nobody but that user and root can enter it."""
    with (
        Program("asleep", python_of_nobody, wrap=become(NOBODY)) as program,
        Kernel("--pid", program.pid) as kernel,
    ):
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        landing = landing_for(program)
        assert landing.parent == Path("/tmp")
        for path in (landing, *landing.iterdir()):
            assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY), path
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        program.send("wake")
        assert cell.finish().result == "'awake'"
        eventually(lambda: not landing.exists(), what="the directory is gone")


ATTACHES = """
import sys; from live_kernel.handle import attach
from live_kernel.errors import AttachNotPermitted
try:
    with attach(int(sys.argv[1])) as handle:
        print(handle.run('word = "by nobody"')['status'])
except AttachNotPermitted as error:
    print(error)
"""


def test_plain_user_attaches_to_own_program(python_of_nobody: str) -> None:
    with Program("idle", python_of_nobody, wrap=become(NOBODY)) as program:
        done = run_as(NOBODY, ATTACHES, program.pid)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
        program.wait_for("word is by nobody")


def test_plain_user_does_not_attach_to_root_s_program() -> None:
    with Program("idle") as program:
        before = program.snapshot()
        done = run_as(NOBODY, ATTACHES, program.pid)
        assert "belongs to root, and this kernel runs as nobody" in done.stdout, done.stderr
        program.assert_unharmed_since(before)


def test_nor_to_that_of_another_user(python_of_nobody: str) -> None:
    with Program("idle", python_of_nobody, wrap=become(NOBODY)) as program:
        before = program.snapshot()
        done = run_as(SOMEBODY, ATTACHES, program.pid)
        assert "belongs to nobody" in done.stdout, done.stderr
        program.assert_unharmed_since(before)
