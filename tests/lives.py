"""What programs do with themselves while a kernel is attached, in every state of the session.

Runs in pytest (some of it), and as `make lives`: each deed in each state, which prints the
table. Rule: a program that lives on is unharmed and says nothing that it would not have said, and
the session goes on; from one that is lost, the front-end hears what has become of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kernels import Cell, Kernel
from targets import Target, eventually

STAYS = ""
_CLOSED = "has closed the kernel's connections"
_LEAVES = "had to leave: "
_CLOSES = "os.closerange(3, 4096)"
_REUSES = (
    f"{_CLOSES}; import socket; pairs = [socket.socketpair() for _ in range(8)]; "
    "[each.setblocking(False) for pair in pairs for each in pair]"
)
_PROCESS = (
    "import multiprocessing as m; p = m.get_context('{}').Process(target=time.sleep, args=(0,)); "
    "p.start(); p.join(); assert p.exitcode == 0"
)
_CHILD = (
    "if not (pid := os.fork()):\n"
    "    open_ones = [f'/proc/self/fd/{fd}' for fd in range(64)]\n"
    "    links = [os.readlink(each) for each in open_ones if os.path.exists(each)]\n"
    "    mine = [link for link in links if 'socket' in link or 'poll' in link]\n"
    "    wrapped = 'live_kernel' in type(sys.stdout).__module__\n"
    "    work()\n"
    "    os._exit(len(mine) + 10 * (len(os.listdir('/proc/self/task')) - 1) + 100 * wrapped)\n"
    "status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
    "assert status == 0, status"
)
_DAEMON = (
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    f"{_CLOSES}\n"
    "write(1, b'daemon %d\\n' % os.getpid())\n"
    "while True: pause(1)"
)
_LEAVES_BUILTINS = (
    "import builtins; original = builtins.__import__\n"
    "def own(name, *rest, **more):\n"
    "    if name.startswith(('_live', 'json', 'time')) or not name: raise ImportError(name)\n"
    "    return original(name, *rest, **more)\n"
    "builtins.__import__ = own\n"
    "for each in ('open', 'exec', 'print', 'input', 'sorted'):\n"
    "    setattr(builtins, each, None)"
)
_UNLOADS = "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('_live')]"
_NO_MEMORY = (
    "import resource; size = os.sysconf('SC_PAGESIZE') * "
    "int(open('/proc/self/statm').read().split()[0])\n"
    "resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20),) * 2)"
)


@dataclass(frozen=True)
class Deed:
    """What the program is told to do. `lost`: what is said of its end; empty if it lives on.

    `remedy`: what is said besides. `says`: it may write to stderr.
    """

    code: str
    lost: str = STAYS
    remedy: str = "%attach"
    says: bool = False
    needs_root: bool = False


DEEDS = {
    "forks": Deed(_CHILD),
    "forks by multiprocessing": Deed(_PROCESS.format("fork")),
    "spawns by multiprocessing": Deed(_PROCESS.format("spawn")),
    "has a fork server": Deed(_PROCESS.format("forkserver")),
    "runs a command with preexec_fn": Deed(
        "import subprocess; subprocess.run(['true'], preexec_fn=os.getpid, check=True)"
    ),
    "becomes a daemon": Deed(_DAEMON, "exited normally", "Of the same command line is pid "),
    "closes all files": Deed(_CLOSES, _CLOSED),
    "closes all files, and opens others": Deed(_REUSES, _CLOSED),
    "execs itself": Deed(
        "os.execv(sys.executable, [sys.executable, *sys.argv[:1]])", "by another program (exec): "
    ),
    "execs another program": Deed("os.execv('/bin/sleep', ['sleep', '600'])", "(exec): sleep 600"),
    "sys.exit": Deed("sys.exit(3)", "exited with status 3"),
    "os._exit": Deed("os._exit(4)", "exited with status 4"),
    "raises": Deed("raise OSError('as told')", "exited with status 1", says=True),
    "os.abort": Deed("os.abort()", "was killed by SIGABRT"),
    "exits in a handler of SIGTERM": Deed(
        "import signal; signal.signal(15, lambda *_: sys.exit(5)); os.kill(os.getpid(), 15)",
        "exited with status 5",
    ),
    "exits while a thread goes on": Deed(
        "threading.Thread(target=pause, args=(0.5,)).start(); sys.exit(6)", "exited with status 6"
    ),
    "runs out of memory": Deed(_NO_MEMORY),
    "has all the files that it may": Deed(
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))"
    ),
    "allows few calls within calls": Deed("sys.setrecursionlimit(60)"),
    "allows next to none": Deed(
        "sys.setrecursionlimit(12)", "had to leave: RecursionError", "sys.setrecursionlimit"
    ),
    "has no streams": Deed("sys.stdin = sys.stdout = sys.stderr = None"),
    "deletes its streams": Deed("del sys.stdin, sys.stdout, sys.stderr"),
    "deletes its directory": Deed(
        "import tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)"
    ),
    "changes its user": Deed("os.setgid(65534); os.setuid(65534)", needs_root=True),
    "changes its root": Deed(
        "os.chroot('/proc'); os.chdir('/')", needs_root=True
    ),
    "alters builtins": Deed(_LEAVES_BUILTINS),
    "unloads our modules": Deed(_UNLOADS),
    "hides modules": Deed("sys.modules['socket'] = sys.modules['_socket'] = None"),
    "traces": Deed("sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None)"),
    "traces all threads": Deed("threading.settrace_all_threads(lambda *_: None)"),
    "runs an interpreter within": Deed(
        "from concurrent import interpreters; i = interpreters.create(); i.exec('import json')"
    ),
    "raises in an audit hook": Deed(
        "def refuse(event, _):\n"
        "    if event.startswith(('socket', 'import', 'open', 'ctypes')):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)"
    ),
    "refuses looks at its frames": Deed(
        "def refuse(event, _):\n"
        "    if event == 'sys._current_frames': raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)",
        "had to leave: RuntimeError: sys._current_frames",
    ),
}  # fmt: skip

STATES = {
    "idle": "",
    "a cell runs": "print('here', flush=True)\nwhile True: pass",
    "a cell asks": "print('here', flush=True)\ninput()",
    "a cell awaits": "import asyncio\nprint('here', flush=True)\nawait asyncio.sleep(600)",
    "a thread waits at a breakpoint": "%break work",
    "an expression is watched": "%watch rounds every 20ms --beside",
}
"""What the session is at, and the cell that brings it there."""


@contextlib.contextmanager
def attached(state: str, python: str | None = None) -> Iterator[tuple[Target, Kernel, Cell | None]]:
    """A program, and a kernel whose session is in that state; and the cell that runs, if any."""
    arguments = ["", *(["working"] if "breakpoint" in state else [])]
    with Target("told", python, args=arguments) as program, Kernel("--pid", program.pid) as kernel:
        assert kernel.run("41 + 1").result == "42"
        cell = kernel.begin(STATES[state], allow_stdin=True) if STATES[state] else None
        if cell is not None and state.startswith("a cell"):
            cell.wait_for("here")
            if "asks" in state:
                kernel.wait(lambda: kernel.prompts, what="its question")
        elif cell is not None:
            cell.finish()
            told = "is hit" if "breakpoint" in state else "rounds = "
            kernel.wait(lambda: told in cell.text, what=told)
            cell = None
        yield program, kernel, cell


def on_one_line(code: str) -> str:
    """Code as programs/told.py takes it."""
    return code.replace("\n", "\x1e")


@contextlib.contextmanager
def without_daemons(program: Target) -> Iterator[None]:
    """What has left the program's session ends with the block."""
    try:
        yield
    finally:
        for line in program.lines():
            if line.startswith("daemon "):
                os.kill(int(line.split()[1]), signal.SIGKILL)


