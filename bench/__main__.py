"""`python -m bench`: measures, prints the table, writes latest.json.

Runs in a process of its own. Rule: exit status 0 means that everything was
measured, not that every budget is met.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from . import machine, report
from .peers import Workshop
from .plan import Plan
from .rows import MEASUREMENTS, Measurement
from .samples import Row


def main() -> int:
    """Run the benchmark. Returns the exit status."""
    given = _arguments()
    if not hasattr(sys, "remote_exec"):
        print("bench: run it with Python 3.14 or later, which targets need", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is ended
    described = machine.describe()
    print("\n".join(machine.as_lines(described)), end="\n\n", flush=True)
    begun = time.monotonic()
    rows: list[Row] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="live-kernel-bench-") as place:
        shop = Workshop(Path(place))
        for name in given.rows or MEASUREMENTS:
            measured, error = _measure(name, MEASUREMENTS[name], shop, Plan(given.quick))
            rows.extend(measured)
            failed = failed or error
    print(report.table(rows), flush=True)
    run = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": given.quick}
    report.write(rows, {**run, **described, "seconds": round(time.monotonic() - begun, 1)})
    print(f"{time.monotonic() - begun:.0f} s; rows and samples are in bench/{report.LATEST.name}")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples: about a minute")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(MEASUREMENTS))
    given = parser.parse_args()
    unknown = [name for name in given.rows if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are: {', '.join(MEASUREMENTS)}")
    return given


def _measure(
    name: str, measurement: Measurement, shop: Workshop, plan: Plan
) -> tuple[list[Row], bool]:
    """The rows of one measurement, and whether it failed: then one row that says why."""
    print(f"  {name} …", end="", flush=True)
    begun = time.monotonic()
    try:
        rows, failed = measurement(shop, plan), False
    except Exception as error:
        note = f"not measured: {type(error).__name__}: {error}"
        rows, failed = [Row(name, "", "", note=note)], True
    print(f"\r  {name}: {time.monotonic() - begun:.1f} s", flush=True)
    return rows, failed


if __name__ == "__main__":
    sys.exit(main())
