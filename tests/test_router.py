"""Who answers what a front-end asks: every request, the kernel's commands, cells before an attach.

The real router, queue and questions between a front-end and a target that only
keep what they are told. Rule: whatever a front-end sends, its busy is followed
by its idle, and the launcher goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import Told

from live_kernel.attach import processes
from live_kernel.attach.processes import Candidate, Process
from live_kernel.errors import AgentLost, LiveKernelError, NoTarget, OnlyLooks, TargetNotFound
from live_kernel.launcher import commands, in_target
from live_kernel.launcher.attachment import State
from live_kernel.launcher.choosing import Choice
from live_kernel.launcher.protection import Protection
from live_kernel.launcher.rails import Rails
from live_kernel.launcher.reactor import Reactor
from live_kernel.launcher.router import Router
from live_kernel.launcher.runner import asks_for_help, is_exit
from live_kernel.launcher.setup import Setup
from live_kernel.launcher.succession import Succession
from live_kernel.launcher.target import CellRun, Waiter
from live_kernel.launcher.use import Use
from live_kernel.launcher.wire import Request

_numbers = itertools.count(1)
ERROR = {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]}


BOTH = Rails(observe="%attach --observe", confirm="%attach --confirm")
SOON = Rails(idle=300.0, idle_by="%attach --idle")


def process(pid: int = 42) -> Process:
    return Process(pid, 7, 1, "python", ("python", "app.py"), "", "", 0, 0, "root", "S", "CPython")


class FakeFrontend(Told):
    """Keeps what is asked, too."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[tuple[str, str, Any]] = []
        self.asked: list[tuple[Request, str, bool]] = []
        self.presence = SimpleNamespace()
        self.connection = {"transport": "tcp", "ip": "127.0.0.1", "key": "secret", "shell_port": 1}

    def reply(self, request: Request, kind: str, content: dict[str, Any]) -> None:
        super().reply(request, kind, content)
        self.replies.append(self.told[-1])

    def take_in(self, channel: str) -> None:
        pass

    def ask(self, request: Request, prompt: str, password: bool, wanted: Callable[[], bool]) -> str:
        assert wanted()
        self.asked.append((request, prompt, password))
        return f"question-{len(self.asked)}"


class FakeAttachment:
    """Answers questions at once, as the test has it."""

    def __init__(self) -> None:
        self.process = process()
        self.state = State.ATTACHED
        self.since = 0.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: dict[str, Any] = {}

    def ask(self, about: str, answered: Callable[[Any], None], **details: Any) -> None:
        self.asked.append((about, details))
        answered(self.answer)


class FakeTarget:
    """A target that is attached or not, and runs cells until the test ends them."""

    def __init__(self) -> None:
        self.attachment: FakeAttachment | None = None
        self.failure: LiveKernelError | None = None
        self.place: dict[str, Any] = {}
        self.notices: list[str] = []
        self.calls: list[Any] = []
        self.ran: list[dict[str, Any]] = []
        self.run_now: CellRun
        self.chosen: Choice
        self.refuses: LiveKernelError | None = None
        self.subshells: list[str] = []
        self.on_left: Callable[[], None] = lambda: None
        self.on_entered: Callable[[], None] = lambda: None
        self.protection, self.use = Protection(lambda: self.is_there), Use()
        self.left: Choice | None = None
        self.setup, self.succession = Setup(), Succession(cast("Reactor", None))
        self.gone: tuple[str, ...] = ()

    @property
    def rails(self) -> Rails:
        return self.protection.rails

    @property
    def idle(self) -> tuple[float, str]:
        return self.use.limit(self.rails, Rails())

    def only_looks(self, what: str) -> OnlyLooks:
        return OnlyLooks(f"{what} is refused.", "")

    def set_subshells(self, names: list[str]) -> None:
        self.subshells = list(names)

    @property
    def state(self) -> State:
        return State.DETACHED if self.attachment is None else self.attachment.state

    @property
    def is_there(self) -> bool:
        return self.state in (State.ATTACHED, State.INJECTING)

    @property
    def process(self) -> Process | None:
        return None if self.attachment is None else self.attachment.process

    gone: tuple[str, ...] = ()
    """The command line of a program that was meant and has ended."""

    @property
    def present(self) -> Process | None:
        return self.process if self.is_there else None

    def choose(self, choice: Choice, pinned: bool, waiter: Waiter | None = None) -> None:
        self.calls.append(("choose", choice.text, pinned))
        self.chosen = choice
        if self.refuses is not None:
            raise self.refuses
        self.attachment = FakeAttachment()
        self.notices.append("Attached to pid 42.")
        if waiter is not None:
            waiter.attached()

    def wait(self, waiter: Waiter) -> None:
        waiter.attached()

    def run(self, request: dict[str, Any], run: CellRun) -> None:
        self.ran.append(request)
        self.run_now = run

    def detach(self, forget: bool = False, why: str = "") -> bool:
        self.calls.append(("detach", forget))
        was, self.attachment = self.attachment is not None, None
        return was

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def set_alone(self, is_alone: bool) -> None:
        self.calls.append(("alone", is_alone))

    def take_notices(self) -> list[str]:
        notices, self.notices = self.notices, []
        return notices


