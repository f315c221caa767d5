"""Running the target's own interpreter beside it, for what only its version can do.

Runs in the launcher and the command line, on a thread that may wait.
Rule: never with more rights than the target has, never a binary of its container
outside of that, never one that is not plainly a Python (a program that embeds
Python would start itself), and never that of another process which has got the
same pid.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypedDict

from . import proc, realm

if TYPE_CHECKING:
    import subprocess

_NAME = re.compile(r"python(\d(\.\d+)?)?[td]*( \(deleted\))?")


def is_named_so(executable: str) -> bool:
    """Whether a file of this name is an interpreter that takes Python's options."""
    return _NAME.fullmatch(os.path.basename(executable)) is not None


def run(
    pid: int, start_time: int, code: str, *arguments: str, stdin: str = "", timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `code` in the interpreter of the process `pid` that started at `start_time`.

    Isolated (`-I -S`): no site-packages, nothing from the environment. Takes
    8-20 ms. Raises OSError (ProcessLookupError if the process is another one
    now, PermissionError if the binary is no plain Python or can't be run), and
    `subprocess.TimeoutExpired` after `timeout` seconds.
    """
    if realm.of(pid).has_other_files:
        # Whatever lies there under the name of an interpreter would get out of its container.
        raise PermissionError(f"process {pid} sees other files, and its programs are not run here")
    import subprocess  # not on the way into a target of our own version

    binary = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
    try:
        name = os.readlink(f"/proc/self/fd/{binary}")
        if not is_named_so(name):
            raise PermissionError(f"{name} is not plainly a Python interpreter")
        rights = _rights(proc.status(pid))
        if not rights and os.geteuid() == 0 and os.fstat(binary).st_uid != 0:
            raise PermissionError(f"{name} is not root's, and root does not run it")
        if proc.stat(pid).start_time != start_time:
            raise ProcessLookupError(f"pid {pid} is another process now")
        return subprocess.run(
            # By its true name it finds its library; by the descriptor it is the very file.
            [name.removesuffix(" (deleted)"), "-I", "-S", "-c", code, *arguments],
            executable=f"/proc/self/fd/{binary}",
            pass_fds=[binary],
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
            cwd="/",
            env=_environment(pid),
            start_new_session=True,
            **rights,
        )
    finally:
        os.close(binary)


def _environment(pid: int) -> dict[str, str]:
    """Empty but for the way to its shared libraries."""
    try:
        pairs = proc.read(pid, "environ").split(b"\0")
    except OSError:
        return {}
    paths = [pair for pair in pairs if pair.startswith(b"LD_LIBRARY_PATH=")]
    return {"LD_LIBRARY_PATH": os.fsdecode(paths[0].partition(b"=")[2])} if paths else {}


class _Rights(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _rights(target: proc.Status) -> _Rights:
    """Root does it as the target's user; others are that user already."""
    uid, gid = target.uids[1], target.gids[1]
    if os.geteuid() != 0 or uid == 0:
        return {}
    return {"user": uid, "group": gid, "extra_groups": []}
