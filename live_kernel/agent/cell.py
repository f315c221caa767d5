"""One cell while it runs.

Runs in the target, on the cell's thread; the control thread interrupts it. Rule:
it knows who asked for it and where its output goes; how it is run, others know.
"""

from __future__ import annotations

import contextvars

from ..link.limits import DEFAULTS
from . import native, tracebacks
from .interrupt import Interruption
from .output import Output
from .streams import keeps_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ..link.limits import Limits
    from .debugger import Debugging
    from .figures import CellFigures
    from .lanes import Lane
    from .ledger import Ledger
    from .output import Deliver
    from .places import LoopRun
    from .shell import Shell

    Ask = Callable[["Cell", str, bool, bool], str]

    class Held(Protocol):
        """What holds a thread of the program for a cell."""

        def interrupt(self) -> None: ...
        def give_up(self) -> None: ...


class Cell:
    """One cell while it runs: who asked for it, where its output goes, how it is stopped."""

    ledger: Ledger
    """Of its session."""

    def __init__(
        self, request: dict[str, Any], deliver: Deliver, ask: Ask, lane: Lane | None = None
    ) -> None:
        self.number: int = request["cell"]
        self.count: int = request.get("count", 0)
        self.code: str = request.get("code", "")
        self.silent: bool = request.get("silent", False)
        self.expressions: dict[str, str] = request.get("expressions", {})
        self.allow_input: bool = request.get("allow_input", False)
        self.action: dict[str, Any] = request.get("action", {})
        """What is to be done instead of running code: see `actions.py`."""
        self.place: dict[str, Any] = request.get("place", {})
        """Where it is to run: see `Cells._run_there`."""
        self.source: str = request.get("source", self.code)
        self.parent: dict[str, Any] = request.get("parent", {})
        """The header of the front-end's request."""
        self.limits: Limits = DEFAULTS | request.get("limits", {})
        self.output = Output(deliver, self.limits["print"])
        self.interruption = Interruption()
        self.context = contextvars.Context()
        self.in_loop: LoopRun | None = None
        self.held: Held | None = None
        """The thread of the program on which it runs, if that is what the user asked for."""
        self.may_hold: set[int] = set()
        """Threads of the program on which it may wait, by their idents."""
        self.may_ask = True
        """No longer so: what it asks from now on gets no answer."""
        self.hang_up: Callable[[], object] = lambda: None
        """Answers what it asks at present, in the place of the front-end: with nothing."""
        self.shell: Shell | None = None
        self.figures: CellFigures | None = None
        self.debugging: Debugging | None = None
        self.at_end: list[Callable[[], object]] = []
        """What is to be done when the cell's code has ended, the last first; on its thread."""
        self._ask = ask
        self._lane = lane

    def heir(self) -> Cell | None:
        """The cell to which it belongs what this one's threads and tasks write after its end.

        As with ipykernel: the one that its shell runs by then, or ran last; itself, for who
        has asked for that (`get_ipython().set_thread_parent`). Nobody once the session is over.
        """
        lane = self._lane
        if lane is None or lane.is_over:
            return None
        return self if keeps_cell.get() else lane.present()

    def interrupt(self) -> None:
        """Stop the cell's code where it stands. Called on the control thread."""
        if self.in_loop is not None:
            self.in_loop.interrupt()
        elif self.held is not None:
            self.held.interrupt()
        else:
            self.interruption.request()

    def may_wait_here(self) -> bool:
        """May the present thread wait for the front-end? The program's main one not, unasked."""
        return not native.on_main_thread() or native.get_ident() in self.may_hold

    def ask(self, prompt: str, password: bool = False, is_code: bool = False) -> str:
        """A line of input from the front-end. Raises EOFError where there is none to be had.

        `is_code`: it is a debugger's prompt, and what is typed there will be run.
        """
        return self._ask(self, prompt, password, is_code)

    def emit(self, kind: str, data: Any, metadata: Any, transient: Any) -> None:
        """Send a MIME bundle: `kind` is display or update."""
        event = {"event": kind, "data": data, "metadata": metadata, "transient": transient or {}}
        with self.interruption:
            self.output.add(event)

    def end(self) -> None:
        """The code has ended, its last value included: do what was put off until then."""
        if not self.at_end:
            return
        last = self.at_end.pop()
        try:
            self.interruption.begin()
            last()
        finally:
            self.interruption.end()
            self.end()

    def report(self, error: BaseException) -> None:
        """Tell of an error beside the cell's own outcome, on its stderr."""
        text = "\n".join(tracebacks.as_message(error)["traceback"])
        with self.interruption:
            self.output.write("stderr", text + "\n")
