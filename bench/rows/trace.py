"""What `%trace` costs a program that calls the traced function 10^5 times a second.

Runs in the benchmark. One program is traced and left alone in turns, by `%trace` and
`%untrace` in one kernel, and its calls are counted for each second of processor time (see
`speed.py`). Without a limit, most of the calls are only counted; with the usual one the
trace has gone when its cell ends, and what is measured is what it has left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..wire import Unanswered
from .speed import precision, turns_per_second

_SETTLE = 0.03
_WINDOW = 0.1


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    with (
        targets.busy(shop.environment, "calling") as target,
        shop.kernel(OURS, target) as kernel,
    ):

        def run(command: str, expected: str = "") -> None:
            text = kernel.run(command).text()
            if expected not in text:
                raise Unanswered(f"{command}: {text!r}")

        def begin() -> None:
            run("%trace work -n all --beside")

        def come_and_go() -> None:
            run("%trace work --here", "20 calls in")

        def speed_after(prepare: Callable[[], None], clean_up: Callable[[], None]) -> float:
            prepare()
            time.sleep(_SETTLE)
            speed = turns_per_second(target, _WINDOW)
            clean_up()
            return speed

        def nothing() -> None: ...

        def pair(prepare: Callable[[], None], clean_up: Callable[[], None]) -> Row:
            actions = {
                OURS: lambda: speed_after(prepare, clean_up),
                REFERENCE: lambda: speed_after(nothing, nothing),
            }
            samples = scaled(in_turns(actions, plan.rounds(20, 100)), 1e-3)
            return Row("", "k calls/s", "not traced", None, samples, is_paired=True)

        rows = [
            pair(begin, lambda: run("%untrace")),
            pair(come_and_go, nothing),
        ]
    rows[0].name, rows[0].budget = "app speed, %trace without a limit", Budget(0.9, at_least=True)
    rows[1].name, rows[1].budget = "app speed, after a %trace", Budget(0.99, at_least=True)
    for row in rows:
        row.note = precision(row)
    rows[0].note += f"; that is {_cost(rows[0]):.2f} µs a call"
    return rows


def _cost(row: Row) -> float:
    """Microseconds of processor time that a call takes longer."""
    ours, reference = row.median(OURS), row.median(REFERENCE)
    assert ours is not None
    assert reference is not None
    return 1e3 / ours - 1e3 / reference
