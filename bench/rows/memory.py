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
from ..beside import compare
from ..by_pid import DEBUGPY, debugpy
from ..peers import OURS, THREAD, Workshop
from ..plan import Plan
from ..samples import Budget, Row
from ..targets import Target
from ..wire import Client, Unanswered

_NAME = "memory added to the target"
_SETTLE = 0.2

type Enter = Callable[[Target], AbstractContextManager[object]]


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    ways: dict[str, Enter] = {
        OURS: lambda target: shop.kernel(OURS, target),
        THREAD: shop.in_thread,
        DEBUGPY: lambda target: debugpy(shop, target),
    }
    own: list[float] = []

    def added(who: str, enter: Enter) -> Callable[[], float]:
        def act() -> float:
            fields = _added(shop, enter)
            if who == OURS:
                own.append(fields["Anonymous"])
            return fields["Rss"]

        return act

    actions = {who: added(who, enter) for who, enter in ways.items()}
    taken = compare(actions, plan.rounds(2, 6), warm_up=0)
    first = taken.row(_NAME, THREAD, "MB", Budget(10, of="ours"), digits=1)
    first.note = (
        f"of ours, {statistics.median(own):.1f} MB is its own and the rest files of Python's"
    )
    return [first, taken.row(_NAME, DEBUGPY, "MB", digits=1)]


def _added(shop: Workshop, enter: Enter) -> dict[str, float]:
    """Megabytes by which each kind of memory has grown."""
    with targets.idle(shop.environment) as target:
        before = target.memory()
        with enter(target) as entered:
            if isinstance(entered, Client):
                _use(entered)
            time.sleep(_SETTLE)
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
