"""Where in the program there is code for a place that somebody names.

Runs in the target, on the thread of a cell. `app.py:12`, `pkg/app.py:12`, `12` (in the file
that cells are bound to), `handle`, `app.Service.handle`: what code objects is that, and
which of their lines? Rule: nothing of the program's is called and no attribute of it
computed; what modules, classes, closures and decorators hold is looked at, and the frames
that run now.
"""

from __future__ import annotations

import os

from . import brief, code_objects, functions
from .actions import Refused
from .frames import key
from .line_events import START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from .line_events import Spot
    from .namespace import Namespace

_NEAREST = 3


class Location:
    """One place of the program's source, in words, and its code: code objects and lines.

    `notes`: what the user should know of it.
    """

    def __init__(self, text: str, spots: list[Spot], notes: list[str] | None = None) -> None:
        self.text, self.spots, self.notes = text, spots, notes or []


def find(text: str, namespace: Namespace) -> Location:
    """What `text` names. Raises Refused."""
    file, _, line = text.rpartition(":")
    if line.isdecimal():
        file = file or namespace.binding.file
        return _at_line(_the_file(file), int(line))
    return _of_function(text.removesuffix("()"), namespace)


# -- a line of a file


def _the_file(wanted: str) -> str:
    """The one file that is meant, which may be the end of its path. Raises Refused."""
    known = {code_objects.file_of(names) for _, names in code_objects.modules()}
    known |= {code.co_filename for code in code_objects.running()}
    found: dict[str, str] = {}
    for file in known:
        if file.endswith(".py") and _is_meant(file, wanted):
            found.setdefault(os.path.realpath(file), file)
    exact = [path for path in found if path == os.path.realpath(wanted)]
    if exact:
        return exact[0]
    if not found and wanted.startswith("<"):
        return wanted
    if not found:
        raise Refused(
            "FileUnknown",
            f"The program has loaded no code from a file {wanted!r}.",
            "Name a file by its path, or the end of it, as in %break pkg/app.py:12.",
        )
    if len(found) > 1:
        raise Refused(
            "PlaceAmbiguous",
            f"There are {len(found)} files {wanted!r}: {brief.listed(sorted(found))}.",
            "Name more of the path, as in %break pkg/app.py:12.",
        )
    return next(iter(found))


def _is_meant(file: str, wanted: str) -> bool:
    if file == wanted:
        return True
    parts, end = os.path.abspath(file).split(os.sep), os.path.normpath(wanted).split(os.sep)
    return parts[-len(end) :] == end


def _codes_of_file(file: str) -> list[CodeType]:
    """All code that there is of this file, each code object once."""
    found: dict[int, CodeType] = {}

    def add(code: CodeType) -> None:
        for each in code_objects.with_inner(code):
            if is_of_file(each):
                found[id(each)] = each

    known: dict[str, bool] = {}

    def is_of_file(code: CodeType) -> bool:
        name = code.co_filename
        if name not in known:
            known[name] = name == file or os.path.realpath(name) == file
        return known[name]

    for name, names in code_objects.modules():
        own = code_objects.file_of(names)
        if own and (own == file or os.path.realpath(own) == file):
            for function in code_objects.functions_in(names, name):
                add(function.__code__)
    for code in code_objects.running():
        add(code)
    return list(found.values())


def _at_line(file: str, line: int) -> Location:
    codes = _codes_of_file(file)
    spots = _spots(codes, line)
    if not spots:
        codes = _all_codes(file)
        spots = _spots(codes, line)
    name = os.path.basename(file)
    if not spots:
        raise _no_code(name, line, codes)
    functions = {code.co_qualname for code, _ in spots}
    where = f"{name}:{line}"
    if all(start == START for _, start in spots):
        return Location(f"{where}, when {called(functions)} is called", spots)
    return Location(f"{where} in {called(functions)}", spots)


def short(code: CodeType) -> str:
    """The name of its file."""
    return os.path.basename(code.co_filename)


def called(functions: set[str]) -> str:
    """Functions in words."""
    return ", ".join(f"{name}()" if name[-1] != ">" else name for name in sorted(functions))


def _spots(codes: list[CodeType], line: int) -> list[Spot]:
    """A line with `def` or a decorator means the function: it has been defined already."""
    headed = [code for code in codes if _has_in_head(code, line)]
    named = [(code, START) for code in headed if code.co_name != "<lambda>"]
    inside = [(code, line) for code in codes if line in lines_of(code)]
    return named or inside or [(code, START) for code in headed]


def _has_in_head(code: CodeType, line: int) -> bool:
    if not code.co_flags & 2 or code.co_name in _NO_FUNCTIONS:  # CO_NEWLOCALS
        return False
    first = code.co_firstlineno
    return first <= line < min(lines_of(code), default=first + 1)


_NO_FUNCTIONS = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")


def lines_of(code: CodeType) -> set[int]:
    """The lines of this code that Python tells of as they are run.

    Not the one with which it begins: of a function on one line only the call is told.
    """
    from opcode import opmap

    resume, raw = opmap["RESUME"], code.co_code
    begin = next((at for at in range(0, len(raw), 2) if raw[at] == resume), 0)
    lines: set[int] = set()
    present: int | None = None
    for start, end, line in code.co_lines():
        if end <= begin:
            continue
        if line is not None and line != present and start > begin:
            lines.add(line)
        present = line if line is not None else present
    return lines


def _no_code(name: str, line: int, codes: list[CodeType]) -> Refused:
    lines = set().union(*map(lines_of, codes)) if codes else set()
    if not lines:
        text = f"The program holds no code of {name} any more, but for what ran once and is gone."
        return Refused("LineUnknown", text)
    nearest = sorted(sorted(lines, key=lambda each: abs(each - line))[:_NEAREST])
    return Refused(
        "LineUnknown",
        f"There is no code at {name}:{line}.",
        f"The nearest lines with code are {', '.join(map(str, nearest))}.",
    )


def _all_codes(file: str) -> list[CodeType]:
    """As `_codes_of_file`, from all functions of the process: takes its time in a large one."""
    import gc

    kind = type(lambda: 0)
    files: dict[str, bool] = {}
    found: dict[int, CodeType] = {}
    for each in gc.get_objects():
        if type(each) is kind:
            name = each.__code__.co_filename
            if name not in files:
                files[name] = name == file or os.path.realpath(name) == file
            if files[name]:
                found |= {id(code): code for code in code_objects.with_inner(each.__code__)}
    return [*found.values(), *_codes_of_file(file)]


# -- a function


def _of_function(name: str, namespace: Namespace) -> Location:
    code = functions.code_of(name, namespace)
    first = code.objects[0]
    same = [
        each
        for running in code_objects.running()
        for each in code_objects.with_inner(running)
        if key(each) == key(first)
    ]
    every = {id(each): each for each in [*code.objects, *same]}
    where = f"{short(first)}:{first.co_firstlineno}"
    text = f"{where}, when {first.co_qualname}() is called"
    return Location(text, [(each, START) for each in every.values()], code.notes)
