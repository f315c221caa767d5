"""Which program a kernel is meant for, before anyone types `%attach`.

Runs in the launcher. Rule: a choice is only text and where it came from; what
it means is found out when it is used, for processes come and go.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..attach import processes, supervised
from ..attach.processes import Process
from ..attach.verdicts import title
from ..errors import LiveKernelError, TargetNotFound
from ..plain import plain
from ..records import NamedTuple
from .ownership import is_ours, text_of_ours, write_whole
from .rails import NO_RAILS, Rails

VARIABLE = "LIVE_KERNEL_TARGET"
"""The program to attach to: a pid, or text of exactly one command line."""

_IN_SIGHT = ("%attach", "the prompt", "the caller")
"""Sources of which nobody needs to be reminded: they have just said it."""

MEANT = "LIVE_KERNEL_MEANT"
"""The variable in which a kernelspec for one process tells of it, as JSON (`server/specs.py`)."""

ENDED = " (ended)"
"""What stands behind the title of a kernelspec whose process has gone."""


class Choice(NamedTuple):
    """A pid, or text of exactly one attachable process's command line.

    `source` says who chose, in words. A choice from memory also knows the
    `start_time` of the process (clock ticks since boot), since pids come again.
    `wake`: it is to be woken if it is blocked. `rails`: what was asked for with it.
    `command`: its command line or, where that is not known, its name alone; empty for neither.
    """

    text: str
    source: str
    start_time: int | None = None
    pattern: str = ""
    pinned: bool = False
    wake: bool = False
    rails: Rails = NO_RAILS
    command: tuple[str, ...] = ()

    def resolve(self) -> Process:
        """The process that is meant. Raises LiveKernelError, naming a source out of sight."""
        try:
            return self._find()
        except LiveKernelError as error:
            if self.source not in _IN_SIGHT:
                error.args = (f"{plain(self.source)}: {error}",)
            raise

    def _find(self) -> Process:
        try:
            process = named(self.text)
        except TargetNotFound as error:
            if self.command:
                raise TargetNotFound(error.pid, f"pid {error.pid}{self._ended()}", _NAME) from None
            raise
        if self.start_time not in (None, process.start_time):
            before = f"pid {process.pid} is another process now; the one before"
            raise TargetNotFound(process.pid, f"{before}{self._ended()}", _NAME)
        return process

    def _ended(self) -> str:
        what = f" ({title(self.command, self.command[0])})" if self.command else ""
        return f"{what} has ended"


_NAME = "Name another program with %attach PID or %attach TEXT."


def named(text: str) -> Process:
    """The attachable process with this pid, supervised under this name, or with this text in its
    command line.

    Raises NoTarget or a NotAttachable error.
    """
    pid = as_pid(text)
    if pid is not None:
        return processes.identify(pid)
    process = supervised.present(text) if supervised.NAME.fullmatch(text) else None
    return processes.matching(text) if process is None else processes.identify(process.pid)


def as_pid(text: str) -> int | None:
    """The pid that a text is. None for another, and for twenty digits: that is no pid anywhere,
    and of many more Python refuses to make a number.
    """
    return int(text) if text.isdecimal() and len(text) < 20 else None


class Memory:
    """What this kernel was attached to, kept beside its connection file over restarts."""

    def __init__(self, connection_file: Path) -> None:
        self._file = connection_file.with_suffix(".live-kernel")

    def remember(self, process: Process, text: str, pinned: bool, rails: Rails = NO_RAILS) -> None:
        """Keep this choice for the next launcher with the same connection file, if it can be."""
        kept = {"text": str(process.pid), "start_time": process.start_time}
        kept["command"] = process.cmdline
        record = json.dumps({**kept, "pattern": text, "pinned": pinned, "rails": rails})
        with contextlib.suppress(OSError):
            write_whole(self._file, record)

    def recall(self, pinned: bool) -> Choice | None:
        """The choice kept, if it was (not) pinned by `%attach`, as asked.

        A process chosen by its command line is sought by it again when it has ended.
        """
        try:
            record = json.loads(text_of_ours(self._file))
        except (OSError, ValueError, RecursionError):
            return None
        match record:
            case {"text": str(text), "start_time": int(start_time), "pattern": str(pattern)} if (
                text and pattern
            ):
                choice = Choice(text, "attached before the restart", start_time, pattern, pinned)
                choice = choice._replace(
                    rails=_kept_rails(record.get("rails")), command=_words(record.get("command"))
                )
            case _:
                return None
        if record.get("pinned") is not pinned:
            return None
        if not pattern.isdecimal() and not _is_alive(choice):
            return choice._replace(text=pattern, start_time=None)
        return choice

    def forget(self) -> None:
        """This kernel ends, or was detached on purpose."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def forget_dead(directory: Path) -> None:
    """Remove what launchers that were killed have kept beside connection files that are gone."""
    with contextlib.suppress(OSError):
        for file in directory.glob("*.live-kernel"):
            is_mine = file.lstat().st_uid == os.geteuid()
            if is_mine and not file.with_suffix(".json").exists():
                file.unlink(missing_ok=True)


