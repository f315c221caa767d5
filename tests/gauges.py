"""What each party of a case holds, while it runs and after it.

Runs in the process of the tests, on a thread of its own. A party is a process: a launcher, a
target, this one as the front-end. Rule: memory is what is a process's own, anonymous and
resident, by one read from /proc that costs the process nothing.
"""

from __future__ import annotations

import gc
import os
import resource
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from snapshots import Program

from live_kernel.handle import Handle, attach

EVERY = 0.05
"""Seconds between two looks at the parties."""

MB = 1 << 20
_PAGE = resource.getpagesize()


def anonymous(pid: int) -> int:
    """Bytes of a process's own memory, about; 0 once it has gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


def held_by(pid: int) -> dict[str, int]:
    """What else a process holds that can be counted from outside."""
    proc = Path("/proc") / str(pid)
    return {
        "descriptors": len(list((proc / "fd").iterdir())),
        "threads": len(list((proc / "task").iterdir())),
        "mappings": (proc / "maps").read_text().count("\n"),
    }


def value(handle: Handle, expression: str) -> str:
    texts: list[str] = []
    outcome = handle.run(expression, lambda event: texts.append(event["data"]["text/plain"]))
    assert outcome["status"] == "ok", outcome
    return texts[-1]


def held(program: Program) -> list[int]:
    """What a program holds, counted inside: objects of the collector, blocks of memory, interned
    strings, and entries in the importer cache, in linecache and among the modules.
    """
    with attach(program.pid) as handle:
        handle.run(_COUNT)
        return [int(word) for word in value(handle, "counts")[1:-1].split(", ")]


_COUNT = """\
import gc, sys
count_strings = getattr(sys, 'getunicodeinternedsize', None) or sys._getunicodeinternedsize
gc.collect(); gc.collect()
counts = (
    len(gc.get_objects()), sys.getallocatedblocks(), count_strings(), len(sys.path_importer_cache),
    len(getattr(sys.modules.get('linecache'), 'cache', ())), len(sys.modules),
)"""


class Gauges:
    """The memory of some parties, from the beginning of the block to its end.

    The parties of one name, such as the launchers, count as one. `peak` and `growth` are bytes
    above what there was at the beginning; `held` what else is held more than then.
    """

    def __init__(self, **parties: int | list[int]) -> None:
        self._parties = {
            name: [pids] if isinstance(pids, int) else pids for name, pids in parties.items()
        }
        self._most: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_loop, daemon=True)

    def __enter__(self) -> Self:
        gc.collect()
        self.start_again()
        self._thread.start()
        return self

    def start_again(self) -> None:
        """What there is now is what growth is counted from, as after a time of warming up."""
        self._before = self._now()
        self._most = dict(self._before)
        self._held_before = self._held()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        gc.collect()
        self._look()

    def _now(self) -> dict[str, int]:
        return {name: sum(map(anonymous, pids)) for name, pids in self._parties.items()}

    def _held(self) -> dict[str, dict[str, int]]:
        counts = {name: list(map(held_by, pids)) for name, pids in self._parties.items()}
        return {
            name: {kind: sum(each[kind] for each in all_of_it) for kind in all_of_it[0]}
            for name, all_of_it in counts.items()
        }

    def _look(self) -> None:
        for name, size in self._now().items():
            self._most[name] = max(self._most[name], size)

    def _look_loop(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    @property
    def peak(self) -> dict[str, int]:
        """The most that each party has held, beyond what it held at the beginning."""
        return {name: self._most[name] - before for name, before in self._before.items()}

    @property
    def growth(self) -> dict[str, int]:
        """What each party holds now, beyond what it held at the beginning."""
        return {name: size - self._before[name] for name, size in self._now().items()}

    @property
    def held(self) -> dict[str, int]:
        """Descriptors, threads and mappings of each party, beyond those at the beginning."""
        now = self._held()
        return {
            f"{kind} of the {name}": count - self._held_before[name][kind]
            for name, counts in now.items()
            for kind, count in counts.items()
        }


@dataclass
class Row:
    """What came of one case: a line of the table."""

    case: str
    done: str = ""
    peak: dict[str, int] = field(default_factory=dict)
    growth: dict[str, int] = field(default_factory=dict)
    interrupted: list[float] = field(default_factory=list)
    outcome: str = ""

    def measured(self, gauges: Gauges) -> None:
        self.peak, self.growth = gauges.peak, gauges.growth

    def cells(self) -> list[str]:
        """The columns of the table."""
        sizes = [
            f"{_megabytes(self.peak[name])} / {_megabytes(self.growth[name])}"
            if name in self.peak
            else ""
            for name in PARTIES
        ]
        worst = f"{max(self.interrupted):.2f}" if self.interrupted else ""
        return [self.case, self.done, *sizes, worst, self.outcome]


PARTIES = ("launcher", "target", "frontend")

HEAD = [
    ["case", "what was done", "launcher", "target", "front-end", "interrupt", "outcome"],
    ["---"] * 7,
]


def line(cells: list[str]) -> str:
    """One line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def _megabytes(size: int) -> str:
    return f"{size / MB:.0f}" if abs(size) >= 10 * MB else f"{size / MB:.1f}"


def within(sizes: dict[str, int], **limits: float) -> None:
    """Fail where a party has more than so many megabytes."""
    over = {name: sizes[name] / MB for name, limit in limits.items() if sizes[name] > limit * MB}
    assert not over, f"megabytes: {over}, of at most {limits}"


def ours() -> int:
    return os.getpid()


FEW = 8
"""Descriptors, threads and mappings that may come once: an arena, a database, a library."""


def nothing_more(gauges: Gauges, but: Any = ()) -> None:
    """Fail where a party holds more descriptors, threads or mappings than at the beginning."""
    more = {name: n for name, n in gauges.held.items() if n > FEW and name not in but}
    assert not more, more
