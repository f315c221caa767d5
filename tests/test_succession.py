"""Successors: who is one and who is not, and whether the kernel goes there.

Runs in pytest, with real programs that real ones look after. Rule: whatever is told of a
successor must be so, and a cell never runs in a process that the user has not asked for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import replaced
from kernels import Kernel
from replaced import Family
from snapshots import Program
from supervised_programs import Supervised, a_name
from targets import PROGRAMS, ROOT, Target, clean_environment, eventually, python314
from users import NOBODY, become, python_for

from live_kernel.attach import processes
from live_kernel.launcher import successors
from live_kernel.launcher.succession import first_wanted, said
from live_kernel.launcher.successors import Line, Successor

pytestmark = [pytest.mark.attach, pytest.mark.client]

SCRIPT = '"$@" & trap "kill $!" TERM; wait; wait'
"""Starts a program, and hands on that it is to end."""


class Watched:
    """A process, remembered as a kernel remembers it, and its successors after its end."""

    def __init__(self, pid: int) -> None:
        line = successors.line_of(processes.identify(pid))
        assert line is not None
        self.line: Line = line

    def ended(self) -> None:
        """It has ended by now."""
        eventually(lambda: successors.seen(self.line.own.pid) is None, 30)
        self.at = successors.now()

    def successors(self) -> list[Successor]:
        return successors.find(self.line, self.at)

    def pids(self) -> list[int]:
        return [each.pid for each in self.successors()]


# -- who is one


def test_a_program_that_runs_has_no_successor(program: Program) -> None:
    watched = Watched(program.pid)
    with Target("idle"):
        assert successors.find(watched.line, successors.now()) == []


def test_one_that_is_never_replaced_has_none() -> None:
    with Target("idle") as other, Target("idle") as target:
        watched = Watched(target.pid)
        target.close()
        watched.ended()
        assert watched.pids() == []
        assert other.alive()


def test_a_shells_loop() -> None:
    with replaced.restarted() as family:
        watched = Watched(family.worker)
        fresh = family.replace(family.worker)
        watched.ended()
        (one,) = watched.successors()
        assert one.pid == fresh
        assert "same parent" in one.why


def test_a_sibling_that_ran_before_is_none() -> None:
    """Of the same parent, user, executable, directory and command line; but it ran beside it."""
    program = [python314(), str(PROGRAMS / "renewed.py")]
    script = '"$@" & sleep 0.1; "$@" & wait; wait; exec sleep 600'
    with Family(["sh", "-c", script, "sh", *program], replaced.is_python, count=2) as family:
        older, younger = family.workers()
        watched = Watched(older)
        os.kill(older, signal.SIGTERM)
        watched.ended()
        assert watched.pids() == []
        eventually(lambda: successors.now() - watched.at > 250, what="2.5 s, in ticks")
        assert watched.pids() == []
        assert psutil.pid_exists(younger)


def test_a_sibling_is_none_that_began_meanwhile() -> None:
    """It is not known from before, and began long before the end of the one that is gone."""
    with replaced.pooled("fork", 2) as family:
        first, second = family.workers()
        watched = Watched(first)
        third = family.replace(second, signal.SIGKILL)
        begun = psutil.Process(third).create_time()
        eventually(lambda: time.time() - begun > 1.5, what="it has run for a while")
        fresh = family.replace(first, signal.SIGKILL)
        watched.ended()
        assert watched.pids() == [fresh]


def test_another_command_line_or_directory_is_none(tmp_path: Path) -> None:
    script = 'renewed=$1; "$0" "$renewed"; "$0" "$renewed" again & cd /; exec "$0" "$renewed"'
    program = [python314(), str(PROGRAMS / "renewed.py")]
    with Family(["sh", "-c", script, *program], lambda p: "renewed.py" in p.cmdline()[1]) as family:
        watched = Watched(family.worker)
        os.kill(family.worker, signal.SIGTERM)
        watched.ended()
        family.workers(count=1)
        assert watched.pids() == []


def test_a_pid_that_comes_again_is_another_process(program: Program) -> None:
    """By its number alone, what runs there now is neither the old one nor its successor."""
    with Target("idle") as target:
        own = Watched(target.pid).line.own
        later = successors.seen(program.pid)
        assert later is not None
        before = min(own.start_time, later.start_time) - 1  # both may have begun in one tick
        recycled = Line(own._replace(pid=later.pid, start_time=before), ())
        assert successors.find(recycled, successors.now()) == []


def test_an_execution_in_place() -> None:
    with Target("renewed") as target:
        watched = Watched(target.pid)
        target.signal(signal.SIGUSR1)
        target.wait_for("ready", after=1)
        (one,) = successors.find(watched.line, successors.now())
        assert one.pid == target.pid
        assert "kept its pid" in one.why


def test_another_program_in_place_is_none() -> None:
    with Target("renewed") as target:
        watched = Watched(target.pid)
        target.signal(signal.SIGUSR2)
        eventually(lambda: "-c" in psutil.Process(target.pid).cmdline())
        assert successors.find(watched.line, successors.now()) == []


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_worker_of_a_pool(method: str) -> None:
    with replaced.pooled(method, 3) as family:
        before = family.workers()
        watched = Watched(before[1])
        fresh = family.replace(before[1], signal.SIGKILL)
        watched.ended()
        assert watched.pids() == [fresh], "its siblings are none"


def test_two_of_a_pool() -> None:
    with replaced.pooled("fork", 3) as family:
        first, second, third = family.workers()
        watched = Watched(first)
        os.kill(second, signal.SIGSTOP)
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
        watched.ended()
        there = set(family.workers(other_than=[first, second]))
        assert set(watched.pids()) == there - {third}


def test_a_worker_that_was_relieved_before_it_ended() -> None:
    """gunicorn, upon HUP, starts the new ones first, and lets the old ones end their work."""
    with replaced.served(1) as family:
        old = family.worker
        watched = Watched(old)
        family.signal(signal.SIGHUP)
        watched.ended()
        (fresh,) = family.workers(other_than=[old])
        assert eventually(watched.pids) == [fresh]


def test_a_master_that_executes_itself_anew() -> None:
    """gunicorn, upon USR2: the new master is a child of the old one, and left an orphan."""
    with replaced.served(1) as family:
        family.answers()
        worker, master = Watched(family.worker), Watched(family.pid)
        family.signal(signal.SIGUSR2)
        fresh = eventually(lambda: _masters(family.place, family.pid), 30)
        (under,) = eventually(lambda: [p.pid for p in psutil.Process(fresh).children()], 30)
        try:
            family.signal(signal.SIGTERM)
            family.process.wait(30)
            master.ended()
            worker.ended()
            (one,) = master.successors()
            assert (one.pid, one.why) == (fresh, "the old one has executed itself anew in it")
            (one,) = worker.successors()
            assert one.pid == under
            assert f"pid {fresh} has taken the place of its parent" in one.why
        finally:
            psutil.Process(fresh).terminate()
            eventually(lambda: not psutil.pid_exists(fresh), 30)
            eventually(lambda: not psutil.pid_exists(under), 30)


def _masters(place: Path, old: int) -> int:
    told = f"GUNICORN_PID={old}".encode()
    for process in psutil.process_iter():
        try:
            is_in_place = process.cwd() == str(place)
            environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except (psutil.Error, OSError):
            continue
        if is_in_place and told in environ and process.ppid() == old and process.children():
            return process.pid
    return 0


def test_a_supervisor_that_was_restarted_itself() -> None:
    """The parent has been replaced, and has started the program again."""
    program = [python314(), str(PROGRAMS / "renewed.py")]
    inner = ["sh", "-c", f"trap '' TERM; {replaced.LOOP}", "inner", *program]
    with Family(["sh", "-c", replaced.LOOP, "outer", *inner], replaced.is_python) as family:
        old = family.worker
        parent = psutil.Process(old).ppid()
        watched = Watched(old)
        os.kill(parent, signal.SIGKILL)
        os.kill(old, signal.SIGKILL)
        watched.ended()
        (fresh,) = family.workers(other_than=[old])
        (one,) = eventually(watched.successors)
        assert one.pid == fresh
        assert f"the place of its parent, pid {parent}" in one.why


@pytest.mark.root
def test_a_program_of_the_same_name_of_another_users_is_none() -> None:
    """It has the same parent, executable, directory and command line, and begins at once."""
    python = python_for(NOBODY)
    program = [python, str(PROGRAMS / "renewed.py")]
    as_nobody = " ".join(become(NOBODY))
    script = f'"$@"; {as_nobody} "$@" & wait; sleep 600'
    with Family(["sh", "-c", script, "sh", *program], replaced.is_python) as family:
        old = family.worker
        watched = Watched(old)
        os.kill(old, signal.SIGKILL)
        watched.ended()
        (hostile,) = family.workers(other_than=[old])
        eventually(lambda: psutil.Process(hostile).uids().effective == NOBODY)
        assert psutil.Process(hostile).cmdline() == list(watched.line.own.cmdline)
        assert watched.pids() == []


# -- where the kernel goes


@pytest.fixture
def family() -> Iterator[Family]:
    with replaced.restarted() as family:
        yield family


def lose(kernel: Kernel, family: Family) -> int:
    """End the kernel's program, and wait until the kernel knows and its successor is there."""
    old = family.worker
    fresh = family.replace(old, signal.SIGKILL)
    eventually(lambda: "lost" in kernel.run("%status").stdout)
    return fresh


