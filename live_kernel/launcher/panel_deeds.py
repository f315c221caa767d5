"""What a panel has the kernel do: its own commands, without a cell.

Runs on the launcher's reactor. Rule: a deed is the command of a cell in all but its output, which
is the panel's: it takes its turn among the cells, the guard rails hold it up, and it is on record.
What concerns a target that is not entered yet waits for no cell: that cell waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..attach import proc, processes
from ..errors import LiveKernelError, TargetNotFound
from .attachment import State
from .execution import Done, Execution, Queue, Turn
from .frontend import Frontend
from .panel_requests import Asked
from .runner import Runner
from .target import Target
from .wire import Content, Request

_AT_MOST_APART = 2.0
"""Seconds by which two who tell the start of a process may differ: clocks are set."""

_WAITS = "Waits for the cell that runs."


class Deed(Execution):
    """A command on its way; what it shows is kept in `text`, and published nowhere."""

    def __init__(self, request: Request, frontend: Frontend, queue: Queue, line: str) -> None:
        super().__init__(request, frontend, queue)
        self.code = line
        self.silent = self.allows_input = self.keeps_history = False
        self.text = ""
        self.on_progress: Callable[[str], None] = lambda _text: None

    def publish(self, kind: str, content: Content) -> None:
        if kind == "stream":
            self.text += str(content.get("text", ""))

    def note(self, text: str) -> None:
        self.on_progress(text)


def begin(deed: Deed, asked: Asked, target: Target, runner: Runner, done: Done) -> None:
    """Do it now, or when it is its turn; `done` is called once, and `deed.text` says what came."""
    if target.state is State.ATTACHED and asked.kind != "wake":
        if deed.queue.running is not None:
            deed.on_progress(_WAITS)
        deed.queue.add_turn(lambda turn: _do(deed, asked, runner, _then(done, deed, turn)))
    else:
        _do(deed, asked, runner, done)


def _then(done: Done, deed: Deed, turn: Turn) -> Done:
    """What is told how it went: whoever waits, and then the queue."""

    def told(error: LiveKernelError | Content | None) -> None:
        try:
            done(error)
        finally:
            deed.queue.end_turn(turn)

    return told


def _do(deed: Deed, asked: Asked, runner: Runner, done: Done) -> None:
    witness = deed.queue.witness
    witness.begun(deed)

    def told(error: LiveKernelError | Content | None) -> None:
        witness.ended(deed, error)
        done(error)

    try:
        if asked.kind == "attach" and asked.started is not None:
            _check(asked.pid, asked.started)
    except LiveKernelError as error:
        told(error)
    else:
        runner.run_command(deed, told)


def _check(pid: int, started: float) -> None:
    """Raises LiveKernelError where that pid is another process's by now, or nobody's."""
    process = processes.identify(pid)
    if abs(proc.started_at(process.start_time) - started) > _AT_MOST_APART:
        raise TargetNotFound(
            pid,
            f"pid {pid} is another process now; the one that was chosen has ended",
            "Choose again from the list, which shows those that run now.",
        )
