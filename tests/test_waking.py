"""Waking programs that are blocked: what is done, what they see of it, and who may die when.

Real programs in real waits; the twenty-fold run of the first test is `make wakes`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wakes
from elsewhere import KINDS, Elsewhere
from kernels import Kernel
from snapshots import Program
from targets import PROGRAMS, ROOT, Target, eventually, older_launcher, python315
from terminals import Terminal

from live_kernel.attach import (
    blocked,
    caller,
    levers,
    mapped,
    permission,
    proc,
    runtime,
    syscalls,
    techniques,
    tracing,
    wake,
    waker,
)
from live_kernel.attach.blocked import Blocked
from live_kernel.attach.processes import Process, identify
from live_kernel.attach.registers import MACHINES, Wait
from live_kernel.attach.techniques import Technique
from live_kernel.errors import TargetBlocked
from live_kernel.handle import attach
from live_kernel.launcher.in_target import InTarget

BENEATH, EINTR, NUDGE, PENDING = (
    Technique.BENEATH, Technique.EINTR, Technique.NUDGE, Technique.PENDING
)  # fmt: skip


def settled(target: Target, call: str = "") -> tuple[Process, Blocked]:
    """The process, and where its main thread waits."""
    process = identify(target.pid)

    def look() -> Blocked | None:
        first, second = blocked.describe(process), blocked.describe(process)
        waits = second.state == "S" and first.wait == second.wait is not None
        return second if waits and call in str(second.syscall) else None

    return process, eventually(look)


def run(program: str, *arguments: object, order: str = "") -> subprocess.CompletedProcess[str]:
    """One of the programs that do something to a target; the launcher's Python runs it."""
    command = [sys.executable, str(PROGRAMS / program), str(ROOT), *map(str, arguments)]
    return subprocess.run(
        command, input=order, capture_output=True, text=True, timeout=50, check=False
    )


# -- every kind of wait


@pytest.mark.attach
@pytest.mark.parametrize("kind", wakes.KINDS)
def test_nothing_is_lost(kind: str) -> None:
    tally = wakes.wake_again_and_again(kind, 2)
    assert tally.successes == tally.attaches == 2


@pytest.mark.attach
@pytest.mark.python315
@pytest.mark.parametrize("kind", ["sleep", "lock", "join", "loop", "sigwait", "c_sleep", "child"])
def test_a_target_of_another_version(kind: str) -> None:
    tally = wakes.wake_again_and_again(kind, 2, python315())
    assert tally.successes == 2


@pytest.mark.attach
@pytest.mark.parametrize(
    ("kind", "used"),
    [("sleep", {EINTR}), ("lock", {PENDING}), ("loop", {NUDGE}), ("pause", {BENEATH}),
     ("sigwait", {BENEATH}), ("c_poll", {BENEATH}), ("database", {BENEATH})],
)  # fmt: skip
def test_the_technique_that_does_least(kind: str, used: set[Technique]) -> None:
    assert set(wakes.wake_again_and_again(kind, 1).techniques) == used


@pytest.mark.harm
@pytest.mark.parametrize("kind", ["sleep", "lock", "pause", "c_poll", "accept", "loop"])
def test_unharmed(kind: str) -> None:
    with Program("waits", args=[kind]) as program:
        settled(program)
        before = program.snapshot()
        for _ in range(2):
            with attach(program.pid, wake=True) as handle:
                assert handle.run("1 + 1")["status"] == "ok"
        program.assert_unharmed_since(before)
        assert program.lines() == ["ready"]


def test_times_that_are_left() -> None:
    """Woken in the middle, a wait ends when it would have: none begins anew, none ends early."""
    values = {
        "sleep": "None", "lock": "False", "event": "False", "get": "empty",
        "select": "([], [], [])", "poll": "[]", "receive": "timed out", "sigtimedwait": "None",
        "loop": "slept", "alarm": "None", "c_sleep": "0", "c_poll": "0",
    }  # fmt: skip
    with ExitStack() as stack:
        targets = {kind: stack.enter_context(Target("timed", args=[kind])) for kind in values}
        for _ in range(2):
            for target in targets.values():
                process, seen = settled(target)
                technique = techniques.choose(seen)
                assert technique is not None, seen
                assert wake.wake(process, seen, technique).why == ""
        for kind, target in targets.items():
            _, took, value = target.wait_for("took").split(" ", 2)
            assert value == values[kind], kind
            assert 0.999 <= float(took) < 1.2, kind


