"""Jupyter's wire format: signed messages of several frames.

Runs in the launcher. Rule: pure; a message with a wrong signature is not even
parsed. (Not `jupyter_client.session`, whose import alone takes longer than an
attach.) Source: "Messaging in Jupyter", section "The Wire Protocol".
"""

from __future__ import annotations

import binascii
import getpass
import hashlib
import hmac
import json
import secrets
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .clock import now

if TYPE_CHECKING:
    from .presence import Peer

DELIMITER = b"<IDS|MSG>"
PROTOCOL_VERSION = "5.5"
_REMEMBERED = 1 << 16
"""Signatures kept, so that a message that is sent again is not obeyed again."""

_STEP = 3 << 14
"""Bytes turned into base64 at a time; a multiple of three, and in the processor's cache."""

_DEEPEST = 200
"""Levels of JSON that are kept where it can't be sent as it is."""

_MARK = secrets.token_hex(8)
"""What stands for bytes while a message is encoded. No target can know it: it never leaves us."""

Content = dict[str, Any]
Frame = bytes | bytearray | memoryview


class WireError(ValueError):
    """What arrived is no Jupyter message, or was not signed with our key."""


class Request:
    """A message from a front-end.

    `channel` is where its answer goes, `peer` the connection on which it came, `started` the
    time at which work on it began.
    """

    __slots__ = (
        "buffers",
        "channel",
        "content",
        "header",
        "identities",
        "metadata",
        "parent",
        "peer",
        "started",
    )

    def __init__(
        self,
        identities: list[bytes],
        header: Content,
        parent: Content,
        metadata: Content,
        content: Content,
        buffers: Sequence[bytes] = (),
        channel: str = "shell",
    ) -> None:
        self.identities, self.header, self.parent = identities, header, parent
        self.metadata, self.content, self.buffers = metadata, content, buffers
        self.channel = channel
        self.peer: Peer | None = None
        self.started = now()

    @property
    def kind(self) -> str:
        """The message type, such as `execute_request`."""
        return str(self.header["msg_type"])

    def as_parent(self) -> Request:
        """What is left of it where only its descendants are of interest: the header."""
        left = Request([], self.header, {}, {}, {}, channel=self.channel)
        left.started = self.started
        return left

    @property
    def subshell(self) -> str:
        """The subshell for which it is (JEP 91); empty for the main shell."""
        return str(self.header.get("subshell_id") or "")


class Codec:
    """Packs and unpacks messages with one key and one session id."""

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        if not scheme.startswith("hmac-"):
            raise WireError(f"unknown signature scheme {scheme!r}")
        algorithm = scheme.removeprefix("hmac-")
        if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
            raise WireError(f"unknown signature scheme {scheme!r}")
        self._template = hmac.new(key, digestmod=algorithm) if key else None
        self.session = secrets.token_hex(16)
        self._username = _username()
        self._serial = 0
        self._parent: Content | None = None
        self._parent_dumped: bytes | bytearray = b"{}"
        self._seen: set[bytes] = set()
        self._seen_order: deque[bytes] = deque()

    def _sign(self, frames: Sequence[Frame]) -> bytes:
        if self._template is None:
            return b""
        signer = self._template.copy()
        for frame in frames:
            signer.update(frame)
        return signer.hexdigest().encode()

    def header(self, kind: str) -> Content:
        """A new header."""
        self._serial += 1
        return {
            "msg_id": f"{self.session}_{self._serial}",
            "msg_type": kind,
            "username": self._username,
            "session": self.session,
            "date": now(),
            "version": PROTOCOL_VERSION,
        }

    def pack(
        self,
        kind: str | Content,
        content: Content,
        parent: Content | None,
        metadata: Content | None = None,
        buffers: Sequence[Frame] = (),
    ) -> list[Frame]:
        """The frames of a message, from the delimiter on. `kind` may be its header already."""
        header = self.header(kind) if isinstance(kind, str) else kind
        first, *rest = [dump(part) for part in (header, metadata or {}, content)]
        frames = [first, self._dumped(parent), *rest]
        return [DELIMITER, self._sign(frames), *frames, *buffers]

    def _dumped(self, parent: Content | None) -> bytes | bytearray:
        """Of a request's header, which is the parent of several messages in a row."""
        if parent is not self._parent:
            self._parent, self._parent_dumped = parent, dump(parent or {})
        return self._parent_dumped

    def unpack(self, frames: list[bytes]) -> Request:
        """Check and parse what arrived. Raises WireError."""
        try:
            start = frames.index(DELIMITER)
        except ValueError:
            raise WireError("a message without a delimiter") from None
        body = frames[start + 2 : start + 6]
        if len(body) != 4:
            raise WireError("a message with too few frames")
        self._check(frames[start + 1], body)
        header, parent, metadata, content = (_load(frame) for frame in body)
        if not isinstance(header.get("msg_type"), str) or not isinstance(header.get("msg_id"), str):
            raise WireError("a message without a type or an id")
        identities, buffers = frames[:start], frames[start + 6 :]
        return Request(identities, header, parent, metadata, content, buffers)

    def _check(self, signature: bytes, body: Sequence[bytes]) -> None:
        if self._template is None:
            return
        if not hmac.compare_digest(self._sign(body), signature):
            raise WireError("a message with a wrong signature")
        if signature in self._seen:
            raise WireError("a message that was received before")
        self._seen.add(signature)
        self._seen_order.append(signature)
        if len(self._seen_order) > _REMEMBERED:
            self._seen.discard(self._seen_order.popleft())