class Kernel:
    """A router with fakes on both sides."""

    def __init__(self, reactor: Reactor) -> None:
        self.frontend, self.target = FakeFrontend(), FakeTarget()
        self.stopped: list[bool] = []
        self.router = Router(reactor, self.target, self.stopped.append)  # type: ignore[arg-type]
        self.router.history = SimpleNamespace(  # type: ignore[assignment]
            ask=lambda content, answered: answered([]), add=lambda number, code: None
        )
        answer_at_once = SimpleNamespace(ask=lambda _, answered: answered({}))
        self.router._completeness = self.router._usage = answer_at_once  # type: ignore[assignment]
        at_once = lambda find, found: found(find())  # noqa: E731
        self.router._completion._on_a_thread = at_once  # type: ignore[method-assign]
        self.router.connect(self.frontend)  # type: ignore[arg-type]

    def ask(self, kind: str, who: bytes = b"who", **content: Any) -> Request:
        header = {"msg_id": f"m{next(_numbers)}", "msg_type": kind}
        request = Request([who], header, {}, {}, content)
        self.router.on_request(request)
        return request

    def cell(self, code: str, **content: Any) -> Request:
        return self.ask("execute_request", code=code, **content)

    def type(self, value: str, who: bytes = b"who") -> None:
        header = {"msg_id": "typed", "msg_type": "input_reply"}
        self.router.on_input(Request([who], header, {}, {}, {"value": value}))

    def reply(self, request: Request) -> dict[str, Any]:
        """The one answer to a request; it came between busy and idle."""
        kinds = self.frontend.of(request)
        assert (kinds[0], kinds[-1]) == ("busy", "idle")
        assert kinds.count("busy") == kinds.count("idle") == 1
        (reply,) = [each for each in self.frontend.replies if each[0] == request.header["msg_id"]]
        assert reply[1] == request.kind.removesuffix("request") + "reply"
        return dict(reply[2])

    def shown(self, request: Request) -> str:
        """All text that a cell's user sees."""
        texts = []
        for about, kind, content in self.frontend.told:
            if about == request.header["msg_id"]:
                if kind == "stream":
                    texts.append(content["text"])
                elif kind in ("display_data", "execute_result"):
                    texts.append(content["data"]["text/plain"])
        return "".join(texts)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    found = [Candidate(process(), None), Candidate(process(421), None), Candidate(process(7), None)]
    monkeypatch.setattr(processes, "candidates", lambda **_: found)
    reactor = Reactor()
    yield Kernel(reactor)
    reactor.close()


@pytest.fixture
def attached(kernel: Kernel) -> Kernel:
    kernel.target.attachment = FakeAttachment()
    return kernel


# -- each request

REQUESTS = [
    "kernel_info", "connect", "comm_info", "history", "is_complete", "complete", "inspect",
    "interrupt", "usage", "debug",
]  # fmt: skip


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("is_attached", [False, True])
def test_every_request_is_answered(kernel: Kernel, kind: str, is_attached: bool) -> None:
    if is_attached:
        kernel.target.attachment = FakeAttachment()
    assert kernel.reply(kernel.ask(f"{kind}_request"))["status"] == "ok"


odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
odd |= st.lists(odd, max_size=2) | st.dictionaries(st.text(max_size=3), odd, max_size=2)
FIELDS = [
    "code", "cursor_pos", "detail_level", "restart", "target_name", "hist_access_type", "n",
    "silent", "store_history", "user_expressions", "allow_stdin", "stop_on_error", "seq",
]  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([*REQUESTS, "execute", "shutdown"]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, odd)),
    st.booleans(),
)
def test_whatever_a_request_says_it_is_answered(
    kind: str, content: dict[str, Any], is_attached: bool
) -> None:
    reactor = Reactor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "candidates", lambda **_: [])
        kernel = Kernel(reactor)
        if is_attached:
            kernel.target.attachment = FakeAttachment()
        request = kernel.ask(f"{kind}_request", **content)
        if kind == "execute":
            if kernel.target.ran:
                kernel.target.run_now.done({"status": "ok", "expressions": {}})
            kernel.router.interrupt()  # the prompt, if it came to that
        assert kernel.reply(request)["status"] in ("ok", "error")
    reactor.close()


