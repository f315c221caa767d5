"""What `live-kernel follow` and `live-kernel log` print, for people.

Runs in the user's shell. Rule: what a cell shows is printed as plain text: none of it reaches
the terminal as something that it obeys.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

import click

from .launcher import past
from .launcher.past import Entry, Record
from .launcher.showing import records
from .plain import on_one_line

Event = dict[str, Any]

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_REMEMBERED = 1000
"""Displays of which it is known what they show at present."""


def harmless(text: str) -> str:
    """Text of several lines without colours, and without anything that a terminal would obey."""
    plain = _COLOURS.sub("", text).replace("\r\n", "\n").expandtabs(8)
    return "\n".join(map(on_one_line, plain.split("\n")))


class Viewer:
    """Prints the events of a kernel that is followed."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._is_at_line_start = True
        self._shown: dict[str, str] = {}

    def show(self, event: Event) -> None:
        """Print one event, whatever it holds."""
        shows: dict[str, Callable[[Event], None]] = {
            "following": self._on_following,
            "input": self._on_input,
            "stream": self._on_stream,
            "result": self._on_result,
            "display": self._on_display,
            "update": self._on_display,
            "error": self._on_error,
            "clear": self._on_clear,
            "asked": self._on_asked,
            "end": lambda _event: self._note("The kernel has ended."),
        }
        handler = shows.get(event["event"])
        if handler is not None:
            handler(event)
        elif event["event"] in _STEPS:
            self._on_step(event)
        self._out.flush()

    def _on_following(self, event: Event) -> None:
        self._note("What it does from now on is shown here. Ctrl-C ends that, and nothing else.")

    def _on_input(self, event: Event) -> None:
        first, *rest = harmless(str(event.get("code", ""))).rstrip().split("\n")
        prompt = f"In [{event.get('count')}]: "
        still = click.style("  (runs already)", dim=True) if event.get("runs") else ""
        self._line(click.style(on_one_line(prompt), fg="green") + first + still)
        for line in rest:
            self._line(" " * (len(prompt) - 5) + "...: " + line)

    def _on_stream(self, event: Event) -> None:
        """What writes over its own line, as progress bars do, does so in a terminal."""
        plain = _COLOURS.sub("", str(event.get("text", ""))).replace("\r\n", "\n")
        over = "\r\x1b[K" if self._out.isatty() else "\n"
        text = over.join(map(harmless, plain.split("\r")))
        is_error = event.get("name") == "stderr"
        self._write(click.style(text, fg="red") if is_error and text.strip() else text)
        self._is_at_line_start = plain.endswith("\n") or (self._is_at_line_start and not plain)

    def _on_result(self, event: Event) -> None:
        prompt = click.style(on_one_line(f"Out[{event.get('count')}]: "), fg="red")
        text = harmless(str(event.get("text", "")))
        self._line(prompt + ("\n" if "\n" in text else "") + text)

    def _on_display(self, event: Event) -> None:
        """A display that is updated is shown again where it shows something else."""
        name, text = str(event.get("display", "")), str(event.get("text", ""))
        if name and self._shown.get(name) == text:
            return
        if name:
            self._shown[name] = text
            if len(self._shown) > _REMEMBERED:
                del self._shown[next(iter(self._shown))]
        self._line(harmless(text))

    def _on_error(self, event: Event) -> None:
        for line in harmless(str(event.get("text", ""))).split("\n"):
            self._line(click.style(line, fg="red") if line else "")

    def _on_clear(self, event: Event) -> None:
        if not event.get("wait"):
            self._note("(its output is cleared)")

    def _on_asked(self, event: Event) -> None:
        prompt = harmless(str(event.get("prompt", ""))).strip()
        self._note(f"(asks its user: {prompt})" if prompt else "(asks its user for a line)")

    def _on_step(self, event: Event) -> None:
        about = f" {event['target']}" if event.get("target") else ""
        why = f": {event['why']}" if event.get("why") else ""
        self._note(on_one_line(f"{_STEPS[event['event']]}{about}{why}"))

    def _note(self, text: str) -> None:
        self._line(click.style(text, dim=True))

    def _line(self, text: str) -> None:
        self._write(("" if self._is_at_line_start else "\n") + text + "\n")
        self._is_at_line_start = True

    def _write(self, text: str) -> None:
        click.echo(text, file=self._out, nl=False)


_STEPS = {
    "attach": "Attaches to",
    "attached": "Attached to",
    "failed": "Did not attach to",
    "detached": "Detached from",
    "lost": "Lost",
}


def print_entries(entries: list[Entry]) -> None:
    """Entries of the journal, oldest first."""
    for entry in entries:
        click.secho(records.headline(entry), bold=True)
        for line in records.body(entry):
            click.echo(line)


class Log:
    """Prints the journal as it grows: a cell when it begins, and again when it has ended."""

    def __init__(self, wanted: past.Wanted, as_json: bool) -> None:
        self._wanted, self._as_json = wanted, as_json
        self._begun: dict[str, Record] = {}

    def show(self, record: Record) -> None:
        """Print a new line of the journal, if it is wanted."""
        number = str(record.get("id"))
        if record["event"] == "outcome":
            begun = self._begun.pop(number, None)
            if begun is not None:
                self._print(record, f"  {number} ended: {records.how_it_went(record)}")
            return
        if self._wanted.takes(Entry(record)):
            if record["event"] == "cell" and "outcome" not in record:
                self._begun[number] = record
            self._print(record, "")

    def _print(self, record: Record, text: str) -> None:
        if self._as_json:
            click.echo(records.as_json([Entry(record)]))
        elif text:
            click.echo(on_one_line(text))
        else:
            entry = Entry(record)
            click.secho(records.headline(entry, "begins"), bold=True)
            click.echo("\n".join(records.body(entry)), nl=bool(records.body(entry)))