# -- other builds, other users


def told_addresses(target: Target) -> dict[str, int]:
    return {name: int(value) for name, value in map(str.split, target.lines()[:-1])}


def test_where_functions_are() -> None:
    with Target("addresses") as target:
        told = told_addresses(target)
        process, seen = settled(target, "pause")
        assert seen.wait is not None
        found = levers.find(process.pid, seen.wait.stack)
        assert found.thread == told["state"]
        assert {name.decode(): at for name, at in found.functions.items()}.items() <= told.items()
        assert found.errno is not None, "or C code finds another number there"


@pytest.mark.older
def test_a_build_with_a_library_that_may_lie_anywhere() -> None:
    """A position-independent executable and libpython, which only our older ones are here: its
    functions are found, and can be called beneath its wait. (Its version lets nobody in.)
    """
    with Target("addresses", older_launcher()) as target:
        told = told_addresses(target)
        found = runtime.find(target.pid)
        assert found is not None
        assert "libpython" in found.path
        there = mapped.functions(target.pid, found, [name.encode() for name in told])
        assert {name.decode(): at.start for name, at in there.items()}.items() <= told.items()
        assert len(there) == len(told) - 1
        wait = eventually(lambda: blocked.system_call(target.pid, target.pid)[0])
        assert syscalls.name_of(wait.number) == "pause"
        assert caller.library(target.pid, wait.stack) == ""
        with permission.memory(target.pid) as read:
            restorer = levers.restorer_of(target.pid, read)
        begin, look, end = (
            told[name]
            for name in ("PyEval_RestoreThread", "PyErr_CheckSignals", "PyEval_SaveThread")
        )
        calls = ((begin, (told["state"],)), (look, ()), (end, ()))
        order = waker.Order(target.pid, target.pid, "x86_64", wait, False, calls, restorer)
        for _ in range(10):
            assert wake.by_helper(order) == wake.Outcome(True)
            eventually(lambda: blocked.system_call(target.pid, target.pid)[0] == wait)
        assert "returned" not in target.lines()
        target.signal(signal.SIGUSR1)
        target.wait_for("returned")
        assert "handled" in target.lines()


@pytest.mark.attach
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
@pytest.mark.parametrize("kind", ["sleep", "lock", "pause", "loop"])
def test_root_wakes_another_users(kind: str) -> None:
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Target("waits", args=[kind], wrap=as_nobody) as target:
        settled(target)
        with attach(target.pid, wake=True) as handle:
            assert handle.run("turn")["status"] == "ok"


@pytest.mark.attach
@pytest.mark.root
@pytest.mark.parametrize("kind", ["lock", "pause"])
@pytest.mark.parametrize("place", KINDS)
def test_what_sees_other_files(place: str, kind: str) -> None:
    """Its thread has another number, its Python lies at another path."""
    with Elsewhere("waits", place, args=[kind]) as program:
        settled(program)
        with attach(program.pid, wake=True) as handle:
            assert handle.run("turn")["status"] == "ok"
        assert program.lines() == ["ready"]


# -- while it works


