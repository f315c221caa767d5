"""What a target's main thread is doing when the bootstrap does not start.

Runs in the launcher and the command line, on a thread that may wait: up to
about 0.1 s, at worst a time-out of 2 s. The system call comes from
/proc/PID/task/TID/syscall, the Python line from `_remote_debugging` of the
target's own version.
Rule: never raises; what can't be learned is left out, and the sentence is the
shorter for it. Nothing is done to the target.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from ..records import NamedTuple
from . import awaited, caller, interpreter, permission, proc, rights, runtime, syscalls, unwind
from .processes import Process
from .registers import Wait
from .threadstates import thread_states
from .verdicts import same_build

_TIMEOUT = 2.0


class Frame(NamedTuple):
    """One Python frame; `line` is 0 where it is not known."""

    file: str
    line: int
    function: str

    @property
    def of_a_library(self) -> bool:
        """The standard library's or an installed package's, as far as the path tells."""
        return (
            re.search(r"/lib/python3[\d.]*t?/|/(site|dist)-packages/|^<frozen", self.file)
            is not None
        )

    @property
    def place(self) -> str:
        """ "worker.py:17"."""
        name = Path(self.file)
        short = f"{name.parent.name}/{name.name}" if name.stem.startswith("__") else name.name
        return f"{short}:{self.line}" if self.line else short

    @property
    def call(self) -> str:
        """A library's function as the program calls it: "queue.get", "asyncio.run"."""
        inner = re.split(r"/lib/python3[\d.]*t?/(?:(?:site|dist)-packages/)?", self.file)[-1]
        module = inner.removesuffix(".py").split("/")[0].lstrip("_").strip("<>")
        return f"{module}.{self.function}"


class Blocked(NamedTuple):
    """What a thread does. `thread`: its id. `state`: a letter as in proc(5), "" if gone.

    `number` and `syscall`: the system call that it is in, None if in none or
    unknown. `descriptor`: what the file descriptor that it waits for is, as
    /proc/PID/fd names it. `wchan`: the kernel function that it waits in.
    `stack`: Python frames, innermost first; may be empty. `wait`: where exactly
    it waits. `library`: whose code made the call, where it was not Python's own.
    `holder`: which other thread keeps the interpreter lock for good, if one does.
    """

    pid: int
    thread: int
    state: str
    number: int | None = None
    syscall: str | None = None
    descriptor: str = ""
    wchan: str = ""
    stack: tuple[Frame, ...] = ()
    wait: Wait | None = None
    library: str = ""
    free_threaded: bool = False
    holder: str = ""

    @property
    def in_epoll(self) -> bool:
        """Whether it waits in an event loop's epoll, from where a harmless nudge wakes it."""
        return self.syscall in syscalls.EPOLL

    @property
    def frame(self) -> Frame | None:
        """The innermost frame of the program's own code, or else the innermost."""
        own = (frame for frame in self.stack if not frame.of_a_library)
        return next(own, self.stack[0] if self.stack else None)

    @property
    def call(self) -> str:
        """The library function that the program called there; empty if unknown."""
        if self.frame in self.stack[1:]:
            return self.stack[self.stack.index(self.frame) - 1].call
        return awaited.USUAL_CALL.get(self.syscall or "", "")

    @property
    def sentence(self) -> str:
        """ "pid 4242's main thread waits in futex (queue.get) at worker.py:17, in `run`"."""
        if self.state in ("", "Z", "X"):
            return f"pid {self.pid} has ended"
        return f"pid {self.pid}'s main thread {self.told}"

    @property
    def told(self) -> str:
        """ "waits in futex (queue.get) at worker.py:17, in `run`"."""
        call = f" ({self.call})" if self.call else ""
        held = f"; {self.holder}" if self.holder else ""
        return f"{self._doing}{call}{self._place}{held}"

    @property
    def _place(self) -> str:
        if self.frame is None:
            return ""
        function = self.frame.function
        return f" at {self.frame.place}" + (f", in `{function}`" if function != "<module>" else "")

    @property
    def _doing(self) -> str:
        if self.state in ("T", "t"):
            return "is stopped"
        if self.syscall is None and self.state == "R":
            return "is busy in native code"
        if self.syscall is None:
            return "waits"
        return (
            f"{'waits for the disk or a device' if self.state == 'D' else 'waits'} in {_of(self)}"
        )

    @property
    def wakes(self) -> str:
        """What would wake it: "the sleep ends", "the queue gets an item"."""
        if self.state in ("T", "t"):
            return "it is let go on (SIGCONT, or its debugger)"
        if self.holder:
            return "that call returns"
        if self.syscall is None:
            return "the native code returns to Python" if self.state == "R" else "its wait ends"
        return awaited.end_of(self.syscall, self.call, self.descriptor)

    @property
    def remedy(self) -> str:
        """What to tell the user who waits for the attach."""
        return f"The attach goes on by itself as soon as {self.wakes}; interrupt gives it up."


def _of(blocked: Blocked) -> str:
    if blocked.syscall in awaited.READS and blocked.descriptor:
        return f"{blocked.syscall} of {blocked.descriptor}"
    return str(blocked.syscall)


