"""The frames from which rt_sigreturn(2) restores a thread's whole state.

Pure; used by the helper that wakes a thread (`waker.py`). When a signal's handler
returns, the thread calls rt_sigreturn, and the kernel puts all registers back as the frame on
the stack has them. Such frames are built here by hand, so that a function which a thread is
made to call leads back into what it was doing by itself, whatever becomes of its tracer: as
after a signal, without one.
Rule: no I/O; the layouts are the kernel's own (arch/x86/include/uapi/asm/sigcontext.h,
arch/arm64/include/uapi/asm/sigcontext.h, include/uapi/asm-generic/ucontext.h).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..records import NamedTuple
from .registers import X86, Arm64, Machine, Registers

_NO_ALTERNATE_STACK = struct.pack("<QiIQ", 0, 0x40, 0, 0)
"""A `stack_t` that is invalid, so that the kernel leaves the thread's own as it is."""


class Call(NamedTuple):
    """A function's address, and its arguments."""

    function: int
    arguments: Sequence[int] = ()


class Chain(NamedTuple):
    """Calls to be made one after the other: `memory` to be written at `address`, `registers` to
    begin with. `frames`: where each call's way back stands, and with what it goes on.
    """

    address: int
    memory: bytes
    registers: Registers
    frames: dict[int, Registers]


class State(NamedTuple):
    """A thread's: all that a frame restores, as ptrace(2) gives it.

    `vectors`: the regset of the vector registers. `blocked`: the signal mask.
    """

    registers: Registers
    vectors: bytes
    blocked: int


DATA = -1
"""As an argument of a call: the address of the data that a chain brings along."""


def chain(
    machine: Machine,
    state: State,
    calls: Sequence[Call],
    final: Registers,
    restorer: int,
    data: bytes = b"",
) -> Chain:
    """Have a thread make `calls`, and go on with `final` in the end. `data`: up to eight bytes."""
    builder = _BUILDERS[type(machine)](machine, state, restorer)
    top, tail = builder.tail(data.ljust(8, b"\0"))
    places = [top - builder.size * number for number in range(len(calls), 0, -1)]
    back = [
        *(
            machine.calling(
                state.registers,
                call.function,
                [top if argument == DATA else argument for argument in call.arguments],
                place,
                restorer,
            )
            for call, place in zip(calls, places, strict=True)
        ),
        final,
    ]
    memory = b"".join(map(builder.frame, back[1:])) + tail
    return Chain(places[0], memory, back[0], dict(zip(places, back[1:], strict=True)))


class _Builder:
    """Builds frames for one state of a thread. `size`: bytes a frame."""

    size: int

    def __init__(self, machine: Machine, state: State, restorer: int) -> None:
        self._machine, self._state, self._restorer = machine, state, restorer

    def tail(self, data: bytes) -> tuple[int, bytes]:
        """What stands above all frames: where that begins, with `data`, and all of it."""
        raise NotImplementedError

    def frame(self, registers: Registers) -> bytes:
        raise NotImplementedError


class _X86Builder(_Builder):
    """A frame: return address, ucontext, siginfo. The vector registers stand once, above all."""

    size = 8 + 304 + 136
    _flags = 0x1 | 0x2 | 0x4  # UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
    _order = (
        *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx"),
        *("rdx", "rax", "rcx", "rsp", "rip", "eflags"),
    )
    _magic = 0x46505853, 0x46505845  # FP_XSTATE_MAGIC1 and 2
    _header = 512
    """Where the XSAVE header begins."""
    _without_tiles = 2816
    """Where the tile data begin, which few processes may have."""
    _tiles = 1 << 18

    def tail(self, data: bytes) -> tuple[int, bytes]:
        area = self._area()
        stack = self._state.registers["rsp"] - self._machine.red_zone
        self._area_at = (stack - len(area)) & ~63
        # A function begins with its return address on top of a stack that is aligned to 16.
        top = self._area_at - 8
        return top, data + area

    def _area(self) -> bytes:
        """The XSAVE area as rt_sigreturn wants it: its size and features in bytes that are unused,
        and a mark at its end, which is where the kernel thinks that it ends for this process:
        with the tile data (AMX) only where it was allowed to have such. So there are two.
        """
        area = self._state.vectors
        in_use, _ = struct.unpack_from("<QQ", area, self._header)
        (features,) = struct.unpack_from("<Q", area, 464)
        size = len(area)
        if size > self._without_tiles and not in_use & self._tiles:
            size, features = self._without_tiles, features & ~self._tiles
        begin, end = self._magic
        described = struct.pack("<IIQI28x", begin, size + 4, features, size)
        marked = bytearray(area[:464] + described + area[512:] + bytes(4))
        struct.pack_into("<I", marked, size, end)
        struct.pack_into("<I", marked, len(area), end)
        return bytes(marked)

    def frame(self, registers: Registers) -> bytes:
        general = [registers[name] for name in self._order]
        segments = registers["cs"], 0, 0, registers["ss"]
        context = struct.pack("<18Q4H32xQ64x", *general, *segments, self._area_at)
        head = struct.pack("<QQQ", self._restorer, self._flags, 0) + _NO_ALTERNATE_STACK
        return head + context + struct.pack("<Q", self._state.blocked) + bytes(136)


class _Arm64Builder(_Builder):
    """A frame: siginfo, ucontext, and in it records of further state, the vector registers'."""

    size = 128 + 176 + 288 + 4096
    _magic, _record = 0x46508001, 528  # FPSIMD_MAGIC and the size of its record

    def tail(self, data: bytes) -> tuple[int, bytes]:
        return (self._state.registers["sp"] & ~15) - 16, data + bytes(8)

    def frame(self, registers: Registers) -> bytes:
        begin = bytes(128) + struct.pack("<QQ", 0, 0) + _NO_ALTERNATE_STACK
        begin += struct.pack("<Q128x", self._state.blocked)
        context = struct.pack("<Q", 0) + self._machine.pack(registers) + bytes(8)
        vectors, status = self._state.vectors[:512], self._state.vectors[512:520]
        record = struct.pack("<II", self._magic, self._record) + status + vectors
        return begin + context + record + bytes(4096 - len(record))


_BUILDERS: dict[type[Machine], type[_Builder]] = {X86: _X86Builder, Arm64: _Arm64Builder}
