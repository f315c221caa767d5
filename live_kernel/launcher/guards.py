"""The guards of the user's configuration: which programs need guard rails, and which.

Runs in the launcher, the API and the command line; read anew for each attach, so that what
is changed holds from the next one on. The file is TOML: LIVE_KERNEL_CONFIG, or
live-kernel/config.toml in XDG_CONFIG_HOME. Rule: what can't be understood is an error,
which names file and place. It must not happen that a guard is passed over in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..attach import proc
from ..attach.processes import Candidate, Process
from ..errors import ConfigBroken
from ..records import NamedTuple
from . import durations
from .rails import Rails

VARIABLE = "LIVE_KERNEL_CONFIG"
"""The configuration file, instead of `~/.config/live-kernel/config.toml`; it must be there."""

COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")

_TELLING = ("match", "user", "cwd", "unit")
"""Keys that say which programs a guard is for."""


class Key(NamedTuple):
    """A key of a guard: of what type its value is, and what it means."""

    kind: type
    meaning: str


KEYS = {
    "match": Key(str, "for programs in whose command line this regular expression is found"),
    "user": Key(str, "for programs that run as this user, by name or number"),
    "cwd": Key(str, "for programs in this directory, or in one below it"),
    "unit": Key(str, "for programs of this unit of systemd's, or in this slice"),
    "banner": Key(str, "what is shown at attach, in `%status`, before questions, and in lists"),
    "colour": Key(str, "of the banner and the console's prompt"),
    "observe": Key(bool, "whether sessions only look"),
    "confirm": Key(bool, "whether each cell asks first"),
    "idle": Key(str, "after what time without use the kernel detaches, such as `30m`"),
}
"""What a guard may have; the reference of the documentation is made from it."""

_EXAMPLE = '[[guard]]\nmatch = "billing"\nbanner = "PRODUCTION: billing"\nconfirm = true'


class Guard(NamedTuple):
    """One [[guard]]: the program must fit all of `match`, `user`, `cwd`, `unit` that are there.

    `match`: sought in its command line. `cwd`: its directory, or one above that. `unit`:
    systemd's name of its service, as its control group tells.
    """

    rails: Rails
    match: re.Pattern[str] | None = None
    user: str = ""
    cwd: str = ""
    unit: str = ""

    def is_for(self, process: Process) -> bool:
        """Is it for this program?"""
        if self.match is not None and not self.match.search(" ".join(process.cmdline)):
            return False
        if self.user and self.user not in (process.username, str(process.uid)):
            return False
        if self.cwd and not _is_within(process.cwd, self.cwd):
            return False
        return not self.unit or self.unit in _units(process.pid)


def _is_within(directory: str, above: str) -> bool:
    try:
        return Path(directory).is_relative_to(os.path.realpath(above))
    except ValueError:
        return False


def _units(pid: int) -> list[str]:
    """The names along its control groups: system.slice, billing.service."""
    try:
        text = proc.read(pid, "cgroup").decode(errors="replace")
    except OSError:
        return []
    return [name for line in text.splitlines() for name in line.rpartition(":")[2].split("/")]


class Guards(NamedTuple):
    """All guards, in the order of the file."""

    guards: Sequence[Guard] = ()

    def of(self, process: Process) -> Rails:
        """The rails of all that are for this program, together."""
        rails = Rails()
        for guard in self.guards:
            if guard.is_for(process):
                rails = rails.plus(guard.rails)
        return rails


def place(environment: Mapping[str, str]) -> tuple[Path, bool]:
    """The file, and whether it must be there, since the user has named it."""
    named = environment.get(VARIABLE, "").strip()
    if named:
        return Path(named).expanduser(), True
    home = environment.get("XDG_CONFIG_HOME", "")
    above = Path(home) if Path(home).is_absolute() else Path("~/.config").expanduser()
    return above / "live-kernel" / "config.toml", False


def read(environment: Mapping[str, str] = os.environ) -> Guards:
    """What is configured at present; nothing where there is no file. Raises ConfigBroken."""
    file, is_named = place(environment)
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_named:
            raise _broken(file, f"{VARIABLE} names it, but {error.strerror}") from None
        return Guards()
    except (OSError, ValueError) as error:
        raise _broken(file, f"it can't be read: {error}") from None
    import tomllib  # few have one

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(file, f"it is no TOML: {error}") from None
    return _parsed(file, content)


def understood() -> tuple[Guards, ConfigBroken | None]:
    """What is configured at present; nothing, and why, where that can't be understood."""
    try:
        return read(), None
    except ConfigBroken as error:
        return Guards(), error


