"""The private directory in which launcher and agent meet.

Runs in the launcher: made for one attach, gone as soon as the agent has
connected or the attach was given up; and for one move of values, gone when that
has ended. It is where the target sees it: among our own files, or, for one that
has others, among those (`grounds.py`).
Rule: nobody but the target's user (and root) can enter it; root makes and removes
what is in it as that user, and by names relative to a descriptor, so that the user
can't lead root elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OtherNamespace, TargetNotFound
from . import grounds, peer, proc, watchdog
from .acting import acting_as
from .grounds import OPENED, Ground

if TYPE_CHECKING:
    from .processes import Process

LONGEST_SOCKET_PATH = 107
"""Bytes in the path of a Unix socket, at most (unix(7))."""

LINK, BUNDLE, SCRIPT = "link", "bundle", "bootstrap.py"
WHY = "why"
"""Made by a bootstrap that can't connect: a symbolic link to the text of what is in its way."""

CHANNELS = tuple(f"channel-{number}" for number in range(1, 6))
CONNECTION, IPYTHON = "kernel.json", "ipython"
"""Of the local kernel, in a directory of its own (`launcher/local_kernel.py`)."""

EVERYBODYS = Path("/tmp")
"""Where the targets of other users than ours are met."""
_OTHERS = Path("/dev/shm"), Path("/var/tmp")
"""Where that is not fit for it."""

FOLLOWED, SESSION = "live-followed-", "session"
"""In which directory a kernel makes the socket for its followers (`launcher/followers.py`)."""

SUPERVISED = "live-supervised-"
"""In which a supervisor makes its socket, likewise (`supervised.py`)."""

NAME = re.compile(r"live-(kernel|followed|supervised)-[0-9a-f]{12}")


def runtime_directory(uid: int) -> Path:
    """Where private directories for a target of this user belong.

    The user's own runtime directory if it is ours too and is as private as it
    ought to be, else the directory for temporary files; for another user's target
    one that is everybody's. Raises OSError where in each of them somebody else could put
    something in the place of what is made there.
    """
    refused = []
    for place in _candidates(uid):
        if grounds.is_fit(str(place), uid):
            return place
        refused.append(str(place))
    raise PermissionError(
        f"{', '.join(refused)}: other users could put something in the place of what is made "
        "there, for it is theirs, or can be written by all and is not sticky "
        f"(chmod +t {EVERYBODYS})"
    )


def _candidates(uid: int) -> Iterator[Path]:
    """Real paths, for a link may be changed by who owns it."""
    if uid == os.geteuid():
        for name, must_be_private in (("XDG_RUNTIME_DIR", True), ("TMPDIR", False)):
            configured = os.environ.get(name, "")
            if os.path.isabs(configured):
                directory = os.path.realpath(configured)
                if _is_usable(directory, must_be_private):
                    yield Path(directory)
    for place in (EVERYBODYS, *_OTHERS):
        directory = os.path.realpath(place)
        if place == EVERYBODYS or _is_usable(directory, must_be_private=False):
            yield Path(directory)


def _is_usable(directory: str, must_be_private: bool) -> bool:
    """Can sockets be made here, by a path that is short enough and the same for the target?"""
    if len(os.fsencode(directory)) >= 60:
        return False
    try:
        status = os.stat(directory)
    except (OSError, ValueError):
        return False
    is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return (
        stat.S_ISDIR(status.st_mode)
        and os.access(directory, os.W_OK | os.X_OK)
        and (is_private or not must_be_private)
    )


def _random_name() -> str:
    """Of twelve characters. (`secrets` loads OpenSSL, on the way into the target.)"""
    return os.urandom(6).hex()


def private_directory(prefix: str = "live-kernel-") -> Path:
    """A new directory that only we can enter, among our own. Raises OSError.

    (As `tempfile.mkdtemp` makes it, which loads a lot.)
    """
    path = runtime_directory(os.geteuid()) / f"{prefix}{_random_name()}"
    path.mkdir(0o700)
    _check(os.stat(path, follow_symlinks=False), os.geteuid(), path)
    return path


def _check(made: os.stat_result, uid: int, path: Path) -> None:
    """Is this what we have just made? Raises PermissionError."""
    if not stat.S_ISDIR(made.st_mode) or made.st_uid != uid or made.st_mode & 0o077:
        raise PermissionError(f"{path} has been taken by somebody else")


def opened(name: str, parent: int) -> int:
    """A descriptor of a directory, by which it is looked at and emptied. Raises OSError."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def lock(descriptor: int) -> bool:
    """Mark a directory as in use, until we close the descriptor or end. False: it is already."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove(name: str, parent: int, descriptor: int) -> None:
    """Remove a private directory, and whatever is in it of what we put there."""
    for each in (LINK, BUNDLE, SCRIPT, WHY, SESSION, CONNECTION, *CHANNELS):
        with contextlib.suppress(OSError):
            os.unlink(each, dir_fd=descriptor)
    if IPYTHON in os.listdir(descriptor):
        import shutil  # few have one

        shutil.rmtree(IPYTHON, ignore_errors=True, dir_fd=descriptor)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=parent)


