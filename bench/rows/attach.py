"""Getting into a running program, up to a first result, as everybody does it who can.

Runs in the benchmark. Each sample enters a program that nobody has entered before, and
counts everything that the way in takes, the start of the tool's own processes too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from .. import targets
from ..beside import compare
from ..by_pid import DEBUGPY, ENTRANCES, MEMRAY, PDB, Entrance
from ..peers import OURS, THREAD, Workshop
from ..plan import Plan
from ..samples import Row
from ..targets import Target
from ..wire import Unanswered

_NAME = "attach to first result"
_WARM_UP = 1
_PEERS = (PDB, DEBUGPY, MEMRAY, THREAD)


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    ready: dict[str, list[float]] = {}

    def first_answer(who: str, enter: Entrance) -> Callable[[Target], float]:
        def act(target: Target) -> float:
            with enter(shop, target) as entered:
                ready.setdefault(who, []).append(entered.ready)
                return entered.answered

        return act

    ways: dict[str, Callable[[Target], float]] = {
        OURS: lambda target: shop.spawn(OURS, target),
        THREAD: shop.first_in_thread,
        **{who: first_answer(who, enter) for who, enter in ENTRANCES.items()},
    }
    kernels = compare(_in_new_programs(shop, ways), plan.rounds(2, 10), _WARM_UP).scaled(1e3)
    rows = [kernels.row(_NAME, peer, digits=0) for peer in _PEERS]
    for row in rows:
        if row.against in (PDB, DEBUGPY) and not row.note:
            until = statistics.median(ready[row.against][_WARM_UP:]) * 1e3
            row.note = f"{row.against} could be asked after {until:.0f} ms"
    both = {OURS: lambda target: _execute(shop, target), PDB: ways[PDB]}
    commands = compare(_in_new_programs(shop, both), plan.rounds(2, 10), _WARM_UP).scaled(1e3)
    return [*rows, commands.row("live-kernel exec to its value", PDB, digits=0)]


def _in_new_programs(
    shop: Workshop, ways: dict[str, Callable[[Target], float]]
) -> dict[str, Callable[[], float]]:
    """Each way as an action that has a program of its own."""

    def entering(way: Callable[[Target], float]) -> Callable[[], float]:
        def act() -> float:
            with targets.idle(shop.environment) as target:
                return way(target)

        return act

    return {who: entering(way) for who, way in ways.items()}


def _execute(shop: Workshop, target: Target) -> float:
    """Seconds for `live-kernel exec PID '6 * 7'`, from its start to its end."""
    command = [sys.executable, "-m", "live_kernel", "exec", str(target.pid), "6 * 7"]
    begun = time.perf_counter()
    said = subprocess.run(
        command,
        env=shop.environment,
        cwd=shop.place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    taken = time.perf_counter() - begun
    if said.stdout != "42\n":
        raise Unanswered(f"live-kernel exec said {said.stdout!r}, {said.stderr!r}")
    return taken
