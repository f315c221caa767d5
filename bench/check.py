"""`python -m bench.check`: has anything become clearly slower than it is on record?

    python -m bench.check [--history FILE] [ROW…]

Runs in a process of its own; `make bench-check`, and CI after the tests. Measures a few rows
quickly and compares their ratios with those that history.jsonl had last. A row is worse if
the whole interval in which its ratio lies is beyond the recorded one by more than the row's
tolerance; then it is measured again, more thoroughly, and counts only if it is worse still.
Rule: ratios of one run alone, never times, and of the samples that nobody has disturbed: a
busy neighbour widens the intervals, and does not move them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import history, machine, report, runs
from .estimates import Interval
from .history import Key, Record
from .plan import Plan
from .samples import Row


class Held(NamedTuple):
    """How a measurement is held to what is on record.

    `tolerance`: the factor that a ratio may grow by, or shrink where it is to be large.
    `times`: how often the rounds of a quick run are taken; twice as often in a second look.
    """

    tolerance: float
    times: int = 2


CHECKED = {
    "spawn": Held(1.5),
    "fleet": Held(1.4),
    "idle": Held(1.5),
    "complete": Held(1.5),
    "lines": Held(1.4),
    "figure": Held(1.4),
    "loop": Held(1.4),
    "speed": Held(1.05, times=1),
    "memory": Held(1.15),
    "break": Held(1.15, times=1),
}
"""Those whose ratios come out alike on any machine, and soon."""

LEVEL = 0.99
"""With this probability a ratio lies in its interval."""

type Measure = Callable[[Iterable[str], Plan], tuple[list[Row], bool]]


class Verdict(NamedTuple):
    """Of one row. `recorded` is None for one that is not on record, `now` if it has no ratio."""

    key: Key
    recorded: float | None
    now: Interval | None
    limit: float | None
    is_worse: bool


def judge(row: Row, recorded: Mapping[Key, Record], tolerance: float) -> Verdict:
    """Hold a row against what is on record of it."""
    key = Key(row.name, row.against)
    known, now = recorded.get(key, {}).get("undisturbed"), row.undisturbed(LEVEL)
    if known is None or now is None:
        return Verdict(key, known and known[1], now, None, is_worse=False)
    if row.budget is not None and row.budget.at_least:
        limit = known[1] / tolerance
        return Verdict(key, known[1], now, limit, is_worse=now.high < limit)
    limit = known[1] * tolerance
    return Verdict(key, known[1], now, limit, is_worse=now.low > limit)


def check(
    names: Iterable[str], recorded: Mapping[Key, Record], measure: Measure = runs.measure
) -> tuple[list[Verdict], list[Verdict], bool]:
    """The verdicts, those of a second look at what was worse, and whether measuring failed.

    What could not be measured is tried again, too, and has failed if it still can't be.
    Only rows that have a budget are judged: of others nobody has said what they should be.
    """
    first: list[Verdict] = []
    suspects: list[str] = []
    for name in names:
        found, broke = _verdicts(name, recorded, measure, looks=1)
        first += found
        if broke or any(verdict.is_worse for verdict in found):
            suspects.append(name)
    if suspects:
        print(f"worse than on record, or not measured; once more: {', '.join(suspects)}")
    second: list[Verdict] = []
    failed = False
    for name in suspects:
        found, broke = _verdicts(name, recorded, measure, looks=2)
        second += found
        failed = failed or broke
    return first, second, failed


def _verdicts(
    name: str, recorded: Mapping[Key, Record], measure: Measure, looks: int
) -> tuple[list[Verdict], bool]:
    """Of all rows of a measurement, and whether it failed; in a second look, with more rounds."""
    held = CHECKED[name]
    rows, broke = measure([name], Plan(quick=True, times=looks * held.times))
    for row in rows:
        if row.note and row.ratio is None:
            print(f"  {row.name}: {row.note}")
    judged = [judge(row, recorded, held.tolerance) for row in rows if row.budget is not None]
    return judged, broke


def worse(first: Sequence[Verdict], second: Sequence[Verdict]) -> set[Key]:
    """The rows that were worse both times."""
    return _keys([each for each in first if each.is_worse]) & _keys(
        [each for each in second if each.is_worse]
    )


# -- for people

_HEADINGS = ("what", "against", "on record", "ratio now", "it lies between", "limit", "")


def table(first: Sequence[Verdict], second: Sequence[Verdict]) -> str:
    """All verdicts; of a row that was measured twice, both."""
    again = {each.key: each for each in second}
    lines = []
    for each in first:
        verdict = again.pop(each.key, None) if each.is_worse else None
        lines.append(_cells(each, _said(each, is_first=verdict is not None)))
        if verdict is not None:
            lines.append(("  once more", "", *_cells(verdict, _said(verdict))[2:]))
    lines += [_cells(each, _said(each)) for key, each in again.items() if key not in _keys(first)]
    return "\n".join(report.aligned([_HEADINGS, *lines], {0, 1, 6}))


def _keys(verdicts: Sequence[Verdict]) -> set[Key]:
    return {each.key for each in verdicts}


def _said(verdict: Verdict, is_first: bool = False) -> str:
    """`is_first`: a second look has followed."""
    if verdict.recorded is None:
        return "not on record"
    if verdict.now is None:
        return "not measured"
    if verdict.is_worse:
        return "worse" if is_first else "WORSE"
    return "as it was"


def _cells(verdict: Verdict, said: str) -> report.Cells:
    now = verdict.now
    return (
        verdict.key.name,
        verdict.key.against,
        _figure(verdict.recorded),
        _figure(now and now.value),
        f"{now.low:.3f}–{now.high:.3f}" if now else "",
        _figure(verdict.limit),
        said,
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> int:
    """Check. Returns 1 if a row is worse or could not be measured twice, 2 without a history."""
    given = _arguments()
    runs.prepare()
    try:
        recorded = history.newest(history.read(given.history))
    except (OSError, ValueError) as error:
        print(f"bench: there is no history to compare with: {error}", file=sys.stderr)
        return 2
    print("\n".join(machine.as_lines(machine.describe())), end="\n\n", flush=True)
    begun = time.monotonic()
    first, second, failed = check(given.rows or CHECKED, recorded)
    print(f"\n{table(first, second)}\n")
    found = worse(first, second)
    for name, against in sorted(found):
        print(f"bench: {name} has become slower, beside {against}, than it is on record")
    rows = _keys([*first, *second])
    print(f"{len(rows)} rows, {len(found)} worse; {time.monotonic() - begun:.0f} s")
    return int(bool(found) or failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.check")
    parser.add_argument("--history", type=Path, default=history.FILE, metavar="FILE")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(CHECKED))
    given = parser.parse_args()
    runs.check_names(parser, given.rows, CHECKED)
    return given


if __name__ == "__main__":
    sys.exit(main())
