"""A thread's registers, as ptrace(2) gives them: what each machine calls them, what they mean.

Pure; used by the helper that wakes a thread (`waker.py`). One class a machine: where the
registers lie, how a system call looks that was interrupted, what makes it fail with EINTR or
happen once more, and how a function is called. Linux x86-64 (arch/x86/kernel/signal.c) and
aarch64 (arch/arm64/kernel/signal.c).
Rule: no I/O; a change of registers is a new mapping.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar

from ..records import NamedTuple

Registers = dict[str, int]

EINTR = 4
_RESTARTSYS, _RESTARTNOINTR, _RESTARTNOHAND, _RESTARTBLOCK = 512, 513, 514, 516
_WORD = (1 << 64) - 1


class Wait(NamedTuple):
    """A system call in which a thread was seen, as /proc/PID/task/TID/syscall tells it.

    `stack` and `code`: the stack pointer, and where the thread goes on afterwards.
    """

    number: int
    stack: int
    code: int


class Machine:
    """What differs between machines."""

    names: ClassVar[tuple[str, ...]]
    sigreturn: ClassVar[int]
    """The number of rt_sigreturn(2)."""
    restart: ClassVar[int]
    """The number of restart_syscall(2)."""
    restorer: ClassVar[bytes]
    """The instructions that call rt_sigreturn, to which each signal handler returns."""
    red_zone: ClassVar[int]
    """Bytes below the stack pointer that still belong to the function that runs."""
    vectors: ClassVar[int]
    """The regset that holds the vector registers: NT_X86_XSTATE, NT_FPREGSET."""
    shadow: ClassVar[int]
    """The regset that begins with zero, or is none, where there is no second stack for return
    addresses: NT_X86_SHSTK, NT_ARM_GCS."""

    def size(self) -> int:
        """Bytes of a register set."""
        return 8 * len(self.names)

    def unpack(self, data: bytes) -> Registers:
        return dict(zip(self.names, struct.unpack(f"<{len(self.names)}Q", data), strict=True))

    def pack(self, registers: Registers) -> bytes:
        words = [registers[name] & _WORD for name in self.names]
        return struct.pack(f"<{len(words)}Q", *words)

    def is_interrupted(self, registers: Registers, wait: Wait) -> bool:
        """Whether a thread that was stopped is still in this call, which is to be restarted."""
        raise NotImplementedError

    def with_eintr(self, registers: Registers, wait: Wait) -> Registers:
        """The call fails with EINTR, as after a signal that has been handled."""
        raise NotImplementedError

    def restarted(self, registers: Registers, wait: Wait) -> Registers:
        """What the kernel would do if no handler had run, done by hand; EINTR where that can't be.

        To be put in force by rt_sigreturn, after which the kernel restarts nothing.
        """
        raise NotImplementedError

    def needs_kernel(self, registers: Registers) -> bool:
        """Whether only the kernel knows how much of the wait is left (restart_syscall(2))."""
        raise NotImplementedError

    def calling(
        self, registers: Registers, function: int, arguments: Sequence[int], stack: int, back: int
    ) -> Registers:
        """The thread begins `function`, which returns to `back`."""
        raise NotImplementedError

    def frame_of_sigreturn(self, registers: Registers) -> int | None:
        """The frame from which a thread that enters rt_sigreturn goes on; None: another call."""
        raise NotImplementedError

    def in_restart(self, registers: Registers) -> Registers:
        """For a thread that enters a system call: it is restart_syscall instead, for this wait."""
        raise NotImplementedError

    def at_once(self, registers: Registers) -> Registers:
        """For a thread that enters a system call: there is none, it goes on with these."""
        raise NotImplementedError


class X86(Machine):
    """`rax` holds the call's result, or how it is to be restarted; `orig_rax` its number."""

    names = (
        *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx"),
        *("rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base"),
        *("gs_base", "ds", "es", "fs", "gs"),
    )
    sigreturn, restart = 15, 219
    restorer = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall
    red_zone, vectors, shadow = 128, 0x202, 0x204
    _arguments = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
    _direction = 0x400
    """A flag that must not be set where a function begins."""

    def is_interrupted(self, registers: Registers, wait: Wait) -> bool:
        place = registers["orig_rax"], registers["rsp"], registers["rip"]
        again = _RESTARTSYS, _RESTARTNOINTR, _RESTARTNOHAND, _RESTARTBLOCK, EINTR
        return place == wait and -_signed(registers["rax"]) in again

    def with_eintr(self, registers: Registers, wait: Wait) -> Registers:
        return registers | {"rax": -EINTR & _WORD, "orig_rax": _WORD}

    def restarted(self, registers: Registers, wait: Wait) -> Registers:
        if -_signed(registers["rax"]) in (_RESTARTBLOCK, EINTR):
            return self.with_eintr(registers, wait)
        again = {"rax": registers["orig_rax"], "rip": registers["rip"] - 2, "orig_rax": _WORD}
        return registers | again

    def needs_kernel(self, registers: Registers) -> bool:
        return -_signed(registers["rax"]) == _RESTARTBLOCK

    def calling(
        self, registers: Registers, function: int, arguments: Sequence[int], stack: int, back: int
    ) -> Registers:
        given = dict(zip(self._arguments, arguments, strict=False))
        flags = registers["eflags"] & ~self._direction
        begin = {"rip": function, "rsp": stack, "rax": 0, "orig_rax": _WORD, "eflags": flags}
        return registers | given | begin  # `back` stands at the top of the stack

    def frame_of_sigreturn(self, registers: Registers) -> int | None:
        enters = _signed(registers["rax"]) == -38  # ENOSYS, until there is a result
        is_it = enters and registers["orig_rax"] == self.sigreturn
        return registers["rsp"] - 8 if is_it else None

    def in_restart(self, registers: Registers) -> Registers:
        return registers | {"rax": -38 & _WORD, "orig_rax": self.restart}

    def at_once(self, registers: Registers) -> Registers:
        return registers | {"orig_rax": _WORD}


