"""Those that enter a running program by its pid, as live-kernel does: pdb, debugpy, memray.

Runs in the benchmark. Each is a context manager that drives the tool as its users do, from
its start until it has given its first answer; the block then runs with what it left behind.
Rule: whoever can't be driven here says so by `Unavailable`, with the reason.
"""

from __future__ import annotations

import importlib.util
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from .dap import Adapter
from .peers import Workshop
from .targets import Target

PDB, DEBUGPY, MEMRAY = "pdb -p", "debugpy", "memray attach"

_PATIENCE = 30
"""Seconds after which a tool that has not answered never will."""


class Unavailable(Exception):
    """A peer that can't be driven on this machine, and why."""


class Entered(NamedTuple):
    """Seconds from a tool's start until it could be asked something, and to its first answer."""

    ready: float
    answered: float


type Entrance = Callable[[Workshop, Target], AbstractContextManager[Entered]]


@contextmanager
def pdb(shop: Workshop, target: Target) -> Iterator[Entered]:
    """`pdb -p PID`, which evaluates an expression and leaves before the block begins.

    It could not stay: a program that is at pdb's prompt stands still.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "pdb", "-p", str(target.pid)],
        env={**shop.environment, "PYTHONUNBUFFERED": "1"},  # a terminal would show it at once
        cwd=shop.place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            _read_until(process, b"(Pdb) ")
            ready = time.perf_counter() - begun
            _type(process, b"p 6 * 7\n")
            _read_until(process, b"42\n")
            answered = time.perf_counter() - begun
            _type(process, b"q\n")
            process.wait(_PATIENCE)
        finally:
            process.kill()
    yield Entered(ready, answered)


@contextmanager
def debugpy(shop: Workshop, target: Target) -> Iterator[Entered]:
    """debugpy's adapter, which injects its server into the process, up to a first value.

    That is how VS Code attaches to a process; underneath it is `debugpy --connect … --pid PID`.
    """
    _require("debugpy")
    command = [sys.executable, "-m", "debugpy.adapter"]
    begun = time.perf_counter()
    with Adapter(command, shop.environment, shop.place) as adapter:
        adapter.ask("initialize", {"adapterID": "debugpy", "pathFormat": "path"})
        attach = adapter.send("attach", {"processId": target.pid})
        adapter.event("initialized")
        adapter.ask("configurationDone", {})
        adapter.response(attach)
        ready = time.perf_counter() - begun
        adapter.ask("threads", {})
        value = adapter.ask("evaluate", {"expression": "6 * 7", "context": "repl"})
        if value.get("result") != "42":
            raise Unavailable(f"6 * 7 was {value}")
        yield Entered(ready, time.perf_counter() - begun)
        adapter.ask("disconnect", {"terminateDebuggee": False})


@contextmanager
def memray(shop: Workshop, target: Target) -> Iterator[Entered]:
    """`memray attach`, which ends once the program's allocations are being written to a file.

    It stays in the program for as long as that lives.
    """
    _require("memray")
    file = shop.place / f"memray-{target.pid}.bin"
    begun = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "memray", "attach", "-o", str(file), str(target.pid)],
        env=shop.environment,
        cwd=shop.place,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    taken = time.perf_counter() - begun
    if ended.returncode or not file.exists():
        raise Unavailable((ended.stderr.strip() or "it has written no file").splitlines()[-1])
    yield Entered(taken, taken)


ENTRANCES: dict[str, Entrance] = {PDB: pdb, DEBUGPY: debugpy, MEMRAY: memray}


def _require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise Unavailable(f"{module} is not installed")


def _type(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def _read_until(process: subprocess.Popen[bytes], wanted: bytes) -> None:
    """Take in what a tool prints, up to that. Raises Unavailable with what it printed instead."""
    assert process.stdout is not None
    deadline = time.monotonic() + _PATIENCE
    said = b""
    while wanted not in said:
        rest = deadline - time.monotonic()
        if rest <= 0 or not select.select([process.stdout], [], [], rest)[0]:
            raise Unavailable(f"no {wanted!r} within {_PATIENCE} s, but {said!r}")
        received = os.read(process.stdout.fileno(), 65536)
        if not received:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise Unavailable(f"it ended without {wanted!r}: {' '.join(last)}")
        said += received