def tell(program: Target, deed: Deed) -> None:
    """Have the program do it; returns when it has, or when it has ended or become another."""
    lines = len(program.lines())
    program.send(on_one_line(deed.code))
    if deed.code == _DAEMON:
        program.wait_for("daemon ")
    elif deed.lost in (STAYS, _CLOSED) or "had to leave" in deed.lost:
        program.wait_for("done", after=lines)


def live_through(state: str, name: str, python: str | None = None) -> None:
    """One deed in one state, and everything that has to be so afterwards."""
    deed = DEEDS[name]
    with attached(state, python) as (program, kernel, cell), without_daemons(program):
        tell(program, deed)
        if deed.lost:
            _is_told_of_the_loss(kernel, cell, deed, program)
        else:
            _goes_on(kernel, cell, state)
            assert program.alive()
        if deed.code == _REUSES:
            _touched_nothing(program)
        if not deed.says:
            assert _without_its_own(program.errors(), state) == [], program.told()


def _without_its_own(lines: list[str], state: str) -> list[str]:
    """What it has said, but for the warning of forks that one gets which has threads."""
    has_threads = "breakpoint" in state
    return [line for line in lines if not (has_threads and "multi-threaded" in line)]


def _is_told_of_the_loss(kernel: Kernel, cell: Cell | None, deed: Deed, program: Target) -> None:
    if cell is not None and deed.lost.startswith((_CLOSED, _LEAVES)):
        # Neither a cell that says nothing nor the agent beside it hears of that by itself.
        kernel.interrupt()
        cell = cell if cell.finish().error[0] == "AgentLost" else None
    if cell is None:
        # What has become of it may take a moment, in which cells may still run.
        cell = eventually(lambda: _failed(kernel), what="the loss")
    name, text = cell.finish().error
    assert name == "AgentLost", cell
    assert f"pid {program.pid} (" in text, text
    assert deed.lost in text, text
    assert deed.remedy in cell.traceback, cell.traceback


