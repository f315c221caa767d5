"""`make load`: the cases of load, one after the other, and the table of what came of them.

Rule: a case that fails is a row like any other, and makes the exit status 1. With `--write` the
table goes to docs/reliability.md, between its marks.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import load_many  # noqa: F401 - has cases
import load_output  # noqa: F401 - likewise
import load_requests  # noqa: F401 - likewise
import load_rounds  # noqa: F401 - likewise
from gauges import HEAD, Row, line
from loads import CASES, Case
from targets import ROOT

PAGE = ROOT / "docs" / "reliability.md"
MARKS = "<!-- load: begin -->\n", "<!-- load: end -->\n"


def main() -> int:
    """Run the cases, with a journal of their own. Returns the exit status."""
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="lk-state-") as place:
        os.environ["XDG_STATE_HOME"] = place
        return _run_all(given)


def _run_all(given: argparse.Namespace) -> int:
    chosen = [each for name, each in CASES.items() if name.startswith(given.cases)]
    lines = [line(cells) for cells in HEAD]
    print("\n".join(lines), flush=True)
    begun, failed = time.monotonic(), 0
    for each in chosen:
        row, is_failed = _run(each, max(1, round(each.times * given.times)))
        failed += is_failed
        lines.append(line(row.cells()))
        print(lines[-1], flush=True)
    print(f"{len(chosen)} cases, {failed} failed, in {time.monotonic() - begun:.0f} s")
    if given.write:
        write(PAGE, lines)
    return int(failed > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="the begin of a case's name")
    parser.add_argument("--times", type=float, default=1.0, help="factor for all numbers")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    given.cases = tuple(given.cases) or ("",)
    return given


def _run(each: Case, times: int) -> tuple[Row, bool]:
    """The row of a case, and whether it failed."""
    try:
        return each.run(times), False
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return Row(each.name, outcome=f"FAILED: {reason}"), True


def write(page: Path, lines: list[str]) -> None:
    """Put the table in the place of the one that is there."""
    begin, end = MARKS
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + "\n".join(lines) + "\n" + end + after)


if __name__ == "__main__":
    sys.exit(main())
