"""Sphinx, run as strictly as it can be.

Runs in `make docs` and in a test. Rule: a warning is an error, and all of them are shown.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from provision.shell import ROOT

from . import reference

SOURCE = ROOT / "docs"
SITE = ROOT / ".artefacts" / "site"


class NotBuilt(Exception):
    """Sphinx has found something wrong; the text is what it says."""


def build(site: Path = SITE) -> None:
    """Make all pages in `site` anew. Raises NotBuilt.

    All of them, since Sphinx does not know of what the reference and the drawings are made.
    """
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    options += ["--fresh-env", "--write-all", "--builder", "html"]
    _check_reference()
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="live-kernel-docs-") as kept:
        words = [*options, "--doctree-dir", kept, str(SOURCE), str(site)]
        command = [sys.executable, "-m", "sphinx", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(done.stdout + done.stderr)


def _check_reference() -> None:
    """What is wrong there is the code's, and told without Sphinx around it."""
    try:
        for part in reference.PARTS.values():
            part()
    except ValueError as error:
        raise NotBuilt(str(error)) from None
