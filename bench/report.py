"""The table for people and the rows for programs.

Runs in the benchmark, at its end. Rule: a row that was not measured is shown,
with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from .samples import OURS, REFERENCE, Row
from .topics import topic

LATEST = Path(__file__).resolve().parent / "latest.json"

_HEADINGS = ("what", "ours", "reference", "against", "ratio", "budget", "met")
_VERDICTS = {True: "yes", False: "NO", None: ""}
_LEFT = {0, 3}
"""Columns of words; the others hold figures."""

_NOT_MEASURED = "not measured"

type Cells = tuple[str, ...]


def table(rows: Sequence[Row]) -> str:
    """All rows by what they are about, and below them what there is to say about them."""
    by_topic = groupby(rows, lambda row: topic(row.measurement))
    topics = [(name, [*_parts(of_it)]) for name, of_it in by_topic]
    cells = [each for _, parts in topics for each in parts]
    head, rule, *text = aligned([_HEADINGS, *cells], _LEFT)
    lines, rest = [head, rule], iter(text)
    for name, parts in topics:
        lines += ["", name.upper()] if name else []
        lines += islice(rest, len(parts))
    notes = dict.fromkeys(f"{_of_whom(row)}: {row.note}" for row in rows if row.note)
    return "\n".join([*lines, "", *notes, *_unmet(rows), _LEGEND])


_LEGEND = (
    "Values are medians, the middle half of the samples in brackets; "
    "bench/README.md explains each row."
)


def aligned(lines: Sequence[Cells], left: set[int]) -> list[str]:
    """Cells in columns, with a rule beneath the first line; those of `left` hold words."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [text[0], "  ".join("─" * width for width in widths), *text[1:]]


def _parts(rows: Iterator[Row]) -> Iterator[Cells]:
    """The lines of a topic: what a row has in common with the one above is told there alone."""
    above: Cells = ("",) * 2
    for row in rows:
        name, ours, *rest = _cells(row)
        is_same = name == above[0]
        yield (
            "" if is_same else name,
            "" if is_same and ours == above[1] else ours,
            *rest,
        )
        above = (name, ours)


def _of_whom(row: Row) -> str:
    name = row.name.partition(",")[0]
    return f"{name}, {row.against}" if row.ratio is None and row.against else name


def _unmet(rows: Sequence[Row]) -> list[str]:
    """How many budgets are kept, and which are not."""
    judged = [row for row in rows if row.met is not None]
    unmet = [f"{row.name} ({_budget(row)})" for row in judged if not row.met]
    if not judged:
        return []
    kept = f"{len(judged) - len(unmet)} of {len(judged)} budgets are met"
    return [f"{kept}; not those of: {', '.join(unmet)}." if unmet else f"{kept}."]


def _cells(row: Row) -> Cells:
    if row.median(OURS) is None:
        return (row.name, _NOT_MEASURED, "", row.against, "", _budget(row), "")
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    ours, reference = _value(row, OURS), _value(row, REFERENCE)
    if not reference and row.against:
        reference = _NOT_MEASURED
    return (row.name, ours, reference, row.against, ratio, _budget(row), _VERDICTS[row.met])


def _value(row: Row, who: str) -> str:
    median, spread = row.median(who), row.spread(who)
    if median is None:
        return ""
    text = f"{median:.{row.digits}f} {row.unit}"
    if spread is None:
        return text
    return f"{text} ({spread[0]:.{row.digits}f}–{spread[1]:.{row.digits}f})"


def _budget(row: Row) -> str:
    budget = row.budget
    if budget is None:
        return ""
    sign = "≥" if budget.at_least else "≤"
    return f"{sign} {budget.limit:g}" + (f" {row.unit}" if budget.of == OURS else "")


def write(rows: Sequence[Row], run: dict[str, Any], file: Path = LATEST) -> None:
    """Keep the rows, each with the run that it comes from, for programs to read."""
    records = [{**row.as_json(), "run": run} for row in rows]
    file.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
