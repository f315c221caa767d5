"""What an attached kernel that does nothing costs the program.

Runs in the benchmark. One busy program is attached to and left in turns, by
`%attach` and `%detach` in one kernel, and the turns of its loop are counted.
Time in which other processes had its processor is left out (/proc/PID/schedstat
tells it), time in which it waited for the interpreter lock is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..targets import BusyTarget

_SETTLE = 0.05


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    window = 0.4 if plan.quick else 0.8
    with targets.busy(shop.environment) as target, shop.kernel(OURS, target) as kernel:

        def speed_after(command: str) -> Callable[[], float]:
            def act() -> float:
                kernel.run(command)
                time.sleep(_SETTLE)
                return turns_per_second(target, window)

            return act

        actions = {
            OURS: speed_after(f"%attach {target.pid}"),
            REFERENCE: speed_after("%detach"),
        }
        samples = in_turns(actions, plan.rounds(8, 25))
        kernel.run(f"%attach {target.pid}")
    name = "app speed, attached and idle"
    budget = Budget(0.995, at_least=True)
    return [Row(name, "M turns/s", "not attached", budget, scaled(samples, 1e-6))]


def turns_per_second(target: BusyTarget, window: float) -> float:
    """The pace of its loop, over so many seconds."""
    turns, waited, begun = target.turns, target.waited_for_processor(), time.perf_counter()
    time.sleep(window)
    turns = target.turns - turns
    waited = target.waited_for_processor() - waited
    return turns / (time.perf_counter() - begun - waited)
