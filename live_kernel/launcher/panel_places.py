"""Which places cells could see, for a front-end to choose from.

Runs on the launcher's reactor; the agent is asked, also while a cell runs. Rule: each place is a
command's argument and a few words, bounded in number; none is bound by being listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..plain import on_one_line
from .attachment import Attachment, State
from .target import Target
from .wire import Content

_MOST = 300
"""Places of each kind."""

_WITHIN = 2.0
"""Seconds that the agent may take for each question."""

_DEFAULT = ("frame", "--default", "as after the attach", "chosen by the kernel")


class Places:
    """Asks for the places of one kernel's target."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def ask(self, answered: Callable[[Content], None]) -> None:
        """`answered({"places": [{"how", "what", "label", "detail", "bound"}, …], "of": LABEL})`.

        Empty, where there is no target or it does not answer.
        """
        attachment = self._target.attachment
        if attachment is None or attachment.state is not State.ATTACHED:
            answered({"places": [], "of": ""})
            return
        _Round(attachment, answered).begin()


class _Round:
    """One question after the other."""

    def __init__(self, attachment: Attachment, answered: Callable[[Content], None]) -> None:
        self._attachment, self._answered = attachment, answered
        self._found: list[Content] = []
        self._of = ""
        self._left = [
            ("stack", "", self._on_stack),
            ("threads", "", self._on_threads),
            ("tasks", "", self._on_tasks),
            ("offers", "modules", self._on_modules),
        ]

    def begin(self) -> None:
        self._next({})

    def _next(self, _answer: Content) -> None:
        if not self._left:
            self._found.append(_place(*_DEFAULT))
            self._answered({"places": self._found, "of": self._of})
            return
        about, what, take = self._left.pop(0)

        def on_answer(answer: Content) -> None:
            if answer and not {"refused", "error"} & answer.keys():
                self._found += list(take(answer))[:_MOST]
            self._next(answer)

        self._attachment.ask(about, on_answer, _WITHIN, what=what)

    def _on_stack(self, answer: Content) -> Iterable[Content]:
        """The innermost first: that is where one looks."""
        self._of = on_one_line(answer["label"])
        bound = answer["bound"]
        for row in reversed(answer["frames"]):
            number = row["number"]
            yield _place("frame", str(number), *_called(row["at"]), bound=number == bound)

    def _on_threads(self, answer: Content) -> Iterable[Content]:
        kernels = set(answer["kernel"])
        for row in answer["threads"]:
            if row["ident"] not in kernels:
                where = " ".join(_called(row["frames"][-1])) if row["frames"] else ""
                yield _place("thread", str(row["native"] or row["ident"]), row["name"], where)

    def _on_tasks(self, answer: Content) -> Iterable[Content]:
        for row in answer["tasks"]:
            if row["number"] != answer["kernel"]:
                where = " ".join(_called(row["frames"][0])) if row["frames"] else ""
                yield _place("task", str(row["number"]), row["name"], where)

    def _on_modules(self, answer: Content) -> Iterable[Content]:
        """`__main__` first, and no part of a package: a search finds the rest by `%module`."""
        names = [name for name, _ in answer["offers"] if "." not in name]
        names.sort(key=lambda name: (name != "__main__", name.startswith("_"), name))
        for name in names:
            if name == "__main__" or not name.startswith("_"):
                yield _place("module", name, name, "module")


def _called(at: list[Any]) -> tuple[str, str]:
    """`handle()` and `orders.py:120` of a frame."""
    file, line, function = at
    return f"{function}()", f"{file.rpartition('/')[2]}:{line}"


def _place(how: str, what: str, label: str, detail: str, bound: bool = False) -> Content:
    texts = {"label": on_one_line(label), "detail": on_one_line(detail)}
    return {"how": how, "what": what, **texts, "bound": bound}
