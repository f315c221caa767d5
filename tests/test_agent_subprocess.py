"""The agent against a scripted launcher, in a process that lets it in by itself.

No `sys.remote_exec` and no launcher: the program runs the bootstrap of its own
accord, and what the launcher would say on the link stands in the test.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

import pytest
from kernels import plain
from snapshots import Program, memory, outside, system_calls
from targets import eventually

from live_kernel.attach import payload
from live_kernel.attach.acting import acting_as
from live_kernel.attach.landing import BUNDLE, LINK, SCRIPT, Landing
from live_kernel.link import frames, messages

Message = dict[str, Any]

PATIENCE = 10.0


class Side:
    """The launcher's end of one of the two connections."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self.socket = connection
        self._decoder = frames.Decoder()
        self._waiting: list[Message] = []
        self.sends = 0

    def send(self, operation: str, **fields: Any) -> None:
        self.socket.sendall(b"".join(frames.encode({"op": operation, **fields})))

    def receive(self) -> Message:
        """The next message, which must be one that an agent may send."""
        while not self._waiting:
            data = self.socket.recv(1 << 20)
            assert data, "the agent has hung up"
            self.sends += 1
            self._waiting += self._decoder.feed(data)
        message = self._waiting.pop(0)
        assert messages.from_agent(message), message
        return message

    def is_quiet(self) -> bool:
        """Is there nothing to be received at this moment?"""
        return not self._waiting and not select.select([self.socket], [], [], 0)[0]

    def ended(self) -> bool:
        """Wait for the agent to hang up; what it still says is dropped."""
        while self.socket.recv(1 << 20):
            pass
        return True


class ScriptedLauncher:
    """Lets the agent of one program in, and says what a test wants said."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._landing = Landing(os.geteuid(), os.getegid())
        self._landing.listener.setblocking(True)
        self._landing.listener.settimeout(PATIENCE)
        self.hellos: list[Message] = []
        self._cell = 0

    def __enter__(self) -> Self:
        script = payload.script(str(self._landing.path), self._landing.token, self.program.pid)
        self._landing.write(BUNDLE, payload.bundle())
        self.program.send(str(self._landing.write(SCRIPT, script.encode())))
        self.control = self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        for side in (self.control, getattr(self, "cells", self.control)):
            side.socket.close()
        self._landing.close()

    def accept(self) -> Side:
        """The agent's next connection, after its hello."""
        side = Side(self._landing.listener.accept()[0])
        self.hellos.append(side.receive())
        assert self.hellos[-1]["token"] == self._landing.token
        return side

    def welcome(self) -> Message:
        """Say welcome. Returns what the agent says when it is ready."""
        self.control.send("welcome")
        self.cells = self.accept()
        ready = self.control.receive()
        assert ready["op"] == "ready"
        return ready

    def begin(self, code: str, **options: Any) -> int:
        """Send a cell. Returns its number."""
        self._cell += 1
        request = {"count": self._cell, "silent": False, "expressions": {}, "allow_input": False}
        self.cells.send("run", cell=self._cell, code=code, **request | options)
        return self._cell

    def finish(self) -> tuple[list[Message], Message]:
        """All events and the outcome of the cell that runs."""
        events: list[Message] = []
        while True:
            message = self.cells.receive()
            assert (message["op"], message["cell"]) == ("cell", self._cell)
            events += message["events"]
            if message["done"] is not None:
                return events, message["done"]

    def run(self, code: str, **options: Any) -> tuple[list[Message], Message]:
        self.begin(code, **options)
        return self.finish()

    def ask(self, about: str, **details: Any) -> Message:
        self.control.send("ask", id=7, about=about, **details)
        answer = self.control.receive()
        assert (answer["op"], answer["id"]) == ("answer", 7)
        told: Message = answer["answer"]
        return told


@pytest.fixture
def program() -> Iterator[Program]:
    with Program("lets_in") as running:
        yield running


@pytest.fixture
def launcher(program: Program) -> Iterator[ScriptedLauncher]:
    with ScriptedLauncher(program) as scripted:
        scripted.welcome()
        yield scripted


def text_of(events: list[Message], stream: str = "stdout") -> str:
    return "".join(e["text"] for e in events if e["event"] == "stream" and e["name"] == stream)


# -- getting in


def test_hello_says_who_and_what(program: Program) -> None:
    with ScriptedLauncher(program) as launcher:
        ready = launcher.welcome()
        assert [hello["channel"] for hello in launcher.hellos] == ["control", "cells"]
        for hello in launcher.hellos:
            assert hello["op"] == "hello"
            assert hello["protocol"] == messages.PROTOCOL
            assert hello["pid"] == program.pid
        assert ready["python"].startswith("3.14.")
        assert ready["binding"]["place"] == "module __main__ (lets_in.py)"
        assert ready["binding"]["file"].endswith("lets_in.py")


