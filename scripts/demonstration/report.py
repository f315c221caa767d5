"""The verdict: what the customers saw, and what the witness did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .witness import KEPT, Difference, Testimony

_NAMED = 4


def table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right")
    return made


def customers(console: Console, phases: Sequence[dict[str, Any]]) -> bool:
    """What became of the requests. Returns whether all were answered, and rightly."""
    shown = table("Service", "requests", "failed", "median", "99 %", "slowest", "at 20 % off")
    for phase in phases:
        shown.add_row(
            phase["name"],
            f"{phase['requests']:,}",
            _good(phase["failed"] == 0, f"{phase['failed']:,}"),
            *(f"{1000 * phase[which]:.1f} ms" for which in ("median", "p99", "slowest")),
            f"{phase['discounts'].get('20', 0):,}",
        )
    console.print(shown)
    for phase in phases:
        for problem in phase["problems"]:
            console.print(f"[red]{phase['name']}:[/] {escape(problem)}")
    return all(phase["requests"] and not phase["failed"] for phase in phases)


def harm(
    console: Console, before: Testimony, after: Testimony, found: Sequence[Difference]
) -> bool:
    """The service before and after. Returns whether it is as it was."""
    shown = table("In the service", "before", "after")
    shown.add_column()
    for difference in found:
        shown.add_row(
            difference.subject,
            f"{difference.before:,}",
            f"{difference.after:,}",
            _in_words(difference),
        )
    grown = after.memory - before.memory
    shown.add_row(
        "memory", f"{before.memory:.1f} MB", f"{after.memory:.1f} MB", f"[dim]{grown:+.1f} MB[/]"
    )
    console.print(shown)
    for difference in found:
        if difference.is_harm:
            console.print(f"[red]{difference.subject}:[/] {escape(_detail(difference))}")
    return not any(difference.is_harm for difference in found)


def _in_words(difference: Difference) -> str:
    if difference.is_harm:
        return "[bold red]changed[/]"
    if difference.subject == KEPT and difference.new:
        return f"[dim]{len(difference.new)} more, kept on purpose[/]"
    return "[green]as it was[/]"


def _detail(difference: Difference) -> str:
    parts = {"gone": difference.gone, "new": difference.new, "changed": difference.changed}
    return "; ".join(
        f"{what}: {', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''}"
        for what, names in parts.items()
        if names
    )


def _good(is_good: bool, text: str) -> str:
    return f"[green]{text}[/]" if is_good else f"[bold red]{text}[/]"
