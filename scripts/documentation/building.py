"""Sphinx, run as strictly as it can be.

Runs in `make docs` and in a test. Rule: a warning is an error, and all of them are shown.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from provision.shell import ROOT

SOURCE = ROOT / "docs"
SITE = ROOT / ".artefacts" / "site"


class NotBuilt(Exception):
    """Sphinx has found something wrong; the text is what it says."""


def build(site: Path = SITE, anew: bool = False) -> None:
    """Make the pages in `site`; what Sphinx keeps for the next time lies beside it. Raises NotBuilt."""
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--jobs", "2"]
    if anew:
        options += ["--fresh-env", "--write-all"]
    kept = site.with_name(f"{site.name}-kept")
    words = [*options, "--builder", "html", "--doctree-dir", str(kept), str(SOURCE), str(site)]
    command = [sys.executable, "-m", "sphinx", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(done.stdout + done.stderr)