def for_process(process: Process) -> Landing:
    """A landing that the target sees.

    Raises OSError, OtherNamespace where there is no place for it, or TargetNotFound.
    """
    if not process.has_other_files:
        return Landing(process.uid, process.gid, process=process)
    try:
        with grounds.of(process.pid, process.uid) as found:
            if proc.stat(process.pid).start_time != process.start_time:
                raise ProcessLookupError  # these are another one's files
            return _first(process, found)
    except proc.GONE:
        raise TargetNotFound(process.pid, f"{process} has ended") from None


def _first(process: Process, found: list[Ground]) -> Landing:
    """A landing in the first directory in which one can be made."""
    reasons = []
    for ground in found:
        try:
            return Landing(process.uid, process.gid, ground, process)
        except OSError as error:
            reasons.append(f"{ground.path}: {error.strerror or error}")
    raise no_ground(process.pid, str(process), "; ".join(reasons))


def no_ground(pid: int, who: str, reasons: str = "") -> OtherNamespace:
    """The error for a target that sees other files, and none where it could meet us."""
    return OtherNamespace(
        pid,
        f"{who} sees other files than this kernel, and among them is no directory in which "
        f"its user could be handed a file{f' ({reasons})' if reasons else ''}",
        "Give it a /tmp that can be written: docker run --tmpfs /tmp, an emptyDir in Kubernetes; "
        f"or at once, as root: nsenter --target {pid} --mount --root mount -t tmpfs tmpfs /tmp",
    )


class PrivateDirectory:
    """A new directory, locked (for `leftovers.py`) and watched over until it is closed.

    `uid` and `gid`: whose it is; `path`: what those call it. `ground`: where to make it, among
    the files of `process`, for which it is; by default among ours. Raises OSError where it can't
    be made.
    """

    def __init__(
        self, uid: int, gid: int, ground: Ground | None = None, process: Process | None = None
    ) -> None:
        self._owner = None if uid == os.geteuid() else (uid, gid)
        self._name = f"live-kernel-{_random_name()}"
        directory = runtime_directory(uid) if ground is None else ground.path
        self.path = directory / self._name
        self._parent = os.open(directory, OPENED) if ground is None else os.dup(ground.descriptor)
        self._descriptor = -1
        self._is_open = True
        self._watchdog = watchdog.of_directory(self.path, process)
        try:
            with acting_as(self._owner):
                self._make(uid)
        except BaseException:
            self.close()
            raise

    def _make(self, uid: int) -> None:
        os.mkdir(self._name, 0o700, dir_fd=self._parent)
        self._descriptor = opened(self._name, self._parent)
        try:
            _check(os.fstat(self._descriptor), uid, self.path)
        except PermissionError:
            os.close(self._descriptor)
            self._descriptor = -1
            raise
        lock(self._descriptor)

    def close(self) -> None:
        """Remove everything that was made."""
        if not self._is_open:
            return
        self._is_open = False
        if self._descriptor >= 0:  # else what has this name, if anything, is not ours
            with contextlib.suppress(OSError), acting_as(self._owner):
                remove(self._name, self._parent, self._descriptor)
        for descriptor in (self._descriptor, self._parent):
            with contextlib.suppress(OSError):  # the first, if it has not been made
                os.close(descriptor)
        if self._watchdog is not None:
            self._watchdog.dismiss()


class Landing(PrivateDirectory):
    """A private directory with a listening socket `link` in it.

    It is of the target's user; `token` is what the agent must know. Raises OSError where it can't
    be made.
    """

    def __init__(
        self, uid: int, gid: int, ground: Ground | None = None, process: Process | None = None
    ) -> None:
        self.token = os.urandom(16).hex()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            super().__init__(uid, gid, ground, process)
            with acting_as(self._owner):
                self._listen()
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        self.listener.setblocking(False)
        # By the descriptor: among other files, its path is not ours, or too long.
        self.listener.bind(f"/proc/self/fd/{self._descriptor}/{LINK}")
        # Not by its name, in whose place its user could have put a link.
        made = os.open(LINK, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            os.chmod(f"/proc/self/fd/{made}", 0o600)
        finally:
            os.close(made)
        self.listener.listen(4)  # the agent is told who called this

    def write(self, name: str, data: bytes) -> Path:
        """Make, or make anew, a file that only the target's user can read. Returns its path.

        Raises OSError, also once the landing is closed.
        """
        if not self._is_open:
            raise FileNotFoundError(f"{self.path} has been given up")
        if self._watchdog is not None:
            self._watchdog.settle()
        with acting_as(self._owner):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._descriptor)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        with open(descriptor, "wb") as file:
            file.write(data)
        return self.path / name

    def told(self) -> str:
        """What kept the bootstrap from starting the agent, where it could not connect; or ""."""
        with contextlib.suppress(OSError), acting_as(self._owner):
            return os.readlink(WHY, dir_fd=self._descriptor)
        return ""

    def accept(self) -> tuple[socket.socket, int] | None:
        """The next connection and its peer's pid, or None if there is none."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return None
        return connection, peer.of(connection).pid

    def close(self) -> None:
        """Remove everything that was made."""
        self.listener.close()
        if hasattr(self, "_is_open"):
            super().close()
