"""An agent that lies: it speaks the link's protocol, and means harm to the launcher.

The real router, target, attachment and channels, between front-ends that keep what they are
told and a peer that says what a test wants said. Property tests, which `make fuzz` drives
further. Rule: whatever it says, every request gets its one answer, nothing is raised in the
launcher, and what we say ourselves is plain text.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_router import FakeFrontend
from test_showing import seen, thread

from live_kernel.attach.processes import Process, identify
from live_kernel.errors import LiveKernelError
from live_kernel.launcher import answers, attachment, entering, system
from live_kernel.launcher.channel import Channel
from live_kernel.launcher.choosing import Choice
from live_kernel.launcher.history import History
from live_kernel.launcher.looking import checked
from live_kernel.launcher.outlet import Outlet
from live_kernel.launcher.rails import NO_RAILS
from live_kernel.launcher.reactor import Reactor
from live_kernel.launcher.router import Router
from live_kernel.launcher.showing import places, stacks, tasks, threads
from live_kernel.launcher.sources import Sources
from live_kernel.launcher.target import Target
from live_kernel.launcher.wire import Request, dump
from live_kernel.link import frames

Message = dict[str, Any]

quick = settings(deadline=None, max_examples=40)

READY = {"op": "ready", "python": "3.14.8", "binding": {"place": "x", "file": "/x.py", "line": 1}}


class FrontEnds(FakeFrontend):
    """Are told of things that belong to no request, too."""

    def publish(
        self, kind: str, content: Message, parent: Message | None, *_: object, **__: object
    ) -> None:
        super().publish(kind, content, parent or {"msg_id": ""})


class Entered:
    """In the place of an entry into a process: the test lets the agent in."""

    def __init__(
        self,
        _process: Process,
        _reactor: Reactor,
        entered: Callable[[dict[str, Channel], Message], None],
        *_: object,
    ) -> None:
        self.entered = entered

    def give_up(self) -> None:
        pass

    wake = give_up


class Peer:
    """The far end of one of the link's connections."""

    def __init__(self, reactor: Reactor) -> None:
        here, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.channel = Channel(here, os.getpid(), reactor)
        self.channel.let_in()

    def say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def close(self) -> None:
        self.channel.close()
        self.socket.close()


_US = Process(os.getpid(), 7, 1, "python", ("python", "app.py"), "", "", 0, 0, "root", "S")


class Launcher:
    """A kernel with a hostile agent in its target."""

    def __init__(self) -> None:
        self.mistakes: list[Exception] = []
        self.reactor = Reactor(self.mistakes.append)
        self.frontend = FrontEnds()
        self.target = Target(self.reactor, None)
        self.router = Router(self.reactor, self.target, lambda _restart: None)
        self.router.history = History(self.reactor)
        self.router.history.keep_in(":memory:")
        self.router.connect(self.frontend)  # type: ignore[arg-type]
        self.requests: list[Request] = []
        self.peers = {name: Peer(self.reactor) for name in ("cells", "control")}
        choice = mock.create_autospec(Choice, instance=True, wake=False, pattern="", text="1")
        choice.rails = NO_RAILS
        choice.resolve.return_value = _US
        self.target.choose(choice, pinned=False)
        assert self.target.attachment is not None
        channels = {name: peer.channel for name, peer in self.peers.items()}
        self.target.attachment._entering.entered(channels, READY)  # type: ignore[attr-defined]

    def ask(self, kind: str, content: Any, header: Any = None) -> None:
        whole = {**(header or {}), "msg_id": f"m{len(self.requests)}", "msg_type": kind}
        request = Request([b"who"], whole, {}, {}, content)
        self.requests.append(request)
        self.router.on_request(request)
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            self.reactor.step(0)

    def end(self) -> None:
        """The agent goes, so that whatever still waits for it is over."""
        for peer in self.peers.values():
            peer.close()
        if self.target.attachment is not None:
            self.target.attachment._lose()
        self.router.interrupt()
        self.reactor.run_until(lambda: all(map(self._is_over, self.requests)), 4)

    def _is_over(self, request: Request) -> bool:
        return "idle" in self.frontend.of(request)

    def check(self) -> None:
        assert not self.mistakes, self.mistakes
        for request in self.requests:
            kinds = self.frontend.of(request)
            assert kinds.count("idle") == 1, (request.kind, kinds)
            replies = [kind for kind in kinds if kind.endswith("_reply")]
            assert len(replies) == request.kind.endswith("_request"), (request.kind, kinds)
        for _, _, content in self.frontend.told:
            dump(content or {})
        for text in self.target.notices:
            hostile.assert_harmless(text)

    def close(self) -> None:
        self.target.detach()
        self.router.history.leave()
        self.router.history.close(5)
        self.reactor.close()


