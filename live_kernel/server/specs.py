"""Kernelspecs that follow the running processes: `live-attach-4242`, "orders-service · pid 4242".

Runs on the event loop of Jupyter Server. Whatever kernelspec manager the server has keeps its
class and its configuration; its three ways to ask for kernelspecs answer with ours beside its
own, which are made from what it says of `live-attach`. Where it offers no such kernel, because
it is not installed or not allowed, there are none of ours.
Rule: what the manager says by itself is never changed, and never waited for where it was not.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from ..attach import naming, proc, processes
from ..errors import LiveKernelError
from ..launcher import guards
from ..launcher.choosing import ENDED, MEANT
from ..plain import on_one_line
from ..records import NamedTuple
from .listing import Listing, Look, Program, title_of
from .remembered import Record, Remembered, boot, within

BASE = "live-attach"
_NAME = re.compile(rf"{BASE}-([1-9]\d{{0,9}})(?:-(\d{{1,18}}))?")

_ALIKE = 3
"""Programs of one title that are listed before any of other titles is left out."""

_TAIL = 1 << 16
"""Bytes at the end of a notebook in which its metadata stand."""

_is_inside: ContextVar[bool] = ContextVar("live_kernel_is_inside", default=False)
"""The manager asks itself, for an answer of its own: it is not to meet ours there."""


class Meant(NamedTuple):
    """Which process a kernelspec is for. `start_time`: in clock ticks after the boot `boot`; None
    where only the pid is known. `command`: empty where it is not.
    """

    pid: int
    start_time: int | None
    boot: str
    command: tuple[str, ...]
    title: str
    is_remembered: bool = False

    @property
    def display_name(self) -> str:
        return f"{self.title} · pid {self.pid}"

    @property
    def started(self) -> float | None:
        """In seconds of the epoch, if it began since the system did."""
        if self.start_time is None or self.boot != boot():
            return None
        return proc.started_at(self.start_time)

    def as_metadata(self) -> dict[str, Any]:
        """What the kernelspec's metadata hold under `live_kernel`."""
        return {
            "pid": self.pid,
            "started": self.started,
            "command": on_one_line(" ".join(self.command)),
        }


class Specs(dict[str, Any]):
    """All kernelspecs, for those who can't wait; who awaits it gets them with a fresh look."""

    def __init__(self, found: dict[str, Any], fresh: Callable[[], Awaitable[dict[str, Any]]]):
        super().__init__(found)
        self._fresh = fresh

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        return self._fresh().__await__()


