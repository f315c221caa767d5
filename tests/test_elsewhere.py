"""Programs that see other files than the kernel: entered, served, and left as they were.

Runs in pytest, as root. Rule: nothing is left among the program's files, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from elsewhere import AS_NOBODY, BRING_BACK, IS_HIDDEN, KEEP, KINDS, Elsewhere, allowed
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target, eventually, python314, python315

from live_kernel.attach import blocked, doctor, grounds, interpreter, landing, leftovers, slot
from live_kernel.attach.processes import Process, identify
from live_kernel.errors import (
    AgentFailed,
    DebuggingDisabled,
    OtherNamespace,
    TargetBlocked,
    TargetNotFound,
)
from live_kernel.handle import Handle, attach

pytestmark = [pytest.mark.attach, pytest.mark.harm, pytest.mark.root]

USERS = {"all namespaces, of nobody": 65534, "users of its own": 100000}


def value(handle: Handle, code: str) -> str:
    """What a cell results in."""
    shown: list[str] = []

    def show(event: dict[str, object]) -> None:
        data = event.get("data")
        if isinstance(data, dict):
            shown.append(str(data["text/plain"]))

    outcome = handle.run(code, show)
    assert outcome["status"] == "ok", outcome
    return "".join(shown)


ON_MAIN = "import threading\nthreading.current_thread() is threading.main_thread()"


# -- entered and left


@pytest.mark.parametrize("kind", KINDS)
def test_in_and_out(kind: str) -> None:
    with Elsewhere("idle", kind) as program:
        before = program.snapshot()
        with attach(program.pid, timeout=10) as handle:
            assert program.left() == []
            assert value(handle, "len(orders)") == "2"
            own = value(handle, "import os\nos.getpid()")
            assert own == ("1" if kind.startswith("all") else str(program.pid))
            assert value(handle, f"%%main\n{ON_MAIN}") == "True"
            handle.run("word = 'from outside'")
            program.wait_for("word is from outside")
            failed = handle.run("orders[9]")["error"]
            assert failed["ename"] == "IndexError"
            handle.run("word = 'start'")
        program.assert_unharmed_since(before, interrupted=True)
        assert program.left() == []


def test_without_proc() -> None:
    """What a thread is to run there has a name for its moment, so that it can be opened."""
    with Elsewhere("no_proc") as program:
        before = program.snapshot()
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "1 + 1") == "2"
            assert value(handle, f"%%main\n{ON_MAIN}") == "True"
            assert value(handle, "1 + 1") == "2"
        program.assert_unharmed_since(before, interrupted=True)
        assert program.left() == []


@pytest.mark.python315
@pytest.mark.parametrize("kind", KINDS)
def test_another_version_compiles_the_agent_itself(kind: str) -> None:
    with Elsewhere("idle", kind, python315()) as program:
        before = program.snapshot()
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "import sys\nsys.version_info[:2]") == "(3, 15)"
            assert "orders" in handle.complete("ord"), "by modules that are compiled later"
            assert handle.run("1 / 0")["error"]["ename"] == "ZeroDivisionError"
        program.assert_unharmed_since(before)
        assert program.left() == []


@pytest.mark.parametrize("kind", KINDS)
def test_idle_loop_is_woken(kind: str) -> None:
    """Also where its threads have other numbers than we know them by."""
    with Elsewhere("aio_idle", kind) as program:
        before = program.snapshot()
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "1 + 1") == "2"
        program.assert_unharmed_since(before)


def test_many_times() -> None:
    with Elsewhere("busy", "all namespaces") as program:
        before = program.snapshot()
        for number in range(20):
            with attach(program.pid, timeout=10) as handle:
                assert value(handle, str(number)) == str(number)
        program.assert_unharmed_since(before)
        assert program.left() == []


def test_two_launchers() -> None:
    with Elsewhere("idle", "all namespaces") as program:
        before = program.snapshot()
        with attach(program.pid) as first, attach(program.pid) as second:
            assert value(first, "1") == value(second, "1") == "1"
        program.assert_unharmed_since(before)


def test_a_plain_user_enters_what_is_in_a_namespace_of_its_own() -> None:
    code = (
        "import sys; from live_kernel.handle import attach\n"
        "with attach(int(sys.argv[1]), timeout=10) as h:\n"
        "    print(h.run('word = \"by nobody\"')['status'])"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("XDG_RUNTIME_DIR", None)
    start = [*AS_NOBODY, sys.executable, "-c"]
    look = [*start, "import live_kernel.handle"]
    if subprocess.run(look, env=env, capture_output=True, cwd="/", check=False).returncode != 0:
        pytest.skip(f"nobody can't run {sys.executable} with live_kernel")
    with Elsewhere("idle", "all namespaces, of nobody") as program:
        done = subprocess.run(
            [*start, code, str(program.pid)],
            env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
        program.wait_for("word is by nobody")
        assert program.left() == []


def _standard_library() -> Path:
    command = [python314(), "-c", "import os; print(os.path.dirname(os.__file__))"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def _link(source: str, copy: str) -> None:
    try:
        os.link(source, copy)
    except OSError:
        shutil.copy2(source, copy)


def test_a_root_directory_of_its_own_in_our_namespace(tmp_path: Path) -> None:
    """As a daemon that calls chroot(2), with Python's library in there."""
    library = _standard_library()
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "test", "idlelib")
    shutil.copytree(
        library,
        f"{tmp_path}{library}",
        copy_function=_link,
        ignore=left_out,
        ignore_dangling_symlinks=True,
    )
    (tmp_path / "tmp").mkdir(exist_ok=True)
    (tmp_path / "tmp").chmod(0o700)
    # Nothing, unless that library is itself below /tmp.
    there = [each.name for each in (tmp_path / "tmp").iterdir()]
    with Target("rooted", args=[tmp_path]) as program:
        assert f"(its root directory is {tmp_path}); can be met in its /tmp" in files(program.pid)
        for _ in range(2):
            with attach(program.pid, timeout=10) as handle:
                assert value(handle, "os.getcwd(), os.listdir('/tmp')") == repr(("/", there))
        assert program.errors() == []
        assert [each.name for each in (tmp_path / "tmp").iterdir()] == there


