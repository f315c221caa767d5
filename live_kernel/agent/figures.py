"""matplotlib's figures, split by who makes them: a cell's are its own, and are shown.

Runs in the target, on threads of cells. pyplot keeps one list of figures for the
whole process, and one of them is the figure that is drawn on. While a cell runs,
that list is split as the standard streams are: a cell draws on figures of its own,
in memory, whatever the program draws with. They are shown, and closed, by
`plt.show()` or when the cell's code ends.
Rule: a figure of the program is touched by a cell only if the cell names it; and
matplotlib is used where it is loaded, never loaded by us.
"""

from __future__ import annotations

import sys
from _collections_abc import MutableMapping
from collections import OrderedDict
from functools import lru_cache

from . import backend_inline
from .lookup import is_a
from .shared import Shared
from .streams import Replaced, current_cell, running_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

    from .cell import Cell
    from .ledger import Ledger

    _Managers = MutableMapping[Any, Any]
else:
    _Managers = MutableMapping

_BACKEND = f"module://{backend_inline.__name__}"


class CellFigures:
    """The figures that one cell has to do with; the one it draws on is the last."""

    def __init__(self) -> None:
        self.managers: OrderedDict[Any, Any] = OrderedDict()
        """By number, as `Gcf.figs` has them."""
        self.named: set[Any] = set()
        """The numbers of those that are the program's: `plt.figure(1)` has named them."""

    def made(self) -> list[Any]:
        """The managers of those that the cell has made."""
        return [each for number, each in self.managers.items() if number not in self.named]

    def remove(self, number: Any) -> None:
        """It is closed."""
        del self.managers[number]
        self.named.discard(number)


def _mine() -> CellFigures | None:
    """The figures of the cell on whose behalf the current code runs, if any."""
    cell = current_cell.get()
    if cell is None:
        return None
    if cell.figures is None:
        cell.figures = CellFigures()
        cell.at_end.append(lambda: show(cell))
    return cell.figures


class _SplitFigures(_Managers):
    """Stands in for `Gcf.figs`, the managers of all figures by number.

    By number a cell finds all figures; counted, gone through and closed together are only
    those that it has made.
    """

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getitem__(self, number: Any) -> Any:
        mine = _mine()
        if mine is not None and number in mine.managers:
            return mine.managers[number]
        return self._original[number]

    def __setitem__(self, number: Any, manager: Any) -> None:
        mine = _mine()
        if mine is None:
            self._original[number] = manager
        else:
            mine.managers[number] = manager
            if self._original.get(number) is manager:
                mine.named.add(number)

    def __delitem__(self, number: Any) -> None:
        mine = _mine()
        if mine is None or number not in mine.managers:
            del self._original[number]
            return
        if number in mine.named:
            self._original.pop(number, None)
        mine.remove(number)

    def __iter__(self) -> Iterator[Any]:
        mine = _mine()
        if mine is None:
            return iter(self._original)
        own = [number for number in mine.managers if number not in mine.named]
        return iter([*self._original, *own])

    def __len__(self) -> int:
        mine = _mine()
        return len(self._original if mine is None else mine.managers)

    def values(self) -> Any:
        mine = _mine()
        return self._original.values() if mine is None else _Values(mine)

    def clear(self) -> None:
        mine = _mine()
        if mine is None:
            self._original.clear()
        else:
            for manager in mine.made():
                mine.remove(manager.num)

    def move_to_end(self, number: Any) -> None:
        """Make it the one that is drawn on: what matplotlib does to an OrderedDict."""
        mine = _mine()
        (self._original if mine is None else mine.managers).move_to_end(number)


class _Values:
    """`Gcf.figs.values()` for a cell: from the end, the one that is drawn on comes first."""

    def __init__(self, mine: CellFigures) -> None:
        self._mine = mine

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mine.made())

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._mine.managers.values())


def _backend_of_cells(original: Callable[..., Any]) -> Any:
    """`pyplot._get_backend_mod`: a cell draws in memory, whatever the program draws with."""

    def get_backend_module(*arguments: Any) -> Any:
        return original(*arguments) if current_cell.get() is None else backend_inline

    return get_backend_module


