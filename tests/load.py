"""`make load`: the cases of load, one after the other, and the table of what came of them."""

from __future__ import annotations

import argparse
import sys
import time

import load_many  # noqa: F401 - has cases
import load_output  # noqa: F401 - likewise
from gauges import HEAD, Row, line
from loads import CASES


def main() -> int:
    """Run the cases. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="begin of a case's name")
    parser.add_argument("--times", type=float, default=1.0, help="times the numbers of each case")
    given = parser.parse_args()
    failed = False
    for cells in HEAD:
        print(line(cells), flush=True)
    for name, each in CASES.items():
        if given.cases and not name.startswith(tuple(given.cases)):
            continue
        begun = time.monotonic()
        try:
            row = each.run(max(1, round(each.times * given.times)))
        except AssertionError as error:
            failed = True
            row = Row(name, outcome=f"FAILED: {str(error)[:1000]}")
        print(line(row.cells()), f" {time.monotonic() - begun:.1f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
