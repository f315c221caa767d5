"""What `%watch` costs a busy program.

Runs in the benchmark. One program is watched and left alone in turns, by `%watch` and `%unwatch`
in one kernel, and the turns of its loop are counted for each second of processor time (see
`speed.py`): at the usual pace of two values a second, and at the fastest that there is.
"""

from __future__ import annotations

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from .speed import pace_after, precision

_SETTLE = 0.1
_WINDOWS = {
    "app speed, %watch twice a second": ("every 0.5s", 1.0, Budget(0.99, at_least=True)),
    "app speed, %watch 50 times a second": ("every 0.02s", 0.4, None),
}


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    rows = []
    with targets.busy(shop.environment) as target, shop.kernel(OURS, target) as kernel:
        for name, (pace, window, budget) in _WINDOWS.items():
            watched = f"%watch turns {pace} --beside"
            actions = {
                OURS: pace_after(kernel, target, watched, "", _SETTLE, window),
                REFERENCE: pace_after(kernel, target, "%unwatch all", "", _SETTLE, window),
            }
            samples = scaled(in_turns(actions, plan.rounds(3, 9)), 1e-6)
            row = Row(name, "M turns/s", "not watched", budget, samples, is_paired=True)
            row.note = precision(row)
            rows.append(row)
    return rows
