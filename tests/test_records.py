"""Named tuples of ours are as those of `typing`, but for what their fields' types cost."""

from __future__ import annotations

import pickle
import typing

import pytest

from live_kernel import records


class Point(records.NamedTuple):
    """Where something is."""

    x: int
    label: NoSuchType = "a"  # type: ignore[name-defined]  # noqa: F821 - nobody looks at it
    many: tuple[str, ...] = ()

    @property
    def double(self) -> int:
        return 2 * self.x

    @classmethod
    def at(cls, text: str) -> Point:
        return cls(int(text))


class Known(typing.NamedTuple):
    """Where something is."""

    x: int
    label: str = "a"
    many: tuple[str, ...] = ()


def test_they_do_what_those_of_typing_do() -> None:
    ours, theirs = Point(3, many=("b",)), Known(3, many=("b",))
    assert ours == theirs == (3, "a", ("b",))
    assert ours._asdict() == theirs._asdict()
    assert ours._replace(x=4) == theirs._replace(x=4)
    assert repr(ours).partition("(")[2] == repr(theirs).partition("(")[2]
    assert (Point.__doc__, Point.__module__) == (Known.__doc__, Known.__module__)
    assert Point.__mro__[1:] == Known.__mro__[1:]
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert (Point.at("5").double, Point.__qualname__) == (10, "Point")


def test_a_field_that_is_missing_is_missed() -> None:
    for kind in (Point, Known):
        with pytest.raises(TypeError, match="'x'"):
            kind()  # type: ignore[call-arg]


def test_types_stay_as_they_are_written() -> None:
    assert Point.__annotations__["many"] == "tuple[str, ...]"
