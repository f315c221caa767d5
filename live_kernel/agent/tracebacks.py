"""Exceptions of cells as text, and the source of cells for those who quote it.

Runs in the target, on the thread that ran the cell. Rule: no frame of ours is
shown, a hostile exception is survived, and `traceback` is loaded by the first
error, not before.
"""

from __future__ import annotations

import sys

from .frames import is_ours
from .pretty import pretty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from .ledger import Ledger

VARIABLES = 30
VARIABLE_LENGTH = 200
"""So many variables of a frame are shown, and so many characters of each."""

LONGEST = 100_000
"""Characters of one traceback; the middle of a longer one is left out."""


def remember_source(filename: str, source: str, ledger: Ledger) -> None:
    """Let tracebacks, `inspect` and debuggers find the source of a cell."""
    import linecache

    if ledger not in _sources:
        _sources[ledger] = []
        ledger.record("sources of cells in linecache", lambda: _forget_sources(ledger))
    _sources[ledger].append(filename)
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)


_sources: dict[Ledger, list[str]] = {}
"""The names under which each session's cells are in linecache. They are many: one entry in the
ledger is for all.
"""


def _forget_sources(ledger: Ledger) -> None:
    import linecache

    for filename in _sources.pop(ledger, ()):
        linecache.cache.pop(filename, None)


def sources_read() -> set[str]:
    """The files whose source Python keeps at present."""
    return set(getattr(sys.modules.get("linecache"), "cache", ()))


def forget_sources(known: set[str]) -> None:
    """Drop the sources that were read since there were these, by whomever.

    That takes nothing from the program: what was read from a file is read again when needed.
    """
    cache = getattr(sys.modules.get("linecache"), "cache", {})
    for file in set(cache) - known:
        entry = cache.get(file, ())
        if len(entry) > 1 and entry[1] is not None:
            cache.pop(file, None)


def as_message(
    error: BaseException, interrupted: bool = False, mode: str = "Context"
) -> dict[str, Any]:
    """An exception as the link and Jupyter carry it: ename, evalue, traceback lines.

    `interrupted`: whatever class was used to stop the cell, it is shown as KeyboardInterrupt.
    `mode`: as `%xmode` has it; "Minimal" is without frames, "Verbose" with their variables.
    """
    own_name = _name_of_class(type(error))
    name = "KeyboardInterrupt" if interrupted else own_name
    try:
        text = _cut(str.__str__(str(error)))
    except BaseException as failure:
        text = f"<str() failed: {_name_of_class(type(failure))}>"
    try:
        lines = _format(error, mode)
    except BaseException as failure:
        lines = [f"{name}: {text}", f"(no traceback: {_name_of_class(type(failure))})"]
    if own_name != name:
        lines[-1] = name
    return {"ename": name, "evalue": text, "traceback": lines}


_name_of_class: Callable[[type], str] = type.__dict__["__name__"].__get__
"""A class's name, whatever its metaclass says."""


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - LONGEST:,} characters left out …\n{text[-half:]}"


def _format(error: BaseException, mode: str) -> list[str]:
    import linecache
    import traceback

    _hide_our_frames(error)
    known = set(linecache.cache)
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        _cut_texts(shown)
        if mode == "Verbose":
            _add_variables(shown.stack, error.__traceback__)
        lines = shown.format_exception_only() if mode == "Minimal" else _lines(shown)
        return _cut("".join(lines).rstrip("\n")).split("\n")
    finally:
        for name in set(linecache.cache) - known:
            linecache.cache.pop(name, None)


def _cut_texts(shown: Any) -> None:
    """Cut what the exceptions say before it is copied: it may be as large as the program bears."""
    waiting = [shown]
    while waiting:
        each = waiting.pop()
        for name in ("_str", "msg", "text"):
            text = getattr(each, name, None)
            if type(text) is str:
                setattr(each, name, _cut(text))
        if type(each.__notes__) is list:
            each.__notes__ = [_cut(note) if type(note) is str else note for note in each.__notes__]
        waiting += filter(None, (each.__cause__, each.__context__, *(each.exceptions or ())))


def _add_variables(stack: Any, tb: TracebackType | None) -> None:
    """Have each function's frame shown with its variables."""
    for summary in stack:
        if tb is None:
            return
        if tb.tb_frame.f_code.co_name != "<module>":
            found = list(tb.tb_frame.f_locals.items())[:VARIABLES]
            summary.locals = {name: pretty(value, VARIABLE_LENGTH) for name, value in found}
        tb = tb.tb_next


def _lines(shown: Any) -> Any:
    try:
        return list(shown.format(colorize=True))
    except TypeError:
        return list(shown.format())


def _hide_our_frames(error: BaseException) -> None:
    """Cut the agent's frames off this exception's traceback and those that it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _without_ours(each.__traceback__)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _without_ours(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and is_ours(tb.tb_frame):
        tb = tb.tb_next
    kept = tb
    while kept is not None:
        after = kept.tb_next
        while after is not None and is_ours(after.tb_frame):
            after = after.tb_next
        if after is not kept.tb_next:
            kept.tb_next = after
        kept = after
    return tb