@pytest.mark.parametrize(
    "kind",
    ["", "x_request", "execute", "kernel_info", "request", "_on_complete_request", "__init__", "é"],
)
def test_what_we_do_not_know_is_seen_and_left(kernel: Kernel, kind: str) -> None:
    assert kernel.frontend.of(kernel.ask(kind)) == ["busy", "idle"]


def test_the_kernels_own_words(kernel: Kernel) -> None:
    info = kernel.reply(kernel.ask("kernel_info_request"))
    assert info["implementation"] == "live-kernel"
    assert info["language_info"]["name"] == "python"
    assert "%attach" in info["banner"]
    assert info["protocol_version"].startswith("5.")


def test_no_secret_is_told(kernel: Kernel) -> None:
    reply = kernel.reply(kernel.ask("connect_request"))
    assert reply == {"status": "ok", "shell_port": 1}


@pytest.mark.parametrize("restart", [False, True])
def test_shutting_down_is_answered_before_it_is_done(kernel: Kernel, restart: bool) -> None:
    request = kernel.ask("shutdown_request", restart=restart)
    assert kernel.reply(request)["restart"] is restart
    assert kernel.stopped == [restart]
    assert kernel.target.calls == []


def test_an_interrupt_interrupts_what_runs(attached: Kernel) -> None:
    attached.cell("work()")
    attached.ask("interrupt_request")
    assert attached.target.calls == ["interrupt"]


# -- completion and inspection


def test_completion_is_the_targets_own(attached: Kernel) -> None:
    assert attached.target.attachment is not None
    attached.target.attachment.answer = {"start": 0, "end": 2, "types": [{"text": "abc"}]}
    reply = attached.reply(attached.ask("complete_request", code="ab", cursor_pos=2))
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == (["abc"], 0, 2)
    (described,) = reply["metadata"]["_jupyter_types_experimental"]
    assert (described["text"], described["start"], described["end"]) == ("abc", 0, 2)
    assert attached.target.attachment.asked == [("complete", {"code": "ab", "cursor": 2})]


def test_no_answer_is_no_match(attached: Kernel) -> None:
    reply = attached.reply(attached.ask("complete_request", code="ab", cursor_pos=1))
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == ([], 1, 1)
    reply = attached.reply(attached.ask("inspect_request", code="ab", cursor_pos=1))
    assert (reply["found"], reply["data"]) == (False, {})


@pytest.mark.parametrize(
    ("line", "text", "rails"),
    [
        ("--observe 42", "42", Rails(observe="%attach --observe")),
        ("42 --observe", "42", Rails(observe="%attach --observe")),
        ("--confirm --wake app.py 8000 --observe", "app.py 8000", BOTH),
        ("--idle 5m 42", "42", Rails(idle=300.0, idle_by="%attach --idle")),
        ("app.py --idle 5m --confirm", "app.py", SOON._replace(confirm="%attach --confirm")),
        ("app.py --idle-timeout=5", "app.py --idle-timeout=5", Rails()),
        ("a  b", "a  b", Rails()),
    ],
)
def test_options_of_attach(kernel: Kernel, line: str, text: str, rails: Rails) -> None:
    assert kernel.reply(kernel.cell(f"%attach {line}"))["status"] == "ok"
    assert (kernel.target.chosen.text, kernel.target.chosen.rails) == (text, rails)
    assert kernel.target.chosen.wake is ("--wake" in line)


@pytest.mark.parametrize("line", ["42 --idle", "--idle soon 42", "42 --idle 0", "--observe --idle"])
def test_options_of_attach_that_make_no_sense(kernel: Kernel, line: str) -> None:
    assert kernel.reply(kernel.cell(f"%attach {line}"))["ename"] == "CommandMisused"
    assert kernel.target.calls == []


@pytest.mark.parametrize("line", ["--observe", "--idle 5m --confirm"])
def test_options_of_attach_without_a_program(kernel: Kernel, line: str) -> None:
    assert kernel.reply(kernel.cell(f"%attach {line}"))["ename"] == "NoTarget"


