"""For how long a busy program is kept from working while somebody gets in.

Runs in the benchmark. The program itself notes every gap of over a millisecond
between two turns of its loop; see `programs/busy.py`. Counted are those from
the start of the attach until the first cell has been answered, less the time in
which another process had its processor, which the system tells.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, Samples, in_turns
from ..targets import BusyTarget

type Entered = AbstractContextManager[object]

_AFTERWARDS = 0.05
_QUIET = 0.5
_LONGEST, _TOTAL = "longest stall during attach", "total stalled during attach"
_THREAD, _PDB = "ipykernel in a thread", "pdb -p"


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    longest: dict[str, list[float]] = {}
    total: dict[str, list[float]] = {}
    quiet: list[float] = []

    def watched(who: str, enter: Callable[[BusyTarget], Entered]) -> Callable[[], float]:
        """Enter a new program, and note what that did to it."""

        def act() -> float:
            with targets.busy(shop.environment) as target:
                begun = time.perf_counter()
                time.sleep(_QUIET)
                entering = time.perf_counter()
                quiet.append(sum(stalls(target, begun, entering)))
                with enter(target):
                    time.sleep(_AFTERWARDS)
                    taken = stalls(target, entering, time.perf_counter())
            longest.setdefault(who, []).append(max(taken, default=0.0))
            total.setdefault(who, []).append(sum(taken))
            return 0.0

        return act

    ways = {
        OURS: lambda target: shop.kernel(OURS, target),
        _THREAD: shop.in_thread,
        _PDB: shop.pdb,
    }
    actions = {who: watched(who, way) for who, way in ways.items()}
    in_turns(actions, plan.rounds(3, 12), warm_up=0)
    noise = f"nobody attaching: {statistics.median(quiet):.1f} ms in all within {_QUIET} s"

    def row(name: str, peer: str, budget: Budget | None, taken: Samples) -> Row:
        samples = {OURS: taken[OURS], REFERENCE: taken[peer]}
        return Row(name, "ms", peer, budget, samples, noise, digits=1)

    return [
        row(_LONGEST, _THREAD, Budget(15, of="ours"), longest),
        row(f"{_LONGEST}, against pdb", _PDB, None, longest),
        row(_TOTAL, _THREAD, Budget(60, of="ours"), total),
        row(f"{_TOTAL}, against pdb", _PDB, None, total),
    ]


def stalls(target: BusyTarget, since: float, until: float) -> list[float]:
    """Milliseconds of each stall that ended in this time."""
    return [gap.stalled * 1e3 for gap in target.gaps(since, until)]
