"""What `live-kernel exec` prints, for people and for programs.

Runs in the user's shell. Rule: what a cell shows goes out as it came; and nothing is loaded
that draws tables, since the program may have to be looked into at once.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import click

from .attach.processes import Process
from .launcher.rails import Rails
from .launcher.showing import banners


def _base64(blob: bytes | memoryview) -> str:
    return base64.b64encode(blob).decode()


class Printer:
    """What `exec` prints: the cell's output as it comes, or everything as JSON in the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._events: list[dict[str, Any]] = []
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # of characters that its encoding lacks

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
            click.echo(event["text"], nl=False, err=event["name"] == "stderr", color=True)
        elif event["event"] in ("display", "update", "result", "page"):
            click.echo(event["data"].get("text/plain", ""))

    def finish(self, process: Process, outcome: dict[str, Any]) -> None:
        """The cell's end: its error on stderr, or the JSON object on stdout."""
        if self._as_json:
            whole = {"pid": process.pid, "outputs": self._events, **outcome}
            click.echo(json.dumps(whole, indent=2, default=_base64))
        elif outcome["status"] == "error":
            click.echo("\n".join(outcome["error"]["traceback"]), err=True)
