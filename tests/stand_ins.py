"""What stands in for a program's names and for front-ends, where a test starts neither.

Runs in pytest. Rule: a stand-in keeps what it is told, and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_kernel.launcher.wire import Request


class Dictionary:
    """Names over a dictionary."""

    def __init__(self, **entries: Any) -> None:
        self.entries = entries
        self.local: list[str] = []

    def lookup(self, name: str) -> object:
        return self.entries[name]

    def names(self) -> list[str]:
        return list(self.entries)

    def local_names(self) -> list[str]:
        return self.local


class Told:
    """Front-ends that keep what is published and answered, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Any]] = []

    def publish(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> None:
        self.told.append((parent["msg_id"], kind, content))

    def status(self, state: str, parent: dict[str, Any]) -> None:
        self.told.append((parent["msg_id"], state, None))

    def reply(self, request: Request, kind: str, content: dict[str, Any]) -> None:
        self.told.append((request.header["msg_id"], kind, content))

    def of(self, request: Request) -> list[str]:
        """The kinds of what was told about one request."""
        return [kind for about, kind, _ in self.told if about == request.header["msg_id"]]

    def contents(self, request: Request, kind: str) -> list[Any]:
        """Of what was told of this kind about one request."""
        wanted = (request.header["msg_id"], kind)
        return [content for about, told, content in self.told if (about, told) == wanted]
