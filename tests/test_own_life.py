"""What programs do with themselves, before a kernel comes and while it is there.

Runs in pytest, with real programs. What they do while attached, in each state of the session,
stands in `lives.py`; all of it is tried by `make lives`, the idle state and what is likeliest in
the others here. Rule: each program is unharmed, and whoever waits hears what has happened.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from kernels import Kernel
from lives import DEEDS, STATES, attached, is_possible, live_through, on_one_line
from snapshots import Program, outside
from targets import Target, eventually, python315

from live_kernel.errors import AgentFailed, AgentLost, LiveKernelError
from live_kernel.handle import Handle, attach
from live_kernel.launcher import entering

pytestmark = pytest.mark.attach

LIKELY = ("forks", "closes all files, and opens others", "execs itself", "sys.exit")


# -- while attached


@pytest.mark.parametrize("deed", DEEDS)
def test_a_program_does_it_while_a_kernel_is_attached(deed: str) -> None:
    if not is_possible(DEEDS[deed]):
        pytest.skip("needs to be root")
    live_through("idle", deed)


@pytest.mark.parametrize("state", list(STATES)[1:])
@pytest.mark.parametrize("deed", LIKELY)
def test_a_program_does_it_in_the_middle_of_something(state: str, deed: str) -> None:
    live_through(state, deed)


@pytest.mark.python315
@pytest.mark.parametrize("deed", LIKELY)
def test_a_program_of_3_15_does_it(deed: str) -> None:
    live_through("idle", deed, python315())


# -- before the attach

_LOADED = "json, contextlib, contextvars, opcode, linecache, __future__"
"""What a program has loaded that does not let Python load anything any more."""

GOES_ON = {
    "replaced import": (
        f"import builtins, {_LOADED}\n"
        "def own(name, *rest, original=builtins.__import__, **more):\n"
        "    if name not in ('_io', 'io'): raise ImportError(f'{name} is not for you')\n"
        "    return original(name, *rest, **more)\n"
        "builtins.__import__ = own"
    ),
    "altered builtins": (
        f"import builtins, {_LOADED}\n"
        "for each in 'open exec print input sorted'.split():\n"
        "    setattr(builtins, each, None)\n"
        "builtins.len = lambda thing, len=len: len(thing)"
    ),
    "closed stdio": "os.close(2)",
    "deleted streams": "del sys.stdin, sys.stdout, sys.stderr",
    "closed stream objects": "sys.stdout = open(os.devnull, 'w'); sys.stdout.close()",
    "deleted directory": "import tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "low recursion limit": "sys.setrecursionlimit(70)",
    "trace and profile": "sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None)",
    "interpreter in a thread": (
        "from concurrent import interpreters\n"
        "i = interpreters.create()\n"
        "threading.Thread(target=i.exec, args=('import time\\nwhile True: time.sleep(0.01)',),"
        " daemon=True).start()"
    ),
    "hidden modules": "sys.modules['socket'] = sys.modules['threading'] = None",
    "audit hook that refuses asides": (
        "def refuse(event, _):\n"
        "    if event in ('os.stat', 'gc.get_objects', 'code.__new__', 'sys.unraisablehook'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)"
    ),
    "handlers for all signals": (
        "import signal\n"
        "for each in signal.valid_signals() - {9, 19}: signal.signal(each, lambda *_: None)"
    ),
}


@pytest.mark.parametrize("what", GOES_ON)
def test_a_program_that_has_done_so_is_attached_to(what: str) -> None:
    with Target("told", args=[GOES_ON[what]]) as program:
        with attach(program.pid) as handle:
            assert value(handle, "40 + 2") == "42"
            assert handle.run("word = 'x'\nclass C: pass\nC()")["status"] == "ok"
            assert handle.run("1 / 0")["error"]["ename"] == "ZeroDivisionError"
        assert_runs(program)
        assert program.errors() == []


def value(handle: Handle, expression: str) -> str:
    texts: list[str] = []
    outcome = handle.run(expression, lambda event: texts.append(event["data"]["text/plain"]))
    assert outcome["status"] == "ok", outcome
    return texts[-1]


def assert_runs(program: Target) -> None:
    """It still does what it is told."""
    lines = len(program.lines())
    program.send("rounds")
    program.wait_for("done", after=lines)


_REFUSES = (
    "def refuse(event, _):\n    if event == {!r}: raise RuntimeError(event + ' is refused')\n"
    "sys.addaudithook(refuse)"
)
_DENIES = (
    "import ctypes, struct\n"
    "def denying(*numbers):\n"
    "    steps = [(0x20, 0, 0, 0)]\n"
    "    for number in numbers: steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50001)]\n"
    "    steps += [(0x06, 0, 0, 0x7fff0000)]\n"
    "    return b''.join(struct.pack('HBBI', *step) for step in steps), len(steps)\n"
    "text, length = denying({})\n"
    "buffer = ctypes.create_string_buffer(text, len(text))\n"
    "filter = struct.pack('HxxxxxxQ', length, ctypes.addressof(buffer))\n"
    "libc = ctypes.CDLL(None)\n"
    "assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter) == 0"
)
_ONE_THREAD = (
    "import resource; size = os.sysconf('SC_PAGESIZE') * "
    "int(open('/proc/self/statm').read().split()[0])\n"
    "resource.setrlimit(resource.RLIMIT_AS, (size + (3 << 20),) * 2)"
)

IS_REFUSED = {
    **{
        f"audit hook, {event}": (_REFUSES.format(event), f"{event} is refused", "program itself")
        for event in ("marshal.loads", "_thread.start_new_thread", "socket.connect", "import")
    },
    "no memory for a thread": (_ONE_THREAD, "can't start new thread", "/limits"),
    "no sockets": ("sys.modules['_socket'] = None", "import of _socket halted", "standard library"),
    "next to no calls within calls": (
        "sys.setrecursionlimit(20)", "RecursionError", "sys.setrecursionlimit"
    ),
    "no main thread any more": (
        "threading.Thread(target=working).start(); write(1, b'ready\\n'); sys.exit()",
        "its main thread has ended", "Thread.join",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", IS_REFUSED)
def test_what_keeps_the_agent_out_is_told(what: str) -> None:
    code, said, remedy = IS_REFUSED[what]
    with Target("told", args=[code]) as program:
        if "main thread" in what:
            eventually(lambda: "futex" in Path(f"/proc/{program.pid}/wchan").read_text())
        with pytest.raises(AgentFailed) as failure:
            attach(program.pid)
        assert said in str(failure.value)
        assert f"pid {program.pid} (" in str(failure.value)
        assert remedy in failure.value.remedy
        if "main thread" not in what:
            assert_runs(program)
        assert program.errors() == []


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of its system calls")
@pytest.mark.parametrize(
    ("calls", "said"), [("41", "PermissionError"), ("56, 435", "can't start new thread")]
)
def test_what_a_sandbox_denies_is_told(calls: str, said: str) -> None:
    """seccomp(2) against socket(2), or against threads."""
    with Target("told", args=[_DENIES.format(calls)]) as program:
        with pytest.raises(AgentFailed, match=said):
            attach(program.pid)
        assert_runs(program)
        assert program.errors() == []


UNTOLD = {
    "audit hook": (_REFUSES.format("cpython.remote_debugger_script"), True),
    "deep in calls": (
        "sys.setrecursionlimit(200)\n"
        "def dig(free):\n"
        "    try: return dig(free)\n"
        "    except RecursionError:\n"
        "        if free[0]: free[0] -= 1; raise\n"
        "    write(1, b'ready\\n')\n"
        "    while True: pause(0.005)\n"
        "dig([2])",
        False,
    ),
    "import lock": (
        "import _imp, _thread\n"
        "def stuck(): _imp.acquire_lock(); write(1, b'ready\\n'); pause(600)\n"
        "_thread.start_new_thread(stuck, ()); pause(0.1)",
        False,
    ),
}


@pytest.mark.parametrize("what", UNTOLD)
def test_what_nobody_can_tell_is_told_after_a_while(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself complains where a hook refuses the script; of all else nothing is said."""
    monkeypatch.setattr(entering, "STARTED_WITHIN", 0.5)
    code, complains = UNTOLD[what]
    with Target("told", args=[code]) as program:
        with pytest.raises(AgentFailed, match="its bootstrap has run, and nothing came") as failure:
            attach(program.pid)
        assert "audit hook" in failure.value.remedy
        assert program.alive()
        assert bool(program.errors()) is complains


