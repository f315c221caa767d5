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
from functools import partial

from .. import targets
from ..beside import Comparison, compare
from ..by_pid import DEBUGPY, ENTRANCES, MEMRAY, PDB
from ..peers import OURS, THREAD, Workshop
from ..plan import Plan
from ..samples import Budget, Row
from ..targets import BusyTarget

type Entered = AbstractContextManager[object]

_AFTERWARDS = 0.05
_QUIET = 0.5
_LONGEST, _TOTAL = "longest stall during attach", "total stalled during attach"
_PEERS = (THREAD, PDB, DEBUGPY, MEMRAY)


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

    ways: dict[str, Callable[[BusyTarget], Entered]] = {
        OURS: lambda target: shop.kernel(OURS, target),
        THREAD: shop.in_thread,
        **{who: partial(enter, shop) for who, enter in ENTRANCES.items()},
    }
    actions = {who: watched(who, way) for who, way in ways.items()}
    absent = compare(actions, plan.rounds(2, 8), warm_up=0).absent
    noise = f"nobody attaching: {statistics.median(quiet):.1f} ms in all within {_QUIET} s"
    rows = []
    for name, taken, limit in ((_LONGEST, longest, 15), (_TOTAL, total, 60)):
        compared = Comparison(taken, absent)
        for peer in _PEERS:
            budget = Budget(limit, of="ours") if peer == THREAD else None
            rows.append(compared.row(name, peer, budget=budget, digits=1))
            rows[-1].note = rows[-1].note or noise
    return rows


def stalls(target: BusyTarget, since: float, until: float) -> list[float]:
    """Milliseconds of each stall that ended in this time."""
    return [gap.stalled * 1e3 for gap in target.gaps(since, until)]