@contextlib.contextmanager
def launcher() -> Iterator[Launcher]:
    refused = mock.Mock(side_effect=PermissionError("not in a test"))
    with (
        mock.patch.object(attachment, "Entering", Entered),
        mock.patch.object(system, "_start", refused),
    ):
        made = Launcher()
        try:
            yield made
        finally:
            for peer in made.peers.values():
                peer.close()
            made.close()


# -- what it may say, as it would be if it meant well

_ERROR = {"ename": "E", "evalue": "e", "traceback": ["\x1b[31mE"]}
_BUNDLE = {"data": {"text/plain": "x"}, "metadata": {}}
_COMM = {"comm_id": "c", "data": {}, "target_name": "t"}
EVENTS: list[Message] = [
    {"event": "stream", "name": "stdout", "text": "x"},
    {"event": "display", **_BUNDLE, "transient": {"display_id": "d"}},
    {"event": "update", **_BUNDLE, "transient": {}},
    {"event": "result", **_BUNDLE},
    {"event": "clear", "wait": True},
    {"event": "error", "error": {**_ERROR, "status": "ok"}},
    {"event": "page", "data": {"text/plain": "x"}, "start": 0},
    {"event": "next_input", "text": "x", "replace": False},
    *(
        {"event": "comm", "kind": kind, "content": _COMM, "metadata": {}, "buffers": [b"x", ""]}
        for kind in ("comm_open", "comm_msg", "comm_close")
    ),
]
DONE = [
    None,
    {"status": "ok", "expressions": {"x": {"status": "ok"}}},
    {"status": "error", "error": {**_ERROR, "status": "ok", "execution_count": 99}},
]
ANSWERS: dict[str, Message] = {
    "complete": {
        "matches": ["x"],
        "types": [{"text": "x", "type": "y", "signature": "(z)", "start": 0, "end": 1}],
        "start": 0,
        "end": 1,
    },
    "inspect": {"found": True, "data": {"text/plain": "x"}},
    "status": {"python": "3.14.8", "binding": READY["binding"], "running": True},
    "breaks": {
        "rows": [
            {"number": 1, "place": "x", "condition": "y", "log": "", "hits": 2, "waiting": ["t"]}
        ]
    },
    "threads": {
        "threads": [{"name": "x", "ident": 42000, "native": 42, "frames": [["/x.py", 1, "f"]]}],
        "left_out": 1,
        "kernel": [7],
        "main": 42000,
    },
    "stack": {
        "label": "thread x",
        "frames": [{"number": 3, "at": ["/x.py", 1, "f"], "source": "pass"}],
        "bound": 3,
        "bound_place": "x",
    },
    "tasks": {
        "tasks": [
            {
                "number": number,
                "name": "x",
                "thread": "y",
                "running": False,
                "frames": [["/x.py", 1, "f"]],
                "waiters": [3 - number],
            }
            for number in (1, 2)
        ],
        "left_out": 0,
        "kernel": 1,
        "bound": "x",
    },
    "where": {
        "binding": READY["binding"],
        "is_gone": False,
        "source": "x",
        "number": 1,
        "depth": 2,
        "main": [["/x.py", 1, "f"]],
        "ident": 42000,
    },
    "offers": {"offers": [["x", "y"]]},
}

_numbers = st.integers(0, 3)
_cells = st.fixed_dictionaries(
    {
        "op": st.just("cell"),
        "cell": _numbers,
        "events": st.lists(st.sampled_from(EVENTS), max_size=3),
        "done": st.sampled_from(DONE),
    }
)
_others: st.SearchStrategy[Message] = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("system"),
            "cell": _numbers,
            "id": _numbers,
            "text": st.just(""),
            "command": st.sampled_from(["true", ["true"], []]),
            "capture": st.booleans(),
            "environment": st.just({"A": "b"}),
        }
    ),
    st.fixed_dictionaries(
        {"op": st.just("lend"), "cell": _numbers, "id": _numbers, "needed": st.booleans()}
    ),
    st.fixed_dictionaries({"op": st.just("undelivered"), "cell": _numbers}),
    st.fixed_dictionaries(
        {
            "op": st.just("input"),
            "cell": _numbers,
            "prompt": hostile.texts,
            "password": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {
            "op": st.just("answer"),
            "id": st.integers(0, 6),
            "answer": st.sampled_from(list(ANSWERS.values())),
        }
    ),
    st.fixed_dictionaries({"op": st.just("notice"), "text": hostile.texts}),
    st.just({"op": "bye", "reason": "exit", "detail": "x"}),
    st.just(READY),
)