def describe(process: Process) -> Blocked:
    """What the main thread of `process` is doing just now. Never raises."""
    thread = process.pid
    with suppress(Exception):
        thread = _main_thread(process)
    seen = _outside(process, thread)._replace(free_threaded=process.free_threaded)
    if seen.state in ("", "Z", "X"):
        return seen
    with suppress(Exception):
        if seen.wait is not None:
            seen = seen._replace(library=caller.library(process.pid, seen.wait.stack))
    with suppress(Exception):
        seen = seen._replace(stack=tuple(_stack(process, thread)))
    return seen


def of_thread(process: Process, thread: int) -> Blocked:
    """What any thread of it is doing, without its stack. Never raises."""
    return _outside(process, thread)


def thread_in_epoll(pid: int) -> int | None:
    """Python's main thread, if it waits in epoll. Quick (0.3 ms); never raises."""
    with suppress(Exception):
        found = runtime.find(pid)
        if found is not None:
            with permission.memory(pid) as read:
                thread = runtime.main_thread(found, read) or pid
            wait, _ = system_call(pid, thread)
            if wait is not None and syscalls.name_of(wait.number) in syscalls.EPOLL:
                return thread
    return None


def _main_thread(process: Process) -> int:
    found = runtime.find(process.pid)
    if found is None:
        return process.pid
    with permission.memory(process.pid) as read:
        return runtime.main_thread(found, read) or process.pid


def _outside(process: Process, thread: int) -> Blocked:
    """What /proc tells, without a word on Python."""
    pid, state = process.pid, ""
    with suppress(OSError, ValueError, IndexError):
        if proc.stat(pid).start_time == process.start_time:
            state = _state(pid, thread)
    wait, descriptor = None, ""
    with suppress(OSError, ValueError, IndexError):
        wait, descriptor = system_call(pid, thread)
    number = None if wait is None else wait.number
    name = None if number is None else syscalls.name_of(number)
    if name == "ppoll" and _is_pause(pid, thread):
        name = "pause"
    return Blocked(pid, thread, state, number, name, descriptor, _wchan(pid, thread), wait=wait)


def _state(pid: int, thread: int) -> str:
    data = proc.read(pid, f"task/{thread}/stat").decode(errors="replace")
    return data[data.rindex(")") + 2]


def system_call(pid: int, thread: int) -> tuple[Wait | None, str]:
    """Where it waits, and what its first argument names, if that is a file to be waited for."""
    fields = _system_call(pid, thread)
    if fields[0] == b"running" or int(fields[0]) < 0:
        return None, ""
    number = int(fields[0])
    wait = Wait(number, int(fields[-2], 16), int(fields[-1], 16))
    descriptor = ""
    if syscalls.name_of(number) in awaited.READS:
        descriptor = proc.link(pid, f"fd/{int(fields[1], 16)}") or ""
    return wait, re.sub(r":\[\d+\]$", "", descriptor)


def _system_call(pid: int, thread: int) -> list[bytes]:
    try:
        return proc.read(pid, f"task/{thread}/syscall").split()
    except PermissionError:
        from . import supervised  # few are

        return supervised.wait(pid, thread).split()


def _is_pause(pid: int, thread: int) -> bool:
    """Whether a ppoll(2) is for no file and for ever: pause(2), where there is no such call."""
    with suppress(OSError, ValueError, IndexError):
        files, count, time = _system_call(pid, thread)[1:4]
        return int(files, 16) == int(count, 16) == int(time, 16) == 0
    return False


def _wchan(pid: int, thread: int) -> str:
    try:
        name = proc.read(pid, f"task/{thread}/wchan").decode(errors="replace")
    except OSError:
        return ""
    return "" if name == "0" else name


def can_unwind(process: Process) -> bool:
    """Whether our own `_remote_debugging` can read it, and may: a build like ours, where it says,
    of a process that is our like. That is C code, which believes much of what it finds.
    """
    is_as_ours = same_build(process.python, process.free_threaded) and _is_at_its_path(process)
    return is_as_ours and not rights.lesser(process)


def _is_at_its_path(process: Process) -> bool:
    """Does its executable's path, by which `_remote_debugging` finds it, name that file here?"""
    if not process.has_other_files:
        return True
    return os.path.samefile(f"/proc/{process.pid}/exe", process.exe)


def _stack(process: Process, thread: int) -> list[Frame]:
    """Raises whatever goes wrong."""
    thread = proc.inner_thread(process.pid, thread)  # what stands in its memory
    if can_unwind(process):
        with suppress(ImportError, RuntimeError, OSError):
            return [Frame(*frame) for frame in unwind.stack(process.pid, thread)]
    with suppress(OSError, ValueError, struct.error):  # a reader of our own: it believes little
        states = thread_states(process.pid, with_stacks=True)
        found = next((state.stack for state in states if state.native == thread), ())
        if found:
            return [Frame._make(frame) for frame in found]
    source = Path(unwind.__file__).read_text()
    told = interpreter.run(process, source, str(process.pid), str(thread), timeout=_TIMEOUT)
    if told.returncode != 0:
        raise subprocess.SubprocessError(told.stderr)
    stacks, _ = unwind.told(told.stdout)
    return [Frame(*frame) for frame in stacks.get(thread, ())]
