"""Completion where there is much to choose from: 10^5 variables, 10^4 columns or attributes.

Runs in the benchmark. The variables are once the program's own and once the cell's; the columns
are those of a DataFrame, if there is pandas, and the attributes what an object's `__dir__` lists.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..targets import Target
from ..wire import Client, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIABLES = "for number in range(100_000):\n    globals()[f'name_{number}'] = number"
_LISTING = """
class Listing:
    def __dir__(self):
        return [f"entry_{number}" for number in range(10_000)]

listing = Listing()
"""
_FRAME = """
import pandas
columns = [f"column_{number}" for number in range(10_000)]
frame = pandas.DataFrame([range(10_000)], columns=columns)
"""

_NAMES = {"name_9999": "name_99993"}
_ENTRIES = {"listing.entry_999": "entry_9993"}
_COLUMNS = {'frame["column_999': "column_9993", "frame.group": "groupby"}
_EACH = 5


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    with (
        _crowded(shop) as crowded,
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, crowded) as inside,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        rows = _of_objects(ours, stock, plan)
        for kernel in (ours, stock):
            kernel.run(_VARIABLES)
        actions = {
            "program": lambda: _completed(inside, _NAMES, _EACH),
            "cell": lambda: _completed(ours, _NAMES, _EACH),
            REFERENCE: lambda: _completed(stock, _NAMES, 1),
        }
        _completed(inside, _NAMES, 1)
        _completed(ours, _NAMES, 1)
        taken = scaled(in_turns(actions, plan.rounds(1, 4), warm_up=0), 1e3)
    for who in ("program", "cell"):
        samples = {OURS: taken[who], REFERENCE: taken[REFERENCE]}
        name = f"completion among 10⁵ names of the {who}"
        rows.append(Row(name, "ms", "ipykernel", Budget(0.05), samples))
    return rows


def _of_objects(ours: Client, stock: Client, plan: Plan) -> list[Row]:
    kinds: list[tuple[str, str, dict[str, str]]] = [
        ("completion among 10⁴ attributes", _LISTING, _ENTRIES)
    ]
    name = "completion of a DataFrame, 10⁴ columns"
    rows = []
    if importlib.util.find_spec("pandas") is None:
        rows.append(Row(name, "ms", "ipykernel", note="not measured: there is no pandas here"))
    else:
        kinds.append((name, _FRAME, _COLUMNS))
    for said, definition, words in kinds:
        for kernel in (ours, stock):
            kernel.run(definition)

        def asked(kernel: Client, words: dict[str, str] = words) -> Callable[[], float]:
            return lambda: _completed(kernel, words, 1)

        actions = {OURS: asked(ours), REFERENCE: asked(stock)}
        samples = in_turns(actions, plan.rounds(5, 20))
        rows.append(Row(said, "ms", "ipykernel", Budget(0.30), scaled(samples, 1e3)))
    return rows


@contextmanager
def _crowded(shop: Workshop) -> Iterator[Target]:
    target = Target("crowded", shop.environment)
    try:
        yield target
    finally:
        target.close()


def _completed(kernel: Client, words: dict[str, str], each: int) -> float:
    """Seconds for one completion, on the average of several."""
    seconds = 0.0
    for _ in range(each):
        for code, wanted in words.items():
            answer = kernel.ask("complete_request", {"code": code, "cursor_pos": len(code)})
            matches = answer.reply.get("matches", [])
            if not any(wanted in match for match in matches):
                raise Unanswered(f"{code!r} was not completed by {wanted!r} but {matches[:5]}")
            seconds += answer.seconds
    return seconds / (each * len(words))
