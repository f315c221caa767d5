"""How Sphinx builds the site: MyST for Markdown, Furo for its looks, our own reference.

Rule: the pages load nothing from any network, and whatever is not as it should be is a warning,
which `make docs` takes for an error.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from documentation import drawings, reference

from live_kernel import __version__

project = "live-kernel"
author = "the authors of live-kernel"
project_copyright = author
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_static"]
nitpicky = True
# Quotation marks as people write them; but `--wake` is no dash.
smartquotes_action = "qe"
highlight_language = "text"
pygments_style = "default"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_title = f"live-kernel {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "../kernelspec/logo-svg.svg"
html_favicon = "../kernelspec/logo-svg.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {
        "color-brand-primary": "#0b6b61",
        "color-brand-content": "#0b6b61",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        "font-stack--monospace": "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5fd3c4",
        "color-brand-content": "#5fd3c4",
    },
}


_PAGES = re.compile(r"^<!-- pages: (.+) -->$", re.MULTILINE)


def _fill(app: Any, page: str, source: list[str]) -> None:
    """Put the reference, the drawings, and those named pages that there are, in their place."""
    text = drawings.put_in(reference.fill(source[0]), (Path(app.srcdir) / page).parent)
    source[0] = _PAGES.sub(lambda mark: "\n".join(_present(app, mark[1].split())), text)


def _present(app: Any, names: list[str]) -> list[str]:
    return [name for name in names if name in app.env.found_docs]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
