"""What a long session comes to: a million lines of output, ten thousand cells.

Runs in the benchmark. Both in one kernel, as a person has it open for a day: that the last cell
is as fast as the first, and what the kernel's processes have come to weigh.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from .. import footprint, targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, Samples, in_turns, scaled
from ..wire import Client, Unanswered

LINES = 1_000_000
_PRINT = f"for number in range({LINES}):\n    print('line', number)"

_STRETCH = 1000
"""Cells at the beginning and at the end that are compared."""


def measure_million(shop: Workshop, plan: Plan) -> list[Row]:
    checksum = 0
    for number in range(LINES):
        checksum = zlib.crc32(b"line %d\n" % number, checksum)
    grown: Samples = {OURS: [], REFERENCE: []}

    def printed(client: Client, who: str, *pids: int) -> Callable[[], float]:
        before = [footprint.resident(pid) for pid in pids]

        def act() -> float:
            answer = client.run(_PRINT, within=300)
            if zlib.crc32(answer.text().encode()) != checksum:
                raise Unanswered("what was printed is not what arrived")
            peaks = zip(map(footprint.peak, pids), before, strict=True)
            grown[who].append(sum(peak - start for peak, start in peaks))
            return answer.seconds

        return act

    with (
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        actions = {
            OURS: printed(ours, OURS, ours.pid, target.pid),
            REFERENCE: printed(stock, REFERENCE, stock.pid),
        }
        samples = in_turns(actions, plan.rounds(1, 3), warm_up=0)
    return [
        Row("10⁶ printed lines", "s", "ipykernel", Budget(0.5), samples),
        Row(
            "10⁶ printed lines, memory", "MB", "ipykernel", Budget(10, of="ours"), grown,
            "the peak of launcher and target, above what they had before", digits=1,
        ),
    ]  # fmt: skip


def measure_cells(shop: Workshop, plan: Plan) -> list[Row]:
    with (
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        for kernel in (ours, stock):
            _cells(kernel, 200)  # what is loaded by the first ones, and saves history, is there
        taken, grown = _stretches(ours, plan.rounds(2000, 10_000), ours.pid, target.pid)
        _, other = _stretches(stock, plan.rounds(800, 2000), stock.pid)
    pace = scaled({OURS: taken[-_STRETCH:], REFERENCE: taken[:_STRETCH]}, 1e3)
    weight = {OURS: [grown], REFERENCE: [other]}
    return [
        Row("cell round trip, after 10⁴ cells", "ms", "the first of them", Budget(1.1), pace),
        Row("memory for each cell of them", "KB", "ipykernel", Budget(1.0), weight),
    ]


def _stretches(kernel: Client, number: int, *pids: int) -> tuple[list[float], float]:
    """Seconds of each of so many cells, and kilobytes by which each makes the processes grow, from
    the middle on: what they keep of the latest ones alone is there by then.
    """
    half = number // 2
    first = _cells(kernel, half)
    before = sum(map(footprint.resident, pids))
    second = _cells(kernel, half)
    grown = sum(map(footprint.resident, pids)) - before
    return first + second, grown * 1024 / half


def _cells(kernel: Client, number: int) -> list[float]:
    taken = []
    for step in range(number):
        answer = kernel.run(f"{step} * 3  # a cell as short as that, and each another one")
        if answer.value() != str(3 * step):
            raise Unanswered(f"{step} * 3 was {answer.value()}")
        taken.append(answer.seconds)
    return taken