@st.composite
def _said(draw: st.DrawFn) -> bytes:
    """One frame, or what is none."""
    message = draw(_cells | _others | hostile.bent(_cells | _others, most=2))
    try:
        data = b"".join(frames.encode(message))
    except (ValueError, TypeError, RecursionError):
        return b""
    return draw(st.just(data) | hostile.damaged(st.just(data), most=1))


_CONTENTS: dict[str, Message] = {
    "execute_request": {
        "code": "x",
        "silent": False,
        "store_history": True,
        "allow_stdin": True,
        "user_expressions": {"a": "b"},
        "stop_on_error": True,
    },
    "complete_request": {"code": "x.y", "cursor_pos": 3},
    "inspect_request": {"code": "x", "cursor_pos": 1, "detail_level": 0},
    "history_request": {"hist_access_type": "tail", "n": 3, "raw": True, "output": False},
    "is_complete_request": {"code": "x"},
    "comm_info_request": {"target_name": "t"},
    "comm_open": {"comm_id": "c", "target_name": "t", "data": {}},
    "comm_msg": {"comm_id": "c", "data": {"method": "custom", "content": {"id": "q"}}},
    "comm_close": {"comm_id": "c", "data": {}},
    "kernel_info_request": {},
    "connect_request": {},
    "interrupt_request": {},
    "debug_request": {"seq": 1, "command": "initialize"},
    "create_subshell_request": {},
    "delete_subshell_request": {"subshell_id": "x"},
    "list_subshell_request": {},
    "unheard_of_request": {},
}
_CODES = ["x", "%status", "%breaks", "%where", "x?", "%stack", "%limits", "!true", "exit", "%ps x"]


@st.composite
def _asked(draw: st.DrawFn) -> tuple[str, str, str]:
    kind = draw(st.sampled_from([k for k in _CONTENTS if k != "unheard_of_request"]))
    content = draw(hostile.bent(st.just(_CONTENTS[kind]), most=2))
    if kind == "execute_request" and draw(st.booleans()):
        content["code"] = draw(st.sampled_from(_CODES))
    header = draw(hostile.bent(st.just({"date": "2026-01-01", "session": "s"}), most=1))
    return kind, hostile.as_json(content), hostile.as_json(header)


_steps = st.lists(
    st.tuples(st.sampled_from(["cells", "control"]), _said()) | _asked(), min_size=1, max_size=8
)


@settings(deadline=None, max_examples=60)
@given(_steps)
def test_whatever_agents_and_front_ends_say(steps: list[Any]) -> None:
    with launcher() as kernel:
        for step in steps:
            if step[0] in kernel.peers:
                kernel.peers[step[0]].say(step[1])
                kernel.settle()
            else:
                kind, content, header = step
                kernel.ask(kind, json.loads(content), json.loads(header))
        kernel.end()
        kernel.check()


# -- answers

_SHOW = {
    "threads": lambda found: threads.table(found).as_bundle(),
    "stack": lambda found: stacks.table(found, "").as_bundle(),
    "tasks": lambda found: tasks.table(found).as_bundle(),
    "where": places.bundle,
}


@pytest.mark.parametrize("about", ANSWERS)
def test_what_our_agent_answers_makes_sense(about: str) -> None:
    assert answers.makes_sense(about, ANSWERS[about])
    assert answers.makes_sense(about, {"error": "x"})
    assert answers.makes_sense(about, {})
    assert not answers.makes_sense(about, {"something": "else"})


def _bent_answer(about: str) -> st.SearchStrategy[Any]:
    return hostile.bent(st.just(ANSWERS[about]), most=2).map(hostile.as_json)


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(sorted(_SHOW)).flatmap(lambda a: st.tuples(st.just(a), _bent_answer(a))))
def test_what_looks_show(asked: tuple[str, str]) -> None:
    about, answer = asked[0], json.loads(asked[1])
    if not answers.makes_sense(about, answer):
        return
    look = seen(answer, thread(43, hostile.TEXTS[1], gil=True))
    with mock.patch.object(Sources, "_read", return_value=["x" * 5000, "\x1b[2J<script>"]):
        failure = ""
        try:
            hostile.assert_harmless_bundle(checked(_SHOW[about], look))
        except LiveKernelError as error:
            failure = error.explain()
    hostile.assert_harmless(failure)
    assert "makes no sense" not in failure


