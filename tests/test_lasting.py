"""What stands behind `%watch`, `%trace` and `%patch`, before anything is sent."""

from __future__ import annotations

from typing import Any, cast

import pytest

from live_kernel.errors import CommandMisused
from live_kernel.launcher import commands
from live_kernel.launcher.commands.watching import without_place


def options(name: str, argument: str) -> dict[str, Any]:
    command = commands.COMMANDS[name](commands.Means(*[cast("Any", None)] * 6))
    return cast("Any", command).options(argument)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("argument", "expression", "every", "seconds"),
    [
        ("", "", 0.5, 0),
        ("len(x)", "len(x)", 0.5, 0),
        ("len(x) every 2s for 1min", "len(x)", 2, 60),
        ("len(x) for 1min every 200ms", "len(x)", 0.2, 60),
        ("[y for y in x]", "[y for y in x]", 0.5, 0),
        ("[y for y in x] for 3", "[y for y in x]", 0.5, 3),
        ("every", "every", 0.5, 0),
        ("'for 3s'", "'for 3s'", 0.5, 0),
        ("a, b every .5s", "a, b", 0.5, 0),
    ],
)
def test_watch(argument: str, expression: str, every: float, seconds: float) -> None:
    assert options("%watch", argument) == {
        "expression": expression,
        "every": every,
        "seconds": seconds,
    }


@pytest.mark.parametrize(
    ("argument", "function", "count", "seconds", "condition"),
    [
        ("", "", 20, 0, ""),
        ("app.f", "app.f", 20, 0, ""),
        ("app.f -n 5", "app.f", 5, 0, ""),
        ("app.f -n5 for 2s", "app.f", 5, 2, ""),
        ("app.f for 2s -n all", "app.f", 0, 2, ""),
        ("app.f if x > 1", "app.f", 20, 0, "x > 1"),
        ("app.f -n 3 if x > 1 for 2s", "app.f", 3, 2, "x > 1"),
        ("app.f for 2s if a if b else c", "app.f", 20, 2, "a if b else c"),
    ],
)
def test_trace(argument: str, function: str, count: int, seconds: float, condition: str) -> None:
    assert options("%trace", argument) == {
        "function": function,
        "count": count,
        "seconds": seconds,
        "condition": condition,
    }


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("%watch", "x every 1ms"),
        ("%watch", "for 2s"),
        ("%watch", "x for 2parsecs"),
        ("%trace", "f g"),
        ("%trace", "f -n"),
        ("%trace", "f -n 0"),
        ("%trace", "f if"),
        ("%trace", "f every 2s"),
        ("%trace", "f for 1s if x for 2s every 3s"),
        ("%patch", "f"),
        ("%patch", "f g h"),
        ("%%patch", "f"),
        ("%%patch", "f g\ndef f(): pass"),
        ("%%patch", "\ndef f(): pass"),
    ],
)
def test_misuse(name: str, argument: str) -> None:
    with pytest.raises(CommandMisused):
        options(name, argument)


@pytest.mark.parametrize(
    ("text", "rest", "where"),
    [
        ("x", "x", ""),
        ("x --here", "x", "here"),
        ("--beside x for 2s", "x for 2s", "beside"),
        ("x --herewith", "x --herewith", ""),
        ("a --b", "a --b", ""),
    ],
)
def test_the_place(text: str, rest: str, where: str) -> None:
    assert without_place(text) == (rest, where)


def test_all_that_stands_below_is_the_patch() -> None:
    code = "%%patch app.f\n\ndef f():\n    return '%status'\n%status"
    ((name, argument),), rest = commands.split(code)
    assert name == "%%patch"
    assert argument == "app.f\n\ndef f():\n    return '%status'\n%status"
    assert rest.strip() == ""
