"""Jupyter's wire format: packing, signatures, replay, and whatever else may arrive.

Pure. Rule: `unpack` gives a request or raises WireError; `dump` gives JSON that
every front-end can read, for anything that came over the link.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.launcher import wire
from live_kernel.launcher.wire import DELIMITER, Codec, WireError, dump

KEY = b"a key"
PARENT = {"msg_id": "p", "msg_type": "execute_request"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)


def signed(parts: list[bytes], key: bytes = KEY) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).hexdigest().encode()


def message(
    header: bytes = b'{"msg_id":"1","msg_type":"x_request"}', content: bytes = b"{}"
) -> list[bytes]:
    """Rightly signed frames, whatever is in them."""
    parts = [header, b"{}", b"{}", content]
    return [DELIMITER, signed(parts), *parts]


# -- packing


def test_what_was_packed_can_be_unpacked() -> None:
    frames = Codec(KEY).pack("stream", {"text": "é"}, PARENT, {"m": 1}, [b"raw"])
    request = Codec(KEY).unpack([b"who", b"else", *frames])
    assert request.identities == [b"who", b"else"]
    assert request.kind == request.header["msg_type"] == "stream"
    assert (request.parent, request.metadata, request.content) == (PARENT, {"m": 1}, {"text": "é"})
    assert request.buffers == [b"raw"]


def test_a_message_is_signed_as_jupyter_has_it() -> None:
    delimiter, signature, *parts = Codec(KEY).pack("status", {}, None)
    assert delimiter == b"<IDS|MSG>"
    assert signature == signed(parts)
    assert parts[1:] == [b"{}", b"{}", b"{}"]


def test_a_header_has_what_jupyter_asks_for() -> None:
    codec = Codec(KEY)
    first, second = codec.header("status"), codec.header("status")
    assert first["msg_id"] != second["msg_id"]
    assert first["session"] == second["session"] == codec.session
    assert (first["msg_type"], first["version"]) == ("status", "5.5")
    assert datetime.fromisoformat(first["date"]).tzinfo is not None
    assert first["username"]


def test_sessions_have_ids_of_their_own() -> None:
    assert Codec(KEY).session != Codec(KEY).session


@pytest.mark.parametrize("scheme", ["hmac-sha256", "hmac-sha512", "hmac-md5"])
def test_schemes(scheme: str) -> None:
    frames = Codec(KEY, scheme).pack("status", {}, None)
    assert Codec(KEY, scheme).unpack(frames).kind == "status"


@pytest.mark.parametrize("scheme", ["", "sha256", "hmac-", "hmac-crc32", "hmac-shake_128"])
def test_an_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="scheme"):
        Codec(KEY, scheme)


# -- signatures


@pytest.mark.parametrize("changed", range(1, 6))
def test_a_message_that_was_changed_is_refused(changed: int) -> None:
    frames = Codec(KEY).pack("execute_request", {"code": "1"}, PARENT)
    frames[changed] = frames[changed][:-1] + b"x"
    with pytest.raises(WireError, match="wrong signature"):
        Codec(KEY).unpack(frames)


@pytest.mark.parametrize("signature", [b"", b"0" * 64, b"\xff" * 64, b"\xc3\xa9"])
def test_a_made_up_signature_is_refused(signature: bytes) -> None:
    frames = message()
    frames[1] = signature
    with pytest.raises(WireError, match="wrong signature"):
        Codec(KEY).unpack(frames)


def test_a_signature_by_another_key_is_refused() -> None:
    with pytest.raises(WireError, match="wrong signature"):
        Codec(KEY).unpack(Codec(b"another").pack("status", {}, None))


def test_a_wrong_signature_is_seen_before_the_text_is_parsed() -> None:
    with pytest.raises(WireError, match="wrong signature"):
        Codec(KEY).unpack([DELIMITER, b"", b"{", b"[", b"", b"\xff"])


def test_without_a_key_nothing_is_signed_nor_checked() -> None:
    frames = Codec(b"").pack("status", {}, None)
    assert frames[1] == b""
    codec = Codec(b"")
    for _ in range(2):
        assert codec.unpack(frames).kind == "status"


# -- replay


def test_a_message_is_obeyed_once() -> None:
    codec, frames = Codec(KEY), Codec(KEY).pack("execute_request", {"code": "pay()"}, None)
    codec.unpack(frames)
    with pytest.raises(WireError, match="received before"):
        codec.unpack([b"someone else", *frames])


def test_the_same_content_in_another_message_is_obeyed() -> None:
    codec, sender = Codec(KEY), Codec(KEY)
    for _ in range(2):
        assert codec.unpack(sender.pack("execute_request", {"code": "1"}, None)).content


def test_a_refused_signature_is_not_remembered() -> None:
    codec, frames = Codec(KEY), Codec(KEY).pack("status", {}, None)
    with pytest.raises(WireError, match="wrong signature"):
        codec.unpack([*frames[:5], b'{"more":1}'])
    assert codec.unpack(frames).kind == "status"


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_REMEMBERED", 3)
    codec, sender = Codec(KEY), Codec(KEY)
    sent = [sender.pack("status", {}, None) for _ in range(4)]
    for frames in sent:
        codec.unpack(frames)
    for frames in sent[1:]:
        with pytest.raises(WireError, match="received before"):
            codec.unpack(frames)
    assert codec.unpack(sent[0]).kind == "status"


# -- frames that are no message


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([], "delimiter"),
        ([b"who", b"{}"], "delimiter"),
        ([DELIMITER], "too few"),
        (message()[:5], "too few"),
        (message(header=b"{}"), "type or an id"),
        (message(header=b'{"msg_id":1,"msg_type":"x"}'), "type or an id"),
        (message(header=b'{"msg_id":"1","msg_type":null}'), "type or an id"),
        (message(header=b"[]"), "not a JSON object"),
        (message(content=b"null"), "not a JSON object"),
        (message(content=b""), "not JSON"),
        (message(content=b"{"), "not JSON"),
        (message(content=b"\xff"), "not JSON"),
        (message(content=b"[" * 200_000), "not JSON"),
        (message(content=b'{"n":' + b"1" * 5000 + b"}"), "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} frames",
)
def test_frames_that_are_no_message(frames: list[bytes], why: str) -> None:
    with pytest.raises(WireError, match=why):
        Codec(KEY).unpack(frames)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=12) | st.just(DELIMITER), max_size=9), st.booleans())
def test_any_frames_give_a_request_or_a_wire_error(frames: list[bytes], sign: bool) -> None:
    if sign and DELIMITER in frames:
        start = frames.index(DELIMITER)
        frames[start + 1 : start + 2] = [signed(frames[start + 2 : start + 6])]
    try:
        request = Codec(KEY).unpack(frames)
    except WireError:
        return
    assert isinstance(request.kind, str)


# -- content


@settings(deadline=None, max_examples=60)
@given(json_objects)
def test_any_content_arrives_as_json_without_constants(content: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    arrived = json.loads(dump(content), parse_constant=refuse)
    assert same(arrived, content)


def same(arrived: Any, sent: Any) -> bool:
    """But for what JSON and UTF-8 can't say."""
    if isinstance(sent, float) and not math.isfinite(sent):
        return arrived is None
    if isinstance(sent, str):
        return bool(arrived == sent.encode("utf-8", "replace").decode())
    if isinstance(sent, list):
        return len(arrived) == len(sent) and all(map(same, arrived, sent))
    if isinstance(sent, dict):
        keys = {key.encode("utf-8", "replace").decode() for key in sent}
        return keys == arrived.keys() and (
            len(keys) < len(sent)
            or all(
                same(arrived[key.encode("utf-8", "replace").decode()], value)
                for key, value in sent.items()
            )
        )
    return bool(arrived == sent)


def test_what_is_not_a_number_is_null() -> None:
    inf, nan = float("inf"), float("nan")
    content = {"a": [nan, {"b": -inf}], "c": inf, "d": 1.5, "e": True, "f": "NaN"}
    assert json.loads(dump(content)) == {
        "a": [None, {"b": None}], "c": None, "d": 1.5, "e": True, "f": "NaN",
    }  # fmt: skip


def test_large_numbers_stay_what_they_are() -> None:
    assert json.loads(dump({"n": 2**80, "x": [float("nan"), 2**80]})) == {
        "n": 2**80, "x": [None, 2**80],
    }  # fmt: skip


@pytest.mark.parametrize("depth", [500, 5_000, 60_000])
@pytest.mark.parametrize("innermost", ["1", "NaN"])
def test_a_target_cannot_overflow_our_stack(depth: int, innermost: str) -> None:
    """It may nest its JSON as deep as our parser takes it."""
    text = '{"data":' + "[" * depth + innermost + "]" * depth + "}"
    try:
        sent = dump(json.loads(text))
    except RecursionError:  # shown with the value, it would take pytest minutes
        sent = b""
    assert sent[:10] == b'{"data":[['
