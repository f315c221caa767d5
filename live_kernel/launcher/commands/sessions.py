"""`%session`: what the session has set up, kept with the notebook, shown, and set up again.

Runs on the launcher's reactor; files are read and written on a thread. Rule: only commands are
kept. Values are not: the notebook's own names are gone when the kernel leaves.
"""

from __future__ import annotations

import os
from typing import Any

from ...link import limits
from .. import durations, placing
from ..execution import Done, Execution
from ..guarding import Reach
from ..reactor import look_up
from ..setup import BINDING, Item, as_magics
from .command import Command


class Session(Command):
    """Keep what the session has set up with the notebook, and set it up again.

    That is: where cells look (%frame and its kin), breakpoints, watches without an end, traces,
    patches, %place, %limits, %idle, and %pdb. Names of the notebook's own are not kept. Whatever
    can't be set up as it was (a line or a function has changed) is told, with the reason.

        %session                 what is set up, as magics
        %session show            the same, put into the next cell
        %session save            keep it with the notebook, in a file of yours alone
        %session restore         set up again what was saved, and what the last program had
        %session clear           forget what was saved
        %session save FILE       keep it in this file; restore FILE takes it from there
    """

    usage = "%session [show | save [FILE] | restore [FILE] | clear]"
    words = ("save", "restore", "show", "clear")
    reach = Reach.KERNEL

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        what, _, file = argument.strip().partition(" ")
        if what not in ("", *self.words) or (file and what in ("", "show", "clear")):
            raise self.misused(f"{argument.strip()!r} is not understood.")
        getattr(self, f"_{what or 'list'}")(file.strip(), execution, done)

    def _items(self) -> list[Item]:
        """What is set up; where cells look comes first, as it is when it is set up again."""
        target = self._target
        settings = [Item("%limits", text, "%limits") for text in _of_limits(target.limits)]
        if target.place:
            settings.append(Item("%place", placing.written(target.place), "%place"))
        if target.idle[1] == "%idle":
            span = durations.written(target.idle[0]) if target.idle[0] else "off"
            settings.append(Item("%idle", span.replace(" ", ""), "%idle"))
        return settings + sorted(target.setup.items, key=lambda item: item.slot != BINDING)

    def _all(self) -> list[Item]:
        """The same, and what could not be set up again."""
        return self._items() + self._target.setup.left

    def _list(self, _file: str, execution: Execution, done: Done) -> None:
        execution.print(as_magics(self._items()) or _NOTHING)
        if left := self._target.setup.left:
            execution.print(f"\n{_things(left)} not set up here:\n{as_magics(left)}")
        done(None)

    def _show(self, file: str, execution: Execution, done: Done) -> None:
        text = as_magics(self._all())
        if text:
            first, _, rest = text.partition("\n\n%%")
            payload = {"source": "set_next_input", "text": first, "replace": False}
            execution.add_payload(payload)
            if rest:
                execution.print(f"These take a cell each, below the first:\n\n%%{rest}")
        else:
            execution.print(_NOTHING)
        done(None)

    def _save(self, file: str, execution: Execution, done: Done) -> None:
        from .. import session_files

        items = self._all()
        place = session_files.named(file) if file else session_files.place(os.environ)
        process = self._target.process
        about: dict[str, Any] = {"notebook": session_files.notebook(os.environ)}
        if process is not None:
            about["program"] = list(process.cmdline)

        def saved(_: None) -> None:
            execution.print(f"{_things(items)} saved in {place}. {_NO_NAMES}")
            done(None)

        look_up(self._target.reactor, lambda: session_files.save(place, items, about), saved, done)

    def _restore(self, file: str, execution: Execution, done: Done) -> None:
        from .. import session_files

        left = self._target.setup.left
        place = session_files.named(file) if file else None
        if place is None and (not left or session_files.notebook(os.environ)):
            place = session_files.place(os.environ)

        def load() -> list[Item]:
            try:
                saved = [] if place is None else session_files.load(place)[0]
            except session_files.SessionNotKept:
                if file or not left:
                    raise
                saved = []
            known = {item.magic for item in left}
            return [*left, *(item for item in saved if item.magic not in known)]

        def loaded(items: list[Item]) -> None:
            def attached() -> None:
                self._set_up(items, execution, done)

            if not items:
                execution.print("Nothing was set up.")
                done(None)
            else:
                self._target.setup.take_left()
                self._in_target.when_attached(execution, attached, done)

        look_up(self._target.reactor, load, loaded, done)

    def _set_up(self, items: list[Item], execution: Execution, done: Done) -> None:
        there = {item.magic for item in self._target.setup.items}
        fresh = [item for item in items if item.magic not in there]
        if len(fresh) < len(items):
            execution.print(f"{_things([i for i in items if i not in fresh])} set up already.")
        if fresh:
            self._in_target.set_up_again(fresh, execution, lambda: done(None))
        else:
            done(None)

    def _clear(self, file: str, execution: Execution, done: Done) -> None:
        from .. import session_files

        self._target.setup.take_left()
        place = session_files.place(os.environ)

        def cleared(was_there: bool) -> None:
            execution.print("What was saved is forgotten." if was_there else "Nothing was saved.")
            done(None)

        look_up(self._target.reactor, lambda: session_files.remove(place), cleared, done)


_NOTHING = "Nothing is set up that could be kept."
_NO_NAMES = "The notebook's own names are not kept."


def _things(items: list[Item]) -> str:
    return "1 thing is" if len(items) == 1 else f"{len(items)} things are"


def _of_limits(changed: dict[str, int]) -> list[str]:
    """As `%limits` takes them: all in one where all are off."""
    if changed and all(changed.get(name) == 0 for name in limits.DEFAULTS):
        return ["off"]
    return [f"{name} {limits.written(limit)}" for name, limit in changed.items()]
