"""Setting up again, in another process, what a session had set up in the one before.

Runs on the launcher's reactor; sources are read on a thread. Each item is carried out by its own
command, as if it had been typed, under the guard rails of the process that is there now.
Rule: an item is done as it was or not at all, and whatever is not done is told with its reason.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import LiveKernelError, NotConfirmed
from . import commands
from .commands.watching import without_place
from .evidence import Changed, find_again, names_used
from .execution import Execution
from .guarding import Reach
from .reactor import look_up
from .setup import BINDING, Item, as_magics
from .sources import Sources
from .wire import Content

_YOUNG = 10.0
"""Seconds after the start of a process in which it may still load what is sought."""

_PATIENCE = 5.0
"""Seconds for which that is waited for, of all items together."""

_PAUSE = 0.25

_GONE = "the program has gone"

_NOT_THERE_YET = frozenset(
    {
        *("FileUnknown", "LineUnknown", "NoSuchFunction", "FrameUnknown", "ModuleUnknown"),
        *("ThreadUnknown", "TaskUnknown", "NotByName"),
    }
)
"""Errors of the agent's that a program which has just begun may be the reason of."""

_KNOWN = (
    *("%frame", "%thread", "%task", "%module", "%break", "%watch", "%trace", "%%patch"),
    *("%place", "%limits", "%idle"),
)
_OF_IPYTHON = re.compile(r"%(pdb|xmode|precision)")


def refusal(item: Item) -> str:
    """Why nothing that a file says may be carried out by this; empty if it may."""
    is_known = item.command in _KNOWN or _OF_IPYTHON.fullmatch(item.command) is not None
    is_one_line = "\n" not in item.argument or item.command == "%%patch"
    return "" if is_known and is_one_line else "it is no command that sets something up"


class Hushed(Execution):
    """The same cell, for commands whose words are kept back until they are done; then it speaks
    again, for what goes on showing something. `code`: what the user is asked about.
    """

    def __init__(self, cell: Execution, code: str) -> None:
        self.__dict__.update(cell.__dict__)
        self.code = code
        self.payload, self.expressions, self.place, self.values = [], {}, {}, {}
        self.confirmed_for = None
        self.said: list[str] = []
        self.is_over = False

    def publish(self, kind: str, content: Content) -> None:
        """Publish it, or keep it."""
        if kind == "stream" and not self.is_over:
            self.said.append(str(content.get("text", "")))
        else:
            super().publish(kind, content)

    def take(self) -> str:
        """What has been said since."""
        said, self.said = "".join(self.said), []
        return said.strip()


