"""The IPython of one session: a light one, and the real one once it is needed.

Runs in the target, on the thread of a cell. Commands are run by the launcher, help
comes from our own inspection.
Rule: who holds the shell holds all of it; the session's ledger takes it down.
"""

from __future__ import annotations

import builtins
import os
import sys

from . import debugger, libraries, limits, native
from .capture import is_captured
from .comms import Comms
from .display import bundle, json_safe
from .errands import Errands, nowhere
from .expansion import expanded
from .interface import Interface
from .lent import Imports
from .parents import Parents
from .streams import SplitStream, running_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .cell import Cell
    from .cells import Cells
    from .ledger import Ledger
    from .namespace import Namespace

    Message = dict[str, Any]
    OnError = Callable[[BaseException], object]


class Shell:
    """What the cells of a session have of IPython."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, cells: Cells, errands: Errands | None
    ) -> None:
        self.namespace = namespace
        self.ledger = ledger
        self.cells = cells
        self.errands = errands or Errands(nowhere)
        self.last_error: BaseException | None = None
        """What the last cell that failed has raised, for `%debug` and `%tb`."""
        self.made: Any = None
        self.console: Any = None
        """rich's, for the cells of this session: see `libraries.py`."""
        self._lock = native.Lock()
        self.comms = Comms(self)
        self.parents = Parents(self)
        self.interface = Interface(self)
        self.imports = Imports(self)
        self.latest_cell: Callable[[], Cell | None] = lambda: None
        """The cell that the main shell runs or ran last."""
        self.notice: Callable[[str], object] = lambda _text: None
        """Tells the user something beside the output of the cell that runs or is run next."""
        self.look_out: Callable[[], object] = lambda: None
        """Called each second by who waits while a thread of the program is held: if the launcher
        does not answer any more, the session ends. See `attendance.py`."""
        self.is_alone = False
        """There is no front-end that could be asked anything."""
        self.on_alone: list[Callable[[], object]] = []
        """What is to be done when the last one has gone."""
        ledger.record("the last error", lambda: setattr(self, "last_error", None))

    def present(self) -> Any:
        """What `get_ipython()` returns now."""
        return self.interface if self.made is None else self.made

    def real(self) -> Any:
        """The real IPython, which this may bring up."""
        if self.made is None:
            from . import ipython

            with self._lock:
                if self.made is None:
                    self.made = ipython.bring_up(self)
        return self.made

    @property
    def error_mode(self) -> str:
        """What `%xmode` has been set to."""
        return "Context" if self.made is None else str(self.made.InteractiveTB.mode)

    def magics(self) -> list[str]:
        """The magics that there are, with their `%`; none as long as there is no real IPython."""
        return [] if self.made is None else self.made.magic_names()

    def trigger(self, *names: str) -> None:
        """Tell what has registered with the real IPython, if there is one, of a cell."""
        if self.made is not None:
            for name in names:
                self.made.tell(name)

    def after_error(self, cell: Cell, error: BaseException) -> None:
        """A cell has failed: keep the error, and debug it if `%pdb` was switched on."""
        if type(error).__name__ == "BdbQuit":
            return  # it was looked at already
        self.last_error = error
        if self.made is not None and self.made.call_pdb and _may_be_debugged(error):
            cell.interruption.begin()
            cell.output.write("stdout", f"{type(error).__name__}: {error}\n")
            debugger.post_mortem(cell, error)
            cell.interruption.end()

    # -- names --------------------------------------------------------------------------

    def scope(self) -> tuple[dict[str, Any], Any]:
        """Globals and locals for code that is not known yet: it may use any name."""
        from .names import Names

        names = Names()
        names.read.add("exec")
        return self.namespace.prepare(names)

    def sees(self, name: str) -> bool:
        """Does a cell see this name? If not, it may be a magic without its `%`."""
        if name in vars(builtins):
            return True
        try:
            self.namespace.lookup(name)
        except KeyError:
            return False
        return True

    def expand(self, text: str, frame: FrameType) -> str:
        """A command with `{expression}` and `$name` replaced, as seen from this frame.

        What has no such value is left as it is: the shell's own variables look alike.
        """
        if "{" not in text and "$" not in text:
            return text
        self.scope()
        try:
            return "".join(expanded(text, lambda code: eval(code, frame.f_globals, frame.f_locals)))
        except Exception:  # braces and dollars that were the shell's own
            return text

    # -- commands -----------------------------------------------------------------------

    def run_command(
        self, command: str | list[str], text: str = "", capture: bool = False
    ) -> tuple[int, list[tuple[str, str]]]:
        """Run a command beside the launcher. Returns its status and what was captured."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not any(map(_is_surrogate, name + value))
        }
        answer = self.errands.ask(
            "system", command=command, text=text, environment=environment, capture=capture
        )
        output = [(str(stream), str(part)) for stream, part in answer["output"]]
        return int(answer["status"]), output

    def system(self, command: str) -> int:
        """Run a command; its output is the cell's. Returns its status."""
        _refuse_background(command)
        # Somebody has put a stream of their own in place of ours: then they want it.
        capture = not isinstance(sys.stdout, SplitStream) or is_captured()
        status, output = self.run_command(command, capture=capture)
        for stream, part in output:
            getattr(sys, stream).write(part)
        self.namespace.scratch["_exit_code"] = status
        return status

    def getoutput(self, command: str, split: bool) -> Any:
        """The output of a command: its lines, or one text."""
        _refuse_background(command)
        status, output = self.run_command(command, capture=True)
        self.namespace.scratch["_exit_code"] = status
        text = "".join(part for _, part in output)
        kinds = sys.modules.get("IPython.utils.text")
        if split:
            lines = text.splitlines()
            return lines if kinds is None else kinds.SList(lines)
        text = text.removesuffix("\n")
        return text if kinds is None else kinds.LSString(text)

    # -- help ---------------------------------------------------------------------------

    def helps(self, magic: str, line: str) -> bool:
        """Do a magic that asks for help, if it is one for which no IPython is needed."""
        if magic in ("pinfo", "pinfo2") and not line.startswith("%"):
            self.show_help(line.strip(), int(magic == "pinfo2"))
            return True
        if magic == "psearch" and "-" not in line and len(line.split()) == 1:
            self.show_names(line.strip())
            return True
        return False

    def show_names(self, pattern: str) -> None:
        """`np.s*?`: the names that fit, to the front-end's pager."""
        from . import search

        found = search.search(pattern, self.namespace)
        if found:
            self.page({"text/plain": "\n".join(found)})
        else:
            print(f"No name fits `{pattern}`.")

    def show_help(self, name: str, detail: int) -> None:
        """`name?` and `name??`: to the front-end's pager."""
        from . import inspection

        found = inspection.inspect(name, len(name), detail, self.namespace)
        if found.get("found"):
            self.page(found["data"])
        else:
            print(f"Object `{name}` not found.")

    # -- display ------------------------------------------------------------------------

    def bundle(self, value: object, report: OnError, on_failure: OnError | None = None) -> Any:
        """All representations of a value: ours, and those registered with the real IPython."""
        data, metadata = bundle(value, on_error=report, on_failure=on_failure)
        if self.made is not None and data:
            self.made.add_registered(value, data, metadata, report)
            limits.kept(data)
        return data, metadata

    def page(self, data: dict[str, Any], start: int = 0) -> None:
        cell = running_cell()
        if cell is not None:
            with cell.interruption:
                cell.output.add({"event": "page", "data": json_safe(data), "start": start})


_NOT_DEBUGGED = (SystemExit, KeyboardInterrupt, SyntaxError)
"""What `%pdb` does not care for: somebody wanted it, or nothing was run."""


def _may_be_debugged(error: BaseException) -> bool:
    """Has code of the user's failed, and not a magic that was mistyped?"""
    return not isinstance(error, _NOT_DEBUGGED) and type(error).__name__ != "UsageError"


def _refuse_background(command: str) -> None:
    if command.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


split.add(*debugger.REPLACED, *libraries.REPLACED)
split.on_import("plotly.io._renderers", libraries.choose_as_outside)
