"""Scheduling the bootstrap in a target, by the ladder of design §4.

Runs in the launcher, on a thread that may wait. First rung: `sys.remote_exec`
here, where our Python is of the target's version. Second: the target's own
interpreter makes the call. Rule: what was scheduled and has not run is taken
back before its file goes, for the interpreter has one slot and complains on
the program's stderr about a file that it can't open (PEP 768).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from ..errors import AttachNotPermitted, LiveKernelError, PythonMismatch
from . import payload
from .landing import BUNDLE, SCRIPT, Landing
from .processes import Process, identify, still

_INTERPRETER = re.compile(r"python(3(\.\d+)?)?[td]*$")
"""Names of a binary that may be run with Python's options. Others may be the app itself."""

_FOREIGN_TIMEOUT = 20.0
NOTHING = "/dev/null"
"""A script without effect, which is always there."""


def inject(process: Process, landing: Landing) -> None:
    """Schedule the bootstrap in `process`, to meet us at `landing`. Returns at once.

    Raises a NotAttachable error that says why the target can't be entered.
    """
    still(process)
    text = payload.script(str(landing.path), landing.token).encode()
    script = landing.write(SCRIPT, text)
    if process.runs_our_build:
        landing.write(BUNDLE, payload.bundle())
        _call_here(process, str(script))
    else:
        _call_there(process, str(script), landing.path / BUNDLE)
    still(process)


def disarm(process: Process) -> None:
    """Replace what was scheduled by nothing, so that a late wake-up does nothing."""
    try:
        still(process)
        if process.runs_our_build:
            _call_here(process, NOTHING)
        else:
            _call_there(process, NOTHING, None)
    except LiveKernelError:
        pass  # it has gone, and its slot with it


def _call_here(process: Process, script: str) -> None:
    try:
        sys.remote_exec(process.pid, script)  # type: ignore[attr-defined]
    except PermissionError as error:
        identify(process.pid)
        raise AttachNotPermitted(
            process.pid, f"pid {process.pid} can't be entered: {error}"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        identify(process.pid)  # says more than CPython does, where it can
        raise PythonMismatch(
            process.pid,
            f"pid {process.pid} runs Python {process.version_text}, and this Python "
            f"{sys.version.split()[0]} could not enter it: {error}",
            "Start the kernel with the Python that runs the target.",
        ) from error


def _call_there(process: Process, script: str, bundle: Path | None) -> None:
    order = {
        "pid": process.pid,
        "script": script,
        "bundle": None if bundle is None else str(bundle),
        "package": payload.package_name(),
        "sources": [] if bundle is None else payload.sources(),
    }
    text = (payload.HERE / "attach" / "foreign.py").read_text()
    try:
        run = subprocess.run(
            [interpreter_of(process), "-I", "-S", "-c", text],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=_FOREIGN_TIMEOUT,
            cwd="/",
            **rights_of(process),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _foreign_failure(process, str(error)) from error
    if run.returncode != 0:
        identify(process.pid)
        raise _foreign_failure(process, (run.stderr.strip() or "no message").splitlines()[-1])


def interpreter_of(process: Process) -> str:
    """The target's own interpreter, as a path that can be run from here.

    Raises PythonMismatch for a program that embeds Python: its binary must not
    be started, since it would be the program and not Python that starts.
    """
    name = os.path.basename(process.exe).removesuffix(" (deleted)")
    if not _INTERPRETER.match(name):
        raise PythonMismatch(
            process.pid,
            f"pid {process.pid} runs Python {process.version_text} inside {name!r}, and this "
            f"kernel runs {sys.version.split()[0]}",
            f"Start the kernel with a Python {process.version_text.rpartition('.')[0]}.",
        )
    return f"/proc/{process.pid}/exe"


def rights_of(process: Process) -> dict[str, object]:
    """Options for `subprocess`: as the target's user, where we are root and it is not."""
    if os.geteuid() != 0 or process.uid == 0:
        return {}
    return {"user": process.uid, "group": process.gid, "extra_groups": []}


def _foreign_failure(process: Process, text: str) -> PythonMismatch:
    return PythonMismatch(
        process.pid,
        f"pid {process.pid} runs Python {process.version_text}; its interpreter was asked to "
        f"make the call and failed: {text}",
        "Start the kernel with the Python that runs the target.",
    )
