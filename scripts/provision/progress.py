"""One line a step, on stderr: what is being done, and how long it took.

On a terminal the line of the running step counts its seconds; elsewhere a step
that takes long says now and then that it is alive.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType

_STARTED = time.monotonic()
_TICK = 0.5
_SIGN_OF_LIFE = 10.0


class Step:
    """A step under way; its last word is what it said last, or that it was stopped."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._detail = ""
        self._is_terminal = sys.stderr.isatty()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell_loop, daemon=True)

    def __enter__(self) -> Step:
        self._began = time.monotonic()
        self._teller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._teller.join()
        if kind:
            self._detail = f"stopped after {self._detail}".removesuffix(" …")
        self._write(self._detail or "done", end="\n")

    def say(self, detail: str) -> None:
        self._detail = detail

    def _tell_loop(self) -> None:
        if self._is_terminal:
            self._write(self._detail, end="")
        while not self._ended.wait(_TICK if self._is_terminal else _SIGN_OF_LIFE):
            self._write(self._detail or "…", end="" if self._is_terminal else "\n")

    def _write(self, detail: str, end: str) -> None:
        seconds = time.monotonic() - self._began
        text = f"set-up {seconds:5.1f} s  {self._title}" + (f": {detail}" if detail else "")
        if self._is_terminal:
            text = "\r\033[K" + text[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write(text + end)
        sys.stderr.flush()


def tell(text: str) -> None:
    """A line of its own, with the time since the start."""
    sys.stderr.write(f"set-up {time.monotonic() - _STARTED:5.1f} s  {text}\n")
    sys.stderr.flush()
