"""Another user of the machine, who tries all that a user can: reads from stdin, as JSON, the
`pids`, `paths` and `ports` to be had, and writes to stdout what it got, as pairs of what and which.

With `spare`, nothing is tried that would end or change what it is done to.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys

OWN = f"/tmp/stranger-{os.getpid()}"
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, DETACH, PIDFD_GETFD = 0x4206, 17, 438


def called(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")


def seize(pid):
    called(libc.ptrace(ctypes.c_long(SEIZE), pid, None, None))
    libc.ptrace(ctypes.c_long(DETACH), pid, None, None)


class Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def peek(pid):
    """Of its memory, where its executable lies."""
    with open(f"/proc/{pid}/maps") as maps:
        start = int(next(maps).partition("-")[0], 16)
    buffer = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(buffer), 8), Piece(start, 8)
    called(libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))


def take_descriptor(pid):
    process = os.pidfd_open(pid)
    try:
        called(libc.syscall(ctypes.c_long(PIDFD_GETFD), process, 0, 0))
    finally:
        os.close(process)


def read_of(name):
    def read(pid):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            file.read(1)

    return read


TO_PROCESSES = {
    "environment": read_of("environ"),
    "maps": read_of("maps"),
    "auxv": read_of("auxv"),
    "system call": read_of("syscall"),
    "open files": lambda pid: os.listdir(f"/proc/{pid}/fd"),
    "open file": lambda pid: os.readlink(f"/proc/{pid}/fd/0"),
    "directory": lambda pid: os.readlink(f"/proc/{pid}/cwd"),
    "root directory": lambda pid: os.readlink(f"/proc/{pid}/root"),
    "memory by file": lambda pid: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)),
    "memory by call": peek,
    "tracing": seize,
    "descriptor": take_descriptor,
    "its limits": lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE),
    "its priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "its processors": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(0)),
    "a question by signal": lambda pid: os.kill(pid, 0),
}
SIGNALS = {
    name: lambda pid, name=name: os.kill(pid, getattr(signal, name))
    for name in ("SIGSTOP", "SIGUSR1", "SIGTERM")
}


def connect(path):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_UNIX, kind) as connection:
            connection.settimeout(2)
            try:
                connection.connect(path)
                return
            except OSError as error:
                last = error
    raise last


def put_in(path):
    os.close(os.open(path + "/mine", os.O_CREAT | os.O_WRONLY))
    os.unlink(path + "/mine")


TO_PATHS = {
    "listing": os.listdir,
    "what is below": lambda path: os.stat(path + "/link"),
    "reading": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "writing": lambda path: os.close(os.open(path, os.O_WRONLY)),
    "a file in it": put_in,
    "going there": os.chdir,
    "connecting": connect,
    "a change of its mode": lambda path: os.chmod(path, 0o700),
    "its times": os.utime,
    "a link to it": lambda path: os.link(
        path, f"/tmp/stranger-{os.getpid()}", follow_symlinks=False
    ),
}
REMOVALS = {
    "renaming": lambda path: os.rename(path, path + "-taken"),
    "replacing": lambda path: os.replace(mine(), path),
    "removal": lambda path: os.rmdir(path) if os.path.isdir(path) else os.unlink(path),
}


def mine():
    os.symlink("/dev/null", OWN)
    return OWN


def overhear(port):
    """Subscribe to everything, by hand (ZMTP 3.0), and wait for a message."""
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
    greeting = b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NULL" + bytes(16 + 1 + 31)
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(3)
        heard = b""

        def hear(enough):
            nonlocal heard
            while not enough(heard):
                piece = connection.recv(1 << 16)
                if not piece:
                    raise ConnectionError("hung up")
                heard += piece

        connection.sendall(greeting)
        hear(lambda heard: len(heard) >= 64)
        connection.sendall(b"\x04" + bytes([len(ready)]) + ready)
        hear(lambda heard: b"READY" in heard)
        connection.sendall(b"\x00\x01\x01")
        hear(lambda heard: b"<IDS|MSG>" in heard)


TO_PORTS = {"overhearing": overhear}


def got(attempts, goods):
    found = []
    for good in goods:
        for name, attempt in attempts.items():
            try:
                attempt(good)
                found.append((name, good))
            except OSError:
                pass
            try:
                os.unlink(OWN)
            except OSError:
                pass
    return found


def main():
    given = json.load(sys.stdin)
    harmless = given.get("spare", False)
    found = got(TO_PATHS if harmless else TO_PATHS | REMOVALS, given["paths"])
    found += got(TO_PROCESSES if harmless else TO_PROCESSES | SIGNALS, given["pids"])
    found += got(TO_PORTS, given["ports"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