# -- floods, one kind each


def _flood(kernel: Launcher, name: str, message: Message, times: int) -> None:
    data = b"".join(frames.encode(message))
    for _ in range(times):
        kernel.peers[name].say(data)
        kernel.reactor.step(0)


def test_a_flood_of_notices_is_not_kept() -> None:
    with launcher() as kernel:
        _flood(kernel, "control", {"op": "notice", "text": "\x1b[2J" * 100}, 2000)
        assert len(kernel.target.notices) <= 100
        kernel.end()
        kernel.check()


@pytest.mark.parametrize("operation", ["system", "lend"])
def test_who_does_not_listen_is_not_answered_for_ever(operation: str) -> None:
    """It asks, and takes no answer: what we hold for it is bounded, and so are our timers."""
    asked = {"op": operation, "cell": 1, "id": 0, "needed": False}
    asked |= {"command": "x", "text": "", "environment": {}, "capture": False}
    with launcher() as kernel, mock.patch.object(attachment, "MOST_UNREAD", 1 << 16):
        kernel.ask("execute_request", {"code": "x"})
        channel = kernel.peers["control"].channel
        with mock.patch.object(channel, "_socket") as full:
            full.send.side_effect = BlockingIOError
            for number in range(3000):
                asked["id"] = number
                _flood(kernel, "cells", asked, 1)
                kernel.settle()
            assert channel.unsent < 1 << 20
            assert len(kernel.reactor._timers) < 50
        kernel.end()
        kernel.check()


def test_cells_that_nobody_has_sent_get_no_command_run() -> None:
    with launcher() as kernel, mock.patch.object(system, "Command") as command:
        kernel.ask("execute_request", {"code": "x"})
        message = {"op": "system", "command": "x", "text": "", "environment": {}, "capture": True}
        for number in range(3):
            _flood(kernel, "cells", message | {"id": number, "cell": 5}, 1)
        assert not command.called
        for number in range(300):
            _flood(kernel, "cells", message | {"id": number, "cell": 1}, 1)
            kernel.settle()
        assert 0 < command.call_count <= attachment.MOST_COMMANDS


def test_comms_without_end_are_forgotten() -> None:
    with launcher() as kernel, mock.patch("live_kernel.launcher.comms._MOST", 100):
        comms = kernel.router._comms
        for number in range(500):
            opened = {"kind": "comm_open", "content": {"comm_id": str(number)}}
            comms.on_event(opened, "")
        assert len(comms.info(None)) == 100


def test_an_error_says_nothing_besides() -> None:
    """A reply is an error's, whatever the agent has put in it."""
    with launcher() as kernel:
        kernel.ask("execute_request", {"code": "x"})
        done = {"status": "error", "error": {**_ERROR, "status": "ok", "payload": [1]}}
        _flood(kernel, "cells", {"op": "cell", "cell": 1, "events": [], "done": done}, 1)
        kernel.settle()
        ((_, _, reply),) = kernel.frontend.replies
        assert reply["status"] == "error"
        assert reply["payload"] == []
        kernel.end()
        kernel.check()


def test_a_header_that_the_link_does_not_carry_fails_its_cell_alone() -> None:
    with launcher() as kernel, mock.patch.object(frames, "LARGEST", 1000):
        kernel.ask("execute_request", {"code": "x"}, {"session": "s" * 2000})
        ((_, _, reply),) = kernel.frontend.replies
        assert reply["status"] == "error"
        kernel.ask("execute_request", {"code": "x"})
        done = {"op": "cell", "cell": 2, "events": [], "done": DONE[1]}
        _flood(kernel, "cells", done, 1)
        kernel.settle()
        assert kernel.frontend.replies[1][2]["status"] == "ok"
        kernel.end()
        kernel.check()


# -- before it is let in


class _Landing:
    """Hands out connections, as a target's user could make them."""

    token = "secret"
    listener = 0

    def __init__(self) -> None:
        self.far: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, int]:
        here, far = socket.socketpair()
        self.far.append(far)
        return here, os.getpid()

    def close(self) -> None:
        for each in self.far:
            each.close()