def of(process: Process, environment: Mapping[str, str] = os.environ) -> Rails:
    """The rails that are configured for this program. Raises ConfigBroken."""
    return read(environment).of(process)


def of_all(candidates: Sequence[Candidate]) -> list[Rails]:
    """The rails of each of these. Raises ConfigBroken."""
    guards = read()
    return [guards.of(each.process) for each in candidates]


def _broken(file: Path, what: str, remedy: str = "") -> ConfigBroken:
    return ConfigBroken(
        f"The configuration {file} is not understood, so that nothing is attached: {what}.",
        remedy or "Mend the file. What it may have, docs/production.md says.",
    )


def _parsed(file: Path, content: dict[str, Any]) -> Guards:
    for key in content:
        if key != "guard":
            raise _broken(file, f"there is no table {key!r}{_meant(key, ['guard'])}", _REMEDY)
    tables = content.get("guard", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise _broken(file, "`guard` is no list of tables", _REMEDY)
    return Guards([_guard(file, number, table) for number, table in enumerate(tables, 1)])


_REMEDY = f"A guard is written so:\n{_EXAMPLE}"


def _meant(key: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, 1)
    return f" (is {close[0]!r} meant?)" if close else ""


def _guard(file: Path, number: int, table: dict[str, Any]) -> Guard:
    name = f"[[guard]] {number}"
    home = Path("~").expanduser()

    def wrong(key: str, what: str, remedy: str = _REMEDY) -> ConfigBroken:
        return _broken(file, f"{name}, `{key}`: {what}", remedy)

    for key, value in table.items():
        if key not in KEYS:
            raise wrong(key, f"there is no such key{_meant(key, [*KEYS])}", _KEYS)
        if type(value) is not (kind := KEYS[key].kind):
            wanted = "true or false" if kind is bool else "a text in quotes"
            raise wrong(key, f"{value!r} is not {wanted}")
        if value == "":
            raise wrong(key, "it is empty")
    if not any(key in table for key in _TELLING):
        raise _broken(
            file,
            f"{name} does not say which programs it is for",
            f'Give it one of {", ".join(_TELLING)}: match = "." fits all.\n{_REMEDY}',
        )
    by = f"{name} of {file}".replace(f" {home}/", " ~/")
    rails = Rails(
        by if table.get("observe") else "",
        by if table.get("confirm") else "",
        *_idle(table, by, wrong),
        table.get("banner", ""),
        _colour(table, wrong),
    )
    telling = {key: table.get(key, "") for key in ("user", "cwd", "unit")}
    return Guard(rails, _pattern(table, wrong), **telling)


_KEYS = f"The keys of a guard are: {', '.join(KEYS)}."


def _pattern(table: dict[str, Any], wrong: Any) -> re.Pattern[str] | None:
    if "match" not in table:
        return None
    try:
        return re.compile(table["match"])
    except re.error as error:
        raise wrong("match", f"{table['match']!r} is no regular expression: {error}") from None


def _idle(table: dict[str, Any], by: str, wrong: Any) -> tuple[float, str]:
    if "idle" not in table:
        return 0.0, ""
    try:
        return durations.parse(table["idle"]), by
    except ValueError as error:
        raise wrong("idle", f"{error}", 'For example: idle = "30m"') from None


def _colour(table: dict[str, Any], wrong: Any) -> str:
    colour: str = table.get("colour", "red" if "banner" in table else "")
    if colour and colour not in COLOURS:
        raise wrong("colour", f"there is no {colour!r}", f"The colours are {', '.join(COLOURS)}.")
    return colour
