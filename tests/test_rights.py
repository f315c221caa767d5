"""What a target gets done out here: with its own rights, and not with ours.

A hostile target asks for a command of a cell, is looked at with its own interpreter, or has a
value unpickled: nothing of it runs as root when it is not root, nor outside of its sandbox.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from elsewhere import allowed
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target, eventually
from users import NOBODY, SOMEBODY, become, python_for

from live_kernel.attach import blocked, credentials, interpreter, proc, rights
from live_kernel.attach.acting import acting_as
from live_kernel.attach.processes import Process, identify
from live_kernel.launcher.sources import Sources

pytestmark = pytest.mark.root

TELLS = (
    "import os; s = dict(l.split(':', 1) for l in open('/proc/self/status'));"
    "print(os.getuid(), os.getgid(), os.getgroups(), s['NoNewPrivs'].strip(), s['CapEff'].strip(),"
    " os.getsid(0) == os.getpid(), sorted(map(int, os.listdir('/proc/self/fd'))))"
)


def spawned(process: Process, code: str = TELLS) -> str:
    """What a program says that is started for the target."""
    command = [python_for(process.uid), "-I", "-S", "-c", code]
    child = rights.spawn(
        process, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    return child.communicate(timeout=20)[0].decode().strip()


# -- what is run has the rights of the target


def test_a_user_s() -> None:
    groups = ("setpriv", f"--reuid={NOBODY}", "--regid=4242", "--groups=4243,4244")
    with Target("idle", python_for(NOBODY), wrap=groups) as target:
        told = spawned(identify(target.pid))
        assert told == f"{NOBODY} 4242 [4243, 4244] 0 0000000000000000 True [0, 1, 2, 3]"
    assert proc.status("self").uids == (0, 0, 0, 0), "it was another thread that gave up its rights"


def test_no_new_privileges() -> None:
    with Target("idle", wrap=("setpriv", "--no-new-privs")) as target:
        process = identify(target.pid)
        assert "no_new_privs" in rights.lesser(process)
        assert " 1 " in spawned(process)
    assert not proc.status("self").no_new_privs


def test_root_with_fewer_capabilities() -> None:
    """Else root in a service that was given few could get them all by asking."""
    wrap = ("setpriv", "--bounding-set=-all,+sys_ptrace", "--inh-caps=-all")
    with Target("idle", wrap=wrap) as target:
        process = identify(target.pid)
        assert "lacks privileges" in rights.lesser(process)
        assert f" {1 << 19:016x} " in spawned(process)
    assert proc.status("self").bounding & 1


def test_one_that_has_become_another_user_s_since(python_of_nobody: str) -> None:
    """Servers begin as root, and give that up: what they ask for later is not done as root."""
    code = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    with Program("idle", python_of_nobody) as program:
        program.expected_errors = True  # the witness may be out of its reach then
        with Kernel("--pid", program.pid) as kernel:
            assert kernel.run("!id -u").stdout == "0\n"
            assert kernel.run(code).status == "ok"
            assert kernel.run("!id -u; id -G").stdout == "65534\n65534\n"
            kernel.run("%%local\n1")
            assert kernel.run("%pull orders").error[0] == "NotTrusted"


@pytest.fixture
def python_of_nobody() -> str:
    return python_for(NOBODY)


def test_while_another_thread_acts_as_somebody() -> None:
    """What counts is this thread's own user, whatever the main one is at the moment."""
    with Target("idle", python_for(NOBODY), wrap=become(NOBODY)) as target:
        process = identify(target.pid)
        told: list[str] = []
        started, entered = threading.Event(), threading.Event()

        def look() -> None:
            started.set()
            entered.wait()
            told.append(spawned(process))

        looks = threading.Thread(target=look)
        looks.start()
        started.wait()
        with acting_as((NOBODY, NOBODY)):
            entered.set()
            looks.join()
        assert told[0].startswith(f"{NOBODY} {NOBODY} [] ")


# -- what can't be taken over is refused


SANDBOXED = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
allow = struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)
program = ctypes.create_string_buffer(allow)
class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(program))), 0, 0) == 0
"""
"""Puts this process under a filter of system calls, one that allows them all."""


def test_a_sandbox_is_not_left(tmp_path: Path) -> None:
    program = tmp_path / "sandboxed.py"
    program.write_text(f"{SANDBOXED}\nimport time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    with Target(program) as target:
        process = identify(target.pid)
        assert "seccomp" in rights.lesser(process)
        with pytest.raises(PermissionError, match="seccomp"):
            spawned(process)
        with pytest.raises(PermissionError, match="seccomp"):
            interpreter.run(process, "pass", timeout=5)


@pytest.mark.parametrize(("option", "what"), [("--net", "network"), ("--user", "users")])
def test_a_namespace_is_not_left(option: str, what: str) -> None:
    with Target("idle", wrap=allowed("unshare", option)) as target:
        process = identify(target.pid)
        assert what in rights.lesser(process)
        with pytest.raises(PermissionError, match=what):
            spawned(process)


@pytest.mark.attach
def test_a_cell_s_command_does_not_leave_a_sandbox() -> None:
    with (
        Program("idle", wrap=allowed("unshare", "--net")) as program,
        Kernel("--pid", program.pid) as kernel,
    ):
        refused = kernel.run("!id -u")
        assert "nothing is run for it outside of that" in refused.stderr
        kernel.run("%%local\n1")
        name, text = kernel.run("%pull orders").error
        assert name == "NotTrusted"
        assert "network of its own" in text
        assert kernel.run("%pull --json word").status == "ok"


# -- a kernel that is not root, but has been given its capabilities


CAPABLE = (
    "setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups",
    "--inh-caps=+sys_ptrace,+dac_read_search", "--ambient-caps=+sys_ptrace,+dac_read_search",
)  # fmt: skip

RUNS_IT = """
import sys
from live_kernel.attach import interpreter
from live_kernel.attach.processes import Process
from live_kernel.attach import proc, rights
pid = int(sys.argv[1])
process = Process(pid, proc.stat(pid).start_time, 0, "", (), "", "", 65534, 65534, "nobody", "S")
for deed in (
    lambda: interpreter.run(process, "import os; print(os.getuid())", timeout=5).stdout,
    lambda: rights.spawn(process, ["true"]),
):
    try:
        print("got", deed())
    except PermissionError as error:
        print("refused")
