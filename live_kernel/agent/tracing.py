"""`%trace`: the calls of one function, with arguments, result, duration and caller.

Runs in the target: begun and ended on a cell's thread; told of calls on the program's
threads, where only texts are made of what is seen, from memory; written out on the thread
of the beats, as output of the cell that has begun it. Rule: the program waits for nothing
here. What comes faster than it is taken is counted and not shown, and what has seen its
calls is gone at once.
"""

from __future__ import annotations

import sys
from collections import deque
from itertools import count
from time import monotonic, perf_counter

from . import background, beats, brief, call_events, conditions, functions, native
from .calls import Call, duration, told_of
from .plots import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from .cell import Cell
    from .ledger import Entry
    from .shell import Shell

EVERY = 0.1
"""Seconds between two looks at what has been seen."""

WAITING = 50
"""Calls that may wait to be written out; a call that comes meanwhile is only counted."""

UNDER_WAY = 1000
"""Calls that may be under way at once; others are only counted."""

SHOWN = 1000
"""Calls that a trace shows in all; after that it counts them."""

SEEN = 1_000_000
"""Calls after which a trace ends in any case: so it costs the program half a second in all."""

FAILURES = 100
"""So many failures of its condition end a trace."""


class Trace(beats.Beating):
    """One function that is traced. Its `over` is set when it has ended."""

    def __init__(self, traces: Traces, number: int, cell: Cell, action: dict[str, Any]) -> None:
        self._traces, self.number, self._cell = traces, number, cell
        shell = traces.shell
        code = functions.code_of(action["function"], shell.namespace)
        self.code: CodeType = code.objects[0]
        self.title, self.notes = code.name, code.notes
        self._condition, self._failure = None, ""
        if action["condition"]:
            given = action["condition"], shell.namespace, self._failed
            self._condition = conditions.Condition(*given)
        self._wanted: int = action["count"]
        self._begun = monotonic()
        self._until = monotonic() + action["seconds"] if action["seconds"] else float("inf")
        self._numbers, self._taken, self._over = count(1), count(1), count(1)
        self._seen = self._left_out = self._told_left_out = self._shown = 0
        self._under_way: dict[int, Call] = {}
        self._depths: dict[int, int] = {}
        self._is_nested = not call_events.pauses(self.code)
        self._waiting: deque[Call] = deque()
        self._times: list[float] = []
        self._raised = 0
        self._is_counting = self._has_all = False
        self._room = WAITING
        self._why = ""
        self._lock = native.Lock()
        self._is_told = False
        self.over = native.Signal()
        self._entry: Entry = shell.ledger.record(f"%trace {self.title}", self.stop)

    def begin(self) -> None:
        """Be told of calls from now on. Raises Refused."""
        try:
            call_events.watch(self.code, self)
        except BaseException:
            self._entry.undo()
            raise

    # -- on the program's threads

    def begun(self) -> None:
        """A call begins."""
        self._seen = seen = next(self._numbers)
        if seen >= SEEN:
            self._close(f"{SEEN:,} calls were seen, and no more are looked at")
        elif self._is_counting:
            self._left_out += 1
        elif len(self._waiting) >= self._room or len(self._under_way) >= UNDER_WAY:
            self._left_out += 1
            self._only_count()
        else:
            self._take(sys._getframe(2))

    def _only_count(self) -> None:
        """Too many come: until those that wait are written out, do as little as can be."""
        self._is_counting = True
        if not self._under_way:
            call_events.tell_of(self.code, endings=False)
            if self._under_way:  # by another thread meanwhile
                call_events.tell_of(self.code)

    def _take(self, frame: FrameType) -> None:
        if self._condition is not None and not self._is_wanted(frame):
            return
        if self._wanted:
            taken = next(self._taken)
            if taken > self._wanted:
                return
            if taken == self._wanted:
                self._has_all = True
                call_events.tell_of(self.code, beginnings=False)
        call = Call(frame)
        if self._is_nested:
            call.depth = self._depths.get(call.thread, 0)
            self._depths[call.thread] = call.depth + 1
        self._under_way[id(frame)] = call
        if self._is_counting:  # since another thread has said so meanwhile
            call_events.tell_of(self.code, beginnings=not self._has_all)
        call.begun = call.resumed = perf_counter()

    def _is_wanted(self, frame: FrameType) -> bool:
        condition = self._condition
        assert condition is not None
        if condition.holds(frame):
            return True
        if condition.failures >= FAILURES:
            self._close(f"its condition failed {FAILURES} times")
        return False

    def _failed(self, how: str) -> None:
        self._failure = f"({how})"

    def returned(self, frame: FrameType, value: object) -> None:
        """A call has come to its end."""
        if self._under_way:
            call = self._under_way.pop(id(frame), None)
            if call is not None:
                call.returned(value)
                self._has_ended(call)

    def left(self, frame: FrameType, error: BaseException) -> None:
        """A call was ended by an exception."""
        call = self._under_way.pop(id(frame), None)
        if call is not None:
            call.left(error)
            self._has_ended(call)

    def paused(self, frame: FrameType) -> None:
        """A generator yields, or a coroutine waits."""
        call = self._under_way.get(id(frame))
        if call is not None:
            call.paused()

    def resumed(self, frame: FrameType) -> None:
        call = self._under_way.get(id(frame))
        if call is not None:
            call.resumed = perf_counter()

    def _has_ended(self, call: Call) -> None:
        if self._is_nested:
            self._depths[call.thread] = max(self._depths.get(call.thread, 0) - 1, 0)
        self._waiting.append(call)
        if self._wanted and next(self._over) >= self._wanted:
            self._close("that many were asked for")

    def _close(self, why: str) -> None:
        """Nothing more is wanted: away with it at once; what there is to say comes after."""
        call_events.leave(self.code)
        self._why = self._why or why
        self.due = 0.0
        self._traces.beats.wake()

    # -- on the thread of the beats

    def beat(self) -> None:
        """Write out what has been seen, and end when it is time."""
        self.due = min(monotonic() + EVERY, self._until)
        self._write()
        self._room = min(WAITING, SHOWN - self._shown)
        if self._is_counting and self._room > 0 and not self._why:
            self._is_counting = False
            call_events.tell_of(self.code, beginnings=not self._has_all)
        if self._why:
            self.end(self._why)
        elif monotonic() >= self._until:
            self.end("its time is over")

    def _write(self) -> None:
        lines = [self._failure] if self._failure else []
        self._failure = ""
        for _ in range(len(self._waiting)):
            call = self._waiting.popleft()
            self._shown += 1
            self._times.append(call.took)
            self._raised += call.has_raised
            lines.append(told_of(call, self.title))
        left_out = self._left_out - self._told_left_out
        if left_out:
            self._told_left_out += left_out
            if self._room > 0:
                lines.append(f"… {brief.plural(left_out, 'call')} more, not shown")
        if lines:
            self._print(lines)

    def _print(self, lines: list[str]) -> None:
        self._cell.output.write("stdout", "\n".join(lines) + "\n")
        self._cell.output.flush()

    def end(self, why: str) -> None:
        """Say how it went, once, and be over."""
        with self._lock:
            is_told, self._is_told = self._is_told, True
        if is_told:
            return
        call_events.leave(self.code)
        self._write()
        under_way = list(self._under_way.values())[:20]
        lines = [told_of(call, self.title, has_ended=False) for call in under_way]
        self._print([*lines, f"%trace {self.title}: {self._summary()} ({why})"])
        self._entry.undo()

    def _summary(self) -> str:
        words = [f"{brief.plural(self._seen, 'call')} in {clock(monotonic() - self._begun)}"]
        if self._seen != self._shown:
            words.append(f"{self._shown:,} shown")
        if self._raised:
            words.append(f"{self._raised:,} raised")
        if self._times:
            low, high = min(self._times), max(self._times)
            mean = sum(self._times) / len(self._times)
            words.append(f"took {duration(low)} to {duration(high)}, mean {duration(mean)}")
        if self._condition is not None and self._condition.failures:
            words.append(f"the condition failed: {self._condition.failure}")
        return "; ".join(words)

    def stop(self) -> None:
        """Be over, without a word."""
        call_events.leave(self.code)
        self._under_way.clear()
        self._waiting.clear()
        self._traces.drop(self)
        self.over.set()


class Traces(background.Ongoing):
    """The traces of one session."""

    subject = "function"
    done, ender = "traced", "%untrace"

    def begin(self, cell: Cell, action: dict[str, Any]) -> Trace:
        """Trace a function from now on. Raises Refused."""
        trace = Trace(self, self.next_number(), cell, action)
        for note in trace.notes:
            cell.output.write("stdout", f"({note})\n")
        trace.begin()
        self.all[trace.number] = trace
        self.beats.add(trace)
        return trace

    def drop(self, trace: Trace) -> None:
        """It is over."""
        self.all.pop(trace.number, None)
        self.beats.remove(trace)


def trace(cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%trace`: begin one, or list them."""
    background.begin(Traces, cell, shell, action)


def untrace(_cell: Cell, shell: Shell, action: dict[str, Any]) -> None:
    """`%untrace`: end one, or all."""
    background.of(Traces, shell).end(action["which"])
