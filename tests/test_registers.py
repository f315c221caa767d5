"""Registers and signal frames of both machines, against the kernel's structures.

Nothing is traced: the structures are written down once more here, as the kernel's headers have
them, and the bytes that we build are read by them. That x86-64's do work is seen in test_waking.
"""

from __future__ import annotations

import ctypes
import re
import struct
from typing import Any

import pytest

from live_kernel.attach.registers import MACHINES, X86, Arm64, Machine, Registers, Wait
from live_kernel.attach.sigframes import DATA, Call, Chain, State, chain

u16, u32, u64, i32 = ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32


def structure(name: str, *fields: tuple[str, Any]) -> type[ctypes.Structure]:
    return type(name, (ctypes.Structure,), {"_fields_": fields})


# include/uapi/asm-generic/ucontext.h, signal.h
Stack = structure("Stack", ("sp", u64), ("flags", i32), ("size", u64))

# arch/x86/include/uapi/asm/ptrace.h (user_regs_struct), sigcontext.h, ucontext.h; sigframe.h
X86_USER = (
    "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss fs_base gs_base "
    "ds es fs gs"
)
X86Context = structure(
    "X86Context",
    *((f"r{n}", u64) for n in range(8, 16)),
    *((name, u64) for name in ["di", "si", "bp", "bx", "dx", "ax", "cx", "sp", "ip", "flags"]),
    *((name, u16) for name in ["cs", "gs", "fs", "ss"]),
    *((name, u64) for name in ["err", "trapno", "oldmask", "cr2", "fpstate"]),
    ("reserved", u64 * 8),
)
X86Frame = structure(
    "X86Frame",
    ("pretcode", u64),
    ("uc_flags", u64),
    ("uc_link", u64),
    ("uc_stack", Stack),
    ("context", X86Context),
    ("sigmask", u64),
    ("siginfo", ctypes.c_byte * 128),
)

# arch/arm64/include/uapi/asm/ptrace.h (user_pt_regs), sigcontext.h, ucontext.h; signal.c
ARM_USER = [*(f"x{n}" for n in range(31)), "sp", "pc", "pstate"]
Fpsimd = structure(
    "Fpsimd", ("magic", u32), ("size", u32), ("fpsr", u32), ("fpcr", u32), ("vregs", u64 * 64)
)
ArmContext = structure(
    "ArmContext",
    ("fault_address", u64),
    ("regs", u64 * 31),
    ("sp", u64),
    ("pc", u64),
    ("pstate", u64),
    ("pad", u64),  # what follows is aligned to 16
    ("fpsimd", Fpsimd),
    ("end", u32 * 2),
    ("rest", ctypes.c_byte * (4096 - 528 - 8)),
)
ArmFrame = structure(
    "ArmFrame",
    ("siginfo", ctypes.c_byte * 128),
    ("uc_flags", u64),
    ("uc_link", u64),
    ("uc_stack", Stack),
    ("sigmask", u64),
    ("unused", ctypes.c_byte * (128 - 8)),
    ("pad", u64),  # likewise
    ("context", ArmContext),
)


def registers(machine: Machine, **special: int) -> Registers:
    """Each another number."""
    return {name: 0x1000 + n for n, name in enumerate(machine.names)} | special


@pytest.mark.parametrize(
    ("machine", "names"), [("x86_64", X86_USER.split()), ("aarch64", ARM_USER)]
)
def test_order_of_registers(machine: str, names: list[str]) -> None:
    """An "r" or "e" in front is what the processor's own names have."""
    ours = [re.sub("^r(?=[a-z])|(?<=_)r|^e(?=f)", "", name) for name in MACHINES[machine].names]
    assert ours == names
    data = struct.pack(f"<{len(names)}Q", *range(len(names)))
    unpacked = MACHINES[machine].unpack(data)
    assert MACHINES[machine].pack(unpacked) == data
    assert list(unpacked.values()) == list(range(len(names)))


def test_restorers_are_the_system_call() -> None:
    assert X86().restorer == b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"
    mov, svc = struct.unpack("<II", Arm64().restorer)
    assert mov == 0xD2800008 | Arm64.sigreturn << 5  # movz x8, #139
    assert svc == 0xD4000001


WAIT = Wait(202, 0x7000, 0x4002)