def test_help_on_a_command(kernel: Kernel) -> None:
    reply = kernel.reply(kernel.ask("inspect_request", code="%attach", cursor_pos=3))
    assert reply["found"]
    assert reply["data"]["text/plain"].startswith("%attach PID|TEXT [--wake] [--obs")


# -- what a cell says


@pytest.mark.parametrize("code", ["exit", " quit\n", "exit()", "quit()"])
def test_leaving_the_front_end(kernel: Kernel, code: str) -> None:
    assert is_exit(code)
    reply = kernel.reply(kernel.cell(code))
    assert reply["payload"] == [{"source": "ask_exit", "keepkernel": True}]
    assert kernel.stopped == []


@pytest.mark.parametrize("code", ["exit(1)", "x = exit", "exit; 1", "#exit", "", "exit\nquit"])
def test_other_cells_leave_nothing(code: str) -> None:
    assert not is_exit(code)


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("x?", ("x", 0)),
        ("x??", ("x", 1)),
        ("?x", ("x", 0)),
        ("??x", ("x", 1)),
        (" x.y.z? \n", ("x.y.z", 0)),
        ("x[0]?", ("x[0]", 0)),
        ("x['key'].y?", ("x['key'].y", 0)),
        ("%attach?", ("%attach", 0)),
        ("größe?", ("größe", 0)),
        ("%timeit?", ("%timeit", 0)),
        ("%%timeit??", ("%%timeit", 1)),
        ("?", ("?", 0)),
    ],
)
def test_what_asks_for_help(code: str, asked: tuple[str, int]) -> None:
    assert asks_for_help(code) == asked


@pytest.mark.parametrize(
    "code",
    ["", "???", "x", "x ? y", "f(x)?", "x?\ny", "'what?'", "x = 1  # why?", "1?", "x?y?"],
)
def test_what_does_not(code: str) -> None:
    assert asks_for_help(code) is None


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="x.?[]'\"%0 \n#=", max_size=10))
def test_help_is_asked_about_something(code: str) -> None:
    asked = asks_for_help(code)
    assert asked is None or ("?" in code and asked[0] and "?" not in asked[0].removeprefix("?"))


@pytest.mark.parametrize(
    ("code", "found", "rest"),
    [
        ("x = 1", [], "x = 1"),
        ("%ps", [("%ps", "")], ""),
        ("%ps --all", [("%ps", "--all")], ""),
        ("%attach 42\nx = 1\ny", [("%attach", "42")], "\nx = 1\ny"),
        (
            "  %attach   my app  \n\n%status\nx",
            [("%attach", "my app"), ("%status", "")],
            "\n\n\nx",
        ),
        ("\n\n%ps\nx", [("%ps", "")], "\n\n\nx"),
        ("%attach\t42\nx", [("%attach", "42")], "\nx"),
        ("%ps\r\nx", [("%ps", "")], "\nx"),
        ("x = 1\n%ps", [], "x = 1\n%ps"),
        ("%psx", [], "%psx"),
        ("%time x", [], "%time x"),
        ("", [], ""),
        ("\n\n", [], "\n\n"),
        ("# %ps", [], "# %ps"),
    ],
)
def test_commands_at_the_beginning_of_a_cell(
    code: str, found: list[tuple[str, str]], rest: str
) -> None:
    assert commands.split(code) == (found, rest)


lines = st.sampled_from(["%ps", "%attach 42", "%status x", "", "  ", "x = 1", "%other", "'%ps'"])


@settings(deadline=None, max_examples=100)
@given(st.lists(lines, max_size=8), st.sampled_from(["", "\n"]))
def test_the_rest_of_a_cell_keeps_its_lines(cell: list[str], end: str) -> None:
    code = "\n".join(cell) + end
    found, rest = commands.split(code)
    before = [line for line, kept in zip(code.split("\n"), rest.split("\n"), strict=True)
              if kept != line]  # fmt: skip
    assert [line.split()[0] for line in before if line.strip()] == [name for name, _ in found]
    assert found or rest == code
    first = rest.strip().split("\n")[0]
    assert not first or first.split()[0] not in commands.COMMANDS


# -- commands


def test_commands_run_one_after_the_other_and_then_the_code(kernel: Kernel) -> None:
    cell = kernel.cell("%attach app\n%status\nx = 1")
    assert kernel.target.calls == [("choose", "app", True)]
    assert "Attached to pid 42." in kernel.shown(cell)
    assert "State:" in kernel.shown(cell)
    assert kernel.target.ran[0]["code"] == "\n\nx = 1"
    kernel.target.run_now.done({"status": "ok", "expressions": {"k": 1}})
    assert kernel.reply(cell)["user_expressions"] == {"k": 1}


