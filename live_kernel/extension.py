"""The extensions of Jupyter Server and JupyterLab: where they are switched on.

Runs in the command line. A wheel brings the files that do so; they are written where that did
not get to. Rule: they are switched on only where the server will find the package, or each of
its starts would say that it does not.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .errors import LiveKernelError

_SOURCE = Path(__file__).parent / "server" / "live-kernel.json"
_PLACE = Path("etc/jupyter/jupyter_server_config.d", _SOURCE.name)

_PANEL = Path(__file__).parent / "labextension"
_PANELS_PLACE = Path("share/jupyter/labextensions/live-kernel")

ELSEWHERE = (
    "A Jupyter Server lists running programs if live-kernel is installed in its environment, too:\n"
    "there, pip install live-kernel."
)


def enable(prefix: str | None) -> str:
    """Have the Jupyter Server below `prefix`, or this environment's, list programs.

    Returns what there is to be told. Raises LiveKernelError.
    """
    where = Path(sys.prefix if prefix is None else prefix)
    file = where / _PLACE
    if not _has_package(where):
        return ELSEWHERE
    panel = where / _PANELS_PLACE
    if file.is_file() and panel.is_dir():
        return "" if prefix is None else f"Its extension of Jupyter Server is switched on in {file}"
    try:
        if not panel.is_dir():
            shutil.copytree(_PANEL, panel)
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_SOURCE, file)
    except OSError as error:
        raise LiveKernelError(
            f"the extension of Jupyter Server could not be switched on: {error}",
            "Do it by hand: jupyter server extension enable live_kernel.server",
        ) from error
    return f"Switched its extension of Jupyter Server on in {file}"


def _has_package(prefix: Path) -> bool:
    return any(prefix.glob("lib/python3*/*-packages/live_kernel-*.dist-info"))