@contextlib.contextmanager
def _door() -> Iterator[tuple[entering.Entering, _Landing, list[Any], Reactor]]:
    reactor = Reactor()
    outcomes: list[Any] = []
    entered = lambda channels, ready: outcomes.append((channels, ready))  # noqa: E731
    with mock.patch.object(entering, "Waking"):
        door = entering.Entering(_US, reactor, entered, outcomes.append, outcomes.append)
    landing = door._landing = _Landing()  # type: ignore[assignment]
    door._is_over = False
    try:
        yield door, landing, outcomes, reactor
    finally:
        door.give_up()
        landing.close()
        reactor.close()


@st.composite
def _hello(draw: st.DrawFn) -> bytes:
    hello = {"op": "hello", "protocol": 1, "token": "secret", "channel": "cells", "pid": 1}
    message = draw(hostile.bent(st.just(hello), most=1))
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return b"".join(frames.encode(message))
    return b""


@quick
@given(st.lists(st.tuples(st.integers(0, 3), _said() | _hello()), max_size=6))
def test_whoever_knocks(knocks: list[tuple[int, bytes]]) -> None:
    with _door() as (door, landing, outcomes, reactor):
        for _ in range(4):
            door._on_connection()
        for number, data in knocks:
            with contextlib.suppress(OSError):
                landing.far[number].send(data)
            for _ in range(2):
                reactor._calls.clear()  # nothing is to be injected anywhere
                reactor.step(0)
        for outcome in outcomes:
            if isinstance(outcome, LiveKernelError):
                hostile.assert_harmless(outcome.explain())


def test_a_token_of_half_characters_opens_nothing() -> None:
    body = b'{"op":"hello","protocol":1,"token":"\\ud800","channel":"cells","pid":1}'
    with _door() as (door, landing, outcomes, reactor):
        door._on_connection()
        landing.far[0].send((len(body)).to_bytes(4, "big") * 2 + body)
        reactor._calls.clear()
        reactor.step(0)
        assert not outcomes
        landing.far[0].settimeout(5)
        assert landing.far[0].recv(1) == b""  # it was hung up on


def test_whoever_is_not_known_has_little_room() -> None:
    with _door() as (door, landing, _, reactor):
        door._on_connection()
        landing.far[0].send((1 << 29).to_bytes(4, "big") * 2 + bytes(1000))
        reactor._calls.clear()
        reactor.step(0)
        landing.far[0].settimeout(5)
        assert landing.far[0].recv(1) == b""
        for _ in range(50):
            door._on_connection()
        assert len(door._strangers) <= 8


# -- files that it names


def test_only_plain_files_are_opened_at_its_word(tmp_path: Any) -> None:
    """A device may do something by being opened; a pipe waits; a link may lead to either."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "huge.py").write_bytes(b"x = 1\n" * 1_000_000)
    (tmp_path / "good.py").write_text("one\ntwo\n")
    opened = mock.Mock(wraps=os.open)
    with mock.patch.object(os, "open", opened):
        sources = Sources(os.getpid())
        for name in ("pipe.py", "zero.py", "huge.py", "none.py", "good.py\0"):
            assert sources.lines(str(tmp_path / name)) == []
        for call in opened.call_args_list:
            assert call.args[1] & os.O_PATH or str(call.args[0]).startswith("/proc/self/fd/")
        assert sources.line(str(tmp_path / "good.py"), 2) == "two"


def test_files_without_end_are_not_all_read(tmp_path: Any) -> None:
    sources = Sources(os.getpid())
    for number in range(20):
        file = tmp_path / f"m{number}.py"
        file.write_bytes(b"x = 1\n" * 500_000)
        sources.lines(str(file))
    assert sum(map(len, sources._files.values())) < 3_000_000


def test_words_of_our_own_are_plain() -> None:
    frontend = FrontEnds()
    outlet = Outlet(Request([], {"msg_id": "m"}, {}, {}, {}), frontend)  # type: ignore[arg-type]
    for text in hostile.TEXTS:
        outlet.print(text)
        outlet.note(text)
        error = LiveKernelError(text, text)
        hostile.assert_harmless(error.explain())
    for _, kind, content in frontend.told:
        shown = content["text"] if kind == "stream" else content["data"]["text/plain"]
        hostile.assert_harmless(shown)


def test_this_process_is_one_that_can_be_looked_for() -> None:
    """These tests name their own process as the target: it must never be entered."""
    with pytest.raises(LiveKernelError):
        identify(os.getpid())
