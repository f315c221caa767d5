"""Questions to the person at the front-end, one at a time.

Runs on the launcher's reactor. Rule: only the front-end that was asked can
answer, and a question that is cancelled gets None.
"""

from __future__ import annotations

from collections.abc import Callable

from .frontend import Frontend
from .wire import Request

Answered = Callable[[str | None], None]


class Questions:
    """The question that is open, if any."""

    def __init__(self) -> None:
        self._asked: Request | None = None
        self._answered: Answered | None = None

    def ask(
        self, frontend: Frontend, request: Request, prompt: str, password: bool, answered: Answered
    ) -> None:
        """Ask the front-end that sent `request`; `answered` is called once."""
        self.cancel()
        self._asked, self._answered = request, answered
        frontend.ask(request, prompt, password, lambda: self._answered is answered)

    def on_reply(self, reply: Request) -> None:
        """An `input_reply`; from anyone but who was asked, it is ignored."""
        if self._asked is not None and reply.identities == self._asked.identities:
            self._settle(str(reply.content.get("value", "")))

    def cancel(self) -> bool:
        """Drop the open question. Returns whether there was one."""
        return self._settle(None)

    def _settle(self, value: str | None) -> bool:
        answered, self._asked, self._answered = self._answered, None, None
        if answered is not None:
            answered(value)
        return answered is not None
