"""The queue of cells: order, busy and idle around everything, one answer for each.

With a front-end that only keeps what it is told. Rule: whatever becomes of a
cell, its request is answered exactly once, between its own busy and idle.
"""

from __future__ import annotations

import gc
import itertools
import time
import weakref
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import Told

from live_kernel.errors import LiveKernelError, NoTarget
from live_kernel.launcher import execution as execution_module
from live_kernel.launcher.execution import BATCH_GAP, Execution, Inputs, Queue
from live_kernel.launcher.wire import Request

ERROR = {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]}
_numbers = itertools.count(1)


def request(
    code: str = "1", *, notebook: str | None = None, date: str | None = None, **content: Any
) -> Request:
    """An execute request as a console sends it, or as a notebook does."""
    header = {
        "msg_id": f"m{next(_numbers)}",
        "msg_type": "execute_request",
        "session": notebook or "s",
    }
    if date is not None:
        header["date"] = date
    metadata = {} if notebook is None else {"cellId": "c"}
    return Request([b"who"], header, {}, metadata, {"code": code, **content})


class FakeFrontend(Told):
    """`inbox` is what it has sent unread."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox: deque[Request] = deque()
        self.queue: Queue

    def take_in(self, channel: str) -> None:
        assert channel == "shell"
        while self.inbox:
            self.queue.add(self.inbox.popleft())

    def content(self, request: Request, kind: str) -> Any:
        (content,) = self.contents(request, kind)
        return content

    def reply_to(self, request: Request) -> dict[str, Any]:
        reply: dict[str, Any] = self.content(request, "execute_reply")
        return reply


class Kernel:
    """A queue, with cells that run until the test says otherwise, unless `runs` does."""

    def __init__(self) -> None:
        self.frontend = FakeFrontend()
        self.started: list[Execution] = []
        self.remembered: list[tuple[int, str]] = []
        self.runs: Callable[[Execution], None] = lambda execution: None
        self.inputs = Inputs(lambda number, code: self.remembered.append((number, code)))
        self.queue = Queue(
            self.frontend,  # type: ignore[arg-type]
            self._run,
            self.inputs,
            lambda code: code == "look",
        )
        self.frontend.queue = self.queue

    def _run(self, execution: Execution) -> None:
        self.started.append(execution)
        self.runs(execution)

    def add(self, code: str = "1", **content: Any) -> Request:
        added = request(code, **content)
        self.queue.add(added)
        return added

    @property
    def running(self) -> Execution:
        assert self.queue.running is not None
        return self.queue.running

    @property
    def codes(self) -> list[str]:
        return [execution.code for execution in self.started]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one, for the test to change."""
    now = [1000.0]
    monkeypatch.setattr(execution_module.time, "monotonic", lambda: now[0])
    return now


# -- one cell


def test_a_cell_that_succeeds(kernel: Kernel) -> None:
    cell = kernel.add("1 + 1")
    assert kernel.frontend.of(cell) == ["busy", "execute_input"]
    assert kernel.frontend.content(cell, "execute_input") == {
        "code": "1 + 1",
        "execution_count": 1,
    }
    kernel.running.show({"event": "result", "data": {"text/plain": "2"}, "metadata": {}})
    kernel.queue.succeed(kernel.running, {"x": {"status": "ok"}})
    assert kernel.frontend.of(cell) == [
        "busy", "execute_input", "execute_result", "execute_reply", "idle",
    ]  # fmt: skip
    assert kernel.frontend.content(cell, "execute_result")["execution_count"] == 1
    assert kernel.frontend.reply_to(cell) == {
        "status": "ok",
        "execution_count": 1,
        "user_expressions": {"x": {"status": "ok"}},
        "payload": [],
    }
    assert kernel.queue.running is None
    assert kernel.remembered == [(1, "1 + 1")]


def test_a_cell_that_raises(kernel: Kernel) -> None:
    cell = kernel.add()
    kernel.queue.fail_with(kernel.running, ERROR)
    assert kernel.frontend.of(cell) == ["busy", "execute_input", "error", "execute_reply", "idle"]
    assert kernel.frontend.content(cell, "error") == ERROR
    reply = kernel.frontend.reply_to(cell)
    assert reply | ERROR == reply
    assert (reply["status"], reply["execution_count"]) == ("error", 1)


