"""The helper that wakes one thread: a short-lived process of its own.

Runs as `python -I -S -c …`, started by `wake.py`; reads one order (JSON) from stdin, and writes
one word to stdout, and maybe why. It changes the thread's registers in one step, by which the
thread either finds its system call failed with EINTR, or makes some calls that lead back by
themselves (`sigframes.py`).
Rule: it may be killed at any moment. Until that one step nothing has happened to the thread;
after it, nothing more is needed from here. All that can be caught is blocked meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from contextlib import suppress

from ..records import NamedTuple
from . import tracing
from .registers import MACHINES, Machine, Registers, Wait
from .sigframes import DATA, Call, Chain, State, chain
from .tracing import Held

DONE, MOVED, REFUSED = "done", "moved", "refused"
"""It was woken; it waits no more, or elsewhere; it can't be done to it."""

DENIED = "may not be traced by a process beside the kernel"

_RETURNS_WITHIN = 5.0
"""Seconds for which the thread is watched in the calls that it was made to do, at most."""


class Order(NamedTuple):
    """What is to be done.

    `wait`: where the thread was seen, and must still be; without it, its call is only
    interrupted. `eintr`: the call is to fail with EINTR in the end, else to go on. `calls`:
    what the thread calls before, as (address, arguments); `restorer`: where those return to.
    `zero`: (address, mask, why) of ints in its memory of which no bit of the mask may be set.
    `errno`: where that is, and by what it is put back after the calls (`levers.Errno`).
    """

    pid: int
    thread: int
    machine: str = ""
    wait: tuple[int, int, int] | None = None
    eintr: bool = False
    calls: tuple[tuple[int, tuple[int, ...]], ...] = ()
    restorer: int = 0
    zero: tuple[tuple[int, int, str], ...] = ()
    errno: tuple[int, int] | None = None


class Refusal(Exception):
    """It can't be done; the text says why, of the thread."""


def carry_out(order: Order) -> tuple[str, str]:
    """Wake the thread. Returns one of the words above, and a reason."""
    try:
        with Held(order.thread) as held:
            if tracing.process_of(order.thread) != order.pid:
                return MOVED, "its number is another thread's now"
            if held.signal:
                return MOVED, "a signal has just reached it"
            if not held.is_ours:
                return REFUSED, "is stopped"
            if order.wait is not None and not _wake(held, Wait(*order.wait), order):
                return MOVED, "it does not wait there any more"
    except tracing.Ended:
        return MOVED, "it has ended"
    except tracing.NotStopped:
        return REFUSED, "waits for the disk or a device, which nothing can interrupt"
    except ProcessLookupError:
        return MOVED, "it has ended"
    except Refusal as error:
        return REFUSED, str(error)
    except PermissionError:
        return REFUSED, _why_denied(order.thread)
    return DONE, ""


def _wake(held: Held, wait: Wait, order: Order) -> bool:
    """Returns whether it still waits there: else nothing is done."""
    machine = MACHINES[order.machine]
    registers = machine.unpack(held.get(tracing.GENERAL))
    if not machine.is_interrupted(registers, wait):
        return False
    final = (machine.with_eintr if order.eintr else machine.restarted)(registers, wait)
    if not order.calls:
        held.set(tracing.GENERAL, machine.pack(final))
        return True
    if _has_shadow_stack(held, machine):
        raise Refusal("keeps a shadow stack, which forbids calls from outside")
    state = State(registers, held.get(machine.vectors), held.blocked_signals())
    planned = _plan(machine, state, final, order)
    held.set(tracing.GENERAL, machine.pack(planned.registers))
    if not order.eintr and machine.needs_kernel(registers):
        with suppress(tracing.NotStopped):  # it does not come back yet, and will by itself
            _resume(held, machine, state, planned)
    return True


def _has_shadow_stack(held: Held, machine: Machine) -> bool:
    with suppress(OSError):  # neither processor nor kernel knows such
        return any(held.get(machine.shadow)[:8])
    return False


def _plan(machine: Machine, state: State, final: Registers, order: Order) -> Chain:
    """Write what leads back below its stack pointer, where a signal's frame would be: this is
    nobody's memory.
    """
    memory = os.open(f"/proc/{order.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        _check(memory, order)
        calls = [Call(function, arguments) for function, arguments in order.calls]
        data = b""
        if order.errno is not None:
            data, put_back = _errno(memory, state.registers, *order.errno)
            calls.append(put_back)
        planned = chain(machine, state, calls, final, order.restorer, data)
        _write(memory, planned)
    finally:
        os.close(memory)
    return planned


def _check(memory: int, order: Order) -> None:
    for address, mask, why in order.zero:
        (value,) = struct.unpack("<I", os.pread(memory, 4, address))
        if value & mask:
            raise Refusal(why)


def _errno(memory: int, registers: Registers, offset: int, put: int) -> tuple[bytes, Call]:
    """What it is now, as swab(3) reads it, and the call that puts it back."""
    address = (registers["fs_base"] + offset) % (1 << 64)
    value = os.pread(memory, 4, address)
    swapped = bytes(value[place ^ 1] for place in range(len(value)))
    return swapped, Call(put, (DATA, address, len(value)))


def _write(memory: int, planned: Chain) -> None:
    try:
        written = os.pwrite(memory, planned.memory, planned.address)
    except OSError:
        written = 0
    if written != len(planned.memory):
        raise Refusal("has too little room on its stack")


def _resume(held: Held, machine: Machine, state: State, planned: Chain) -> None:
    """Let the calls be made, then have the kernel go on with a wait whose rest it alone knows.

    rt_sigreturn would forget that rest. So it is done here, in its place; should we die before,
    it happens by itself, and the wait fails with EINTR.
    """
    deadline = time.monotonic() + _RETURNS_WITHIN
    last = max(planned.frames)
    while True:
        if not held.until_syscall(max(deadline - time.monotonic(), 0)):
            continue
        entered = machine.unpack(held.get(tracing.GENERAL))
        frame = machine.frame_of_sigreturn(entered)
        if frame == last:
            held.set(machine.vectors, state.vectors)
            held.set(tracing.GENERAL, machine.pack(machine.in_restart(state.registers)))
            return
        if frame in planned.frames:
            held.set(tracing.GENERAL, machine.pack(machine.at_once(planned.frames[frame])))


def _why_denied(thread: int) -> str:
    with open(f"/proc/{thread}/status") as file:
        tracer = next(line.split()[1] for line in file if line.startswith("TracerPid"))
    if tracer != "0":
        return f"is held by a debugger (pid {tracer})"
    return DENIED


def main() -> None:
    """Carry out the order that stands on stdin."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    told = json.loads(sys.stdin.read())
    outcome, why = carry_out(Order(**told))
    print(outcome, why, flush=True)