def test_a_command_that_fails_is_the_end_of_its_cell(kernel: Kernel) -> None:
    kernel.target.refuses = TargetNotFound(43, "no process 43", "Name another.")
    reply = kernel.reply(kernel.cell("%attach 43\n%status\nx = 1"))
    assert (reply["status"], reply["ename"]) == ("error", "TargetNotFound")
    assert "Name another." in reply["traceback"]
    assert kernel.target.ran == []


def test_attach_without_a_name_shows_the_candidates(kernel: Kernel) -> None:
    cell = kernel.cell("%attach")
    assert kernel.reply(cell)["ename"] == "NoTarget"
    assert "python app.py" in kernel.shown(cell)


def test_detach(attached: Kernel) -> None:
    assert "Detached from pid 42" in attached.shown(attached.cell("%detach"))
    assert "Nothing is attached" in attached.shown(attached.cell("%detach"))
    assert attached.target.calls == [("detach", True)] * 2


def test_ps(kernel: Kernel) -> None:
    cell = kernel.cell("%ps")
    assert kernel.reply(cell)["status"] == "ok"
    (content,) = kernel.frontend.contents(cell, "display_data")
    assert {"text/plain", "text/html"} <= content["data"].keys()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"binding": {}},
        {"binding": "x"},
        {"binding": {"place": 5}, "python": None},
        {"binding": {"place": "run() at app.py:7"}, "python": "3.14.0"},
    ],
    ids=str,
)
def test_status_whatever_the_target_says(attached: Kernel, answer: dict[str, Any]) -> None:
    assert attached.target.attachment is not None
    attached.target.attachment.answer = answer
    cell = attached.cell("%status")
    assert attached.reply(cell)["status"] == "ok"
    assert "pid 42 (python app.py)" in attached.shown(cell)


def test_status_without_a_target(kernel: Kernel) -> None:
    kernel.target.failure = AgentLost(42, "pid 42 was killed by SIGKILL", "Attach again.")
    shown = kernel.shown(kernel.cell("%status"))
    assert "State: detached" in shown
    assert "SIGKILL" in shown
    assert "Attach again." in shown


def test_every_command_has_help() -> None:
    for name in commands.COMMANDS:
        usage, empty, summary, *_ = commands.help_text(name).splitlines()
        assert usage.startswith(name)
        assert empty == ""
        assert summary.endswith((".", ","))


# -- cells in the target


def test_a_cell_goes_to_the_target_as_it_is(attached: Kernel) -> None:
    cell = attached.cell("x = 1", user_expressions={"a": "x"}, allow_stdin=False)
    (request,) = attached.target.ran
    assert request == {
        "code": "x = 1", "count": 1, "silent": False, "expressions": {"a": "x"},
        "allow_input": False, "subshell": "", "parent": cell.header,
    }  # fmt: skip
    attached.target.run_now.produced([{"event": "stream", "name": "stdout", "text": "hello"}])
    attached.target.run_now.done({"status": "error", "error": ERROR})
    assert attached.shown(cell) == "hello"
    assert attached.reply(cell)["ename"] == "ValueError"


def test_a_target_that_is_lost_ends_the_cell(attached: Kernel) -> None:
    cell = attached.cell("work()")
    attached.target.run_now.lost(AgentLost(42, "pid 42 was killed by SIGKILL"))
    assert attached.reply(cell)["ename"] == "AgentLost"
    again = attached.cell("1")
    assert attached.target.ran[-1]["code"] == "1"
    attached.target.run_now.done({"status": "ok", "expressions": {}})
    assert attached.reply(again)["status"] == "ok"


def test_notices_are_told_once_and_to_no_probe(attached: Kernel) -> None:
    attached.target.notices.append("run() has returned")
    probe = attached.cell("probe", silent=True)
    attached.target.run_now.done({"status": "ok", "expressions": {}})
    assert attached.shown(probe) == ""
    cell = attached.cell("x")
    attached.target.run_now.done({"status": "ok", "expressions": {}})
    assert attached.shown(cell) == "run() has returned"


def test_an_empty_cell_troubles_nobody(attached: Kernel) -> None:
    for code in ("", " \n ", "%ps\n\n"):
        assert attached.reply(attached.cell(code))["status"] == "ok"
    assert attached.target.ran == []


