"""What the service looks like: from outside by /proc, from inside by its own word.

The inside is asked with `sys.remote_exec` and a few lines of our own, not with
live-kernel, which is the one on trial.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ANSWERS_WITHIN = 10.0

_QUESTION = """
def testify(answer):
    import atexit, json, os, signal, sys, threading

    def mark(value):
        plain = isinstance(value, (int, float, str, bytes, bool, type(None), tuple))
        return repr(value) if plain else f"{type(value).__name__} at {id(value):#x}"

    def marks(pairs):
        return {str(name): mark(value) for name, value in pairs}

    program = sys.modules["__main__"]
    hooks = ("excepthook", "displayhook", "unraisablehook", "breakpointhook")
    seen = {
        "names of its own module": marks(vars(program).items()),
        "functions of its own module": marks(
            (name, value.__code__) for name, value in vars(program).items()
            if hasattr(value, "__code__")
        ),
        "routes and their handlers": marks((r.path, r.endpoint) for r in program.app.routes),
        "standard streams": marks((n, getattr(sys, n)) for n in ("stdin", "stdout", "stderr")),
        "hooks of the interpreter": marks(
            [*((n, getattr(sys, n)) for n in hooks), ("trace", sys.gettrace()),
             ("profile", sys.getprofile()), ("thread trace", threading.gettrace()),
             ("thread excepthook", threading.excepthook), ("Thread.start", threading.Thread.start)]
        ),
        "signal handlers": marks((n.name, signal.getsignal(n)) for n in signal.valid_signals()
                                 if isinstance(n, signal.Signals)),
        "where imports come from": {
            "path": repr(sys.path), "meta_path": repr(list(map(id, sys.meta_path))),
            "path_hooks": repr(list(map(id, sys.path_hooks))),
        },
        "threads known to threading": marks((t.ident, t) for t in threading.enumerate()),
        "functions to call at exit": dict.fromkeys(map(str, range(atexit._ncallbacks())), ""),
        "loaded modules": dict.fromkeys(sorted(sys.modules), ""),
    }
    with open(answer + ".new", "w") as file:
        json.dump(seen, file)
    os.rename(answer + ".new", answer)

testify(%r)
"""

KEPT = "loaded modules"
"""The one thing that may grow: what was imported once stays, so that the next time is instant."""


@dataclass(frozen=True)
class Testimony:
    """Facts by subject, each a name with a mark that changes if the thing does."""

    facts: dict[str, dict[str, str]]
    memory: float


@dataclass(frozen=True)
class Difference:
    """One subject, before and after."""

    subject: str
    before: int
    after: int
    gone: list[str]
    new: list[str]
    changed: list[str]

    @property
    def is_harm(self) -> bool:
        return bool(self.gone or self.changed or (self.new and self.subject != KEPT))


def look(pid: int) -> Testimony:
    """The service as it is now. Outside first, for asking inside could be seen there."""
    outside = {"threads": _threads(pid), "open files and sockets": _files(pid)}
    return Testimony(outside | _ask_inside(pid), _memory(pid))


def compare(before: Testimony, after: Testimony) -> list[Difference]:
    """Every subject, changed or not."""
    return [
        _difference(subject, known, after.facts.get(subject, {}))
        for subject, known in before.facts.items()
    ]


def _difference(subject: str, before: dict[str, str], after: dict[str, str]) -> Difference:
    both = before.keys() & after.keys()
    return Difference(
        subject,
        len(before),
        len(after),
        gone=sorted(before.keys() - both),
        new=sorted(after.keys() - both),
        changed=sorted(name for name in both if before[name] != after[name]),
    )


def _threads(pid: int) -> dict[str, str]:
    tasks = Path(f"/proc/{pid}/task")
    return {task.name: (task / "comm").read_text().strip() for task in tasks.iterdir()}


def _files(pid: int) -> dict[str, str]:
    return {fd.name: str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}


def _memory(pid: int) -> float:
    """Resident memory in megabytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _ask_inside(pid: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="witness-") as place:
        answer, script = Path(place, "answer"), Path(place, "question.py")
        script.write_text(_QUESTION % str(answer))
        sys.remote_exec(pid, os.fspath(script))
        until = time.monotonic() + _ANSWERS_WITHIN
        while not answer.exists():
            if time.monotonic() > until:
                raise TimeoutError(f"pid {pid} did not say how it is")
            time.sleep(0.005)
        return dict(json.loads(answer.read_text()))
