"""What an attached kernel that does nothing costs the program.

Runs in the benchmark. One busy program is attached to and left in turns, by
`%attach` and `%detach` in one kernel, and the turns of its loop are counted: for
each second of processor time that its process got, ours in it included, so that
others who use the machine don't count. What it may have waited for the
interpreter lock would not show there, and is told beside it.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..targets import BusyTarget
from ..wire import Client, Unanswered

_SETTLE = 0.03
_WINDOW = 0.1
_PATIENCE = 100
"""So many windows at most, until a program has got a processor."""


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    stalled: dict[str, float] = {}
    with targets.busy(shop.environment) as target, shop.kernel(OURS, target) as kernel:

        def speed_after(command: str) -> Callable[[], float]:
            def act() -> float:
                kernel.run(command)
                time.sleep(_SETTLE)
                begun = time.perf_counter()
                speed = turns_per_second(target, _WINDOW)
                gaps = target.gaps(begun, time.perf_counter())
                stalled[command] = stalled.get(command, 0.0) + sum(gap.stalled for gap in gaps)
                return speed

            return act

        attach, detach = f"%attach {target.pid}", "%detach"
        actions = {OURS: speed_after(attach), REFERENCE: speed_after(detach)}
        samples = scaled(in_turns(actions, plan.rounds(30, 150)), 1e-6)
        kernel.run(attach)
    row = Row(
        "app speed, attached and idle",
        "M turns/s",
        "not attached",
        Budget(0.995, at_least=True),
        samples,
        is_paired=True,
    )
    row.note = (
        f"{precision(row)}; stalled {stalled[attach] * 1e3:.1f} ms in all while attached, "
        f"{stalled[detach] * 1e3:.1f} ms while not"
    )
    return [row]


def turns_per_second(target: BusyTarget, window: float) -> float:
    """The pace of its loop during so many seconds, for a second of processor time.

    Where others leave it hardly any, it is given more time. Raises TimeoutError if that is in vain.
    """
    turns, used = target.turns, target.processor_time()
    for _ in range(_PATIENCE):
        time.sleep(window)
        if target.processor_time() - used > window / 10:
            return (target.turns - turns) / (target.processor_time() - used)
    raise TimeoutError(f"the program got no processor within {_PATIENCE * window:.0f} s")


def pace_after(
    kernel: Client,
    target: BusyTarget,
    command: str,
    expected: str = "",
    settle: float = _SETTLE,
    window: float = _WINDOW,
) -> Callable[[], float]:
    """What runs a command, from which `expected` is to come, and takes the pace soon after.

    It raises Unanswered where that does not come. `settle`: seconds until the pace is taken, for
    `window` seconds: see `turns_per_second`.
    """

    def act() -> float:
        text = kernel.run(command).text()
        if expected not in text:
            raise Unanswered(f"{command!r} said {text!r}")
        time.sleep(settle)
        return turns_per_second(target, window)

    return act


def precision(row: Row) -> str:
    """What is to be said of a paired row: the standard error of its ratio, if those of its rounds
    are spread normally.
    """
    error = 1.2533 * statistics.stdev(row.ratios) / math.sqrt(len(row.ratios))
    return f"the ratio is the median of the rounds' ratios, ± {error:.4f}"
