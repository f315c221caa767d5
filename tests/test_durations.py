"""Spans of time as people write them."""

from __future__ import annotations

import pytest

from live_kernel.launcher import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2), ("500ms", 0.5), ("1.5 min", 90), ("1m", 60), ("1h", 3600), ("3", 3), (".5S", 0.5)],
)
def test_spans(text: str, seconds: float) -> None:
    assert durations.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0s", "-1s", "2 days", "s", "1e3", "nan", "inf", "2s 3s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        durations.parse(text)
