"""`python -m bench`: measures, prints the table, writes latest.json; records if asked to.

Runs in a process of its own. Rule: exit status 0 means that everything was
measured, not that every budget is met.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from . import history, machine, report, runs
from .plan import Plan
from .rows import MEASUREMENTS

QUIET = 0.05
"""A run that is to be trusted is one in which others took no more of a busy thread's time."""


def main() -> int:
    """Run the benchmark. Returns the exit status."""
    given = _arguments()
    runs.prepare()
    described = machine.describe()
    if given.record and not history.is_of_a_commit(described["live_kernel"]):
        print("bench: to record a run, commit first: live_kernel/ differs", file=sys.stderr)
        return 2
    print("\n".join(machine.as_lines(described)), end="\n\n", flush=True)
    begun = time.monotonic()
    rows, failed = runs.measure(given.rows or MEASUREMENTS, Plan(given.quick))
    print(report.table(rows), flush=True)
    seconds = round(time.monotonic() - begun, 1)
    described["taken"] = max(described["taken"], machine.taken_by_others())
    run = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": given.quick}
    run |= {**described, "seconds": seconds}
    report.write(rows, run)
    print(f"{seconds:.0f} s; rows and samples are in bench/{report.LATEST.name}")
    if given.record:
        history.append(history.line(rows, run))
        print(f"recorded in bench/{history.FILE.name}, to be committed")
        if described["taken"] > QUIET:
            print(f"but others took {described['taken']:.0%} of a thread's time: not a quiet run")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples of the same things")
    parser.add_argument("--record", action="store_true", help="add the run to history.jsonl")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(MEASUREMENTS))
    given = parser.parse_args()
    runs.check_names(parser, given.rows, MEASUREMENTS)
    return given


if __name__ == "__main__":
    sys.exit(main())
