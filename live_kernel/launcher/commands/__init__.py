"""The kernel's own magics, as a table, and how they are found in a cell.

Runs on the launcher's reactor. Rule: a command is known by its name at the
beginning of a cell, or below other commands there; anywhere else it is code. What
carries it out is loaded when it is used: the first cell of most kernels has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from ..local import MARK
from .command import Command, Means

_ROOMS = {
    "attaching": ("%attach", "%detach", "%ps", "%status"),
    "recorded": ("%log",),
    "following": ("%follow",),
    "families": ("%children",),
    "sessions": ("%session",),
    "seeing": ("%threads", "%stack", "%tasks", "%where"),
    "binding": ("%frame", "%up", "%down", "%thread", "%task", "%module"),
    "placing": ("%%main", "%%loop", "%%thread", "%%own", "%place"),
    "watching": ("%watch", "%unwatch", "%trace", "%untrace"),
    "patching": ("%patch", "%%patch", "%unpatch"),
    "debugging": ("%break", "%breaks", "%unbreak", "%enter"),
    "limiting": ("%limits",),
    "idling": ("%idle",),
    "beside": ("%pull", "%push", MARK),
}
"""Each module of this package that has commands, and the names of these."""

_TAKE_ALL = {MARK, "%%patch"}


class Table(Mapping[str, type[Command]]):
    """The commands by name; the module of one is loaded when it is asked for."""

    def __init__(self, rooms: Mapping[str, tuple[str, ...]]) -> None:
        self._rooms = {name: room for room, names in rooms.items() for name in names}

    def __getitem__(self, name: str) -> type[Command]:
        room = import_module(f".{self._rooms[name]}", __name__)
        command: type[Command] = next(c for c in vars(room).values() if _is_command(c, name))
        return command

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    def __iter__(self) -> Iterator[str]:
        return iter(self._rooms)

    def __len__(self) -> int:
        return len(self._rooms)


def _is_command(thing: object, name: str) -> bool:
    usage = getattr(thing, "usage", "") if isinstance(thing, type) else ""
    return usage.partition(" ")[0] == name


COMMANDS = Table(_ROOMS)


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


__all__ = ["COMMANDS", "Command", "Means", "help_text", "is_aside", "split"]
