"""Files that keep what sessions have set up: one for each notebook, or those that a user names.

Runs in the launcher, on a thread. A kernel can't write into its notebook, which front-ends save
over it. So what belongs to a notebook stands beside the journal, in a directory of its user's
alone, in a file that is named after the notebook's path; the path stands in it, too.
Rule: what stands in such a file is carried out, so only files are obeyed that nobody else could
have written; and they are written whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import LiveKernelError
from .clock import stamp
from .journal import state_directory
from .ownership import text_of_ours, write_whole
from .setup import Item, from_json, to_json


class SessionNotKept(LiveKernelError):
    """What a session has set up could not be saved, or is not there to be restored."""

    kind = "session"


def notebook(environment: Mapping[str, str]) -> str:
    """The path of the kernel's notebook, as Jupyter Server tells it; empty where there is none."""
    path = environment.get("JPY_SESSION_NAME", "")
    return path if path.endswith(".ipynb") else ""


def place(environment: Mapping[str, str]) -> Path:
    """The file of the kernel's notebook. Raises SessionNotKept where it has none."""
    path = notebook(environment)
    if not path:
        raise SessionNotKept(
            "This front-end has no notebook with which a session could be kept.",
            "Name a file: %session save FILE, %session restore FILE.",
        )
    name = hashlib.sha256(os.path.realpath(path).encode(errors="surrogateescape")).hexdigest()
    return state_directory(environment) / "sessions" / f"{name[:32]}.json"


def named(text: str) -> Path:
    """The file that a user names."""
    return Path(text).expanduser().absolute()


def save(file: Path, items: Sequence[Item], about: Mapping[str, Any]) -> None:
    """Write it anew, for its owner alone. Raises SessionNotKept."""
    text = json.dumps({**to_json(items), **about, "saved": stamp()}, indent=1) + "\n"
    try:
        file.parent.mkdir(0o700, parents=True, exist_ok=True)
        _require_plain(file)
        write_whole(file, text)
    except OSError as error:
        what = f"{file} can't be written: {error.strerror or error}."
        raise SessionNotKept(what, "Name another file: %session save FILE.") from None


def _require_plain(file: Path) -> None:
    """A user who names a link, a pipe or another's file has not meant that."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "what is there is no file of yours")


def load(file: Path) -> tuple[list[Item], dict[str, Any]]:
    """The items, and what else is said of them. Raises SessionNotKept."""
    try:
        kept = json.loads(text_of_ours(file))
        return from_json(kept), kept
    except FileNotFoundError:
        what = f"Nothing was saved in {file}."
        raise SessionNotKept(what, "%session save keeps what is set up.") from None
    except PermissionError as error:
        remedy = "If you trust it: chmod 600, or where it is another user's, restore a copy of it."
        raise SessionNotKept(str(error), remedy) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SessionNotKept(f"{file} can't be read: {error}.", "") from None


def remove(file: Path) -> bool:
    """Remove it. Returns whether it was there. Raises SessionNotKept."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SessionNotKept(f"{file} can't be removed: {error.strerror}.", "") from None
    return True