def test_nothing_is_done_before_the_welcome(program: Program) -> None:
    before = program.snapshot()
    with ScriptedLauncher(program) as launcher:
        launcher.control.send("ask", id=1, about="status")
        launcher.control.send("nonsense")
        assert launcher.control.is_quiet()
        launcher.control.send("detach")
        launcher.welcome()
        assert launcher.ask("status")["running"] is False
    program.assert_unharmed_since(before)


def test_launcher_that_leaves_before_the_welcome(program: Program) -> None:
    before = program.snapshot()
    with ScriptedLauncher(program):
        pass
    program.assert_unharmed_since(before)


@pytest.mark.slow
def test_launcher_that_never_says_welcome(program: Program) -> None:
    """As an owner that hangs: the agent leaves by itself, after five seconds."""
    before = program.snapshot()
    with ScriptedLauncher(program) as launcher:
        assert launcher.control.ended()
    program.assert_unharmed_since(before)


@pytest.mark.root
def test_launcher_of_another_user_s(program: Program) -> None:
    """Whoever listens there, the agent says no word to one that is neither root's nor its own."""
    before = program.snapshot()
    landing = Landing(os.geteuid(), os.getegid())
    (landing.path / LINK).unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(landing.path / LINK))
        with acting_as((64444, 64444)):  # by which the system will know this socket
            listener.listen()
        listener.settimeout(PATIENCE)
        landing.write(BUNDLE, payload.bundle())
        script = landing.write(
            SCRIPT, payload.script(str(landing.path), landing.token, program.pid).encode()
        )
        program.send(str(script))
        for _ in ("the link", "the report of a failure"):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                assert connection.recv(1) == b""
    landing.close()
    program.assert_unharmed_since(before)


def test_no_launcher_at_all(program: Program) -> None:
    """The script runs after everything is gone: nothing happens, and nothing is said."""
    before = program.snapshot()
    launcher = ScriptedLauncher(program)
    script = payload.script(str(launcher._landing.path), "token", program.pid)
    path = launcher._landing.write("kept.py", script.encode())
    kept = path.rename(path.parent.with_suffix(".py"))
    launcher._landing.close()
    program.send(str(kept))
    program.wait_for("has run the script")
    kept.unlink()
    program.assert_unharmed_since(before)


# -- cells


def test_short_cell_leaves_in_one_send(launcher: ScriptedLauncher) -> None:
    launcher.begin("print('a')\nprint('b')\n6 * 7")
    message = launcher.cells.receive()
    assert launcher.cells.sends == 2, "one for the hello, one for the cell"
    assert [event["event"] for event in message["events"]] == ["stream", "result"]
    assert text_of(message["events"]) == "a\nb\n"
    assert message["events"][1]["data"] == {"text/plain": "42"}
    assert message["done"] == {"status": "ok", "expressions": {}}


def test_order_of_events(launcher: ScriptedLauncher) -> None:
    events, _ = launcher.run(
        "import sys\nprint(1)\nsys.stderr.write('2')\ndisplay(3)\nprint(4, end='')\n5"
    )
    shown = [e.get("text") or e["data"]["text/plain"] for e in events]
    assert shown == ["1\n", "2", "3", "4", "5"]
    kinds = [(e["event"], e.get("name")) for e in events]
    assert kinds == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("display", None),
        ("stream", "stdout"),
        ("result", None),
    ]


def test_error(launcher: ScriptedLauncher) -> None:
    _, done = launcher.run("def f():\n    return 1 / 0\nf()")
    assert done["status"] == "error"
    error = done["error"]
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    shown = plain("\n".join(error["traceback"]))
    assert "return 1 / 0" in shown
    assert "live_kernel" not in shown.replace("live-kernel", "")


def test_cells_are_queued(launcher: ScriptedLauncher) -> None:
    numbers = [launcher.begin(f"print({n})") for n in range(5)]
    done = [launcher.cells.receive() for _ in numbers]
    assert [message["cell"] for message in done] == numbers
    assert [text_of(message["events"]) for message in done] == [f"{n}\n" for n in range(5)]


def test_user_expressions(launcher: ScriptedLauncher) -> None:
    _, done = launcher.run("x = 3", expressions={"good": "x + 1", "bad": "nope", "no": "x ="})
    assert done["expressions"]["good"]["data"] == {"text/plain": "4"}
    assert done["expressions"]["bad"]["ename"] == "NameError"
    assert done["expressions"]["no"]["ename"] == "SyntaxError"