class SettingUp:
    """One time of setting up `items`, for a cell; `over` is called once, when all were tried."""

    def __init__(
        self,
        means: commands.Means,
        items: Sequence[Item],
        cell: Execution,
        over: Callable[[], None],
    ) -> None:
        self._means, self._keeping, self._cell, self._over = means, means.keeping, cell, over
        self._items = list(items)
        self._hushed = Hushed(cell, as_magics(items))
        self._lines: list[str] = []
        self.undone: list[Item] = []
        self._has_refused = False
        self._deadline = time.monotonic() + _PATIENCE
        target = means.target
        assert target.process is not None
        self._process = target.process
        self._attachment = target.attachment

    def begin(self) -> None:
        """Do the first, and the others after it."""
        self._record = self._means.recorder.begin(
            self._hushed.code, self._process, commands=[item.command for item in self._items]
        )
        self._items.sort(key=lambda item: item.slot != BINDING)  # the others are seen from there
        self._next()

    def _next(self) -> None:
        if not self._items:
            self._end()
            return
        item = self._items.pop(0)
        if not self._is_there():
            self._fail(item, _GONE)
        elif self._has_refused:
            self._fail(item, "nobody has said yes to it")
        elif item.trouble or refusal(item):
            self._fail(item, item.trouble or refusal(item))
        elif item.line is not None:
            self._look(item)
        elif item.command == "%%patch":
            self._compare(item)
        elif item.command == "%watch":
            self._seek_names(item)
        else:
            self._do(item, item, "")

    def _is_there(self) -> bool:
        return self._means.target.attachment is self._attachment and self._means.target.is_there

    # -- is it still what it was?

    def _look(self, item: Item) -> None:
        """On a thread, find the line again on which it was set."""
        assert item.line is not None
        line = item.line
        look_up(
            self._means.target.reactor,
            lambda: find_again(line, Sources(self._process.pid)),
            lambda number: self._do_at(item, number),
            lambda error: self._fail(item, str(error)),
        )

    def _do_at(self, item: Item, number: int) -> None:
        line = item.line
        assert line is not None
        if number == line.number:
            self._do(item, item, "")
            return
        if item.command == "%break":
            from .commands.debugging import place_in

            begin, end = place_in(item.argument)
        else:
            begin, end = 0, len(item.argument)
        where = item.argument[begin:end]
        moved = re.sub(rf"{line.number}(\"?)$", rf"{number}\1", where)
        argument = item.argument[:begin] + moved + item.argument[end:]
        self._do(item, item._replace(argument=argument), f"the line was {line.number} before")

    def _compare(self, item: Item) -> None:
        """Is the function that it is to replace the same one? And are the names there that the
        patch uses? One that only the notebook had would fail in the midst of the program.
        """
        function = item.argument.split(maxsplit=1)[0]
        try:
            names = names_used(item.argument.partition("\n")[2])
        except Changed as error:
            self._fail(item, str(error))
            return

        def compared(answer: Content) -> None:
            if "refused" in answer and self._may_come():
                self._later(lambda: self._compare(item))
            elif why := _why_not(item, function, answer):
                self._fail(item, why)
            else:
                self._do(item, item, "")

        self._ask("original", compared, function=function, names=names)

    def _seek_names(self, item: Item) -> None:
        """What is watched is evaluated with the names that cells see: are they there?"""
        try:
            names = names_used(without_place(item.argument)[0])
        except Changed as error:
            self._fail(item, str(error))
            return

        def sought(answer: Content) -> None:
            if not answer.get("found"):
                self._fail(item, f"cells don't see {names[0]} here: import or define it first")
            else:
                names.pop(0)
                seek()

        def seek() -> None:
            if names:
                self._ask("inspect", sought, code=names[0], cursor=len(names[0]), detail=0)
            else:
                self._do(item, item, "")

        seek()

    def _ask(self, about: str, answered: Callable[[Content], None], **details: Any) -> None:
        attachment = self._means.target.attachment
        assert attachment is not None
        attachment.ask(about, answered, **details)

    # -- doing it

    def _do(self, was: Item, item: Item, note: str) -> None:
        """Carry it out by its own command; where that can't find yet what it needs, later."""

        def done(error: LiveKernelError | Content | None) -> None:
            if _name_of(error) in _NOT_THERE_YET and self._may_come():
                self._hushed.take()
                self._later(lambda: self._next_again(was))
            elif error is not None:
                self._has_refused |= isinstance(error, NotConfirmed)
                self._fail(was, _reason(error))
            else:
                self._keep(item, lambda: self._succeed(item, note))

        if not self._is_there():
            self._fail(was, _GONE)
            return
        if _OF_IPYTHON.fullmatch(item.command):
            self._means.in_target.run(item.magic, self._hushed, done, Reach.RUNS, item.command)
            return
        command = commands.COMMANDS[item.command](self._means)

        def run() -> None:
            try:
                command.run(item.argument, self._hushed, done)
            except LiveKernelError as error:
                done(error)

        reach = command.reach_of(item.argument)
        self._means.in_target.guarding.let(item.command, reach, self._hushed, run, done)

    def _next_again(self, item: Item) -> None:
        self._items.insert(0, item)
        self._next()

    def _may_come(self) -> bool:
        is_young = self._process.uptime < _YOUNG
        return self._is_there() and is_young and time.monotonic() < self._deadline

    def _later(self, what: Callable[[], None]) -> None:
        self._means.target.reactor.later(_PAUSE, what)

    def _keep(self, item: Item, go_on: Callable[[], None]) -> None:
        if _OF_IPYTHON.fullmatch(item.command):
            self._keeping.ran(item.magic)
            go_on()
            return
        if item.source:
            self._keeping.replaces(item.argument.split(maxsplit=1)[0], item.source)
        self._keeping.after(item.command, item.argument, self._hushed, go_on)

    def _succeed(self, item: Item, note: str) -> None:
        said = self._hushed.take().replace("\n", "\n      ")
        told = f" ({note})" * bool(note)
        self._lines.append(f"  ✓ {item.title}{told}")
        if said and item.command in ("%break", "%%patch"):
            self._lines.append(f"      {said}")
        self._next()

    def _fail(self, item: Item, why: str) -> None:
        self._hushed.take()
        self.undone.append(item)
        self._lines.append(f"  ✗ {item.title}: {why}")
        self._next()

    def _end(self) -> None:
        self._hushed.is_over = True
        self._means.target.setup.put_off(self.undone)
        self._means.target.setup.is_told = True
        done = len([line for line in self._lines if line.startswith("  ✓")])
        whole = done + len(self.undone)
        count = f"{done} of {whole} things" if self.undone else f"{whole} thing{'s' * (whole > 1)}"
        head = f"The kernel has set up again {count} in pid {self._process.pid}:"
        self._cell.note("\n".join([head, *self._lines]))
        self._means.recorder.end(self._record, "ok" if not self.undone else "error")
        self._over()


def _why_not(item: Item, function: str, answer: Content) -> str:
    """Why a patch can't be put there again; empty if it can."""
    if "refused" in answer:
        return str(answer["refused"])
    if not item.source or not answer.get("source"):
        return f"there is no source of {function} to compare"
    if answer["source"] != item.source:
        return f"the source of {function} has changed: patch it anew if it still fits"
    absent = ", ".join(answer["absent"])
    return f"it uses {absent}, which the notebook had, and which is gone" if absent else ""


def _name_of(error: LiveKernelError | Content | None) -> str:
    return str(error.get("ename", "")) if isinstance(error, dict) else ""


def _reason(error: LiveKernelError | dict[str, Any]) -> str:
    text = str(error.get("evalue", "")) if isinstance(error, dict) else str(error)
    return " ".join(text.split())
