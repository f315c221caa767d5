"""What a front-end's panel may ask for, and what is refused of it."""

from __future__ import annotations

from typing import Any

import pytest

from live_kernel.errors import CommandMisused
from live_kernel.launcher.commands import COMMANDS, split
from live_kernel.launcher.panel_requests import HOWS, number_in, parsed


@pytest.mark.parametrize(
    ("data", "kind", "line"),
    [
        ({"do": "look"}, "look", ""),
        ({"do": "places", "id": 1}, "places", ""),
        ({"do": "attach", "pid": 42}, "attach", "%attach 42"),
        ({"do": "attach", "pid": 42, "started": 1764131000.5}, "attach", "%attach 42"),
        ({"do": "attach", "pid": 42, "wake": True}, "attach", "%attach 42 --wake"),
        ({"do": "detach"}, "detach", "%detach"),
        ({"do": "wake"}, "wake", "%attach --wake"),
        ({"do": "bind", "how": "frame", "what": " 3 "}, "bind", "%frame 3"),
        ({"do": "bind", "how": "thread", "what": "worker 1"}, "bind", "%thread worker 1"),
        ({"do": "bind", "how": "up", "what": ""}, "bind", "%up"),
    ],
)
def test_is_a_command_of_the_kernel(data: dict[str, Any], kind: str, line: str) -> None:
    asked = parsed(data)
    assert (asked.kind, asked.line) == (kind, line)
    if line:
        (found,), rest = split(asked.line)
        assert " ".join(found).strip() == line
        assert not rest.strip()


@pytest.mark.parametrize(
    "data",
    [
        None, 1, "attach", [], {}, {"do": None}, {"do": ["attach"]}, {"do": "run", "code": "1"},
        {"do": "attach"}, {"do": "attach", "pid": "42"}, {"do": "attach", "pid": 0},
        {"do": "attach", "pid": True}, {"do": "attach", "pid": -1},
        {"do": "attach", "pid": 1 << 40}, {"do": "attach", "pid": 42, "started": 10**400},
        {"do": "attach", "pid": 42, "started": float("nan")},
        {"do": "attach", "pid": 4.2}, {"do": "attach", "pid": 42, "started": "now"},
        {"do": "attach", "pid": 42, "started": True}, {"do": "attach", "pid": 42, "wake": 1},
        {"do": "bind"}, {"do": "bind", "how": "frame"}, {"do": "bind", "how": "frame", "what": 3},
        {"do": "bind", "how": "attach", "what": "3"}, {"do": "bind", "how": [], "what": "3"},
        {"do": "bind", "how": "frame", "what": "3\nprint(1)"},
        {"do": "bind", "how": "frame", "what": "3\x1b]52;"},
        {"do": "bind", "how": "frame", "what": "3\u2028print(1)"},
        {"do": "bind", "how": "frame", "what": "x" * 501},
    ],
)  # fmt: skip
def test_refuses_what_it_does_not_know(data: object) -> None:
    with pytest.raises(CommandMisused):
        parsed(data)


_WRONG: list[Any] = [
    *(None, {}, {"id": True}, {"id": 1.5}, {"id": []}, {"id": "x" * 201}, {"id": 1 << 60}),
]


def test_a_number_comes_back_if_it_is_one() -> None:
    assert number_in({"id": 7}) == 7
    assert number_in({"id": "a-1"}) == "a-1"
    for wrong in _WRONG:
        assert number_in(wrong) is None


def test_every_way_to_bind_is_a_command() -> None:
    assert {f"%{how}" for how in HOWS} <= set(COMMANDS)