def _show_of_cells(original: Callable[..., Any]) -> Any:
    """`plt.show()`: a cell's figures come at this point of its output, and are closed."""

    def show_figures(*arguments: Any, **options: Any) -> Any:
        cell = current_cell.get()
        return original(*arguments, **options) if cell is None else show(cell)

    return show_figures


def _show_one_of_cells(original: Callable[..., Any]) -> Any:
    """`figure.show()`, likewise."""

    def show_figure(self: Any, *arguments: Any, **options: Any) -> Any:
        cell, mine = current_cell.get(), _mine()
        if cell is None or mine is None:
            return original(self, *arguments, **options)
        _emit(cell, self)
        manager = getattr(self.canvas, "manager", None)
        if manager in mine.made():
            _close(mine, manager)
        return None

    return show_figure


def show(cell: Cell) -> None:
    """Show the figures that the cell has made and not closed, and close them."""
    mine = cell.figures or CellFigures()
    for manager in mine.made():
        try:
            _emit(cell, manager.canvas.figure)
        except Exception as error:
            cell.report(error)
        _close(mine, manager)


def _close(mine: CellFigures, manager: Any) -> None:
    mine.remove(manager.num)
    manager.canvas.mpl_disconnect(manager._cidgcf)
    manager.destroy()


def _emit(cell: Cell, figure: Any) -> None:
    if cell.shell is not None:
        data, metadata = cell.shell.bundle(figure, cell.report)
        cell.emit("display", data, metadata, {})


def picture(value: object) -> bytes | None:
    """A figure as PNG, as IPython makes it; None for an empty one, and for what is no figure."""
    return _drawn(value) if is_figure(value) else None


def is_figure(value: object) -> bool:
    """Is it a figure of matplotlib's?"""
    module = sys.modules.get("matplotlib.figure")
    return module is not None and is_a(value, getattr(module, "Figure", ()))


def _drawn(figure: Any) -> bytes | None:
    from io import BytesIO

    if not figure.axes and not figure.lines:
        return None
    written = BytesIO()
    figure.canvas.print_figure(
        written,
        format="png",
        facecolor=figure.get_facecolor(),
        edgecolor=figure.get_edgecolor(),
        dpi=figure.dpi,
        bbox_inches="tight",
    )
    return written.getvalue()


def _fonts_of_cells(original: Callable[..., Any]) -> Callable[..., Any]:
    """`font_manager._get_font`, which opens the files once for each thread, and keeps 64 of them.

    Those for threads of ours are kept here, so that they can be closed.
    """
    opened = getattr(original, "__wrapped__", None)
    if opened is not None and original not in _fonts:
        _fonts[original] = lru_cache(64)(opened)

    def get_font(*arguments: Any, **options: Any) -> Any:
        cell = running_cell()
        if cell is None or cell.shell is None or opened is None:
            return original(*arguments, **options)
        _font_files.need(cell.shell.ledger, lambda: None)
        return _fonts.get(original, original)(*arguments, **options)

    return get_font


_fonts: dict[Callable[..., Any], Callable[..., Any]] = {}
_font_files = Shared("files of fonts, opened for cells", _fonts.clear)


def choose_backend(matplotlib: ModuleType, ledger: Ledger) -> None:
    """A cell has imported matplotlib, and not the program: no window system is started for it."""
    settings = vars(matplotlib)["rcParams"]
    before = dict.__getitem__(settings, "backend")
    dict.__setitem__(settings, "backend", _BACKEND)

    def put_back() -> None:
        if dict.__getitem__(settings, "backend") == _BACKEND:
            dict.__setitem__(settings, "backend", before)
        pyplot = vars(sys.modules.get("matplotlib.pyplot", sys))
        if pyplot.get("_backend_mod") is backend_inline:
            pyplot["_backend_mod"] = None  # chosen anew when it is needed

    ledger.record("matplotlib's backend", put_back)


split.add(
    Replaced("matplotlib.font_manager", "", "_get_font", _fonts_of_cells),
    Replaced("matplotlib._pylab_helpers", "Gcf", "figs", _SplitFigures),
    Replaced("matplotlib.pyplot", "", "_get_backend_mod", _backend_of_cells),
    Replaced("matplotlib.pyplot", "", "show", _show_of_cells),
    Replaced("matplotlib.figure", "Figure", "show", _show_one_of_cells),
)
split.on_import("matplotlib", choose_backend)
