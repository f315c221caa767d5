"""The strip that says in what one is, and what it is guarded by: shown at attach.

Runs in the launcher and the command line. Rule: it is short, and one: what is shown with
every cell is soon seen no more.
"""

from __future__ import annotations

from ...attach.processes import Process
from ...plain import on_one_line
from ..rails import Rails

_ANSI = {"red": 41, "green": 42, "yellow": 43, "blue": 44, "magenta": 45, "cyan": 46}
_HTML = {
    "red": "#b71c1c",
    "green": "#1b5e20",
    "yellow": "#f9a825",
    "blue": "#0d47a1",
    "magenta": "#6a1b9a",
    "cyan": "#006064",
}
_DARK_TEXT = ("yellow",)


def headline(rails: Rails, process: Process | None) -> str:
    """What stands in the strip: the guard's banner, or else the program."""
    if rails.banner:
        return on_one_line(rails.banner)
    return "" if process is None else on_one_line(f"pid {process.pid} ({process.title})")


def ansi(text: str, colour: str) -> str:
    """Text on a coloured ground, for a terminal."""
    if not colour:
        return text
    ink = 30 if colour in _DARK_TEXT else 97
    return f"\x1b[1;{ink};{_ANSI[colour]}m {text} \x1b[0m"


def line(rails: Rails, process: Process | None, coloured: bool = True) -> str:
    """The strip for a terminal, in one line."""
    head = headline(rails, process)
    words = ansi(head, rails.colour) if coloured else head
    told = on_one_line(rails.in_words())
    return f"{words}  {told}".rstrip() if words else told


def bundle(rails: Rails, process: Process | None) -> dict[str, str]:
    """The strip as a display: coloured text, and HTML."""
    import html

    ground = _HTML.get(rails.colour, "#37474f")
    ink = "#000" if rails.colour in _DARK_TEXT else "#fff"
    style = f"background:{ground};color:{ink};padding:4px 10px;font-weight:bold"
    told = html.escape(on_one_line(rails.in_words()))
    small = f"<div style='font-weight:normal'><small>{told}</small></div>" if told else ""
    strip = f"<div style='{style}'>{html.escape(headline(rails, process))}{small}</div>"
    return {"text/plain": line(rails, process), "text/html": strip}
