"""IPython's directories and settings, as far as they say where the history is.

Runs in the launcher, off the reactor. Rule: IPython is not imported, and
nothing is made or warned about; a user who keeps no history in IPython keeps
none with us.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .log import log
from .ownership import is_place_of_ours, text_of_ours

_SETTINGS = ("ipython_config", "ipython_kernel_config")
_CLASSES = ("HistoryAccessor", "HistoryManager")


def ipython_directory() -> Path:
    """`IPYTHONDIR`, else `~/.ipython`, unless there is only the one of very old versions."""
    given = os.environ.get("IPYTHONDIR")
    if given:
        return Path(given).expanduser()
    present = Path("~/.ipython").expanduser()
    older = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "ipython"
    return older if older.is_dir() and not present.exists() else present


def history_file() -> Path | None:
    """The database of IPython's default profile; None if the user's settings say to keep none,
    or it would be another user's.
    """
    try:
        profile = ipython_directory() / "profile_default"
    except RuntimeError:  # this user has no home
        return None
    if not is_place_of_ours(profile):
        return None
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        for each in _history_settings(profile / f"{name}.py"):
            settings |= each
        for each in _history_settings(profile / f"{name}.json"):
            settings |= each
    if not settings.get("enabled", True) or settings.get("hist_file") == ":memory:":
        return None
    return Path(settings.get("hist_file") or profile / "history.sqlite").expanduser()


def _history_settings(file: Path) -> list[dict[str, Any]]:
    """What a file of IPython's settings says of the history. It is only run if it says anything."""
    try:
        text = text_of_ours(file)  # which may be run
        if not any(name in text for name in _CLASSES):
            return []
        config = json.loads(text) if file.suffix == ".json" else _run(file)
        return [dict(config[name]) for name in _CLASSES if name in config]
    except FileNotFoundError:
        return []
    except PermissionError as error:
        log(str(error))
        return []
    except Exception as error:  # the user's code, which may do anything
        log(f"{file} was not understood: {error}")
        return []


def _run(file: Path) -> Any:
    from traitlets.config.loader import PyFileConfigLoader

    return PyFileConfigLoader(file.name, str(file.parent)).load_config()