def test_silent_cell_leaves_no_trace(launcher: ScriptedLauncher) -> None:
    launcher.run("1")
    events, _ = launcher.run("2", silent=True)
    assert events == []
    events, _ = launcher.run("_, sorted(Out)")
    assert events[0]["data"]["text/plain"] == "(1, [1])"


# -- while a cell runs


RELEASE = "import threading\ngate = threading.Event()"


def test_questions_are_answered_while_a_cell_runs(launcher: ScriptedLauncher) -> None:
    launcher.run(RELEASE)
    launcher.begin("gate.wait(10)")
    eventually(lambda: launcher.ask("status")["running"])
    assert "gate" in launcher.ask("complete", code="gat", cursor=3)["matches"]
    assert launcher.ask("inspect", code="gate", cursor=4, detail=0)["found"]
    assert launcher.ask("status")["changes"], "what must be undone is known"
    launcher.control.send("interrupt", cell=99)
    launcher.program.send("pass")  # the program goes on meanwhile
    launcher.program.wait_for("has run the line")
    assert launcher.cells.is_quiet()
    launcher.control.send("interrupt", cell=2)
    launcher.control.send("abandon", cell=2)
    assert launcher.finish()[1]["error"]["ename"] == "KeyboardInterrupt"


def test_flush(launcher: ScriptedLauncher) -> None:
    launcher.run(RELEASE)
    launcher.begin("print('early')\nmarked = True\nfor _ in range(10**9): pass")
    eventually(lambda: "marked" in launcher.ask("complete", code="marke", cursor=5)["matches"])
    launcher.control.send("flush")
    message = launcher.cells.receive()
    assert text_of(message["events"]) == "early\n"
    assert message["done"] is None
    launcher.control.send("interrupt", cell=2)
    assert launcher.finish()[1]["error"]["ename"] == "KeyboardInterrupt"


def test_long_cell_streams_by_itself(launcher: ScriptedLauncher) -> None:
    launcher.begin("import time\nfor n in range(30):\n    print(n)\n    time.sleep(0.01)")
    first = launcher.cells.receive()
    assert first["done"] is None
    events, _ = launcher.finish()
    told = text_of(first["events"]) + text_of(events)
    assert told == "".join(f"{n}\n" for n in range(30))


def test_input(launcher: ScriptedLauncher) -> None:
    launcher.begin("name = input('Who? ')\nprint('Hello', name)", allow_input=True)
    asked = launcher.control.receive()
    assert asked == {"op": "input", "cell": 1, "prompt": "Who? ", "password": False}
    launcher.control.send("input", cell=1, value="Ada")
    assert text_of(launcher.finish()[0]) == "Hello Ada\n"


def test_input_that_nobody_can_answer(launcher: ScriptedLauncher) -> None:
    assert launcher.run("input()")[1]["error"]["ename"] == "StdinNotImplementedError"
    launcher.begin("input()", allow_input=True)
    launcher.control.receive()
    launcher.control.send("input", cell=2, value=None)
    assert launcher.finish()[1]["error"]["ename"] == "EOFError"


def test_interrupt_of_input(launcher: ScriptedLauncher) -> None:
    launcher.begin("input()", allow_input=True)
    launcher.control.receive()
    launcher.control.send("interrupt", cell=1)
    assert launcher.finish()[1]["error"]["ename"] == "KeyboardInterrupt"


def test_launcher_that_does_not_read_slows_the_cell(launcher: ScriptedLauncher) -> None:
    """Memory stays where it is, and an interrupt still gets through."""
    launcher.begin("while True: print('x' * 1000)")
    pid, before = launcher.program.pid, memory(launcher.program.pid)
    seen: deque[tuple[str, ...]] = deque(maxlen=20)

    def rests() -> bool:
        seen.append(tuple(system_calls(pid, "live-kernel")))
        return len(seen) == seen.maxlen and len(set(seen)) == 1 and len(seen[0]) == 1

    eventually(rests, what="the cell's thread waits in one call")
    assert seen[0][0].startswith("sendto ")
    assert launcher.ask("status")["running"]
    assert memory(pid) - before < 4 << 20
    launcher.control.send("interrupt", cell=1)
    assert launcher.finish()[1]["error"]["ename"] == "KeyboardInterrupt"


# -- what is not understood


