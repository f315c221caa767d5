"""The target of this kernel: chosen, attached, left.

Runs on the launcher's reactor. Owns the attachment, and what waits for it: the
cell that asked for it, or the next one. Rule: a kernel has one target at most,
and nothing that happens to it ends the kernel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..attach.processes import Process
from ..errors import (
    AgentLost,
    IdleTooLong,
    LiveKernelError,
    NoTarget,
    OnlyLooks,
    TargetBlocked,
    TargetNotFound,
)
from ..link import messages
from ..plain import plain
from . import durations, syntax
from .attachment import Attachment, State
from .choosing import Choice, Memory
from .protection import Protection
from .rails import Rails
from .reactor import Reactor
from .setup import Setup
from .succession import Succession
from .use import Use

Message = dict[str, Any]
Answer = Callable[[str | None], None]

_MOST_NOTICES = 100

_REMEMBERED = 1000
"""Cells that have ended and can still be given output by what they have left running."""

ASK_AFTER = 3.0
"""Seconds after which who waits for a blocked target is asked whether it is to be woken: not
sooner, since a front-end keeps the question when the wait ends by itself.
"""


class Waiter:
    """Somebody who needs the target. `attached` or `failed` is called once.

    `tell(text)` shows progress to the user in the meantime. `ask(question, answered)` asks the
    user, where there is one to be asked; `answered` gets None once nobody waits for an answer.
    """

    def __init__(
        self,
        attached: Callable[[], None],
        failed: Callable[[LiveKernelError], None],
        tell: Callable[[str], None],
        ask: Callable[[str, Answer], None] | None = None,
    ) -> None:
        self.attached, self.failed, self.tell, self.ask = attached, failed, tell, ask


class Pursuit(Protocol):
    """A cell that goes on in a successor: see `pursuit.py`."""

    def give_up(self) -> None: ...


class CellRun:
    """Somebody whose cell runs in the target, or whose message is delivered there.

    `late(events)` is called after `done`, for what the cell has left running; the last thousand
    cells may have some, so it had better keep little of its cell.
    `undelivered` is called instead of `done` where a message can't be delivered yet.
    `typed(line)` is told of each line that the cell's debugger is given to run.
    """

    def __init__(
        self,
        produced: Callable[[list[Message]], None],
        done: Callable[[Message], None],
        lost: Callable[[LiveKernelError], None],
        input_wanted: Callable[[str, bool, Answer], None] = lambda *_: None,
        undelivered: Callable[[], None] = lambda: None,
        typed: Callable[[str], None] = lambda _line: None,
        late: Callable[[list[Message]], None] | None = None,
    ) -> None:
        self.late = late or produced
        self.produced, self.done, self.lost = produced, done, lost
        self.input_wanted, self.undelivered, self.typed = input_wanted, undelivered, typed
        self.holds = self.lasts = self.awaits = self.is_silent = False  # see `use.Run`


class Target:
    """Attaches, detaches, and runs cells for the rest of the launcher."""

    def __init__(
        self, reactor: Reactor, memory: Memory | None, how_to_wake: str = "%attach --wake {pid}"
    ) -> None:
        self.reactor = reactor
        self._how_to_wake = how_to_wake
        self._memory = memory
        self.attachment: Attachment | None = None
        self.notices: list[str] = []
        self.limits: dict[str, int] = {}
        """How much a cell may show, where the user wants it otherwise: see `%limits`."""
        self.place: dict[str, Any] = {}
        """Where cells run that say nothing else: see `%place`."""
        self.is_alone = False
        """There was a front-end, and there is none any more."""
        self.is_quiet = False
        """The next attach is not told."""
        self.failure: LiveKernelError | None = None
        self.missed: Choice | None = None
        """What was chosen in advance, and could not even be tried."""
        self.choice: Choice | None = None
        """What was chosen last."""
        self.is_pinned = False
        """Was that by %attach, or an answer?"""
        self._waiters: list[Waiter] = []
        self._runs: dict[int, CellRun] = {}
        self._ended: OrderedDict[int, Callable[[list[Message]], None]] = OrderedDict()
        self._subshells: set[str] = set()
        self._cells = 0
        self.on_left: Callable[[], None] = lambda: None
        """Called when there is no target any more, however that came."""
        self.on_step: Callable[[str, Process | None, Message], None] = lambda *_: None
        """Told of each step: `attach`, `attached`, `failed`, `detached`, `lost`; of which process,
        where it is known, and more about it: `why`, in words."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when it may have another state, or other names are seen: after each cell."""
        self.blocked: TargetBlocked | None = None
        """In what the target that is being entered is blocked, where it is."""
        self.protection = Protection(lambda: self.is_there)
        self.use = Use()
        self.left: Choice | None = None
        """What was left because nobody used it."""
        self.setup = Setup()
        """What the session has set up in the present program."""
        self.succession = Succession(reactor)
        self.pursuits: list[Pursuit] = []
        """Cells that seek the successor of a program that has gone."""
        self.on_entered: Callable[[], None] = lambda: None
        """Called when it is attached, and when the time has changed after which it is left."""

    @property
    def state(self) -> State:
        """`DETACHED` where there has been no target yet."""
        return State.DETACHED if self.attachment is None else self.attachment.state

    @property
    def is_there(self) -> bool:
        """Is there a target, or one that is being entered?"""
        return self.state in (State.ATTACHED, State.INJECTING)

    def is_called(self) -> bool:
        """Has the bootstrap been scheduled in the target, or is there none to be entered?"""
        return self.attachment is None or self.attachment.is_called

    @property
    def present(self) -> Process | None:
        """The process that this kernel is attached to or entering."""
        return self.process if self.is_there else None

    @property
    def process(self) -> Process | None:
        """The process that this kernel is attached to or entering, or was last."""
        return None if self.attachment is None else self.attachment.process

    @property
    def gone(self) -> tuple[str, ...]:
        """The command line of the program that was meant and has ended, if there is one."""
        if self.process is not None:
            return self.process.cmdline if self.state is State.LOST else ()
        is_gone = self.missed is not None and isinstance(self.failure, TargetNotFound)
        return self.missed.command if self.missed is not None and is_gone else ()

    # -- attaching ----------------------------------------------------------------------

    def choose(
        self, choice: Choice, pinned: bool, waiter: Waiter | None = None, why: str = ""
    ) -> None:
        """Attach to what `choice` means. Raises LiveKernelError if that can't even be tried;
        what was attached before stays so then. `why`: for the record, where it was not the user.
        """
        try:
            process = choice.resolve()
            found = self.protection.of(process, choice.rails)
        except LiveKernelError as error:
            self.on_step("failed", None, {"asked": choice.text, **_why(error)})
            raise
        if self._is_already(process) and self.protection.is_within(found):
            self.protection.go_on(found)
            self.choice, self.is_pinned = choice, pinned
            self.on_entered()
            self._pin(process, choice, pinned)
            if choice.wake:
                self.wake()
            if waiter is not None:
                if self.state is State.ATTACHED:
                    self._notice(self.describe())
                self.wait(waiter)
            return
        self.succession.chosen(process)
        self.detach(why=f"attaches to pid {process.pid} instead")
        self.failure, self.choice, self.is_pinned = None, choice, pinned
        self.protection.begin(found)
        self.left = None
        if waiter is not None:
            self._waiters.append(waiter)
        asked = {"asked": choice.text, "by": choice.source, "wake": choice.wake}
        observe = bool(found.rails.observe)
        more = {"observe": True} if observe else {}
        self.on_step("attach", process, {**asked, **more, **({"why": why} if why else {})})
        self.attachment = Attachment(process, self.reactor, self, choice.wake, observe)
        self.on_change()

    def _is_already(self, process: Process) -> bool:
        if self.attachment is None or not self.is_there:
            return False
        present = self.attachment.process
        return (present.pid, present.start_time) == (process.pid, process.start_time)

    def _pin(self, process: Process, choice: Choice, pinned: bool) -> None:
        if self._memory is not None:
            said = choice.pattern or choice.text
            self._memory.remember(process, said, pinned, choice.rails)

    def wait(self, waiter: Waiter) -> None:
        """Call `waiter` as soon as the target is attached, which may be now."""
        if self.state is State.ATTACHED:
            waiter.attached()
        elif self.state is State.INJECTING:
            self._waiters.append(waiter)
            if self.blocked is not None:
                self._tell_blocked(waiter, self.blocked)
        else:
            waiter.failed(self.failure or NoTarget("No program is attached."))

    def wait_no_more(self, waiter: Waiter) -> None:
        """Forget a waiter; it is not called any more."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def wake(self) -> bool:
        """Wake the target that is being entered. Returns whether one is."""
        if self.attachment is None or self.state is not State.INJECTING:
            return False
        if self.blocked is not None:
            self.blocked.waking = ""  # it has been said
        self.attachment.wake()
        return True

    def give_up(self, why: str = "given up") -> bool:
        """Stop entering the target, if that is what goes on. Returns whether it was."""
        if self.attachment is None or self.state is not State.INJECTING:
            return False
        self.attachment.give_up()
        self.on_step("failed", self.attachment.process, {"why": why})
        blocked, self.blocked = self.blocked, None
        pid = self.attachment.process.pid
        seen = "" if blocked is None else f": {str(blocked).replace(f"pid {pid}'s", 'its', 1)}"
        remedy = _GIVEN_UP
        if blocked is not None and blocked.waking:
            remedy += f" Or wake it: {self._how_to_wake.format(pid=pid)}"
        error = TargetBlocked(pid, f"Gave up entering pid {pid}{seen}", remedy)
        self._tell_waiters(lambda waiter: waiter.failed(error))
        self.attachment = None
        self.on_change()
        return True

    def detach(
        self, forget: bool = False, why: str = "", error: LiveKernelError | None = None
    ) -> bool:
        """Let go of the target, if there is one. Returns whether there was.

        `why`: who or what wants it, for the record; `error` is told to what still runs there.
        """
        if forget:
            self.left = None
        if forget and self._memory is not None:
            self._memory.forget()
        if self.give_up(why or "given up"):
            return True
        attachment, self.attachment = self.attachment, None
        if attachment is None or attachment.state is not State.ATTACHED:
            return False
        attachment.detach()
        self.succession.left()
        self.setup.leave()
        self._tell_detached(attachment, why)
        for run in self._forget_cells():
            if error is not None:
                run.lost(error)
        if attachment.leftovers:
            self._notice(f"Could not be undone in the target: {attachment.leftovers}")
        return True

    def leave(self, within: float, why: str) -> None:
        """Let go of the target within so many seconds: the kernel ends, and nobody waits for it."""
        attachment = self.attachment
        if attachment is None or not self.is_there:
            return
        was_attached = self.state is State.ATTACHED
        attachment.detach(within)
        if was_attached:
            self._tell_detached(attachment, why)
        else:
            self.on_step("failed", attachment.process, {"why": why})

    def _tell_detached(self, attachment: Attachment, why: str) -> None:
        left = {"left": attachment.leftovers} if attachment.leftovers else {}
        self.on_step("detached", attachment.process, {"why": why, **left})

    def _tell_waiters(self, tell: Callable[[Waiter], None]) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            tell(waiter)

    def _forget_cells(self) -> list[CellRun]:
        """There is no target any more. Returns what still ran in it."""
        runs = list(self._runs.values())
        self._runs.clear()
        self._ended.clear()
        self.on_left()
        self.on_change()
        return runs

    def describe(self) -> str:
        """The line that is shown at attach."""
        assert self.attachment is not None
        process, ready = self.attachment.process, self.attachment.ready
        looks, who = (", only to look", "expressions") if self.rails.observe else ("", "cells")
        return plain(
            f"Attached to {process}, Python {ready['python']}{looks};\n"
            f"{who} see {ready['binding']['place']}."
        )

    # -- guard rails --------------------------------------------------------------------

    @property
    def rails(self) -> Rails:
        """Those of the present attach, or what is known of the next one."""
        return self.protection.rails

    def only_looks(self, what: str) -> OnlyLooks:
        """The error that refuses something; `what` is the subject of its sentence."""
        return self.protection.only_looks(what, self.process)

    @property
    def idle(self) -> tuple[float, str]:
        """Seconds without use after which it is left, 0 for never; and who has set that."""
        return self.use.limit(self.rails, self.protection.guard)

    def set_idle(self, seconds: float) -> None:
        """From now on it is left after so long; 0 for never."""
        self.use.set_limit(seconds)
        self.on_entered()

    def is_in_use(self) -> bool:
        """Does anything run there, but for what nobody waits for?"""
        return self.use.is_on(self._runs.values())

    def leave_unused(self) -> None:
        """Nobody has used it for long: let go of it, and of its threads that stand still."""
        attachment = self.attachment
        if not self.use.has_breakpoints or attachment is None:
            self._leave_unused("")
            return

        def answered(answer: Message) -> None:
            if attachment is self.attachment and attachment.state is State.ATTACHED:
                rows = answer.get("rows")
                waiting = [each.get("waiting") for each in rows] if isinstance(rows, list) else []
                self._leave_unused(" A thread that waited at a breakpoint goes on." * any(waiting))

        attachment.ask("breaks", answered, 0.5)

    def _leave_unused(self, more: str) -> None:
        process, choice = self.process, self.choice
        assert process is not None
        assert choice is not None
        if any(run.holds for run in self._runs.values()):
            more = " The thread of it that was held here goes on."
        limit, by = self.idle
        error = IdleTooLong(
            f"The kernel has detached from {process}: it was not used for "
            f"{durations.written(limit)} ({by}). The program runs on.{more}",
            f"%attach {process.pid} attaches again.",
        )
        again = choice._replace(text=str(process.pid), start_time=process.start_time, wake=False)
        self.failure, self.left = error, again._replace(source="%attach")
        self.detach(why=f"not used for {durations.written(limit)} ({by})", error=error)

    # -- cells --------------------------------------------------------------------------

    def run(self, request: Message, run: CellRun) -> None:
        """Run a cell in the attached target. Raises OnlyLooks, of whatever nobody has kept back."""
        if self.rails.observe and not messages.is_look({"op": "run", **request}):
            raise self.only_looks("That")
        self.use.note(request, run)
        code = syntax.to_python(request["code"])
        if code != request["code"]:
            request = request | {"code": code, "source": request["code"]}
        if self.limits:
            request = request | {"limits": self.limits}
        self._run({"op": "run", **request}, run)

    def deliver(self, message: Message, run: CellRun) -> None:
        """Deliver what a front-end says on a comm to the attached target. Raises OnlyLooks."""
        if self.rails.observe:
            raise self.only_looks("A message")
        self._run({"op": "comm", **message}, run)

    def _run(self, request: Message, run: CellRun) -> None:
        assert self.attachment is not None
        self._cells += 1
        try:
            self.attachment.run(self._cells, request)
        except (ValueError, RecursionError) as error:
            reason = f"The link to the target does not carry what the front-end has sent: {error}"
            raise LiveKernelError(reason) from error
        self._runs[self._cells] = run

    def set_alone(self, is_alone: bool) -> None:
        """Whether all front-ends have gone: then nothing in the target may wait for one."""
        self.is_alone = is_alone
        if self.attachment is not None and self.state is State.ATTACHED:
            self.attachment.tell_audience(not is_alone)

    def set_subshells(self, names: Iterable[str]) -> None:
        """Have these subshells in the target, now and in any to come."""
        wanted = set(names)
        if self.attachment is not None and self.state is State.ATTACHED:
            for name in wanted ^ self._subshells:
                self.attachment.set_subshell(name, name in wanted)
        self._subshells = wanted

    def interrupt(self) -> None:
        """Interrupt whatever cells wait for: the target's code, the target itself, or the one
        that comes after it.
        """
        for pursuit in list(self.pursuits):
            pursuit.give_up()
        if self._waiters and self.give_up():
            return
        if self.attachment is not None and self._runs:
            self.attachment.interrupt()

    def hold_output(self, hold: bool) -> None:
        """Front-ends take messages more slowly than the cell makes them (or no longer do)."""
        if self.attachment is not None and self.state is State.ATTACHED:
            self.attachment.hold_output(hold)

    def take_notices(self) -> list[str]:
        """What the user should be told at the next occasion, once."""
        notices, self.notices = self.notices, []
        return notices

    # -- told by the attachment ---------------------------------------------------------

    def on_attached(self) -> None:
        assert self.attachment is not None
        assert self.choice is not None
        self.blocked = None
        self.succession.entered(self.attachment.process)
        self.on_step("attached", self.attachment.process, {})
        self._pin(self.attachment.process, self.choice, self.is_pinned)
        if not self.is_quiet:
            self._notice(self.describe())
        self.is_quiet = False
        self.on_change()
        self.protection.tell()
        self.use.begin()
        self.on_entered()
        for name in self._subshells:
            self.attachment.set_subshell(name, True)
        if self.is_alone:
            self.attachment.tell_audience(False)
        self._tell_waiters(lambda waiter: waiter.attached())

    def on_failed(self, error: LiveKernelError) -> None:
        self.on_step("failed", self.process, _why(error))
        self.failure, self.blocked = error, None
        self.on_change()
        self._tell_waiters(lambda waiter: waiter.failed(error))

    def on_blocked(self, error: TargetBlocked) -> None:
        self.blocked = error
        self.on_change()
        for waiter in self._waiters:
            self._tell_blocked(waiter, error)

    def _tell_blocked(self, waiter: Waiter, error: TargetBlocked) -> None:
        how = self._how_to_wake.format(pid=error.pid)
        offer = f"\n{how} wakes it: {error.waking}" if error.waking else ""
        waiter.tell(f"Waiting: {error}.\n{error.remedy}{offer}")
        if error.waking and waiter.ask is not None:
            self.reactor.later(ASK_AFTER, lambda: self._ask_to_wake(waiter))

    def _ask_to_wake(self, waiter: Waiter) -> None:
        """Whoever still waits then is asked, for waiting may be all that he wants."""

        def answered(text: str | None) -> None:
            if (text or "").strip().lower() in ("y", "yes"):
                self.wake()

        is_offered = self.blocked is not None and self.blocked.waking != ""
        if waiter in self._waiters and waiter.ask is not None and is_offered:
            waiter.ask("Wake it? [y/N] ", answered)

    def on_cell(self, cell: int, events: list[Message], done: Message | None) -> None:
        run = self._runs.get(cell)
        produced = self._ended.get(cell) if run is None else run.produced
        if events and produced is not None:
            produced(events)
        if done is not None and run is not None:
            self._end(cell, run)
            run.done(done)

    def _end(self, cell: int, run: CellRun) -> None:
        self._runs.pop(cell, None)
        self.use.end(run)
        self._ended[cell] = run.late
        self.on_change()
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def on_undelivered(self, cell: int) -> None:
        run = self._runs.pop(cell, None)
        if run is not None:
            run.undelivered()

    def on_input_wanted(self, cell: int, prompt: str, password: bool) -> None:
        self._ask(cell, prompt, password, lambda _run, _text: None)

    def on_prompt(self, cell: int, prompt: str) -> None:
        self._ask(cell, prompt, False, lambda run, text: run.typed(text))

    def _ask(
        self, cell: int, prompt: str, password: bool, typed: Callable[[CellRun, str], None]
    ) -> None:
        run, attachment = self._runs.get(cell), self.attachment
        if run is None or attachment is None:
            return

        def answered(text: str | None) -> None:
            run.awaits = False
            if text is not None:
                typed(run, text)
            attachment.answer_input(cell, text)

        run.awaits = True
        run.input_wanted(prompt, password, answered)

    def on_notice(self, text: str) -> None:
        self._notice(text)

    def _notice(self, text: str) -> None:
        """Keep a word for the user; of too many that nobody has read, the latest."""
        self.notices.append(plain(text))
        del self.notices[:-_MOST_NOTICES]

    def on_lost(self, error: AgentLost) -> None:
        self.on_step("lost", self.process, {"why": str(error)})
        self.succession.lost()
        self.setup.leave()
        self.failure = error
        for run in self._forget_cells():
            run.lost(error)


def _why(error: LiveKernelError) -> Message:
    return {"why": f"{type(error).__name__}: {error}"}


_GIVEN_UP = "Nothing was changed in it. Try again with %attach once it is awake."
