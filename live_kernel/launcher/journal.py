"""The journal: a file to which lines are added, by many kernels at once.

Runs wherever cells are sent from: the launcher's reactor, the command line, a script with a
handle. It knows files; what a line says, `recording.py` knows, and who reads it, `past.py`.
Each line is added by one write to the end, under a lock that others wait for only briefly;
whoever finds the file full puts it aside, and the others notice by its name.
Rule: nothing that happens to the file ends or fails a cell. The user is told once, and what
could not be written is counted in the first line that can be again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .clock import stamp
from .log import log
from .ownership import is_place_of_anothers, open_place

VARIABLE = "LIVE_KERNEL_JOURNAL"
"""`off`, or the file; the user's own by default."""

FULL = 10_000_000
"""Bytes from which a journal is put aside and a new one begun."""

KEPT = 9
"""Files that are kept beside the present one: `journal.jsonl.1` is the latest."""

_PAUSES = (0.0, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)
"""Seconds between attempts to lock. A write takes microseconds; who keeps the lock for longer is
stopped, or far away, and one write to the end of a local file is whole without a lock, too."""

LOOK_AFTER = 1.0
"""Seconds after which a line is written only when the file has been looked at again."""

CALM = 10.0
"""Seconds without a failure after which the file counts as one that can be written again: on a
disk that is full, a short line may fit where a long one does not."""

_ATTEMPTS = 20
"""Times that others may have put the file aside between our opening and our locking it."""


def place(environment: Mapping[str, str]) -> Path | None:
    """The file that the environment names, by itself or by `XDG_STATE_HOME`; None for `off`."""
    chosen = environment.get(VARIABLE, "").strip()
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(chosen).expanduser().absolute()
    return state_directory(environment) / "journal.jsonl"


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where the kernel keeps what is its user's alone: live-kernel in `XDG_STATE_HOME`."""
    base = Path(environment.get("XDG_STATE_HOME", ""))
    if not base.is_absolute() or is_place_of_anothers(base):
        base = _home(environment) / ".local" / "state"
    return base / "live-kernel"


def _home(environment: Mapping[str, str]) -> Path:
    """Our home; under sudo the variables may still name that of whoever has called it."""
    named = Path(environment.get("HOME") or "/")
    try:
        if named.is_absolute() and named.stat().st_uid == os.geteuid():
            return named
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except (OSError, KeyError):
        return named


def files(path: Path, kept: int = KEPT) -> list[Path]:
    """The journal and those that were put aside, the latest first, whether they exist or not."""
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1))]


