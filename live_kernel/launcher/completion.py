"""What a `complete_request` is answered: magics and symbols here, all else by the target.

Runs on the launcher's reactor; processes and IPython's table of symbols are
looked up on a thread. Rule: what magics take is looked up where the cell runs,
so files and modules are the target's; none of it loads IPython there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ..attach import processes, supervised
from ..plain import on_one_line
from . import commands, magic_names, moved_names, syntax
from .local import Local, body_start
from .reactor import Reactor, look_up
from .wire import Content

Answered = Callable[[Content], None]
AskTarget = Callable[[str, int, Answered], None]
"""Asks the target for what could stand at a cursor in some code."""
AskOffers = Callable[[str, Answered], None]
"""Asks it for its frames, threads, tasks or modules."""

_NAME = re.compile(r"(?:^|=)\s*(%{1,2}\w*)$")
_WORD = re.compile(r"\s*(\w+)$")
_MAGIC = re.compile(r"(?:^|=)\s*(%{1,2})(\w+)\s+(?:.*\s)?(\S*)$")
_COMMAND = re.compile(r"(?:^|=)\s*!{1,2}\s*\S+\s+(?:[^{]*\s)?([^\s{]*)$")
_FIRST_OF_COMMAND = re.compile(r"(?:^|=)\s*!{1,2}\s*[\w.-]*$")
_SYMBOL = re.compile(r"\\[^\\\s\"'][^\\\"']*$")

TITLE_LIMIT = 60
"""Characters of a command line that are shown beside its pid."""


class Completion:
    """Answers `complete_request`."""

    def __init__(self, reactor: Reactor, local: Local, ask_offers: AskOffers) -> None:
        self._reactor, self._local, self._ask_offers = reactor, local, ask_offers

    def ask(self, code: str, cursor: int, target: AskTarget, answered: Answered) -> None:
        """What could stand at the cursor? `answered` is called once, on the reactor."""
        start = body_start(code)
        if start is not None and cursor >= start:
            self._local.complete(code, cursor, start, answered)
        elif (word := moved_names.moved_word(code, cursor)) is not None:
            moved_names.complete(word, cursor, self._local, target, answered)
        else:
            self._ask_with_symbols(code, cursor, target, answered)

    def _ask_with_symbols(
        self, code: str, cursor: int, target: AskTarget, answered: Answered
    ) -> None:
        line = code[:cursor].rpartition("\n")[2]
        symbol = _SYMBOL.search(line)

        def without_symbols() -> None:
            self._ask(code, cursor, line, target, answered)

        def with_symbols(found: list[Item]) -> None:
            if found:
                answered(content(found, cursor - len(symbol.group()), cursor))  # type: ignore[union-attr]
            else:
                without_symbols()

        if symbol is None:
            without_symbols()
        else:
            self._on_a_thread(lambda: symbols(symbol.group()), with_symbols)

    def _ask(
        self, code: str, cursor: int, line: str, target: AskTarget, answered: Answered
    ) -> None:
        if name := _NAME.search(line):
            is_first = not code[: cursor - len(line)].strip()
            self._names(name.group(1), is_first and "=" not in line, cursor, target, answered)
        elif magic := _MAGIC.search(line):
            self._arguments(magic, code, cursor, target, answered)
        elif command := _COMMAND.search(line):
            self._files(command.group(1), (), cursor, target, answered)
        elif _FIRST_OF_COMMAND.search(line):
            answered(content([], cursor, cursor))
        elif (word := _WORD.fullmatch(line)) and code.strip() == word.group(1):
            self._name_or_magic(word.group(1), code, cursor, target, answered)
        else:
            target(code, cursor, lambda answer: answered(as_asked(answer, cursor)))

    # -- magics -------------------------------------------------------------------------

    def _names(
        self, typed: str, is_first: bool, cursor: int, target: AskTarget, answered: Answered
    ) -> None:
        """Magics that begin so; the target adds those that it has besides."""
        known = [*commands.COMMANDS, *_magics(is_first)]

        def told(answer: Content) -> None:
            more = [item["text"] for item in items_of(answer) if item["type"] == "magic"]
            more = [text for text in more if is_first or not text.startswith("%%")]
            names = sorted({*known, *more}, key=lambda name: (name.lstrip("%"), len(name)))
            found = [item(name, "magic") for name in names if _fits(name, typed)]
            answered(content(found, cursor - len(typed), cursor))

        target(typed, len(typed), told)

    def _name_or_magic(
        self, word: str, code: str, cursor: int, target: AskTarget, answered: Answered
    ) -> None:
        """A word alone in a cell: a name of the program's, or a magic without its `%`."""

        def told(answer: Content) -> None:
            reply = as_asked(answer, cursor)
            magics = [item(name, "magic") for name in _magics(True) if _fits(name, word)]
            start = reply["cursor_start"] if reply["matches"] else cursor - len(word)
            answered(content([*items_of(answer), *magics], start, cursor))

        target(code, cursor, told)

    def _arguments(
        self, magic: re.Match[str], code: str, cursor: int, target: AskTarget, answered: Answered
    ) -> None:
        """What may stand behind a magic."""
        name, typed = magic.group(2), magic.group(3)
        command = commands.COMMANDS.get(magic.group(1) + name)
        if command is not None:
            self._of_command(command, typed, code, cursor, target, answered)
        elif name in magic_names.CHOICES:
            words = [item(w, "magic") for w in magic_names.CHOICES[name] if w.startswith(typed)]
            answered(content(words, cursor - len(typed), cursor))
        elif name in magic_names.FILES:
            self._files(typed, magic_names.FILES[name], cursor, target, answered)
        elif name in magic_names.OF_EXTENSIONS:
            self._extensions(typed, cursor, target, answered)
        elif name in magic_names.OF_CODE or not _is_known(name):
            target(code, cursor, lambda answer: answered(as_asked(answer, cursor)))
        else:
            answered(content([], cursor, cursor))

    def _of_command(
        self,
        command: type[commands.Command],
        typed: str,
        code: str,
        cursor: int,
        target: AskTarget,
        answered: Answered,
    ) -> None:
        """What may stand behind one of the kernel's own commands."""
        words = [item(word, "magic") for word in command.words if word.startswith(typed)]
        if command.name() == "%attach" and not typed.startswith("-"):
            self._processes(typed, cursor, answered)
        elif command.completes:
            self._offers(command.completes, typed, cursor, words, answered)
        elif command.takes_code and not (words and typed):
            target(code, cursor, lambda answer: answered(as_asked(answer, cursor)))
        else:
            answered(content(words, cursor - len(typed), cursor))

    def _offers(
        self, kind: str, typed: str, cursor: int, words: list[Item], answered: Answered
    ) -> None:
        """What there is in the target to be looked at, or to be bound."""

        def told(answer: Content) -> None:
            pairs = [pair for pair in answer.get("offers", []) if _are_two_texts(pair)]
            found = [item(*map(on_one_line, pair)) for pair in pairs]
            fitting = [each for each in found if each["text"].startswith(typed)]
            answered(content([*words, *fitting], cursor - len(typed), cursor))

        self._ask_offers(kind, told)

    def _processes(self, typed: str, cursor: int, answered: Answered) -> None:
        """Programs to attach to, by pid or by a word of the command line."""

        def found(candidates: list[Item]) -> None:
            answered(content(candidates, cursor - len(typed), cursor))

        self._on_a_thread(lambda: programs(typed), found)

    # -- what only the target knows -----------------------------------------------------

    def _files(
        self,
        typed: str,
        endings: tuple[str, ...],
        cursor: int,
        target: AskTarget,
        answered: Answered,
    ) -> None:
        """Files as the program sees them: completed as in a string."""
        typed = typed.strip("\"'")

        def told(answer: Content) -> None:
            found = [
                each
                for each in items_of(answer)
                if not endings or each["text"].endswith(("/", *endings))
            ]
            into = _start(answer, 1) - 1  # behind the quote
            answered(content(found, cursor - len(typed) + into, cursor))

        target('"' + typed, len(typed) + 1, told)

    def _extensions(self, typed: str, cursor: int, target: AskTarget, answered: Answered) -> None:
        """IPython's own extensions, and any module of the target's."""
        code = "import " + typed

        def told(answer: Content) -> None:
            ours = [item(n, "module") for n in magic_names.EXTENSIONS if n.startswith(typed)]
            start = _start(answer, len(code) - len(typed))
            answered(content([*ours, *items_of(answer)], cursor - len(code) + start, cursor))

        target(code, len(code), told)

    def _on_a_thread(
        self, find: Callable[[], list[Item]], found: Callable[[list[Item]], None]
    ) -> None:
        """Where that fails there is no match, and nothing worth a word."""
        look_up(self._reactor, find, found, lambda _error: found([]))


