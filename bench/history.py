"""What runs came to, one line of `history.jsonl` each: the past that the present is held to.

Written by the benchmark when it is asked to record; read by `check` and where the
documentation is built. Rule: a line tells of a commit, never of files that differ from it,
and is not changed afterwards. Medians, ratios and intervals only: the samples are in
`latest.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .samples import Row

FILE = Path(__file__).resolve().parent / "history.jsonl"

type Record = dict[str, Any]
"""A row of a line: `Row.as_json` without the samples; see `of_row`."""

type Line = dict[str, Any]
"""A run: `at`, `commit`, `quick`, `machine`, `taken` (see machine.py) and `rows`."""


class Key(NamedTuple):
    """What makes two rows of different runs the same one."""

    name: str
    against: str


def key(record: Record) -> Key:
    return Key(record["name"], record["against"])


def line(rows: Sequence[Row], run: dict[str, Any]) -> Line:
    """What is kept of a run that machine.py has described.

    A measurement that failed is not: that says something of the run, and nothing of the commit.
    """
    words = ("cpu", "cores", "system", "python")
    return {
        "at": run["at"],
        "commit": run["live_kernel"].split()[-1],
        "quick": run["quick"],
        "machine": {word: run[word] for word in words},
        "taken": run["taken"],
        "rows": [of_row(row) for row in rows if row.unit],
    }


_KEPT = ("measurement", "name", "against", "unit", "digits", "ours", "reference", "ratio")
_OF_BUDGETS = ("budget", "budget_of", "at_least", "met")


def of_row(row: Row) -> Record:
    """A row with the intervals of its ratio: `interval`, and `undisturbed` with its value amid."""
    whole = row.as_json()
    record = {name: whole[name] for name in _KEPT}
    if row.budget:
        record |= {name: whole[name] for name in _OF_BUDGETS}
    if interval := row.interval:
        record["interval"] = [round(interval.low, 4), round(interval.high, 4)]
    if undisturbed := row.undisturbed():
        record["undisturbed"] = [round(each, 4) for each in undisturbed]
    if row.ratio is None and row.note:
        record["note"] = row.note
    return record


def is_of_a_commit(revision: str) -> bool:
    """Does what machine.py says of the measured code name a commit, and nothing but it?"""
    return " " in revision and not revision.endswith("+")


def append(added: Line, file: Path = FILE) -> None:
    with file.open("a") as history:
        history.write(json.dumps(added, ensure_ascii=False, separators=(",", ":")) + "\n")


def read(file: Path = FILE) -> list[Line]:
    """All lines, the oldest first. Raises OSError, and ValueError for what is no such line."""
    return [json.loads(text) for text in file.read_text().splitlines() if text]


def newest(lines: Iterable[Line]) -> dict[Key, Record]:
    """Of each row the last record that has a ratio."""
    return {key(row): row for line in lines for row in line["rows"] if "undisturbed" in row}