@pytest.mark.slow
@pytest.mark.parametrize("how", ["threads", "loop"])
def test_a_service_under_load(how: str) -> None:
    """Five hundred nudges, all techniques in turn, and not one request that fails."""
    with Target("serving", args=[how]) as target:
        port = int(target.wait_for("port").split()[1])
        stop, failed, answered = threading.Event(), list[str](), list[int]()

        def ask_loop(seed: int) -> None:
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as to:
                    while not stop.is_set():
                        data = bytes((seed + n) % 256 for n in range(1000))
                        to.request("POST", "/", data)
                        response = to.getresponse()
                        if (response.status, int(response.read())) != (200, sum(data)):
                            failed.append(f"{response.status}")
                        answered.append(seed)
                        seed += 1
            except Exception as error:
                failed.append(repr(error))

        clients = [threading.Thread(target=ask_loop, args=[seed]) for seed in range(4)]
        for client in clients:
            client.start()
        try:
            told = run("nudger.py", target.pid, 500)
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert told.returncode == 0, told.stderr
        done, _refused = json.loads(told.stdout)
        assert sum(done.values()) == 500
        assert set(done) == {each.name for each in Technique}
        assert not failed, failed
        assert len(answered) > 100
        assert target.alive(), target.told()
        assert not target.errors()


@pytest.mark.parametrize("kind", ["c_read", "c_poll"])
def test_all_registers_are_kept(kind: str) -> None:
    """Also the vector registers' upper halves, and the signal mask."""
    with Target("waits", args=[kind]) as target:
        process, seen = settled(target)
        machine = MACHINES["x86_64"]
        with tracing.Held(target.pid) as held:
            vectors = bytearray(held.get(machine.vectors))
            vectors[160:416] = bytes(range(256))  # XMM
            vectors[512] |= 7
            vectors[576:832] = bytes(reversed(range(256)))  # the upper halves of YMM
            held.set(machine.vectors, bytes(vectors))
        process, seen = settled(target)
        before = state_of(target.pid)
        assert before[1][576:832] == bytes(reversed(range(256)))
        for _ in range(3):
            assert wake.wake(process, seen, BENEATH) == wake.Outcome(True)
            _, seen = settled(target)
            assert state_of(target.pid) == before
        assert target.lines() == ["ready"]


def state_of(thread: int) -> tuple[dict[str, int], bytes, int]:
    """Its registers, but for the number of the call, which may have become restart_syscall."""
    machine = MACHINES["x86_64"]
    with tracing.Held(thread) as held:
        general = machine.unpack(held.get(1)) | {"orig_rax": 0}
        return general, held.get(machine.vectors), held.blocked_signals()


# -- the helper dies


@pytest.mark.parametrize(
    ("kind", "technique", "released"),
    [("sleep", EINTR, ""), ("lock", PENDING, "True"), ("receive", EINTR, "101"),
     ("pause", BENEATH, "None"), ("sigwait", BENEATH, "10"), ("c_read", BENEATH, "(3, 101, 77)")],
)  # fmt: skip
def test_killed_at_each_step(kind: str, technique: Technique, released: str) -> None:
    """The target runs on, in its wait, and what comes of that is right."""
    with Target("waits", args=[kind]) as target:
        steps = kill_at_each_step(target, technique)
        assert steps >= 5 if technique is EINTR else steps >= 8
        goes_on(target, 1, released)


@pytest.mark.parametrize("kind", ["c_sleep", "c_poll"])
def test_killed_while_it_watches(kind: str) -> None:
    """What only the kernel knows the rest of returns EINTR then, as after any signal."""
    with Target("waits", args=[kind]) as target:
        assert kill_at_each_step(target, BENEATH) > 15
        turns = [line.split(" ", 2)[2] for line in target.lines() if line.startswith("turn")]
        assert bool(turns) is (kind == "c_sleep")
        assert all(600 >= int(left) > 0 for left in turns), turns
        with attach(target.pid, wake=True) as handle:
            assert handle.run("1")["status"] == "ok"
            if kind == "c_poll":
                handle.run("release(101)")
                assert target.wait_for("turn") == "turn 1 101"


def kill_at_each_step(target: Target, technique: Technique) -> int:
    """Returns how many steps there are."""
    for step in range(1, 100):
        process, seen = settled(target)
        order = wake.order_for(process, seen, technique)
        done = run("dying_waker.py", step, order=json.dumps(order._asdict()))
        if done.returncode == 0:
            return int(done.stdout)
        assert done.returncode == -9, done.stderr
        settled(target)
        assert target.alive(), f"dead after step {step}: {target.told()}"
        assert not target.errors(), step
    raise AssertionError("no end of steps")


