"""Conditions of the user's on calls of the program's.

Runs in the target, on the program's threads, in the middle of their calls: that is what
the user has asked for. Rule: a condition that fails does not hold, and nobody but the user
hears of it.
"""

from __future__ import annotations

import builtins

from .actions import Refused
from .sight import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

    from .namespace import Namespace


class Condition:
    """The `if` of a trace: it sees the call's arguments, then the function's globals."""

    def __init__(self, text: str, namespace: Namespace) -> None:
        self.text, self._namespace = text, namespace
        self._code = _compiled(text)
        self.failures = 0
        self.failure = ""

    def holds(self, frame: FrameType) -> bool:
        """Is this call wanted? Runs on the program's thread, and raises nothing of its own."""
        around = frame.f_globals, self._namespace.scratch
        names = Names(frame.f_locals, *around, builtins.__dict__, self._namespace.additions)
        try:
            return bool(eval(self._code, {"__builtins__": names}))
        except Exception as error:
            self.failures += 1
            self.failure = self.failure or f"{type(error).__name__}: {error}"[:200]
            return False
        finally:
            names.let_go()


def _compiled(text: str) -> CodeType:
    try:
        return compile(text, "<condition>", "eval", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise Refused(
            "CommandMisused",
            f"{text!r} is no condition: {error}",
            "For example: %trace app.price if order.total > 100",
        ) from None
