"""Asking code of the program for an answer that may never come.

Runs in the target. `ask` is called on the thread `control`; the program's code
runs on a thread of its own, which ends with it.
Rule: whoever asks goes on after `PATIENCE` seconds. The thread is interrupted
then, so that no loop goes on for ever in the program; as long as some can't be,
being stuck outside Python, nothing more is asked.
"""

from __future__ import annotations

from . import native
from .interrupt import Interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PATIENCE = 1.0
"""Seconds to wait for an answer."""

STUCK_LIMIT = 3
"""With so many threads that don't end, no more are begun."""

_stuck: list[native.Signal] = []


class Question:
    """One call of a function, and what it returned: None until then, and if it raised."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.answer: Any = None
        self.ended = native.Signal()
        self._function = function
        self._interruption = Interruption()

    def begin(self) -> None:
        """Call the function on a new thread."""
        self._interruption.thread = native.start(self._run, name="live-kernel")

    def give_up(self) -> None:
        """Interrupt the function; there is nobody left to be told."""
        self._interruption.request()

    def _run(self) -> None:
        try:
            try:
                self._interruption.begin()
                self.answer = self._function()
            finally:
                self._interruption.end()
        except BaseException:  # whatever the program raises: it must not reach its stderr
            pass
        self.ended.set()


def ask(function: Callable[[], Any]) -> Any:
    """What a function that runs code of the program returns; None if it fails or takes too long."""
    _stuck[:] = [ended for ended in _stuck if not ended.is_set]
    if len(_stuck) >= STUCK_LIMIT:
        return None
    question = Question(function)
    question.begin()
    if not question.ended.wait(PATIENCE):
        _stuck.append(question.ended)
        question.give_up()
    return question.answer
