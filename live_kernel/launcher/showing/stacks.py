"""The frames of a thread or a task as a table.

Runs in the launcher, on a thread: source files are read. Rule: the innermost is the last,
as in a traceback; a number is what `%frame` takes.
"""

from __future__ import annotations

from ...attach import outside
from ...plain import on_one_line
from ..looking import LookRefused, Seen
from ..sources import Sources
from ..tables import Table
from .words import called, frames_of, holding


def table(seen: Seen, what: str) -> Table:
    """The frames of a thread or task, the innermost last, with their lines of source."""
    sources = Sources(seen.process.pid)
    if seen.inside is not None:
        return _stack_from_outside(seen, what, sources)
    bound = int(seen.answer["bound"])
    told = [
        (int(f["number"]), frames_of([f["at"]])[0], str(f["source"])) for f in seen.answer["frames"]
    ]
    rows = [
        (
            f"→ {number}" if number == bound else f"  {number}",
            frame.function,
            frame.place,
            (source or sources.line(frame.file, frame.line)).strip(),
        )
        for number, frame, source in told
    ]
    marked = next((index for index, one in enumerate(told) if one[0] == bound), -1)
    more = [] if rows else ["No Python code runs there."]
    if told and told[0][0] > 0:
        more.append(f"The {told[0][0]} frames outside of these are left out.")
    more += [] if marked >= 0 else [f"Cells see {seen.answer['bound_place']}."]
    titles = [on_one_line(frame.file) for _, frame, _ in told]
    columns = ("  #", "Function", "Place", "Source")
    return Table(columns, rows, titles, str(seen.answer["label"]), more, marked)


def _stack_from_outside(seen: Seen, what: str, sources: Sources) -> Table:
    """Of the thread that is named, or else the main one; unnumbered, since none can be bound."""
    assert seen.inside is not None
    thread = _meant(seen, what)
    frames = seen.inside.stacks.get(thread.native, [])
    rows = [(f.function, f.place, sources.line(f.file, f.line)) for f in reversed(frames)]
    told = thread.state._replace(stack=tuple(frames)).told
    caption = f"{called(thread)}: {told}"
    titles = [on_one_line(frame.file) for frame in reversed(frames)]
    more = [seen.why]
    if seen.holder is not None and seen.holder != thread:
        more.append(holding(seen))
    return Table(("Function", "Place", "Source"), rows, titles, caption, more)


def _meant(seen: Seen, what: str) -> outside.Thread:
    if not what:
        return seen.threads[0]
    found = [t for t in seen.threads if what in (t.name, str(t.native), str(t.ident))]
    if len(found) == 1:
        return found[0]
    names = ", ".join(on_one_line(called(t)) for t in seen.threads if not t.is_kernels)
    problem = f"{len(found)} threads are called" if found else "no thread is called"
    raise LookRefused(f"{problem} {on_one_line(what)!r}", f"Read from outside, there are: {names}.")