def goes_on(target: Target, turn: int, released: str) -> None:
    with attach(target.pid, wake=True) as handle:
        assert target.lines() == ["ready"]
        if released:
            assert handle.run("release(101)")["status"] == "ok"
            assert target.wait_for("turn") == f"turn {turn} {released}"


# -- what is refused


def test_one_that_has_moved_on() -> None:
    """It was seen in another wait: nothing is done to it."""
    with Target("waits", args=["pause"]) as target:
        process, seen = settled(target)
        assert seen.wait is not None
        elsewhere = seen._replace(wait=seen.wait._replace(stack=seen.wait.stack - 64))
        for technique in (EINTR, PENDING, BENEATH):
            assert wake.wake(process, elsewhere, technique) == wake.Outcome(False, "")
        assert blocked.describe(process).wait == seen.wait
        other = process._replace(start_time=process.start_time + 1)
        assert wake.wake(other, seen, EINTR) == wake.Outcome(False, "")


@pytest.mark.attach
def test_one_with_a_signal_to_handle() -> None:
    """Its handler would run in the midst of C code; the program does that itself, later."""
    with Target("waits", args=["c_read"]) as target:
        process, _ = settled(target)
        with attach(target.pid, wake=True) as handle:
            assert handle.run("_signal(0)")["status"] == "ok"
            process, seen = settled(target)
            refusal = wake.Outcome(False, "has a signal to handle first, once it wakes")
            assert wake.wake(process, seen, BENEATH) == refusal
            assert target.lines() == ["ready"]
            assert handle.run("release(101)")["status"] == "ok"
        assert target.wait_for("turn") == "turn 1 (3, 101, 77)"
        assert "handled" in target.lines()


