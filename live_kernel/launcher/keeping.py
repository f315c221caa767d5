"""Keeping in mind what a session sets up, as it does so, so that it can be set up again.

Runs on the launcher's reactor. After a command that sets something up, or ends it, the agent is
asked what stands; before a patch, what it replaces. Rule: only what was done is kept; and what
ends by itself, or was begun with an end of its own, is not set up again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..attach.processes import Process
from .attachment import State
from .execution import Execution
from .reactor import Timer
from .setup import BINDING, Item, SourceLine
from .target import Target

Message = dict[str, Any]
GoOn = Callable[[], None]

_BINDS = ("%frame", "%up", "%down", "%thread", "%task", "%module")
_LASTS = ("%watch", "%trace")
_PATCHES = ("%patch", "%%patch")
_MARKS = {
    "%break": "a breakpoint at ",
    "%watch": "%watch ",
    "%trace": "%trace ",
    "%patch": "%patch ",
    "%%patch": "%patch ",
}
"""How the agent calls what each of these has set up: see its ledger."""

_ENDS = ("%unbreak", "%unwatch", "%untrace", "%unpatch", "%enter")

_LOOK_AFTER = 1.0
"""Seconds after a word of something that lasts, until it is seen whether it still stands."""

_HAS_END = re.compile(r"(?:^|\s)for\s+[\d.]+\s*[a-z]*\s*(?:--beside\s*)?$")
_PLACE_AT = re.compile(r"^(?P<name>\S+)\(\) at (?P<file>.+?):\d+(?:, in (?P<whose>.+))?$")
_MODULE = re.compile(r"^module (?P<name>\S+)")
_LINE = re.compile(r"^(?P<file>.*?):?(?P<number>\d+)$")

_IPYTHON = re.compile(
    r"^%?(?P<name>pdb|xmode|precision)\b[ \t]*(?P<value>\S*)[ \t]*$", re.MULTILINE
)
"""IPython's magics that set something for the rest of a session."""

_OF_THE_NOTEBOOK = (
    "it takes {name}, a function of the notebook, which went with the program: define it, and "
    "patch again"
)
_BY_NUMBER = "it was named by a number, which means another one in another process"


