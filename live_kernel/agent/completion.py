"""What could be typed at a cursor.

Runs in the target on the thread `control`, also while a cell runs.
Rule: `complete` raises nothing, runs no property of the program's objects (see
`lookup`), imports none of its modules, and lists at most `MATCH_LIMIT` matches.
"""

from __future__ import annotations

import builtins
import os
import sys
from functools import partial
from itertools import islice

from .assigned import Assigned
from .cursor import Scan, bound_names
from .expressions import attribute_of, entries_of, keys_of, read_name, read_text
from .importable import DIRECTORY_LIMIT, modules_in, names_in
from .lookup import ABSENT, attribute_entries, exact, is_exactly, kind_of
from .signatures import parameters, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .cursor import Opening
    from .expressions import Names

MATCH_LIMIT = 1000
"""More than anybody reads; a front-end asks again as soon as a letter more is typed."""

SIGNATURE_LIMIT = 100
"""With more matches than this, none gets a signature."""


def complete(code: str, cursor: int, names: Names, magics: Iterable[str] = ()) -> dict[str, Any]:
    """The matches at a cursor (in characters of `code`), as a complete_reply has them.

    `magics`: those that the session's IPython has, if it was brought up, each with its `%`.
    """
    matches: list[Match] = []
    start = end = max(0, min(cursor, len(code)))
    try:
        start, matches = _Completion(code, end, names).find(magics)
    except BaseException:  # of the program's making; a completion is not worth a word about it
        pass
    unique: dict[str, Match] = {}
    for match in matches:
        unique.setdefault(match.text, match)
    matches = list(unique.values())[:MATCH_LIMIT]
    described = len(matches) <= SIGNATURE_LIMIT
    types = [
        {
            "text": match.text,
            "type": match.kind,
            "signature": match.signature() if described else "",
            "start": start,
            "end": end,
        }
        for match in matches
    ]
    texts = [match.text for match in matches]
    return {"matches": texts, "start": start, "end": end, "types": types}


class Match:
    """One thing that could be typed; `find` finds what it stands for."""

    __slots__ = ("find", "kind", "text")

    def __init__(self, text: str, kind: str, find: Callable[[], object] = object) -> None:
        self.text, self.kind, self.find = text, kind, find

    def signature(self) -> str:
        """The signature, "" for want of one."""
        try:
            return signature(self.find()) if self.kind in ("function", "class") else ""
        except BaseException:  # as above
            return ""