def test_a_cell_that_can_not_be_run(kernel: Kernel) -> None:
    def refuse(execution: Execution) -> None:
        raise NoTarget("No program is attached.", "Run %attach PID.\nOr do not.")

    kernel.runs = refuse
    cell = kernel.add()
    reply = kernel.frontend.reply_to(cell)
    assert (reply["ename"], reply["evalue"]) == ("NoTarget", "No program is attached.")
    assert reply["traceback"][1:] == ["Run %attach PID.", "Or do not."]
    assert "No program is attached." in reply["traceback"][0]
    assert kernel.frontend.of(cell)[-2:] == ["execute_reply", "idle"]


def test_a_silent_cell_shows_itself_nowhere(kernel: Kernel) -> None:
    cell = kernel.add(silent=True, store_history=True)
    kernel.queue.fail_with(kernel.running, ERROR)
    assert kernel.frontend.of(cell) == ["busy", "execute_reply", "idle"]
    assert kernel.remembered == []
    assert kernel.inputs.count == 0


def test_what_is_not_for_the_history_gets_no_number(kernel: Kernel) -> None:
    kernel.add("a")
    kernel.queue.succeed(kernel.running)
    cell = kernel.add("b", store_history=False)
    kernel.queue.succeed(kernel.running)
    assert kernel.frontend.content(cell, "execute_input")["execution_count"] == 1
    assert kernel.remembered == [(1, "a")]
    kernel.add("c")
    assert kernel.running.count == 2


EVENTS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"event": "stream", "name": "stderr", "text": "t"}, "stream", {"name": "stderr", "text": "t"}),
    (
        {"event": "display", "data": {"a": 1}, "metadata": {"b": 2}, "transient": {"c": 3}},
        "display_data",
        {"data": {"a": 1}, "metadata": {"b": 2}, "transient": {"c": 3}},
    ),
    (
        {"event": "update", "data": {}, "metadata": {}, "transient": {"display_id": "d"}},
        "update_display_data",
        {"data": {}, "metadata": {}, "transient": {"display_id": "d"}},
    ),
    ({"event": "clear", "wait": True}, "clear_output", {"wait": True}),
    ({"event": "error", "error": ERROR}, "error", ERROR),
    (
        {"event": "result", "data": {"a": 1}, "metadata": {}},
        "execute_result",
        {"execution_count": 1, "data": {"a": 1}, "metadata": {}},
    ),
]


@pytest.mark.parametrize(("event", "kind", "content"), EVENTS, ids=lambda value: str(value)[:30])
def test_events_of_the_agent_are_messages_of_jupyter(
    kernel: Kernel, event: dict[str, Any], kind: str, content: dict[str, Any]
) -> None:
    cell = kernel.add()
    kernel.running.show({**event, "later": "ignored"})
    assert kernel.frontend.content(cell, kind) == content


def test_payloads_go_with_the_answer_the_last_of_each_kind(kernel: Kernel) -> None:
    cell = kernel.add()
    kernel.running.page({"text/plain": "help"}, start=3)
    kernel.running.show({"event": "page", "data": {"text/plain": "more"}, "start": 0})
    kernel.running.show({"event": "next_input", "text": "x = 1", "replace": True})
    kernel.queue.succeed(kernel.running)
    assert kernel.frontend.reply_to(cell)["payload"] == [
        {"source": "page", "data": {"text/plain": "more"}, "start": 0},
        {"source": "set_next_input", "text": "x = 1", "replace": True},
    ]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"code": None},
        {"code": 5},
        {"user_expressions": None},
        {"user_expressions": []},
        {"user_expressions": ["x"]},
        {"user_expressions": "x"},
        {"user_expressions": 5},
        {"silent": None, "store_history": None, "allow_stdin": None, "stop_on_error": None},
    ],
    ids=str,
)
def test_an_odd_request_is_answered_too(kernel: Kernel, content: dict[str, Any]) -> None:
    kernel.runs = kernel.queue.succeed
    odd = Request([], {"msg_id": "odd", "msg_type": "execute_request"}, {}, {}, content)
    kernel.queue.add(odd)
    assert kernel.frontend.of(odd)[0] == "busy"
    assert kernel.frontend.of(odd)[-2:] == ["execute_reply", "idle"]
    (execution,) = kernel.started
    assert isinstance(execution.code, str)
    assert isinstance(execution.expressions, dict)


