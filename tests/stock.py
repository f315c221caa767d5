"""A stock ipykernel, to compare with: what it publishes for a cell.

Runs in pytest. Rule: it runs in an environment with the same packages as the
target with which it is compared.
"""

from __future__ import annotations

import sys
from typing import Any, Self

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from kernels import PATIENCE, Cell, is_note

Shown = tuple[str, dict[str, Any], dict[str, Any]]
"""The kind of a message, and its data and metadata by MIME type."""

KINDS = ("execute_result", "display_data", "update_display_data")


class _Specs(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name=kernel_name, language="python")


class Stock:
    """A kernel of ipykernel's own; use it in a `with` block."""

    def __enter__(self) -> Self:
        self._manager = KernelManager(kernel_name="stock", kernel_spec_manager=_Specs())
        self._manager.start_kernel()
        self._client = self._manager.client()
        try:
            self._client.start_channels(hb=False)
            self._client.wait_for_ready(timeout=PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.context.destroy(linger=0)

    def run(self, code: str) -> tuple[str, list[Shown]]:
        """The status of a cell, and what it showed."""
        shown: list[Shown] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] in KINDS:
                shown.append((message["msg_type"], content["data"], content["metadata"]))

        reply = self._client.execute_interactive(
            code, output_hook=take, allow_stdin=False, timeout=60
        )
        return reply["content"]["status"], shown


def shown_by(cell: Cell) -> list[Shown]:
    """What one of our own cells showed, without the kernel's own notes."""
    return [
        (message["msg_type"], message["content"]["data"], message["content"]["metadata"])
        for message in cell.messages
        if message["msg_type"] in KINDS and not is_note(message["content"]["data"])
    ]
