"""What the users of an application notice: its answers while somebody looks into it.

Runs in the benchmark. One application on asyncio answers requests as fast as it can, and the
same process is looked at in turns: nobody attached, attached and idle, and with a cell every
50 ms. Answers are counted for each second of its processor time, ours in it included, so that
others who use the machine don't count; latencies are what they are. A second one has an ipykernel
in a thread; the one that is not looked at pauses. What an attach does to answers is measured in
new processes, for nothing of ours is in them as yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, Samples, in_turns
from ..serving import App, Window, loaded
from ..wire import Client, Unanswered
from .speed import precision

_CELL_EVERY = 0.05
_SETTLE = 0.05
_WINDOW = 0.4
_ATTACH_WINDOW = 0.5
_FREE, _IDLE, _CELLS, _THREAD = "not attached", "idle", "cells", "ipykernel in a thread"

_LOOK = ("len([order for order in orders.values() if order['paid']])", "67")
"""A look at the application's data, and what it comes to."""

_NEUTRAL = ("len([number for number in range(200) if number % 3 == 0])", "67")
"""As much work without them: an ipykernel in a thread has a `__main__` of its own."""

type Windows = dict[str, list[Window]]


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    return [*_attached(shop, plan), *_attaching(shop, plan)]


def _attached(shop: Workshop, plan: Plan) -> list[Row]:
    with (
        loaded(shop.environment) as app,
        loaded(shop.environment) as hosting,
    ):
        hosting.target.pause()
        with shop.kernel(OURS, app.target) as kernel:
            windows = _in_turns(app, kernel, plan.rounds(3, 20))
            app.target.pause()
            hosting.target.go_on()
            with shop.in_thread(hosting.target) as threaded:
                hosting.target.pause()
                peers = _against_thread((app, kernel), (hosting, threaded), plan.rounds(3, 12))
            app.target.go_on()  # it has to be awake to let go of us
    pairs = {"attached and idle": _IDLE, "a cell every 50 ms": _CELLS}
    rows = []
    for said, mode in pairs.items():
        rows += [
            _rates(f"app's requests, {said}", windows, mode, _RATES[mode]),
            _latencies(f"app's p99 latency, {said}", windows, mode, _P99[mode]),
        ]
    against = _samples(peers, _CELLS, _THREAD, _p99)
    name = "app's p99 latency, a cell every 50 ms, against a thread"
    return [*rows, Row(name, "ms", _THREAD, Budget(1.0), against, is_paired=True)]


_RATES = {_IDLE: Budget(0.99, at_least=True), _CELLS: Budget(0.9, at_least=True)}
_P99 = {_IDLE: Budget(1.1), _CELLS: Budget(2.0)}


def _in_turns(app: App, kernel: Client, rounds: int) -> Windows:
    taken: Windows = {_FREE: [], _IDLE: [], _CELLS: []}
    attach = f"%attach {app.target.pid}"

    def seen(mode: str, command: str, meanwhile: Callable[[float], None]) -> Callable[[], float]:
        def act() -> float:
            kernel.run(command)
            time.sleep(_SETTLE)
            taken[mode].append(app.watch(_WINDOW, meanwhile))
            return 0.0

        return act

    actions = {
        _FREE: seen(_FREE, "%detach", time.sleep),
        _IDLE: seen(_IDLE, attach, time.sleep),
        _CELLS: seen(_CELLS, attach, lambda seconds: _cells(kernel, seconds, _LOOK)),
    }
    in_turns(actions, rounds, warm_up=0)
    kernel.run(attach)
    return taken


def _against_thread(ours: tuple[App, Client], threaded: tuple[App, Client], rounds: int) -> Windows:
    """Two applications would leave no processor for anything else, so one of them pauses."""
    taken: Windows = {_CELLS: [], _THREAD: []}

    def seen(mode: str, app: App, kernel: Client) -> Callable[[], float]:
        def act() -> float:
            app.target.go_on()
            time.sleep(_SETTLE)  # the answers that it owes have been noted by then
            taken[mode].append(
                app.watch(_WINDOW, lambda seconds: _cells(kernel, seconds, _NEUTRAL))
            )
            app.target.pause()
            return 0.0

        return act

    in_turns({_CELLS: seen(_CELLS, *ours), _THREAD: seen(_THREAD, *threaded)}, rounds, warm_up=0)
    return taken


def _cells(kernel: Client, seconds: float, cell: tuple[str, str]) -> None:
    """A cell every 50 ms, checked by its value."""
    begun = time.monotonic()
    due = 0.0
    code, value = cell
    while due < seconds:
        _check(kernel.run(code).value(), value)
        due += _CELL_EVERY
        time.sleep(max(begun + due - time.monotonic(), 0.0))


def _check(value: object, wanted: str) -> None:
    if value != wanted:
        raise Unanswered(f"a cell came to {value}, not to {wanted}")


def _attaching(shop: Workshop, plan: Plan) -> list[Row]:
    taken: Windows = {OURS: [], REFERENCE: []}
    with targets.idle(shop.environment) as other, shop.kernel(OURS, other) as kernel:

        def enter(app: App) -> None:
            kernel.run(f"%attach {app.target.pid}")
            code, value = _LOOK
            _check(kernel.run(code).value(), value)

        for _ in range(plan.rounds(3, 12)):
            with loaded(shop.environment) as app:
                taken[REFERENCE].append(app.watch(_ATTACH_WINDOW))
                taken[OURS].append(app.watch(_ATTACH_WINDOW, lambda _, app=app: enter(app)))
                kernel.run("%detach")
    note = "half a second, in which a program that was never attached to is entered"
    p99 = _samples(taken, OURS, REFERENCE, _p99)
    worst = _samples(taken, OURS, REFERENCE, _worst)
    return [
        Row("app's p99 latency, during attach", "ms", _FREE, None, p99, note, is_paired=True),
        Row(
            "app's worst latency, during attach", "ms", _FREE, Budget(25, of="ours"), worst,
            is_paired=True,
        ),
    ]  # fmt: skip


def _rates(name: str, windows: Windows, mode: str, budget: Budget | None) -> Row:
    samples = _samples(windows, mode, _FREE, lambda window: window.rate)
    row = Row(name, "/s", _FREE, budget, samples, digits=0, is_paired=True)
    row.note = precision(row)
    return row


def _latencies(name: str, windows: Windows, mode: str, budget: Budget | None) -> Row:
    samples = _samples(windows, mode, _FREE, _p99)
    return Row(name, "ms", _FREE, budget, samples, is_paired=True)


def _samples(windows: Windows, ours: str, other: str, of: Callable[[Window], float]) -> Samples:
    return {OURS: [*map(of, windows[ours])], REFERENCE: [*map(of, windows[other])]}


def _p99(window: Window) -> float:
    return window.quantile(0.99) * 1e3


def _worst(window: Window) -> float:
    return window.worst * 1e3