class Arm64(Machine):
    """Before a tracer sees it, the kernel has already gone back to the call that it restarts:
    `pc` stands before it, `x0` is its first argument again, `x8` its number.
    """

    names = (*(f"x{number}" for number in range(31)), "sp", "pc", "pstate")
    sigreturn, restart = 139, 128
    restorer = struct.pack("<II", 0xD2801168, 0xD4000001)  # mov x8, #139; svc #0
    red_zone, vectors, shadow = 0, 2, 0x410
    _relative = 98, 101, 115
    """futex, nanosleep, clock_nanosleep: may wait for a time from now, which would begin anew."""

    def is_interrupted(self, registers: Registers, wait: Wait) -> bool:
        if (registers["x8"], registers["sp"]) != (wait.number, wait.stack):
            return False
        failed = registers["pc"] == wait.code and _signed(registers["x0"]) == -EINTR
        return failed or registers["pc"] == wait.code - 4

    def with_eintr(self, registers: Registers, wait: Wait) -> Registers:
        return registers | {"x0": -EINTR & _WORD, "pc": wait.code}

    def restarted(self, registers: Registers, wait: Wait) -> Registers:
        if wait.number in (*self._relative, self.restart):
            return self.with_eintr(registers, wait)
        return dict(registers)

    def needs_kernel(self, registers: Registers) -> bool:
        return False  # the kernel does not tell a tracer; see `restarted`

    def calling(
        self, registers: Registers, function: int, arguments: Sequence[int], stack: int, back: int
    ) -> Registers:
        given = {f"x{number}": value for number, value in enumerate(arguments)}
        return registers | given | {"pc": function, "sp": stack, "x30": back}


MACHINES: dict[str, Machine] = {"x86_64": X86(), "aarch64": Arm64()}


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
