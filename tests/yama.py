"""`kernel.yama.ptrace_scope=1` for the processes of one test, on a kernel that has no Yama.

usage, as root: python yama.py COMMAND [ARGS]…

Runs as the parent of COMMAND, for which it holds Yama's rule: a process may look into its own
descendants and nobody else, unless it has CAP_SYS_PTRACE. A seccomp filter reports the system
calls in question of COMMAND and of all that it starts (openat, ptrace, process_vm_readv and
process_vm_writev), and each is refused with Yama's error or goes on; the setting is there to be
read. Rule: what the filter does not refuse is the kernel's own answer.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

_X86 = os.uname().machine == "x86_64"
_SECCOMP = 317 if _X86 else 277
_OPENAT, _PTRACE, _READV, _WRITEV = (257, 101, 310, 311) if _X86 else (56, 117, 270, 271)
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_ALLOW, _USER_NOTIF = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADD_FD = struct.Struct("=QIIII")
_RECEIVE, _SEND, _ADD = (
    direction << 30 | size << 16 | ord("!") << 8 | number
    for direction, size, number in ((3, 80, 0), (3, 24, 1), (1, 24, 3))
)
_CONTINUE, _ADD_AND_SEND = 1, 2

_LOOKED_INTO = re.compile(r"/proc/(\d+)/(?:task/\d+/)?(mem|syscall|stack)")
_SETTING = "/proc/sys/kernel/yama/ptrace_scope"


def install() -> int:
    """Have the calls in question reported from now on. Returns the listener."""
    numbers = (_OPENAT, _PTRACE, _READV, _WRITEV)
    lines = [(_LOAD, 0, 0, 0)]
    lines += [(_EQUALS, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _USER_NOTIF)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    header = struct.pack("@HP", len(lines), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    listener = int(libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, header))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def serve(listener: int) -> None:
    """Answer until nobody is left who could ask."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ((_, events),) = poll.poll()
        if not events & select.POLLIN:
            return
        told = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, told)
            answer(listener, *_NOTIFICATION.unpack(told))
        except FileNotFoundError:
            continue  # it was killed meanwhile


def answer(listener: int, number: int, thread: int, _flags: int, call: int, *rest: int) -> None:
    """To one call: let it go on, or refuse it as Yama does."""
    arguments = rest[2:]
    if call == _OPENAT:
        path = text_at(thread, arguments[1])
        if path == _SETTING:
            give(listener, number, b"1\n")
            return
        found = _LOOKED_INTO.fullmatch(path)
        pid = int(found[1]) if found else 0
        refusal = errno.EACCES if path.endswith("/mem") else errno.EPERM
    else:
        begins = call != _PTRACE or arguments[0] in (16, 0x4206)
        pid = arguments[1 if call == _PTRACE else 0] if begins else 0
        refusal = errno.EPERM
    error = 0 if not pid or may_look(thread, pid) else -refusal
    response = bytearray(_RESPONSE.pack(number, 0, error, 0 if error else _CONTINUE))
    fcntl.ioctl(listener, _SEND, response)


def give(listener: int, number: int, content: bytes) -> None:
    """Have openat return a file with this in it."""
    file = os.memfd_create("setting")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    request = bytearray(_ADD_FD.pack(number, _ADD_AND_SEND, file, 0, os.O_CLOEXEC))
    fcntl.ioctl(listener, _ADD, request)
    os.close(file)


def may_look(asker: int, target: int) -> bool:
    """Yama's rule; of what is not there, the kernel tells."""
    try:
        asker, target = field(asker, "Tgid"), field(target, "Tgid")
        while target > 1 and target != asker:
            target = field(target, "PPid")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return target == asker


def field(pid: int, name: str) -> int:
    with Path(f"/proc/{pid}/status").open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))


def text_at(thread: int, address: int) -> str:
    with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
        # Not over the end of a page, behind which there may be nothing.
        memory.seek(address)
        text = memory.read(4096 - address % 4096)
        if b"\0" not in text:
            text += memory.read(4096)
    return text.partition(b"\0")[0].decode(errors="replace")


def main() -> int:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        socket.send_fds(theirs, [b"x"], [install()])
        os.execvp(sys.argv[1], sys.argv[1:])
    theirs.close()
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(child, number))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
