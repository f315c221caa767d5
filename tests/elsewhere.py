"""Programs that see other files than we: what containers, sandboxes and chroot do to them.

Runs in pytest, as root; each program gets its namespaces by unshare(1), so that what it
mounts goes with it. Rule: where that is not permitted, the test is skipped and says so.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from snapshots import Program, Snapshot, landings
from targets import PROGRAMS, ROOT

from live_kernel.attach import proc

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

_WITNESS = '[ -z "$WITNESS" ] || { mkdir -p ".${WITNESS%/*}"; chmod 777 ".${WITNESS%/*}"; }'
"""What a directory for the witness takes among the program's files; see `Program`."""

IS_HIDDEN = str(ROOT).startswith("/tmp/")
KEEP = f'exec 9<"{ROOT}"' if IS_HIDDEN else ":"
BRING_BACK = f'mkdir -p ".{ROOT}"; mount -c --rbind /proc/self/fd/9 ".{ROOT}"; exec 9<&-'
BRING_BACK = BRING_BACK if IS_HIDDEN else ":"
"""A checkout that is itself below /tmp would be gone with it: it is mounted there again."""

PRIVATE_TMP = (
    f'set -e; {KEEP}; mount -t tmpfs tmpfs /tmp; (cd /; {_WITNESS}; {BRING_BACK}); exec "$@"'
)

_NEW_ROOT = f"""
set -e
{KEEP}
mount -t tmpfs -o mode=755 tmpfs /tmp
cd /tmp
for each in /*; do
  if [ -L "$each" ]; then cp -P "$each" .
  elif [ "$each" = /tmp ] || [ "$each" = /proc ]; then mkdir ".$each"
  elif [ -d "$each" ]; then mkdir ".$each"; mount --rbind "$each" ".$each"
  fi
done
mount --rbind /proc proc
mount -t tmpfs tmpfs dev/shm
chmod 1777 tmp dev/shm
{_WITNESS}
{BRING_BACK}
"""
PIVOTED = f'{_NEW_ROOT}mkdir old; pivot_root . old; umount -l old; rmdir old; cd /; exec "$@"'
CHROOTED = f'{_NEW_ROOT}exec chroot . "$@"'

MAPPED = PROGRAMS / "mapped.py"

ALL = ("unshare", "-m", "-p", "-f", "-U", "-r", "-n", "--mount-proc")
"""Nearly what a container has."""

KINDS: dict[str, Sequence[str]] = {
    "mounts": ("unshare", "-m", "sh", "-c", PRIVATE_TMP, "sh"),
    "a private root": ("unshare", "-m", "sh", "-c", PIVOTED, "sh"),
    "chroot": ("unshare", "-m", "sh", "-c", CHROOTED, "sh"),
    "all namespaces": (*ALL, "sh", "-c", PRIVATE_TMP, "sh"),
    "all namespaces, of nobody": (*AS_NOBODY, *ALL, "sh", "-c", PRIVATE_TMP, "sh"),
    "users of its own": (sys.executable, "-I", "-S", str(MAPPED), "sh", "-c", PRIVATE_TMP, "sh"),
}


def allowed(*wrap: str) -> tuple[str, ...]:
    """The command, if this machine lets us run things in it; else skips the test."""
    done = subprocess.run([*wrap, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"not possible here: {done.stderr.strip() or wrap[0]}")
    return wrap


class Elsewhere(Program):
    """A program of one of `KINDS`, or in a `wrap` of the test's own; its /tmp is its alone."""

    def __init__(self, program: str | Path, kind: str = "mounts", *args: Any, **options: Any):
        options.setdefault("wrap", KINDS.get(kind))
        unshare = [word for word in options["wrap"] if word in ALL] or ["unshare", "-m"]
        allowed(*(AS_NOBODY if kind.endswith("of nobody") else ()), *unshare)
        super().__init__(program, *args, **options)
        self._forks = "-f" in unshare
        self._witness = self._socket

    @property
    def pid(self) -> int:
        """Our number of it."""
        if not self._forks:
            return self.process.pid
        (child,) = proc.children(self.process.pid)
        return child

    def ours(self, path: str | Path) -> Path:
        """By what path we reach one of its files."""
        return Path(f"/proc/{self.pid}/root{path}")

    def from_inside(self) -> Snapshot:
        self._socket = self.ours(self._witness)
        return super().from_inside()

    def left(self) -> list[str]:
        """What has been made in its directories for temporary files, and is still there."""
        places = [self.ours(each) for each in ("/tmp", "/dev/shm", "/var/tmp", "/")]
        return [str(path) for place in places for path in landings(place)]
