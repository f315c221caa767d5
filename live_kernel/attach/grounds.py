"""Directories in which launcher and target can meet: what is in the way to one, and whose it is.

Runs in the launcher and the command line. A target that sees other files than we is reached
through /proc/PID/root, whose owner may be hostile: so directories are opened one below
the other, each relative to a descriptor, and no link is followed.
Rule: nothing is changed; a directory counts only if nobody but the target's user
and root could put something else in the place of what is made in it.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..records import NamedTuple
from . import proc, realm

LONGEST_PATH = 76
"""Bytes: with the names below it, a socket's path must not have more than 107 (unix(7))."""

OPENED = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC
"""How a directory is opened to go through it; O_PATH is Linux's."""


class Ground(NamedTuple):
    """`descriptor`: by which we reach a directory. `path`: what the target calls it."""

    descriptor: int
    path: Path


@contextmanager
def of(pid: int, uid: int) -> Iterator[list[Ground]]:
    """The directories in question, the best first, for the target's user `uid`.

    Whoever wants to keep a descriptor must duplicate it. Raises OSError if the
    target's root directory is not for us to open.
    """
    root = os.open(f"/proc/{pid}/root", OPENED)
    found: list[Ground] = []
    try:
        trusted = frozenset((0, uid, realm.its_root_user(pid)))
        for path in _names(pid, uid):
            with suppress(OSError):
                found.append(Ground(_fit(root, path, trusted, uid), Path(path)))
        yield found
    finally:
        os.close(root)
        for ground in found:
            os.close(ground.descriptor)


def is_fit(directory: str, uid: int) -> bool:
    """Whether, among our own files, nobody but this user and root could put something else in
    the place of what is made in this directory, whose path has no links in it.
    """
    trusted = frozenset((0, uid)) | realm.users_without_number()
    try:
        root = os.open("/", OPENED)
    except OSError:
        return False
    try:
        os.close(_walk(root, directory, trusted))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def _names(pid: int, uid: int) -> Iterator[str]:
    inner = realm.inner_user(pid, uid)
    usual = ["/tmp", f"/run/user/{inner}", "/dev/shm", "/var/tmp"]
    seen = set()
    for path in (_told(pid), *usual, _working_directory(pid)):
        is_short = len(os.fsencode(path)) <= LONGEST_PATH
        is_disk = path.startswith("/") and path.split("/")[1] not in ("proc", "sys")
        if is_short and is_disk and path not in seen:
            seen.add(path)
            yield path


def _told(pid: int) -> str:
    """What its environment calls the directory for temporary files."""
    with suppress(OSError):
        for pair in proc.read(pid, "environ").split(b"\0"):
            if pair.startswith(b"TMPDIR="):
                return posixpath.normpath(os.fsdecode(pair[7:]))
    return ""


def _working_directory(pid: int) -> str:
    """As the target names it; "" where its root directory does not hold it."""
    root, path = proc.link(pid, "root") or "/", proc.link(pid, "cwd") or ""
    if root == "/":
        return path
    return path.removeprefix(root) or "/" if f"{path}/".startswith(f"{root}/") else ""


def _fit(root: int, path: str, trusted: frozenset[int], uid: int) -> int:
    """Open a directory below `root`. Raises OSError, also where it is not fit."""
    here = _walk(root, path, trusted)
    try:
        _check_use(here, uid)
    except BaseException:
        os.close(here)
        raise
    return here


def _walk(root: int, path: str, trusted: frozenset[int]) -> int:
    """Open a directory below `root`. Raises OSError, also where others could replace it."""
    here = os.open(".", OPENED, dir_fd=root)
    try:
        for name in filter(None, path.split("/")):
            below = os.open(name, OPENED | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
            _check_owner(os.fstat(here), trusted)
        _check_owner(os.fstat(here), trusted)  # no matter whose its root directory is
    except BaseException:
        os.close(here)
        raise
    return here


def _check_owner(status: os.stat_result, trusted: frozenset[int]) -> None:
    """Could another user put something else in the place of what is in there?"""
    is_shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if is_shared or status.st_uid not in trusted:
        raise PermissionError("the directory is another user's, or anybody's")


def _check_use(descriptor: int, uid: int) -> None:
    """Could this user make something in there, as far as can be seen?"""
    status = os.fstat(descriptor)
    needed = 0o300 if status.st_uid == uid else 0o003
    if uid != 0 and status.st_mode & needed != needed:
        raise PermissionError("the target's user may not write there")
    if os.statvfs(f"/proc/self/fd/{descriptor}").f_flag & os.ST_RDONLY:
        raise PermissionError("the file system is read-only")
