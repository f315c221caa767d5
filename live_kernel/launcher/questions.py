"""Questions to the person at the front-end, one at a time for each shell.

Runs on the launcher's reactor. Rule: only the front-end that was asked can
answer, and a question that is cancelled gets None.
"""

from __future__ import annotations

from collections.abc import Callable

from .frontend import Frontend
from .presence import Peer
from .wire import Request

Answered = Callable[[str | None], None]


class Question:
    """One that is open: whose cell asks, and who wants the answer."""

    def __init__(self, request: Request, answered: Answered) -> None:
        self.request, self.answered = request, answered
        self.message = ""
        """The id of the message that asks; empty until it is sent."""


class Questions:
    """The questions that are open, oldest first."""

    def __init__(self) -> None:
        self._open: list[Question] = []

    def ask(
        self, frontend: Frontend, request: Request, prompt: str, password: bool, answered: Answered
    ) -> None:
        """Ask the front-end that sent `request`; `answered` is called once."""
        question = Question(request, answered)
        if request.peer is not None and request.peer.is_gone:
            answered(None)
            return
        for other in [o for o in self._open if o.request.subshell == request.subshell]:
            self._settle(other, None)
        self._open.append(question)
        question.message = frontend.ask(request, prompt, password, lambda: question in self._open)

    def on_reply(self, reply: Request) -> None:
        """An `input_reply`; from anyone but who was asked, it is ignored.

        Where it does not say what it answers, it answers the latest question.
        """
        asked = reply.parent.get("msg_id")
        mine = [each for each in self._open if each.request.identities == reply.identities]
        said = [each for each in mine if each.message == asked]
        if mine:
            self._settle((said or mine)[-1], str(reply.content.get("value", "")))

    def cancel(self, request: Request | None = None) -> bool:
        """Drop the questions of a request, or all. Returns whether there were any."""
        dropped = [each for each in self._open if request in (None, each.request)]
        for question in dropped:
            self._settle(question, None)
        return bool(dropped)

    def leave(self, peer: Peer) -> None:
        """A front-end has gone: what it was asked, nobody answers."""
        for question in [each for each in self._open if each.request.peer is peer]:
            self._settle(question, None)

    def _settle(self, question: Question, value: str | None) -> None:
        if question in self._open:
            self._open.remove(question)
            question.answered(value)
