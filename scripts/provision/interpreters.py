"""CPythons: those that are on the machine, and a ladder for those that are not.

Found is only what was run and does what it must: a pyenv shim may exist and
fail, a Python built by hand may lack ssl, and a venv's goes away with the venv.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import debian
from .progress import Step
from .shell import TOOLS, SetUpError, run
from .workshop import program

# Printed by a candidate about itself; isolated, so that no PYTHON* variable colours it.
_ABOUT = """
import ctypes, json, sqlite3, ssl, sys, sysconfig, venv
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": ".".join(map(str, sys.version_info[:3])),
    "is_stock": sys.implementation.name == "cpython"
        and sys.version_info.releaselevel in ("candidate", "final")
        and not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "can_be_entered": getattr(sys, "is_remote_debug_enabled", lambda: True)(),
}))
"""
_NO_ANSWER = 20.0


@dataclass(frozen=True)
class Interpreter:
    path: Path
    version: str

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]


def obtain(*minors: str) -> Interpreter:
    """One of these minor versions, the first preferred; raise `SetUpError` with every reason."""
    wanted = " or ".join(minors)
    with Step(f"CPython {wanted}") as step:
        for minor in minors:
            if found := find(minor):
                step.say(f"found {_short(found.path)}, {found.version}")
                return found
        reasons = ["none on this machine"]
        for minor in minors:
            for name, rung in (("uv", _from_uv), ("Debian", _from_debian)):
                step.say(f"{reasons[-1]}; asking {name} for {minor} …")
                try:
                    fetched = rung(minor)
                except SetUpError as error:
                    reasons.append(f"{name}: {error.cause}")
                else:
                    step.say(f"fetched {fetched.version} from {name} into {_short(TOOLS)}")
                    return fetched
        step.say("not to be had")
    raise SetUpError(
        f"no CPython {wanted}: {'; '.join(reasons)}. Where there is one (from the distribution, "
        "pyenv or uv), the set-up finds it by itself."
    )


def find(minor: str) -> Interpreter | None:
    """The newest of this minor version that is here and works."""
    for path in _candidates(minor):
        if (interpreter := examine(path)) and interpreter.minor == minor:
            return interpreter
    return None


def is_outdated(python: Path) -> bool:
    """Does this venv's python stand on one of Debian's that has to be fetched anew?"""
    base = python.resolve()
    return any(
        base.is_relative_to(_prefix(minor)) and not debian.is_whole(_prefix(minor), minor)
        for minor in debian.MINORS
    )


def examine(path: Path) -> Interpreter | None:
    """What `path` says about itself when it runs; None where it is no use to us."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", _ABOUT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_NO_ANSWER,
            check=True,
        )
        about = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not (about["is_stock"] and about["can_be_entered"]):
        return None
    return Interpreter(Path(about["path"]), about["version"])


def _candidates(minor: str) -> Iterator[Path]:
    name = f"python{minor}"
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    if debian.is_whole(_prefix(minor), minor):
        yield debian.interpreter(_prefix(minor), minor)
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += [home / ".local/bin", Path("/usr/local/bin"), Path("/usr/bin")]
    for folder in (_uv_folder(), uv, pyenv / "versions"):
        folders += sorted(folder.glob(f"*{minor}.*/bin"), key=_by_patch, reverse=True)
    seen = set()
    for folder in folders:
        path = folder / name
        # A shim only forwards to one of the versions, which are looked at by themselves.
        if path in seen or folder.name == "shims" or not os.access(path, os.X_OK):
            continue
        seen.add(path)
        yield path


def _by_patch(folder: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", folder.parent.name)]


def _from_uv(minor: str) -> Interpreter:
    """uv's build. Where there is no way out to the network, it says so within seconds."""
    run(
        [program("uv"), "python", "install", "--no-bin", minor],
        env={
            "UV_CACHE_DIR": str(TOOLS / "uv/cache"),
            "UV_PYTHON_INSTALL_DIR": str(_uv_folder()),
            "UV_HTTP_CONNECT_TIMEOUT": "3",
            "UV_HTTP_RETRIES": "0",
            "UV_HTTP_TIMEOUT": "15",
        },
    )
    return _checked(find(minor))


def _from_debian(minor: str) -> Interpreter:
    debian.fetch(_prefix(minor), minor, program)
    return _checked(examine(debian.interpreter(_prefix(minor), minor)))


def _checked(interpreter: Interpreter | None) -> Interpreter:
    if interpreter is None:
        raise SetUpError("what was fetched does not run here")
    return interpreter


def _prefix(minor: str) -> Path:
    return TOOLS / f"py{minor.replace('.', '')}"


def _uv_folder() -> Path:
    return TOOLS / "uv/python"


def _short(path: Path) -> str:
    for base, shown in ((TOOLS.parent, "."), (Path.home(), "~")):
        if path.is_relative_to(base):
            return f"{shown}/{path.relative_to(base)}"
    return str(path)
