"""What docs/performance.md is filled with: the table of the last runs, and the plots of all."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from targets import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import itertools

from documentation import performance
from documentation.plots import HEIGHT, Plot, Point, Scale, Series, drawing

SVG = "{http://www.w3.org/2000/svg}"


def record(name: str, against: str, ratio: float | None, **more: Any) -> dict[str, Any]:
    values = {"unit": "ms", "digits": 1, "ours": 3.0, "reference": 6.0, "ratio": ratio}
    return {"measurement": "idle", "name": name, "against": against, **values, **more}


def line(commit: str, *rows: dict[str, Any], quick: bool = False) -> dict[str, Any]:
    machine = {"cpu": "CPU", "cores": 2, "system": "Linux", "python": "CPython 3.14.0"}
    run = {"at": f"2026-01-0{commit[0]}T00:00:00", "commit": commit, "quick": quick}
    return {**run, "machine": machine, "taken": 0.25, "rows": [*rows]}


BUDGET = {"budget": 0.25, "budget_of": "ratio", "at_least": False, "met": False}
LIMITED = {"budget": 15, "budget_of": "ours", "at_least": False, "met": True}
MISSING = {"reference": None, "note": "no | gdb here"}

LINES = [
    line("1aaaaaa", record("round trip", "ipykernel", 0.9), record("gone", "ipykernel", 0.5)),
    line(
        "2bbbbbb",
        record("round trip", "ipykernel", 0.5, **BUDGET),
        record("round trip", "echo", 2.0),
        record("round trip", "memray", None, **MISSING),
        quick=True,
    ),
]


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


# -- the table


def test_the_last_run_of_a_measurement_is_shown_and_no_earlier_one() -> None:
    text = plain(performance.results_of(LINES))
    assert "2026-01-02, commit `2bbbbbb`, a quick run: CPU, 2 cores" in text
    assert "others took 25% of a busy thread's time" in text
    assert "1aaaaaa" not in text
    assert "gone" not in text


def test_peers_stand_below_each_other_and_who_is_missing_says_why() -> None:
    rows = plain(performance.results_of(LINES)).splitlines()
    assert rows[rows.index("### Cells") + 4 :] == [
        "| round trip | 3.0 ms | ipykernel | 6.0 ms | 0.500 | ≤ 0.25 | **not met** |",
        "|  |  | echo | 6.0 ms | 2.000 |  |  |",
        "|  |  | memray | no \\| gdb here |  |  |  |",
    ]


def test_the_page_can_be_filled_from_what_is_on_record_here() -> None:
    assert "| cell round trip, idle target |" in performance.results()
    assert "<svg" in performance.plots()


# -- the plots


def parsed(lines: list[dict[str, Any]]) -> ET.Element:
    text = performance.plots_of(lines)
    return ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])


def texts(svg: ET.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{SVG}text")]


def test_each_peer_has_a_line_with_its_name_and_each_run_a_point() -> None:
    svg = parsed(LINES)
    said = [plain(text) for text in texts(svg)]
    assert {"round trip", "ipykernel", "echo", "budget ≤ 0.25", "1aaaaaa", "2bbbbbb"} <= {*said}
    assert "memray" not in said
    told = [plain(each.text or "") for each in svg.iter(f"{SVG}title")]
    assert told == [
        "2026-01-01 1aaaaaa: ours 3.0 ms, ipykernel 6.0 ms, ratio 0.900; "
        "others took 25% of a thread's time",
        "2026-01-02 2bbbbbb: ours 3.0 ms, ipykernel 6.0 ms, ratio 0.500; "
        "others took 25% of a thread's time",
        "2026-01-02 2bbbbbb: ours 3.0 ms, echo 6.0 ms, ratio 2.000; "
        "others took 25% of a thread's time",
    ]


def test_where_our_own_value_is_limited_it_is_plotted() -> None:
    svg = parsed([line("1aaaaaa", record("stall", "pdb", 0.1, **LIMITED))])
    said = [plain(text) for text in texts(svg)]
    assert {"ours, ms", "ours", "budget ≤ 15 ms"} <= {*said}
    assert "pdb" not in said


def test_what_has_no_peer_is_plotted_as_it_is() -> None:
    alone = record("memory", "", None, reference=None, unit="MB")
    svg = parsed([line("1aaaaaa", alone)])
    assert {"memory", "ours, MB", "ours"} <= {plain(text) for text in texts(svg)}
    [told] = [plain(each.text or "") for each in svg.iter(f"{SVG}title")]
    assert told == "2026-01-01 1aaaaaa: ours 3.0 MB; others took 25% of a thread's time"


def test_no_empty_line_ends_the_drawing_in_markdown() -> None:
    text = performance.plots_of(LINES)
    shown = text[text.index("<div") : text.index("</div>")]
    assert "" not in shown.splitlines()


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.2, 0.5], ["0", "0.2", "0.4"]),
        ([0.01, 2.0], ["0.01", "0.03", "0.1", "0.3", "1"]),
        ([0.995, 1.002], ["0.99", "0.995", "1", "1.005"]),
        ([3.0, 3.0], ["2.99", "3", "3.01"]),
        ([0.0, 0.0], ["0", "0.5", "1"]),
    ],
)
def test_the_axis_fits_its_values(values: list[float], ticks: list[str]) -> None:
    scale = Scale(values)
    assert [f"{tick:g}" for tick in scale.ticks()] == ticks
    heights = [scale.y(value) for value in sorted(values)]
    assert heights == sorted(heights, reverse=True)
    assert all(0 < height < HEIGHT for height in heights)


def test_names_at_the_ends_of_lines_do_not_lie_on_one_another() -> None:
    def series(name: str, value: float) -> Series:
        return Series(name, [Point(0, value, value, value, "")])

    plot = Plot("t", "u", [series(f"<{n}>", 1 + n / 100) for n in range(5)], 1.02, "budget")
    svg = ET.fromstring(drawing("topic", [plot], ["1aaaaaa"]))
    named = [each for each in svg.iter(f"{SVG}text") if each.get("class") in ("lk-name", "lk-warm")]
    heights = sorted(float(each.get("y", "0")) for each in named)
    assert len(named) == 6
    gaps = [after - before for before, after in itertools.pairwise(heights)]
    assert min(gaps) >= 13.9