def _failed(kernel: Kernel) -> Cell | None:
    cell = kernel.run("1")
    return cell if cell.status == "error" else None


def _goes_on(kernel: Kernel, cell: Cell | None, state: str) -> None:
    if cell is not None:
        kernel.interrupt()
        assert cell.finish().error[0] in ("KeyboardInterrupt", "CancelledError"), cell
    assert kernel.run("40 + 2").result == "42"
    if "breakpoint" in state:
        assert "Removed 1" in kernel.run("%unbreak").stdout
    if "watched" in state:
        assert kernel.run("%unwatch").status == "ok"
    assert "Detached" in kernel.run("%detach").stdout


def _touched_nothing(program: Target) -> None:
    """The sockets that have got the numbers of ours are open, and nothing has come on them."""
    check = (
        "for each in (s for pair in pairs for s in pair):\n"
        "    try: assert not each.recv(1), 'something came'\n"
        "    except BlockingIOError: continue\n"
        "    raise SystemExit('closed')"
    )
    lines = len(program.lines())
    program.send(on_one_line(check))
    program.wait_for("done", after=lines)


def is_possible(deed: Deed) -> bool:
    """Here, by this user."""
    return os.geteuid() == 0 or not deed.needs_root


def main() -> None:
    """Print the table: `python tests/lives.py [DEED…]`."""
    os.environ["LIVE_KERNEL_JOURNAL"] = "off"  # the user's own is not for this
    print("| | " + " | ".join(STATES) + " |\n|" + "---|" * (len(STATES) + 1), flush=True)
    tried = survived = 0
    for name in sys.argv[1:] or DEEDS:
        row = [name]
        for state in STATES if is_possible(DEEDS[name]) else ():
            begun, tried = time.monotonic(), tried + 1
            try:
                live_through(state, name)
            except (Exception, pytest.fail.Exception) as error:
                row.append(f"{type(error).__name__}: {str(error)[:300]}")
            else:
                survived += 1
                row.append(f"{time.monotonic() - begun:.1f} s")
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{tried} tried, {survived} as they should be, {tried - survived} not")
    sys.exit(tried != survived)


if __name__ == "__main__":
    main()