def test_the_next_cell_says_so_and_runs_nowhere(family: Family) -> None:
    with Kernel("--pid", family.worker) as kernel:
        old = kernel.value("__import__('os').getpid()")
        fresh = lose(kernel, family)
        cell = kernel.run("rate = 'set'")
        assert cell.error[0] == "TargetReplaced"
        assert f"pid {old} has been replaced by pid {fresh} (same program: " in cell.error[1]
        assert f"%attach {fresh} goes there" in cell.traceback
        assert "same parent" in cell.traceback
        assert kernel.run(f"%attach {fresh}\nrate").result == "2"


def test_an_empty_answer_goes_there(family: Family) -> None:
    with Kernel("--pid", family.worker) as kernel:
        kernel.run("1")
        fresh = lose(kernel, family)
        kernel.answers.append("")
        cell = kernel.run("__import__('os').getpid()", allow_stdin=True)
        assert cell.result == str(fresh)
        assert f"Enter: {fresh}, its successor" in kernel.prompts[-1]["prompt"]


@pytest.mark.parametrize("how", ["--follow", "LIVE_KERNEL_FOLLOW", "%follow", "notebook", "late"])
def test_it_follows_if_it_was_asked_to(family: Family, how: str, tmp_path: Path) -> None:
    notebook = tmp_path / "orders.ipynb"
    notebook.write_text('{"metadata": {"live_kernel": {"follow": true}}}')
    env = {"LIVE_KERNEL_FOLLOW": "1"} if how == "LIVE_KERNEL_FOLLOW" else {}
    more = ["--follow"] if how == "--follow" else []
    at = notebook if how == "notebook" else None
    with Kernel("--pid", family.worker, *more, env=env, notebook=at) as kernel:
        old = kernel.value("__import__('os').getpid()")
        if how == "%follow":
            assert "is attached to by the next cell (%follow)" in kernel.run("%follow on").stdout
        fresh = lose(kernel, family)
        if how == "late":
            cell = kernel.run("%follow on")
            assert f"replaced by pid {fresh}" in cell.notes
            assert kernel.value("__import__('os').getpid()") == fresh
            return
        cell = kernel.run("__import__('os').getpid()")
        assert cell.result == str(fresh)
        assert f"pid {old} has been replaced by pid {fresh}" in cell.notes
        assert "Attached to" in cell.notes
        again = lose(kernel, family)
        assert kernel.value("__import__('os').getpid()") == again


