"""Expressions of the user's that look at a frame of the program's: `if EXPR`, `--log EXPR`.

Runs in the target, on the program's threads, in the middle of what they do: that is what
the user has asked for. Rule: a condition that raises does not hold; the user is told of the
first time, and the program of none.
"""

from __future__ import annotations

import reprlib
from itertools import count

from . import brief
from .actions import Refused
from .evaluation import Names, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from .namespace import Namespace
    from .observing import Expression as FromMemory


class Expression:
    """It sees the frame's variables, its globals, the notebook's names, and builtins.

    In a session that only looks, it is read from memory: see `observing.py`.
    """

    kind = "expression"

    def __init__(self, text: str, namespace: Namespace) -> None:
        self.text, self._namespace = text, namespace
        self._code: CodeType | FromMemory
        try:
            if namespace.only_looks:
                self._code = _observing().Expression(text)
            else:
                self._code = compile(text, f"<{self.kind}>", "eval", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise Refused(
                "ExpressionInvalid",
                f"{text!r} is no {self.kind}: {_message(error)}.",
                "An expression of Python is wanted, without await, as in: order.total > 100",
            ) from None

    def value(self, frame: FrameType) -> Any:
        """What it is there. Raises whatever the expression does."""
        own = self._namespace
        homes: list[Any] = [frame.f_locals, frame.f_globals, own.scratch, own.additions]
        if frame.f_globals is own.scratch:  # a function of the notebook's: what cells see
            homes += own.binding.names()
        names = Names(*homes, behind=frame.f_builtins)  # of a patch, names of its own
        try:
            return value_of(self._code, names)
        finally:
            names.let_go()

    def text_of(self, value: object) -> str:
        """The value in a few words. Raises whatever its `repr` does."""
        return brief.brief(value) if self._namespace.only_looks else _BRIEF.repr(value)

    def is_true(self, value: object) -> bool:
        """Raises whatever its `__bool__` does."""
        return _observing().truth(value) if self._namespace.only_looks else bool(value)


def _observing() -> Any:
    from . import observing

    return observing


_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 200
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = _BRIEF.maxset = 20


class Condition(Expression):
    """The `if` of a breakpoint or a trace. `tell` is called with what it raises first."""

    kind = "condition"

    def __init__(self, text: str, namespace: Namespace, tell: Callable[[str], object]) -> None:
        super().__init__(text, namespace)
        self._tell = tell
        self._failing = count(1)
        self.failures = 0
        self.failure = ""

    def holds(self, frame: FrameType) -> bool:
        """Is this hit or call wanted? Raises nothing of its own."""
        try:
            return self.is_true(self.value(frame))
        except Exception as error:
            self.failures = next(self._failing)
            if self.failures == 1:
                self.failure = as_raised(error)
                self._tell(f"its condition raises {self.failure}; this is told once")
            return False


def as_raised(error: BaseException) -> str:
    """`NameError: name 'x' is not defined`."""
    return f"{type(error).__name__}: {_message(error)}"


def _message(error: BaseException) -> str:
    """What an exception says, if it can say it."""
    try:
        return (error.msg if isinstance(error, SyntaxError) else str(error))[:200]
    except Exception:
        return "?"
