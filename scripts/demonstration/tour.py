"""A notebook run in the service through nbclient, told cell by cell."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

KERNEL = "live-attach"
_CELL_WITHIN = 60


class _Heading(Heading):
    """To the left, like everything else, and bold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.text.plain, style="bold")


class _Prose(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
    }


class Tour:
    """The run of one notebook, and what it took."""

    def __init__(self, notebook: Path, pid: int, console: Console) -> None:
        self._notebook = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
        self._pid = pid
        self._console = console
        self.cells = 0
        self.first_result = 0.0
        self.seconds = 0.0
        self.is_complete = False

    def run(self) -> None:
        """Start the kernel, which attaches; run and show each cell; shut the kernel down."""
        client = NotebookClient(self._notebook, kernel_name=KERNEL, timeout=_CELL_WITHIN)
        environment = dict(os.environ, LIVE_KERNEL_TARGET=str(self._pid))
        began = time.monotonic()
        with client.setup_kernel(env=environment):
            self.is_complete = all(
                self._show(client, index, cell, began)
                for index, cell in enumerate(self._notebook.cells)
            )
        self.seconds = time.monotonic() - began

    def _show(self, client: NotebookClient, index: int, cell: Any, began: float) -> bool:
        """Run and print one cell. Returns whether the tour can go on."""
        if cell.cell_type == "markdown":
            self._console.print(Padding(_Prose(cell.source), (1, 0, 0, 0)))
            return True
        cell_began = time.monotonic()
        goes_on = self._execute(client, index, cell)
        now = time.monotonic()
        self.cells += 1
        self.first_result = self.first_result or now - began
        self._console.print(_shown(cell, now - cell_began))
        return goes_on

    def _execute(self, client: NotebookClient, index: int, cell: Any) -> bool:
        try:
            client.execute_cell(cell, index)
        except CellExecutionError:
            return False  # its traceback is among the outputs
        except (DeadKernelError, TimeoutError) as error:
            self._console.print(f"[red]{type(error).__name__}[/]: {error}")
            return False
        return True


def _shown(cell: Any, seconds: float) -> RenderableType:
    code = Syntax(
        cell.source, "python", theme="ansi_dark", background_color="default", word_wrap=True
    )
    outputs = [Text.from_ansi(text) for text in _texts(cell.outputs) if text]
    head = Text(f"In [{cell.execution_count}]", style="bold cyan")
    took = Text(f"{1000 * seconds:,.0f} ms", style="dim")
    rule = Rule(Text.assemble(head, "  ", took), align="left", style="dim cyan", characters="─")
    return Padding(Group(rule, code, *([Text(), *outputs] if outputs else [])), (1, 0, 0, 0))


def _texts(outputs: Iterable[Any]) -> Iterator[str]:
    """Each output as text for a terminal; a stream that came in pieces is one."""
    for stream, pieces in groupby(outputs, key=lambda output: output.get("name")):
        if stream:
            yield "".join(piece.text for piece in pieces).rstrip("\n")
        else:
            yield from map(_as_text, pieces)


def _as_text(output: Any) -> str:
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return str(output.data.get("text/plain", ""))