"""


def test_one_that_may_only_look_runs_nothing_of_another_s(python_of_nobody: str) -> None:
    """It can't become that user: and what is that user's does not run with its own rights."""
    python = python_for(SOMEBODY)
    with Target("idle", python_of_nobody, wrap=become(NOBODY)) as target:
        done = subprocess.run(
            [*CAPABLE, python, "-c", RUNS_IT, str(target.pid)],
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/", capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.stdout.split() == ["refused", "refused"], done.stderr


# -- what root looks at


@pytest.fixture
def python_of_anybody(python_of_nobody: str) -> Iterator[Path]:
    """A file called python3.14 that is nobody's, and tells who ran it."""
    place = Path("/tmp") / f"lk-rights-{os.getpid()}"
    place.mkdir(0o755)
    try:
        yield place / "python3.14"
    finally:
        shutil.rmtree(place)


def test_a_file_of_another_s_is_not_run_by_root(python_of_anybody: Path) -> None:
    """A process of root's that runs a binary of another user's."""
    shutil.copy2("/bin/sleep", python_of_anybody)
    for owner, mode in ((NOBODY, 0o755), (0, 0o777)):
        os.chown(python_of_anybody, owner, owner)
        python_of_anybody.chmod(mode)
        with subprocess.Popen([python_of_anybody, "600"]) as child:
            try:
                with pytest.raises(PermissionError, match="root does not run it"):
                    interpreter.run(_process(child.pid), "", timeout=5)
            finally:
                child.kill()


def _process(pid: int) -> Process:
    return Process(pid, proc.stat(pid).start_time, 0, "", (), "", "", 0, 0, "root", "S")


def test_one_that_says_too_much_is_stopped(python_of_nobody: str) -> None:
    with Target("idle", python_of_nobody, wrap=become(NOBODY)) as target:
        flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
        with pytest.raises(subprocess.SubprocessError, match="says more than"):
            interpreter.run(identify(target.pid), flood, timeout=30)


def test_c_code_does_not_read_what_another_user_s_process_may_forge(python_of_nobody: str) -> None:
    """`_remote_debugging` believes sizes that stand in the memory of the process."""
    with Target("blocked_in", python_of_nobody, args=["sleep"], wrap=become(NOBODY)) as target:
        process = identify(target.pid)
        assert not blocked.can_unwind(process)
        frame = eventually(lambda: blocked.describe(process).frame)
        assert frame.file.endswith("blocked_in.py")
    with Target("blocked_in", args=["sleep"]) as target:
        assert blocked.can_unwind(identify(target.pid)) == (sys.version_info[:2] == (3, 14))


def test_source_is_read_as_the_target_s_user(python_of_nobody: str) -> None:
    """A hostile program may call any file its source: it is not shown what its user can't see."""
    secret = Path("/tmp") / f"lk-secret-{os.getpid()}.py"
    secret.write_text("root's own\n")
    open_to_all = secret.with_suffix(".txt")
    open_to_all.write_text("everybody's\n")
    secret.chmod(0o600)
    open_to_all.chmod(0o644)
    try:
        with Target("idle", python_of_nobody, wrap=become(NOBODY)) as target:
            sources = Sources(target.pid)
            assert sources.line(str(secret), 1) == ""
            assert sources.line(str(open_to_all), 1) == "everybody's"
            assert sources.line("/proc/self/environ", 1) == ""
        with Target("idle") as target:
            assert Sources(target.pid).line(str(secret), 1) == "root's own"
    finally:
        secret.unlink()
        open_to_all.unlink()


# -- acting as another user


def test_acting_as_another_user_leaves_groups_and_capabilities_behind() -> None:
    place = Path("/tmp") / f"lk-group-{os.getpid()}"
    place.mkdir()
    place.chmod(0o770)  # open to root's group, in which this process is put
    before, groups = credentials.capabilities(), os.getgroups()
    os.setgroups([0])
    try:
        with acting_as((NOBODY, NOBODY)):
            assert credentials.capabilities()[0] == 0
            with pytest.raises(PermissionError):
                (place / "mine").touch()
        assert (credentials.capabilities(), os.getgroups()) == (before, [0])
        (place / "ours").touch()
    finally:
        os.setgroups(groups)
        shutil.rmtree(place)


def test_a_thread_of_another_process_is_not_woken() -> None:
    """A hostile program may call any thread of the machine its own."""
    from live_kernel.attach import wake, waker

    with Target("blocked_in", args=["sleep"]) as target, Target("blocked_in", args=["sleep"]) as b:
        order = waker.Order(target.pid, b.pid)
        assert waker.carry_out(order)[0] == waker.MOVED
        assert wake.nudge(target.pid, b.pid) is False
        assert wake.nudge(b.pid, b.pid) is True
