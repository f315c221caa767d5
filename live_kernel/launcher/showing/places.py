"""What cells see, where that stands, and what the main thread does.

Runs in the launcher, on a thread: source files are read. Rule: a few lines of source, with
an arrow at the one that is meant.
"""

from __future__ import annotations

from typing import Any

from ...plain import on_one_line
from ..looking import Seen
from ..sources import Sources
from .words import frames_of, holding

AROUND = 3
"""Lines of source above and below the one at which a function stands."""


def bundle(seen: Seen) -> dict[str, str]:
    """What cells see, where that stands, and what the main thread does, as a MIME bundle."""
    import html

    sources = Sources(seen.process.pid)
    ident = seen.answer.get("ident")
    main = next((t for t in seen.threads if t.ident == ident), seen.threads[0])
    above, lines, below = [], [], []
    if seen.inside is None:
        binding = seen.answer["binding"]
        above.append(_binding_told(seen.answer))
        lines = _around(str(binding["file"]), int(binding["line"]), sources)
        if not lines and seen.answer["source"]:
            lines = [f"→ {int(binding['line']):>4}  {seen.answer['source']!s}".rstrip()]
        frames = frames_of(seen.answer["main"])
    else:
        above.append(seen.why)
        frames = tuple(seen.inside.stacks.get(main.native, ()))
        frame = main.state._replace(stack=frames).frame
        if frame is not None:
            lines = _around(frame.file, frame.line, sources)
        if seen.holder is not None and seen.holder != main:
            below.append(holding(seen))
    below.insert(0, f"The main thread {main.state._replace(stack=frames).told}.")
    parts = [*map(on_one_line, above), *map(on_one_line, lines), *map(on_one_line, below)]
    page = [f"<div>{html.escape(on_one_line(line))}</div>" for line in above]
    if lines:
        page.append(f"<pre>{html.escape(chr(10).join(map(on_one_line, lines)))}</pre>")
    page += [f"<div>{html.escape(on_one_line(line))}</div>" for line in below]
    return {"text/plain": "\n".join(parts), "text/html": "".join(page)}


def _binding_told(answer: Any) -> str:
    number, depth = int(answer["number"]), int(answer["depth"])
    frame = f" (frame {number} of {depth})" if number >= 0 else ""
    if answer["is_gone"]:
        return f"{answer['binding']['place']} has returned; the next cell will say what is seen."
    return f"Cells see {answer['binding']['place']}{frame}."


def _around(file: str, line: int, sources: Sources) -> list[str]:
    """The lines around one, numbered, with an arrow at it."""
    every = sources.lines(file)
    if not 0 < line <= len(every):
        return []
    first = max(1, line - AROUND)
    shown = every[first - 1 : line + AROUND]
    return [
        f"{'→' if number == line else ' '} {number:>4}  {text.expandtabs()}".rstrip()
        for number, text in enumerate(shown, first)
    ]
