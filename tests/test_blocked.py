"""What a blocked main thread is said to wait for, in real programs that block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import pytest
from targets import PROGRAMS, Target, eventually, older_launcher, python315

from live_kernel.attach import blocked, interpreter, proc, syscalls
from live_kernel.attach.blocked import Blocked, Frame
from live_kernel.attach.processes import Process, candidates, identify

PROGRAM = PROGRAMS / "blocked_in.py"


def line_of(function: str) -> int:
    """The line that is marked in that function of the program."""
    lines = PROGRAM.read_text().splitlines()
    begin = lines.index(f"def {function}():")
    return next(n for n, line in enumerate(lines[begin:], begin + 1) if line.endswith("# here"))


def settled(process: Process, function: str, calls: Collection[str] = ()) -> Blocked:
    """What it does once it has come to its line and waits there, in one of `calls` if told.

    It may pass through others in the same line: a fork, a wait for a thread's start.
    """

    def look() -> Blocked:
        seen = blocked.describe(process)
        assert seen.frame is not None, seen
        assert seen.frame[1:] == (line_of(function), function), seen
        assert not calls or seen.syscall in calls, seen
        assert function == "native" or (seen.syscall and seen.state == "S"), seen
        return seen

    return eventually(look)


CASES = [
    ("sleep", {"clock_nanosleep"}, "(time.sleep)", "the sleep ends"),
    ("get", {"futex"}, "(queue.Queue.get)", "the queue gets an item"),
    ("lock", {"futex"}, "(a lock)", "the lock that it waits for is released"),
    ("join", {"futex"}, "(threading.Thread.join)", "the thread that it waits for ends"),
    ("event", {"futex"}, "(threading.Event.wait)", "the event is set"),
    ("future", {"futex"}, "Future.result)", "the task that it waits for is done"),
    ("accept", {"accept", "accept4"}, "(socket.socket.accept)", "a client connects"),
    ("receive", {"recvfrom"}, "of socket", "the other side sends something"),
    ("pipe", {"read"}, "of pipe", "something is written into the pipe"),
    ("stdin", {"read"}, "of pipe", "something is written into the pipe"),
    ("child", {"wait4", "waitid"}, "(subprocess.run)", "the child process that it waits for ends"),
    ("pause", {"pause", "ppoll", "rt_sigsuspend"}, "pause)", "a signal arrives that it handles"),
    ("flock", {"flock"}, "(fcntl.flock)", "the file lock is released"),
    ("loop", {"epoll_wait", "epoll_pwait", "epoll_pwait2"}, "(asyncio.run)", "a request or"),
]


@pytest.mark.parametrize(("function", "calls", "told", "wakes"), CASES, ids=lambda v: str(v)[:12])
def test_sentence(function: str, calls: set[str], told: str, wakes: str) -> None:
    with Target("blocked_in", args=[function]) as target:
        seen = settled(identify(target.pid), function, calls)
        assert seen.state == "S"
        assert seen.thread == target.pid
        assert seen.sentence.startswith(f"pid {target.pid}'s main thread waits in {seen.syscall}")
        assert told in seen.sentence
        assert seen.sentence.endswith(f"at blocked_in.py:{line_of(function)}, in `{function}`")
        assert seen.wakes.startswith(wakes)
        assert seen.remedy.startswith("The attach goes on by itself as soon as")
        assert seen.in_epoll is (function == "loop")
        assert blocked.thread_in_epoll(target.pid) == (target.pid if function == "loop" else None)


def test_pause_where_it_is_a_poll() -> None:
    """As on aarch64: for no file, and for ever."""
    with Target("blocked_in", args=["poll_nothing"]) as target:
        assert settled(identify(target.pid), "poll_nothing").syscall == "pause"


def test_native_code() -> None:
    with Target("blocked_in", args=["native"]) as target:
        seen = settled(identify(target.pid), "native")
        assert "is busy in native code" in seen.sentence
        assert "native code returns" in seen.wakes


@pytest.mark.python315
@pytest.mark.parametrize("function", ["get", "loop"])
def test_by_the_interpreter_of_the_target(function: str) -> None:
    """Ours is not 3.15, so that its own tells the line."""
    with Target("blocked_in", python315(), args=[function]) as target:
        process = identify(target.pid)
        assert not process.runs_our_build or sys.version_info[:2] == (3, 15)
        assert settled(process, function).in_epoll is (function == "loop")


@pytest.mark.older
def test_by_an_older_launcher() -> None:
    code = (
        "import sys; from live_kernel.attach import blocked, processes;"
        "print(blocked.describe(processes.identify(int(sys.argv[1]))).sentence)"
    )
    with Target("blocked_in", args=["get"]) as target:
        here = settled(identify(target.pid), "get").sentence
        command = [older_launcher(), "-c", code, str(target.pid)]
        root = Path(__file__).resolve().parent.parent
        there = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=30, check=True
        )
        assert there.stdout.strip() == here


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_root_looks_with_the_rights_of_the_target() -> None:
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    try:
        target = Target("blocked_in", args=["sleep"], wrap=as_nobody).__enter__()
    except BaseException:
        pytest.skip("nobody can't run the target here")
    try:
        process = identify(target.pid)
        code = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
        told = interpreter.run(process, code, timeout=5)
        assert told.stdout.strip() == "65534 65534 []", told
    finally:
        target.close()


def test_interpreter_of_a_reused_pid_is_not_run() -> None:
    with Target("verdict_idle") as target:
        process = identify(target.pid)
        another = process._replace(start_time=process.start_time + 1)
        with pytest.raises(ProcessLookupError):
            interpreter.run(another, "print(1)", timeout=5)


def test_what_is_not_plainly_python_is_not_run() -> None:
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        try:
            found = {each.process.pid: each.process for each in candidates(all=True)}
            with pytest.raises(PermissionError, match="not plainly a Python"):
                interpreter.run(found[sleeper.pid], "print(1)", timeout=5)
        finally:
            sleeper.kill()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("/usr/bin/python3.14", True),
        ("/opt/py/python3.14t", True),
        ("/usr/bin/python", True),
        ("/usr/bin/python3.14 (deleted)", True),
        ("/usr/bin/uwsgi", False),
        ("/usr/bin/python-service", False),
        ("/usr/bin/mypython", False),
    ],
)
def test_names_of_interpreters(name: str, plain: bool) -> None:
    assert interpreter.is_named_so(name) is plain


def test_gone_or_another() -> None:
    with Target("verdict_idle") as target:
        process = identify(target.pid)
        other = process._replace(start_time=process.start_time + 1)
        assert blocked.describe(other).sentence == f"pid {target.pid} has ended"
    assert blocked.describe(process).sentence == f"pid {target.pid} has ended"
    assert blocked.thread_in_epoll(target.pid) is None


def test_stopped() -> None:
    with Target("blocked_in", args=["sleep"]) as target:
        process = identify(target.pid)
        target.signal(signal.SIGSTOP)
        eventually(lambda: proc.stat(target.pid).state == "T", what="stopped")
        seen = blocked.describe(process)
        assert "main thread is stopped" in seen.sentence
        assert "SIGCONT" in seen.wakes


def test_less_is_known() -> None:
    """Each thing that can't be learned makes the sentence shorter, not wrong."""
    assert Blocked(7, 7, "S").sentence == "pid 7's main thread waits"
    assert Blocked(7, 7, "D", 0, "read").sentence == (
        "pid 7's main thread waits for the disk or a device in read"
    )
    unknown = Blocked(7, 7, "S", 999, syscalls.name_of(999))
    assert unknown.sentence == "pid 7's main thread waits in system call 999"
    assert unknown.wakes == "the system call returns"
    module = Blocked(7, 7, "S", stack=(Frame("/srv/app/__main__.py", 3, "<module>"),))
    assert module.sentence == "pid 7's main thread waits at app/__main__.py:3"


def test_only_library_frames() -> None:
    """A console script's own file may be all that is the program's, or not even that."""
    frame = Frame("/usr/lib/python3.14/site-packages/uvicorn/server.py", 9, "Server.run")
    seen = Blocked(7, 7, "S", 232, "epoll_wait", stack=(frame,))
    assert seen.sentence == (
        "pid 7's main thread waits in epoll_wait at server.py:9, in `Server.run`"
    )


def test_what_was_typed_is_no_library() -> None:
    """Of `python -c`, and of what was run by exec: nobody else's code."""
    assert not Frame("<string>", 1, "<module>").of_a_library
    assert Frame("<frozen runpy>", 1, "_run_code").of_a_library


def test_tables_agree() -> None:
    """Both machines have the calls that decide what is done to the target."""
    for machine in ("x86_64", "aarch64"):
        names = {syscalls.name_of(number, machine) for number in range(500)}
        assert {"futex", "clock_nanosleep", "epoll_pwait", "epoll_pwait2", "read"} <= names


def test_quick() -> None:
    with Target("blocked_in", args=["sleep"]) as target:
        process = identify(target.pid)
        settled(process, "sleep")
        begin = time.perf_counter()
        blocked.describe(process)
        assert time.perf_counter() - begin < 0.5
