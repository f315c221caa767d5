"""Drawings as part of the page: an SVG shown by `![…](pictures/name.svg)` is put there whole.

Called by Sphinx (docs/conf.py). Rule: an SVG is right by itself, too: where Markdown is read as it
is, it takes the colours of the reader's system; in the site, those of the page.
"""

from __future__ import annotations

import re
from pathlib import Path

_SHOWN = re.compile(r"^!\[[^\]]*\]\((pictures/[\w-]+\.svg)\)$", re.MULTILINE)


def put_in(text: str, place: Path) -> str:
    """The page with its drawings; `place`: the directory of the page."""
    return _SHOWN.sub(lambda shown: as_html((place / shown[1]).read_text()), text)


def as_html(drawing: str) -> str:
    """In a box that scrolls; without empty lines, which end a block of HTML in Markdown."""
    lines = (line.strip() for line in drawing.splitlines() if line.strip())
    return "\n".join(['<div class="drawing" tabindex="0">', *lines, "</div>"])
