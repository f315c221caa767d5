"""Getting in and out: programs that react, programs that don't, and several launchers at once."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel
from snapshots import AGENT, Program, differences, landings
from targets import PROGRAMS, Target, eventually

import live_kernel
from live_kernel.errors import (
    AgentFailed,
    AgentLost,
    LiveKernelError,
    NoTarget,
    TargetBlocked,
)
from live_kernel.handle import Handle, attach

pytestmark = pytest.mark.attach


def text_of(handle: Handle, code: str) -> str:
    """What a cell prints."""
    texts: list[str] = []
    outcome = handle.run(code, lambda event: texts.append(event.get("text", "")))
    assert outcome["status"] == "ok", outcome
    return "".join(texts)


@pytest.fixture
def idle() -> Iterator[Program]:
    with Program("idle") as program:
        yield program


@pytest.fixture
def asleep() -> Iterator[Program]:
    with Program("asleep") as program:
        yield program


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where landings are made by this process, for this test."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


# -- programs that react


def test_in_and_out(idle: Program, temporary: Path) -> None:
    with attach(idle.pid) as handle:
        assert handle.description.startswith(f"Attached to pid {idle.pid} (")
        assert handle.description.endswith(";\ncells see module __main__ (idle.py).")
        assert "Python 3.14." in handle.description
        assert text_of(handle, "import os\nprint(os.getpid())") == f"{idle.pid}\n"
        assert landings(temporary) == []


def test_restored_as_soon_as_detached(idle: Program) -> None:
    """The agent says goodbye when it is done, and not before."""
    before = idle.snapshot()
    for _ in range(20):
        with attach(idle.pid) as handle:
            handle.run("print(1)")
        left = differences(before, idle.snapshot()).keys()
        assert left <= {"threads", "native threads"}, left  # those end a moment later
    idle.assert_unharmed_since(before)


def test_attach_again_finds_the_agent_loaded(idle: Program) -> None:
    with attach(idle.pid) as handle:
        handle.run("mine = 1")
    first = idle.snapshot()["modules"]
    with attach(idle.pid) as handle:
        assert handle.run("mine")["error"]["ename"] == "NameError"
    second = idle.snapshot()["modules"]
    agent = {name for name in second if AGENT.fullmatch(name)}
    assert agent
    assert {name: first.get(name) for name in agent} == {name: second[name] for name in agent}


def test_nothing_of_ours_stays_open(idle: Program) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with attach(idle.pid):
        pass
    before = descriptors()
    for _ in range(10):
        with attach(idle.pid) as handle:
            handle.run("1")
    assert descriptors() == before


def test_detaching_twice(idle: Program) -> None:
    handle = attach(idle.pid)
    handle.detach()
    handle.detach()


def test_a_handle_that_was_left_says_so(idle: Program) -> None:
    with attach(idle.pid) as handle:
        pass
    with pytest.raises(NoTarget, match=f"this handle has left pid {idle.pid} ") as caught:
        handle.run("1")
    assert caught.value.remedy
    assert handle.description.startswith(f"this handle has left pid {idle.pid} (")


def test_a_pid_is_a_number(idle: Program) -> None:
    for pid in (str(idle.pid), "idle", None, 4.5):
        with pytest.raises(TypeError, match="takes a pid, which is an int"):
            attach(pid)  # type: ignore[arg-type]


def test_public_name(idle: Program) -> None:
    """`live_kernel.attach` is the function, whatever was imported before."""
    importlib.import_module("live_kernel.attach.processes")
    for _ in range(2):
        with live_kernel.attach(idle.pid) as handle:
            assert handle.run("1")["status"] == "ok"


@pytest.mark.parametrize("name", ["busy", "aio_busy", "threaded", "no_stdout", "own_import"])
def test_programs_that_run(name: str) -> None:
    with Program(name) as program, attach(program.pid) as handle:
        assert text_of(handle, "import os\nprint(os.getpid())") == f"{program.pid}\n"


def test_program_of_greenlets() -> None:
    if sys.version_info[:2] != (3, 14):
        pytest.skip("gevent is installed for another Python than the target's")
    with Program("gevented", sys.executable) as program, attach(program.pid) as handle:
        before = int(text_of(handle, "print(ticks)"))
        assert text_of(handle, "import time\ntime.sleep(0.05)\nprint(ticks > 0)") == "True\n"
        handle.run("word = 'greenlets go on'")
        program.wait_for("greenlets go on")
        eventually(lambda: int(text_of(handle, "print(ticks)")) > before)


def test_more_files_than_select_can_name() -> None:
    with Program("many_fds") as program, attach(program.pid) as handle:
        assert text_of(handle, "import os\nprint(os.getpid())") == f"{program.pid}\n"
        outcome = handle.run("import asyncio\nawait asyncio.sleep(0.001)")
        assert outcome["status"] == "ok", outcome


# -- an idle event loop


def test_idle_event_loop_is_entered_at_once() -> None:
    """Nothing would wake it, and nobody has to."""
    told: list[str] = []
    with Program("aio_idle") as program:
        begin = time.monotonic()
        with attach(program.pid, on_waiting=told.append) as handle:
            assert time.monotonic() - begin < 2
            assert told == []
            assert "main() at aio_idle.py" in handle.description or "aio_idle" in handle.description
            handle.run("app.loop.call_soon_threadsafe(app.jobs.put_nowait, 'a job')")
            program.wait_for("did a job")


# -- a program that is blocked


def here() -> int:
    """The line in which `asleep` waits."""
    lines = (PROGRAMS / "asleep.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith("# here"))


def is_where_asked(text: str) -> bool:
    return f"main thread waits in futex (a lock) at asleep.py:{here()}" in text


def test_blocked_until_the_timeout(asleep: Program, temporary: Path) -> None:
    before = asleep.snapshot()
    told: list[str] = []
    with pytest.raises(TargetBlocked) as caught:
        attach(asleep.pid, timeout=1, on_waiting=told.append)
    assert len(told) == 1
    assert is_where_asked(told[0])
    assert "as soon as" in told[0]
    assert is_where_asked(str(caught.value))
    assert caught.value.pid == asleep.pid
    assert landings(temporary) == []
    wakes_to_nothing(asleep, before)


def wakes_to_nothing(asleep: Program, before: dict[str, object]) -> None:
    """A late wake-up runs nothing of ours. (That stderr is empty is seen by `Program`.)"""
    asleep.send("wake")
    asleep.wait_for("woken")
    # Three safe points later the program has run what it was to run.
    asleep.from_inside()
    after = asleep.snapshot()
    assert not [name for name in after["modules"] if AGENT.fullmatch(name)]
    assert not differences(before, after)


def test_attached_by_itself_when_it_wakes(asleep: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.begin(f"%attach {asleep.pid}\nstate")
        cell.wait_for("Waiting: ")
        assert is_where_asked(cell.notes)
        assert not cell.is_done
        asleep.send("wake")
        assert cell.finish().result == "'awake'"


def test_kernel_answers_while_it_waits(asleep: Program) -> None:
    """As fast as one that waits for nothing: none of the answers is put off."""
    with Kernel("--pid", asleep.pid) as kernel, Kernel() as other:
        waiting, unattached = [], []
        for _ in range(20):
            waiting.append(seconds_of_answers(kernel))
            unattached.append(seconds_of_answers(other))
        assert min(waiting) < 10 * min(unattached)
        cell = kernel.begin("1")
        cell.wait_for("Waiting: ")
        assert kernel.ask("kernel_info_request", "control")["status"] == "ok"
        kernel.interrupt()
        cell.finish()


def seconds_of_answers(kernel: Kernel) -> float:
    """How long it takes to answer what front-ends ask without a cell."""
    begin = time.monotonic()
    assert kernel.ask("kernel_info_request")["status"] == "ok"
    assert kernel.ask("kernel_info_request", "control")["status"] == "ok"
    assert kernel.ask("is_complete_request", code="x")["status"] == "complete"
    assert kernel.ask("complete_request", code="x.", cursor_pos=2)["matches"] == []
    return time.monotonic() - begin


def test_interrupt_gives_up(asleep: Program) -> None:
    before = asleep.snapshot()
    with Kernel() as kernel:
        cell = kernel.begin(f"%attach {asleep.pid}")
        cell.wait_for("Waiting: ")
        kernel.interrupt()
        name, text = cell.finish().error
        assert name == "TargetBlocked"
        assert is_where_asked(text)
        assert "%attach" in cell.traceback
        assert landings(kernel.place) == []
        wakes_to_nothing(asleep, before)
        assert kernel.run(f"%attach {asleep.pid}\nstate").result == "'awake'"


def test_detach_gives_up(asleep: Program) -> None:
    before = asleep.snapshot()
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.run("%detach")
        assert "Detached" in cell.stdout or "Gave up" in cell.stdout
    wakes_to_nothing(asleep, before)


@pytest.mark.parametrize("end", ["shutdown", "SIGTERM"])
def test_launcher_that_leaves_while_it_waits(asleep: Program, end: str) -> None:
    before = asleep.snapshot()
    with Kernel("--pid", asleep.pid) as kernel:
        eventually(lambda: landings(kernel.place), what="the attach has begun")
        if end == "SIGTERM":
            kernel.kill(signal.SIGTERM)
        else:
            assert kernel.shutdown() < 1
        kernel.close()
        assert landings(kernel.place) == []
    wakes_to_nothing(asleep, before)


def test_launcher_that_is_killed_while_it_waits(asleep: Program) -> None:
    """Nobody is left to take the script back: it runs, finds nobody and is silent."""
    before = asleep.snapshot()
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("1")
        cell.wait_for("Waiting: ")
        kernel.kill()
        asleep.send("wake")
        asleep.wait_for("woken")
        asleep.assert_unharmed_since(before)
        for landing in landings(kernel.place):  # what SIGKILL leaves
            for file in landing.iterdir():
                file.unlink()
            landing.rmdir()
        kernel.place.joinpath("kernel.json").unlink(missing_ok=True)


def test_blocked_program_that_dies(asleep: Program) -> None:
    asleep.expected_to_end = True
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("1")
        cell.wait_for("Waiting: ")
        asleep.signal(signal.SIGKILL)
        name, text = cell.finish().error
        assert name == "AgentLost"
        assert f"pid {asleep.pid}" in text
        assert "was killed by SIGKILL" in text


# -- several launchers


def test_two_on_one_program(idle: Program) -> None:
    before = idle.snapshot()
    with attach(idle.pid) as one, attach(idle.pid) as two:
        one.run("mine = 1")
        assert two.run("mine")["error"]["ename"] == "NameError"
        two.run("word = 'from two'")
        idle.wait_for("word is from two")
        assert text_of(one, "print(word)") == "from two\n"
        two.detach()
        assert text_of(one, "print(mine)") == "1\n"
        one.run("word = 'start'")
    idle.assert_unharmed_since(before)


@pytest.mark.parametrize("program", ["idle", "busy", "aio_idle"])
def test_many_at_the_same_moment(program: str) -> None:
    """A target has one slot for scripts; whoever comes second must wait, and get in."""
    with Program(program) as target:
        before = target.snapshot()
        texts: list[str] = []
        errors: list[BaseException] = []

        def enter(number: int) -> None:
            try:
                with attach(target.pid) as handle:
                    texts.append(text_of(handle, f"print({number})"))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=enter, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(texts) == [f"{n}\n" for n in range(4)]
        target.assert_unharmed_since(before)


def test_two_wait_for_one_blocked_program(asleep: Program) -> None:
    with Kernel("--pid", asleep.pid) as one, Kernel("--pid", asleep.pid) as two:
        cells = [one.begin("state"), two.begin("state")]
        for cell in cells:
            cell.wait_for("Waiting: ")
        asleep.send("wake")
        assert [cell.finish().result for cell in cells] == ["'awake'", "'awake'"]


def test_attaching_again_is_idempotent(idle: Program) -> None:
    with Kernel("--pid", idle.pid) as kernel:
        kernel.run("mine = 1")
        assert kernel.run(f"%attach {idle.pid}\nmine").result == "1"


def test_from_one_program_to_another(idle: Program) -> None:
    before = idle.snapshot()
    with Program("frame") as other, Kernel("--pid", idle.pid) as kernel:
        assert kernel.value("__import__('os').getpid()") == idle.pid
        assert kernel.run(f"%attach {other.pid}").status == "ok"
        assert kernel.value("__import__('os').getpid()") == other.pid
        idle.assert_unharmed_since(before)


def test_failed_attach_leaves_what_was(idle: Program) -> None:
    with Kernel("--pid", idle.pid) as kernel:
        kernel.run("mine = 1")
        cell = kernel.run(f"%attach {2**22}")
        assert cell.error[0] == "TargetNotFound"
        assert kernel.run("mine").result == "1"


# -- programs in which the agent can't start


@pytest.mark.slow
def test_program_that_forbids_what_the_agent_needs() -> None:
    """By an audit hook. The launcher finds out; the program hears nothing."""
    with Program("audited", args=["marshal.loads"]) as program:
        before = program.snapshot()
        with pytest.raises(AgentFailed, match=f"pid {program.pid}"):
            attach(program.pid)
        program.assert_unharmed_since(before)


def test_audit_hook_that_looks_on() -> None:
    with Program("audited") as program:
        before = program.snapshot()
        with attach(program.pid) as handle:
            assert text_of(handle, "print(1)") == "1\n"
            assert "exec" in text_of(handle, "print(seen)")
        program.assert_unharmed_since(before)


def test_program_without_a_descriptor_to_spare() -> None:
    """It would complain that it can't open our script; so it is not even asked to."""
    with Target("many_fds", args=["all"]) as program:
        with pytest.raises(AgentFailed, match="at most 64 file descriptors in use") as caught:
            attach(program.pid)
        assert program.errors() == []
        remedy = caught.value.remedy.partition(": ")[2].split()
        subprocess.run(remedy, check=True)
        with attach(program.pid) as handle:
            assert text_of(handle, "print(1)") == "1\n"


