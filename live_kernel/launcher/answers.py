"""What an agent may answer to each question, as an executable schema.

Runs on the launcher's reactor. Pure. Rule: an answer that does not fit is none at all: whoever
has asked gets what he would get if nothing had come. The target may be hostile, so nothing of
an answer is looked at before it was checked here, its numbers of rows included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST_ROWS = 5000
"""Threads, frames, tasks, breakpoints; an agent sends no more than a fifth of it."""

_MOST_MATCHES = 100_000
_LARGEST_NUMBER = 1 << 64

Message = dict[str, Any]


def makes_sense(about: str, answer: Message) -> bool:
    """Is this an answer to a question about that?"""
    match answer:
        case {"error": str()} | {"refused": str(), "remedy": str()}:
            return True
    return _CHECKS[about](answer)


def _is_completion(answer: Message) -> bool:
    match answer:
        case {"matches": list(texts), "types": list(types), "start": start, "end": end}:
            are_short = len(texts) <= _MOST_MATCHES and len(types) <= _MOST_MATCHES
            return (
                are_short
                and all(isinstance(text, str) for text in texts)
                and all(map(_is_match, types))
                and _are_numbers(start, end)
            )
    return not answer


def _is_match(found: object) -> bool:
    match found:
        case {"text": str(), "type": str(), "signature": str()}:
            return True
    return False


def _is_inspection(answer: Message) -> bool:
    match answer:
        case {"found": bool(), "data": dict(data)}:
            return all(isinstance(text, str) for text in data.values())
    return not answer


def _is_original(answer: Message) -> bool:
    match answer:
        case {"source": str(), "absent": list(names)}:
            return len(names) <= _MOST_MATCHES and all(isinstance(name, str) for name in names)
    return not answer


def _is_status(answer: Message) -> bool:
    match answer:
        case {"python": str(), "binding": {"place": str()}}:
            changes = answer.get("changes", [])
            are_few = isinstance(changes, list) and len(changes) <= _MOST_MATCHES
            return are_few and all(isinstance(name, str) for name in changes)
    return not answer


def _are_breaks(answer: Message) -> bool:
    match answer:
        case {"rows": list(rows)}:
            return len(rows) <= MOST_ROWS and all(map(_is_break, rows))
    return not answer


def _is_break(row: Any) -> bool:
    match row:
        case {"number": int(), "place": str(), "hits": int(), "waiting": list(names)}:
            texts = (row.get("log"), row.get("condition"), row.get("file"))
            return all(isinstance(name, str) for name in names) and all(
                text is None or isinstance(text, str) for text in texts
            )
    return False


def _are_threads(answer: Message) -> bool:
    match answer:
        case {"threads": list(rows), "left_out": left_out, "kernel": list(idents), "main": main}:
            is_bounded = len(rows) <= MOST_ROWS and len(idents) <= MOST_ROWS
            return (
                is_bounded and _are_numbers(left_out, main, *idents) and all(map(_is_thread, rows))
            )
    return not answer


def _is_thread(row: object) -> bool:
    match row:
        case {"name": str(), "ident": ident, "native": native, "frames": list(frames)}:
            return _are_numbers(ident, native) and _are_places(frames)
    return False


def _is_stack(answer: Message) -> bool:
    match answer:
        case {"label": str(), "frames": list(rows), "bound": bound, "bound_place": str()}:
            return len(rows) <= MOST_ROWS and _are_numbers(bound) and all(map(_is_frame, rows))
    return not answer


def _is_frame(row: object) -> bool:
    match row:
        case {"number": number, "at": at, "source": str()}:
            return _are_numbers(number) and _is_place(at)
    return False


def _are_tasks(answer: Message) -> bool:
    match answer:
        case {"tasks": list(rows), "left_out": left_out, "kernel": kernel, "bound": str()}:
            if len(rows) > MOST_ROWS or not all(map(_is_task, rows)):
                return False
            lines = sum(len(row["waiters"]) for row in rows)
            return lines <= _MOST_MATCHES and _are_numbers(left_out, kernel)
    return not answer


def _is_task(row: object) -> bool:
    match row:
        case {
            "number": number,
            "name": str(),
            "thread": str(),
            "frames": list(frames),
            "running": bool(),
            "waiters": list(waiters),
        }:
            return (
                len(waiters) <= MOST_ROWS and _are_numbers(number, *waiters) and _are_places(frames)
            )
    return False


def _is_where(answer: Message) -> bool:
    match answer:
        case {
            "binding": {"place": str(), "file": str(), "line": line},
            "is_gone": bool(),
            "source": str(),
            "number": number,
            "depth": depth,
            "main": list(frames),
            "ident": ident,
        }:
            return _are_numbers(line, number, depth, ident) and _are_places(frames)
    return not answer


def _are_offers(answer: Message) -> bool:
    match answer:
        case {"offers": list(pairs)}:
            return len(pairs) <= _MOST_MATCHES and all(map(_are_two_texts, pairs))
    return not answer


def _are_two_texts(pair: object) -> bool:
    match pair:
        case [str(), str()]:
            return True
    return False


def _are_places(frames: list[object]) -> bool:
    return len(frames) <= MOST_ROWS and all(map(_is_place, frames))


def _is_place(place: object) -> bool:
    """A frame as the agent tells it: file, line, function."""
    match place:
        case [str(), line, str()]:
            return _are_numbers(line)
    return False


def _are_numbers(*values: object) -> bool:
    """Whole ones, of a size that something could have."""
    return all(
        type(value) is int and -_LARGEST_NUMBER < value < _LARGEST_NUMBER for value in values
    )


_CHECKS: dict[str, Callable[[Message], bool]] = {
    "complete": _is_completion,
    "inspect": _is_inspection,
    "original": _is_original,
    "status": _is_status,
    "breaks": _are_breaks,
    "threads": _are_threads,
    "stack": _is_stack,
    "tasks": _are_tasks,
    "where": _is_where,
    "offers": _are_offers,
}
