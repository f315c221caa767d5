"""Numbers as small pictures, and what is read of values."""

from __future__ import annotations

import decimal
import fractions
import math
from collections import namedtuple
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from live_kernel.agent.plots import blocks, clock, number, svg
from live_kernel.agent.readings import LENGTH, numbers_in, read
from live_kernel.agent.showing import Series

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([NAN], ""),
        ([5], "▁"),
        ([0, 7], "▁█"),
        ([0, NAN, 7], "▁ █"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([-math.inf, 1, 2], " ▁█"),
        (list(range(100)), blocks(list(range(76, 100)))),
    ],
)
def test_blocks(values: list[float], line: str) -> None:
    assert blocks(values) == line
    assert len(line) <= 24


def test_a_picture_is_well_formed_and_of_the_texts_colour() -> None:
    lines = {"a<&>": [(1.0, 2.0), (2.0, NAN), (3.0, 4.0)], "b": [(1.0, 1e9)]}
    root = ET.fromstring(svg(lines))
    assert root.get("fill") == "currentColor"
    drawn = [e for e in root.iter() if e.tag.endswith("path") and e.get("fill") == "none"]
    assert len(drawn) == 2
    assert str(drawn[0].get("d")).count("M") == 2  # a gap
    labels = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert "a<&> 4" in labels
    assert "now" in labels


@pytest.mark.parametrize("lines", [{}, {"": []}, {"": [(1.0, NAN)]}])
def test_nothing_to_be_drawn(lines: Any) -> None:
    assert svg(lines) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234567, "1,234,567"), (0.12345678, "0.1235"), (1e20, "1e+20")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "0.25 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h")]
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert clock(seconds) == text


class Liar(float):
    def __float__(self) -> float:
        raise ValueError


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (3, {"": 3.0}),
        (True, {"": 1.0}),
        (decimal.Decimal("2.5"), {"": 2.5}),
        (fractions.Fraction(1, 2), {"": 0.5}),
        ((1, 2.5), {"0": 1.0, "1": 2.5}),
        ([1], {"0": 1.0}),
        (Point(1, 2), {"x": 1.0, "y": 2.0}),
        ({"a": 1, 2: 3}, {"a": 1.0, "2": 3.0}),
        ("3", {}),
        ([1, "2"], {}),
        ([], {}),
        (list(range(9)), {}),
        (10**400, {}),
        (Liar(1), {}),
        (None, {}),
        ([[1]], {}),
    ],
)
def test_numbers_are_found(value: object, numbers: dict[str, float]) -> None:
    assert numbers_in(value) == numbers


def test_numbers_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    assert numbers_in(numpy.float32(0.5)) == {"": 0.5}
    assert numbers_in((numpy.int64(3), 1)) == {"0": 3.0, "1": 1.0}
    assert numbers_in(numpy.array([1, 2])) == {}


def test_names_as_they_were_written() -> None:
    assert numbers_in((1, 2), ["len(x)", "y"]) == {"len(x)": 1.0, "y": 2.0}
    assert numbers_in((1, 2), ["*x"]) == {"0": 1.0, "1": 2.0}
    assert numbers_in(Point(1, 2), ["a", "b"]) == {"x": 1.0, "y": 2.0}


def test_texts_are_cut() -> None:
    assert len(read("x" * 10**6, 0.0).text) < 2 * LENGTH


def test_the_last_word_tells_of_all_values() -> None:
    series = Series("n")
    for at in range(1000):
        series.add(read(at, float(at)), "")
    series.add(read("none", 1000.0), "")
    series.ended = "over"
    assert "1,001 values in" in series.summary()
    assert "min 0, mean 499.5, max 999" in series.summary()
    assert series.line().endswith(" ")  # a gap, where there was no number