def test_a_root_directory_without_the_standard_library(tmp_path: Path) -> None:
    """The agent can't be loaded; that is told, and nothing else happens."""
    with Target("rooted", args=[tmp_path]) as program:
        with pytest.raises(AgentFailed, match="No module named '__future__'") as caught:
            attach(program.pid, timeout=10)
        assert "standard library must be among the program's files" in caught.value.remedy
        assert program.errors() == []
        assert list(tmp_path.iterdir()) == []
        assert program.alive()


def files(pid: int) -> str:
    """What `doctor` finds about its files."""
    return next(finding.detail for finding in doctor.doctor(pid) if finding.name == "files")


# -- in a notebook


def test_what_a_notebook_can_do() -> None:
    with Elsewhere("idle", "all namespaces") as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid) as kernel:
            assert kernel.run("word").result == "'start'"
            assert "orders" in kernel.complete("ord")
            assert kernel.run("print(open('/proc/self/comm').read())").status == "ok"
            command = kernel.run("!echo here")
            assert "sees other files than that" in command.stderr
            assert "here" not in command.stdout
            magic = kernel.run("%timeit 1")
            assert "can't be lent the kernel's: it sees other files" in magic.stderr
            assert magic.error == ("ModuleNotFoundError", "No module named 'IPython'")
            assert len(magic.reply["traceback"]) < 8
            name, text = kernel.run("%pull orders").error
            assert name == "NotTrusted"
            assert "would let it run any code outside" in text
            assert kernel.run("%pull --json word as theirs").status == "ok"
            assert kernel.run("%%local\ntheirs").result == "'start'"
            assert kernel.run("%%local\nmine = {1: 'one'}").status == "ok"
            assert kernel.run("%push mine").status == "ok"
            assert kernel.run("mine").result == "{1: 'one'}"
            endless = kernel.begin("print('begun', flush=True)\nwhile True: pass")
            endless.wait_for("begun")
            kernel.interrupt()
            assert endless.finish().error[0] == "KeyboardInterrupt"
            assert program.left() == []
        program.assert_unharmed_since(before, interrupted=True)
        assert program.left() == []


# -- given up, killed


