"""Commands of cells (`!ls`, `%%bash`), run beside the launcher and never in the target.

Runs on the launcher's reactor. A fork inside a threaded program is harm, so the
agent asks, and the command is a child of ours: in the target's directory, with
the environment that the target sent, and never with more rights than the target
has at that moment (`rights.py`), since it is the target that asks. A target in a
container does not get out of it by asking.
Rule: nothing here waits; whatever becomes of a command is told once by `ended`.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from ..attach import processes, rights, watchdog
from ..attach.processes import Process
from ..errors import TargetNotFound
from .reactor import Reactor

Write = Callable[[str, str], None]
Ended = Callable[[int], None]

_CHUNK = 1 << 16

_MORE_INSISTENT = ((1.0, signal.SIGTERM), (2.0, signal.SIGKILL))
"""What follows on an interrupt that did not help, after so many seconds."""

_SETTLED_AFTER = 0.1
"""Seconds after which whoever was to put a watchdog into the background has done so."""

_LOOK_EVERY = 0.02
"""Seconds between looks at a command whose end no descriptor tells."""

_NOT_STARTABLE = OSError, ValueError, LookupError, subprocess.SubprocessError, TargetNotFound

NOT_STARTED = 126
"""The status of a command that could not be started, as a shell has it."""

REFUSED = 125
"""The status of a command for which no cell has asked."""

CAPTURED = 1 << 26
"""Characters of output that are sent to the target at most; the rest is dropped."""


class Command:
    """A command that runs.

    `write(stream, text)` gets its output as it comes; `ended(status)` is called
    once, from the reactor: with its exit status, or minus the number of the
    signal that ended it. A str as `command` is for the shell.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        text: str,
        environment: Mapping[str, str],
        process: Process,
        reactor: Reactor,
        write: Write,
        ended: Ended,
    ) -> None:
        self._reactor = reactor
        self._write, self._ended = write, ended
        self._streams: dict[str, _Stream] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._end: int | None = None
        self._is_over = False
        try:
            self._child = _start(command, text, environment, process)
        except _NOT_STARTABLE as error:
            write("stderr", f"{error}\n")
            reactor.call(lambda: self._finish(NOT_STARTED))
            return
        self._watchdog = watchdog.of_group(self._child.pid)
        reactor.later(_SETTLED_AFTER, self._watchdog.settle)
        for name, pipe in (("stdout", self._child.stdout), ("stderr", self._child.stderr)):
            assert pipe is not None
            self._streams[name] = _Stream(name, pipe, reactor, write)
        self._watch(self._child.pid)

    def _watch(self, pid: int) -> None:
        try:
            self._end = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._look()
        else:
            self._reactor.read(self._end, self._look)

    def _look(self) -> None:
        """Has it ended? What it has started and left behind is not waited for."""
        if self._is_over or self._child is None:
            return
        status = self._child.poll()
        if status is not None:
            if status < 0:  # killed: what it waited for is to end, too
                self._signal_all(signal.SIGTERM)
            self._finish(status)
        elif self._end is None:
            self._reactor.later(_LOOK_EVERY, self._look)

    def _finish(self, status: int) -> None:
        if not self._is_over:
            self._is_over = True
            for stream in self._streams.values():
                stream.close()
            if self._end is not None:
                self._reactor.forget(self._end)
                os.close(self._end)
            if self._child is not None:
                self._watchdog.dismiss()
            self._ended(status)

    def hold(self, hold: bool) -> None:
        """Take no more output for now (or do again); the command waits then."""
        for stream in self._streams.values():
            stream.hold(hold)

    def interrupt(self) -> None:
        """Ctrl-C, and more than that if it does not help."""
        self._signal(signal.SIGINT)
        for seconds, number in _MORE_INSISTENT:
            self._reactor.later(seconds, lambda number=number: self._signal(number))  # type: ignore[misc]

    def close(self) -> None:
        """Nobody wants it any more: end it, without a word to anyone."""
        self._signal(signal.SIGTERM)
        self._ended = lambda _status: None
        if not self._is_over:
            self._reactor.later(1.0, lambda: self._signal(signal.SIGKILL))
            for stream in self._streams.values():
                stream.close()

    def _signal(self, number: int) -> None:
        if self._child is not None and self._child.poll() is None:
            self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        """(Its number is no other group's as long as there is anybody in it.)"""
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


_ELSEWHERE = (
    "Commands run beside the kernel, and {process} sees other files than that. To run one in "
    "there: import subprocess; subprocess.run(COMMAND, shell=True, capture_output=True, text=True)"
)


class _Stream:
    """One of a command's outputs, as text."""

    def __init__(self, name: str, pipe: IO[bytes], reactor: Reactor, write: Write) -> None:
        self._name, self._pipe, self._reactor, self._write = name, pipe, reactor, write
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        os.set_blocking(pipe.fileno(), False)
        self._reactor.read(pipe, self._take)

    def _take(self) -> bool:
        """Pass on what has come. Returns whether there may be more at once."""
        try:
            data = os.read(self._pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._reactor.forget(self._pipe)
        text = self._decode(data, not data)
        if text:
            self._write(self._name, text)
        return bool(data)

    def hold(self, hold: bool) -> None:
        if not self._pipe.closed:
            self._reactor.forget(self._pipe)
            if not hold:
                self._reactor.read(self._pipe, self._take)

    def close(self) -> None:
        """Take what is there, and no more."""
        if not self._pipe.closed:
            while self._take():
                pass
            self._reactor.forget(self._pipe)
            self._pipe.close()


def _start(
    command: str | Sequence[str], text: str, environment: Mapping[str, str], process: Process
) -> subprocess.Popen[bytes]:
    process = processes.now(process)  # it may have given up rights since
    if process.has_other_files:
        raise PermissionError(_ELSEWHERE.format(process=process))
    shell = environment.get("SHELL", "")
    shell = shell if shell and os.access(shell, os.X_OK) else "/bin/sh"
    argv = [shell, "-c", command] if isinstance(command, str) else list(command)
    # The directory of this very process; `spawn` makes sure that it still is the one.
    directory = os.open(f"/proc/{process.pid}/cwd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _as_input(text) as stdin:
            return rights.spawn(
                process,
                argv,  # found in the PATH that is given, by the child, with the child's rights
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=f"/proc/self/fd/{directory}",
                env=dict(environment),
                start_new_session=True,
            )
    finally:
        os.close(directory)


@contextlib.contextmanager
def _as_input(text: str) -> Any:
    """The text as a file to read from; nothing to read where there is none."""
    if not text:
        yield subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("live-kernel input", os.MFD_CLOEXEC), "w+b") as file:
        file.write(text.encode("utf-8", "replace"))
        file.seek(0)
        yield file