def test_one_with_a_shadow_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processor here has one: the regset is made to be there."""
    with Target("waits", args=["lock"]) as target:
        process, seen = settled(target)
        get = tracing.Held.get
        monkeypatch.setattr(
            tracing.Held, "get", lambda self, kind: b"\1" * 8 if kind == 0x204 else get(self, kind)
        )
        told = waker.carry_out(wake.order_for(process, seen, PENDING))
        assert told == (waker.REFUSED, "keeps a shadow stack, which forbids calls from outside")
        assert settled(target)[1].wait == seen.wait


def test_one_that_is_stopped() -> None:
    """It stays so."""
    with Target("waits", args=["lock"]) as target:
        process, seen = settled(target)
        target.signal(signal.SIGSTOP)
        eventually(lambda: proc.stat(target.pid).state == "T")
        for technique in (PENDING, BENEATH):
            assert wake.wake(process, seen, technique) == wake.Outcome(False, "is stopped")
        assert proc.stat(target.pid).state == "T"
        target.signal(signal.SIGCONT)
        assert settled(target)[1].wait == seen.wait


def test_one_under_a_debugger() -> None:
    with Target("waits", args=["lock"]) as target:
        process, seen = settled(target)
        with subprocess.Popen(
            [sys.executable, str(PROGRAMS / "verdict_tracer.py"), str(target.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as tracer:
            try:
                assert tracer.stdout is not None
                tracer.stdout.readline()
                outcome = wake.wake(process, seen, PENDING)
                assert outcome == wake.Outcome(False, f"is held by a debugger (pid {tracer.pid})")
            finally:
                tracer.kill()


def test_native_code_is_left_alone() -> None:
    seen = Blocked(7, 7, "R")
    assert techniques.choose(seen) is None
    assert techniques.explain(seen) == ""
    assert "native code" in techniques.why_not(seen)


@pytest.mark.parametrize(
    ("call", "library", "tried", "next_one"),
    [
        ("futex", "", [], PENDING),
        ("futex", "", [PENDING], BENEATH),
        ("futex", "", [PENDING, BENEATH], BENEATH),
        ("futex", "libfoo.so", [], BENEATH),
        ("restart_syscall", "", [], PENDING),
        ("restart_syscall", "libc.so", [], BENEATH),
        ("read", "", [], EINTR),
        ("read", "", [EINTR], BENEATH),
        ("read", "libpq.so.5", [], BENEATH),
        ("epoll_wait", "", [], NUDGE),
        ("epoll_wait", "", [NUDGE], BENEATH),
        ("pause", "", [], BENEATH),
        ("rt_sigtimedwait", "", [], BENEATH),
        ("ioctl", "", [], None),
        ("ioctl", "libusb.so", [], BENEATH),
        ("system call 9", "libfoo.so", [], None),
    ],
)
def test_choice(
    call: str, library: str, tried: list[Technique], next_one: Technique | None
) -> None:
    seen = Blocked(7, 7, "S", 1, call, wait=Wait(1, 2, 3), library=library)
    assert techniques.choose(seen, tried) is next_one
    assert bool(techniques.explain(seen)) is (techniques.choose(seen) is not None)


def test_free_threaded_is_only_interrupted() -> None:
    asleep = Blocked(7, 7, "S", 1, "read", wait=Wait(1, 2, 3), free_threaded=True)
    assert list(techniques.ladder(asleep)) == [EINTR]
    locked = asleep._replace(syscall="futex")
    assert techniques.choose(locked) is None
    assert techniques.explain(locked) == ""
    assert "free-threaded" in techniques.why_not(locked)


def test_other_machines_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(techniques, "MACHINES", {})
    seen = Blocked(7, 7, "S", 1, "futex", wait=Wait(1, 2, 3))
    assert techniques.choose(seen) is None
    assert "can't change a thread's registers" in techniques.why_not(seen)
    idle = Blocked(7, 7, "S", 1, "epoll_wait", wait=Wait(1, 2, 3))
    assert techniques.choose(idle) is NUDGE


# -- how the user says so


@pytest.fixture
def locked() -> Iterator[Program]:
    with Program("waits", args=["lock"]) as program:
        settled(program, "futex")
        yield program


@pytest.mark.attach
def test_it_is_offered_and_not_done(locked: Program) -> None:
    told: list[str] = []
    with pytest.raises(TargetBlocked) as caught:
        attach(locked.pid, timeout=1.5, on_waiting=told.append)
    assert len(told) == 1
    assert "wake=True (on the command line: --wake) wakes it: it calls Py_AddPendingCall" in told[0]
    assert "than of any signal that it handles: Python waits on" in told[0]
    assert "Or wake it: wake=True (on the command line: --wake)" in caught.value.remedy


@pytest.mark.client
def test_asked_and_answered(locked: Program) -> None:
    with Kernel(answers=["y"]) as kernel:
        cell = kernel.run(f"%attach {locked.pid}\nturn, results", allow_stdin=True)
        assert cell.result == "(1, [])"
        assert [prompt["prompt"] for prompt in kernel.prompts] == ["Wake it? [y/N] "]
        assert f"%attach --wake {locked.pid} wakes it: it calls Py_Add" in cell.notes


@pytest.mark.client
def test_asked_and_declined(locked: Program) -> None:
    with Kernel("--pid", locked.pid, answers=["n"]) as kernel:
        cell = kernel.begin("turn", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the question")
        assert not cell.is_done
        kernel.interrupt()
        assert cell.finish().error[0] == "TargetBlocked"


@pytest.mark.client
def test_the_wait_ends_while_it_is_asked(locked: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.begin(f"%attach {locked.pid}\nturn", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the question")
        with attach(locked.pid, wake=True) as handle:
            handle.run("release(1)")
        assert cell.finish().status == "ok", cell


@pytest.mark.parametrize(
    ("allows_input", "silent", "asks"),
    [(True, False, True), (False, False, False), (True, True, False)],
)
def test_who_is_asked(allows_input: bool, silent: bool, asks: bool) -> None:
    """Nobody for whom there is no one to answer, and no front-end's own probe."""
    nobody: Any = None
    execution: Any = SimpleNamespace(allows_input=allows_input, silent=silent, note=print)
    in_target = InTarget(nobody, nobody, nobody, lambda *_: None)
    waiter = in_target.waiter(execution, lambda: None, lambda _: None)
    assert (waiter.ask is not None) is asks