def test_unknown_messages_are_ignored(launcher: ScriptedLauncher) -> None:
    launcher.control.send("fly", to="the moon")
    launcher.control.send("ask", id=1, about="the weather")
    launcher.control.send("run", cell=1)
    launcher.cells.send("run", cell="one")
    launcher.cells.send("detach")
    launcher.control.send("welcome")
    assert text_of(launcher.run("print(1)")[0]) == "1\n"
    assert launcher.control.is_quiet()


def test_messages_in_pieces(launcher: ScriptedLauncher) -> None:
    for byte in b"".join(frames.encode({"op": "ask", "id": 7, "about": "status"})):
        launcher.control.socket.sendall(bytes([byte]))
    assert launcher.control.receive()["answer"]["running"] is False


def framed(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return size.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize("channel", ["control", "cells"])
@pytest.mark.parametrize(
    "garbage",
    [framed(b"hello"), b"\xff" * 8, framed(b"[]"), framed(b"\xff\xff"), framed(b"{}" * 9, 2)],
    ids=["no JSON", "too long", "no object", "no UTF-8", "JSON beyond the frame"],
)
def test_broken_frame_ends_the_session(program: Program, channel: str, garbage: bytes) -> None:
    before = program.snapshot()
    with ScriptedLauncher(program) as launcher:
        launcher.welcome()
        getattr(launcher, channel).socket.sendall(garbage)
        assert launcher.control.ended()
        assert launcher.cells.ended()
    program.assert_unharmed_since(before)


# -- the end


def test_detach(program: Program) -> None:
    before = program.snapshot()
    with ScriptedLauncher(program) as launcher:
        launcher.welcome()
        launcher.run("x = 1")
        launcher.control.send("detach")
        farewell = launcher.control.receive()
        assert farewell == {"op": "bye", "reason": "detached", "detail": ""}
        assert launcher.control.ended()
        assert launcher.cells.ended()
    program.assert_unharmed_since(before)


FLOOD = "while True: print('x' * 99)"


@pytest.mark.parametrize(
    ("channel", "cell"),
    [("control", each) for each in ("", "while True: pass", "input()", FLOOD)]
    + [("cells", each) for each in ("", FLOOD)],
)
def test_launcher_that_goes(program: Program, channel: str, cell: str) -> None:
    """Nothing is left, whatever a cell does; also if only the other connection breaks."""
    before = program.snapshot()
    with ScriptedLauncher(program) as launcher:
        launcher.welcome()
        if cell:
            launcher.begin(cell, allow_input=True)
            eventually(lambda: program.from_inside()["stdio"] != before["stdio"])
        getattr(launcher, channel).socket.close()
        program.assert_unharmed_since(before, interrupted=True)


def test_two_sessions_do_not_see_each_other(program: Program) -> None:
    before = program.snapshot()
    with ScriptedLauncher(program) as first, ScriptedLauncher(program) as second:
        first.welcome()
        second.welcome()
        first.run("mine = 1")
        assert second.run("mine")[1]["error"]["ename"] == "NameError"
        first.begin("print('a')\nwhile True: pass")
        eventually(lambda: first.ask("status")["running"])
        events, _ = second.run("print('b')")
        assert text_of(events) == "b\n"
        first.control.send("interrupt", cell=2)
        assert text_of(first.finish()[0]) == "a\n"
        first.control.send("detach")
        assert first.control.ended()
        assert text_of(second.run("print('still here')")[0]) == "still here\n"
    program.assert_unharmed_since(before, interrupted=True)


def test_exit_of_the_program(program: Program) -> None:
    program.expected_to_end = True
    with ScriptedLauncher(program) as launcher:
        launcher.welcome()
        program.send("raise SystemExit(3)")
        assert launcher.control.receive() == {"op": "bye", "reason": "exit", "detail": ""}
        assert program.wait() == 3


def sockets(pid: int) -> set[str]:
    links = outside(pid)["descriptors"].values()
    return {link for link in links if link.startswith("socket:")}


def test_fork_of_the_program(program: Program) -> None:
    """The child hangs up nothing: the parent's session goes on."""
    before = sockets(program.pid)
    with ScriptedLauncher(program) as launcher:
        launcher.welcome()
        assert len(sockets(program.pid) - before) == 2
        program.send("pid = os.fork()")
        program.wait_for("has run the line")
        assert text_of(launcher.run("print(pid)")[0]).strip().isdigit()
        (child,) = outside(program.pid)["children"]
        eventually(lambda: sockets(int(child)) == before, what="only its own sockets")
        assert len(outside(int(child))["native threads"]) == 1
        os.kill(int(child), signal.SIGKILL)
