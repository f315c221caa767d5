"""Running the target's own interpreter beside it, for what only its version can do.

Runs in the launcher and the command line, on a thread that may wait.
Rule: never with more rights than the target has (`rights.py`), never a binary of its container
outside of that, never one that is not plainly a Python (a program that embeds
Python would start itself), and never that of another process which has got the
same pid.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from . import proc, realm, rights

if TYPE_CHECKING:
    import subprocess

    from .processes import Process

_NAME = re.compile(r"python(\d(\.\d+)?)?[td]*( \(deleted\))?")

_LARGEST = 1 << 24
"""Bytes that it may say. It is the target's own, and so it may say anything."""


def is_named_so(executable: str) -> bool:
    """Whether a file of this name is an interpreter that takes Python's options."""
    return _NAME.fullmatch(os.path.basename(executable)) is not None


def run(
    process: Process, code: str, *arguments: str, stdin: str = "", timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `code` in the interpreter of `process`.

    Isolated (`-I -S`): no site-packages, nothing from the environment. Takes
    8-20 ms. Raises OSError (ProcessLookupError if the process is another one
    now, PermissionError if the binary is no plain Python or can't be run with the rights
    of the process), `subprocess.TimeoutExpired` after `timeout` seconds, and
    `subprocess.SubprocessError` for one that says too much.
    """
    pid = process.pid
    if realm.of(pid).has_other_files:
        # Whatever lies there under the name of an interpreter would get out of its container.
        raise PermissionError(f"process {pid} sees other files, and its programs are not run here")
    import subprocess  # not on the way into a target of our own version

    binary = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
    given = os.memfd_create("live-kernel order", os.MFD_CLOEXEC)
    try:
        name = os.readlink(f"/proc/self/fd/{binary}")
        if not is_named_so(name):
            raise PermissionError(f"{name} is not plainly a Python interpreter")
        _check_owner(pid, name, os.fstat(binary))
        os.write(given, stdin.encode())
        os.lseek(given, 0, os.SEEK_SET)
        child = rights.spawn(
            process,
            # By its true name it finds its library; by the descriptor it is the very file.
            [name.removesuffix(" (deleted)"), "-I", "-S", "-c", code, *arguments],
            executable=f"/proc/self/fd/{binary}",
            pass_fds=[binary],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_environment(pid),
            start_new_session=True,
        )
    finally:
        os.close(binary)
        os.close(given)
    return _told(child, timeout)


def _check_owner(pid: int, name: str, binary: os.stat_result) -> None:
    """What runs as root must be root's, and nobody else's to write to."""
    if proc.status(pid).uids[1] != 0 or os.geteuid() != 0:
        return
    if binary.st_uid != 0 or binary.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{name} is not root's, and root does not run it")


def _environment(pid: int) -> dict[str, str]:
    """Empty but for the way to its shared libraries."""
    try:
        pairs = proc.read(pid, "environ").split(b"\0")
    except OSError:
        return {}
    paths = [pair for pair in pairs if pair.startswith(b"LD_LIBRARY_PATH=")]
    return {"LD_LIBRARY_PATH": os.fsdecode(paths[0].partition(b"=")[2])} if paths else {}


def _told(child: subprocess.Popen[bytes], timeout: float) -> subprocess.CompletedProcess[str]:
    """What it says until it ends; it is killed where that takes too long, or is too much."""
    import selectors
    import subprocess

    assert child.stdout is not None
    assert child.stderr is not None
    said = {child.stdout: bytearray(), child.stderr: bytearray()}
    deadline = time.monotonic() + timeout
    with child, selectors.DefaultSelector() as selector:
        try:
            for pipe in said:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(deadline - time.monotonic(), 0))
                if not ready:
                    raise subprocess.TimeoutExpired(child.args, timeout)
                for key, _ in ready:
                    pipe = child.stdout if key.fileobj is child.stdout else child.stderr
                    piece = os.read(key.fd, 1 << 16)
                    said[pipe] += piece
                    if not piece:
                        selector.unregister(pipe)
                if sum(map(len, said.values())) > _LARGEST:
                    raise subprocess.SubprocessError(f"it says more than {_LARGEST:,} bytes")
            child.wait(max(deadline - time.monotonic(), 0))
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, 9)  # a group of its own: see start_new_session
            raise
    texts = [bytes(text).decode(errors="replace") for text in said.values()]
    return subprocess.CompletedProcess(child.args, child.returncode, *texts)
