"""What a program is called in a few words, found in its command line.

Runs in the launcher and Jupyter Server. Rule: a name is for people; which process is meant,
its pid and the moment of its start say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..plain import on_one_line

if TYPE_CHECKING:
    from .processes import Process

LONGEST = 40
"""Characters of a name."""

_MANY = ("main", "__main__", "app", "manage", "run", "server", "start", "wsgi", "asgi", "cli")
"""So many scripts are called this that their directory says more."""

_WITH_VALUE = "WXQ"
"""Options of `python` that take a value, be it in the same word or the next."""

_INTERPRETER = re.compile(r"(python|pypy)[\d.]*[a-z]*")
_APPLICATION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?")
"""`shop.main:app`, as uvicorn, gunicorn and their kin are given it."""


def short_name(command: Sequence[str], name: str = "", cwd: str = "") -> str:
    """`orders-service`, `uvicorn shop:app`, `training/main`; at most `LONGEST` characters.

    `name` stands in where there is no command line; `cwd` is the process's directory, if known.
    """
    return shortened(_name(command, name, cwd)) or "a program"


def of(process: Process) -> str:
    """That of a process."""
    return short_name(process.cmdline, process.name, process.cwd)


def shortened(text: str) -> str:
    """On one line, of at most `LONGEST` characters."""
    text = on_one_line(" ".join(text.split()))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _name(command: Sequence[str], name: str, cwd: str) -> str:
    if len(command) < 2:  # a title that it has given itself, or the bare interpreter
        text = command[0] if command else name
        return text if " " in text else os.path.basename(text)
    first, rest = command[0], command[1:]
    if not _INTERPRETER.fullmatch(os.path.basename(first)):
        return _with_application(os.path.basename(first), rest)
    kind, what, rest = started(rest)
    if kind == "c":
        return "multiprocessing worker" if "multiprocessing" in what else "python -c"
    if kind == "m":
        return _with_application(what.removesuffix(".__main__"), rest)
    return _with_application(_of_script(what, cwd), rest) if what else name


def started(words: Sequence[str]) -> tuple[str, str, Sequence[str]]:
    """What `python` was told to run: "m" and a module, "c" and code, or "" and a script; and the
    words behind it.
    """
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word, at = words[at], at + 1
        for place, letter in enumerate(word[1:] if not word.startswith("--") else "", 2):
            if letter not in f"mc{_WITH_VALUE}":
                continue
            value = word[place:]
            if not value and at < len(words):
                value, at = words[at], at + 1
            if letter in "mc":
                return letter, value, words[at:]
            break
    return "", words[at] if at < len(words) else "", words[at + 1 :]


def _of_script(path: str, cwd: str) -> str:
    name = os.path.basename(path.rstrip("/")).removesuffix(".py").removesuffix(".pyz")
    if name not in _MANY:
        return name
    above = os.path.basename(os.path.dirname(os.path.join(cwd, path)))
    return f"{above}/{name}" if above else name


def _with_application(name: str, words: Sequence[str]) -> str:
    """A server's command says little; what it serves says more."""
    served = next((word for word in words if _APPLICATION.fullmatch(word)), "")
    for option in ("-A", "--app"):
        if not served and option in words[:-1]:
            served = words[list(words).index(option) + 1]
    return f"{name} {served}" if served else name