# -- several


def test_cells_run_one_after_the_other(kernel: Kernel) -> None:
    cells = [kernel.add(code) for code in "abc"]
    assert kernel.codes == ["a"]
    for number, cell in enumerate(cells, 1):
        assert kernel.running.request is cell
        kernel.queue.succeed(kernel.running)
        assert kernel.frontend.reply_to(cell)["execution_count"] == number
    assert kernel.codes == ["a", "b", "c"]
    order = [about for about, kind, _ in kernel.frontend.told if kind == "busy"]
    assert order == [cell.header["msg_id"] for cell in cells]


def test_behind_a_failure_what_was_queued_is_aborted(kernel: Kernel) -> None:
    failing, *queued = [kernel.add(code) for code in "abc"]
    sent_unread = request("d")
    kernel.frontend.inbox.append(sent_unread)
    kernel.queue.fail_with(kernel.running, ERROR)
    assert kernel.codes == ["a"]
    for cell in [*queued, sent_unread]:
        assert kernel.frontend.of(cell) == ["busy", "execute_reply", "idle"]
        assert kernel.frontend.reply_to(cell)["status"] == "aborted"
    kinds = [(about, kind) for about, kind, _ in kernel.frontend.told]
    assert kinds.index((failing.header["msg_id"], "execute_reply")) < kinds.index(
        (queued[0].header["msg_id"], "busy")
    )
    assert kernel.remembered == [(1, "a")]
    kernel.add("e")
    assert kernel.codes == ["a", "e"]


def test_a_cell_may_ask_that_nothing_is_aborted(kernel: Kernel) -> None:
    kernel.add("a", stop_on_error=False)
    kernel.add("b")
    kernel.queue.fail_with(kernel.running, ERROR)
    assert kernel.codes == ["a", "b"]


def test_a_failure_of_the_kernels_own_aborts_too(kernel: Kernel) -> None:
    def refuse_a(execution: Execution) -> None:
        if execution.code == "a":
            kernel.frontend.inbox.append(behind)
            raise LiveKernelError("no")

    behind = request("b")
    kernel.runs = refuse_a
    kernel.add("a")
    assert kernel.frontend.reply_to(behind)["status"] == "aborted"


def test_the_rest_of_a_notebooks_batch_is_aborted_when_it_comes_late(
    kernel: Kernel, clock: list[float]
) -> None:
    """A notebook takes longer to send its cells than we do to run one."""
    kernel.add("a", notebook="n")
    kernel.queue.fail_with(kernel.running, ERROR)
    for _ in range(3):
        clock[0] += BATCH_GAP * 0.9
        late = kernel.add("late", notebook="n")
        assert kernel.frontend.of(late) == ["busy", "execute_reply", "idle"]
        assert kernel.frontend.reply_to(late)["status"] == "aborted"
    other = kernel.add("other", notebook="another")
    assert kernel.running.request is other
    kernel.queue.succeed(kernel.running)
    kernel.add("console")
    kernel.queue.succeed(kernel.running)
    clock[0] += BATCH_GAP * 1.1
    again = kernel.add("again", notebook="n")
    assert kernel.running.request is again


def test_a_cell_that_a_notebook_sends_on_seeing_a_failure_is_run(
    kernel: Kernel, clock: list[float]
) -> None:
    """By its own clock it was sent later, however soon it comes: of an interrupted cell, say."""
    kernel.add("while True: pass", notebook="n", date="2026-11-25T18:00:00.000Z")
    kernel.queue.fail_with(kernel.running, ERROR)
    with_it = kernel.add("sent with it", notebook="n", date="2026-11-25T18:00:00.080Z")
    assert kernel.frontend.reply_to(with_it)["status"] == "aborted"
    later = kernel.add("sent later", notebook="n", date="2026-11-25T18:00:00.500Z")
    assert kernel.running.request is later


