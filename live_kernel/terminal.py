"""The tables that the command line prints for people.

Runs in the user's shell. Rule: what a process says of itself is printed as
plain text, never as markup or terminal control.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .attach.doctor import Finding
from .attach.processes import Candidate
from .launcher import tables
from .launcher.rails import Rails
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
