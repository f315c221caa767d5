"""The extension as Jupyter Server loads it: its settings, and what it adds to the server.

Runs in Jupyter Server, on its event loop. Rule: a server that this can't be added to runs on
without it; and what was added is taken away with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp, ExtensionAppJinjaMixin
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Float, Integer, TraitError, Unicode, default, validate

from ..errors import LiveKernelError
from .attached import Attached
from .handlers import HANDLERS
from .listing import Listing
from .opening import NoFrontEnd
from .remembered import Remembered
from .specs import BASE, LiveSpecs, meant_by

_HERE = Path(__file__).parent

_ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"

_SETTLED_AFTER = 1.0
"""Seconds after a kernel's start at which its session is known, with the notebook's path."""


class LiveKernel(ExtensionAppJinjaMixin, ExtensionApp):
    """Running Python processes, to pick one and attach to it."""

    name = "live_kernel"
    extension_url = "/live-kernel"
    load_other_extensions = True
    enabled = Bool(True, help="Whether this server offers running processes at all.").tag(
        config=True
    )
    max_specs = Integer(
        20, min=0, help="So many running processes have a kernelspec, and a card, at most."
    ).tag(config=True)
    max_ended = Integer(
        5, min=0, help="So many processes that have ended keep one, for notebooks saved with them."
    ).tag(config=True)
    match = Unicode(
        "", help="A regular expression: only command lines in which it is found have a kernelspec."
    ).tag(config=True)
    fresh_for = Float(
        1.0, min=0.1, help="Seconds for which a look at the machine is good for all who ask."
    ).tag(config=True)

    @default("static_paths")
    def _default_static_paths(self) -> list[str]:
        return [str(_HERE / "static")]

    @default("template_paths")
    def _default_template_paths(self) -> list[str]:
        return [str(_HERE / "templates")]

    @validate("match")
    def _check_match(self, proposal: Any) -> str:
        try:
            re.compile(proposal["value"])
        except re.error as error:
            raise TraitError(f"LiveKernel.match is no regular expression: {error}") from None
        return str(proposal["value"])

    @property
    def server(self) -> ServerApp:
        assert self.serverapp is not None
        return self.serverapp

    def initialize(self) -> None:  # type: ignore[override] # as ExtensionApp has it
        if not self.enabled:
            self.log.info("live-kernel: LiveKernel.enabled is false; no processes are offered")
            return
        super().initialize()  # type: ignore[no-untyped-call]

    def initialize_settings(self) -> None:
        """Begin to look, and have the server's kernelspecs follow."""
        app = self.server
        known = Remembered(Path(jupyter_data_dir(), "live-kernel"))
        pattern = re.compile(self.match)
        manager = app.kernel_spec_manager
        assert manager is not None  # the server has made one by now
        self._specs = LiveSpecs(manager, known, self.max_specs, self.max_ended, pattern)
        self.listing = Listing(self.fresh_for)
        self.attached = Attached(app, known)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_remote = _runs_kernels_elsewhere(app)
        if self._is_remote:
            self.log.info("live-kernel: kernels of this server run elsewhere; none are offered")
            return
        self._specs.wrap(self.listing)
        self.listing.begin()
        with contextlib.suppress(Exception):  # of a server without such events
            events: Any = app.event_logger
            events.add_listener(schema_id=_ACTIONS, listener=self._on_action)

    def initialize_handlers(self) -> None:
        self.handlers.extend(HANDLERS)

    async def stop_extension(self) -> None:
        """The server ends."""
        if self.enabled:
            self._specs.unwrap()
            self.listing.close()

    def name_of(self, pid: int, start_time: int) -> str:
        """The name of the kernelspec for this process."""
        return self._specs.name_of(pid, start_time)

    def check_offers(self) -> None:
        """Raises LiveKernelError where the server starts no kernels of ours."""
        if self._is_remote:
            raise NoFrontEnd(
                "The kernels of this server run on another machine (a gateway), not here.",
                "Start a Jupyter Server of your own on this machine, without the gateway.",
            )
        if not self._specs.is_offered():
            raise LiveKernelError(
                f"This server does not offer the kernel {BASE}.",
                "Install it (live-kernel install), or allow it: "
                "c.KernelSpecManager.allowed_kernelspecs.",
            )

    async def _on_action(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """A kernel of this server was started, restarted, interrupted or shut down."""
        if data.get("action") == "start" and meant_by(str(data.get("kernel_name", ""))):
            task = asyncio.ensure_future(self._remember())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _remember(self) -> None:
        """At once, lest the server end before; and again, once it is known for which notebook."""
        await self.attached.remember()
        await asyncio.sleep(_SETTLED_AFTER)
        await self.attached.remember()


def _runs_kernels_elsewhere(app: ServerApp) -> bool:
    from jupyter_server.gateway.gateway_client import GatewayClient
    from jupyter_server.gateway.managers import GatewayKernelSpecManager

    if isinstance(app.kernel_spec_manager, GatewayKernelSpecManager):
        return True
    return bool(GatewayClient.instance(parent=app).gateway_enabled)
