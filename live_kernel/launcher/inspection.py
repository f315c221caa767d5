"""What an `inspect_request`, `name?` and `?` are answered: magics here, all else by the target.

Runs on the launcher's reactor; IPython, whose magics are explained by its own
words, is loaded on a thread. Rule: help loads no IPython into a target.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from . import commands, magic_names, syntax
from .local import Local, body_start
from .reactor import Reactor, look_up
from .wire import Content

Answered = Callable[[Content], None]
AskTarget = Callable[[str, int, int, Answered], None]
"""Asks the target what stands at a cursor in some code, at a level of detail."""

_MAGIC = re.compile(r"(?:^|=)[ \t]*(%{1,2}\w+|%%!)", re.MULTILINE)


class Inspection:
    """Answers `inspect_request`."""

    def __init__(self, reactor: Reactor, local: Local) -> None:
        self._reactor, self._local = reactor, local

    def ask(
        self, code: str, cursor: int, detail: int, target: AskTarget, answered: Answered
    ) -> None:
        """What stands at the cursor? `answered` is called once, on the reactor."""
        start = body_start(code)
        if start is not None and cursor >= start:
            place = {"cursor_pos": cursor - start, "detail_level": detail}
            question = {"code": code[start:], **place}
            self._local.ask("inspect_request", question, lambda a: answered(_reply(a)))
            return

        def ask_target() -> None:
            target(code, cursor, detail, lambda answer: answered(_reply(answer)))

        name = magic_at(code, cursor)
        if name in commands.COMMANDS:
            answered(page(commands.help_text(name)))
        elif name == "?" or is_explained(name):
            self._explain(name, answered, ask_target)
        else:
            ask_target()

    def _explain(self, name: str, answered: Answered, otherwise: Callable[[], None]) -> None:
        look_up(
            self._reactor,
            lambda: usage() if name == "?" else docstring_page(name),
            lambda text: answered(page(text)) if text else otherwise(),
            lambda _error: otherwise(),  # it is none of the IPythons that we know
        )


def page(text: str) -> Content:
    """An `inspect_reply` that has this to say."""
    return {"found": True, "data": {"text/plain": text}, "metadata": {}}


def _reply(answer: Content) -> Content:
    is_found = bool(answer.get("found", False))
    return {"found": is_found, "data": answer.get("data", {}) if is_found else {}, "metadata": {}}


def magic_at(code: str, cursor: int) -> str:
    """The magic at a cursor, with its `%`; "?" where that is the whole code; else ""."""
    if code.strip() in ("?", "??"):
        return "?"
    for found in _MAGIC.finditer(code):
        if found.start(1) <= cursor <= found.end(1):
            return found.group(1)
    return ""


def is_explained(name: str) -> bool:
    """Is it one of IPython's magics that are explained without an IPython that runs?"""
    table = magic_names.CELL if name.startswith("%%") else magic_names.LINE
    return name.lstrip("%") in table - magic_names.MADE_LATE and name.startswith("%")


def docstring_page(name: str) -> str:
    """What IPython says of one of its magics. Raises LookupError where it says nothing."""
    with syntax.importing:
        from IPython.core import magics
    kind = "cell" if name.startswith("%%") else "line"
    plain = name.lstrip("%")
    plain = magic_names.ALIASES.get(plain, plain)
    for cls in [getattr(magics, each) for each in dir(magics)]:  # some load when asked for
        registered: Any = getattr(cls, "magics", {}).get(kind, {})
        method = getattr(cls, str(registered.get(plain, "")), None)
        if method is not None and method.__doc__:
            text = inspect.cleandoc(method.__doc__)
            return f"\x1b[31mDocstring:\x1b[39m\n{text}\n\x1b[31mFile:\x1b[39m      {_file(method)}"
    raise LookupError(name)


def usage() -> str:
    """The introduction that IPython shows for `?`."""
    with syntax.importing:
        from IPython.core.usage import interactive_usage
    return str(interactive_usage)


def _file(method: Any) -> str:
    return str(getattr(getattr(method, "__code__", None), "co_filename", ""))
