"""Whose files the launcher obeys: those of its own user and root, that nobody else can write to.
And how it writes those that it will obey.

Runs in the launcher, and in Jupyter Server. What is merely shown is no concern of it; what is
run, imported, or says what is to be done, is. Above all where root works in another user's
directory, or with that user's HOME (`sudo -E`). Rule: asked of an open descriptor, where there is
one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_LARGEST = 1 << 20
"""Bytes of a file that is read."""


def is_ours(status: os.stat_result) -> bool:
    """Could only our own user and root have written this?

    A group counts as others for root; for a user, who may have a group to himself, it does not.
    """
    by_others = stat.S_IWOTH | (stat.S_IWGRP if os.geteuid() == 0 else 0)
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & by_others


def text_of_ours(file: Path) -> str:
    """What stands in a file. Raises FileNotFoundError; PermissionError if it is not ours alone."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with os.fdopen(os.open(file, flags), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_ours(status):
            raise PermissionError(
                f"{file} is not ours, or others can write to it: it is not obeyed"
            )
        return opened.read(_LARGEST).decode()


def open_place(directory: Path) -> int:
    """A descriptor of a directory in which nobody else can put another file in the place of ours:
    one of ours, or one of root's or our own that others may write to, if it is sticky, as /tmp is
    (which keeps its owner from nothing). Raises OSError; PermissionError for any other.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    is_sticky = status.st_mode & stat.S_ISVTX and status.st_uid in (0, os.geteuid())
    if is_sticky or is_ours(status):
        return descriptor
    os.close(descriptor)
    raise PermissionError(errno.EPERM, "others could tamper with its directory")


def write_whole(file: Path, text: str) -> None:
    """Write a file for ourselves alone, anew: whole or not at all, in the place of what is there,
    which may be a link to anything. Raises OSError, as `open_place` does.
    """
    directory = open_place(file.parent)
    fresh = f".{file.name}.{os.urandom(6).hex()}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text)
            os.rename(fresh, file.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            _remove(fresh, directory)
            raise
    finally:
        os.close(directory)


def _remove(name: str, directory: int) -> None:
    with suppress(OSError):  # it has not come so far, or it is not there any more
        os.unlink(name, dir_fd=directory)


def is_place_of_ours(directory: Path) -> bool:
    """Whether a directory, or where it is not there yet the nearest that is, is ours."""
    with suppress(OSError):
        return is_ours(_nearest(directory))
    return False


def is_place_of_anothers(directory: Path) -> bool:
    """Whether that is neither ours nor root's, as what `sudo -E` keeps of its caller's may be."""
    with suppress(OSError):
        return _nearest(directory).st_uid not in (0, os.geteuid())
    return False


def _nearest(directory: Path) -> os.stat_result:
    for each in (directory, *directory.parents):
        with suppress(FileNotFoundError):
            return each.stat()
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)
