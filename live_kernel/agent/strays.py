"""What the program's signal handlers raise while its main thread runs a script of ours.

Runs in the target: the hook on threads of the program, the rest on threads of ours. A signal
that has come while the thread was blocked is handled by the first Python code that runs there;
where that is our script, the interpreter catches what the handler raises, and tells it to
`sys.unraisablehook`. Rule: it belongs to the program, which gets it where it stands, as soon
as nothing of ours runs there; and what goes wrong with a script is told to nobody else.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum`
import sys

from . import dispositions, native
from .frames import is_ours
from .rousing import UNHEEDED, programs_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .ledger import Entry, Ledger

_lock = native.Lock()
_scripts: dict[Callable[[BaseException | None], object], str] = {}
"""The path of each script that waits, by what is called if it was not run to its end: with the
reason, or with None if that was a handler's exception. (A path is used again.)
"""

_before: Any = None
"""The program's `sys.unraisablehook`, while ours is in its place."""

_strays: list[Stray] = []
"""What has been caught and not been given back."""


def expect(
    path: str, on_failure: Callable[[BaseException | None], object], ledger: Ledger
) -> Entry:
    """A script waits at this path. Undo the entry when it does no more."""
    global _before
    with _lock:
        if not _scripts:
            _before, sys.unraisablehook = sys.unraisablehook, _hook
        _scripts[on_failure] = path
    return ledger.record("sys.unraisablehook", lambda: _forget(on_failure))


def _forget(on_failure: Callable[[BaseException | None], object]) -> None:
    with _lock:
        _scripts.pop(on_failure, None)
        if not _scripts and sys.unraisablehook is _hook:
            sys.unraisablehook = _before


def _hook(unraisable: Any) -> None:
    """In the place of `sys.unraisablehook`."""
    text = unraisable.err_msg or ""
    concerned = [each for each, path in list(_scripts.items()) if text.endswith(f"script {path}")]
    if not concerned:
        _before(unraisable)
        return
    error: BaseException | None = unraisable.exc_value
    if error is not None and text.startswith("Error executing") and _is_of_the_program(error):
        _strays.append(Stray(error))
        error = None
    for on_failure in concerned:
        on_failure(error)


def _is_of_the_program(error: BaseException) -> bool:
    """Has a handler of the program's raised it, rather than our own code?"""
    if not native.on_main_thread():
        return False
    traceback: Any = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    is_script = frame.f_code.co_filename == "<string>"
    return not isinstance(error, Exception) or not (is_script or is_ours(frame))


class Stray:
    """An exception that the program has not got yet."""

    def __init__(self, error: BaseException) -> None:
        self._error = error.with_traceback(None)
        self._number, self._before = 0, None
        for number in UNHEEDED:
            before = _signal.getsignal(number)
            if before in (_signal.SIG_DFL, _signal.SIG_IGN):
                self._number, self._before = number, before
                self._disposition = programs_own(number)
                _signal.signal(number, self._raise)
                break

    def send(self) -> bool:
        """On a thread of ours: have it raised by the main thread. Returns whether it is over."""
        if self._number:
            _signal.pthread_kill(native.main_ident(), self._number)
        return not self._number

    def _raise(self, _number: int, frame: Any) -> None:
        """On the main thread, as a signal's handler; where something of ours runs, another time."""
        while frame is not None:
            if is_ours(frame):
                return
            frame = frame.f_back
        number, self._number = self._number, 0
        _signal.signal(number, self._before)
        dispositions.write(number, self._disposition)
        raise self._error


def has_any() -> bool:
    """Is there an exception that belongs to the program?"""
    return bool(_strays)


def give_back() -> None:
    """On a thread of ours: try to. Call it again while there are any."""
    for stray in list(_strays):
        if stray.send():
            _strays.remove(stray)