class _Completion:
    """One request: the code before the cursor, and the word that is being typed."""

    def __init__(self, code: str, cursor: int, names: Names) -> None:
        self.code = code
        self.cursor = cursor
        self.scan = Scan(code, cursor)
        self.start = self.scan.word_start(cursor)
        self.names = names
        self.meant = Assigned(code[: self.start], names)
        self.word = code[self.start : cursor]

    def find(self, magics: Iterable[str]) -> tuple[int, list[Match]]:
        """Where the text to replace begins, and what could stand there."""
        if self.code.startswith("%") and self.code.lstrip("%") == self.word:
            return 0, [Match(name, "magic") for name in magics]
        if self.scan.in_comment:
            return self.cursor, []
        if self.scan.string is not None:
            return self._in_string(self.scan.string)
        statement = self.code[self.scan.statement : self.cursor].lstrip()
        if statement.startswith(("import ", "from ")):
            return self.start, self._imports(statement)
        dot = self.scan.dot_before(self.start)
        if dot is not None:
            return self.start, self._attributes(dot)
        return self.start, [*self._keys_unquoted(), *self._arguments(), *self._names()]

    def _read(self, end: int) -> Any:
        """What the expression that ends at an index means."""
        return read_text(self.scan.primary(end), self.meant)

    # Attributes and names.

    def _attributes(self, dot: int) -> list[Match]:
        value = self._read(dot)
        entries = {} if value is ABSENT else entries_of(value)
        return [
            Match(name, kind_of(entries[name]), partial(attribute_of, value, name))
            for name in fitting([entries], self.word)
        ]

    def _names(self) -> list[Match]:
        if self.word[:1].isdigit():
            return []
        import keyword

        ours = [n for n in ("display", "get_ipython") if read_name(n, self.names) is not ABSENT]
        bound = bound_names(self.code[: self.start], r"^\s*")
        keywords = {*keyword.kwlist, "case", "match"}.difference(bound)
        seen, local = list(self.names.names()), self.names.local_names()
        groups = [local, seen, bound, keywords, [*builtins.__dict__, *ours]]
        return [
            Match(name, "keyword")
            if name in keywords and not self._is_seen(name)
            else self._name(name)
            for name in fitting(groups, self.word)
        ]

    def _is_seen(self, name: str) -> bool:
        """Does the program, or a cell, have something under a name that is a keyword?"""
        return read_name(name, self.names) is not builtins.__dict__.get(name, ABSENT)

    def _name(self, name: str) -> Match:
        value = read_name(name, self.names)
        return Match(name, kind_of(value), lambda: value)

    def _arguments(self) -> list[Match]:
        """`name=` for the parameters of the call around the cursor that are still free."""
        call = self.scan.open[-1] if self.scan.open else None
        if call is None or call.text != "(":
            return []
        *given, current = self.scan.arguments(call)
        if current.strip() != self.word:
            return []
        free = _free_parameters(self._read(call.start), given)
        return [Match(f"{name}=", "param") for name in free if name.startswith(self.word)]

    # Subscripts.

    def _keys_unquoted(self) -> list[Match]:
        """Keys as literals, behind `d[` without a quote."""
        keys = self._keys_at(self.start, len(self.scan.open))
        if self.word:  # no text begins like that, and there may be many
            keys = [key for key in keys if type(key) is not str]
        texts = (repr(key) for key in keys if _is_literal(key))
        return self._fitting_keys(texts, self.word)

    def _keys_quoted(self, string: Opening, typed: str) -> list[Match]:
        kind = bytes if "b" in string.prefix else str
        keys = self._keys_at(string.start - len(string.prefix), len(self.scan.open) - 1)
        firsts = (key[0] if type(key) is tuple and key else key for key in keys)
        fit: Iterable[Any] = (key for key in firsts if type(key) is kind)
        if kind is str and "\\" not in typed:  # nothing is escaped: few need to be written out
            fit = (key for key in fit if key.startswith(typed))
        return self._fitting_keys((_inside_quotes(key, string) for key in fit), typed)

    def _fitting_keys(self, texts: Iterable[str], typed: str) -> list[Match]:
        fit: dict[str, None] = {}
        for text in texts:
            if text.startswith(typed):
                fit[text] = None
                if len(fit) == MATCH_LIMIT:
                    break
        return [Match(text, "dict key") for text in fit]

    def _keys_at(self, end: int, depth: int) -> list[Any]:
        """The keys that may stand at an index within so many brackets.

        Behind `d["a", ` and `d[("a", `, what follows in the tuples that begin so.
        """
        bracket = self.scan.open[depth - 1] if depth else None
        if bracket is None:
            return []
        *given, current = self.scan.elements(bracket, end)
        if current.strip():
            return []
        if bracket.text == "(" and self.scan.skip_space(bracket.start) == self._body(depth - 1):
            bracket = self.scan.open[depth - 2]
            keys = [key for key in self._keys(bracket) if type(key) is tuple]
        else:
            keys = self._keys(bracket)
        return _following(keys, [read_text(text, self.meant) for text in given]) if given else keys

    def _body(self, depth: int) -> int:
        """Where the contents of so many brackets begin."""
        return self.scan.open[depth - 1].body if depth > 0 else -1

    def _keys(self, bracket: Opening) -> list[Any]:
        """The keys of what the bracket subscripts; `frame[["a", "` asks for columns, too."""
        if bracket.text != "[":
            return []
        text = self.scan.primary(bracket.start).removesuffix(".loc").removesuffix(".at")
        if text:
            return keys_of(read_text(text, self.meant))
        outer = self.scan.open.index(bracket) - 1
        if outer < 0 or self.code[bracket.start - 1] != "[":
            return []
        return self._keys(self.scan.open[outer])

    # Strings.

    def _in_string(self, string: Opening) -> tuple[int, list[Match]]:
        typed = self.code[string.body : self.cursor]
        matches = self._keys_quoted(string, typed)
        if matches:
            return string.body, matches
        if len(string.text) == 3 or "\n" in typed or "\\" in typed:
            return self.cursor, []
        return string.body + typed.rfind("/") + 1, _paths(typed, string)

    # Imports.

    def _imports(self, statement: str) -> list[Match]:
        import re

        if members := re.match(r"from\s+(\w[\w.]*)\s+import[\s(]", statement):
            is_new_name = re.search(r"\bas\s+\w*$", statement)
            return [] if is_new_name else self._members(members[1])
        if module := re.fullmatch(r"(?:from|import(?:\s.*,)?)\s*((?:\w[\w.]*)?)", statement):
            found = modules_in(module[1].removesuffix(self.word).rstrip("."))
            return [Match(name, "module") for name in fitting([found], self.word)]
        is_due = re.fullmatch(r"from\s+\S+\s+\w*", statement) and "import".startswith(self.word)
        return [Match("import", "keyword")] if is_due else []

    def _members(self, module: str) -> list[Match]:
        """What can be imported from a module: names in it, modules below it."""
        if module in sys.modules:
            entries = attribute_entries(sys.modules[module])
        else:
            entries = dict.fromkeys(names_in(module), ABSENT)
        found = fitting([entries, modules_in(module)], self.word)
        return [Match(n, kind_of(entries[n]) if n in entries else "module") for n in found]