@pytest.mark.client
def test_said_while_the_kernel_waits(locked: Program) -> None:
    with Kernel("--pid", locked.pid) as kernel:
        assert kernel.run("%attach --wake\nturn").result == "1"
        assert not kernel.prompts
        name, _ = kernel.run("%attach --wake").error
        assert name == "NoTarget"


@pytest.mark.client
@pytest.mark.parametrize("code", ["%attach {} --wake", "%attach --wake {}"])
def test_said_with_the_pid(locked: Program, code: str) -> None:
    with Kernel() as kernel:
        assert kernel.run(code.format(locked.pid) + "\nturn").result == "1"


@pytest.mark.client
def test_said_on_the_kernels_command_line(locked: Program) -> None:
    with Kernel("--pid", locked.pid, "--wake") as kernel:
        assert kernel.run("turn").result == "1"


@pytest.mark.attach
def test_said_on_the_command_line(locked: Program) -> None:
    command = [sys.executable, "-m", "live_kernel", "exec", "--wake", str(locked.pid), "turn"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "1\n"


@pytest.mark.console
@pytest.mark.parametrize("options", [["--wake"], []], ids=["told", "asked"])
def test_a_console_opens_in_it(
    locked: Program, kernelspecs: Path, tmp_path: Path, artefacts: Path, options: list[str]
) -> None:
    env = {
        "JUPYTER_PATH": str(kernelspecs),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "TERM": "xterm-256color",
    }
    command = [sys.executable, "-m", "live_kernel", "attach", *options, str(locked.pid)]
    with Terminal(command, env, artefacts / "screen.txt") as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter("'turn', turn")
        if not options:
            terminal.wait_for("The program sees no more of it", "Wake it? [y/N]")
            terminal.enter("y")
        terminal.wait_for("('turn', 1)", "In [2]:")
        assert terminal.leave_console() == 0
    assert locked.lines() == ["ready"]


@pytest.mark.attach
def test_why_it_fails_is_told(monkeypatch: pytest.MonkeyPatch, locked: Program) -> None:
    """It stays in its wait: the user hears why, and the attach waits on."""
    refusal = wake.Outcome(False, "keeps a shadow stack, which forbids calls from outside")
    monkeypatch.setattr(wake, "wake", lambda *_: refusal)
    told: list[str] = []
    with pytest.raises(TargetBlocked):
        attach(locked.pid, timeout=3, on_waiting=told.append, wake=True)
    assert ["It can't be woken: it keeps a shadow" in text for text in told].count(True) == 1, told


@pytest.mark.attach
def test_it_is_not_woken_for_ever(monkeypatch: pytest.MonkeyPatch, locked: Program) -> None:
    """What can be done is done a number of times, by one technique after the other."""
    monkeypatch.setattr("live_kernel.launcher.waking.TRIES", 4)
    used: list[Technique] = []

    def nothing(process: Process, seen: Blocked, technique: Technique) -> wake.Outcome:
        used.append(technique)
        return wake.Outcome(True)

    monkeypatch.setattr(wake, "wake", nothing)
    told: list[str] = []
    with pytest.raises(TargetBlocked):
        attach(locked.pid, timeout=3, on_waiting=told.append, wake=True)
    assert used == [PENDING, BENEATH, BENEATH, BENEATH]
    assert any("was woken many times, and has looked for no work" in text for text in told), told


def test_the_helper_tells_what_it_did() -> None:
    assert {waker.DONE, waker.MOVED, waker.REFUSED} == {"done", "moved", "refused"}


def test_the_text_stands_alone() -> None:
    """The helper is started without site-packages: it needs the standard library and us only."""
    code = wake.HELPER.format(place=str(Path(wake.__file__).resolve().parents[2]))
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, input='{"pid": 1, "thread": 0}', capture_output=True, text=True,
                          timeout=20, check=False)  # fmt: skip
    assert done.stdout.split()[0] in (waker.MOVED, waker.REFUSED), done