@pytest.mark.parametrize("kind", KINDS)
def test_given_up_while_it_is_blocked(kind: str) -> None:
    with Elsewhere("asleep", kind) as program:
        before = program.snapshot()
        with pytest.raises(TargetBlocked, match=r"waits in futex \(a lock\)"):
            attach(program.pid, timeout=1)
        process = identify(program.pid)
        assert slot.waiting_script(process) == ""
        assert program.left() == []
        program.assert_unharmed_since(before)
        program.send("wake")
        program.wait_for("woken")
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "state") == "'awake'"


def test_entered_when_it_wakes() -> None:
    with Elsewhere("asleep", "all namespaces") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        (made,) = map(Path, program.left())
        assert made.stat().st_mode & 0o777 == 0o700
        program.send("wake")
        assert cell.finish().result == "'awake'"
        eventually(lambda: not program.left())


def test_ended_meanwhile() -> None:
    with Elsewhere("idle") as program:
        program.expected_to_end = True
        process = identify(program.pid)
        other = process._replace(start_time=process.start_time - 1)
        with pytest.raises(TargetNotFound):
            landing.for_process(other)
        program.process.kill()
        program.wait()
        with pytest.raises(TargetNotFound):
            landing.for_process(process)


MAKES = """
import sys
from live_kernel.attach import injector, processes
from live_kernel.attach.landing import for_process
process = processes.identify(int(sys.argv[1]))
place = for_process(process)
injector.inject(process, place)
print(place.path, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_launcher_left(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "OLD", 0.0)
    monkeypatch.setattr(landing, "EVERYBODYS", tmp_path)  # our own files are not in question
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Elsewhere("asleep", kind) as program:
        process = identify(program.pid)
        command = [sys.executable, "-c", MAKES, str(program.pid)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as launcher:
            assert launcher.stdout is not None
            made = launcher.stdout.readline().strip()
            assert program.ours(made).is_dir()
            assert program.ours(made).stat().st_uid == process.uid == USERS.get(kind, 0)
            leftovers.sweep_in(process)
            assert program.ours(made).is_dir(), "its launcher lives"
            launcher.kill()
        assert slot.waiting_script(process) == f"{made}/bootstrap.py"
        leftovers.sweep_all()
        assert program.left() == []
        assert slot.waiting_script(process) == ""
        program.send("wake")
        program.wait_for("woken")


# -- the slot


def test_somebody_elses_script_is_not_overwritten() -> None:
    with Elsewhere("asleep") as program:
        process = identify(program.pid)
        slot.fill(process, "/tmp/theirs.py")
        with pytest.raises(slot.Taken):
            slot.fill(process, "/tmp/ours.py")
        looks = iter([True, True, False])
        assert not slot.when_free(
            process, lambda: slot.fill(process, "/tmp/ours.py"), lambda: next(looks)
        )
        assert slot.waiting_script(process) == "/tmp/theirs.py"
        assert slot.clear(process, "/tmp/theirs.py")


def test_switched_off() -> None:
    with Elsewhere("idle", options=["-X", "disable-remote-debug"]) as program:
        with pytest.raises(DebuggingDisabled):
            identify(program.pid)
        with pytest.raises(DebuggingDisabled):
            slot.fill(_unchecked(program), "/tmp/ours.py")
        assert program.errors() == []


def _unchecked(program: Elsewhere) -> Process:
    """As if an earlier look had found nothing in the way."""
    with Elsewhere("idle") as other:
        known = identify(other.pid)
    start_time = doctor.proc.stat(program.pid).start_time
    return known._replace(pid=program.pid, start_time=start_time)


# -- where it can be met


def needs_its_tmp() -> None:
    """Skip a test that takes the files below /tmp from a program whose Python is there."""
    if IS_HIDDEN:
        pytest.skip("this checkout is below /tmp, where the program then has nothing")


HOSTILE: dict[str, Callable[[str], str]] = {
    "to a directory of the host": lambda trap: f"ln -s /proc/1/root{trap} tmp",
    "to a directory above": lambda trap: f"ln -s ../../..{trap} tmp",
    "to one of its own": lambda _: "mkdir -m 1777 aside; ln -s aside tmp",
}


@pytest.mark.parametrize("link", HOSTILE)
def test_links_of_a_hostile_container_lead_nowhere(link: str, tmp_path: Path) -> None:
    """Its /tmp is a link: nothing is made behind it, and another directory serves."""
    if "its own" not in link:
        needs_its_tmp()
    script = KINDS["a private root"][-2].replace(
        "chmod 1777 tmp dev/shm", f"rmdir tmp; {HOSTILE[link](str(tmp_path))}; chmod 1777 dev/shm"
    )
    wrap = ("unshare", "-m", "sh", "-c", script, "sh")
    with Elsewhere("asleep", wrap=wrap, env={"WITNESS": ""}) as program:
        assert "can be met in its /dev/shm" in files(program.pid)
        with Kernel("--pid", program.pid) as kernel:
            cell = kernel.begin("state")
            cell.wait_for("Waiting: ")
            assert [*program.ours("/dev/shm").glob("live-kernel-*/link")]
            assert list(tmp_path.iterdir()) == []
            program.send("wake")
            assert cell.finish().result == "'awake'"
        assert list(tmp_path.iterdir()) == []
        eventually(lambda: not program.left())


READ_ONLY = f"""
{KEEP}
for each in /tmp /dev/shm /var/tmp /run; do mount -t tmpfs tmpfs "$each"; done
(cd /; {BRING_BACK})
for each in /tmp /dev/shm /var/tmp /run; do mount -o remount,ro "$each"; done
cd /proc; exec "$@"
"""


def test_no_directory_at_all() -> None:
    """The error tells what helps; and that does help."""
    needs_its_tmp()
    wrap = ("unshare", "-m", "sh", "-c", READ_ONLY, "sh")
    with Elsewhere("idle", wrap=wrap, env={"WITNESS": ""}) as program:
        with pytest.raises(OtherNamespace, match="no directory in which its user") as caught:
            attach(program.pid)
        remedy = caught.value.remedy.rpartition(": ")[2].split()
        subprocess.run(remedy, check=True)
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "1") == "1"


def directories(program: Target, uid: int = 0) -> list[str]:
    with grounds.of(program.pid, uid) as found:
        return [str(ground.path) for ground in found]


def test_its_own_choice_comes_first(tmp_path: Path) -> None:
    """TMPDIR, and at last its working directory; neither is ours."""
    short = "/tmp/lk-told"
    private = f"{KEEP}; mount -t tmpfs tmpfs /tmp; cd /; {BRING_BACK}"
    script = f'{private}; mkdir -m 700 {short} /tmp/work; cd /tmp/work; exec "$@"'
    wrap = ("unshare", "-m", "sh", "-c", script, "sh")
    with Elsewhere("idle", wrap=wrap, env={"TMPDIR": short, "WITNESS": ""}) as program:
        assert directories(program)[0] == short
        assert directories(program)[-1] == "/tmp/work"
        (program.ours(short)).chmod(0o777)
        assert short not in directories(program), "anybody could put something in its place"
        (program.ours(short)).chmod(0o1777)
        assert short in directories(program)
        os.chown(program.ours(short), 4242, 4242)
        assert short not in directories(program), "another user could"
        (program.ours(short)).rename(program.ours("/tmp/aside"))
        (program.ours(short)).symlink_to("/tmp/aside")
        assert short not in directories(program), "links are not followed"


# -- what stays outside


def test_its_interpreter_is_not_run_outside_of_its_container() -> None:
    with Elsewhere("idle") as program:
        process = identify(program.pid)
        with pytest.raises(PermissionError, match="not run here"):
            interpreter.run(process, "pass", timeout=5)


def test_users_without_their_own_files() -> None:
    """A user namespace alone: the launcher's user has no number in it."""
    wrap = (*AS_NOBODY, *allowed("unshare", "-U", "-r"))
    with Program("idle", wrap=wrap) as program:
        before = program.snapshot()
        with attach(program.pid, timeout=10) as handle:
            assert value(handle, "import os\nos.getuid()") == "0"
        program.assert_unharmed_since(before)


def test_numbers_of_threads() -> None:
    with Elsewhere("asleep", "all namespaces") as program:
        seen = blocked.describe(identify(program.pid))
        assert seen.thread == program.pid
        assert seen.frame is not None
        assert seen.frame.place == "asleep.py:20"
