"""Entries of the journal, in words.

Runs in the launcher, on a thread, and on the command line. Rule: what was typed, and what a
program calls itself, is shown without anything that a terminal would obey.
"""

from __future__ import annotations

import json
import os
import time

from ...plain import on_one_line
from ..past import Entry, Record, seconds

_LONGEST_COMMAND = 60
_MOST_LINES = 100


def headline(entry: Entry, endless: str = "its end is not on record") -> str:
    """When, how it went, where, by whom: a line. `endless`: said of a cell without an end."""
    record = entry.record
    parts = [
        _when(record),
        _what(entry, endless),
        *([_program(entry)] if entry.target else []),
        _who(record),
    ]
    return on_one_line("  ".join(part for part in parts if part))


def body(entry: Entry) -> list[str]:
    """The code, and what it has shown where that is kept: lines below the first."""
    lines = _lines(entry.record.get("code"), "    ")
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"    … ({len(lines) - _MOST_LINES} lines more: --json has them)"]
    if "code_size" in entry.record:
        lines.append(f"    … ({entry.record['code_size']} characters in all)")
    expressions = entry.record.get("expressions")
    if isinstance(expressions, dict):
        lines += _lines("\n".join(map(str, expressions.values())), "    asks for: ")
    return lines + _lines((entry.outcome or {}).get("output"), "    | ")


def as_text(entries: list[Entry]) -> str:
    """All of them, one below the other."""
    return "\n".join("\n".join([headline(entry), *body(entry)]) for entry in entries)


def as_json(entries: list[Entry]) -> str:
    """Their lines as the journal has them, without anything that a terminal would obey."""
    records = [record for entry in entries for record in (entry.record, entry.outcome)]
    return "\n".join(json.dumps(record) for record in records if record is not None)


def how_it_went(outcome: Record) -> str:
    """ "ok, 12 ms", "error: NameError, 3 ms"."""
    why = f": {outcome['why']}" if outcome.get("why") else ""
    milliseconds = outcome.get("ms")
    took = f", {_span(milliseconds)}" if isinstance(milliseconds, int | float) else ""
    return f"{outcome.get('outcome')}{why}{took}"


def _span(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _what(entry: Entry, endless: str) -> str:
    record = entry.record
    why = f": {record['why']}" if record.get("why") else ""
    match record["event"]:
        case "cell":
            outcome = record if "outcome" in record else entry.outcome
            silently = " silently" if record.get("silent") else ""
            number = "" if "outcome" in record else f"[{record.get('count', '')}] "
            how = endless if outcome is None else how_it_went(outcome)
            return f"{number}{how}{silently}"
        case "attach":
            return f"attaches, by {record.get('by')}" + (" --wake" if record.get("wake") else "")
        case "failed":
            asked = f" to {record['asked']!r}" if record.get("asked") else ""
            return f"did not attach{asked}{why}"
        case "debugger":
            return "debugger"
        case "comm":
            return f"{record.get('kind')} of a widget's ({record.get('comm')})"
        case "comms":
            found = record.get("counts")
            counts = found if isinstance(found, list) else []
            rows = [row for row in counts if isinstance(row, dict)]
            told = ", ".join(f"{row.get('count')} {row.get('kind')}" for row in rows)
            return f"{told} more, of widgets"
        case "follower" | "follower left" as event:
            follower = record.get("follower")
            who = follower if isinstance(follower, dict) else {}
            verb = "follows" if event == "follower" else "follows no more"
            return f"{who.get('user')} (pid {who.get('pid')}) {verb}{why}"
        case "gap":
            return f"{record.get('lost')} lines could not be written before this"
    return f"{record['event']}{why}"


def _when(record: Record) -> str:
    moment = seconds(record.get("at"))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else "?"


def _program(entry: Entry) -> str:
    executable, _, rest = str(entry.target.get("command", "")).partition(" ")
    if len(rest) > _LONGEST_COMMAND:
        rest = "…" + rest[1 - _LONGEST_COMMAND :]
    command = f"{executable.rpartition('/')[2]} {rest}".rstrip()
    return f"pid {entry.target.get('pid')} ({command})"


def _who(record: Record) -> str:
    parts = [str(record["user"])] if record.get("user") else []
    if record.get("login"):
        parts.append(f"logged in as {record['login']}")
    if record.get("notebook"):
        parts.append(f"in {os.path.basename(str(record['notebook']))}")  # noqa: PTH119 - no path
    return ", ".join(parts)


def _lines(text: object, before: str) -> list[str]:
    lines = str(text or "").rstrip().split("\n") if text else []
    return [before + on_one_line(line.expandtabs(8)) for line in lines]
