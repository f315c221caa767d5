"""The table for people and the rows for programs.

Runs in the benchmark, at its end. Rule: a row that was not measured is shown,
with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .samples import OURS, REFERENCE, Row

LATEST = Path(__file__).resolve().parent / "latest.json"

_HEADINGS = ("what", "ours", "reference", "against", "ratio", "budget", "met")
_VERDICTS = {True: "yes", False: "NO", None: ""}
_LEFT = {0, 3}
"""Columns of words; the others hold figures."""


def table(rows: Sequence[Row]) -> str:
    """All rows, and below them what there is to say about them."""
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("─" * width for width in widths))
    notes: dict[str, None] = dict.fromkeys(f"{_topic(row)}: {row.note}" for row in rows if row.note)
    return "\n".join([*text, "", *notes, _LEGEND])


_LEGEND = (
    "Values are medians, the middle half of the samples in brackets; "
    "bench/README.md explains each row."
)


def _topic(row: Row) -> str:
    return row.name.partition(",")[0]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.ljust(width) if column in _LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    if row.median(OURS) is None:
        return (row.name, "not measured", "", row.against, "", _budget(row), "")
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    ours, reference = _value(row, OURS), _value(row, REFERENCE)
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
