"""What could be typed at a cursor.

Runs in the target on the thread `control`, also while a cell runs.
Rule: `complete` raises nothing, runs no property of the program's objects (see
`lookup`), imports none of its modules, and lists at most `MATCH_LIMIT` matches.

In a program that is busy in Python, each system call here costs a turn of the
interpreter lock. So what can be imported is taken from the import system's own
memory of its directories where that will do.
"""

from __future__ import annotations

import builtins
import sys
from itertools import islice
from time import monotonic
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)

from .lookup import (
    ABSENT,
    Opening,
    Reading,
    Scan,
    ask,
    attribute_entries,
    exact,
    getter_of,
    is_a,
    is_cached_function,
    is_exactly,
    is_foreign_function,
    keys_of,
    own_entry,
    parameters,
    read_attribute,
    read_promised,
    read_steps,
    signature,
    unescape,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .lookup import Names

    type Describe = Callable[[str], "Match"]

MATCH_LIMIT = 1000
"""More than anybody reads; a front-end asks again as soon as a letter more is typed."""

SIGNATURE_LIMIT = 100
"""With more matches than this, none gets a signature."""

DIRECTORY_LIMIT = 10_000
"""So many entries of a directory are looked at."""


def complete(code: str, cursor: int, names: Names) -> dict[str, Any]:
    """The matches at a cursor (in characters of `code`), as a complete_reply has them."""
    matches: list[Match] = []
    start = end = 0
    try:
        start = end = max(0, min(cursor, len(code)))
        start, matches = _Completion(code, end, names).find()
    except BaseException:  # of the program's making; a completion is not worth a word about it
        matches = []
    return _reply(start, end, matches[:MATCH_LIMIT])


class Match:
    """One thing that could be typed; `describe` tells its signature if there is time for it."""

    __slots__ = ("describe", "kind", "text")

    def __init__(self, text: str, kind: str, describe: Callable[[], str] = str) -> None:
        self.text = text
        self.kind = kind
        self.describe = describe

    def signature(self) -> str:
        """The signature, or "" for want of one."""
        try:
            return self.describe()
        except BaseException:  # as above
            return ""


def _reply(start: int, end: int, matches: list[Match]) -> dict[str, Any]:
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


class _Completion:
    """One request: the code before the cursor, and the word that is being typed."""

    def __init__(self, code: str, cursor: int, names: Names) -> None:
        self.code = code
        self.cursor = cursor
        self.names = names
        self.scan = Scan(code, cursor)
        self.start = self.scan.word_start(cursor)
        self.word = code[self.start : cursor]

    def find(self) -> tuple[int, list[Match]]:
        """Where the text to replace begins, and what could stand there."""
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

    # Attributes and names.

    def _attributes(self, dot: int) -> list[Match]:
        reading = read_steps(self.scan.primary(dot), self.names)
        if reading is None:
            return []
        entries = attribute_entries(reading)
        return [_attribute(reading, name, entries[name]) for name in fitting([entries], self.word)]

    def _names(self) -> list[Match]:
        if self.word[:1].isdigit():
            return []
        groups = [
            dict.fromkeys((n for n in ask(self.names.names) if type(n) is str), self._name),
            dict.fromkeys(bound_names(self.code[: self.start], r"^\s*"), self._name),
            dict.fromkeys(_keywords(), _keyword),
            dict.fromkeys([*builtins.__dict__, *self._additions()], self._name),
        ]
        offered: dict[str, Describe] = {}
        for group in reversed(groups):
            offered.update(group)
        return [offered[name](name) for name in fitting(groups, self.word)]

    def _additions(self) -> list[str]:
        """What a cell finds among the builtins beyond Python's own."""
        return [n for n in ("display", "get_ipython") if self._value(n) is not ABSENT]

    def _name(self, name: str) -> Match:
        value = self._value(name)
        return Match(name, kind_of(value), lambda: _signature(value))

    def _value(self, name: str) -> Any:
        reading = read_steps([("name", name)], self.names)
        return reading.value if reading else ABSENT

    def _arguments(self) -> list[Match]:
        """`name=` for the parameters of the call around the cursor that are still free."""
        call = self.scan.open[-1] if self.scan.open else None
        if call is None or call.text != "(":
            return []
        *given, current = self.scan.flat(call).split(",")
        if current.strip() != self.word:
            return []
        reading = read_steps(self.scan.primary(call.start), self.names)
        free = _free_parameters(reading.value, given) if reading and reading.is_live else []
        return [Match(f"{name}=", "param") for name in free if name.startswith(self.word)]

    # Subscripts.

    def _keys_unquoted(self) -> list[Match]:
        """Keys as literals, behind `d[` without a quote."""
        bracket = self.scan.open[-1] if self.scan.open else None
        if bracket is None or self.code[bracket.body : self.cursor].strip() != self.word:
            return []
        texts = (repr(key) for key in self._keys(bracket) if _is_literal(key))
        fit = islice((text for text in texts if text.startswith(self.word)), MATCH_LIMIT)
        return [Match(text, "dict key") for text in fit]

    def _keys(self, bracket: Opening) -> list[Any]:
        """The keys of what the bracket subscripts; `frame[["a", "` asks for columns, too."""
        if bracket.text != "[":
            return []
        steps = self.scan.primary(bracket.start)
        if steps and steps[-1] in _INDEXERS:
            steps.pop()
        if steps:
            reading = read_steps(steps, self.names)
            return keys_of(reading.value) if reading and reading.is_live else []
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
        if len(string.text) == 3 or "\n" in typed:
            return self.cursor, []
        start = string.body + typed.rfind("/") + 1
        return start, _paths(unescape(typed, string.prefix), string)

    def _keys_quoted(self, string: Opening, typed: str) -> list[Match]:
        if len(self.scan.open) < 2:
            return []
        kind = bytes if "b" in string.prefix else str
        keys: list[Any] = [key for key in self._keys(self.scan.open[-2]) if type(key) is kind]
        if kind is str and "\\" not in typed:  # then a key that fits begins so as it stands
            keys = [key for key in keys if key.startswith(typed)]
        texts = (_inside_quotes(key, string) for key in keys)
        fit = islice((text for text in texts if text.startswith(typed)), MATCH_LIMIT)
        return [Match(text, "dict key") for text in fit]

    # Imports.

    def _imports(self, statement: str) -> list[Match]:
        if statement.startswith("import "):
            modules = statement[len("import ") :].rpartition(",")[2]
            return self._modules(modules.lstrip()) if len(modules.split()) < 2 else []
        module, space, rest = statement[len("from ") :].lstrip().partition(" ")
        if not space:
            return self._modules(module)
        first = rest.replace("(", " ").lstrip()
        if first.startswith("import "):
            renames = statement.removesuffix(self.word).split()[-1] == "as"
            return [] if renames else self._members(module)
        return [Match("import", "keyword")] if "import".startswith(first) else []

    def _modules(self, typed: str) -> list[Match]:
        """The modules whose dotted name, `typed` so far, may go on with the word."""
        if typed != typed.rstrip():
            return []
        before = typed[: len(typed) - len(self.word)]
        parent = self._absolute(before.rstrip(".") or before)
        found = {} if parent is None else modules_in(parent)
        return [Match(name, "module") for name in _verified(found, fitting([found], self.word))]

    def _members(self, module: str) -> list[Match]:
        """What can be imported from a module: names in it, modules below it."""
        name = self._absolute(module)
        if not name:
            return []
        below = modules_in(name)
        loaded = sys.modules.get(name)
        if loaded is None:
            entries = dict.fromkeys(bound_names(_source_of(name), "^"), ABSENT)
        else:
            entries = attribute_entries(Reading(loaded))
        found = _verified(below, fitting([entries, below], self.word), entries)
        return [Match(n, kind_of(entries[n]) if n in entries else "module") for n in found]

    def _absolute(self, module: str) -> str | None:
        """The full name of a module that may be written relative to the frame's package."""
        path = module.lstrip(".")
        level = len(module) - len(path)
        if not level:
            return path
        package = self._value("__package__")
        if type(package) is not str or not package:
            return None
        above = package.split(".")
        return ".".join([*above[: len(above) - level + 1], *([path] if path else [])])


# Names.


def privacy(name: str) -> int:
    """0 for a public name, 1 for a private one, 2 for one of Python's own."""
    return name.startswith("_") + name.startswith("__")


def fitting(groups: Iterable[Iterable[str]], word: str) -> list[str]:
    """The names that begin so: public before private, in the order of groups, then of letters.

    No more than can be shown.
    """
    groups = [[name for name in list(group) if type(name) is str] for group in groups]
    found = [[name for name in group if name.startswith(word)] for group in groups]
    if word and not any(found):
        lower = word.lower()
        found = [[name for name in group if name.lower().startswith(lower)] for group in groups]
    ranks: tuple[list[str], ...] = ([], [], [])
    for group in found:
        for name in sorted(group):
            ranks[privacy(name)].append(name)
    return list(dict.fromkeys(name for rank in ranks for name in rank))[:MATCH_LIMIT]


def bound_names(code: str, line_start: str) -> list[str]:
    """The names that code binds, in lines that begin so (a pattern), guessed from its text."""
    import re

    pattern = re.compile(_BINDING.format(line_start), re.MULTILINE)
    found = [name for match in pattern.findall(code[:CODE_LIMIT]) for name in match if name]
    return [name.strip() for names in found for name in names.split(",")]


CODE_LIMIT = 1_000_000
"""Characters of source that are searched for names."""

_BINDING = (
    r"{0}(?:from\s.*)?import\s.*\bas\s+(\w+)"
    r"|{0}(?:(?:async\s+)?(?:def|class|for)|(?:from\s.*)?import|with\b.*\bas)\s+(\w+)"
    r"|{0}([^\W\d][\w ,]*?)\s*(?::[^=\n]+)?=(?!=)"
)


def _keywords() -> list[str]:
    import keyword

    return [*keyword.kwlist, "case", "match"]


def _keyword(name: str) -> Match:
    return Match(name, "keyword")


_FUNCTIONS = exact(
    *(BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, classmethod, staticmethod),
    *(ClassMethodDescriptorType, MethodDescriptorType, WrapperDescriptorType),
)


def kind_of(value: object) -> str:
    """The word that front-ends have for such a value (or entry of a class)."""
    if is_exactly(value, _FUNCTIONS):
        return "function"
    if is_a(value, type):
        return "class"
    if is_a(value, ModuleType):
        return "module"
    if is_cached_function(value) or is_foreign_function(value):
        return "function"
    return "instance" if getter_of(value) is ABSENT else "property"


def _signature(value: object) -> str:
    return signature(value) if kind_of(value) in ("function", "class") else ""


def _attribute(reading: Reading, name: str, entry: Any) -> Match:
    def describe() -> str:
        if kind not in ("function", "class"):
            return ""
        if reading.is_live:
            found = read_attribute(reading.value, name)
        else:
            found = None if reading.cls is None else read_promised(reading.cls, name)
        return _signature(found.value) if found else ""

    kind = kind_of(entry)
    return Match(name, kind, describe)


def _free_parameters(called: object, given: list[str]) -> list[str]:
    """The parameters that the arguments before this one have left over."""
    named = {text.partition("=")[0].strip() for text in given if "=" in text}
    positional = len(given) - len(named) - sum(text.lstrip().startswith("*") for text in given)
    return [
        parameter.name
        for index, parameter in enumerate(parameters(called) or ())
        if parameter.name not in named
        and (parameter.mark == "k" or (parameter.mark == "" and index >= positional))
    ]


# Keys.

_INDEXERS = (("attribute", "loc"), ("attribute", "at"))
"""What has the keys of the object that it is an attribute of, in pandas and its like."""


def _is_literal(key: object) -> bool:
    """Can the key be written down without asking it how?"""
    parts = key if type(key) is tuple else (key,)
    return all(is_exactly(part, _LITERALS) for part in parts)


_LITERALS = exact(str, bytes, int)


def _inside_quotes(key: str | bytes, string: Opening) -> str:
    """The key as it is written between the quotes that are open."""
    text = repr(key).removeprefix("b")
    quote, inside = text[0], text[1:-1]
    if quote == string.text[0]:
        return inside
    return inside.replace("\\'", "'").replace(string.text[0], "\\" + string.text[0])


# Files.


def _paths(typed: Any, string: Opening) -> list[Match]:
    """The files that a path in a string literal may go on with."""
    if typed is ABSENT:
        return []
    import os

    directory, _, name = typed.rpartition("/")
    if "/" in typed:
        directory = os.path.expanduser(directory) or "/"
    found: dict[str, str] = {}
    with os.scandir(directory or ".") as entries:
        for entry in islice(entries, DIRECTORY_LIMIT):
            if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                found[entry.name] = "/" if entry.is_dir() else ""
    return [Match(_inside_quotes(n, string) + found[n], "path") for n in sorted(found)]


# Modules.


def modules_in(parent: str) -> dict[str, str]:
    """The modules directly below a package, "" for the top, found without importing any.

    With each comes the file that must exist for it to be one, "" if that is sure.
    """
    prefix = parent + "." if parent else ""
    found: dict[str, str] = {}
    for directory in _directories_of(parent):
        found.update(_modules_at(directory))
    loaded = [name for name in list(sys.modules) if type(name) is str and name.startswith(prefix)]
    known = [name.removeprefix(prefix) for name in loaded]
    if not parent:
        known += sys.builtin_module_names
    found.update({name: "" for name in known if name and "." not in name})
    return found


def _directories_of(parent: str) -> list[str]:
    """Where modules below a package are looked for."""
    if not parent:
        path: object = sys.path
    else:
        loaded = sys.modules.get(parent)
        if loaded is None:
            above, _, name = parent.rpartition(".")
            return [f"{directory or '.'}/{name}" for directory in _directories_of(above)]
        path = own_entry(loaded, "__path__")
    entries = path if type(path) is list else ask(iter, path, limit=DIRECTORY_LIMIT)
    return [entry for entry in list(entries) if type(entry) is str]


def _modules_at(directory: str) -> dict[str, str]:
    """The modules in one directory, each with the file that would prove it."""
    found: dict[str, str] = {}
    for name in _contents(directory):
        stem, dot, suffix = name.partition(".")
        if not stem.isidentifier():
            continue
        if not dot:
            found.setdefault(stem, f"{directory}/{name}/__init__.py")
        elif suffix == "py" or suffix.endswith("so"):
            found[stem] = ""
    found.pop("__init__", None)
    found.pop("__pycache__", None)
    return found


_contents_seen: dict[str, tuple[int, list[str]]] = {}


def _contents(directory: str) -> list[str]:
    """The names in a directory, as the import system remembers them or as we do."""
    import os

    path = directory or os.getcwd()
    remembered = own_entry(sys.path_importer_cache.get(path), "_path_cache")
    if type(remembered) is set and remembered:
        return list(remembered)
    try:
        changed = os.stat(path).st_mtime_ns
        seen = _contents_seen.get(path)
        if seen is None or seen[0] != changed:
            seen = _contents_seen[path] = changed, os.listdir(path)[:DIRECTORY_LIMIT]
        return seen[1]
    except OSError:
        return _archived(path)


def _archived(path: str) -> list[str]:
    """The modules in a zip file on sys.path."""
    import os

    if not os.path.isfile(path):
        return []
    import pkgutil

    return [f"{module.name}.py" for module in pkgutil.iter_modules([path])]


VERIFY_SECONDS = 0.05
"""So long directories are looked into, to see whether they are packages; then they pass for it."""

_verified_seen: dict[str, bool] = {}


def _verified(
    found: dict[str, str], names: list[str], entries: dict[str, Any] | None = None
) -> list[str]:
    """The names without those that turn out to be neither entries nor modules."""
    end = monotonic() + VERIFY_SECONDS
    return [
        name
        for name in names
        if (entries and name in entries)
        or not found.get(name)
        or monotonic() > end
        or _exists(found[name])
    ]


def _exists(file: str) -> bool:
    import os

    seen = _verified_seen.get(file)
    if seen is None:
        seen = _verified_seen[file] = os.path.exists(file)
    return seen


def _source_of(module: str) -> str:
    """The text of a module that is not loaded; "" if there is none to be read."""
    above, _, name = module.rpartition(".")
    for directory in _directories_of(above):
        for file in (f"{directory or '.'}/{name}.py", f"{directory or '.'}/{name}/__init__.py"):
            try:
                with open(file, encoding="utf-8", errors="replace") as source:
                    return source.read(CODE_LIMIT)
            except OSError:
                continue
    return ""