class Journal:
    """The journal in the file `path`, which is made by the first line that is written.

    `tell(text)`: told once that it can't be written, and once that it can be again. `full` and
    `kept`: see above.
    """

    def __init__(
        self, path: Path, tell: Callable[[str], None] = log, full: int = FULL, kept: int = KEPT
    ) -> None:
        self.path = path
        self._tell, self._full, self._kept = tell, full, kept
        self._name = str(path)
        self._descriptor = -1
        self._identity = (0, 0)
        self._lost = 0
        self._failed_at: float | None = None
        self._is_stuck = False
        self._looked = -LOOK_AFTER

    def write(self, lines: bytes) -> None:
        """Add whole lines. Raises nothing."""
        try:
            if self._lost:
                self._append(self._gap() + lines)
            elif not self._add_at_once(lines):
                self._append(lines)
        except OSError as error:
            self._fail(error, lines)
            return
        self._lost = 0
        if self._failed_at is not None and time.monotonic() - self._failed_at > CALM:
            self._failed_at = None
            self._tell(f"The journal {self.path} is written again.")

    def _gap(self) -> bytes:
        record = {"at": stamp(), "event": "gap", "lost": self._lost, "pid": os.getpid()}
        return json.dumps(record).encode() + b"\n"

    def _fail(self, error: OSError, lines: bytes) -> None:
        self.close()
        if self._failed_at is None:
            reason = error.strerror or str(error)
            self._tell(
                f"The journal {self.path} can't be written: {reason}. Cells run on without a "
                f"record. {VARIABLE}=FILE names another file, {VARIABLE}=off asks for none."
            )
        self._lost += lines.count(b"\n")
        self._failed_at = time.monotonic()

    def _add_at_once(self, lines: bytes) -> bool:
        """What most lines take: the file has just been looked at. Returns whether they did."""
        if time.monotonic() - self._looked > LOOK_AFTER or not _try_to_lock(self._descriptor):
            return False
        try:
            self._put(lines)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return True

    def look(self) -> None:
        """Now there is time: see whether the file is still there, and not full. Raises nothing."""
        if self._descriptor < 0 or time.monotonic() - self._looked < LOOK_AFTER / 2:
            return
        with contextlib.suppress(OSError):
            size = self._size()
            if size is not None and not self._is_full(size):
                self._looked = time.monotonic()

    def _append(self, lines: bytes) -> None:
        for _ in range(_ATTEMPTS):
            if self._descriptor < 0:
                self._open()
            is_locked = _lock(self._descriptor)
            try:
                size = self._size()
                if size is not None and not (is_locked and self._is_full(size)):
                    self._put(self._ended(size) + lines)
                    self._looked = time.monotonic()
                    return
                if size is not None:
                    self._put_aside()
            finally:
                if is_locked:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.close()
        raise OSError(errno.EBUSY, "others put it aside again and again")

    def _size(self) -> int | None:
        """Of the file; None if it is not the one of that name any more."""
        try:
            status = os.stat(self._name, follow_symlinks=False)  # noqa: PTH116 - half the time
        except FileNotFoundError:
            return None
        return status.st_size if (status.st_dev, status.st_ino) == self._identity else None

    def _is_full(self, size: int) -> bool:
        return size >= self._full and not self._is_stuck

    def _ended(self, size: int) -> bytes:
        """What ends a line that somebody has left half written, so that ours is whole."""
        return b"\n" if size and os.pread(self._descriptor, 1, size - 1) != b"\n" else b""

    def _put(self, lines: bytes) -> None:
        """One write. Where not all of it fits on the disk, nothing is left of it."""
        written = os.write(self._descriptor, lines)
        if written < len(lines):
            self._take_back(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _take_back(self, written: int) -> None:
        self._looked = -LOOK_AFTER
        size = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if os.fstat(self._descriptor).st_size == size:  # else others have gone on behind it
            os.ftruncate(self._descriptor, size - written)

    # -- the file -----------------------------------------------------------------------

    def _open(self) -> None:
        """Open it, or make it. Raises OSError, also where it is not ours alone."""
        directory = self._directory()
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            try:
                descriptor = os.open(self.path.name, flags, 0o600, dir_fd=directory)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise OSError(error.errno, "it is a symbolic link") from None
                raise
        finally:
            os.close(directory)
        try:
            status = os.fstat(descriptor)
            _require_ours(status)
            if stat.S_IMODE(status.st_mode) != 0o600:
                os.fchmod(descriptor, 0o600)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._identity = (status.st_dev, status.st_ino)

    def _directory(self) -> int:
        """A descriptor of its directory, which is made for its owner alone. Raises OSError."""
        directory = self.path.parent
        if not directory.is_dir():
            directory.mkdir(0o700, parents=True, exist_ok=True)
        return open_place(directory)

    def _put_aside(self) -> None:
        """Give it the name of an older one, and all older ones the next; the oldest goes.

        Under its lock: whoever else waits for that finds that the name is another file's.
        """
        present, *older = files(self.path, self._kept)
        try:
            descriptor = self._directory()
            try:
                for before, after in reversed([*zip([present, *older], older, strict=False)]):
                    if before is present or os.path.lexists(before):
                        os.rename(
                            before.name, after.name, src_dir_fd=descriptor, dst_dir_fd=descriptor
                        )
            finally:
                os.close(descriptor)
        except OSError as error:
            self._is_stuck = True
            self._tell(f"The journal {self.path} can't be put aside, and grows: {error.strerror}.")

    def close(self) -> None:
        """Let go of the file. The next line opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._looked = -1, -LOOK_AFTER


def _lock(descriptor: int) -> bool:
    """Lock the file against other writers, if that can be done soon. Returns whether it is."""
    for pause in _PAUSES:
        time.sleep(pause)
        if _try_to_lock(descriptor):
            return True
    return False


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another has it just now; or a file system without locks
        return False
    return True


def _require_ours(status: os.stat_result) -> None:
    """Raises OSError for a file that is no file, or not one of ours and of one name only."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if status.st_nlink > 1:
        raise PermissionError(errno.EPERM, "it has a second name (a hard link)")
