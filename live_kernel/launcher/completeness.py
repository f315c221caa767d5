"""Is a cell complete, or would Enter begin another line of it?

Runs in the launcher. IPython's own transformer decides. Rule: importing it
takes 0.1 s, so what is plain Python at a glance is decided without it, and the
reactor never waits for it.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable

from . import syntax
from .reactor import Reactor
from .wire import Content

_PLAIN = re.compile(r"\w[\w ,.=+*/()\[\]{}'\"-]*")
"""One line that has no magic, no comment, and begins no block."""


class Completeness:
    """Answers `is_complete_request` as IPython does."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor

    def ask(self, code: str, answered: Callable[[Content], None]) -> None:
        """Would Enter run this code? `answered` is called once, on the reactor, maybe later."""
        if is_plainly_complete(code):
            answered({"status": "complete"})
        elif syntax.is_loaded():
            answered(completeness(code))
        else:

            def find() -> None:
                answer = completeness(code)
                self._reactor.call(lambda: answered(answer))

            threading.Thread(target=find, name="completeness", daemon=True).start()


def is_plainly_complete(code: str) -> bool:
    """Is it one line of Python that IPython would call complete? No may mean: not at a glance."""
    if not _PLAIN.fullmatch(code):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(code, "<input>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError, Warning):
        return False
    return True


def completeness(code: str) -> Content:
    """The content of an `is_complete_reply`."""
    try:
        status, indent = syntax.transformer().check_complete(code)
    except Exception:  # IPython's, on code that nobody thought of
        return {"status": "unknown"}
    return {"status": status, **({"indent": " " * (indent or 0)} if status == "incomplete" else {})}