@pytest.mark.parametrize(
    "options",
    [
        ["-I", "-S", "-E"],
        ["-OO", "-B", "-P"],
        ["-X", "dev"],
        ["-W", "error"],
        ["-X", "frozen_modules=off"],
        ["-X", "tracemalloc=3", "-X", "utf8=0"],
        ["-X", "importtime"],
    ],
    ids=" ".join,
)
def test_a_python_with_other_options(options: list[str]) -> None:
    """Under `-X importtime`, Python tells of all imports, ours too."""
    env = {"PYTHONMALLOC": "debug", "LC_ALL": "C"} if "-E" not in options else {}
    with Target("told", options=options, env=env) as program:
        with attach(program.pid) as handle:
            assert value(handle, "'gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n'")[1:3] == "gr"
            assert handle.run("import asyncio\nawait asyncio.sleep(0)")["status"] == "ok"
            assert handle.run("def f(): 1 / 0\nf()")["error"]["ename"] == "ZeroDivisionError"
        assert_runs(program)
        assert program.errors() == [] or "importtime" in options


# -- forks


def test_no_warning_of_our_threads() -> None:
    """A program with one thread is not warned of those that it does not know of."""
    warn = "import warnings; warnings.simplefilter('always')"
    with Target("told", args=[warn]) as program:
        before = filters(program)
        with attach(program.pid):
            program.send("os.fork() or os._exit(0)")
            program.wait_for("done")
            assert filters(program) == before
        assert program.errors() == []


