"""What the command line prints, for people and for programs.

Runs in the user's shell. Rule: what a process says of itself is printed as
plain text, never as markup or terminal control.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .attach.doctor import Finding
from .attach.processes import Candidate, Process
from .launcher import tables
from .launcher.rails import Rails
from .launcher.showing import banners
from .plain import plain

_MARKS = {True: "[green]ok[/]", False: "[red]no[/]", None: "[yellow]?[/]"}


def _console() -> Console:
    """Standard output; wide enough for whole lines where nobody sees it."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def print_candidates(
    candidates: Sequence[Candidate], rails: Sequence[Rails], branches: Sequence[str] = ()
) -> None:
    """A table of processes with their verdicts, and what guards them where anything does.

    `branches`: what stands in front of each command line, if they are a tree.
    """
    if not candidates:
        click.echo(tables.NOBODY)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("PID", "Python", "User", "Up", "Command", "Attach"):
        table.add_column(name, justify="right" if name == "PID" else "left", overflow="fold")
    is_guarded = any(each.is_told for each in rails)
    if is_guarded:
        table.add_column("Guard", overflow="fold")
    fronts = branches or [""] * len(candidates)
    for candidate, each, front in zip(candidates, rails, fronts, strict=True):
        *cells, command, _ = tables.row(candidate)
        cells.append(front + command)
        verdict = "[green]yes[/]" if candidate.attachable else f"no: {escape(candidate.reason)}"
        table.add_row(*map(escape, cells), verdict, *([_guard(each)] * is_guarded))
    _console().print(table)


def _guard(rails: Rails) -> str:
    text = escape(tables.in_short(rails))
    return f"[{rails.colour}]{text}[/]" if rails.colour else text


def print_findings(findings: Sequence[Finding]) -> None:
    """One line a finding, its remedy below it where there is something to be mended."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        remedy = f"\n[dim]{escape(plain(finding.remedy))}[/]" if finding.remedy else ""
        table.add_row(
            _MARKS[finding.ok], escape(finding.name), escape(plain(finding.detail)) + remedy
        )
    _console().print(table)


def _base64(blob: bytes | memoryview) -> str:
    return base64.b64encode(blob).decode()


class Printer:
    """What `exec` prints: the cell's output as it comes, or everything as JSON in the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._events: list[dict[str, Any]] = []

    def waiting(self, text: str) -> None:
        """The target is blocked; there will be an error, or a result after all."""
        click.secho(text, fg="yellow", err=True)

    def strip(self, rails: Rails, process: Process) -> None:
        """What guards the program, where anything does: on stderr. (We leave before we idle.)"""
        rails = rails._replace(idle=0.0)
        if rails.is_told:
            coloured = sys.stderr.isatty()
            click.echo(banners.line(rails, process, coloured), err=True, color=coloured)

    def show(self, event: dict[str, Any]) -> None:
        """One event of the cell."""
        if self._as_json:
            self._events.append(event)
        elif event["event"] == "stream":
            stream = sys.stdout if event["name"] == "stdout" else sys.stderr
            stream.write(event["text"])
            stream.flush()
        elif event["event"] in ("display", "update", "result"):
            click.echo(event["data"].get("text/plain", ""))

    def finish(self, process: Process, outcome: dict[str, Any]) -> None:
        """The cell's end: its error on stderr, or the JSON object on stdout."""
        if self._as_json:
            whole = {"pid": process.pid, "outputs": self._events, **outcome}
            click.echo(json.dumps(whole, indent=2, default=_base64))
        elif outcome["status"] == "error":
            click.echo("\n".join(outcome["error"]["traceback"]), err=True)
