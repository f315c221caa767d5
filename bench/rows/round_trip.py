"""Round trips: a small cell in an idle and in a busy target, and a completion.

Runs in the benchmark. The clock runs from before the request is signed until
both the reply and the status `idle` have arrived; see `wire.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from .. import targets
from ..beside import compare
from ..peers import ECHO, OURS, STOCK, THREAD, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, Samples, in_turns, scaled
from ..wire import Client, Unanswered

SWITCH_INTERVAL = 5.0
"""Milliseconds for which a thread may keep the interpreter lock: `sys.getswitchinterval()`."""

_BREATH = 0.03
_BREAK = 0.2
"""Seconds between two cells, as a program leaves them and as a person does, at least."""

_COMPLETIONS = {"text.startsw": "startswith", "os.path.basen": "basename", "isinst": "isinstance"}


def measure_idle(shop: Workshop, plan: Plan) -> list[Row]:
    with ExitStack() as stack:
        clients = _clients(shop, stack)
        hosting = stack.enter_context(targets.idle(shop.environment))
        clients[THREAD] = stack.enter_context(shop.in_thread(hosting))
        actions = {who: partial(_cell, client) for who, client in clients.items()}
        samples = compare(actions, plan.rounds(20, 100), warm_up=4, each=10).scaled(1e3)
        rested = {who: partial(_after_a_pause, actions[who], _BREAK) for who in (OURS, STOCK)}
        cold = compare(rested, plan.rounds(10, 40)).scaled(1e3)
    name = "cell round trip, idle target"
    return [
        samples.row(name, STOCK, budget=Budget(0.25)),
        samples.row(name, THREAD),
        samples.row(name, ECHO),
        cold.row(f"{name}, after a pause", STOCK),
    ]


def _clients(shop: Workshop, stack: ExitStack) -> dict[str, Client]:
    """Ours in an idle program, the stock kernel and an echo; all are ended with the stack."""
    entered = stack.enter_context(targets.idle(shop.environment))
    return {
        OURS: stack.enter_context(shop.kernel(OURS, entered)),
        STOCK: stack.enter_context(shop.kernel(STOCK)),
        ECHO: stack.enter_context(shop.echo()),
    }


def measure_busy(shop: Workshop, plan: Plan) -> list[Row]:
    with targets.busy(shop.environment) as entered, targets.busy(shop.environment) as hosting:
        hosting.pause()
        with shop.kernel(OURS, entered) as ours:
            entered.pause()
            hosting.go_on()
            with shop.in_thread(hosting) as threaded:
                hosting.pause()
                actions = {
                    OURS: _while_busy(entered, lambda: _cell(ours), 20),
                    REFERENCE: _while_busy(hosting, lambda: _cell(threaded), 4),
                }
                samples = scaled(_flat(actions, plan.rounds(4, 15)), 1e3)
            entered.go_on()  # it has to be awake to let go of us
    name = "cell round trip, busy target"
    interval: Samples = {OURS: samples[OURS], REFERENCE: [SWITCH_INTERVAL]}
    return [
        Row(name, "ms", "the switch interval", Budget(1.5), interval),
        Row(name, "ms", THREAD, None, samples),
    ]


def _while_busy(
    target: targets.Target, action: Callable[[], float], times: int
) -> Callable[[], list[float]]:
    """Two busy programs would leave no processor for anything else, so one of them pauses."""

    def act() -> list[float]:
        target.go_on()
        try:
            return [_after_a_pause(action, _BREATH) for _ in range(times)]
        finally:
            target.pause()

    return act


def _after_a_pause(action: Callable[[], float], seconds: float) -> float:
    """What the cell before has left to do is done then, and the caches are others'."""
    time.sleep(seconds)
    return action()


def _flat(actions: dict[str, Callable[[], list[float]]], rounds: int) -> Samples:
    collected: Samples = {name: [] for name in actions}

    def recorded(name: str) -> Callable[[], float]:
        def act() -> float:
            collected[name].extend(actions[name]())
            return 0.0

        return act

    in_turns({name: recorded(name) for name in actions}, rounds, warm_up=0)
    return collected


def measure_completion(shop: Workshop, plan: Plan) -> list[Row]:
    with ExitStack() as stack:
        clients = _clients(shop, stack)
        for client in clients.values():
            client.run("import os; text = 'live'")
        actions = {who: partial(_completions, client) for who, client in clients.items()}
        samples = compare(actions, plan.rounds(20, 100), warm_up=3).scaled(1e3)
    name = "completion round trip"
    return [
        samples.row(name, STOCK, budget=Budget(0.30)),
        samples.row(name, ECHO),
    ]


def _cell(client: Client) -> float:
    answer = client.run("6 * 7")
    if answer.value() != "42":
        raise Unanswered(f"6 * 7 was {answer.value()}")
    return answer.seconds


def _completions(client: Client) -> float:
    """Seconds for one completion, on the average of three."""
    seconds = 0.0
    for code, wanted in _COMPLETIONS.items():
        answer = client.ask("complete_request", {"code": code, "cursor_pos": len(code)})
        matches = answer.reply.get("matches", [])
        if not any(match.removeprefix(".").endswith(wanted) for match in matches):
            raise Unanswered(f"{code!r} was not completed by {wanted!r} but by {matches[:5]}")
        seconds += answer.seconds
    return seconds / len(_COMPLETIONS)
