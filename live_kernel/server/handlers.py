"""The JSON API and the page of the extension.

Runs on the event loop of Jupyter Server. Who asks is known to the server, and may do what its
authorizer allows on `kernels`, and to open something, on `contents` as well. Rule: what a
process calls itself leaves here as plain text, in JSON; the page puts it in as text.
"""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.extension.handler import ExtensionHandlerJinjaMixin, ExtensionHandlerMixin
from tornado import web

from ..attach import proc
from ..errors import LiveKernelError, NotAttachable
from ..plain import on_one_line
from . import opening
from .attached import Kernel
from .listing import Program

if TYPE_CHECKING:
    from .app import LiveKernel

_LONGEST = 4000
"""Characters of a command line."""

_AUTH_RESOURCE = "kernels"

_OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'"
)
"""The page needs no more than its own two files and the API."""


class _Api(ExtensionHandlerMixin, APIHandler):
    """What answers of the API have in common."""

    auth_resource = _AUTH_RESOURCE

    @property
    def live(self) -> LiveKernel:
        return cast("LiveKernel", self.extensionapp)

    def answer(self, content: dict[str, Any]) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(content))

    def refuse(self, status: int, message: str, remedy: str = "") -> None:
        self.set_status(status)
        self.answer({"message": message, "remedy": remedy})

    def model(self, program: Program, kernels: list[Kernel]) -> dict[str, Any]:
        """One process, as front-ends get it."""
        process, error = program.process, program.candidate.error
        return {
            "pid": process.pid,
            "started": program.started,
            "name": program.name,
            "command": on_one_line(" ".join(process.cmdline) or process.name)[:_LONGEST],
            "user": process.username,
            "python": process.version_text or None,
            **program.usage._asdict(),
            "attachable": error is None,
            "reason": program.candidate.reason or None,
            "remedy": error.remedy if error else None,
            "guard": program.rails._asdict(),
            "kernelspec": self.live.name_of(process.pid, process.start_time),
            "kernels": [each.id for each in kernels if each.pid == process.pid],
        }


class Processes(_Api):
    """`GET processes`: those that can be attached to; with `?all=1` also those that can't."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        everything = self.get_query_argument("all", "") not in ("", "0", "false")
        look, kernels = await self.live.listing.look(), await self.live.attached.kernels()
        shown = [each for each in look.programs if everything or each.candidate.attachable]
        warning = look.warning
        self.answer(
            {
                "processes": [self.model(each, kernels) for each in shown],
                "user": getpass.getuser(),
                "hidden": len(look.programs) - len(shown),
                "warning": None
                if warning is None
                else {"message": str(warning), "remedy": warning.remedy},
            }
        )


class OneProcess(_Api):
    """`GET processes/PID`: that one, whatever it is, and its children."""

    @web.authenticated
    @authorized
    async def get(self, pid: str) -> None:
        try:
            program = await self.live.listing.program(int(pid))
        except NotAttachable as error:
            self.refuse(404, str(error), error.remedy)
            return
        kernels = await self.live.attached.kernels()
        self.answer(self.model(program, kernels) | {"children": proc.children(int(pid))})


class Kernels(_Api):
    """`GET kernels`: which kernels of this server are in which process."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        kernels = [each._asdict() for each in await self.live.attached.kernels()]
        self.answer({"kernels": kernels})


class Open(_Api):
    """`POST open`: a notebook or a console for a process."""

    @web.authenticated
    @authorized(action="execute", resource="kernels")  # type: ignore[untyped-decorator]
    @authorized(action="write", resource="contents")  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        match self.get_json_body():
            case {"pid": int(pid), **more} if not isinstance(pid, bool):
                kind, directory = more.get("kind", "notebook"), more.get("directory", "")
            case _:
                kind = ""
        if kind not in opening.KINDS or not isinstance(directory, str):
            self.refuse(400, 'Wanted: {"pid": 4242, "kind": "notebook" or "console"}.')
            return
        try:
            opened = await self._open(pid, kind, directory)
        except NotAttachable as error:
            self.refuse(404 if error.kind == "gone" else 409, str(error), error.remedy)
        except LiveKernelError as error:
            self.refuse(409, str(error), error.remedy)
        else:
            self.answer(opened._asdict())

    async def _open(self, pid: int, kind: str, directory: str) -> opening.Opened:
        program = await self.live.listing.program(pid)
        if program.candidate.error is not None:
            raise program.candidate.error
        self.live.check_offers()
        kernelspec = self.live.name_of(pid, program.process.start_time)
        if kind == "console":
            return await opening.console(self.live.server, program, kernelspec)
        return await opening.notebook(self.live.server, program, kernelspec, directory)


class Page(ExtensionHandlerMixin, ExtensionHandlerJinjaMixin, JupyterHandler):
    """`/live-kernel`: the processes, for Notebook 7 and plain browsers."""

    auth_resource = _AUTH_RESOURCE

    @property
    def content_security_policy(self) -> str:
        return f"{super().content_security_policy}; {_OWN_POLICY}"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        assert self.xsrf_token  # asking for it has the cookie set, which the page sends back
        self.finish(self.render_template("live-kernel.html"))


HANDLERS = [
    (r"/live-kernel/?", Page),
    (r"/live-kernel/api/processes", Processes),
    (r"/live-kernel/api/processes/([1-9]\d{0,9})", OneProcess),
    (r"/live-kernel/api/kernels", Kernels),
    (r"/live-kernel/api/open", Open),
]
