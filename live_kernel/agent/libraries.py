"""Libraries that look where they run: in a cell they find a notebook, elsewhere what was there.

Runs in the target, on threads of cells. rich and plotly decide once for a whole
process how they show things, and a process that is asked from cells, too, has two
answers. So what they have decided is split while a cell runs, as the streams are.
Rule: what the program's own threads get is what they would get without us, and no
object that shows things in a notebook is left to the program.
"""

from __future__ import annotations

import sys

from .streams import Replaced, running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .ledger import Ledger


# rich: its consoles write HTML where there is a notebook.


def _console_of_cells(original: Callable[[], Any]) -> Any:
    """`rich.get_console`: there is one console for cells, and another for the program."""

    def get_console() -> Any:
        cell = running_cell()
        if cell is None or cell.shell is None:
            return original()
        if cell.shell.console is None:
            from importlib import import_module

            cell.shell.console = import_module("rich.console").Console()
        return cell.shell.console

    return get_console


def _is_in_notebook(original: Callable[[], bool]) -> Any:
    """`rich.console._is_jupyter`: a console that a cell makes is one of a notebook.

    But not the one that the program keeps for all, should a cell be the first to need it.
    """

    def is_jupyter() -> bool:
        if running_cell() is None:
            return original()
        maker = sys._getframe(2).f_code
        return (maker.co_name, maker.co_argcount) != ("get_console", 0) or _is_ours(maker)

    return is_jupyter


def _is_ours(code: Any) -> bool:
    return bool(code.co_filename == _console_of_cells.__code__.co_filename)


# plotly: it shows in a browser of its own, or gives a MIME bundle.

_NOTEBOOK = "plotly_mimetype"
"""The renderer that plotly chooses under ipykernel."""


class _Renderers:
    """Stands in for `plotly.io.renderers`: cells get a bundle, where the program has a browser."""

    def __init__(self, original: Any) -> None:
        vars(self)["_original"] = original

    def _of_cells(self, asked: str | None) -> str | None:
        """The renderers for this call; None for those of the program."""
        if asked is not None or running_cell() is None:
            return asked
        chosen = self._original._default_renderers
        bundling: Any = vars(sys.modules["plotly.io._renderers"])["MimetypeRenderer"]
        is_fit = chosen and all(isinstance(each, bundling) for each in chosen)
        return None if is_fit else _NOTEBOOK

    @property
    def default(self) -> Any:
        return self._of_cells(None) or self._original.default

    def _build_mime_bundle(
        self, figure: Any, renderers_string: str | None = None, **options: Any
    ) -> Any:
        return self._original._build_mime_bundle(
            figure, self._of_cells(renderers_string), **options
        )

    def _perform_external_rendering(
        self, figure: Any, renderers_string: str | None = None, **options: Any
    ) -> Any:
        return self._original._perform_external_rendering(
            figure, self._of_cells(renderers_string), **options
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)

    def __getitem__(self, name: str) -> Any:
        return self._original[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._original[name] = value

    def __iter__(self) -> Any:
        return iter(self._original)

    def __len__(self) -> int:
        return len(self._original)

    def __repr__(self) -> str:
        return repr(self._original)


def choose_as_outside(plotly: ModuleType, _ledger: Ledger) -> None:
    """A cell has imported plotly, which took the process for a notebook: have it look again."""
    import os

    if os.environ.get("PLOTLY_RENDERER"):
        return
    renderers = vars(plotly)["renderers"]
    try:
        import webbrowser

        webbrowser.get()
        renderers.default = "browser"
    except Exception:  # as in plotly: there may be no browser to be found
        renderers.default = None


REPLACED = (
    Replaced("rich", "", "get_console", _console_of_cells),
    Replaced("rich.jupyter", "", "get_console", _console_of_cells),
    Replaced("rich.console", "", "_is_jupyter", _is_in_notebook),
    Replaced("plotly.io._renderers", "", "renderers", _Renderers),
)
