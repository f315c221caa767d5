"""What expressions stand for: values, or the classes that they are promised to have."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent.expressions import promised_class, read_text
from live_kernel.agent.lookup import ABSENT, Unread


class Order:
    """Something to look at."""

    def __init__(self) -> None:
        self.lines = [{"price": 3}, ("a", "b")]

    @property
    def total(self) -> Order:
        raise AssertionError

    def copy(self) -> Order | None:
        raise AssertionError


class Dictionary(dict[str, Any]):
    """Names over a dictionary."""

    def lookup(self, name: str) -> object:
        return self[name]

    def names(self) -> list[str]:
        return list(self)


NAMES = Dictionary(
    order=Order(), index=1, key="price", table={-1: "minus", b"x": "bytes", 1: "one"}
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("order.lines[0]['price']", 3),
        ("order.lines[0][key]", 3),
        ("order . lines [index]\n[-1]", "b"),
        ("(order.lines)[1][0]", "a"),
        ("table[-1]", "minus"),
        ("table[b'x']", "bytes"),
        ("table[index]", "one"),
        ("'text'", "text"),
        ("len", len),
    ],
)
def test_values(text: str, value: object) -> None:
    assert read_text(text, NAMES) == value


@pytest.mark.parametrize(
    ("text", "promised"),
    [
        ("order.total", Order),
        ("order.total.copy()", Order),
        ("order.copy().total", Order),
        ("dict()", dict),
        ("[order]", list),
        ("f'{order}'", str),
    ],
)
def test_promises(text: str, promised: type) -> None:
    found = read_text(text, NAMES)
    assert type(found) is Unread
    assert promised_class(found) is promised


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "nowhere",
            "nowhere.__doc__",
            "order.nothing",
            "order.lines[7]",
            "order.lines[:1]",
        ),
        *("1 + 1", "order.lines[order]", "table[table]", "for", "order.", "(", "\0", "\ud800"),
        *("type(order)", "order.lines[0][f'price']", "(" * 5000, "a" * 20_000, "lambda: order"),
    ],
)
def test_nothing(text: str) -> None:
    try:
        assert read_text(text, NAMES) is ABSENT
    except (MemoryError, RecursionError):
        assert text.startswith("((")


@pytest.mark.parametrize(
    "text",
    [
        *(r"table['\d']", r"table['\777']", r"table[b'\q']", "f(1if x else 2)", "f(0xfor 1)"),
        *("f(1jor 2)", "f(1.or x)", "f(1_000and 2)", "'a'()", "'a'[1,]", "f(1 is 1)"),
    ],
)
def test_no_warning_reaches_the_program(text: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert read_text(text, NAMES) is ABSENT
    assert seen == []
