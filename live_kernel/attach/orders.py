"""What a supervisor is asked, and answers: the messages of its socket, and which are valid.

Pure; used by both ends: `supervised.py`, and the room `supervisor`. One request, one reply, each
a JSON object in one packet. Rule: what is not listed here is refused; nothing that is asked
leads further than to the supervisor's own program and what that has started.
"""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]

LONGEST_REQUEST, LONGEST_REPLY = 4096, 1 << 16
"""Bytes."""

ABOUT, MEMORY, WAIT, NUDGE, WAKE, STOP, RESTART = (
    "about", "memory", "wait", "nudge", "wake", "stop", "restart",
)  # fmt: skip


def is_valid(request: object) -> bool:
    """Is it one of these, and nothing else?"""
    match request:
        # What runs, since when, as what it has run before: see `supervisor/program.py`.
        case {"ask": "about", **more}:
            return not more
        # A descriptor of the memory of a process, to be read and written: it is how the bootstrap
        # is scheduled, and taken back, by one who may not open it (ptrace_scope 1).
        case {"ask": "memory", "pid": int(), "started": int(), **more}:
            return not more
        # In which system call a thread of it waits, as /proc/PID/task/TID/syscall has it.
        case {"ask": "wait", "pid": int(), "started": int(), "thread": int(), **more}:
            return not more
        # Interrupt that call, which then goes on: see `wake.py`.
        case {"ask": "nudge", "pid": int(), "started": int(), "thread": int(), **more}:
            return not more
        # Wake a thread of it by a technique (`techniques.py`), if it still waits just there.
        case {
            "ask": "wake", "pid": int(), "started": int(), "thread": int(), "technique": str(),
            "wait": [int(), int(), int()], **more,
        }:  # fmt: skip
            return not more
        # End the program by SIGTERM, or SIGKILL; and be asked for it once more, or not.
        case {"ask": "stop" | "restart", "kill": bool(), "within": int() | float(), **more}:
            return not more
    return False


def is_about(reply: Message) -> bool:
    """Does it tell of a program, as the answer to "about" does?"""
    match reply:
        case {
            "name": str(), "command": [*words], "pid": int() | None, "started": int() | None,
            "state": str(), "since": int() | float(), "restart": str(), "restarts": int(),
            "last": str(),
        }:  # fmt: skip
            return all(isinstance(word, str) for word in words)
    return False


def packed(message: Message) -> bytes:
    """A message as it is sent."""
    return json.dumps(message).encode()


def unpacked(data: bytes) -> Any:
    """What was sent. Raises ValueError where it is no JSON; RecursionError."""
    return json.loads(data)
