"""The service, its customers, and how both are ended.

Everything started here is a process of its own session, which a Ctrl-C typed
at the demo does not reach, and dies with the demo even where that is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

SCRIPTS = Path(__file__).resolve().parent.parent
ROOT = SCRIPTS.parent
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")

_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61
_ANYONE = ctypes.c_ulong(-1)
_libc = ctypes.CDLL(None)

_ENDS_WITHIN = 10.0


class StageError(Exception):
    """Something of the demo's own did not start."""


def only_ancestors_may_attach() -> bool:
    """Is this a system on which a kernel can't attach to a process that isn't its child?"""
    return YAMA.exists() and YAMA.read_text().strip() == "1" and os.geteuid() != 0


@contextmanager
def running(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process with all it starts, for as long as the block lasts."""
    options.setdefault("start_new_session", True)
    prepare = _with_the_demo(os.getpid())
    process = subprocess.Popen(words, text=True, preexec_fn=prepare, **options)  # noqa: PLW1509  no threads yet
    try:
        yield process
    finally:
        end(process)


def _with_the_demo(parent: int) -> Callable[[], None]:
    """What the new process does before it becomes the program."""
    opens = only_ancestors_may_attach()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if opens:
            _libc.prctl(_PR_SET_PTRACER, _ANYONE, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def end(process: subprocess.Popen[str]) -> None:
    """See a process off: by the end of its input, if it reads any; else asked; else made."""
    if process.stdin is not None:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Service:
    """The running service."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.pid = process.pid
        self.url = url

    @property
    def is_up(self) -> bool:
        return self.process.poll() is None


@contextmanager
def service() -> Iterator[Service]:
    """The demo service, started as anybody would start it."""
    words = [sys.executable, "scripts/demo_service.py"]
    with running(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise StageError("the demo service did not start")
        yield Service(process, line.split()[-1])


class Customers:
    """The customers at work. `phase` begins another chapter of what they report."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def phase(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()

    def leave(self) -> list[dict[str, Any]]:
        """Send them home. Returns what each phase saw."""
        try:
            told, _ = self._process.communicate(timeout=2 * _ENDS_WITHIN)
            return cast("list[dict[str, Any]]", json.loads(told))
        except (ValueError, subprocess.TimeoutExpired) as error:
            raise StageError(f"the customers did not report: {error}") from error


@contextmanager
def customers(url: str, rate: float) -> Iterator[Customers]:
    """A load of `rate` requests a second on the service; all connections stand by now."""
    words = [sys.executable, str(SCRIPTS / "demonstration" / "customers.py"), url, str(rate)]
    with running(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "open":
            raise StageError("the customers did not come")
        yield Customers(process)


def unwind_on_signals() -> None:
    """From now on SIGTERM and SIGHUP leave as Ctrl-C does: through every `finally`."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
