"""A cell on the program's main thread, beside one on the kernel's own.

Runs in the benchmark. Rule: both are cells of one kernel in one program, in turns.
"""

from __future__ import annotations

import time

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Row, in_turns, scaled
from ..wire import Client, Unanswered

_BREATH = 0.03
"""Seconds between two cells."""


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    return [_row(shop, plan, "idle"), _row(shop, plan, "busy")]


def _row(shop: Workshop, plan: Plan, program: str) -> Row:
    start = {"idle": targets.idle, "busy": targets.busy}[program]
    with start(shop.environment) as target, shop.kernel(OURS, target) as kernel:
        actions = {OURS: lambda: _cell(kernel, "%%main\n"), REFERENCE: lambda: _cell(kernel, "")}
        samples = in_turns(actions, plan.rounds(20, 200), warm_up=4)
    name = f"cell on the main thread, {program} target"
    return Row(name, "ms", "on its own thread", None, scaled(samples, 1e3))


def _cell(client: Client, place: str) -> float:
    time.sleep(_BREATH)
    answer = client.run(f"{place}6 * 7")
    if answer.value() != "42":
        raise Unanswered(f"6 * 7 was {answer.value()}")
    return answer.seconds
