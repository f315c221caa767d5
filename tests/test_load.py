"""A part of the load that `make load` puts on a kernel, in small numbers."""

from __future__ import annotations

from pathlib import Path

import load
import pytest
from gauges import Row
from loads import CASES

pytestmark = [pytest.mark.attach, pytest.mark.client]

FEW = (
    "long lines, read slowly",
    "awaiting, unread",
    "pictures, unread",
    "bytes of a size",
    "traceback of a size",
    "short cells in one session",
    "clients of one kernel",
    "kernels on one program",
    "rounds by %attach and %detach",
    "comms opened and closed",
    "completions at once",
    "a queue of cells",
)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", FEW)
def test_a_case_of_load(name: str) -> None:
    each = CASES[name]
    row = each.run(each.few)
    assert all(seconds < 20 for seconds in row.interrupted), row


def test_the_table_is_put_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = load.MARKS
    page.write_text(f"before\n{begin}old\n{end}after\n")
    row = Row("a case", "much", {"launcher": 1 << 20}, {"launcher": 0}, [0.25], "good")
    load.write(page, [load.line(row.cells())])
    assert page.read_text() == (
        f"before\n{begin}| a case | much | 1.0 / 0.0 |  |  | 0.25 | good |\n{end}after\n"
    )