def test_a_client_that_is_no_notebook_may_answer_a_failure_at_once(
    kernel: Kernel, clock: list[float]
) -> None:
    kernel.add("a")
    kernel.queue.fail_with(kernel.running, ERROR)
    kernel.add("b")
    assert kernel.codes == ["a", "b"]


def test_a_cell_that_ends_twice_starts_only_one(kernel: Kernel) -> None:
    """Its agent may be lost while its outcome is on the way."""
    kernel.add("a")
    kernel.add("b")
    kernel.add("c")
    first = kernel.running
    kernel.queue.succeed(first)
    kernel.queue.end_turn(first)
    assert kernel.codes == ["a", "b"]


def test_a_long_queue_of_cells_that_end_at_once(kernel: Kernel) -> None:
    """They must not run inside each other."""
    first = kernel.add("first")
    cells = [kernel.add("", silent=True) for _ in range(2000)]
    kernel.runs = kernel.queue.succeed
    kernel.queue.succeed(kernel.running)
    idle = [about for about, kind, _ in kernel.frontend.told if kind == "idle"]
    assert idle == [cell.header["msg_id"] for cell in [first, *cells]]
    assert kernel.queue.running is None


def test_a_cell_that_was_added_while_another_starts_waits(kernel: Kernel) -> None:
    def start(execution: Execution) -> None:
        if execution.code == "a":
            added.append(kernel.add("b"))
            assert kernel.codes == ["a"]
        kernel.queue.succeed(execution)

    added: list[Request] = []
    kernel.runs = start
    kernel.add("a")
    assert kernel.codes == ["a", "b"]
    assert kernel.frontend.of(added[0])[-1] == "idle"


# -- whatever happens

FATES = ["succeeds", "raises", "is refused", "succeeds later", "raises later", "is refused later"]
cells = st.tuples(
    st.sampled_from(FATES), st.booleans(), st.booleans(), st.sampled_from([None, "n", "m"])
)
steps = st.lists(st.sampled_from(["finish", "wait"]) | cells | st.tuples(cells), max_size=25)


def settle(queue: Queue, execution: Execution, fate: str) -> None:
    if "succeeds" in fate:
        queue.succeed(execution)
    elif "raises" in fate:
        queue.fail_with(execution, ERROR)
    elif "later" in fate:
        queue.fail(execution, LiveKernelError("refused"))
    else:
        raise LiveKernelError("refused")


@settings(deadline=None, max_examples=150)
@given(steps)
def test_each_request_is_answered_once_and_in_order(steps: list[Any]) -> None:
    """A tuple is a cell that arrives; one in a tuple is sent, and read at the next failure."""
    kernel, now, fates, sent = Kernel(), [1000.0], {}, []

    def start(execution: Execution) -> None:
        fate = fates[execution.request.header["msg_id"]]
        if "later" not in fate:
            settle(kernel.queue, execution, fate)

    def finish() -> None:
        running = kernel.queue.running
        if running is not None:
            settle(kernel.queue, running, fates[running.request.header["msg_id"]])

    kernel.runs = start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        for step in steps:
            if step == "finish":
                finish()
            elif step == "wait":
                now[0] += BATCH_GAP * 2
            else:
                fate, silent, stops, notebook = step if len(step) == 4 else step[0]
                cell = request("x", notebook=notebook, silent=silent, stop_on_error=stops)
                fates[cell.header["msg_id"]] = fate
                sent.append(cell)
                if len(step) == 4:
                    kernel.frontend.take_in("shell")  # they come in the order of their sending
                    kernel.queue.add(cell)
                else:
                    kernel.frontend.inbox.append(cell)
        kernel.frontend.take_in("shell")
        while kernel.queue.running is not None:
            finish()
    told = [(about, kind) for about, kind, _ in kernel.frontend.told]
    for cell in sent:
        kinds = kernel.frontend.of(cell)
        assert kinds[0] == "busy"
        assert kinds[-2:] == ["execute_reply", "idle"]
        assert kinds.count("busy") == kinds.count("idle") == kinds.count("execute_reply") == 1
        status = kernel.frontend.reply_to(cell)["status"]
        assert ("execute_input" in kinds) == (status != "aborted" and not cell.content["silent"])
    ran = [execution.request for execution in kernel.started]
    assert ran == [cell for cell in sent if cell in ran]
    for earlier, later in itertools.pairwise(ran):
        end, begin = (earlier.header["msg_id"], "execute_reply"), (later.header["msg_id"], "busy")
        assert told.index(end) < told.index(begin)
    assert [number for number, _ in kernel.remembered] == list(range(1, len(kernel.remembered) + 1))


