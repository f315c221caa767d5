"""The private directory in which launcher and agent meet.

Runs in the launcher: made for one attach, gone as soon as the agent has
connected or the attach was given up; and for one move of values, gone when that
has ended. Rule: nobody but the target's user (and root) can enter it, and what
root removes in it is named relative to a descriptor, so that the user can't
lead root elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import socket
import stat
import struct
from pathlib import Path

LONGEST_SOCKET_PATH = 107
"""Bytes in the path of a Unix socket, at most (unix(7))."""

LINK, BUNDLE, SCRIPT = "link", "bundle", "bootstrap.py"

NAME = re.compile(r"live-kernel-[0-9a-f]{12}")


def runtime_directory(uid: int) -> Path:
    """Where private directories for a target of this user belong.

    The user's own runtime directory if it is ours too and is as private as it
    ought to be, else the directory for temporary files; for another user's target
    the one that is everybody's.
    """
    if uid == os.geteuid():
        for name, must_be_private in (("XDG_RUNTIME_DIR", True), ("TMPDIR", False)):
            configured = os.environ.get(name, "")
            if _is_usable(configured, must_be_private):
                return Path(configured)
    return Path("/tmp")


def _is_usable(directory: str, must_be_private: bool) -> bool:
    """Can sockets be made here, by a path that is short enough and the same for the target?"""
    if not os.path.isabs(directory) or len(os.fsencode(directory)) >= 60:
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


def private_directory(parent: Path) -> Path:
    """A new directory that only its owner can enter (as `tempfile.mkdtemp`, which loads a lot)."""
    path = parent / f"live-kernel-{secrets.token_hex(6)}"
    path.mkdir(0o700)
    return path


def opened(path: Path) -> int:
    """A descriptor of a directory, by which it is looked at and emptied. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def lock(descriptor: int) -> bool:
    """Mark a directory as in use, until we close the descriptor or end. False: it is already."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove(path: Path, descriptor: int) -> None:
    """Remove a private directory, and whatever is in it of what we put there."""
    for name in (LINK, BUNDLE, SCRIPT):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=descriptor)
    with contextlib.suppress(OSError):
        path.rmdir()


class Landing:
    """A private directory with a listening socket `link` in it.

    `uid` and `gid` are the target's; `token` is what the agent must know.
    Raises OSError where the directory can't be made.
    """

    def __init__(self, uid: int, gid: int) -> None:
        self.token = secrets.token_hex(16)
        self.path = private_directory(runtime_directory(uid))
        self._owner = None if uid == os.geteuid() else (uid, gid)
        self._descriptor = opened(self.path)
        lock(self._descriptor)  # for `leftovers.py`
        self._is_open = True
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listen()
            if self._owner is not None:
                os.fchown(self._descriptor, *self._owner)
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        self.listener.setblocking(False)
        self.listener.bind(str(self.path / LINK))
        os.chmod(LINK, 0o600, dir_fd=self._descriptor)
        if self._owner is not None:
            os.chown(LINK, *self._owner, dir_fd=self._descriptor, follow_symlinks=False)
        self.listener.listen(4)

    def write(self, name: str, data: bytes) -> Path:
        """Make, or make anew, a file that only the target's user can read. Returns its path.

        Raises OSError, also once the landing is closed.
        """
        if not self._is_open:
            raise FileNotFoundError(f"{self.path} has been given up")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        with open(descriptor, "wb") as file:
            file.write(data)
            if self._owner is not None:
                os.fchown(file.fileno(), *self._owner)
        return self.path / name

    def accept(self) -> tuple[socket.socket, int] | None:
        """The next connection and its peer's pid, or None if there is none."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return connection, struct.unpack("3i", credentials)[0]

    def close(self) -> None:
        """Remove everything, also what was never made."""
        if not self._is_open:
            return
        self._is_open = False
        self.listener.close()
        remove(self.path, self._descriptor)
        os.close(self._descriptor)
