"""The kernelspec `live-attach`: where its files are, and how they get installed.

Runs in the command line. Rule: `python` in its argv is replaced by the
interpreter that installs it, so that any Jupyter starts the right one.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from .errors import LiveKernelError

NAME = "live-attach"


def source() -> Path:
    """The directory with kernel.json and the logos: in the wheel, or beside the package."""
    here = Path(__file__).resolve().parent
    inside, beside = here / "kernelspec", here.parent / "kernelspec"
    return inside if inside.is_dir() else beside


def install(prefix: str | None) -> str:
    """Install for the user (None) or below `prefix`. Returns the directory."""
    from jupyter_client.kernelspec import KernelSpecManager

    with tempfile.TemporaryDirectory() as directory:
        prepared = str(prepare(Path(directory)))
        manager = KernelSpecManager()
        try:
            return str(
                manager.install_kernel_spec(prepared, NAME, user=prefix is None, prefix=prefix)
            )
        except OSError as error:
            raise LiveKernelError(
                f"the kernelspec could not be installed: {error}",
                "Choose another place: --user, --sys-prefix or --prefix DIR.",
            ) from error


def prepare(directory: Path) -> Path:
    """A copy of the kernelspec in `directory/kernels/live-attach`, for this interpreter."""
    place = directory / "kernels" / NAME
    shutil.copytree(source(), place)
    file = place / "kernel.json"
    spec = json.loads(file.read_text())
    spec["argv"][0] = sys.executable
    file.write_text(json.dumps(spec, indent=2) + "\n")
    return place


def is_installed() -> bool:
    """Would Jupyter, started with this interpreter, find it?"""
    from jupyter_client.kernelspec import KernelSpecManager

    return NAME in KernelSpecManager().find_kernel_specs()