def test_a_program_with_threads_is_warned_as_ever() -> None:
    """Of its own threads, while attached as without."""
    with Target("told", args=["", "working"], options=["-W", "always"]) as program:
        with attach(program.pid):
            program.send("os.fork() or os._exit(0)")
            program.wait_for("done")
        assert "multi-threaded, use of fork() may lead to deadlocks" in "\n".join(program.errors())


def filters(program: Target) -> str:
    lines = len(program.lines())
    program.send("import warnings; write(1, f'{len(warnings.filters)} filters\\n'.encode())")
    return program.wait_for("filters", after=lines)


@pytest.mark.parametrize("place", ["", "%%main\n", "%%loop\n"])
def test_the_child_that_a_cell_forks_ends_with_the_cell(place: str) -> None:
    """Wherever it ran: there is no second program, in the same loop, on the same sockets."""
    name = "aio_idle" if "loop" in place else "told"
    with Target(name) as program, attach(program.pid) as handle:
        awaits = "import asyncio\nawait asyncio.sleep(0)\n" if "loop" in place else ""
        child = int(value(handle, f"{place}import os\nchild = os.fork()\n{awaits}child"))
        assert handle.run("import os\nended = os.waitpid(child, 0)")["status"] == "ok"
        assert value(handle, "ended") == f"({child}, 0)"
        assert program.errors() == []


def test_a_child_is_attached_to_beside_its_parent() -> None:
    code = "if not os.fork(): write(1, b'child %d\\n' % os.getpid())"
    with Target("told") as program, attach(program.pid) as handle:
        program.send(code)
        child = int(program.wait_for("child ").split()[1])
        with attach(child) as other:
            assert value(other, "__import__('os').getpid()") == str(child)
        assert value(handle, "__import__('os').getpid()") == str(program.pid)
        os.kill(child, signal.SIGKILL)


@pytest.mark.client
def test_the_workers_of_a_prefork_server_are_replaced() -> None:
    """As gunicorn does upon HUP: the master stays attached, of a worker its successor is named."""
    with Target("prefork") as server:
        first = int(server.wait_for("worker ").split()[1])
        with Kernel("--pid", server.pid) as master, Kernel("--pid", first) as worker:
            assert master.run("40 + 2").result == worker.run("40 + 2").result == "42"
            server.signal(signal.SIGHUP)
            second = int(server.wait_for("worker ", after=2).split()[1])
            cell = eventually(lambda: failed(worker), what="the end of the worker")
            assert cell.error[0] == "AgentLost"
            assert cell.error[1].startswith(f"pid {first} (")
            assert cell.error[1].endswith("exited normally")
            assert f"%attach {second}" in cell.traceback
            assert worker.run(f"%attach {second}\n40 + 2").result == "42"
            assert master.run("40 + 2").result == "42"
        assert server.errors() == []