class Keeping:
    """Keeps the set-up of one kernel's target in mind."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.setup = target.setup
        self._replaced: dict[str, str] = {}
        self._timer: Timer | None = None

    # -- commands

    def before(self, name: str, argument: str, go_on: GoOn) -> None:
        """Go on with a command once it is known what it is going to replace."""
        function = argument.split(maxsplit=1)[:1]
        if name not in _PATCHES or not function or self._is_away():
            go_on()
            return

        def found(answer: Message) -> None:
            self.replaces(function[0], answer.get("source", ""))
            go_on()

        self._ask("original", found, function=function[0], names=[])

    def replaces(self, function: str, source: str) -> None:
        """A function that has this source is about to be patched."""
        self._replaced[function] = source

    def after(self, name: str, argument: str, execution: Execution, go_on: GoOn) -> None:
        """A command was done: keep what it has set up, and go on."""
        if self._is_away():
            go_on()
        elif name in _BINDS:
            self._bound(name, argument.strip(), go_on)
        elif name in _MARKS:
            self._begun(name, argument, execution, go_on)
        elif name in _ENDS:
            self._look(go_on)
        else:
            go_on()

    def _is_away(self) -> bool:
        return self._target.state is not State.ATTACHED

    def _ask(self, about: str, answered: Callable[[Message], None], **details: Any) -> None:
        assert self._target.attachment is not None
        self._target.attachment.ask(about, answered, **details)

    def _look(self, go_on: GoOn) -> None:
        """See what still stands."""

        def answered(answer: Message) -> None:
            if "changes" in answer:
                self.setup.keep_standing(answer["changes"])
            go_on()

        self._ask("status", answered)

    # -- where cells look

    def _bound(self, name: str, argument: str, go_on: GoOn) -> None:
        if name == "%frame" and argument in ("", "--default"):
            if argument:
                self.setup.drop_slot(BINDING)
            go_on()
            return

        def answered(answer: Message) -> None:
            binding = answer.get("binding", {})
            process = self._target.present
            if binding and process is not None:
                self.setup.add(_bound_again(name, argument, binding, process))
            go_on()

        self._ask("status", answered)

    # -- what stands

    def _begun(self, name: str, argument: str, execution: Execution, go_on: GoOn) -> None:
        if name in _LASTS and not _is_for_good(argument, execution):
            self._look(go_on)
            return

        def answered(answer: Message) -> None:
            standing = answer.get("changes", [])
            function = (argument.split(maxsplit=1) or [""])[0]
            slot = f"patch {function}" if name in _PATCHES else ""
            older = self.setup.of_slot(slot)
            if older is None:
                self.setup.keep_standing(standing)
                mark = self.setup.new_mark(standing, _MARKS[name])
            else:
                mark = older.mark
            if not mark:
                go_on()
            elif name == "%break":
                self._set(argument, mark, go_on)
            else:
                source = self._replaced.pop(function, "") if older is None else older.source
                self.setup.add(_begun_again(name, argument, slot, mark, source))
                go_on()

        self._ask("status", answered)

    def _set(self, argument: str, mark: str, go_on: GoOn) -> None:
        """A breakpoint was set; on a line, it is seen what that says."""
        from .commands.debugging import place_in

        def answered(answer: Message) -> None:
            begin, end = place_in(argument)
            where = argument[begin:end].strip('"')
            rows = answer.get("rows") or [{}]
            line = self._line(where, str(rows[-1].get("file") or ""))
            again = argument
            if line is not None and ":" not in where:  # of the file that cells see, then
                again = f'{argument[:begin]}"{line.file}:{line.number}"{argument[end:]}'
            self.setup.add(Item("%break", again, mark=mark, line=line))
            go_on()

        self._ask("breaks", answered)

    def _line(self, where: str, file: str) -> SourceLine | None:
        found, process = _LINE.match(where), self._target.present
        if found is None or process is None or not file:
            return None
        return _line_at(process, file, int(found["number"]))

    # -- what ends by itself, and what IPython is told

    def heard(self) -> None:
        """Something that lasts has said a word after its cell's end: it may have been the last."""
        lasts = any(item.command in _LASTS for item in self.setup.items)
        if lasts and self._timer is None:
            self._timer = self._target.reactor.later(_LOOK_AFTER, self._look_on)

    def _look_on(self) -> None:
        self._timer = None
        if not self._is_away():
            self._look(lambda: None)

    def ran(self, code: str) -> None:
        """A cell has run without an error."""
        if "pdb" in code or "xmode" in code or "precision" in code:
            for found in _IPYTHON.finditer(code):
                self._told(found["name"], found["value"])

    def _told(self, name: str, value: str) -> None:
        slot = f"%{name}"
        before = self.setup.of_slot(slot)
        if name == "pdb" and not value:
            value = "off" if before is not None else "on"
        if value in ("", "off", "0") and name == "pdb":
            self.setup.drop_slot(slot)
        else:
            self.setup.add(Item(slot, value, slot))


def _is_for_good(argument: str, execution: Execution) -> bool:
    """Is it begun beside cells, and without an end?"""
    words = argument.split()
    is_beside = "--beside" in words or (execution.notebook is not None and "--here" not in words)
    return is_beside and not _HAS_END.search(argument.strip())


def _begun_again(name: str, argument: str, slot: str, mark: str, source: str) -> Item:
    if name in _LASTS and "--beside" not in argument.split():
        argument = f"{argument.strip()} --beside"
    item = Item(name, argument, slot, mark, source=source)
    if name == "%patch":
        return item._replace(trouble=_OF_THE_NOTEBOOK.format(name=argument.split()[-1]))
    return item


def _line_at(process: Process, file: str, number: int) -> SourceLine | None:
    """What stands there in the source that a process runs."""
    from .evidence import line_at  # few sessions set up anything
    from .sources import Sources

    return line_at(Sources(process.pid), file, number)


def _bound_again(name: str, argument: str, binding: Message, process: Process) -> Item:
    """The command that leads to this place in another process, where numbers mean nothing."""
    item = Item(name, argument, BINDING)
    file, _, number = argument.rpartition(":")
    if name == "%frame" and file and number.isdecimal():
        line = _line_at(process, str(binding.get("file", "")), int(number))
        return item._replace(line=line)
    is_named = not argument[:1].isdigit() and name not in ("%up", "%down")
    if is_named and name != "%module":
        return item
    place = str(binding.get("place", ""))
    if found := _PLACE_AT.match(place):
        return item._replace(command="%frame", argument=found["name"].rpartition("<locals>.")[2])
    if found := _MODULE.match(place):
        return item._replace(command="%module", argument=found["name"])
    return item._replace(trouble=_BY_NUMBER)
