"""The extension of Jupyter Server: processes to pick from, where notebooks are opened.

Runs in Jupyter Server, which imports it where its configuration names it
(`live-kernel.json`, installed with the wheel); nothing else does. Rule: the server's event
loop never waits for a look at the machine; those are taken on a thread.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """As Jupyter Server asks for it: https://jupyter-server.readthedocs.io, "extensions"."""
    from .app import LiveKernel

    return [{"module": __name__, "app": LiveKernel}]
