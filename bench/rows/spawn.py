"""From asking for a kernel to the result of the first cell.

Runs in the benchmark. Ours starts its launcher, enters a program that has been
running, and runs the cell there; ipykernel starts and runs it in itself.
"""

from __future__ import annotations

from .. import targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    with targets.idle(shop.environment) as first:
        shop.spawn(OURS, first)  # files are in the system's cache from here on

    def ours() -> float:
        with targets.idle(shop.environment) as target:  # one that was never entered before
            return shop.spawn(OURS, target)

    samples = in_turns({OURS: ours, REFERENCE: lambda: shop.spawn(STOCK)}, plan.rounds(5, 20))
    return [
        Row(
            "spawn to first result", "ms", "ipykernel", Budget(0.40), scaled(samples, 1e3), digits=0
        )
    ]