def test_help_on_an_object_goes_to_the_pager(attached: Kernel) -> None:
    assert attached.target.attachment is not None
    attached.target.attachment.answer = {"found": True, "data": {"text/plain": "about x"}}
    reply = attached.reply(attached.cell("x??"))
    assert reply["payload"] == [{"source": "page", "data": {"text/plain": "about x"}, "start": 0}]
    ((about, details),) = attached.target.attachment.asked
    assert (about, details["code"], details["detail"]) == ("inspect", "x", 1)
    attached.target.attachment.answer = {}
    assert "`y` not found" in attached.shown(attached.cell("?y"))


# -- input


def test_input_is_asked_of_who_sent_the_cell(attached: Kernel) -> None:
    cell = attached.cell("input('Name: ')")
    typed: list[str | None] = []
    attached.target.run_now.input_wanted("Name: ", True, typed.append)
    ((asked, prompt, password),) = attached.frontend.asked
    assert (asked, prompt, password) == (cell, "Name: ", True)
    attached.type("from somebody else", who=b"other")
    assert typed == []
    attached.type("Ada")
    attached.type("once more")
    assert typed == ["Ada"]


def test_an_interrupt_ends_the_question(attached: Kernel) -> None:
    attached.cell("input()")
    typed: list[str | None] = []
    attached.target.run_now.input_wanted("", False, typed.append)
    attached.ask("interrupt_request")
    assert typed == [None]
    assert attached.target.calls == ["interrupt"]
    attached.type("too late")
    assert typed == [None]


# -- before any attach


def test_a_cell_before_an_attach_asks_for_a_program(kernel: Kernel) -> None:
    cell = kernel.cell("x = 1")
    assert "python app.py" in kernel.shown(cell)
    ((asked, prompt, password),) = kernel.frontend.asked
    assert (asked, password) == (cell, False)
    assert "pid" in prompt
    kernel.type(" app \n")
    assert kernel.target.calls == [("choose", "app", True)]
    assert kernel.target.ran[0]["code"] == "x = 1"
    kernel.target.run_now.done({"status": "ok", "expressions": {}})
    assert kernel.reply(cell)["status"] == "ok"


@pytest.mark.parametrize("typed", ["", "  "])
def test_no_answer_is_an_error(kernel: Kernel, typed: str) -> None:
    cell = kernel.cell("x = 1")
    kernel.type(typed)
    assert kernel.reply(cell)["ename"] == "NoTarget"


def test_an_answer_that_fits_nobody_is_an_error(kernel: Kernel) -> None:
    cell = kernel.cell("x = 1")
    kernel.target.refuses = NoTarget("Nobody has 'zzz'.")
    kernel.type("zzz")
    assert kernel.reply(cell)["evalue"] == "Nobody has 'zzz'."
    kernel.target.refuses = None
    again = kernel.cell("x = 2")
    kernel.type("42")
    assert kernel.target.ran[0]["code"] == "x = 2"
    assert kernel.frontend.of(again)[0] == "busy"


def test_an_interrupt_ends_the_choice(kernel: Kernel) -> None:
    cell = kernel.cell("x = 1")
    kernel.ask("interrupt_request")
    assert kernel.reply(cell)["status"] == "error"


def test_where_nobody_can_be_asked_the_candidates_are_shown(kernel: Kernel) -> None:
    cell = kernel.cell("x = 1", allow_stdin=False)
    reply = kernel.reply(cell)
    assert reply["ename"] == "NoTarget"
    assert "python app.py" in kernel.shown(cell)
    assert kernel.frontend.asked == []


def test_why_the_program_chosen_in_advance_is_not_there(kernel: Kernel) -> None:
    kernel.target.failure = TargetNotFound(43, "LIVE_KERNEL_TARGET: no process 43", "Name another.")
    silent = kernel.cell("x = 1", allow_stdin=False)
    assert kernel.reply(silent)["ename"] == "TargetNotFound"
    asked = kernel.cell("x = 1")
    assert "no process 43" in kernel.shown(asked)


def test_a_front_ends_probes_are_left_in_peace(kernel: Kernel) -> None:
    probe = kernel.cell("import sys; sys.path", silent=True, user_expressions={"a": "1"})
    assert kernel.reply(probe)["status"] == "ok"
    assert kernel.frontend.of(probe) == ["busy", "execute_reply", "idle"]


def test_the_prompt_says_what_can_be_typed() -> None:
    assert "pid" in in_target._PROMPT
