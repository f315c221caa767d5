"""Text of others, made fit to be shown: whatever stands in it, a terminal obeys none of it.

Runs in the launcher and the command line. Names of processes, threads, files and functions,
and whatever else a program says of itself, may hold escape sequences: to set the clipboard, to
rename the window, to write over what stands above. Rule: what we print or put into a message
of our own goes through here; a cell's own output never does.
"""

from __future__ import annotations

_KEPT = "\n\t"
_LONGEST = 100_000
"""Characters of one text that are shown; more is no message any more."""


def on_one_line(text: str) -> str:
    """The text with every control, format and half character replaced, ends of lines too."""
    return text if text.isprintable() else _replaced(text, "")


def plain(text: str) -> str:
    """Likewise, but ends of lines and tabs stay; what is longer than any message is cut."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return text if text.isprintable() else _replaced(text, _KEPT)


def _replaced(text: str, kept: str) -> str:
    from unicodedata import category  # which takes a while to load, and is needed by few

    return "".join(
        c if c in kept or category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