@pytest.mark.parametrize("result", [-512, -513, -514, -516, -4])
def test_interrupted_on_x86(result: int) -> None:
    there = registers(X86(), rax=result % 2**64, orig_rax=202, rsp=0x7000, rip=0x4002)
    assert X86().is_interrupted(there, WAIT)
    for other in ({"rax": 0}, {"rax": 3}, {"orig_rax": 35}, {"rsp": 0x7008}, {"rip": 0x4000}):
        assert not X86().is_interrupted(there | other, WAIT)
    failed = X86().with_eintr(there, WAIT)
    assert {name for name in there if failed[name] != there[name]} <= {"rax", "orig_rax"}
    assert failed["rax"] == 2**64 - 4
    assert failed["orig_rax"] == 2**64 - 1, "or the kernel would restart it"


def test_restarted_on_x86() -> None:
    """As the kernel does it: the instruction once more, with the call's number; or EINTR."""
    there = registers(X86(), rax=-514 % 2**64, orig_rax=202, rsp=0x7000, rip=0x4002)
    again = X86().restarted(there, WAIT)
    assert (again["rax"], again["rip"], again["orig_rax"]) == (202, 0x4000, 2**64 - 1)
    assert not X86().needs_kernel(there)
    timed = there | {"rax": -516 % 2**64}
    assert X86().needs_kernel(timed)
    assert X86().restarted(timed, WAIT) == X86().with_eintr(timed, WAIT)
    resumed = X86().in_restart(timed)
    assert (resumed["orig_rax"], resumed["rip"]) == (219, 0x4002)


ARM_WAIT = Wait(98, 0x7000, 0x4004)


def test_interrupted_on_arm64() -> None:
    """The kernel has gone back to before the call already; or the call has failed by itself."""
    back = registers(Arm64(), x8=98, sp=0x7000, pc=0x4000)
    failed = registers(Arm64(), x8=98, sp=0x7000, pc=0x4004, x0=-4 % 2**64)
    assert Arm64().is_interrupted(back, ARM_WAIT)
    assert Arm64().is_interrupted(failed, ARM_WAIT)
    for other in ({"x8": 35}, {"sp": 0x7010}, {"pc": 0x4008}, {"pc": 0x4004}):
        assert not Arm64().is_interrupted(back | other, ARM_WAIT)
    assert not Arm64().is_interrupted(failed | {"x0": 0}, ARM_WAIT)
    for there in (back, failed):
        eintr = Arm64().with_eintr(there, ARM_WAIT)
        assert (eintr["x0"], eintr["pc"]) == (2**64 - 4, 0x4004)
        assert {name for name in there if eintr[name] != there[name]} <= {"x0", "pc"}


def test_restarted_on_arm64() -> None:
    """What waits until a moment is begun anew; what waits for a time from now is not."""
    back = registers(Arm64(), x8=63, sp=0x7000, pc=0x4000)
    assert Arm64().restarted(back, ARM_WAIT._replace(number=63)) == back
    for number in (98, 101, 115, 128):
        wait = ARM_WAIT._replace(number=number)
        assert Arm64().restarted(back, wait) == Arm64().with_eintr(back, wait)


CALLS = [Call(0xAAA0, (7, 8)), Call(0xBBB0), Call(0xCCC0, (DATA, 9))]
BROUGHT = b"eight by"
RESTORER, MASK = 0xD00D, 0x8042


def built(machine: Machine, vectors: bytes) -> tuple[Registers, Chain]:
    stack = {"rsp": 0x7FF0_1238} if isinstance(machine, X86) else {"sp": 0x7FF0_1230}
    before = registers(machine, **stack)
    final = before | {"rax" if isinstance(machine, X86) else "x0": 42}
    return final, chain(machine, State(before, vectors, MASK), CALLS, final, RESTORER, BROUGHT)


def xsave(size: int, in_use: int = 7) -> bytes:
    """An XSAVE area as ptrace(2) gives it: features at 464, the header at 512."""
    area = bytearray(n % 251 for n in range(size))
    area[464:472] = struct.pack("<Q", 0x602E7)
    area[512:528] = struct.pack("<QQ", in_use, 0)
    return bytes(area)