def test_gone_in_the_middle(idle: Program) -> None:
    """Whenever it dies, the error says so at once."""
    idle.expected_to_end = True
    killer = threading.Timer(0.002, idle.signal, (signal.SIGKILL,))
    killer.start()
    with pytest.raises(LiveKernelError) as caught, attach(idle.pid) as handle:  # noqa: PT012
        while True:
            handle.run("1")
    killer.join()
    assert f"pid {idle.pid}" in str(caught.value)
    assert isinstance(caught.value, LiveKernelError)
    if isinstance(caught.value, AgentLost):
        assert "was killed by SIGKILL" in str(caught.value)


# -- a handle that is interrupted


_PRINTS_AND_GOES_ON = """\
import sys
print("one")
print("two", file=sys.stderr, flush=True)
while True:
    pass
"""


def test_ctrl_c_in_a_callback_loses_nothing(program: Program) -> None:
    """Raised there, it would take the rest of what has come with it."""
    shown: list[str] = []

    def show(event: dict[str, Any]) -> None:
        if not shown:
            signal.raise_signal(signal.SIGINT)
        shown.append(event["text"])

    with attach(program.pid) as handle:
        outcome = handle.run(_PRINTS_AND_GOES_ON, show)
        assert outcome["error"]["ename"] == "KeyboardInterrupt"
        assert shown == ["one\n", "two\n"]
        assert handle.run("6 * 7")["status"] == "ok"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_twice_ends_a_callback_that_is_stuck(program: Program) -> None:
    times: list[int] = []

    def show(_event: dict[str, Any]) -> None:
        while not times:
            for number in range(2):
                times.extend([number] * number)
                signal.raise_signal(signal.SIGINT)

    with attach(program.pid) as handle:
        outcome = handle.run(_PRINTS_AND_GOES_ON, show)
        assert outcome["error"]["ename"] == "KeyboardInterrupt"


def test_a_handler_of_the_scripts_own_stays(program: Program) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with attach(program.pid) as handle:
            shown = lambda _event: signal.raise_signal(signal.SIGINT)  # noqa: E731
            assert handle.run("print(1)", shown)["status"] == "ok"
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
