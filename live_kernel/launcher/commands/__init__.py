"""The kernel's own magics, as a table, and how they are found in a cell.

Runs on the launcher's reactor. Rule: a command is known by its name at the
beginning of a cell, or below other commands there; anywhere else it is code.
"""

from __future__ import annotations

from ..local import MARK
from .attaching import Attach, Detach, Ps, Status
from .beside import InLocal, Pull, Push
from .binding import Down, Frame, Module, Task, Thread, Up
from .command import Command, Means
from .debugging import Break, Breaks, Enter, Unbreak
from .families import Children
from .following import Follow
from .idling import Idle
from .limiting import Limits
from .patching import Patch, PatchCell, Unpatch
from .placing import InLoop, OnMain, OnOwn, OnThread, Place
from .recorded import Log
from .seeing import Stack, Tasks, Threads, Where
from .sessions import Session
from .watching import Trace, Untrace, Unwatch, Watch

_ALL: tuple[type[Command], ...] = (
    *(Attach, Detach, Ps, Status, Log),
    *(Follow, Children, Session),
    *(Threads, Stack, Tasks, Where),
    *(Frame, Up, Down, Thread, Task, Module),
    *(OnMain, InLoop, OnThread, OnOwn, Place),
    *(Watch, Unwatch, Trace, Untrace, Patch, PatchCell, Unpatch),
    *(Break, Breaks, Unbreak, Enter),
    *(Limits, Idle, Pull, Push, InLocal),
)

_TAKE_ALL = {MARK, "%%patch"}

COMMANDS: dict[str, type[Command]] = {command.usage.split()[0]: command for command in _ALL}


def help_text(name: str) -> str:
    """What `%attach?` shows."""
    command = COMMANDS[name]
    lines = [line.strip() for line in (command.__doc__ or "").strip().splitlines()]
    return f"{command.usage}\n\n" + "\n".join(lines)


def is_aside(code: str) -> bool:
    """Does a cell consist of nothing but commands that need not wait for another cell's end?"""
    if not code.lstrip().startswith("%"):
        return False
    found, rest = split(code)
    return bool(found) and not rest.strip() and all(COMMANDS[name].is_aside for name, _ in found)


def split(code: str) -> tuple[list[tuple[str, str]], str]:
    """The commands with which a cell begins, as (name, argument), and the code after them.

    To `%%local` and `%%patch` all that comes below it is its argument.
    """
    lines = code.splitlines(keepends=True)
    found: list[tuple[str, str]] = []
    while lines:
        line = lines[0].strip()
        name, *argument = line.split(maxsplit=1) or [""]
        if name in _TAKE_ALL:
            found.append((name, "".join([*argument, "\n", *lines[1:]])))
            return found, "\n" * code.count("\n")
        if name in COMMANDS:
            found.append((name, "".join(argument)))
        elif line or not "".join(lines).strip():
            break
        lines.pop(0)
    # Blank lines stand in for the commands, so that line numbers in tracebacks are right.
    removed = code.count("\n") - "".join(lines).count("\n")
    return (found, "\n" * removed + "".join(lines)) if found else ([], code)


__all__ = ["COMMANDS", "Attach", "Command", "Means", "help_text", "is_aside", "split"]
