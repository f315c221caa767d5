"""What breakpoints cost a function that is called all the time.

Runs in the benchmark. One program that does nothing else is given a breakpoint and has it
removed in turns, and its calls are counted for each second of its processor time. Of the
breakpoint that is never hit, the budget is that nothing is to be seen.
"""

from __future__ import annotations

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..targets import PROGRAMS
from .speed import pace_after


def _line_of(text: str) -> int:
    lines = (PROGRAMS / "hot.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


_BREAKPOINTS: dict[str, tuple[str, Budget | None]] = {
    "a breakpoint never hit, in a hot function": (
        f"%break hot.py:{_line_of('raise ValueError')}",
        Budget(0.97, at_least=True),
    ),
    "a condition never met, on a hot line": (
        f"%break hot.py:{_line_of('half = ')} if number < 0",
        None,
    ),
}


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    rows = []
    with targets.busy(shop.environment, "hot") as target, shop.kernel(OURS, target) as kernel:
        for name, (command, budget) in _BREAKPOINTS.items():
            actions = {
                OURS: pace_after(kernel, target, f"%unbreak all\n{command}", "Breakpoint"),
                REFERENCE: pace_after(kernel, target, "%unbreak all"),
            }
            samples = scaled(in_turns(actions, plan.rounds(15, 60)), 1e-6)
            rows.append(Row(name, "M calls/s", "no breakpoint", budget, samples, is_paired=True))
    return rows