def failed(kernel: Kernel) -> object:
    cell = kernel.run("1")
    return cell if cell.status == "error" else None


# -- during the attach


@pytest.mark.parametrize(
    ("becomes", "said"),
    [
        ("os.execv(sys.executable, [sys.executable, sys.argv[0]])", "by another program"),
        ("os.execv('/bin/sleep', ['sleep', '600'])", "(exec): sleep 600"),
    ],
    ids=["itself", "sleep"],
)
def test_a_program_that_execs_while_it_is_waited_for(becomes: str, said: str) -> None:
    """Its main thread is blocked when the kernel comes; what we left there is gone with it."""
    with Target("told", args=[waiting_to(becomes)]) as program:
        told: list[str] = []

        def on_waiting(text: str) -> None:
            if not told:
                program.send("go")
            told.append(text)

        with pytest.raises(LiveKernelError) as failure:
            attach(program.pid, on_waiting=on_waiting)
        assert said in str(failure.value)
        assert program.errors() == []


@pytest.mark.root
def test_a_program_that_gives_up_its_rights_while_it_is_waited_for() -> None:
    """It can't read any more what was prepared for it; that is taken back."""
    code = waiting_to("os.setgid(65534); os.setuid(65534)")
    with Target("told", args=[code]) as program:
        told: list[str] = []

        def on_waiting(text: str) -> None:
            if not told:
                program.send("go")
            told.append(text)

        with pytest.raises(AgentFailed, match="runs as another user by now"):
            attach(program.pid, on_waiting=on_waiting)
        assert program.errors() == []
        with attach(program.pid, wake=True) as handle:
            assert value(handle, "__import__('os').getuid()") == "65534"


def waiting_to(do: str) -> str:
    """Code that blocks the main thread, and does this on another when a line comes on stdin."""
    return (
        f"def later(): read(0, 100); {do}\n"
        "threading.Thread(target=later, daemon=True).start()\n"
        "write(1, b'ready\\n')\n"
        "threading.Event().wait()"
    )


# -- the agent's own troubles


@pytest.mark.client
def test_no_thread_to_be_had_for_a_stuck_cell() -> None:
    """Its thread is left to itself, and there is no other: the session ends, and says why."""
    with attached("idle") as (program, kernel, _):
        kernel.run("import time")
        cell = kernel.begin("print('here', flush=True)\ntime.sleep(30)")
        cell.wait_for("here")
        program.send(on_one_line(DEEDS["runs out of memory"].code))
        program.wait_for("done")
        kernel.interrupt()
        name, text = cell.finish().error
        assert name == "AgentLost"
        assert "had to leave: RuntimeError: can't start new thread" in text
        assert f"/proc/{program.pid}/limits" in cell.traceback
        assert_runs(program)
        assert program.errors() == []


@pytest.mark.client
@pytest.mark.parametrize(
    "begins", ["%watch rounds", "%%main\n1", "await __import__('asyncio').sleep(0)"]
)
def test_no_thread_to_be_had_for_what_is_asked(begins: str) -> None:
    with attached("idle") as (program, kernel, _):
        kernel.run("import asyncio")
        program.send(on_one_line(DEEDS["runs out of memory"].code))
        program.wait_for("done")
        assert kernel.run(begins).error == ("RuntimeError", "can't start new thread")
        assert kernel.run("40 + 2").result == "42"
        assert program.errors() == []


def test_too_much_for_a_cell_is_the_cells_error() -> None:
    with Target("told") as program, attach(program.pid) as handle:
        program.send(on_one_line(DEEDS["runs out of memory"].code))
        program.wait_for("done")
        assert handle.run("too_much = bytearray(1 << 30)")["error"]["ename"] == "MemoryError"
        assert handle.run("def f(): f()\nf()")["error"]["ename"] == "RecursionError"
        assert value(handle, "40 + 2") == "42"