def test_chain_on_x86() -> None:
    """Each call returns to the restorer, with the frame of the next one on top of the stack."""
    final, planned = built(X86(), xsave(832))
    now, expected = planned.registers, [*CALLS[1:], None]
    assert (now["rip"], now["rdi"], now["rsi"]) == (0xAAA0, 7, 8)
    assert planned.address == now["rsp"] == min(planned.frames)
    for call in expected:
        at = now["rsp"]
        assert at % 16 == 8, "as a function finds it"
        frame = X86Frame.from_buffer_copy(planned.memory, at - planned.address)
        assert frame.pretcode == RESTORER
        assert (frame.uc_flags, frame.sigmask) == (7, MASK)
        assert frame.uc_stack.flags not in (0, 1, 2), "the thread keeps its alternate stack"
        goes_on = planned.frames[at]
        context = {f"r{n}": f"r{n}" for n in range(8, 16)} | {
            "rdi": "di", "rsi": "si", "rbp": "bp", "rbx": "bx", "rdx": "dx", "rax": "ax",
            "rcx": "cx", "rsp": "sp", "rip": "ip", "eflags": "flags", "cs": "cs", "ss": "ss",
        }  # fmt: skip
        for name, field in context.items():
            assert getattr(frame.context, field) == goes_on[name], name
        assert frame.context.fpstate % 64 == 0
        now = goes_on
        if call is CALLS[2]:
            at = now["rdi"] - planned.address
            assert planned.memory[at : at + 8] == BROUGHT
            assert now["rsi"] == 9
        assert now["rip"] == (final["rip"] if call is None else call.function)
    assert now == final


@pytest.mark.parametrize(
    ("size", "in_use", "kept"), [(832, 7, 832), (2816, 7, 2816), (11008, 7, 2816),
                                 (11008, 7 | 1 << 18, 11008)],
)  # fmt: skip
def test_vectors_on_x86(size: int, in_use: int, kept: int) -> None:
    """What fpu__restore_sig() looks at: both magic numbers, the sizes, the features."""
    final, planned = built(X86(), xsave(size, in_use))
    (at,) = {
        X86Frame.from_buffer_copy(planned.memory, frame - planned.address).context.fpstate
        for frame in planned.frames
    }
    area = planned.memory[at - planned.address :]
    magic, extended, features, length = struct.unpack_from("<IIQI", area, 464)
    assert (magic, extended, length) == (0x46505853, kept + 4, kept)
    for end in (kept, size):
        assert struct.unpack_from("<I", area, end) == (0x46505845,)
    assert bool(features & 1 << 18) is (kept == size)
    assert area[:464] == xsave(size, in_use)[:464]
    assert area[512:kept] == xsave(size, in_use)[512:kept]
    assert len(area) == size + 4
    assert at + len(area) <= final["rsp"] - 128, "the red zone is the function's that waits"


def test_chain_on_arm64() -> None:
    """Each call has the restorer as its link, and the frame at its stack pointer."""
    vectors = bytes(n % 251 for n in range(512)) + struct.pack("<II8x", 0x11, 0x22)
    final, planned = built(Arm64(), vectors)
    now, expected = planned.registers, [*CALLS[1:], None]
    assert (now["pc"], now["x0"], now["x1"], now["x30"]) == (0xAAA0, 7, 8, RESTORER)
    assert planned.address == now["sp"] == min(planned.frames)
    for call in expected:
        at = now["sp"]
        assert at % 16 == 0
        frame = ArmFrame.from_buffer_copy(planned.memory, at - planned.address)
        assert frame.sigmask == MASK
        assert frame.uc_stack.flags not in (0, 1, 2)
        now, context = planned.frames[at], frame.context
        assert list(context.regs) == [now[f"x{n}"] for n in range(31)]
        assert (context.sp, context.pc, context.pstate) == (now["sp"], now["pc"], now["pstate"])
        assert (context.fpsimd.magic, context.fpsimd.size) == (0x46508001, 528)
        assert (context.fpsimd.fpsr, context.fpsimd.fpcr) == (0x11, 0x22)
        assert bytes(context.fpsimd.vregs) == vectors[:512]
        assert list(context.end) == [0, 0], "no further record"
        if call is CALLS[2]:
            at = now["x0"] - planned.address
            assert planned.memory[at : at + 8] == BROUGHT
        assert now["pc"] == (final["pc"] if call is None else call.function)
        assert call is None or now["x30"] == RESTORER
    assert now == final
    assert ctypes.sizeof(ArmFrame) == 4688
    assert planned.address + len(planned.memory) <= final["sp"]
