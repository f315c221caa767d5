"""Scheduling the bootstrap in a target, by the ladder of design §4.

Runs in the launcher, on a thread that may wait. First rung: `sys.remote_exec`
here, where our Python is of the target's version. Second: the target's own
interpreter makes the call. Third: what the call does is done to its memory; for
targets that the call can't find (by the paths of their libraries, as when they see
other files than we), and whose interpreter can't be run, or must not be, outside of
their container. Rule: what was scheduled and has not run is taken back before its
file goes, for the interpreter has one slot and complains on the program's stderr
about a file that it can't open (PEP 768).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ..errors import AgentFailed, AttachNotPermitted, LiveKernelError, PythonMismatch
from . import interpreter, payload, permission, proc, slot
from .landing import BUNDLE, SCRIPT, Landing
from .processes import Process, identify, still

_FOREIGN_TIMEOUT = 20.0
_DESCRIPTORS = 4
"""What the target must be able to open: the script, the bundle, and the link, twice."""

NOTHING = "/dev/null"
"""A script without effect, which is always there."""


def inject(process: Process, landing: Landing) -> None:
    """Schedule the bootstrap in `process`, to meet us at `landing`. Returns at once.

    Raises a NotAttachable error that says why the target can't be entered, or AgentFailed.
    """
    still(process)
    _check_room(process)
    pid = proc.inner_thread(process.pid, process.pid)
    text = payload.script(str(landing.path), landing.token, pid).encode()
    script = landing.write(SCRIPT, text)
    is_lent = permission.is_lent(process.pid)
    if process.runs_our_build and not is_lent:
        landing.write(BUNDLE, payload.bundle())
        _call_here(process, str(script))
    elif is_lent or not _call_there(process, str(script), landing.path / BUNDLE):
        ours = process.runs_our_bytecode
        landing.write(BUNDLE, payload.bundle() if ours else payload.source_bundle())
        _write_there(process, str(script))
    still(process)


def _check_room(process: Process) -> None:
    """Without file descriptors to spare, it would only complain that it can't open the script."""
    try:
        limits = proc.read(process.pid, "limits").decode().splitlines()
        in_use = len(os.listdir(f"/proc/{process.pid}/fd"))
    except OSError:
        return
    limit = next((line.split()[3] for line in limits if line.startswith("Max open files")), "")
    if limit.isdecimal() and in_use + _DESCRIPTORS > int(limit):
        raise AgentFailed(
            process.pid,
            f"{process} has {in_use} of at most {limit} file descriptors in use; "
            f"the agent needs {_DESCRIPTORS}",
            f"Allow it some more: prlimit --pid {process.pid} --nofile={in_use + 64}:",
        )


def disarm(process: Process, script: str) -> None:
    """Take back what was scheduled, so that a late wake-up does nothing."""
    try:
        still(process)
        if slot.clear(process, script):
            return
        # Its memory can't be written here: leave a script there that does nothing.
        if process.runs_our_build:
            _call_here(process, NOTHING)
        else:
            _call_there(process, NOTHING, None)
    except LiveKernelError:
        pass  # it has gone, and its slot with it


def _write_there(process: Process, script: str) -> None:
    try:
        slot.fill(process, script)
    except OSError as error:
        identify(process.pid)
        raise AttachNotPermitted(process.pid, f"{process} can't be entered: {error}") from error


def _call_here(process: Process, script: str) -> None:
    try:
        sys.remote_exec(process.pid, script)
    except PermissionError as error:
        identify(process.pid)
        raise AttachNotPermitted(process.pid, f"{process} can't be entered: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        identify(process.pid)  # says more than CPython does, where it can
        if "find the main thread" in str(error):
            raise AgentFailed(
                process.pid,
                f"{process} can't be entered: its main thread has ended, and only other threads "
                "of it go on; or it was forked by another thread than the main one",
                "Whatever comes from outside runs on the main thread. Where the program is yours, "
                "let that wait for the others (Thread.join); and give a pool that replaces its "
                "workers the start method forkserver or spawn.",
            ) from error
        raise PythonMismatch(
            process.pid,
            f"{process} runs Python {process.version_text}, and this Python "
            f"{sys.version.split()[0]} could not enter it: {error}",
            "Start the kernel with the Python that runs the target.",
        ) from error


def _call_there(process: Process, script: str, bundle: Path | None) -> bool:
    """Returns whether its interpreter could do it. Raises TargetNotFound."""
    if process.has_other_files or not interpreter.is_named_so(process.exe):
        return False
    order = {
        "pid": process.pid,
        "script": script,
        "bundle": None if bundle is None else str(bundle),
        "package": payload.package_name(),
        "sources": [] if bundle is None else payload.sources(),
        "groups": payload.groups(),
    }
    import subprocess  # not on the way into a target of our own version

    text = (payload.HERE / "attach" / "foreign.py").read_text()
    try:
        run = interpreter.run(
            process,
            text,
            stdin=json.dumps(order),
            timeout=_FOREIGN_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        still(process)
        return False
    return run.returncode == 0
