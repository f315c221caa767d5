"""What the launcher asks while cells run, and the answers.

Runs in the target, on the control thread. Rule: an answer is looked up and nothing is
changed; whatever goes wrong is the answer.
"""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .session import Session

    Message = dict[str, Any]


def answer(session: Session, question: Message) -> Message:
    """The answer to an `ask`; what has gone wrong, as `error`."""
    try:
        return _ANSWERS[question["about"]](session, question)
    except BaseException as error:
        return {"error": _told(error)}


def _told(error: BaseException) -> str:
    """Whoever answers must go on, so that not even an exception of the program's is asked."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return "an exception that can't be told"


def _complete(session: Session, question: Message) -> Message:
    from . import completion

    code, cursor = str(question["code"]), int(question["cursor"])
    return completion.complete(code, cursor, session.namespace, session.cells.magics())


def _inspect(session: Session, question: Message) -> Message:
    from . import inspection

    code, cursor = str(question["code"]), int(question["cursor"])
    return inspection.inspect(code, cursor, int(question["detail"]), session.namespace)


def _status(session: Session, _question: Message) -> Message:
    return session.description() | {
        "attached": monotonic() - session.begun,
        "running": session.is_running,
        "changes": session.ledger.standing(),
        "sessions": session.number_of_sessions(),
    }


def _look(session: Session, question: Message) -> Message:
    from . import looks

    return looks.look(session, question)


def _original(session: Session, question: Message) -> Message:
    from . import patching

    names = list(map(str, question["names"]))
    return patching.described(str(question["function"]), names, session.namespace)


def _breaks(session: Session, _question: Message) -> Message:
    from . import debugging

    return {"rows": debugging.rows(session.cells.shell)}


_ANSWERS: dict[str, Callable[[Session, Message], Message]] = {
    "breaks": _breaks,
    "complete": _complete,
    "inspect": _inspect,
    "original": _original,
    "status": _status,
    "threads": _look,
    "stack": _look,
    "tasks": _look,
    "where": _look,
    "offers": _look,
}
