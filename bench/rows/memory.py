"""What the kernel's part inside the target takes of its memory.

Runs in the benchmark. Resident memory of a bare program, which has imported
nothing that we could share, before the attach and after the first few cells.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row
from ..targets import Target
from ..wire import Client, Unanswered

_THREAD = "ipykernel in a thread"

type Enter = Callable[[Target], AbstractContextManager[Client]]


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    ways: dict[str, Enter] = {
        OURS: lambda target: shop.kernel(OURS, target),
        REFERENCE: shop.in_thread,
    }
    added: dict[str, list[dict[str, float]]] = {who: [] for who in ways}
    for _ in range(plan.rounds(2, 6)):
        for who, enter in ways.items():
            added[who].append(_added(shop, enter))

    def taken(field: str) -> dict[str, list[float]]:
        return {who: [fields[field] for fields in found] for who, found in added.items()}

    own = statistics.median(taken("Anonymous")[OURS])
    note = f"of ours, {own:.1f} MB is its own and the rest files of Python's"
    budget = Budget(10, of="ours")
    return [Row("memory added to the target", "MB", _THREAD, budget, taken("Rss"), note, digits=1)]


def _added(shop: Workshop, enter: Enter) -> dict[str, float]:
    with targets.idle(shop.environment) as target:
        before = target.memory()
        with enter(target) as client:
            _use(client)
            time.sleep(0.2)
            after = target.memory()
    return {field: after[field] - before[field] for field in before}


def _use(client: Client) -> None:
    """A little of everything that a first minute brings: value, text, completion, error."""
    client.run("6 * 7")
    client.run("print('hello')")
    client.ask("complete_request", {"code": "pri", "cursor_pos": 3})
    answer = client.ask("execute_request", {"code": "1 / 0", "silent": False})
    if answer.reply.get("ename") != "ZeroDivisionError":
        raise Unanswered(f"1 / 0 gave {answer.reply}")