def test_it_waits_for_one_that_takes_its_time() -> None:
    script = '"$@"; while [ ! -e go ]; do sleep 0.05; done; "$@"; exit'
    program = [python314(), str(PROGRAMS / "renewed.py")]
    with (
        Family(["sh", "-c", script, "sh", *program], replaced.is_python) as family,
        Kernel("--pid", family.worker, "--follow") as kernel,
    ):
        kernel.run("1")
        os.kill(family.worker, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.begin("rate")
        cell.wait_for("no successor of it has begun yet")
        (family.place / "go").touch()
        assert cell.finish().result == "2"


def test_an_interrupt_ends_the_wait(program: Program) -> None:
    program.expected_to_end = True
    with Kernel("--pid", program.pid, "--follow") as kernel:
        kernel.run("1")
        program.close()
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.begin("word")
        cell.wait_for("no successor of it has begun yet")
        kernel.interrupt()
        assert "was not waited for any longer" in cell.finish().error[1]


def test_it_is_asked_of_several() -> None:
    with replaced.pooled("forkserver", 2) as family, Kernel("--follow") as kernel:
        first, second = family.workers()
        kernel.run(f"%attach --wake {first}")
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
        there = family.workers(other_than=[first, second])
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("1")
        assert cell.error[0] == "TargetReplaced"
        assert all(f"%attach {pid}" in cell.traceback for pid in there)
        kernel.answers.extend(["2", "y"])  # which; and whether to wake it
        cell = kernel.run("__import__('os').getpid()", allow_stdin=True)
        assert "Which (number or pid)?" in kernel.prompts[0]["prompt"]
        assert cell.result in map(str, there), cell.text


def test_one_that_nobody_can_enter_is_told(tmp_path: Path) -> None:
    """A pool forks the workers that it replaces from a thread: they have no main thread."""
    with replaced.pooled("fork") as family, Kernel("--follow") as kernel:
        old = family.worker
        kernel.run(f"%attach --wake {old}")
        fresh = family.replace(old, signal.SIGKILL)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("1", timeout=40)
        assert f"has been replaced by pid {fresh}" in cell.notes
        assert cell.notes.count("The kernel follows") == 1
        assert cell.error[0] == "AgentFailed"
        assert "forked by another thread" in cell.error[1]
        assert "forkserver or spawn" in cell.traceback


def test_names_choose_whom(family: Family) -> None:
    with Kernel("--pid", family.worker) as kernel:
        assert kernel.run("%follow uvicorn renewed.py\n1").result == "1"
        fresh = lose(kernel, family)
        assert kernel.value("__import__('os').getpid()") == fresh
        kernel.run("%follow uvicorn")
        lose(kernel, family)
        assert kernel.run("1").error[0] == "TargetReplaced"
        assert "off" not in kernel.run("%follow off").stdout
        assert "is named, and not followed" in kernel.run("%follow").stdout


def test_an_execution_in_place_is_followed() -> None:
    with Target("renewed") as target, Kernel("--pid", target.pid, "--follow") as kernel:
        kernel.run("rate = 'set'")
        target.signal(signal.SIGUSR1)
        target.wait_for("ready", after=1)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("rate")
        assert cell.result == "2"
        assert "another run of the same program, with the same pid" in cell.notes


def test_uvicorn_reloads(tmp_path: Path) -> None:
    with replaced.reloaded() as family:
        family.answers()
        old = family.worker
        with Kernel("--pid", old, "--follow") as kernel:
            assert kernel.run("import orders; orders.RATE").result == "2"
            (family.place / "orders.py").write_text(replaced.ORDERS.replace("= 2", "= 3"))
            eventually(lambda: "lost" in kernel.run("%status").stdout, 30)
            cell = kernel.run("import orders; orders.RATE")
            assert cell.result == "3"
            assert f"a worker of pid {family.pid}, python -m uvicorn" in cell.notes


@pytest.mark.parametrize("wrap", [(), ("sh", "-c", SCRIPT, "sh")], ids=["itself", "a script"])
def test_a_program_under_supervision(wrap: tuple[str, ...]) -> None:
    with Supervised("renewed", name=a_name("shop"), wrap=wrap) as shop, Kernel() as kernel:
        kernel.run(f"%attach {shop.program.pid}\n%follow {shop.name}\n%break price if False")
        before = shop.program.pid
        words = [sys.executable, "-m", "live_kernel", "restart", shop.name]
        subprocess.run(words, check=True, capture_output=True, cwd=ROOT)
        eventually(lambda: "lost" in kernel.run("%status").stdout)
        cell = kernel.run("__import__('os').getpid()")
        assert cell.result == str(shop.program.pid) != str(before)
        assert "✓ %break price if False" in cell.notes


def test_gunicorn_is_told_to_hang_up() -> None:
    with replaced.served(1) as family:
        family.answers()
        old = family.worker
        with Kernel("--pid", old, "--follow") as kernel:
            kernel.run("1")
            family.signal(signal.SIGHUP)
            eventually(lambda: "lost" in kernel.run("%status").stdout, 30)
            fresh = kernel.value("__import__('os').getpid()")
            assert fresh in family.workers()
            assert fresh != old


def test_guards_hold_for_the_successor(family: Family, tmp_path: Path) -> None:
    """Read anew, as for any attach; what was asked for the one before holds, too."""
    config = tmp_path / "config.toml"
    config.write_text("")
    with Kernel("--follow", env={"LIVE_KERNEL_CONFIG": str(config)}) as kernel:
        kernel.run(f"%attach --observe {family.worker}")
        lose(kernel, family)
        assert kernel.run("1").error[0] == "OnlyLooks"
        kernel.run(f"%attach {family.worker}\n1")
        config.write_text('[[guard]]\nmatch = "renewed"\nconfirm = true\nbanner = "LIVE"\n')
        lose(kernel, family)
        assert kernel.run("1").error[0] == "NotConfirmed"
        kernel.answers.append("y")
        cell = kernel.run("rate", allow_stdin=True)
        assert cell.result == "2"
        assert "LIVE" in kernel.prompts[-1]["prompt"]


def test_it_is_on_record(family: Family, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    env = {"LIVE_KERNEL_JOURNAL": str(journal)}
    with Kernel("--pid", family.worker, "--follow", env=env) as kernel:
        old = kernel.value("__import__('os').getpid()")
        lose(kernel, family)
        kernel.run("1")
    lines = [line for line in journal.read_text().splitlines() if '"event":"attach"' in line]
    assert len(lines) == 2
    assert '"by":"%follow"' in lines[1]
    assert f"successor of pid {old}" in lines[1]
    assert "same parent" in lines[1]


def test_a_console(family: Family, kernelspecs: Path) -> None:
    from terminals import Terminal

    words = [sys.executable, "-m", "jupyter_console", "--kernel", "live-attach", "--"]
    words += ["--pid", str(family.worker), "--follow"]
    env = clean_environment() | {"JUPYTER_PATH": str(kernelspecs), "PYTHONPATH": str(ROOT)}
    with Terminal(words, env) as terminal:
        terminal.wait_for("In [1]:")
        terminal.enter("rate = 7")
        terminal.wait_for("In [2]:")
        terminal.enter("rate")
        terminal.wait_for("Out[2]: 7", "In [3]:")
        fresh = family.replace(family.worker, signal.SIGKILL)
        terminal.enter("%status")
        terminal.wait_for("State: lost", "In [4]:")
        terminal.enter("rate, __import__('os').getpid()")
        terminal.wait_for(f"(2, {fresh})", f"replaced by pid {fresh}")


# -- what is asked for


@pytest.mark.parametrize(
    ("text", "by", "names"),
    [("on", "x", ()), ("TRUE", "x", ()), ("1", "x", ()), ("off", "", ()), ("no", "", ()),
     ("", "", ()), ("orders api", "x", ("orders", "api"))],
)  # fmt: skip
def test_what_words_mean(text: str, by: str, names: tuple[str, ...]) -> None:
    assert said(text, "x") == (by, names)


@pytest.mark.parametrize(
    ("follow", "by"),
    [("true", "the metadata of n.ipynb"), ("false", ""), ('"on"', "the metadata of n.ipynb"),
     ('["orders"]', "the metadata of n.ipynb"), ("[]", ""), ("7", ""), ("null", "")],
)  # fmt: skip
def test_what_a_notebook_says(follow: str, by: str, tmp_path: Path) -> None:
    notebook = tmp_path / "n.ipynb"
    notebook.write_text(f'{{"metadata": {{"live_kernel": {{"follow": {follow}}}}}}}')
    assert first_wanted(None, {"JPY_SESSION_NAME": str(notebook)}).by == by
    notebook.chmod(0o666)
    assert first_wanted(None, {"JPY_SESSION_NAME": str(notebook)}).by == ""


def test_what_is_said_first_counts(tmp_path: Path) -> None:
    env = {"LIVE_KERNEL_FOLLOW": "off", "JPY_SESSION_NAME": str(tmp_path / "none.ipynb")}
    assert first_wanted("on", env).by == "--follow"
    assert first_wanted(None, env).by == ""
    assert first_wanted(None, {}).by == ""


def test_the_command_line_knows_it() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "live_kernel", "attach", "--help"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "--follow" in shown.stdout
