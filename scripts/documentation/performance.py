"""What live-kernel costs: the table of the last runs, and plots of all that are on record.

Called by the reference, for docs/performance.md. Rule: every figure comes from
bench/history.jsonl; nothing is measured here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from provision.shell import ROOT

sys.path.insert(0, str(ROOT))

from bench import history, topics

from . import drawings
from .plots import Plot, Point, Series, drawing

type Line = dict[str, Any]
type Record = dict[str, Any]

_HEAD = "| what | ours | peer | the peer's | ratio | budget | |\n|---|--:|---|--:|--:|--:|---|"

_VERDICTS: dict[bool | None, str] = {True: "met", False: "**not\u00a0met**", None: ""}


# -- the table


def results() -> str:
    """Those that are on record here."""
    return results_of(history.read())


def results_of(lines: list[Line]) -> str:
    """Of each measurement its last run, as tables with a heading each."""
    latest = _latest(lines)
    records = sorted(
        (record for line in latest.values() for record in line["rows"]),
        key=lambda record: topics.place(record["measurement"]),
    )
    parts = [_whence(latest.values())]
    for topic, of_it in groupby(records, lambda record: topics.topic(record["measurement"])):
        parts += [f"### {topic}", "\n".join([_HEAD, *_rows(of_it)])]
    return "\n\n".join(parts)


def _latest(lines: Iterable[Line]) -> dict[str, Line]:
    """Of each measurement the last run of it, with its rows alone."""
    found: dict[str, Line] = {}
    for line in lines:
        for name, records in groupby(line["rows"], lambda record: record["measurement"]):
            if topics.topic(name):
                found[name] = {**line, "rows": [*records]}
    return found


def _whence(lines: Iterable[Line]) -> str:
    """Where and when the figures were measured, and how quiet it was."""
    runs = {
        (line["at"], line["commit"]): line for line in sorted(lines, key=lambda line: line["at"])
    }
    told = []
    for line in runs.values():
        machine = line["machine"]
        told.append(
            f"- {line['at'][:10]}, commit `{line['commit']}`{', a quick run' * line['quick']}: "
            f"{machine['cpu']}, {machine['cores']} cores; {machine['system']}; "
            f"{machine['python']}; others took {line['taken']:.0%} of a busy thread's time"
        )
    return "\n".join(told)


def _rows(records: Iterable[Record]) -> Iterator[str]:
    above = ""
    for record in records:
        is_same = record["name"] == above
        above = record["name"]
        cells = (
            "" if is_same else record["name"],
            "" if is_same else _value(record, "ours") or "not measured",
            record["against"],
            _value(record, "reference") or record.get("note", ""),
            "" if record["ratio"] is None else f"{record['ratio']:.3f}",
            _budget(record),
            _VERDICTS[record.get("met")],
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(record: Record, who: str) -> str:
    value = record[who]
    return "" if value is None else f"{value:.{record['digits']}f}\u00a0{record['unit']}"


def _budget(record: Record) -> str:
    if "budget" not in record:
        return ""
    sign = "≥" if record["at_least"] else "≤"
    unit = f"\u00a0{record['unit']}" if record["budget_of"] == "ours" else ""
    return f"{sign}\u00a0{record['budget']:g}{unit}"


# -- the plots


def plots() -> str:
    """Those of all that is on record here."""
    return plots_of(history.read())


def plots_of(lines: list[Line]) -> str:
    """All rows over all runs, as drawings with a heading each."""
    runs = [line["commit"] for line in lines]
    parts = []
    for topic, names in topics.TOPICS.items():
        found = [*_plots(lines, names)]
        if found:
            parts += [f"### {topic} over time", drawings.as_html(drawing(topic, found, runs))]
    return "\n\n".join(parts)


def _plots(lines: list[Line], measurements: tuple[str, ...]) -> Iterator[Plot]:
    """One for each name of a row that a last run of these measurements has."""
    latest = _latest(lines)
    for measurement in measurements:
        rows = latest[measurement]["rows"] if measurement in latest else []
        for _, records in groupby(rows, lambda record: record["name"]):
            plot = _plot(lines, [*records])
            if plot.series:
                yield plot


def _plot(lines: list[Line], records: list[Record]) -> Plot:
    """The ratios to all peers; our own values, where these are limited or have no peer."""
    limited = next((record for record in records if "budget" in record), None)
    shown = limited or records[0]
    is_of_ours = shown.get("budget_of") == "ours" or not shown["against"]
    series = [_series(lines, each, is_of_ours) for each in ([shown] if is_of_ours else records)]
    return Plot(
        records[0]["name"],
        f"ours, {records[0]['unit']}" if is_of_ours else "ours as a part of the peer's",
        [each for each in series if each.points],
        limit=limited["budget"] if limited else None,
        limit_text=f"budget {_budget(limited)}" if limited else "",
    )


def _series(lines: list[Line], shown: Record, is_of_ours: bool) -> Series:
    points = []
    for number, line in enumerate(lines):
        for record in line["rows"]:
            value = record["ours" if is_of_ours else "ratio"]
            if history.key(record) == history.key(shown) and value is not None:
                low, high = (value, value) if is_of_ours else record.get("interval", [value] * 2)
                points.append(Point(number, value, low, high, _told(line, record)))
    return Series("ours" if is_of_ours else shown["against"], points)


def _told(line: Line, record: Record) -> str:
    """What a point says of itself."""
    ratio = "" if record["ratio"] is None else f", ratio {record['ratio']:.3f}"
    peer = f", {record['against']} {_value(record, 'reference')}" if record["against"] else ""
    noise = f"others took {line['taken']:.0%} of a thread's time"
    ours = f"ours {_value(record, 'ours')}"
    return f"{line['at'][:10]} {line['commit']}: {ours}{peer}{ratio}; {noise}"
