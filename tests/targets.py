"""Programs to attach to, and waiting for what they do.

Runs in pytest. A `Target` is a program of tests/programs in a process of its
own; it has said "ready" when the block begins, and nothing of it is left when
the block ends. Rule: no test sleeps; it waits for a line, or with `eventually`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests" / "programs"
FOUND = Path(os.environ.get("LIVE_KERNEL_FOUND", ROOT / ".tools" / "found.json"))
"""Where the set-up tells which interpreters it has found or fetched."""


def eventually[T](
    condition: Callable[[], T], timeout: float = 10.0, what: str = "", every: float = 0.005
) -> T:
    """The first true result of `condition`, which is asked again and again.

    A failed assertion in it counts as "not yet". Fails after `timeout` seconds
    with that assertion, or with `what` was waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: AssertionError | None = None
        try:
            result = condition()
            if result:
                return result
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "the condition")
            raise failure or AssertionError(f"not within {timeout} s: {name}")
        time.sleep(every)


def found(name: str) -> str | None:
    """The interpreter that the set-up found under this name, if it did."""
    try:
        path = json.loads(FOUND.read_text()).get(name)
    except (OSError, ValueError):
        return None
    return path if path and os.access(path, os.X_OK) else None


def python314() -> str:
    """A CPython 3.14 to run targets with; skips the test where there is none."""
    path = found("python314") or (sys.executable if sys.version_info[:2] == (3, 14) else None)
    return path or pytest.skip("no CPython 3.14 here")


def python315() -> str:
    """A CPython 3.15 to run targets with; skips the test where there is none."""
    return found("python315") or pytest.skip("no CPython 3.15 here")


def older_launcher() -> str:
    """A CPython 3.12 or 3.13 with our dependencies; skips the test where there is none."""
    return found("older_launcher") or pytest.skip("no older CPython with our dependencies here")


class Target:
    """A running test program; use it in a `with` block.

    `program`: a name in tests/programs, or a path. `python`: the interpreter,
    3.14 unless told. `options`: for the interpreter; `args`: for the program.
    `env`: variables to add; those of our own that steer a Python are left out.
    `wrap`: a command that becomes the program, such as ["unshare", "-m"]; one
    that forks keeps `pid` for itself. The target is in a session of its own, so
    that what happens to our process group does not reach it.
    """

    def __init__(
        self,
        program: str | Path,
        python: str | None = None,
        args: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
        *,
        options: Sequence[str] = (),
        wrap: Sequence[str] = (),
        cwd: str | Path | None = None,
        timeout: float = 20.0,
    ) -> None:
        path = PROGRAMS / program
        if not path.suffix:
            path = path.with_suffix(".py")
        self.command = [
            *wrap, python or python314(), *options, str(path), *map(str, args)
        ]  # fmt: skip
        self._env = clean_environment() | dict(env or {})
        self._cwd = cwd
        self._timeout = timeout
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self.command,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            self._follow(self.process.stdout, self._lines)
            self._follow(self.process.stderr, self._errors)
            self.wait_for("ready", self._timeout)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def lines(self) -> list[str]:
        """What it has written to stdout so far, without line ends."""
        return list(self._lines)

    def errors(self) -> list[str]:
        """What it has written to stderr so far."""
        return list(self._errors)

    def wait_for(self, text: str, timeout: float = 10.0, after: int = 0) -> str:
        """The first line with `text`, from line number `after` on. Fails if it ends before."""

        def line() -> str | None:
            ended = not self.alive() and not any(map(threading.Thread.is_alive, self._readers))
            for each in self.lines()[after:]:
                if text in each:
                    return each
            if ended:
                pytest.fail(f"{self} ended without {text!r}:\n{self.told()}")
            return None

        try:
            found = eventually(line, timeout)
        except AssertionError:
            raise AssertionError(f"{self}: no {text!r} in {timeout} s:\n{self.told()}") from None
        assert found is not None
        return found

    def send(self, text: str) -> None:
        """Give it one line on stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(timeout)

    def told(self) -> str:
        """Both outputs, for messages."""
        return "\n".join([*self._lines, "-- stderr:", *self._errors])

    def close(self) -> None:
        """Kill it and what it has forked, and collect it. May be called twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a group of its own: see start_new_session
        self.process.wait()
        for reader in self._readers:
            reader.join()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def _follow(self, stream: IO[str] | None, into: list[str]) -> None:
        assert stream is not None

        def read_loop() -> None:
            with stream:
                for line in stream:
                    into.append(line.rstrip("\n"))  # noqa: PERF401 - each as soon as it comes

        reader = threading.Thread(target=read_loop, daemon=True)
        reader.start()
        self._readers.append(reader)

    def __str__(self) -> str:
        return " ".join(self.command)


def clean_environment() -> dict[str, str]:
    """Ours, without what steers a Python, a kernel or a test."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LIVE_KERNEL", "COVERAGE", "PYTEST"))
    }
