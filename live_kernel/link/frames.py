"""Frames of the link.

Runs on both sides, in whichever thread owns the socket. A frame is its length
and the length of its JSON (four bytes each, big endian), the JSON in UTF-8,
and behind it the values of the message that are bytes: a figure costs the
target neither base64 nor a copy, and arrives as a read-only memoryview of what was
received. Rule: bytes in, messages out; no I/O, and no more memory than the largest
frame allowed.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Message = dict[str, Any]

HEADER = 8
LARGEST = 1 << 30
"""Bytes in the largest frame that is accepted, its header not counted."""

_ROOM = 1 << 16
"""Bytes received at a time, outside a large frame."""

_BELIEVED = 1 << 24
"""Bytes that are set aside for a frame because its header says so; more only once so many came."""

_BYTES = "$bytes"
"""The key of the object that stands for bytes: `{"$bytes": size}`, in order."""


class FrameError(ValueError):
    """What arrived is no frame: too large, not JSON, or not an object."""


def encode(message: Message) -> list[bytes]:
    """One message as a frame, in pieces to be sent one after the other.

    Lone surrogates (file names, broken text) travel as `?`: UTF-8 has no place
    for them. Raises TypeError or ValueError where `message` is neither JSON nor bytes.
    """
    try:
        return _frame(_plain.encode(message), [])
    except TypeError:
        return _frame(*_with_blobs(message))


def _with_blobs(message: Message) -> tuple[str, list[bytes]]:
    """The JSON of a message that holds bytes, and these in order."""
    blobs: list[bytes] = []

    def stand_in(value: object) -> object:
        if not isinstance(value, bytes) or not value:
            return _as_base64(value)
        blobs.append(value)
        return {_BYTES: len(value)}

    text = _encoder(stand_in).encode(message)
    if blobs and text.count(f'"{_BYTES}":') != len(blobs):
        blobs.clear()  # the program's own objects look like that
        text = _encoder(_as_base64).encode(message)
    return text, blobs


def _frame(text: str, blobs: list[bytes]) -> list[bytes]:
    body = text.encode("utf-8", "replace")
    size = len(body) + sum(map(len, blobs))
    if size > LARGEST:
        raise FrameError(f"a message of {size:,} bytes is larger than the link carries")
    return [size.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body, *blobs]


def _encoder(stand_in: Callable[[object], object] | None = None) -> json.JSONEncoder:
    """`stand_in`: makes JSON of what is none; without it, that raises TypeError."""
    return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=stand_in)


_plain, _decoder = _encoder(), json.JSONDecoder()
"""What nearly all messages need, made once."""


def _as_base64(value: object) -> str:
    """The same as Jupyter has it, which is what becomes of bytes in the end."""
    from binascii import b2a_base64

    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} can't be sent over the link")
    return b2a_base64(value, newline=False).decode("ascii")


class Decoder:
    """Cuts a stream of bytes into messages.

    Either `feed` it what was received, or receive into its `room()` and say to `took`
    how much that was: then a large frame is not copied together in the end.
    `largest` bounds what a peer can make us hold, in bytes of one frame.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self._buffer = bytearray(_ROOM)
        self._have = 0

    def room(self) -> memoryview:
        """Where the next bytes of the stream belong; never empty."""
        return memoryview(self._buffer)[self._have :]

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes.

        All of them at once, so that another thread may go on feeding where one
        was left behind. Raises FrameError; the stream can't be used after that.
        """
        messages: list[Message] = []
        rest = memoryview(data)
        while rest:
            room = self.room()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            messages += self.took(count)
        return messages

    def took(self, count: int) -> list[Message]:
        """The messages that the first `count` bytes of the room complete. Raises FrameError."""
        self._have += count
        messages, start = [], 0
        here = memoryview(self._buffer)[: self._have]
        is_lent = False
        while (need := self._need(here[start:])) <= self._have - start:
            message, lends = _decode(here[start : start + need])
            messages.append(message)
            is_lent |= lends
            start += need
        if start and not is_lent and max(need, len(self._buffer)) <= _ROOM:
            self._have -= start  # most often: fresh memory costs more than this does
            self._buffer[: self._have] = here[start:]
        elif start or self._have == len(self._buffer):
            self._make_room(start, need)
        return messages

    def _need(self, begun: memoryview) -> int:
        """The bytes that a frame takes which begins so, as far as can be told."""
        if len(begun) < HEADER:
            return HEADER
        size = int.from_bytes(begun[:4], "big")
        if size > self.largest:
            raise FrameError(f"a frame of {size:,} bytes is over the limit")
        return HEADER + size

    def _make_room(self, start: int, need: int) -> None:
        """Go on behind what has come of the next frame; its size alone is not believed at once."""
        begun = self._buffer[start : self._have]
        size = max(_ROOM, min(need, max(_BELIEVED, 2 * len(begun))))
        self._buffer = bytearray(size)  # the old one may be lent to the messages that it held
        self._buffer[: len(begun)] = begun
        self._have = len(begun)


def _decode(frame: memoryview) -> tuple[Message, bool]:
    """The message of a frame, and whether there are views of the frame's memory in it."""
    end = HEADER + int.from_bytes(frame[4:HEADER], "big")
    if end > len(frame):
        raise FrameError("a frame is shorter than its JSON")
    blobs = _Blobs(frame[end:].toreadonly()) if end < len(frame) else None
    decoder = _decoder if blobs is None else json.JSONDecoder(object_hook=blobs.take)
    try:
        message = decoder.decode(str(frame[HEADER:end], "utf-8"))
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise FrameError("a frame is not a JSON object")
    if blobs is not None and blobs.rest:
        raise FrameError("a frame is longer than its bytes")
    return message, blobs is not None


class _Blobs:
    """The bytes behind the JSON, handed out in order."""

    def __init__(self, rest: memoryview) -> None:
        self.rest = rest

    def take(self, found: Message) -> object:
        size = found.get(_BYTES)
        if len(found) != 1 or not isinstance(size, int):
            return found
        if not 0 <= size <= len(self.rest):
            raise FrameError("a frame is shorter than its bytes")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken
