"""Frames of the link: four bytes of length (big endian), then UTF-8 JSON.

Runs on both sides, in whichever thread owns the socket. Rule: bytes in,
messages out; no I/O, and no more memory than the largest frame allowed.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

HEADER = 4
LARGEST = 1 << 30
"""Bytes of body in the largest frame that is accepted."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class FrameError(ValueError):
    """What arrived is no frame: too large, not JSON, or not an object."""


def encode(message: Message) -> bytes:
    """One message as a frame, ready to be sent.

    Lone surrogates (file names, broken text) travel as `?`: UTF-8 has no place
    for them. Raises TypeError or ValueError where `message` is not JSON.
    """
    body = _encode(message).encode("utf-8", "replace")
    if len(body) > LARGEST:
        raise FrameError(f"a message of {len(body):,} bytes is larger than the link carries")
    return len(body).to_bytes(HEADER, "big") + body


class Decoder:
    """Cuts a stream of bytes into messages.

    `largest` bounds what a peer can make us hold, in bytes of one body.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEADER

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes.

        All of them at once, so that another thread may go on feeding where one
        was left behind. Raises FrameError; the stream can't be used after that.
        """
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return []
        buffer = b"".join(self._parts) if len(self._parts) > 1 else data
        messages, start = [], 0
        while self._is_whole(buffer, start):
            messages.append(_decode(buffer[start + HEADER : start + self._need]))
            start += self._need
        rest = buffer[start:]
        self._parts = [rest] if rest else []
        self._have = len(rest)
        return messages

    def _is_whole(self, buffer: bytes, start: int) -> bool:
        """Does a whole frame begin at `start`? Leaves in `_need` how many bytes it takes."""
        self._need = HEADER
        if len(buffer) - start < HEADER:
            return False
        size = int.from_bytes(buffer[start : start + HEADER], "big")
        if size > self._largest:
            raise FrameError(f"a frame of {size:,} bytes is over the limit")
        self._need = HEADER + size
        return len(buffer) - start >= self._need


def _decode(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise FrameError("a frame is not a JSON object")
    return message
