"""Half a gigabyte from the program into the local kernel: `%pull`.

Runs in the benchmark. An array, whose buffer travels as it is, if there is NumPy; and bytes,
which a pickle holds. The reference is the plainest way into another process that there is, and
what the value takes of memory is told beside it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

from live_kernel.attach import proc

from .. import footprint, targets
from ..peers import OURS, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, Samples, in_turns
from ..targets import PROGRAMS, Target
from ..wire import Client, Unanswered

SIZE = 500_000_000

_BYTES = (
    "bytes",
    f"big = bytes(range(250)) * {SIZE // 250}",
    "sum(big[::100_003])",
    0.5,
)
_ARRAY = (
    "an array",
    f"import numpy\nbig = numpy.arange({SIZE // 8}, dtype=numpy.uint64)",
    "int(big[::100_003].sum())",
    0.8,
)
"""Of each: its name, how it is made, what is compared of it, and the least ratio of speeds."""


def measure(shop: Workshop, plan: Plan) -> list[Row]:
    rows: list[Row] = []
    with targets.idle(shop.environment) as target, shop.kernel(OURS, target) as kernel:
        kernel.run("%%local\n1")
        (beside,) = proc.children(kernel.pid)
        for kind in (_ARRAY, _BYTES):
            name = f"500 MB %pull, {kind[0]}"
            if kind is _ARRAY and importlib.util.find_spec("numpy") is None:
                rows.append(Row(name, "MB/s", "", note="not measured: there is no NumPy here"))
                continue
            kernel.run(kind[1])
            rows += _pulled(shop, plan, kernel, target, name, *kind[2:], beside)
    return rows


def _pulled(
    shop: Workshop,
    plan: Plan,
    kernel: Client,
    target: Target,
    name: str,
    sample: str,
    least: float,
    beside: int,
) -> list[Row]:
    expected = kernel.run(sample).value()
    peaks: dict[int, list[float]] = {pid: [] for pid in (kernel.pid, target.pid, beside)}

    def pull() -> float:
        kernel.run("%%local\nbig = None")
        before = {pid: footprint.resident(pid) for pid in peaks}
        for pid in peaks:
            footprint.forget_peak(pid)
        answer = kernel.run("%pull big")
        for pid, grown in peaks.items():
            grown.append(footprint.peak(pid) - before[pid])
        found = kernel.run(f"%%local\n{sample}").value()
        if "Pulled big (500.0 MB)" not in answer.text() or found != expected:
            raise Unanswered(f"{answer.text()!r}; what came is {found}, not {expected}")
        return SIZE / answer.seconds / 1e6

    actions: dict[str, Callable[[], float]] = {OURS: pull, REFERENCE: lambda: _copied(shop)}
    speeds = in_turns(actions, plan.rounds(2, 6), warm_up=plan.rounds(0, 1))
    local = max(peaks.pop(beside))
    ours: Samples = {OURS: [sum(each) for each in zip(*peaks.values(), strict=True)]}
    return [
        Row(name, "MB/s", "a Unix socket", Budget(least, at_least=True), speeds, digits=0),
        Row(
            f"{name}, memory of launcher and target", "MB", "", Budget(10, of="ours"), ours,
            f"beyond the value itself; the local kernel has it then, and grew by {local:.0f} MB",
            digits=1,
        ),
    ]  # fmt: skip


def _copied(shop: Workshop) -> float:
    """Megabytes a second from one process into another."""
    run = subprocess.run(
        [sys.executable, str(PROGRAMS / "copying.py"), str(SIZE)],
        env=shop.environment,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    seconds, size = map(float, run.stdout.split())
    return size / seconds / 1e6