# -- matches


Item = dict[str, Any]
"""One match: `text`, `type` and `signature`, as front-ends know them."""


def item(text: str, kind: str, signature: str = "") -> Item:
    """A match of this kind."""
    return {"text": text, "type": kind, "signature": signature}


def items_of(answer: Content) -> list[Item]:
    """The matches of a target's answer; what is malformed is left out.

    And what a terminal would obey, which nobody means to type.
    """
    types = answer.get("types", [])
    return [
        item(each["text"], _word(each, "type"), _word(each, "signature"))
        for each in (types if isinstance(types, list) else [])
        if isinstance(each, dict) and _is_plain(each.get("text"))
    ]


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and on_one_line(text) == text


def _word(match: Content, name: str) -> str:
    return on_one_line(str(match.get(name, "")))


def _are_two_texts(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(t, str) for t in pair)


def _start(answer: Content, default: int) -> int:
    start = answer.get("start")
    return start if isinstance(start, int) else default


def as_asked(answer: Content, cursor: int) -> Content:
    """The reply to a request that was passed on as it was."""
    start, end = answer.get("start", cursor), answer.get("end", cursor)
    are_numbers = isinstance(start, int) and isinstance(end, int)
    return content(items_of(answer), *((start, end) if are_numbers else (cursor, cursor)))


