"""The commands for programs under supervision: `run`, `runs`, `restart`, `stop`.

Runs in the user's shell. Rule: `run` becomes the supervisor, by exec: a small process without
what the command line has loaded, and with the environment that the shell has given.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from .attach import naming, proc, supervised
from .attach.supervised import NAME, Supervisor
from .errors import LiveKernelError
from .launcher.tables import Table, duration
from .plain import on_one_line

_IS_PYTHON = re.compile(r"(python|pypy)[\d.]*t?")
_LONGEST_NAME = 40
_ANSWERED_WITHIN = 3.0
"""Seconds that a supervisor has to answer, on top of those for which it waits."""

Row = dict[str, Any]


def become_supervisor(name: str, restart: str, quiet: bool, command: Sequence[str]) -> None:
    """Replace this process by the supervisor of a program. Returns only by an error.

    Raises LiveKernelError for a name that is none.
    """
    if name and not NAME.fullmatch(name):
        raise LiveKernelError(
            f"{name!r} can't be a program's name.",
            "Letters, digits, '.', '-' and '_', and not digits alone: those are pids.",
        )
    words = ["--name", name or _free(name_of(command)), "--restart", restart]
    words += [*(["--quiet"] * quiet), "--", *command]
    ours = [sys.executable, "-P", "-m", "live_kernel", supervised.COMMAND, *words]
    os.execve(sys.executable, ours, proc.own_environment())


def name_of(command: Sequence[str]) -> str:
    """What a program is called that was given no name: its script, its module, or itself."""
    name = Path(next(iter(command), "")).name
    if _IS_PYTHON.fullmatch(name):
        name = _run_by_python(command[1:]) or name
    name = re.sub(r"[^\w.-]+", "-", name.removesuffix(".py"), flags=re.ASCII).strip("-.")
    name = name[:_LONGEST_NAME]
    return name if NAME.fullmatch(name) else f"program-{name}".strip("-")


def _run_by_python(words: Sequence[str]) -> str:
    """The script or package that these words have it run; empty for code, or none."""
    kind, what, _ = naming.started(words)
    if kind == "m":
        return what.split(".")[0]
    return "" if kind == "c" or what == "-" else Path(what).name


def _free(name: str) -> str:
    """This name, or one with a number behind it, which no program has yet."""
    taken = {each.name for each in supervised.supervisors()}
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each not in taken)


def rows() -> list[Row]:
    """What each supervisor says of its program."""
    found = []
    for each in supervised.supervisors():
        with suppress(OSError, LiveKernelError):
            found.append({**each.about(), "name": each.name, "supervisor": each.pid})
    return found


def show(found: list[Row], as_json: bool) -> None:
    """The list for `runs`."""
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(_table(found).as_text())
    else:
        click.echo("No program is supervised here. (live-kernel run PROGRAM … starts one.)")


def _table(found: list[Row]) -> Table:
    import time

    cells = [
        (
            each["name"],
            str(each.get("pid") or "-"),
            str(each.get("state", "")),
            duration(max(0.0, time.time() - each["since"])) if "since" in each else "",
            str(each.get("restarts", "")),
            on_one_line(" ".join(map(str, each.get("command", [])))),
            on_one_line(str(each.get("last", ""))),
        )
        for each in found
    ]
    return Table(("Name", "PID", "State", "For", "Restarts", "Command", "Last end"), cells)


def end(name: str, wanted: str, kill: bool, within: float) -> Row:
    """Have a program end (`stop`) or end and begin again (`restart`). Returns what it is then.

    Raises LiveKernelError where there is none, or where it does not end in time.
    """
    supervisor = supervised.named(name)
    request = {"ask": wanted, "kill": kill, "within": within}
    try:
        reply = supervisor.ask(request, within + _ANSWERED_WITHIN)
    except OSError as error:
        raise LiveKernelError(f"The supervisor of {name} does not answer: {error}") from error
    if not reply.get("done"):
        raise _goes_on(supervisor, wanted, kill, within, reply)
    return reply


def _goes_on(
    supervisor: Supervisor, wanted: str, kill: bool, within: float, reply: Row
) -> LiveKernelError:
    name = supervisor.name
    then = " It is started again as soon as it does." if wanted == "restart" else ""
    sent = "SIGKILL" if kill else "SIGTERM"
    return LiveKernelError(
        f"{name} (pid {reply.get('pid')}) has not ended within {within:g} s of {sent}.{then}",
        "" if kill else f"End it at once: live-kernel {wanted} --kill {name}",
    )
