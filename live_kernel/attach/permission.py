"""Whether the system lets us look into a process, and if not, why.

Runs in the launcher and the command line. The test is real: the process's
memory is opened for reading and writing, which is the right that
`sys.remote_exec` needs (PTRACE_MODE_ATTACH, ptrace(2)); opening it changes
nothing. Only after a refusal are the rules of ptrace(2), section "Ptrace access
mode checking", gone through to say which one it was.
Rule: a verdict never comes from comparing users alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from ..errors import AttachNotPermitted
from . import proc
from .runtime import Read

YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
MODULES = Path("/sys/kernel/security/lsm")

_END = 1 << 63
"""Behind the last address that a file of memory can be read at."""

_CAPABILITIES = {
    0: "cap_chown", 1: "cap_dac_override", 2: "cap_dac_read_search", 5: "cap_kill",
    6: "cap_setgid", 7: "cap_setuid", 10: "cap_net_bind_service", 12: "cap_net_admin",
    13: "cap_net_raw", 14: "cap_ipc_lock", 19: "cap_sys_ptrace", 21: "cap_sys_admin",
    23: "cap_sys_nice", 24: "cap_sys_resource", 25: "cap_sys_time", 38: "cap_perfmon",
    39: "cap_bpf",
}  # fmt: skip
"""Those that programs are given (include/uapi/linux/capability.h); others appear by number."""


@contextmanager
def memory(pid: int) -> Iterator[Read]:
    """The memory of process `pid`, opened with the right to change it; yields a `Read`.

    Raises OSError: PermissionError if the system does not let us, ESRCH or
    ENOENT if the process is gone.
    """
    try:
        fd = opened(pid)
    except PermissionError:
        # The file's own mode refuses all but its owner and CAP_DAC_OVERRIDE; with
        # CAP_SYS_PTRACE alone the system call, which attaching uses, still works.
        if not proc.status("self").may_trace:
            raise
        yield _by_system_call(pid)
        return
    try:
        yield reader(fd)
    finally:
        os.close(fd)


def opened(pid: int) -> int:
    """A descriptor of the memory of a process, to be read and written: opened by us, or by its
    supervisor for us. Raises OSError.
    """
    try:
        return os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        from . import supervised  # few are

        with suppress(PermissionError):
            return supervised.memory(pid)
        raise


def is_lent(pid: int) -> bool:
    """Whether it is the supervisor alone who may open its memory. Raises OSError."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        from . import supervised

        with suppress(PermissionError):
            os.close(supervised.memory(pid))
            return True
    return False


def reader(memory: int) -> Read:
    """Reads through a descriptor of a process's memory: all that is asked for, or OSError.

    An address comes from what the process itself has written there, and may be any number.
    """

    def read(address: int, size: int) -> bytes:
        if not 0 <= address < _END:
            raise OSError(errno.EFAULT, f"no memory is at {address:#x}")
        data = os.pread(memory, size, address)
        if len(data) != size:
            raise OSError(errno.EIO, f"{len(data)} of {size} bytes are at {address:#x}")
        return data

    return read


def _by_system_call(pid: int) -> Read:
    from . import vm  # ctypes: only where it is needed

    vm.check_allowed(pid)
    return lambda address, size: vm.read(pid, address, size)


@cache
def filtered() -> str:
    """The system call that a seccomp filter takes from us and attaching needs; "" if none.

    Probed on our own process, where nothing but a filter refuses it.
    """
    if proc.status("self").seccomp != 2:
        return ""
    from . import vm

    return vm.refused()


def why_denied(pid: int, who: str, looked: bool, yama: Path = YAMA) -> AttachNotPermitted:
    """The reason for a refusal that has happened.

    `looked`: whether at least reading /proc/PID/maps was allowed: ptrace_scope
    stands in the way of attaching only, never of looking. `who` begins the
    message. Raises OSError if the process is gone.
    """
    us, them = proc.status("self"), proc.status(pid)
    scope = ptrace_scope(yama) if looked else 0
    what, remedy = (
        (by_yama(scope) if scope == 3 else None)
        or (None if us.may_trace else _by_identity(pid, us, them))
        or (None if us.may_trace or not scope else by_yama(scope))
        or _by_user_namespace(us)
        or _otherwise(us)
    )
    return AttachNotPermitted(pid, f"{who} {what}", remedy)


_Reason = tuple[str, str]


def _by_identity(pid: int, us: proc.Status, them: proc.Status) -> _Reason | None:
    """What a process may not do to one that is not wholly its own, without CAP_SYS_PTRACE."""
    if {*them.uids[:3]} != {us.uids[1]} or {*them.gids[:3]} != {us.gids[1]}:
        return _of_another(us, them)
    if _hides_itself(pid, them):
        return (
            "has made itself unreadable to its own user (it is non-dumpable: prctl "
            "PR_SET_DUMPABLE, or a program with set-uid or file capabilities)",
            f"Run the kernel as root, or let the program call prctl(PR_SET_DUMPABLE, 1).{_CAP}",
        )
    more = them.permitted & ~us.effective
    if more:
        return (
            f"has privileges that this kernel lacks ({capability_names(more)})",
            f"Run the kernel as root, or start the program without them.{_CAP}",
        )
    return None


_HAND_OVER = 1 << 1 | 1 << 6 | 1 << 7
"""CAP_SETGID and CAP_SETUID: to make a private directory as another user (`acting.py`).
CAP_DAC_OVERRIDE: `sys.remote_exec` wants to read the script in it.
"""