class LiveSpecs:
    """Adds our kernelspecs to those of one manager.

    `most`, `most_ended`: so many are listed at most, of running and of ended programs;
    `pattern`: only those whose command line it is found in.
    """

    def __init__(
        self,
        manager: KernelSpecManager,
        remembered: Remembered,
        most: int,
        most_ended: int,
        pattern: re.Pattern[str],
    ) -> None:
        self._manager, self._remembered = manager, remembered
        self._most, self._most_ended, self._pattern = most, most_ended, pattern
        self._offer: dict[str, Meant] = {}
        self._listing: Listing | None = None
        self._find, self._all, self._get = (getattr(manager, name) for name in _ASKED)

    def wrap(self, listing: Listing) -> None:
        """From now on the manager's answers hold ours, as this listing has them."""
        self._listing, listing.on_look = listing, self.take
        for name, answer in zip(_ASKED, (self._names, self._specs, self._spec), strict=True):
            setattr(self._manager, name, answer)

    def unwrap(self) -> None:
        """Have it answer by itself again."""
        for name in _ASKED:
            vars(self._manager).pop(name, None)

    # -- what the manager is asked ------------------------------------------------------

    def _names(self) -> Any:
        """Names, with the directories of their resources."""
        if _is_inside.get():
            return self._find()
        return _then(_inside(self._find), self._with_names)

    def _with_names(self, found: dict[str, str]) -> dict[str, str]:
        directory = found.get(BASE)
        ours = {} if directory is None else dict.fromkeys(self._offered(), directory)
        return found | {name: each for name, each in ours.items() if name not in found}

    def _specs(self) -> Any:
        """All kernelspecs. Where the manager's own answer is at once, ours is too."""
        if _is_inside.get():
            return self._all()
        found = _inside(self._all)
        if inspect.isawaitable(found):
            return self._fresh(found)
        return Specs(self._with_specs(found), lambda: self._fresh(_at_once(found)))

    async def _fresh(self, found: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        specs = await found
        if self._listing is not None and BASE in specs:
            await self._listing.look()
        return self._with_specs(specs)

    def _with_specs(self, found: dict[str, Any]) -> dict[str, Any]:
        base = found.get(BASE, {})
        if not {"spec", "resource_dir"} <= base.keys():
            return found
        ours = {
            name: {"resource_dir": base["resource_dir"], "spec": _made(base["spec"], name, meant)}
            for name, meant in self._offered().items()
        }
        return found | {name: each for name, each in ours.items() if name not in found}

    def _spec(self, kernel_name: str) -> Any:
        """One kernelspec: for a process that runs, that ran, or of which only the pid is known."""
        if _is_inside.get() or not _NAME.fullmatch(kernel_name):
            return self._get(kernel_name)
        try:
            found = _inside(self._get, kernel_name)
        except NoSuchKernel:
            return _then(_inside(self._get, BASE), lambda base: self._like(base, kernel_name))
        return self._awaited(found, kernel_name) if inspect.isawaitable(found) else found

    async def _awaited(self, found: Awaitable[KernelSpec], name: str) -> KernelSpec:
        try:
            return await found
        except NoSuchKernel:
            return self._like(await _waited(_inside(self._get, BASE)), name)

    def _like(self, base: KernelSpec, name: str) -> KernelSpec:
        spec = copy.copy(base)
        made = _made(base.to_dict(), name, self.meant(name))
        spec.name = name
        for key in ("argv", "env", "display_name", "metadata"):
            setattr(spec, key, made[key])
        return spec

    def is_offered(self) -> bool:
        """Does the manager offer the kernel at all?"""
        try:
            found = _inside(self._find)
        except Exception:  # whatever class it is of
            return False
        if inspect.isawaitable(found):
            found.close()  # type: ignore[attr-defined]
            return True
        return BASE in found

    # -- which processes those are ------------------------------------------------------

    def name_of(self, pid: int, start_time: int) -> str:
        """The kernelspec for this process: another one's, if a notebook's goes by the same pid."""
        name = f"{BASE}-{pid}"
        record = self._remembered.get(name)
        is_its = record is None or (record.start_time == start_time and record.is_of_this_boot)
        return name if is_its else f"{name}-{start_time}"

    def meant(self, name: str) -> Meant:
        """The process for which a kernelspec of ours is. A look at that one alone."""
        record = self._remembered.get(name)
        if record is not None:
            return _of_record(record)
        found = _NAME.fullmatch(name)
        assert found is not None
        pid, ticks = int(found[1]), found[2]
        present = _present(pid)
        if present is not None and ticks in (None, str(present.start_time)):
            return present
        return Meant(pid, int(ticks) if ticks else None, boot(), (), "ended")

    def _offered(self) -> dict[str, Meant]:
        """What is listed, by the last look; the next one begins if that is old."""
        if self._listing is not None:
            self._listing.begin()
        return self._offer

    def take(self, look: Look) -> None:
        """On the listing's thread: choose what is offered from now on."""
        found = {}
        for program in self._chosen(look):
            process = program.process
            meant = Meant(process.pid, process.start_time, boot(), process.cmdline, program.title)
            found[self.name_of(process.pid, process.start_time)] = meant
        self._offer = dict(sorted(found.items(), key=_order)) | self._ended(look)

    def _chosen(self, look: Look) -> list[Program]:
        """Those that somebody may mean: not the hundredth worker of a pool before the others."""
        fitting = [each for each in look.programs if each.candidate.attachable]
        fitting = [each for each in fitting if self._pattern.search(" ".join(each.process.cmdline))]
        return _likely_first(fitting)[: self._most]

    def _ended(self, look: Look) -> dict[str, Meant]:
        """Those that notebooks which are there name, and that have gone.

        A notebook can be opened in JupyterLab without a question only where its kernel is listed.
        """
        there = {(each.process.pid, each.process.start_time) for each in look.programs}
        ended = (
            record
            for record in self._remembered.all().values()
            if not (record.is_of_this_boot and (record.pid, record.start_time) in there)
            and record.path
            and _mentions(Path(record.path), record.name)
        )
        return {
            record.name: _of_record(record)._replace(title=record.title + ENDED)
            for record in itertools.islice(ended, self._most_ended)
        }


_ASKED = ("find_kernel_specs", "get_all_specs", "get_kernel_spec")


def meant_by(name: str) -> bool:
    """Is it the name of a kernelspec of ours, or of the one that they are made from?"""
    return name == BASE or _NAME.fullmatch(name) is not None


def _likely_first(programs: list[Program]) -> list[Program]:
    """The latest first; but late come Jupyter's own servers and kernels, workers like what has
    started them, and more than a few of one title.
    """
    commands = {each.process.pid: each.process.cmdline for each in programs}
    counts: Counter[str] = Counter()
    ranked = []
    for program in sorted(programs, key=lambda each: -each.process.start_time):
        process = program.process
        is_jupyter = any(map(_is_jupyters, process.cmdline[:4]))
        is_worker = commands.get(process.parent) == process.cmdline
        counts[program.title] += not is_worker
        ranked.append(((is_jupyter, is_worker, counts[program.title] > _ALIKE), program))
    return [program for _, program in sorted(ranked, key=lambda each: each[0])]


def _is_jupyters(word: str) -> bool:
    return os.path.basename(word).startswith(("jupyter", "ipykernel"))  # noqa: PTH119 - no path


def _order(item: tuple[str, Meant]) -> tuple[str, int]:
    return item[1].title.lower(), item[1].pid


def _mentions(notebook: Path, kernelspec: str) -> bool:
    """Does the notebook say that it was with this kernelspec?"""
    try:
        with notebook.open("rb") as file:
            file.seek(max(0, notebook.stat().st_size - _TAIL))
            return f'"{kernelspec}"'.encode() in file.read(_TAIL)
    except OSError:
        return False


def _present(pid: int) -> Meant | None:
    """The process that has this pid now."""
    try:
        stat, command = proc.stat(pid), proc.command_line(pid)
    except OSError:
        return None
    if stat.state in "ZX":
        return None
    return Meant(pid, stat.start_time, boot(), command, _title(pid, stat, command))


def _title(pid: int, stat: proc.Stat, command: tuple[str, ...]) -> str:
    """As the listing has it: what its guard calls it, too."""
    try:
        process = processes.found_again(pid, stat.start_time)
        return title_of(process, guards.understood()[0].of(process))
    except (LiveKernelError, *proc.GONE, PermissionError):
        return naming.short_name(command, stat.name, proc.link(pid, "cwd") or "")


def _of_record(record: Record) -> Meant:
    where = record.pid, record.start_time, record.boot
    return Meant(*where, record.command, record.title, is_remembered=True)


def _made(base: dict[str, Any], name: str, meant: Meant) -> dict[str, Any]:
    """The kernelspec, as JSON: that of `live-attach`, and for which process it is."""
    given = ["--pid", str(meant.pid)]
    if meant.start_time is not None:
        # A process of another boot is never the one that is there now.
        given += ["--start-time", str(meant.start_time if meant.boot == boot() else 0)]
    told = {
        "kernelspec": name,
        "pid": meant.pid,
        "start_time": meant.start_time,
        "boot": meant.boot,
        "command": within(meant.command),
        "title": meant.title.removesuffix(ENDED),
        "remembered": meant.is_remembered,
    }
    # Jupyter puts variables into the values of `env`, and takes two dollars for one.
    variable = json.dumps(told).replace("$", "$$")
    return {
        **base,
        "argv": [*base["argv"], *given],
        "env": {**base.get("env", {}), MEANT: variable},
        "display_name": meant.display_name,
        "metadata": {**base.get("metadata", {}), "live_kernel": meant.as_metadata()},
    }


def told_by(spec: KernelSpec) -> dict[str, Any] | None:
    """For which process a kernelspec of ours is, as `_made` has put it there; None for others."""
    try:
        told = json.loads(spec.env[MEANT].replace("$$", "$"))
    except (KeyError, ValueError, AttributeError):
        return None
    return told if isinstance(told, dict) else None


# -- answers that come at once, or later


def _inside[**P](ask: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
    """Ask the manager, which sees no answers of ours meanwhile, be it now or as it is awaited."""
    token = _is_inside.set(True)
    try:
        found = ask(*args, **kwargs)
    finally:
        _is_inside.reset(token)
    return _inside_later(found) if inspect.isawaitable(found) else found


async def _inside_later(found: Awaitable[Any]) -> Any:
    token = _is_inside.set(True)
    try:
        return await found
    finally:
        _is_inside.reset(token)


def _then(found: Any, change: Callable[[Any], Any]) -> Any:
    """`change` what has been found, or what will be."""

    async def later() -> Any:
        return change(await found)

    return later() if inspect.isawaitable(found) else change(found)


async def _at_once(found: Any) -> Any:
    return found


async def _waited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found