# -- looks, which overtake


def of_notebook(code: str, at: float) -> Request:
    """A cell of a notebook, sent so many seconds after its first."""
    date = datetime.fromtimestamp(1_700_000_000 + at, UTC)
    return request(code, notebook="n", date=date.isoformat())


def test_a_look_runs_beside_what_runs(kernel: Kernel) -> None:
    kernel.add("long")
    waiting = kernel.add("waiting")
    long = kernel.running
    look = kernel.add("look")
    assert kernel.codes == ["long", "look"]
    assert kernel.running is long
    kernel.queue.succeed(kernel.started[-1])
    assert kernel.frontend.of(look)[-2:] == ["execute_reply", "idle"]
    last = (long.request.header["msg_id"], "busy", None)
    assert kernel.frontend.told[-1] == last, "the kernel still is"
    assert kernel.frontend.reply_to(look)["execution_count"] == 2
    assert kernel.frontend.of(waiting) == []
    kernel.queue.succeed(long)
    assert kernel.codes == ["long", "look", "waiting"]
    assert kernel.remembered == [(1, "long"), (2, "look"), (3, "waiting")]


def test_a_look_that_fails_aborts_nothing(kernel: Kernel) -> None:
    kernel.add("long")
    waiting = kernel.add("waiting")
    long = kernel.running
    look = kernel.add("look")
    kernel.queue.fail(kernel.started[-1], LiveKernelError("there is none"))
    assert kernel.frontend.reply_to(look)["status"] == "error"
    assert kernel.frontend.of(waiting) == []
    kernel.queue.succeed(long)
    assert kernel.codes[-1] == "waiting"


def test_a_cell_that_fails_aborts_no_look(kernel: Kernel) -> None:
    kernel.add("long")
    long = kernel.running
    look = kernel.add("look")
    kernel.queue.fail(long, LiveKernelError("it failed"))
    assert kernel.frontend.of(look)[-1] == "execute_input"
    kernel.queue.succeed(kernel.started[-1])
    assert kernel.frontend.reply_to(look)["status"] == "ok"


def test_a_look_runs_in_its_turn_where_nothing_runs(kernel: Kernel) -> None:
    kernel.add("look")
    assert kernel.running is kernel.started[-1]


@pytest.mark.parametrize(("later", "overtakes"), [(0.01, False), (5.0, True)])
def test_a_look_of_run_all_keeps_its_place(kernel: Kernel, later: float, overtakes: bool) -> None:
    kernel.queue.add(of_notebook("long", 0))
    kernel.queue.add(of_notebook("look", later))
    assert kernel.codes == (["long", "look"] if overtakes else ["long"])
    kernel.queue.succeed(kernel.started[0])
    assert kernel.codes == ["long", "look"]


def test_two_looks_at_once_are_run_side_by_side(kernel: Kernel) -> None:
    kernel.add("long")
    first, second = kernel.add("look"), kernel.add("look")
    for execution in kernel.started[1:]:
        kernel.queue.succeed(execution)
    assert [kernel.frontend.reply_to(one)["status"] for one in (first, second)] == ["ok", "ok"]


def test_where_late_output_goes_keeps_nothing_of_what_was_asked() -> None:
    """The last thousand cells have such an outlet each, and what they said may be much."""
    frontend = FakeFrontend()
    asked = request("x = 1  # much")
    execution = Execution(asked, frontend, Queue(frontend, lambda _: None, Inputs(lambda *_: None)))  # type: ignore[arg-type]
    execution.count = 7
    later = execution.for_later()
    gone = weakref.ref(execution)
    header = asked.header
    del execution, asked
    gc.collect()
    assert gone() is None
    assert later.request.content == {}
    later.show({"event": "result", "data": {"text/plain": "1"}, "metadata": {}})
    ((parent, kind, content),) = frontend.told
    assert (parent, kind) == (header["msg_id"], "execute_result")
    assert content["execution_count"] == 7
