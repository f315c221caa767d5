"""What comes in with us: modules and processor time, in a bare program and in the launcher.

Runs in the benchmark. A program that has imported nothing is entered, and answers one cell; then
its modules are counted, and the processor time that it has used meanwhile. The references are
what others would import there, each in a fresh interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from .. import targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..targets import PROGRAMS
from ..wire import Client, Unanswered

_ZMQ, _IPYKERNEL = "zmq", "ipykernel.kernelapp"
_MODULES = "' '.join(__import__('sys').modules)"


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    return [*_in_target(shop, plan), _until_kernel_info(shop, plan)]


def _in_target(shop: Workshop, plan: Plan) -> list[Row]:
    counts: dict[str, list[float]] = {}
    own: list[int] = []

    def imported(module: str) -> Callable[[], float]:
        def act() -> float:
            count, spent, _ = _fresh(shop, module)
            counts.setdefault(module, []).append(count)
            return spent

        return act

    with targets.idle(shop.environment) as other, shop.kernel(OURS, other) as kernel:
        bare = _fresh(shop, "time")[2]

        def entered() -> float:
            with targets.idle(shop.environment) as target:
                before = target.processor_time()
                kernel.run(f"%attach {target.pid}")
                names = kernel.run(_MODULES).value()
                spent = (target.processor_time() - before) * 1e3
                added = set(names.strip("'").split()) - bare
                counts.setdefault(OURS, []).append(len(added))
                own.append(sum(".agent" in name or ".link" in name for name in added))
                kernel.run("%detach")
            return spent

        ways = {OURS: entered, _ZMQ: imported(_ZMQ), _IPYKERNEL: imported(_IPYKERNEL)}
        spent = in_turns(ways, plan.rounds(3, 15))
    note = f"{own[-1]} of ours are the agent's own, which come compiled in one bundle"
    rows = []
    for module, more, budget in (
        (_ZMQ, "", Budget(1.0)),
        (_IPYKERNEL, ", against ipykernel", None),
    ):
        against = f"import {module}"
        samples = {OURS: counts[OURS], REFERENCE: counts[module]}
        name = f"modules in a bare target{more}"
        rows.append(Row(name, "", against, None, samples, note, digits=0))
        samples = {OURS: spent[OURS], REFERENCE: spent[module]}
        name = f"processor time in a bare target{more}"
        rows.append(Row(name, "ms", against, budget, samples, digits=1))
    return rows


def _fresh(shop: Workshop, module: str) -> tuple[int, float, set[str]]:
    """Modules that come with one, milliseconds for them, and names of those before."""
    run = subprocess.run(
        [sys.executable, str(PROGRAMS / "importing.py"), module],
        env=shop.environment,
        cwd=shop.place,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    count, spent, *before = run.stdout.split()
    return int(count), float(spent), {*before, "time"}


def _until_kernel_info(shop: Workshop, plan: Plan) -> Row:
    """From starting the process to the first reply that every front-end waits for."""

    def asked(client: Client) -> None:
        reply = client.first_answer("kernel_info_request", {})
        if reply.get("language_info", {}).get("name") != "python":
            raise Unanswered(f"kernel_info was {reply}")

    with targets.idle(shop.environment) as target:
        actions = {
            OURS: lambda: shop.spawn(OURS, target, asked),
            REFERENCE: lambda: shop.spawn(STOCK, None, asked),
        }
        samples = in_turns(actions, plan.rounds(3, 15))
    name = "spawn to kernel_info"
    return Row(name, "ms", "ipykernel", Budget(0.40), scaled(samples, 1e3), digits=0)
