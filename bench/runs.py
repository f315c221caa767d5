"""A run: measurements, one after the other, and what becomes of one that fails.

Runs in the benchmark. Rule: a measurement that fails leaves a row that says why, and the
others are taken all the same.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from . import topics
from .peers import Workshop
from .plan import Plan
from .rows import MEASUREMENTS
from .samples import Row


def prepare() -> None:
    """Have everything ended when this process is asked to end. Leaves where no target can be."""
    if not hasattr(sys, "remote_exec"):
        print("bench: run it with Python 3.14 or later, which targets need", file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def check_names(
    parser: argparse.ArgumentParser, given: Iterable[str], known: Collection[str]
) -> None:
    """Leave with the usage if one of the names is not among those that are known."""
    if unknown := [name for name in given if name not in known]:
        parser.error(f"no such row: {', '.join(unknown)}; there are: {', '.join(known)}")


def measure(names: Iterable[str], plan: Plan) -> tuple[list[Row], bool]:
    """The rows of these measurements by topic, and whether one of them failed."""
    rows: list[Row] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="live-kernel-bench-") as place:
        shop = Workshop(Path(place))
        for name in names:
            measured, error = _measure(name, shop, plan)
            rows.extend(measured)
            failed = failed or error
    return sorted(rows, key=lambda row: topics.place(row.measurement)), failed


def _measure(name: str, shop: Workshop, plan: Plan) -> tuple[list[Row], bool]:
    """The rows of one measurement, and whether it failed: then one row that says why."""
    print(f"  {name} …", end="", flush=True)
    begun = time.monotonic()
    try:
        rows, failed = MEASUREMENTS[name](shop, plan), False
    except Exception as error:
        note = f"not measured: {type(error).__name__}: {error}"
        rows, failed = [Row(name, "", "", note=note)], True
    print(f"\r  {name}: {time.monotonic() - begun:.1f} s", flush=True)
    for row in rows:
        row.measurement = name
    return rows, failed