def fitting(groups: Sequence[Iterable[object]], word: str) -> list[str]:
    """The names that begin so: public before private, in the order of groups, then of letters.

    No more than can be shown. Of a hundred thousand names, few are touched twice.
    """
    groups = [list(group) for group in groups]
    found = [[n for n in group if type(n) is str and n.startswith(word)] for group in groups]
    if word and not any(found):
        lower = word.lower()
        found = [
            [n for n in group if type(n) is str and n.lower().startswith(lower)] for group in groups
        ]
    chosen: dict[str, None] = {}
    for of_rank in _RANKS:
        for names in found:
            chosen.update(dict.fromkeys(_first(of_rank(names))))
            if len(chosen) >= MATCH_LIMIT:
                return list(chosen)[:MATCH_LIMIT]
    return list(chosen)


_RANKS: tuple[Callable[[list[str]], list[str]], ...] = (
    lambda names: [name for name in names if name[:1] != "_"],
    lambda names: [name for name in names if name[:1] == "_" != name[1:2]],
    lambda names: [name for name in names if name[:2] == "__"],
)
"""The public ones of some names, the private ones, the special ones."""


def _first(names: list[str]) -> list[str]:
    """Those that come first in the order of letters, as many as can be shown."""
    if len(names) <= MATCH_LIMIT:
        return sorted(names)
    import heapq

    return heapq.nsmallest(MATCH_LIMIT, names)


def _free_parameters(called: object, given: list[str]) -> list[str]:
    """The parameters that the arguments before this one have left over."""
    named = {text.partition("=")[0].strip() for text in given if "=" in text}
    positional = len(given) - len(named) - sum(text.lstrip().startswith("*") for text in given)
    return [
        name
        for index, (name, mark, _) in enumerate(parameters(called) or ())
        if name not in named and (mark == "k" or (mark == "" and index >= positional))
    ]


def _following(keys: list[Any], given: list[Any]) -> list[Any]:
    """What comes next in the keys that are tuples and begin so; else the keys themselves.

    The first is for `d["a", `, the second for `frame[["a", `.
    """
    tuples = [key for key in keys if type(key) is tuple]
    if not tuples:
        return keys
    count = len(given)
    fit = [key for key in tuples if len(key) > count and _are_equal(key[:count], given)]
    return list(dict.fromkeys(key[count] for key in fit if _is_literal(key[count])))


def _are_equal(parts: tuple[Any, ...], others: list[Any]) -> bool:
    pairs = zip(parts, others, strict=True)
    return all(type(a) is type(b) and _is_literal(a) and a == b for a, b in pairs)


_LITERALS = exact(str, bytes, int, float, bool, type(None))


def _is_literal(key: object) -> bool:
    """Can the key be written down without asking it how?"""
    return all(is_exactly(part, _LITERALS) for part in (key if type(key) is tuple else (key,)))


def _inside_quotes(key: str | bytes, string: Opening) -> str:
    """The key as it is written between the quotes that are open."""
    text = repr(key).removeprefix("b")
    quote, inside = text[0], text[1:-1]
    if quote == string.text[0]:
        return inside
    return inside.replace("\\'", "'").replace(string.text[0], "\\" + string.text[0])


def _paths(typed: str, string: Opening) -> list[Match]:
    """The files that a path in a string literal may go on with."""
    directory, slash, name = typed.rpartition("/")
    directory = os.path.expanduser(directory) or "/" if slash else "."
    found: dict[str, str] = {}
    with os.scandir(directory) as entries:
        for entry in islice(entries, DIRECTORY_LIMIT):
            if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                found[entry.name] = "/" if entry.is_dir() else ""
    return [Match(_inside_quotes(n, string) + found[n], "path") for n in sorted(found)]