def _kept_rails(kept: object) -> Rails:
    """What a launcher has kept. What is not understood, of another version's, only looks."""
    match kept:
        case None:
            return NO_RAILS
        case [str(observe), str(confirm), int() | float() as idle, str(idle_by), str(), str()]:
            return Rails(observe, confirm, float(idle), idle_by)
    return Rails(observe="%attach before the restart")


def _is_alive(choice: Choice) -> bool:
    try:
        choice.resolve()
    except LiveKernelError:
        return False
    return True


def from_environment(environment: Mapping[str, str]) -> Choice | None:
    """The variable LIVE_KERNEL_TARGET: a pid, or text."""
    text = environment.get(VARIABLE, "").strip()
    return Choice(text, VARIABLE) if text else None


def from_notebook(environment: Mapping[str, str]) -> Choice | None:
    """The notebook's metadata: `{"live_kernel": {"target": "orders-service"}}`."""
    path, metadata = notebook_metadata(environment)
    try:
        target = metadata["live_kernel"]["target"]
    except (KeyError, TypeError):
        return None
    text = str(target).strip() if type(target) in (str, int) else ""
    return Choice(text, f"the metadata of {path.name}") if text else None


def notebook_metadata(environment: Mapping[str, str]) -> tuple[Path, Any]:
    """The notebook and its metadata. Jupyter Server tells its path in JPY_SESSION_NAME.

    No metadata where there is no notebook, or others could have written it: they don't say what
    root's kernel does.
    """
    path = Path(environment.get("JPY_SESSION_NAME", ""))
    if path.suffix != ".ipynb":
        return path, None
    try:
        if not is_ours(path.stat()):
            return path, None
        return path, json.loads(path.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return path, None


def from_kernelspec(given: Choice | None, environment: Mapping[str, str]) -> Choice | None:
    """What the command line says, with what a kernelspec for one process tells of that.

    A notebook keeps no more than the kernelspec's name and title. Where those are all that is
    known, and the process that has the pid now goes by another title, it is not the one.
    """
    try:
        told = json.loads(environment.get(MEANT, ""))
    except (ValueError, RecursionError):
        return given
    match told:
        case {
            "kernelspec": str(name),
            "pid": int(pid),
            "title": str(now),
            "remembered": is_sure,
        } if given is not None and given.text == str(pid):
            choice = given._replace(source=_OF_KERNEL, command=_words(told.get("command")))
            before = "" if is_sure is True else _title_before(name, environment)
            if before and before != now:
                return choice._replace(start_time=0, command=(before,))
            return choice
    return given


_OF_KERNEL = "This kernel's program"


def _title_before(kernelspec: str, environment: Mapping[str, str]) -> str:
    """How the program of a notebook with this kernelspec was called when that was saved."""
    _, metadata = notebook_metadata(environment)
    match metadata:
        case {"kernelspec": {"name": str(name), "display_name": str(title)}} if name == kernelspec:
            return title.rpartition(" · pid ")[0].removesuffix(ENDED)
    return ""


def _words(found: object) -> tuple[str, ...]:
    return tuple(word for word in found if isinstance(word, str)) if isinstance(found, list) else ()


def first_choice(
    given: Choice | None, environment: Mapping[str, str], memory: Memory
) -> Choice | None:
    """The choice that holds when a kernel starts; `given` is the command line's.

    What `%attach` pinned comes before everything, since it was said last.
    """
    sources: list[Callable[[], Choice | None]] = [
        lambda: memory.recall(pinned=True),
        lambda: from_kernelspec(given, environment),
        lambda: from_environment(environment),
        lambda: from_notebook(environment),
        lambda: memory.recall(pinned=False),
    ]
    return next((choice for source in sources if (choice := source()) is not None), None)