def dump(part: Content) -> bytes | bytearray:
    """JSON as Jupyter wants it: bytes as base64, lone surrogates as `?`, NaN and its like as null.

    What a target has nested deeper than anybody writes becomes null too, lest we fall into it.
    """
    if not part:
        return b"{}"
    try:
        return _PLAIN.encode(part).encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        return _dump_all(part)


def _dump_all(part: Content) -> bytes | bytearray:
    """As `dump`, for what is not plain JSON."""
    blobs: list[bytes | memoryview] = []

    def stand_in(value: object) -> str:
        if not isinstance(value, bytes | memoryview):
            raise TypeError(f"{type(value).__name__} is not JSON")
        blobs.append(value)
        return _MARK

    encoder = json.JSONEncoder(**_STYLE, default=stand_in)
    try:
        text = encoder.encode(part)
    except (ValueError, RecursionError):
        blobs.clear()
        text = encoder.encode(_tame(part, _DEEPEST))
    return _with_base64(text.encode("utf-8", "replace"), blobs)


_STYLE: Any = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
_PLAIN, _DECODER = json.JSONEncoder(**_STYLE), json.JSONDecoder()


def _with_base64(text: bytes, blobs: list[bytes | memoryview]) -> bytes | bytearray:
    """Put the base64 of `blobs` where the marks are: it needs no escaping, which takes long.

    By and by into one buffer: fresh memory costs as much as the encoding does.
    """
    if not blobs:
        return text
    begin, *pieces = text.split(_MARK.encode())
    whole = bytearray(begin)
    for blob, piece in zip(blobs, pieces, strict=True):
        view = memoryview(blob)
        for start in range(0, len(view), _STEP):
            whole += binascii.b2a_base64(view[start : start + _STEP], newline=False)
        whole += piece
    return whole


def _tame(value: Any, deepest: int) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, (dict, list)) and not deepest:
        return None
    if isinstance(value, dict):
        return {key: _tame(item, deepest - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_tame(item, deepest - 1) for item in value]
    return value


def _load(frame: bytes) -> Content:
    try:
        # Jupyter's clients put bytes that are no UTF-8 in the place of surrogates, as a terminal
        # gives them for what it could not decode; and take them for U+FFFD.
        part = _DECODER.decode(str(frame, "utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame that is not JSON: {error}") from None
    if not isinstance(part, dict):
        raise WireError("a frame that is not a JSON object")
    return part


def _username() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "username"