def content(items: Iterable[Item], start: int, end: int) -> Content:
    """A `complete_reply`, each text once."""
    unique: dict[str, Item] = {}
    for each in items:
        unique.setdefault(each["text"], {**each, "start": start, "end": end})
    types = list(unique.values())
    return {
        "matches": list(unique),
        "cursor_start": start,
        "cursor_end": end,
        "metadata": {"_jupyter_types_experimental": types} if types else {},
    }


def programs(typed: str) -> list[Item]:
    """Processes whose pid, or name under supervision, begins so; where no pid does, words that
    begin so of their command lines.

    The command line is what front-ends show beside a match: its type.
    """
    found = [each.process for each in processes.candidates()]
    titles = {p.pid: on_one_line(p.title)[:TITLE_LIMIT] for p in found}
    pids = [item(str(pid), title) for pid, title in titles.items() if str(pid).startswith(typed)]
    supervisors = supervised.supervisors()
    names = [item(s.name, "supervised program") for s in supervisors if s.name.startswith(typed)]
    if pids:
        return pids + names
    words = [(word, title) for title in titles.values() for word in title.split()]
    return names + [item(word, title) for word, title in words if word.startswith(typed)]


def symbols(typed: str) -> list[Item]:
    """The letter for `\\alpha` or `\\GREEK SMALL LETTER ALPHA`; for `\\alp`, what begins so."""
    import unicodedata

    with syntax.importing:
        from IPython.core.latex_symbols import latex_symbols
    if typed in latex_symbols:
        return [item(latex_symbols[typed], "latex")]
    begun = [item(name, "latex") for name in latex_symbols if name.startswith(typed)]
    if begun:
        return begun
    try:
        return [item(unicodedata.lookup(typed[1:]), "unicode")] if typed[1:].isupper() else []
    except KeyError:
        return []


def _magics(with_cell_magics: bool) -> list[str]:
    cell = ["%%" + name for name in magic_names.CELL] if with_cell_magics else []
    return sorted("%" + name for name in magic_names.LINE) + sorted(cell)


def _is_known(name: str) -> bool:
    """Is it a magic of which this module knows that nothing else can stand behind it?"""
    magics = magic_names.LINE | magic_names.CELL | magic_names.REFUSED
    return name in magics or "%" + name in commands.COMMANDS


def _fits(name: str, typed: str) -> bool:
    """Does a magic begin with what was typed, be it without the `%` or one of two?"""
    if typed.startswith("%%"):
        return name.startswith(typed)
    return name.lstrip("%").startswith(typed.lstrip("%"))