def test_a_closed_connection_begins_no_cell() -> None:
    """What could not be answered is not done: the program's files are left alone, and its names."""
    with Target("told") as program, attach(program.pid) as handle:
        program.send("os.closerange(3, 4096); word = 'untouched'")
        program.wait_for("done")
        with pytest.raises(AgentLost, match="closed the kernel's connections"):
            handle.run("word = 'touched'")
        with attach(program.pid) as again:
            assert value(again, "word") == "'untouched'"


def test_no_socket_of_ours_takes_the_place_of_a_stream() -> None:
    """Where a program has closed its streams, whoever prints writes to the next file opened."""
    code = "os.dup2(1, 9); os.close(0); os.close(2); read = lambda *_: b''; select = None"
    with Target("told", args=[_ASLEEP.format(code)]) as program, attach(program.pid) as handle:
        links = outside(program.pid)["descriptors"]
        assert not [fd for fd, link in links.items() if int(fd) < 3 and "socket" in link]
        assert handle.run("import os\nos.system('echo out; echo err >&2')")["status"] == "ok"
        assert value(handle, "40 + 2") == "42"


_ASLEEP = "{}\nwrite(1, b'ready\\n')\nwhile True: pause(0.005)"


# -- the interpreter lock


@pytest.mark.client
def test_a_cell_that_waits_for_the_interpreter_lock_says_so() -> None:
    with attached("idle") as (program, kernel, _):
        kernel.run("import ctypes, os\nhere, there = os.pipe()\nread = ctypes.PyDLL(None).read")
        cell = kernel.begin("buffer = ctypes.create_string_buffer(9)\nread(here, buffer, 1)")
        cell.wait_for("keeps the interpreter lock while it waits in read")
        assert "No Python code runs in the program" in cell.stderr
        assert f"pid {program.pid} (" in cell.stderr
        let_go(program.pid)
        assert cell.finish().status == "ok"
        assert cell.stderr.count("keeps the interpreter lock") == 1


def test_an_attach_that_waits_for_the_interpreter_lock_says_so() -> None:
    """And offers nothing that could not help."""
    keep = (
        "import ctypes\n"
        "here, there = os.pipe()\n"
        "keep = lambda: ctypes.PyDLL(None).read(here, ctypes.create_string_buffer(9), 1)\n"
        "threading.Thread(target=keep, name='keeper', daemon=True).start()"
    )
    with Target("told", args=[f"write(1, b'ready\\n'); pause(0.05)\n{keep}"]) as program:
        told: list[str] = []

        def on_waiting(text: str) -> None:
            told.append(text)
            if "keeps the interpreter lock while it waits in read" in text:
                let_go(program.pid)

        eventually(lambda: is_kept(program.pid), what="a thread in read(2) that has the lock")
        with attach(program.pid, on_waiting=on_waiting) as handle:
            assert value(handle, "40 + 2") == "42"
        assert "as soon as that call returns" in told[-1]
        assert "wakes it" not in told[-1]


def is_kept(pid: int) -> bool:
    from live_kernel.attach import holding
    from live_kernel.attach.processes import identify

    return holding.holder(identify(pid)) is not None


def let_go(pid: int) -> None:
    """End the read of a pipe that only the program itself has."""
    links = outside(pid)["descriptors"]
    latest = max(int(fd) for fd, link in links.items() if int(fd) > 2 and "pipe" in link)
    Path(f"/proc/{pid}/fd/{latest}").write_bytes(b"x")


# -- other worlds of threads


def test_a_program_of_eventlets() -> None:
    if sys.version_info[:2] != (3, 14):
        pytest.skip("eventlet is installed for another Python than the target's")
    with Program("eventletted", sys.executable) as program:
        before, said = program.snapshot(), program.errors()
        program.expected_errors = bool(said)  # eventlet's own, of locks that it can't patch
        with attach(program.pid) as handle:
            assert handle.run("import threading, time\ntime.sleep(0.01)")["status"] == "ok"
            assert handle.run("%%main\n1")["status"] == "ok"
            ticks = int(value(handle, "__import__('__main__').ticks"))
            eventually(lambda: int(value(handle, "__import__('__main__').ticks")) > ticks)
        program.assert_unharmed_since(before, interrupted=True)
        assert program.errors() == said
