"""Parts of IPython without what they would do to the process, or in the user's home.

Runs in the target, on the thread of a cell. Rule: each stands where IPython
expects the part, does the rest of its work, and keeps nothing beyond the session.
"""

from __future__ import annotations

from .magics import ipython_module, usage_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Base = Any
else:
    _Base = object

SHELL = "IPython.core.interactiveshell"
"""The module of IPython's shell."""


class Profile:
    """The place of IPython's profile, which is neither made nor read."""

    def __init__(self, location: str) -> None:
        self.location = location


class WithoutDatabase:
    """While IPython 8 makes its shell: that makes a directory in the user's home, too."""

    def __enter__(self) -> None:
        names = vars(ipython_module(SHELL))
        self._original = names.get("PickleShareDB")
        if self._original is not None:
            names["PickleShareDB"] = lambda _place: Notes()

    def __exit__(self, *_: object) -> None:
        if self._original is not None:
            vars(ipython_module(SHELL))["PickleShareDB"] = self._original


class Notes(dict[str, object]):
    """What magics keep beyond a session in IPython's own profile: here, for the session."""

    def keys(self, pattern: str = "*") -> Any:
        from fnmatch import fnmatchcase

        return [name for name in self if fnmatchcase(name, pattern)]

    def __delitem__(self, name: str) -> None:
        self.pop(name, None)  # IPython's own does not mind either


class QuietHistory(_Base):  # type: ignore[misc]
    """IPython's own would have a thread, a database, and a callback at the program's exit."""

    def init_db(self) -> None:
        """Remember nothing beyond the session."""
        self.db = ipython_module("IPython.core.history").DummyDB()

    def get_tail(
        self,
        n: int | None = 10,
        raw: bool = True,
        output: bool = False,
        include_latest: bool = False,
    ) -> Any:
        """The last inputs of this session, without the one that asks."""
        lines = [line for line in self.get_range(0, 1, None, raw, output) if line[2]]
        if not include_latest:
            lines = lines[:-1]
        return lines[-(n or 10) :]

    def search(
        self,
        pattern: str = "*",
        raw: bool = True,
        search_raw: bool = True,
        output: bool = False,
        n: int | None = None,
        unique: bool = False,
    ) -> Any:
        """The inputs of this session that fit a pattern."""
        from fnmatch import fnmatchcase

        lines = self.get_range(0, 1, None, raw, output)
        found = [line for line in lines if line[2] and fnmatchcase(str(line[2]), pattern)]
        if unique:
            found = list({line[2]: line for line in found}.values())
        return found if n is None else found[-n:]

    def get_range(self, session: int = 0, *arguments: Any, **options: Any) -> Any:
        """Inputs by their numbers. Raises UsageError for those of other sessions."""
        if session:
            raise usage_error("inputs of earlier sessions are the front-end's: arrow up, or search")
        return super().get_range(0, *arguments, **options)


class QuietTrap:
    """IPython's own would put names among the builtins of the whole program."""

    def activate(self) -> None:
        """Put nothing there."""

    def deactivate(self) -> None:
        """Take nothing away."""
