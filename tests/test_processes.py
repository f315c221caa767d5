"""Verdicts, each from its real condition; the list of candidates; the choice by text.

Looks at real processes. Where the launcher's own rights are the condition, the
look is made by `verdict_look`, a process that has only those.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from elsewhere import allowed
from targets import PROGRAMS, Target, eventually, older_launcher, python314, python315

from live_kernel.attach import doctor, permission, proc, processes, realm, runtime
from live_kernel.attach.processes import candidates, identify, matching, still
from live_kernel.errors import (
    AttachNotPermitted,
    DebuggingDisabled,
    NoTarget,
    NotAttachable,
    NotPython,
    PythonMismatch,
    TargetNotFound,
    TargetStopped,
    TargetZombie,
)

NOBODY = 65534
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
)  # fmt: skip

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")

root = pytest.mark.root
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")


def refusal(pid: int, kind: type[NotAttachable]) -> NotAttachable:
    """The error of `identify`, which must be exactly of this class and name the pid."""
    with pytest.raises(NotAttachable) as caught:
        identify(pid)
    assert type(caught.value) is kind, caught.value
    assert caught.value.pid == pid
    assert str(pid) in str(caught.value)
    assert caught.value.remedy
    return caught.value


def look(
    pid: int, *options: str, wrap: Sequence[str] = (), python: str = sys.executable
) -> dict[str, Any]:
    """What a launcher sees that was started in `wrap`."""
    command = [*wrap, python, str(PROGRAMS / "verdict_look.py"), str(pid), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if "no Landlock" in done.stderr:
        pytest.skip("this kernel has no Landlock")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture
def as_nobody() -> tuple[str, ...]:
    """The command that makes another user of us; skips where that user can't run us."""
    program = [sys.executable, str(PROGRAMS / "verdict_look.py"), "--help"]
    done = subprocess.run([*AS_NOBODY, *program], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nobody can't run {sys.executable}")
    return AS_NOBODY


@pytest.fixture
def nobodys_python() -> str:
    """A 3.14 that the user nobody can run."""
    done = subprocess.run([*AS_NOBODY, python314(), "-V"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nobody can't run {python314()}")
    return python314()


# -- attachable


def test_children_are_those_of_any_thread() -> None:
    begun, over = threading.Event(), threading.Event()
    started: list[int] = []

    def start() -> None:
        with subprocess.Popen(["sleep", "600"]) as child:
            started.append(child.pid)
            begun.set()
            over.wait(30)
            child.kill()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert begun.wait(30)
        assert started[0] in proc.children(os.getpid())
    finally:
        over.set()
        thread.join()
    assert started[0] not in proc.children(os.getpid())


def test_what_is_known_of_a_process(tmp_path: Path) -> None:
    with Target("verdict_idle", args=["--port", 80], cwd=tmp_path) as target:
        seen = identify(target.pid)
        assert seen.cmdline[-3:] == (str(PROGRAMS / "verdict_idle.py"), "--port", "80")
        assert seen.title.endswith("verdict_idle.py --port 80")
        assert Path(seen.exe).samefile(python314())
        assert (seen.uid, seen.cwd, seen.parent) == (os.geteuid(), str(tmp_path), os.getpid())
        assert seen.version == (3, 14)
        assert re.fullmatch(r"3\.14\.\d+(rc\d)?", seen.version_text)
        assert 0 <= seen.uptime < 60
        begun = psutil.Process(target.pid).create_time()
        assert abs(proc.started_at(seen.start_time) - begun) < 0.02
        assert not seen.free_threaded
        assert seen == identify(target.pid)
        assert json.loads(json.dumps(seen.as_json()))["pid"] == target.pid
        still(seen)


@pytest.mark.python315
def test_attachable_315() -> None:
    with Target("verdict_idle", python315()) as target:
        assert identify(target.pid).version == (3, 15)


@pytest.mark.older
def test_older_launcher_sees_the_same() -> None:
    with Target("verdict_idle") as target:
        told = look(target.pid, python=older_launcher())
        assert told["process"]["python"] == str(identify(target.pid).python)


@root
@needs_root
def test_root_may_attach_to_any_user(nobodys_python: str) -> None:
    with Target("verdict_idle", nobodys_python, wrap=AS_NOBODY) as target:
        seen = identify(target.pid)
        assert (seen.uid, seen.gid) == (NOBODY, NOBODY)


@root
@needs_root
def test_own_process_of_a_plain_user(as_nobody: Sequence[str], nobodys_python: str) -> None:
    with Target("verdict_idle", nobodys_python, wrap=as_nobody) as target:
        told = look(target.pid, wrap=as_nobody)
        assert told["process"]["uid"] == NOBODY
        assert told["process"]["pid"] in [each["pid"] for each in told["listed"]]


@root
@needs_root
@pytest.mark.parametrize("missing", ["dac_override", "setuid", "setgid"])
def test_rights_to_look_are_none_to_hand_over(nobodys_python: str, missing: str) -> None:
    """A look takes CAP_SYS_PTRACE alone: /proc/PID/mem is refused by its mode then, the system
    calls are not. A private directory of that user takes more.
    """
    drop = allowed("setpriv", f"--bounding-set=-{missing},-dac_read_search")
    with Target("verdict_idle", nobodys_python, wrap=AS_NOBODY) as target:
        told = look(target.pid, wrap=drop)
        assert told["class"] == "AttachNotPermitted"
        assert f"the rights to hand files over to nobody (cap_{missing})" in told["message"]
        assert told["remedy"].startswith("Run the kernel as nobody or as root")
    with Target("verdict_idle", nobodys_python) as target:
        assert "process" in look(target.pid, wrap=drop)


def test_replaced_binary(tmp_path: Path) -> None:
    """As after an upgrade of the package: the process runs on, its file is gone."""
    copy = copied(python314(), tmp_path, "python3.14")
    with Target("verdict_idle", str(copy)) as target:
        copy.unlink()
        seen = identify(target.pid)
        assert seen.exe.endswith("(deleted)")
        assert seen.version == (3, 14)


def test_underscore_spelling_switches_nothing_off() -> None:
    with Target("verdict_idle", options=["-X", "disable_remote_debug"]) as target:
        assert identify(target.pid).pid == target.pid


def test_held_for_moments_only() -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    with Target("verdict_idle", wrap=["strace", "-o", "/dev/null", "-D"]) as target:
        pid = eventually(lambda: proc.status(target.pid).tracer and target.pid)
        assert identify(pid).pid == target.pid


# -- gone, or not what it was


def test_gone() -> None:
    with Target("verdict_idle") as target:
        seen = identify(target.pid)
    refusal(target.pid, TargetNotFound)
    with pytest.raises(TargetNotFound, match="has ended"):
        still(seen)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**70])
def test_never_was(pid: int) -> None:
    refusal(pid, TargetNotFound)


def test_thread_id() -> None:
    with Target("verdict_thread") as target:
        thread = int(target.wait_for("thread").split()[1])
        error = refusal(thread, TargetNotFound)
        assert error.remedy == f"Attach to {target.pid}."


@root
@needs_root
def test_reused_pid() -> None:
    if not LAST_PID.exists():
        pytest.skip("this kernel does not let the next pid be chosen")
    with Target("verdict_idle") as first:
        seen = identify(first.pid)
    second = eventually(lambda: _started_as(first.pid), what="the same pid again")
    assert second is not None
    with contextlib.closing(second):
        assert second.pid == first.pid
        assert identify(second.pid) != seen
        with pytest.raises(TargetNotFound, match="is another process now") as caught:
            still(seen)
        assert "verdict_idle.py second" in str(caught.value)


def _started_as(pid: int) -> Target | None:
    """A target with this pid, unless some other process has snatched it."""
    LAST_PID.write_text(str(pid - 1))
    target = Target("verdict_idle", args=["second"]).__enter__()
    if target.pid == pid:
        return target
    target.close()
    return None


def test_zombie() -> None:
    with Target("verdict_zombie") as target:
        child = int(target.wait_for("child").split()[1])
        error = refusal(child, TargetZombie)
        assert f"pid {target.pid} (" in str(error)


def test_ended_but_not_collected_is_not_still_there() -> None:
    with Target("verdict_idle") as target:
        seen = identify(target.pid)
        target.signal(signal.SIGKILL)
        eventually(lambda: proc.stat(target.pid).state == "Z", what="a zombie")
        with pytest.raises(TargetNotFound, match="has ended"):
            still(seen)
        refusal(target.pid, TargetZombie)


# -- not Python, or one that can't be served


def test_not_python() -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        try:
            path = shutil.which("sleep") or ""
            assert os.path.realpath(path) in str(refusal(sleeper.pid, NotPython))
        finally:
            sleeper.kill()


def test_not_python_but_its_child_is() -> None:
    with Target("verdict_idle", wrap=["sh", "-c", '"$@"; true', "sh"]) as shell:
        (child,) = proc.children(shell.pid)
        error = refusal(shell.pid, NotPython)
        assert f"child {child}" in error.remedy


def test_thread_of_the_kernel() -> None:
    if not (2 in proc.pids() and proc.stat(2).kernel_thread):
        pytest.skip("no kernel threads are seen here")
    assert "Linux kernel" in str(refusal(2, NotPython))


def older_pythons() -> list[str]:
    """Interpreters below 3.14 that happen to be on this machine, one of each version."""
    places = [*Path.home().glob(".pyenv/versions/*/bin"), Path("/usr/bin"), Path("/usr/local/bin")]
    by_version = {
        each.name: str(each)
        for place in places
        for each in place.glob("python[23].*")
        if re.fullmatch(r"python(2\.\d+|3\.[0-9]|3\.1[0-3])", each.name)
        and os.access(each, os.X_OK)
    }
    return [by_version[name] for name in sorted(by_version)]


@pytest.mark.parametrize("python", older_pythons() or [None])
def test_too_old(python: str | None) -> None:
    if python is None:
        pytest.skip("no CPython below 3.14 here")
    version = Path(python).name.removeprefix("python")
    with Target("verdict_idle", python) as target:
        error = refusal(target.pid, PythonMismatch)
        assert f"runs CPython {version}" in str(error)
        assert "3.14" in error.remedy


def test_pypy(tmp_path: Path) -> None:
    """Known by its name alone, which any program can bear."""
    copy = shutil.copy(shutil.which("sleep") or "", tmp_path / "pypy3.11")
    with subprocess.Popen([copy, "600"]) as sleeper:
        try:
            assert "runs PyPy 3.11" in str(refusal(sleeper.pid, PythonMismatch))
        finally:
            sleeper.kill()


def copied(python: str, to: Path, name: str, version: int = 0, free_threaded: int = 0) -> Path:
    """A copy of an interpreter under another name, which still finds its libraries.

    `version`, `free_threaded`: what it then says of itself in `_Py_DebugOffsets`.
    """
    original = Path(python).resolve()
    copy = to / "bin" / name
    copy.parent.mkdir()
    (to / "lib").symlink_to(original.parent.parent / "lib")
    data = bytearray(original.read_bytes())
    at = next((m.start() for m in re.finditer(b"xdebugpy.{5}", data) if data[m.end() - 2] == 3), 0)
    if not at:
        pytest.skip(f"{python} has its runtime in a library")
    if version:
        struct.pack_into("<Q", data, at + 8, version)
    if free_threaded:
        struct.pack_into("<Q", data, at + 16, 1)
    copy.write_bytes(data)
    copy.chmod(0o755)
    return copy


@pytest.mark.parametrize(
    ("version", "name", "says"),
    [
        (0x030F00B1, "3.15.0b1", "pre-release"),
        (0x031000F0, "3.16.0", "knows 3.14 and 3.15"),
        (0x040000F0, "4.0.0", "knows 3.14 and 3.15"),
    ],
)
def test_other_versions(tmp_path: Path, version: int, name: str, says: str) -> None:
    copy = copied(python314(), tmp_path, "python3", version)
    with Target("verdict_idle", str(copy)) as target:
        error = refusal(target.pid, PythonMismatch)
        assert f"runs CPython {name}" in str(error)
        assert says in str(error)


def test_release_candidate_and_free_threaded_are_served(tmp_path: Path) -> None:
    copy = copied(python314(), tmp_path, "python3", 0x030E00C2, free_threaded=1)
    with Target("verdict_idle", str(copy)) as target:
        seen = identify(target.pid)
        assert seen.version_text == "3.14.0rc2t"
        assert seen.free_threaded
        assert not seen.runs_our_build


def test_embedded_under_a_name_that_cpython_does_not_look_for(tmp_path: Path) -> None:
    """Nothing in the way: its memory can be written (see test_versions.py)."""
    copy = copied(python314(), tmp_path, "service")
    with Target("verdict_idle", str(copy)) as target:
        seen = identify(target.pid)
        assert not seen.is_findable
        assert not seen.runs_our_build


# -- switched off


@pytest.mark.parametrize(
    ("options", "env", "how"),
    [
        (["-X", "disable-remote-debug"], {}, "-X disable-remote-debug"),
        ([], {"PYTHON_DISABLE_REMOTE_DEBUG": "1"}, "PYTHON_DISABLE_REMOTE_DEBUG"),
    ],
)
def test_switched_off(options: list[str], env: dict[str, str], how: str) -> None:
    with Target("verdict_idle", options=options, env=env) as target:
        error = refusal(target.pid, DebuggingDisabled)
        assert f"switched off ({how}" in str(error)


@pytest.mark.python315
def test_switched_off_315() -> None:
    with Target("verdict_idle", python315(), options=["-X", "disable-remote-debug"]) as target:
        refusal(target.pid, DebuggingDisabled)


# -- not permitted


@root
@needs_root
def test_other_user(as_nobody: Sequence[str]) -> None:
    with Target("verdict_idle") as target:
        told = look(target.pid, wrap=as_nobody)
        assert told["class"] == "AttachNotPermitted"
        assert "belongs to root, and this kernel runs as nobody" in told["message"]
        assert "as root (sudo" in told["remedy"]
        mine = next(each for each in told["listed"] if each["pid"] == target.pid)
        assert mine["reason"] == "belongs to root, and this kernel runs as nobody"


@root
@needs_root
def test_root_without_the_capability(nobodys_python: str) -> None:
    """As in a container with the default set."""
    with Target("verdict_idle", nobodys_python, wrap=AS_NOBODY) as target:
        told = look(target.pid, wrap=allowed("setpriv", "--bounding-set=-sys_ptrace"))
        assert told["class"] == "AttachNotPermitted"
        assert "root without CAP_SYS_PTRACE" in told["message"]
        assert "--cap-add=SYS_PTRACE" in told["remedy"]


@root
@needs_root
def test_not_dumpable(as_nobody: Sequence[str], nobodys_python: str) -> None:
    with Target("verdict_undumpable", nobodys_python, wrap=as_nobody) as target:
        told = look(target.pid, wrap=as_nobody)
        assert told["class"] == "AttachNotPermitted"
        assert "non-dumpable" in told["message"]


@root
@needs_root
def test_more_privileged(as_nobody: Sequence[str], nobodys_python: str) -> None:
    capable = ("--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
    with Target("verdict_idle", nobodys_python, wrap=[*as_nobody, *capable]) as target:
        told = look(target.pid, wrap=as_nobody)
        assert told["class"] == "AttachNotPermitted"
        assert "privileges that this kernel lacks (cap_net_bind_service)" in told["message"]


@root
@needs_root
def test_hidden_in_proc(as_nobody: Sequence[str]) -> None:
    script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    with Target("verdict_idle") as target:
        hidden = allowed("unshare", "-m", "sh", "-c", script, "sh", *as_nobody)
        told = look(target.pid, wrap=hidden)
        assert told["class"] == "AttachNotPermitted"
        assert "hidepid" in told["message"]


@root
@needs_root
def test_privileges_of_another_user_namespace() -> None:
    with Target("verdict_idle") as target:
        told = look(target.pid, wrap=allowed("unshare", "-Ur"))
        assert told["class"] == "AttachNotPermitted"
        assert "outside the user namespace" in told["message"]


def test_filtered_system_calls() -> None:
    with Target("verdict_idle") as target:
        told = look(target.pid, "--confine", "seccomp")
        assert told["class"] == "AttachNotPermitted"
        assert "seccomp" in told["message"]
        assert "process_vm_readv" in told["message"]
        finding = next(each for each in told["findings"] if each["name"] == "seccomp")
        assert finding["ok"] is False


def test_security_module() -> None:
    with Target("verdict_idle") as target:
        told = look(target.pid, "--confine", "landlock")
        assert told["class"] == "AttachNotPermitted"
        assert "a security module of this system refuses" in told["message"]


@root
@needs_root
@pytest.mark.parametrize(
    ("scope", "says"),
    [(1, "only its ancestors"), (2, "only processes with CAP_SYS_PTRACE"), (3, "nobody")],
)
def test_ptrace_scope(tmp_path: Path, scope: int, says: str) -> None:
    """A true refusal that leaves the maps readable, as Yama's does: here it is Landlock's.

    Only the number is not the kernel's own; not every kernel has Yama.
    """
    yama = tmp_path / "ptrace_scope"
    yama.write_text(f"{scope}\n")
    less = allowed("setpriv", "--bounding-set=-sys_ptrace")
    with Target("verdict_idle", wrap=less) as target:
        told = look(target.pid, "--confine", "landlock", "--yama", str(yama), wrap=less)
        assert told["class"] == "AttachNotPermitted"
        if "security module" in told["message"] or "non-dumpable" in told["message"]:
            pytest.skip("this kernel does not let maps be read where memory may not")
        assert f"kernel.yama.ptrace_scope is {scope}, {says}" in told["message"]
        if scope == 1:
            for remedy in ("sysctl kernel.yama.ptrace_scope=0", "PR_SET_PTRACER", "as root"):
                assert remedy in told["remedy"]


def test_ptrace_scope_of_this_kernel() -> None:
    if not permission.YAMA.exists():
        pytest.skip("this kernel has no Yama")
    finding = next(each for each in doctor.doctor() if each.name == "ptrace_scope")
    assert str(permission.ptrace_scope()) in finding.detail


# -- elsewhere


@root
@needs_root
def test_other_mount_namespace() -> None:
    with Target("verdict_idle", wrap=allowed("unshare", "-m")) as target:
        seen = identify(target.pid)
        assert seen.has_other_files
        assert not seen.runs_our_build
        assert seen.runs_our_bytecode == (sys.version_info[:2] == (3, 14))
        (files,) = (each for each in doctor.doctor(target.pid) if each.name == "files")
        assert "another mount namespace" in files.detail
        assert "can be met in its /" in files.detail


@root
@needs_root
def test_other_pid_namespace() -> None:
    with Target("verdict_idle", wrap=allowed("unshare", "--pid", "--fork")) as target:
        (inner,) = proc.children(target.pid)
        assert not identify(inner).has_other_files
        (pids,) = (each for each in doctor.doctor(inner) if each.name == "pids")
        assert "where its pid is 1" in pids.detail


def test_the_same_realm() -> None:
    with Target("verdict_idle") as target:
        assert realm.of(target.pid) == realm.Realm()
        assert realm.inner_user(target.pid, 7) == 7
        assert realm.its_root_user(target.pid) == 0
        assert proc.outer_thread(target.pid, target.pid) == target.pid
        assert proc.outer_thread(target.pid, 1) is None, "a thread of another process"
        assert proc.inner_thread(target.pid, target.pid) == target.pid


# -- stopped


def test_stopped() -> None:
    with Target("verdict_idle") as target:
        target.signal(signal.SIGSTOP)
        eventually(lambda: proc.stat(target.pid).state == "T", what="stopped")
        error = refusal(target.pid, TargetStopped)
        assert f"kill -CONT {target.pid}" in error.remedy
        target.signal(signal.SIGCONT)
        assert eventually(lambda: _identified(target.pid))


def _identified(pid: int) -> bool:
    try:
        return bool(identify(pid))
    except TargetStopped:
        return False


def test_held_by_a_debugger() -> None:
    with Target("verdict_idle") as target:
        with Target("verdict_tracer", args=[target.pid]) as tracer:
            error = refusal(target.pid, TargetStopped)
            assert f"held by pid {tracer.pid} (" in str(error)
            assert "verdict_tracer.py" in str(error)
        assert eventually(lambda: _identified(target.pid))


# -- our own side


def test_ourselves() -> None:
    error = refusal(os.getpid(), NotAttachable)
    assert "this kernel itself" in str(error)


def test_elsewhere_than_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(AttachNotPermitted, match="on Linux only"):
        identify(1)
    assert [each.ok for each in doctor.doctor(1)] == [False]


# -- the list


def listed(pid: int, **options: bool) -> processes.Candidate | None:
    return next((each for each in candidates(**options) if each.process.pid == pid), None)


def test_candidates_in_their_order() -> None:
    with (
        Target("verdict_idle", args=["first"]) as first,
        Target("verdict_idle", options=["-X", "disable-remote-debug"]) as off,
        Target("verdict_idle", args=["second"]) as second,
        Target("verdict_idle", wrap=["sh", "-c", '"$@"; true', "sh"]) as shell,
    ):
        pids = [each.process.pid for each in candidates()]
        assert pids.index(second.pid) < pids.index(first.pid) < pids.index(off.pid)
        assert shell.pid not in pids
        found = listed(off.pid)
        assert found is not None
        assert not found.attachable
        assert isinstance(found.error, DebuggingDisabled)
        assert found.reason.startswith("was started with")
        everything = [each.process.pid for each in candidates(all=True)]
        assert everything.index(off.pid) < everything.index(shell.pid)


def test_what_nobody_means_is_not_listed() -> None:
    with Target("verdict_idle", args=["-m", "live_kernel", "kernel"]) as launcher:
        assert listed(launcher.pid) is None
        assert listed(launcher.pid, all=True) is not None
        assert listed(os.getpid(), all=True) is None
        # This process is an ancestor of the one that looks.
        assert os.getpid() not in [each["pid"] for each in look(launcher.pid)["listed"]]


def test_stopped_and_zombie_are_listed() -> None:
    with Target("verdict_zombie") as parent, Target("verdict_idle") as target:
        target.signal(signal.SIGSTOP)
        eventually(lambda: proc.stat(target.pid).state == "T", what="stopped")
        found = listed(target.pid)
        assert found is not None
        assert isinstance(found.error, TargetStopped)
        child = listed(int(parent.wait_for("child").split()[1]))
        assert child is not None
        assert isinstance(child.error, TargetZombie)


def test_quick() -> None:
    def once(what: object) -> float:
        begin = time.perf_counter()
        what()  # type: ignore[operator]
        return time.perf_counter() - begin

    with Target("verdict_idle") as target:
        assert min(once(lambda: identify(target.pid)) for _ in range(10)) < 0.005
        assert min(once(lambda: runtime.find(target.pid)) for _ in range(10)) < 0.005
        allowed = 0.150 * max(1, len(proc.pids()) / 300)
        assert min(once(candidates) for _ in range(5)) < allowed


# -- the choice by text


def test_matching_exactly_one() -> None:
    with Target("verdict_idle", args=["wanted-1"]) as target, Target("verdict_idle"):
        assert matching("verdict_idle.py wanted-1").pid == target.pid


def test_matching_leaves_out_who_only_carries_the_text() -> None:
    with (
        Target("verdict_idle", args=["wanted-2"]) as target,
        Target("verdict_idle", args=["--match", "wanted-2"]),
        Target("verdict_idle", args=["-m", "live_kernel", "exec", "wanted-2"]),
    ):
        assert matching("wanted-2").pid == target.pid


def test_matching_several() -> None:
    with (
        Target("verdict_idle", args=["wanted-3"]) as one,
        Target("verdict_idle", args=["wanted-3"]) as two,
        pytest.raises(NoTarget, match="2 processes") as caught,
    ):
        matching("wanted-3")
    assert str(one.pid) in str(caught.value)
    assert str(two.pid) in str(caught.value)


def test_matching_none_shows_the_candidates() -> None:
    with Target("verdict_idle") as target, pytest.raises(NoTarget) as caught:
        matching("there is no such text anywhere")
    assert str(target.pid) in str(caught.value)


def test_matching_only_one_that_is_refused() -> None:
    options = ["-X", "disable-remote-debug"]
    with Target("verdict_idle", args=["wanted-4"], options=options):
        with pytest.raises(NoTarget, match="switched off") as caught:
            matching("wanted-4")
        assert caught.value.remedy == "Start it again without that option."


# -- the doctor


def test_doctor_of_a_healthy_target() -> None:
    with Target("verdict_idle") as target:
        findings = doctor.doctor(target.pid)
        bad = [each for each in findings if each.ok is False and each.name != "kernelspec"]
        assert bad == []
        assert {"ptrace_scope", "seccomp", "directory", "permission"} <= {f.name for f in findings}


def test_doctor_stops_at_the_first_failing_check() -> None:
    with Target("verdict_idle", options=["-X", "disable-remote-debug"]) as target:
        tail = doctor.doctor(target.pid)[-2:]
        assert [each.ok for each in tail] == [False, None]
        assert tail[0].remedy


def test_doctor_of_nothing() -> None:
    assert doctor.doctor(2**22 + 1)[-1].ok is False


@pytest.mark.parametrize(("scope", "ok"), [(0, True), (3, False)])
def test_doctor_reads_ptrace_scope(tmp_path: Path, scope: int, ok: bool) -> None:
    yama = tmp_path / "ptrace_scope"
    yama.write_text(f"{scope}\n")
    finding = next(each for each in doctor.doctor(yama=yama) if each.name == "ptrace_scope")
    assert finding.ok is ok
