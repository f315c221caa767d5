"""What a front-end's panel may ask for, as an executable schema.

Pure; used by the launcher. Rule: whatever does not fit is refused before anything is done, and
nothing of it becomes part of a command that was not checked here.
"""

from __future__ import annotations

from typing import Any

from ..errors import CommandMisused
from ..records import NamedTuple

LONGEST_NAME = 200
"""Characters of a comm's id, or of a request's number."""

_LONGEST = 500
"""Characters of a place's name."""

_LARGEST_PID = 1 << 22
"""What Linux gives at most."""

_LATEST = 1e12
"""Seconds since 1970, of a moment that could be meant."""

HOWS = ("frame", "up", "down", "thread", "task", "module")
"""The commands that choose what cells see; see `commands/binding.py`."""


class Asked(NamedTuple):
    """A request. `kind`: `look`, `places`, or the deed; `line`: the command that does it.

    `number` comes back with the answer. `pid` and `started` (seconds since 1970) say which
    process is to be attached to; no start means whichever has the pid.
    """

    kind: str
    number: int | str | None = None
    line: str = ""
    pid: int = 0
    started: float | None = None


def number_in(data: object) -> int | str | None:
    """The number by which a request wants to be answered; None where it has none."""
    number = data.get("id") if isinstance(data, dict) else None
    if type(number) is int and abs(number) < 1 << 53:
        return number
    return number if isinstance(number, str) and len(number) <= LONGEST_NAME else None


def parsed(data: Any) -> Asked:
    """What is asked for. Raises CommandMisused.

    `{"do": "look"}` the state, and figures from then on; `{"do": "places"}` what could be bound;
    `{"do": "attach", "pid": 4242, "started": 1764131000.5, "wake": false}`, `{"do": "detach"}`,
    `{"do": "wake"}`, `{"do": "bind", "how": "frame", "what": "3"}`; each with an `id` of its own.
    """
    number = number_in(data)
    match data:
        case {"do": "look" | "places" as kind}:
            return Asked(kind, number)
        case {"do": "attach", "pid": pid} if type(pid) is int and 0 < pid <= _LARGEST_PID:
            return _attach(number, pid, data.get("started"), data.get("wake", False))
        case {"do": "detach"}:
            return Asked("detach", number, "%detach")
        case {"do": "wake"}:
            return Asked("wake", number, "%attach --wake")
        case {"do": "bind", "how": how, "what": str(what)} if how in HOWS:
            return Asked("bind", number, f"%{how} {_one_name(what)}".rstrip())
    raise CommandMisused("The front-end asks for something that this kernel does not know.", _KNOWN)


def _attach(number: int | str | None, pid: int, started: Any, wake: object) -> Asked:
    is_moment = type(started) in (int, float) and 0 <= started < _LATEST
    if not (started is None or is_moment) or not isinstance(wake, bool):
        raise CommandMisused("The front-end does not say when the process has started.", _KNOWN)
    line = f"%attach {pid}{' --wake' * wake}"
    return Asked("attach", number, line, pid, float(started) if is_moment else None)


def _one_name(what: str) -> str:
    """A name fit to stand in a command: on one line, and not longer than any."""
    name = what.strip()
    if len(name) > _LONGEST or not name.isprintable():
        raise CommandMisused("The front-end names a place that can be none.", _KNOWN)
    return name


_KNOWN = "Known are look, places, attach, detach, wake and bind: it may be of another version."
