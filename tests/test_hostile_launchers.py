"""A launcher that says what none should: the agent goes on, or leaves, and the program is unharmed.

A real agent in a program of its own, and the launcher's side of the link in the test.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import hostile
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from snapshots import Program
from test_agent_subprocess import ScriptedLauncher

from live_kernel.link import frames
from live_kernel.link.messages import QUESTIONS

_ASKED: list[dict[str, Any]] = [
    *({"op": "ask", "id": 1, "about": about, "what": "", "code": "x.", "cursor": 2, "detail": 0}
      for about in sorted(QUESTIONS)),
    {"op": "run", "cell": 900, "code": "1", "count": 1, "silent": False, "expressions": {"a": "1"},
     "allow_input": False, "subshell": "s", "limits": {"repr": 10}, "parent": {"msg_id": "m"}},
    {"op": "comm", "cell": 901, "subshell": "s", "kind": "comm_msg", "metadata": {}, "buffers": [],
     "content": {"comm_id": "c", "data": {}}, "parent": {}, "meanwhile": False},
    {"op": "subshell", "id": "s", "wanted": True},
    {"op": "subshell", "id": "s", "wanted": False},
    {"op": "interrupt", "cell": 900},
    {"op": "abandon", "cell": 900},
    {"op": "input", "cell": 900, "value": "x"},
    {"op": "flush"},
    {"op": "ran", "id": 1, "status": 0, "output": [["stdout", "x"]]},
    {"op": "lent", "id": 1, "path": ["/x"], "modules": ["x"], "commands": {"%x": "y"}},
    {"op": "audience", "present": False},
    {"op": "welcome"},
]  # fmt: skip


@st.composite
def _said(draw: st.DrawFn) -> bytes:
    """One frame that a launcher could send, if it were mad. (It may detach, which ends it.)"""
    message = draw(hostile.bent(st.sampled_from(_ASKED), most=2))
    if message.get("op") == "detach":
        return b""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return b"".join(frames.encode(message))
    return b""


def in_programs(examples: int) -> settings:
    """Each example has a program of its own, so that none is made smaller."""
    return settings(
        deadline=None,
        max_examples=examples,
        phases=[Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.attach
@in_programs(8)
@given(st.lists(_said(), min_size=20, max_size=60))
def test_whatever_a_launcher_says_the_agent_answers_the_next(said: list[bytes]) -> None:
    with Program("lets_in") as program, ScriptedLauncher(program) as launcher:
        launcher.welcome()
        for data in said:
            launcher.control.socket.sendall(data)
        launcher.control.send("ask", id=77, about="status")
        while launcher.control.receive().get("id") != 77:
            pass
        number = launcher.begin("1 + 1")
        told = launcher.cells.receive()
        while told["cell"] != number or told["done"] is None:
            told = launcher.cells.receive()
        assert told["done"]["status"] == "ok"
        assert told["events"][-1]["data"]["text/plain"] == "2"
        assert program.process.poll() is None


@pytest.mark.attach
@in_programs(5)
@given(hostile.damaged(st.sampled_from(_ASKED).map(lambda m: b"".join(frames.encode(m)))))
def test_what_is_no_frame_ends_the_session_alone(data: bytes) -> None:
    with Program("lets_in") as program, ScriptedLauncher(program) as launcher:
        launcher.welcome()
        launcher.control.socket.sendall(data)
        launcher.control.socket.shutdown(socket.SHUT_WR)  # it may have promised more
        assert launcher.control.ended()
        assert program.process.poll() is None
