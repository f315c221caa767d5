"""Cells, as Jupyter asks for them: one at a time, in order, in each shell.

Runs on the launcher's reactor. Owns the queue of execute requests of one shell
and the one that runs. Rule: every execute request is answered exactly once,
between its own busy and idle.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from ..errors import LiveKernelError
from .clock import now
from .frontend import Frontend
from .outlet import Outlet
from .wire import Content, Request

Done = Callable[[LiveKernelError | Content | None], None]
"""Told once how something that a cell wants went: None, or the error that ends the cell."""

BATCH_GAP = 0.1
"""Seconds that may pass between two cells which a notebook sends at once ("Run All")."""


class Execution(Outlet):
    """One execute request on its way to an answer, which `queue` gives."""

    def __init__(self, request: Request, frontend: Frontend, queue: Queue) -> None:
        super().__init__(request, frontend)
        self.queue = queue
        content = request.content
        self.code = str(content.get("code", ""))
        self.silent = bool(content.get("silent", False))
        self.keeps_history = bool(content.get("store_history", True)) and not self.silent
        expressions = content.get("user_expressions")
        self.expressions: dict[str, str] = expressions if isinstance(expressions, dict) else {}
        self.allows_input = bool(content.get("allow_stdin", True))
        self.stops_on_error = bool(content.get("stop_on_error", True))
        self.notebook = str(request.header.get("session")) if "cellId" in request.metadata else None
        self.sent_at = _seconds(request.header.get("date"))
        self.place: Content = {}
        """Where its code runs, if it says so: see `commands/placing.py`."""
        self.values: Content = {}
        """What its `user_expressions` came to, where it was not the target that has run it."""
        self.confirmed_for: object = None
        """The attach for which the user has said yes to it: see `guarding.py`."""
        self.record = ""
        """Its id in the journal, where it is on record."""
        self.is_aside = False
        """It has overtaken what runs and waits; they are none of its business, nor it theirs."""

    def follows_at_once(self, other: Execution) -> bool:
        """Has a notebook sent it together with the other one, before it ("Run All")?

        By the notebook's own clock. Other clients send no cell id, and what they send is apart.
        """
        if self.notebook is None or self.notebook != other.notebook:
            return False
        if other.sent_at is None or self.sent_at is None:
            return True
        return self.sent_at - other.sent_at < BATCH_GAP


class Turn:
    """Something other than a cell that takes its turn among them; no failure aborts it."""

    def __init__(self, start: Callable[[Turn], None]) -> None:
        self.start = start


class Witness:
    """Told of each cell: before it begins, when it has ended, or that it is not run at all.

    `error` is None where it has run without one. (This witness keeps nothing.)
    """

    def begun(self, execution: Execution) -> None: ...
    def ended(self, execution: Execution, error: LiveKernelError | Content | None) -> None: ...
    def dropped(self, execution: Execution) -> None: ...


class Inputs:
    """The numbers of the inputs, which the shells of a kernel share.

    `remember(number, code)` is told of each that belongs to the history.
    """

    def __init__(self, remember: Callable[[int, str], None]) -> None:
        self.count = 0
        self._remember = remember

    def add(self, code: str) -> None:
        self.count += 1
        self._remember(self.count, code)


class Queue:
    """The execute requests of one shell, and what else takes its turn there.

    `run(execution)` starts one; whoever runs it calls `succeed` or `fail` in the end.
    `is_aside(code)`: need a cell with this code not wait for those before it?
    `witness` is told of each.
    """

    def __init__(
        self,
        frontend: Frontend,
        run: Callable[[Execution], None],
        inputs: Inputs,
        is_aside: Callable[[str], bool] = lambda _code: False,
        witness: Witness | None = None,
    ) -> None:
        self._frontend = frontend
        self._run = run
        self._inputs = inputs
        self._is_aside = is_aside
        self.witness = witness or Witness()
        self._latest: Execution | None = None
        self._waiting: deque[Execution | Turn] = deque()
        self._is_starting = False
        self.running: Execution | Turn | None = None
        self._failed: Execution | None = None
        self._failed_at = 0.0

    def add(self, request: Request) -> None:
        """Take a request; run it now or after those before it."""
        execution = Execution(request, self._frontend, self)
        before, self._latest = self._latest, execution
        if self._is_of_a_failed_batch(execution):
            self._abort(execution)
        elif self._may_overtake(execution, before):
            execution.is_aside = True
            self._start_cell(execution)
        else:
            self._waiting.append(execution)
            self._next()

    def _may_overtake(self, execution: Execution, before: Execution | None) -> bool:
        """Is it a look at what goes on, which the user has asked for while something runs?

        Sent together with the cell before it, it keeps its place: it looks at what that has done.
        """
        is_busy = self.running is not None or self._is_starting
        if not is_busy or not self._is_aside(execution.code):
            return False
        return before is None or not execution.follows_at_once(before)

    def add_turn(self, start: Callable[[Turn], None]) -> None:
        """Call `start(turn)` when it is its turn, which may be now; `end_turn(turn)` ends it."""
        self._waiting.append(Turn(start))
        self._next()

    def _is_of_a_failed_batch(self, execution: Execution) -> bool:
        """Did this cell start its way together with one that has failed meanwhile?

        A notebook takes longer to send its cells than we do to run one. By its own clock it has
        sent them at once; who has seen the failure (or has interrupted the cell) comes later.
        Other clients, which answer a failure within a millisecond, send no cell id.
        """
        failed = self._failed
        if failed is None:
            return False
        if time.monotonic() - self._failed_at > BATCH_GAP:
            return False
        return execution.follows_at_once(failed)

    def _next(self) -> None:
        """Start what waits. A cell that ends at once leaves the next one to the loop that runs."""
        if self._is_starting:
            return
        self._is_starting = True
        try:
            while self.running is None and self._waiting:
                self._start(self._waiting.popleft())
        finally:
            self._is_starting = False

    def _start(self, next_one: Execution | Turn) -> None:
        self.running = next_one
        if isinstance(next_one, Turn):
            next_one.start(next_one)
        else:
            self._start_cell(next_one)

    def _start_cell(self, execution: Execution) -> None:
        self._begin(execution)
        try:
            self._run(execution)
        except LiveKernelError as error:
            self.fail(execution, error)
        except Exception as error:
            if self.running is execution or execution.is_aside:
                self.fail(execution, LiveKernelError(f"live-kernel has failed: {error!r}"))
            raise

    def _begin(self, execution: Execution) -> None:
        execution.request.started = now()
        self._frontend.status("busy", execution.request.header)
        if execution.keeps_history:
            self._inputs.add(execution.code)
        execution.count = self._inputs.count
        if not execution.silent:
            content = {"code": execution.code, "execution_count": execution.count}
            execution.publish("execute_input", content)
        self.witness.begun(execution)

    def succeed(self, execution: Execution, expressions: Content | None = None) -> None:
        """The cell has run."""
        content = {
            "user_expressions": expressions or execution.values,
            "payload": execution.payload,
        }
        self._answer(execution, {"status": "ok", "execution_count": execution.count, **content})
        self.witness.ended(execution, None)
        self.end_turn(execution)

    def fail(self, execution: Execution, error: LiveKernelError) -> None:
        """The cell could not be run, for a reason of ours."""
        name = type(error).__name__
        lines = [f"\x1b[0;31m{name}\x1b[0m: {error}", *error.remedy.splitlines()]
        self._fail(execution, {"ename": name, "evalue": str(error), "traceback": lines}, error)

    def fail_with(self, execution: Execution, error: Content) -> None:
        """The cell has raised: publish the error, answer, and abort what was sent behind it."""
        self._fail(execution, error, error)

    def _fail(self, execution: Execution, error: Content, cause: LiveKernelError | Content) -> None:
        if not execution.silent:
            execution.publish("error", error)
        stops = execution.stops_on_error and not execution.is_aside
        if stops:
            self._frontend.take_in("shell")  # what was sent before the failure could be known
        content = {"execution_count": execution.count, "payload": execution.payload}
        self._answer(execution, {"status": "error", **error, **content})
        self.witness.ended(execution, cause)
        if stops:
            self._failed, self._failed_at = execution, time.monotonic()
            self.abort_waiting()
        self.end_turn(execution)

    def _answer(self, execution: Execution, content: Content) -> None:
        self._frontend.reply(execution.request, "execute_reply", content)
        self._frontend.status("idle", execution.request.header)
        if execution.is_aside and isinstance(self.running, Execution):
            # The kernel is: what has been overtaken still runs. A console takes what has no
            # parent for its own, and would wait.
            self._frontend.status("busy", self.running.request.header)

    def end_turn(self, ended: Execution | Turn) -> None:
        """It is the next one's turn."""
        if self.running is ended:
            self.running = None
            self._next()

    def abort_waiting(self) -> None:
        """Answer every cell that waits, without running it."""
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if isinstance(each, Turn):
                self._waiting.append(each)
            else:
                self._abort(each)

    def _abort(self, execution: Execution) -> None:
        """Answer without running it. It gets no number: a front-end would show it as run."""
        if self._failed is not None and execution.notebook == self._failed.notebook:
            self._failed, self._failed_at = execution, time.monotonic()
        self._frontend.status("busy", execution.request.header)
        self._answer(execution, {"status": "aborted"})
        self.witness.dropped(execution)


def _seconds(date: object) -> float | None:
    """The time of a message's header, in seconds; None where it has none that makes sense."""
    try:
        return datetime.fromisoformat(str(date)).timestamp()
    except (ValueError, OverflowError):
        return None