_CAP = "\nIn a container: start it with --cap-add=SYS_PTRACE."
_CONTAINER = (
    "In a container, start it with --cap-add=SYS_PTRACE (Docker, Podman) or "
    'securityContext.capabilities.add: ["SYS_PTRACE"] (Kubernetes).'
)


def _of_another(us: proc.Status, them: proc.Status) -> _Reason:
    owner = proc.user_name(them.uids[0])
    if us.uids[1] == 0:
        return (
            f"belongs to {owner}, and this kernel is root without CAP_SYS_PTRACE",
            f"Give the kernel CAP_SYS_PTRACE, or run it as {owner}. {_CONTAINER}",
        )
    ours = proc.user_name(us.uids[1])
    if owner == ours:  # of ours once, but with other effective ids or groups
        return (
            f"belongs to {owner}, but runs with other user or group ids than this kernel",
            "Run the kernel as root.",
        )
    whom = "root (sudo …)" if them.uids[0] == 0 else f"{owner} (sudo -u {owner} …) or as root"
    return (
        f"belongs to {owner}, and this kernel runs as {ours}",
        f"Run the kernel as {whom}: users may attach to their own processes, root to any.",
    )


def _hides_itself(pid: int, them: proc.Status) -> bool:
    """Non-dumpable: the kernel then gives its files in /proc to root (proc(5))."""
    owner = os.stat(f"/proc/{pid}/environ").st_uid
    return owner == 0 != them.uids[1]


def by_yama(scope: int) -> _Reason:
    if scope == 3:
        return (
            "can't be attached to: kernel.yama.ptrace_scope is 3, nobody may look into a process",
            "Set kernel.yama.ptrace_scope to 1 or 0 in /etc/sysctl.d and boot again: 3 can't be "
            "changed while the system runs.",
        )
    who = "only its ancestors" if scope == 1 else "only processes with CAP_SYS_PTRACE"
    inside = _PTRACER if scope == 1 else ""
    return (
        f"can't be attached to: kernel.yama.ptrace_scope is {scope}, {who} may look into it",
        "One of these:\n"
        f"{_RUN if scope == 1 else ''}"
        "  sudo sysctl kernel.yama.ptrace_scope=0     for all programs, until the next boot\n"
        f"{inside}"
        "  run the kernel as root, or with CAP_SYS_PTRACE (sudo setcap cap_sys_ptrace=ep PYTHON)",
    )


_RUN = (
    "  live-kernel run PROGRAM …                  start it so: its supervisor, which is its "
    "ancestor, lets us in\n"
)

_PTRACER = (
    "  in the program, at its start:              for this program alone\n"
    "      import ctypes; ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)"
    "  # PR_SET_PTRACER_ANY\n"
)


def _by_user_namespace(us: proc.Status) -> _Reason | None:
    """CAP_SYS_PTRACE counts only inside the user namespace that gave it."""
    if not us.may_trace or proc.read("self", "uid_map").split()[-3:] == [b"0", b"0", b"4294967295"]:
        return None
    return (
        "is outside the user namespace in which this kernel has its privileges",
        "Run the kernel outside the container, or the program inside it.",
    )


def _otherwise(us: proc.Status) -> _Reason:
    if us.uids[1] == 0 and not us.may_trace:
        return (
            "may not be looked into: this kernel is root without CAP_SYS_PTRACE, and the process "
            "is non-dumpable or guarded by a security module",
            f"Give the kernel CAP_SYS_PTRACE. {_CONTAINER}",
        )
    return (
        f"may not be looked into: a security module of this system refuses ({security_modules()})",
        "Run the kernel outside the sandbox or profile that confines it, or allow ptrace there.",
    )


def why_filtered(pid: int, who: str, call: str) -> AttachNotPermitted:
    return AttachNotPermitted(
        pid,
        f"{who} can't be attached to: a seccomp filter forbids this kernel the system call {call}",
        f"Run the kernel outside the sandbox. {_CONTAINER} An own seccomp profile must allow "
        "process_vm_readv and process_vm_writev.",
    )


def ptrace_scope(yama: Path = YAMA) -> int:
    """kernel.yama.ptrace_scope; 0, the classic rules, where the kernel has no Yama."""
    try:
        return int(yama.read_text())
    except (OSError, ValueError):
        return 0


def security_modules() -> str:
    try:
        return MODULES.read_text().strip().replace(",", ", ")
    except OSError:
        return "Landlock, SELinux, AppArmor or the like"


def check_hands_over(pid: int, who: str) -> None:
    """Raise AttachNotPermitted where its user could not be given the files that the agent needs."""
    us, them = proc.status("self"), proc.status(pid)
    missing = _HAND_OVER & ~us.effective
    if us.uids[1] == them.uids[1] or not missing:
        return
    owner = proc.user_name(them.uids[1])
    raise AttachNotPermitted(
        pid,
        f"{who} belongs to {owner}: this kernel may look into it, but lacks the rights to hand "
        f"files over to {owner} ({capability_names(missing)})",
        f"Run the kernel as {owner} or as root, or give it {capability_names(missing)}, too.",
    )


def capability_names(mask: int) -> str:
    bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    names = [_CAPABILITIES.get(bit, f"capability {bit}") for bit in bits]
    shown = names if len(names) <= 3 else [*names[:3], f"and {len(names) - 3} more"]
    return ", ".join(shown)
