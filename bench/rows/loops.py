"""Loops at the top level of a cell, where every name is looked up by name.

Runs in the benchmark. Once over the cell's own names alone, once calling a
function that the cell defines, once over a variable of the program.
"""

from __future__ import annotations

from .. import targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..wire import Client, Unanswered

_OWN_NAMES = """
total = 0
for number in range(600_000):
    total += number * 2
total
"""

_FUNCTION = """
scale = 3
def step(value):
    return abs(value) + scale
total = 0
for number in range(300_000):
    total += step(number)
total
"""

# The program counts with this variable, too: only that it grew can be checked.
_PROGRAMS_NAME = """
before = counter
for number in range(50_000):
    counter = counter + 1
counter - before >= 50_000
"""

_LOOPS = {
    "a cell's loop over its own names": (_OWN_NAMES, str(600_000 * 599_999), Budget(1.1)),
    "a cell's loop calling its function": (
        _FUNCTION,
        str(300_000 * 299_999 // 2 + 900_000),
        Budget(1.1),
    ),
    "a cell's loop over a program's name": (_PROGRAMS_NAME, "True", None),
}


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    def timed(client: Client, code: str, expected: str) -> float:
        answer = client.run(code)
        if answer.value() != expected:
            raise Unanswered(f"the loop came to {answer.value()}")
        return answer.seconds

    rows = []
    with (
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        stock.run("counter = 0")
        for name, (code, expected, budget) in _LOOPS.items():
            actions = {
                OURS: lambda code=code, expected=expected: timed(ours, code, expected),
                REFERENCE: lambda code=code, expected=expected: timed(stock, code, expected),
            }
            samples = in_turns(actions, plan.rounds(10, 40), warm_up=2)
            rows.append(Row(name, "ms", "ipykernel", budget, scaled(samples, 1e3), digits=1))
    return rows
