"""What `live-kernel log` prints, for people.

Runs in the user's shell. Rule: what was typed is printed as plain text: none of it reaches the
terminal as something that it obeys.
"""

from __future__ import annotations

import click

from .launcher import past
from .launcher.past import Entry, Record
from .launcher.showing import records
from .launcher.tables import printable


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
            click.echo(printable(text))
        else:
            entry = Entry(record)
            click.secho(records.headline(entry, "begins"), bold=True)
            click.echo("\n".join(records.body(entry)), nl=bool(records.body(entry)))
