"""A notebook or a console for a process, made where the server's front-end opens it.

Runs on the event loop of Jupyter Server. Rule: nothing is made where no front-end is there
that could show it.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from jupyter_core.utils import ensure_async
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join

from ..errors import LiveKernelError
from ..records import NamedTuple
from .listing import Program

LAB, NOTEBOOK = "lab", "notebook"

KINDS = ("notebook", "console")


class Opened(NamedTuple):
    """`path`: in the server; `url`: from the root of the server's host."""

    path: str
    url: str


class NoFrontEnd(LiveKernelError):
    """The server shows no notebooks."""

    kind = "no front-end"


def front_end(app: ServerApp) -> str:
    """What people see of this server: what it was started as, or else what is there.

    Raises NoFrontEnd.
    """
    there = app.extension_manager.extension_points
    started = getattr(app.starter_app, "name", "")
    for name in (started, LAB, NOTEBOOK):
        if name in (LAB, NOTEBOOK) and name in there:
            return str(name)
    raise NoFrontEnd(
        "This Jupyter Server has no front-end for notebooks.",
        "Install jupyterlab or notebook beside it, and start the server again.",
    )


async def notebook(app: ServerApp, program: Program, kernelspec: str, directory: str) -> Opened:
    """A new notebook for this program. Raises NoFrontEnd, HTTPError."""
    shown_by = front_end(app)
    contents: Any = app.contents_manager
    made = await ensure_async(contents.new_untitled(path=directory, type="notebook"))
    model = {"type": "notebook", "format": "json", "content": _content(program, kernelspec)}
    await ensure_async(contents.save(model, made["path"]))
    where = "lab/tree" if shown_by == LAB else "notebooks"
    return Opened(made["path"], _url(app, where, made["path"]))


def _content(program: Program, kernelspec: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "first",
        "source": "",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    spec = {"name": kernelspec, "display_name": display_name(program), "language": "python"}
    metadata = {"kernelspec": spec, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def display_name(program: Program) -> str:
    """As the kernelspec has it."""
    return f"{program.title} · pid {program.process.pid}"


async def console(app: ServerApp, program: Program, kernelspec: str) -> Opened:
    """A console for this program. Raises NoFrontEnd, HTTPError."""
    path = f"console-{kernelspec}"
    if front_end(app) == LAB:
        return Opened(path, _url(app, "lab/workspaces", _workspace(app, program, kernelspec, path)))
    # Notebook 7 takes up the session that has this path.
    session = {"path": path, "name": display_name(program), "type": "console"}
    if not await app.session_manager.session_exists(path):
        await app.session_manager.create_session(**session, kernel_name=kernelspec)
    return Opened(path, _url(app, "consoles", path))


def _workspace(app: ServerApp, program: Program, kernelspec: str, path: str) -> str:
    """Write a workspace of JupyterLab with this console in it, and nothing else; its name.

    No address of Lab's opens a console by itself; a workspace is what Lab restores, and the
    console's part of it are the arguments with which its command is called.
    """
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    lab = app.extension_manager.extension_points[LAB].app
    widget = f"console:{path}"
    dock = {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}
    arguments = {
        "path": path,
        "name": display_name(program),
        "kernelPreference": {"name": kernelspec, "language": "python"},
    }
    data = {
        "layout-restorer:data": {"main": {"dock": dock, "current": widget}},
        widget: {"data": arguments},
    }
    workspace = {"data": data, "metadata": {"id": kernelspec}}
    WorkspacesManager(lab.workspaces_dir).save(kernelspec, json.dumps(workspace))
    return kernelspec


def _url(app: ServerApp, where: str, path: str) -> str:
    return url_path_join(app.base_url, where, *map(_quoted, PurePosixPath(path).parts))


def _quoted(part: str) -> str:
    return quote(part, safe="")
