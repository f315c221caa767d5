"""Completion of the names that `%pull` and `%push` move.

Runs on the launcher's reactor. Rule: who has the value is asked for its name: the
target after `%pull`, the local kernel after `%push`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..records import NamedTuple
from .local import Local
from .wire import Content

Answered = Callable[[Content], None]
AskTarget = Callable[[str, int, Answered], None]


class MovedWord(NamedTuple):
    """What is being typed after `%pull` or `%push`."""

    command: str
    text: str


def moved_word(code: str, cursor: int) -> MovedWord | None:
    """The name at the cursor in a line that moves values; None in any other line."""
    line = code[:cursor].rpartition("\n")[2]
    command, space, rest = line.partition(" ")
    if not space or command not in ("%pull", "%push"):
        return None
    before, text = rest[: len(rest) - len(rest.split(" ")[-1])], rest.split(" ")[-1]
    names_the_other = before.split()[-1:] == ["as"]
    return None if names_the_other or text.startswith("-") else MovedWord(command, text)


def complete(
    word: MovedWord, cursor: int, local: Local, target: AskTarget, answered: Answered
) -> None:
    """Complete a name; `answered` is called once, with the content of a reply."""

    def told(answer: Content) -> None:
        metadata = answer.get("metadata", {})
        types = answer.get("types") or metadata.get("_jupyter_types_experimental", [])
        keywords = {each["text"] for each in types if each.get("type") == "keyword"}
        matches = [match for match in answer.get("matches", []) if match not in keywords]
        start = answer.get("start", answer.get("cursor_start"))
        start = cursor - len(word.text) + start if isinstance(start, int) else cursor
        places = {"cursor_start": start, "cursor_end": cursor}
        answered({"matches": matches, "metadata": {}, **places})

    if word.command == "%pull":
        target(word.text, len(word.text), told)
    elif local.is_there:
        question = {"code": word.text, "cursor_pos": len(word.text)}
        local.ask("complete_request", question, told)
    else:
        told({})
