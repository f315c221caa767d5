"""The link without its sockets: frames cut from any stream, and the schema of its messages.

Pure: bytes in, messages out. Rule: whatever a peer sends, the decoder answers
with messages or a FrameError, and the schema with True or False.
"""

from __future__ import annotations

import ast
import base64
import inspect
import io
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.link import frames, messages
from live_kernel.link.frames import HEADER, Decoder, FrameError
from live_kernel.link.messages import from_agent, from_launcher

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10
)
json_objects = st.dictionaries(texts, json_values, max_size=5)


def encode(message: Any) -> bytes:
    return b"".join(frames.encode(message))


def framed(body: bytes, behind: bytes = b"") -> bytes:
    size = len(body) + len(behind)
    return size.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body + behind


# -- frames


@settings(deadline=None, max_examples=50)
@given(st.lists(json_objects, max_size=6), st.data())
def test_any_split_of_the_stream_gives_the_same_messages(
    sent: list[dict[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, sent))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    decoder, received = Decoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += decoder.feed(stream[start:end])
    assert received == sent


def test_each_message_comes_with_its_last_byte() -> None:
    sent = [{"op": "flush"}, {"op": "welcome"}]
    decoder = Decoder()
    ends = {len(encode(sent[0])): [sent[0]], len(encode(sent[0]) + encode(sent[1])): [sent[1]]}
    for count, byte in enumerate(b"".join(map(encode, sent)), 1):
        assert decoder.feed(bytes([byte])) == ends.get(count, [])


def test_a_frame_is_its_lengths_and_compact_utf8_json() -> None:
    assert encode({"é": [1, None]}) == b"\0\0\0\x0f" * 2 + '{"é":[1,null]}'.encode()


def test_bytes_follow_the_json_as_they_are() -> None:
    blob = bytes(range(256))
    pieces = frames.encode({"a": [blob, {"b": b"c"}], "c": b""})
    assert pieces[1:] == [blob, b"c"]
    assert pieces[1] is blob
    assert Decoder().feed(b"".join(pieces)) == [{"a": [blob, {"b": b"c"}], "c": ""}]


def test_what_looks_like_bytes_but_brought_none_stays_an_object() -> None:
    message = {"x": {"$bytes": 3}}
    assert Decoder().feed(encode(message)) == [message]


def test_what_looks_like_bytes_takes_none_from_others() -> None:
    message = {"x": {"$bytes": 3}, "figure": b"abc", "y": {"$bytes": [{"$bytes": 0}]}}
    assert Decoder().feed(encode(message)) == [message | {"figure": "YWJj"}]


keys = texts | st.sampled_from(["$bytes", '"$bytes":', "\\$bytes"])
with_bytes = st.recursive(
    scalars | st.binary(min_size=1, max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(keys, with_bytes, max_size=4), max_size=3))
def test_any_message_with_bytes_arrives_as_it_was(sent: list[dict[str, Any]]) -> None:
    """But for bytes beside what looks like them: those arrive as Jupyter has them."""

    def in_base64(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        if isinstance(value, list):
            return list(map(in_base64, value))
        if isinstance(value, dict):
            return {key: in_base64(item) for key, item in value.items()}
        return value

    received = Decoder().feed(b"".join(map(encode, sent)))
    assert len(received) == len(sent)
    for message, arrived in zip(sent, received, strict=True):
        assert arrived in (message, in_base64(message))
        assert arrived == message or "$bytes" in str(message)


@pytest.mark.parametrize(
    ("body", "behind"),
    [
        (b'{"x":{"$bytes":4}}', b"abc"),
        (b'{"x":{"$bytes":-1}}', b"abc"),
        (b'{"x":{"$bytes":2}}', b"abc"),
        (b'{"x":{"$bytes":3},"y":{"$bytes":1}}', b"abc"),
        (b"{}", b"abc"),
    ],
)
def test_bytes_that_do_not_fit_their_frame_are_refused(body: bytes, behind: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder().feed(framed(body, behind))


def test_a_json_length_beyond_the_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="shorter"):
        Decoder().feed(b"\0\0\0\x02\0\0\0\x03{}")


def test_lone_surrogates_travel_as_question_marks() -> None:
    assert Decoder().feed(encode({"text": "a\udcffb\ud800"})) == [{"text": "a?b?"}]


@pytest.mark.parametrize(
    "message", [{"x": object()}, {"x": bytearray(b"raw")}, {"x": 1j}, {(1, 2): 3}], ids=repr
)
def test_what_is_not_json_is_not_encoded(message: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(message)


def test_a_message_larger_than_the_link_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST", 11)
    assert encode({"x": "123"})  # {"x":"123"} has 11 bytes
    with pytest.raises(FrameError, match="12 bytes"):
        encode({"x": "1234"})


def test_a_frame_of_the_largest_size_is_accepted() -> None:
    frame = encode({"x": "123"})
    assert Decoder(largest=len(frame) - HEADER).feed(frame) == [{"x": "123"}]


def test_a_larger_frame_is_refused_by_its_header_alone() -> None:
    decoder = Decoder(largest=10)
    assert decoder.feed(b"\0\0\0\x0b\0\0\0") == []
    with pytest.raises(FrameError, match="11 bytes"):
        decoder.feed(b"\x0b")


def test_a_peer_cannot_make_us_wait_for_four_gigabytes() -> None:
    with pytest.raises(FrameError):
        Decoder().feed(b"\xff" * HEADER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a":1} {"b":2}',
        b"{'a': 1}",
        b'{"a":\x00}',
        b'{"a":"\xff"}',
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b'{"a":' * 200_000,
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: f"{body[:16]!r}+{len(body)}",
)
def test_a_frame_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder().feed(framed(body))


@settings(deadline=None, max_examples=120)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_give_messages_or_a_frame_error(pieces: list[bytes]) -> None:
    decoder = Decoder(largest=64)
    try:
        for piece in pieces:
            assert all(isinstance(message, dict) for message in decoder.feed(piece))
    except FrameError:
        pass  # the only other thing that may come of it


@settings(deadline=None, max_examples=120)
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_gives_one_object_or_a_frame_error(body: bytes) -> None:
    try:
        (message,) = Decoder().feed(framed(body))
    except FrameError:
        return
    assert message == json.loads(body)


def test_a_large_frame_in_small_pieces_is_not_copied_for_each_of_them() -> None:
    decoder = Decoder()
    frame = encode({"x": "y" * 400_000})
    for start in range(len(frame) - 1):
        decoder.feed(frame[start : start + 1])
    assert len(decoder.feed(frame[-1:])[0]["x"]) == 400_000


@settings(deadline=None, max_examples=50)
@given(st.lists(json_objects, max_size=6), st.lists(st.integers(1, 40), min_size=1))
def test_what_is_received_into_place_gives_the_same_messages(
    sent: list[dict[str, Any]], counts: list[int]
) -> None:
    stream = io.BytesIO(b"".join(map(encode, sent)))
    decoder, received = Decoder(), []
    for count in itertools.cycle(counts):
        taken = stream.readinto(decoder.room()[:count])
        if not taken:
            break
        received += decoder.took(taken)
    assert received == sent


def test_a_large_frame_is_received_where_it_stays() -> None:
    blob = bytes(1 << 20)
    stream = io.BytesIO(encode({"figure": blob}))
    decoder, received, longest = Decoder(), [], 0
    while not received:
        room = decoder.room()
        longest = max(longest, len(room))
        received = decoder.took(stream.readinto(room))
    assert received == [{"figure": blob}]
    assert len(blob) < longest + frames._ROOM < len(blob) + 2 * frames._ROOM
    assert len(decoder.room()) == frames._ROOM


def test_bytes_stay_what_they_are_while_more_is_received() -> None:
    decoder = Decoder()
    (first,) = decoder.feed(encode({"x": b"abc"}))
    decoder.feed(encode({"x": b"xyz" * 100_000}))
    assert first == {"x": b"abc"}
    assert first["x"].readonly


def test_a_header_alone_sets_little_aside() -> None:
    """Memory comes with what has arrived, however much was announced."""
    decoder = Decoder()
    came = frames._ROOM
    decoder.feed((1 << 30).to_bytes(4, "big") + bytes(came - 4))
    while came < 3 * frames._BELIEVED:
        room = len(decoder.room())
        assert came + room <= max(frames._BELIEVED, 2 * came)
        assert decoder.took(room) == []
        came += room


# -- the schema: accepted

ERROR = {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]}
HELLO = {"op": "hello", "protocol": 1, "token": "t", "channel": "cells", "pid": 7}
READY = {
    "op": "ready",
    "python": "3.14.0",
    "binding": {"place": "module __main__", "file": "", "line": 0},
}
BUNDLE = {"data": {"text/plain": "1"}, "metadata": {}}
EVENTS = [
    {"event": "stream", "name": "stdout", "text": ""},
    {"event": "stream", "name": "stderr", "text": "oh"},
    {"event": "display", **BUNDLE, "transient": {"display_id": "d"}},
    {"event": "update", **BUNDLE, "transient": {}},
    {"event": "result", **BUNDLE},
    {"event": "clear", "wait": True},
    {"event": "error", "error": ERROR},
    {
        "event": "comm",
        "kind": "comm_msg",
        "content": {"comm_id": "c", "data": {}},
        "metadata": {},
        "buffers": [b"raw", ""],
    },
    {"event": "page", "data": {"text/plain": "help"}, "start": 0},
    {"event": "next_input", "text": "x = 1", "replace": False},
]
OK = {"status": "ok", "expressions": {}}
CELL = {"op": "cell", "cell": 1, "events": EVENTS, "done": OK}

SYSTEM = {
    "op": "system",
    "cell": 1,
    "id": 1,
    "command": "ls",
    "text": "",
    "environment": {"PATH": "/bin"},
    "capture": False,
}
FROM_AGENT = [
    HELLO,
    HELLO | {"channel": "control"},
    READY,
    CELL,
    CELL | {"done": None},
    CELL | {"events": []},
    CELL | {"done": {"status": "error", "error": ERROR}},
    SYSTEM,
    SYSTEM | {"command": ["ls", "-l"], "capture": True},
    {"op": "lend", "cell": 1, "id": 2, "needed": True},
    {"op": "undelivered", "cell": 1},
    {"op": "input", "cell": 1, "prompt": "", "password": False},
    {"op": "prompt", "cell": 1, "prompt": "ipdb> "},
    {"op": "answer", "id": 1, "answer": {}},
    {"op": "notice", "text": "new binding"},
    {"op": "bye", "reason": "detached", "detail": ""},
    {"op": "bye", "reason": "exit", "detail": ""},
    {"op": "bye", "reason": "failed", "detail": "ImportError: x"},
    {"op": "bye", "reason": "unattended", "detail": ""},
    {"op": "there"},
]
RUN = {
    "op": "run",
    "cell": 1,
    "code": "1 + 1",
    "count": 1,
    "silent": False,
    "expressions": {},
    "allow_input": True,
}
COMM = {
    "op": "comm",
    "cell": 2,
    "subshell": "",
    "kind": "comm_open",
    "content": {"comm_id": "c", "target_name": "t", "data": {}},
    "metadata": {},
    "buffers": [b"raw"],
    "parent": {"msg_id": "m"},
    "meanwhile": False,
}
ASK = {"op": "ask", "id": 1, "about": "complete", "code": "x", "cursor": 1}
FROM_LAUNCHER = [
    {"op": "welcome"},
    RUN,
    RUN | {"source": "%time 1 + 1"},
    RUN | {"action": {"name": "bind", "how": "frame", "what": "3"}},
    COMM,
    COMM | {"kind": "comm_close", "content": {"comm_id": "c"}, "meanwhile": True},
    {"op": "subshell", "id": "s", "wanted": True},
    {"op": "audience", "present": False},
    {"op": "ran", "id": 1, "status": -2, "output": [["stdout", "a"], ["stderr", "b"]]},
    {"op": "lent", "id": 1, "path": ["/x"], "modules": ["IPython"], "commands": {"%ps": "help"}},
    {"op": "interrupt", "cell": 1},
    {"op": "abandon", "cell": 1},
    {"op": "flush"},
    {"op": "input", "cell": 1, "value": "line"},
    {"op": "input", "cell": 1, "value": None},
    ASK,
    ASK | {"about": "inspect"},
    {"op": "ask", "id": 2, "about": "status"},
    {"op": "ask", "id": 3, "about": "threads", "what": ""},
    {"op": "ask", "id": 4, "about": "stack", "what": "worker-1"},
    {"op": "ask", "id": 5, "about": "tasks", "what": ""},
    {"op": "ask", "id": 6, "about": "where", "what": ""},
    {"op": "ask", "id": 7, "about": "offers", "what": "frames"},
    {"op": "here"},
    {"op": "detach"},
]


def patterns_of(function: Any, key: str) -> set[str]:
    """The words that the patterns of a function name under this key."""
    tree = ast.parse(inspect.getsource(function))
    return {
        str(pattern.value.value)  # type: ignore[attr-defined]
        for mapping in ast.walk(tree)
        if isinstance(mapping, ast.MatchMapping)
        for name, pattern in zip(mapping.keys, mapping.patterns, strict=True)
        if ast.literal_eval(name) == key
    }


def test_the_tables_know_every_message() -> None:
    """One that is added to the schema is to be added here."""
    of_launcher = [messages._is_about_a_cell, messages._is_about_the_session]
    tables = [([from_agent], "op", FROM_AGENT), (of_launcher, "op", FROM_LAUNCHER)]
    for functions, key, table in [*tables, ([messages._is_event], "event", EVENTS)]:
        known = set().union(*(patterns_of(function, key) for function in functions))
        assert len(known) > 5
        assert {str(message[key]) for message in table} == known


@pytest.mark.parametrize("message", FROM_AGENT, ids=str)
def test_an_agent_may_send(message: dict[str, Any]) -> None:
    assert from_agent(message)


@pytest.mark.parametrize("message", FROM_LAUNCHER, ids=str)
def test_a_launcher_may_send(message: dict[str, Any]) -> None:
    assert from_launcher(message)


@pytest.mark.parametrize("message", FROM_AGENT, ids=str)
def test_what_an_agent_sends_is_nothing_that_a_launcher_may(message: dict[str, Any]) -> None:
    assert not from_launcher(message)


@pytest.mark.parametrize("message", FROM_LAUNCHER, ids=str)
def test_what_a_launcher_sends_is_nothing_that_an_agent_may(message: dict[str, Any]) -> None:
    assert not from_agent(message)


@pytest.mark.parametrize("message", FROM_AGENT, ids=str)
def test_an_agent_may_say_more_than_we_know(message: dict[str, Any]) -> None:
    assert from_agent(message | {"later": 1})


# -- the schema: refused


def without_each_field(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in message.items() if k != left_out} for left_out in message]


def with_each_field_wrong(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Each field in turn of a type that no field has."""
    return [message | {name: 1.5} for name in message]


@pytest.mark.parametrize("message", FROM_AGENT, ids=str)
def test_each_field_of_the_agents_counts(message: dict[str, Any]) -> None:
    for changed in [*without_each_field(message), *with_each_field_wrong(message)]:
        assert not from_agent(changed), changed


@pytest.mark.parametrize("message", [m for m in FROM_LAUNCHER if m["op"] != "ask"], ids=str)
def test_each_field_of_the_launchers_counts(message: dict[str, Any]) -> None:
    needed = [m for m in without_each_field(message) if m != RUN]  # `source` may be left out
    for changed in [*needed, *with_each_field_wrong(message)]:
        assert not from_launcher(changed), changed


def test_a_cell_may_say_more_of_itself() -> None:
    more = {"source": "%who", "subshell": "s", "parent": {"msg_id": "m"}}
    assert from_launcher(RUN | more)
    for name in more:
        assert not from_launcher(RUN | more | {name: 1.5})


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_each_field_of_an_event_counts(event: dict[str, Any]) -> None:
    for changed in [*without_each_field(event), *with_each_field_wrong(event)]:
        assert not from_agent(CELL | {"events": [changed]}), changed
        assert not from_agent(CELL | {"events": [*EVENTS, changed]}), changed


@pytest.mark.parametrize("part", ["ename", "evalue", "traceback"])
def test_each_field_of_an_error_counts(part: str) -> None:
    for broken in ({k: v for k, v in ERROR.items() if k != part}, ERROR | {part: 1.5}):
        assert not messages.is_error(broken)
        assert not from_agent(CELL | {"done": {"status": "error", "error": broken}})
        assert not from_agent(CELL | {"events": [{"event": "error", "error": broken}]})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"op": None},
        {"op": "unknown"},
        {"op": ["hello"]},
        HELLO | {"channel": "stdin"},
        READY | {"binding": {}},
        READY | {"binding": {"place": "p", "file": "f", "line": "1"}},
        CELL | {"events": {}},
        CELL | {"events": [None]},
        CELL | {"events": [{"event": "stream", "name": "stdin", "text": ""}]},
        CELL | {"events": [{"event": "result", "data": [], "metadata": {}}]},
        CELL | {"done": {}},
        CELL | {"done": {"status": "aborted"}},
        CELL | {"done": {"status": "error", "error": ERROR | {"traceback": [1]}}},
        {"op": "bye", "reason": "bored", "detail": ""},
        SYSTEM | {"command": ["ls", 1]},
        SYSTEM | {"environment": {"A": 1}},
    ],
    ids=str,
)
def test_an_agent_may_not_send(message: dict[str, Any]) -> None:
    assert not from_agent(message)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"op": "unknown"},
        {"op": {"op": "detach"}},
        RUN | {"code": ["1"]},
        {"op": "ask", "id": 1, "about": "everything"},
        {"op": "ask", "id": 1, "about": "__init__"},
        {"op": "input", "cell": 1, "value": 1},
        {"op": "ran", "id": 1, "status": 0, "output": ["text"]},
        {"op": "ran", "id": 1, "status": 0, "output": [["stdin", "text"]]},
    ],
    ids=str,
)
def test_a_launcher_may_not_send(message: dict[str, Any]) -> None:
    assert not from_launcher(message)


@st.composite
def near_messages(draw: st.DrawFn) -> dict[str, Any]:
    """A right message in which some fields, at any depth, have become anything."""

    def bent(value: Any) -> Any:
        if draw(st.integers(0, 5)) == 0:
            return draw(json_values)
        if isinstance(value, dict):
            return {key: bent(item) for key, item in value.items()}
        if isinstance(value, list):
            return [bent(item) for item in value]
        return value

    message = draw(st.sampled_from(FROM_AGENT + FROM_LAUNCHER))
    return {key: bent(value) for key, value in message.items()}


@settings(deadline=None, max_examples=150)
@given(json_objects | near_messages())
def test_the_schema_answers_whatever_it_is_asked(message: dict[str, Any]) -> None:
    assert from_agent(message) in (True, False)
    assert from_launcher(message) in (True, False)
    assert not (from_agent(message) and from_launcher(message))
