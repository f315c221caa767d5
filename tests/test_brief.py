"""Values in a few words: from memory alone, whatever they are, and never long."""

from __future__ import annotations

import collections
import decimal
import enum
import math
from typing import Any

import pytest

from live_kernel.agent.brief import as_error, brief


class Order:
    """Nobody may ask it anything."""

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)

    def __repr__(self) -> str:
        raise AssertionError("__repr__ was called")

    __str__ = __repr__

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"__getattr__ was called for {name}")

    @property
    def total(self) -> int:
        raise AssertionError("a property was run")


class Numbers(list[int]):
    def __repr__(self) -> str:
        raise AssertionError

    def __iter__(self) -> Any:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError


class Colour(enum.IntEnum):
    RED = 1


class Kind(type):
    def __repr__(cls) -> str:
        raise AssertionError

    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError


class Made(metaclass=Kind):
    pass


CASES = (
    (None, "None"),
    (True, "True"),
    (3, "3"),
    (2.5, "2.5"),
    (math.inf, "inf"),
    ("text", "'text'"),
    ("x" * 1000, repr("x" * 60) + "…"),
    (b"bytes", "b'bytes'"),
    ("\ud800", "'\\ud800'"),
    (10**1000, "<int of 3322 bits>"),
    ([1, 2], "[1, 2]"),
    (list(range(1000)), "[0, 1, 2, 3, … 1000 in all]"),
    ((1,), "(1,)"),
    ({"a": [1, [2, [3]]]}, "{'a': [1, […]]}"),
    (frozenset({1}), "frozenset({1})"),
    (Order(number=3, total_of_it=[1], _hidden=1), "<Order number=3 total_of_it=[…]>"),
    (Order(), "<Order>"),
    ([Order(number=1)], "[<Order number=1>]"),
    (Numbers([1]), "<Numbers>"),
    (Text("text"), "'text'"),
    (Colour.RED, "1"),
    (Order, "Order"),
    (Made, "Made"),
    (Made(), "<Made>"),
    (brief, "<function brief>"),
    (len, "<builtin_function_or_method len>"),
    (math, "<module math>"),
    (decimal.Decimal("2.50"), "Decimal('2.50')"),
    (ValueError("no", Order(a=1)), "<ValueError 'no' <Order>>"),
    (collections.OrderedDict(a=1), "<OrderedDict>"),
    (object(), "<object>"),
)


@pytest.mark.parametrize(("value", "text"), CASES, ids=[text for _, text in CASES])
def test_values(value: object, text: str) -> None:
    assert brief(value) == text


def test_an_error_is_told_as_in_a_traceback() -> None:
    assert as_error(KeyError("key")) == "KeyError('key')"
    assert as_error(ValueError("negative", Order(total_of_it=2))) == (
        "ValueError('negative', <Order total_of_it=2>)"
    )


def test_what_contains_itself_has_an_end() -> None:
    inside: list[Any] = []
    inside.append(inside)
    assert brief(inside) == "[[[…]]]"
