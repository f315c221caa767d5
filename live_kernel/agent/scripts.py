"""The text that a thread of the program runs to come to us, and where it lies.

Runs in the target, on threads of ours. It is a file without a name, in memory, at a path below
/proc; where that is not mounted, one of the system's folders for temporary files has it.
Rule: nothing is left in a slot that can't be opened.
"""

from __future__ import annotations

import os
from time import monotonic

from . import native, strays
from .frames import OURS
from .slots import SlotsUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ledger import Ledger
    from .slots import Slots

_READ_WITHIN = 1.0
"""Seconds that a thread may take from its slot to the first line of the script there."""

_FOLDERS = ("TMPDIR", "/tmp", "/var/tmp")

_TEXT = f"""\
__name__ = {OURS + ".agent.script"!r}
import sys
sys.modules[{OURS + ".agent.visits"!r}].arrive()
"""


class NoPlace(SlotsUnknown):
    """There is nowhere a file could be put that the program can read."""


class Script:
    """One, for one thread; it waits in the thread's slot, is taken from there, and put there anew.

    `failure`: why it can't be run.
    """

    def __init__(self, slots: Slots, thread: int, ledger: Ledger) -> None:
        self._slots, self._thread = slots, thread
        self._filled_at = 0.0
        self.has_run = native.Signal()
        self.failure: BaseException | None = None
        self._is_gone = False
        self._file, self._path, self._is_named = _written()
        self._entry = ledger.record("a script for a thread of the program", self._remove)
        self._expected = strays.expect(self._path, self._has_failed, ledger)
        _present.setdefault(thread, []).append(self)

    def is_waiting(self) -> bool:
        """See to it that the script waits in the slot.

        Returns whether there is such a thread, and the script: a detach takes it back. Where
        somebody else's waits (another launcher's), ours comes after that.
        """
        if self._is_gone:
            return False
        present = self._slots.waiting(self._thread)
        if present == "" and not self._is_being_read():
            self.has_run, self._filled_at = native.Signal(), monotonic()
            return self._slots.fill(self._thread, self._path)
        return present is not None

    def _is_being_read(self) -> bool:
        """Has the thread taken it from the slot, and not come to us yet?"""
        return not self.has_run.is_set and monotonic() - self._filled_at < _READ_WITHIN

    def _has_failed(self, why: BaseException | None) -> None:
        """On the thread: the script was not run to its end."""
        self.failure = self.failure or why
        self.has_run.set()

    def take_back(self) -> None:
        """There is no need of it any more. (It may still run.)"""
        self._entry.undo()

    def forget(self) -> None:
        """The thread runs it no more."""
        self._expected.undo()

    def _remove(self) -> None:
        self._is_gone = True
        if self._slots.waiting(self._thread) == self._path:
            self._slots.empty(self._thread)
        elif self._is_being_read():
            self.has_run.wait(_READ_WITHIN)
        _present[self._thread].remove(self)
        os.close(self._file)
        if self._is_named:
            os.unlink(self._path)


_present: dict[int, list[Script]] = {}
"""Those that are there for each thread."""


def has_run(thread: int) -> None:
    """On a thread of the program: it runs one of them."""
    for script in _present.get(thread, ()):
        script.has_run.set()


def _written() -> tuple[int, str, bool]:
    """A file with the text, where the program finds it, and whether it has a name there."""
    file = os.memfd_create("live-kernel")
    os.write(file, _TEXT.encode())
    path = f"/proc/self/fd/{file}"
    if os.access(path, os.R_OK):
        return file, path, False
    os.close(file)
    for folder in _FOLDERS:
        path = os.path.join(os.environ.get(folder, folder), f"live-kernel-{os.urandom(8).hex()}")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            continue
        os.write(file, _TEXT.encode())
        return file, path, True
    raise NoPlace("there is neither /proc nor a folder for temporary files")
