"""Expressions of the user's that look at a frame of the program's: `if EXPR`, `--log EXPR`.

Runs in the target, on the program's threads, in the middle of what they do: that is what
the user has asked for. Rule: a condition that raises does not hold; the user is told of the
first time, and the program of none.
"""

from __future__ import annotations

from itertools import count

from .actions import Refused
from .evaluation import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .namespace import Namespace


class Expression:
    """It sees the frame's variables, its globals, the notebook's names, and builtins."""

    kind = "expression"

    def __init__(self, text: str, namespace: Namespace) -> None:
        self.text, self._namespace = text, namespace
        try:
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
            return eval(self._code, {"__builtins__": names})
        finally:
            names.let_go()


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
            return bool(self.value(frame))
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
