"""Which kernels of this server are in which process.

Runs on the event loop of Jupyter Server; the kernels themselves are asked on a thread, over
the socket that each has for its followers. Rule: no kernel is sent anything, and one that
does not answer costs the others nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.serverapp import ServerApp

from ..attach import naming, proc
from ..launcher import sessions
from ..records import NamedTuple
from . import remembered, specs
from .remembered import Remembered

_FRESH_FOR = 1.0


class Kernel(NamedTuple):
    """A kernel of this server's that attaches. `state`: as it says itself, "starting" before it
    does. `pid`: of the process that it is in or enters. `path`: of its notebook in the server.
    """

    id: str
    kernelspec: str
    state: str
    pid: int | None
    name: str
    path: str | None


class Said(NamedTuple):
    """What a launcher says of itself; `pid`: of the process that it is in or enters."""

    state: str = "starting"
    pid: int | None = None


class Attached:
    """Asks the kernels of one server, and has it remembered what they were started for."""

    def __init__(self, app: ServerApp, known: Remembered) -> None:
        self._app, self._known = app, known
        self._asked = -_FRESH_FOR
        self._kernels: list[Kernel] = []
        self._asking = asyncio.Lock()

    async def kernels(self) -> list[Kernel]:
        """Those that run, with what they said at most a second ago."""
        async with self._asking:
            if time.monotonic() > self._asked + _FRESH_FOR:
                self._kernels = await self._ask()
                self._asked = time.monotonic()
        return self._kernels

    async def _ask(self) -> list[Kernel]:
        ours = self._ours()
        if not ours:
            return []
        paths = await self._paths()
        pids = {key: _launcher(manager) for key, manager in ours.items()}
        wanted = [pid for pid in pids.values() if pid is not None]
        said, _ = await asyncio.gather(
            asyncio.to_thread(_said, wanted), asyncio.to_thread(self._remember, ours, paths)
        )
        found = []
        for key, manager in ours.items():
            state, pid = said.get(pids[key] or 0, Said())
            name = "" if pid is None else _name(pid)
            found.append(Kernel(key, manager.kernel_name, state, pid, name, paths.get(key)))
        return found

    def _ours(self) -> dict[str, Any]:
        """The managers of kernels that attach, by their ids."""
        every = self._app.kernel_manager
        found = {}
        for key in every.list_kernel_ids():
            with contextlib.suppress(KeyError):  # it has ended meanwhile
                manager = every.get_kernel(key)
                if specs.meant_by(getattr(manager, "kernel_name", "")):
                    found[key] = manager
        return found

    async def _paths(self) -> dict[str, str]:
        """The path of each kernel's notebook or console, as the server has it."""
        every = await ensure_async(self._app.session_manager.list_sessions())
        return {each["kernel"]["id"]: each["path"] for each in every if each.get("kernel")}

    async def remember(self) -> None:
        """Have it remembered what the kernels that run now were started for."""
        ours = self._ours()
        paths = await self._paths()
        await asyncio.to_thread(self._remember, ours, paths)

    def _remember(self, ours: dict[str, Any], paths: dict[str, str]) -> None:
        """On a thread; what is remembered already is not written again."""
        before = self._known.all()
        records = []
        for key, manager in ours.items():
            told = specs.told_by(manager.kernel_spec)
            record = remembered.of(told, self._file(paths.get(key, ""))) if told else None
            if record is not None and not _is_same(record, before.get(record.name)):
                records.append(record)
        if records:
            self._known.keep(records)

    def _file(self, path: str) -> str:
        """Where a notebook is; empty if this is none, or one that is not kept in files here."""
        root = getattr(self._app.contents_manager, "root_dir", "")
        file = Path(root, path) if root and path.endswith(".ipynb") else None
        return str(file) if file is not None and file.is_file() else ""


def _is_same(record: remembered.Record, before: remembered.Record | None) -> bool:
    if before is None:
        return False
    return before._replace(used=0.0) == record._replace(used=0.0, path=record.path or before.path)


def _launcher(manager: Any) -> int | None:
    """The pid of a kernel's launcher, if it runs on this machine."""
    pid = getattr(getattr(manager, "provisioner", None), "pid", None)
    return pid if isinstance(pid, int) and pid > 0 else None


def _said(pids: list[int]) -> dict[int, Said]:
    """On a thread: what these launchers say of themselves."""
    return {session.pid: _understood(session.about) for session in sessions.all_of_them(pids)}


def _understood(about: dict[str, Any]) -> Said:
    target = about.get("target")
    pid = target.get("pid") if isinstance(target, dict) else None
    return Said(str(about.get("state")), pid if isinstance(pid, int) else None)


def _name(pid: int) -> str:
    try:
        command = proc.command_line(pid)
        return naming.short_name(command, proc.stat(pid).name, proc.link(pid, "cwd") or "")
    except OSError:
        return ""
