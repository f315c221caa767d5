"""The backend with which matplotlib draws the figures of cells: in memory, without a window.

Runs in the target. matplotlib finds in this module what it wants of a backend; its
own Agg does the work. The name is that of ipykernel's, by which libraries know it.
Rule: matplotlib's modules are loaded when a figure is made, not before.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _agg() -> Any:
    from importlib import import_module

    return import_module("matplotlib.backends.backend_agg")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_agg(), name)


def new_figure_manager(number: Any, *arguments: Any, **options: Any) -> Any:
    """A figure with its canvas and its manager."""
    return _agg().new_figure_manager(number, *arguments, **options)


def show(*_: object, **__: object) -> None:
    """Outside a cell there is nobody to show anything to; for cells see `figures.py`."""
