"""The comm by which a front-end's panel sees a kernel's target, and has it attached and left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kernels import Kernel, Message
from snapshots import Program
from targets import Target, eventually

from live_kernel.launcher import panels

pytestmark = [pytest.mark.attach, pytest.mark.client]


class Panel:
    """One that a front-end has opened."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel, self.name = kernel, name
        self._numbers = iter(range(1000))
        kernel.send("comm_open", {"comm_id": name, "target_name": "live-kernel", "data": {}})

    @property
    def told(self) -> list[Message]:
        """All that it was told."""
        contents = [m["content"] for m in self.kernel.messages if m["msg_type"] == "comm_msg"]
        return [content["data"] for content in contents if content["comm_id"] == self.name]

    @property
    def state(self) -> Message:
        states = [data for data in self.told if "state" in data]
        return states[-1] if states else {"state": None}

    def wait_for(self, state: str) -> Message:
        self.kernel.wait(lambda: self.state["state"] == state, what=f"{state} is told")
        return self.state

    def say(self, data: Any) -> None:
        self.kernel.send("comm_msg", {"comm_id": self.name, "data": data})

    def begin(self, do: str, **more: Any) -> int:
        number = next(self._numbers)
        self.say({"do": do, "id": number, **more})
        return number

    def answer(self, number: int | None) -> Message:
        def answers() -> list[Message]:
            return [data for data in self.told if "answer" in data and data["answer"] == number]

        self.kernel.wait(answers, what=f"the answer to {number}")
        (answer,) = answers()
        return answer

    def ask(self, do: str, **more: Any) -> Message:
        return self.answer(self.begin(do, **more))

    def close(self) -> None:
        self.kernel.send("comm_close", {"comm_id": self.name, "data": {}})


@pytest.fixture
def free() -> Iterator[Kernel]:
    """A kernel without a target."""
    with Kernel() as started:
        yield started


def test_is_told_of_the_target_at_once(kernel: Kernel, program: Program) -> None:
    state = Panel(kernel, "one").wait_for("attached")
    target = state["target"]
    assert target["pid"] == program.pid
    assert target["name"] == "idle"
    assert "idle.py" in target["command"]
    assert abs(target["started"] - time.time()) < 600
    assert set(target["guard"]) >= {"banner", "colour", "observe", "confirm", "idle"}


def test_is_told_what_cells_see(kernel: Kernel) -> None:
    panel = Panel(kernel, "one")
    kernel.wait(lambda: panel.state.get("bound") == "module __main__ (idle.py)", what="the place")
    kernel.run("%module json")
    kernel.wait(lambda: "module json" in panel.state["bound"], what="the other place")


def test_attaches_and_detaches(free: Kernel, program: Program) -> None:
    before = program.snapshot()
    panel = Panel(free, "one")
    assert panel.wait_for("detached")["target"] is None
    assert "error" not in panel.ask("attach", pid=program.pid)
    assert panel.wait_for("attached")["target"]["pid"] == program.pid
    assert free.value("total()") == 42
    assert "Detached from" in panel.ask("detach")["text"]
    assert panel.wait_for("detached")["target"] is None
    program.assert_unharmed_since(before)


def test_says_in_a_cell_what_was_attached_elsewhere(free: Kernel, program: Program) -> None:
    panel = Panel(free, "one")
    panel.ask("attach", pid=program.pid)
    assert f"Attached to pid {program.pid}" in free.run("1").notes


def test_refuses_a_process_that_has_another_s_pid(free: Kernel, program: Program) -> None:
    error = Panel(free, "one").ask("attach", pid=program.pid, started=1_000_000.0)["error"]
    assert error["name"] == "TargetNotFound"
    assert "another process now" in error["message"]
    assert free.run("1").error[0] == "NoTarget"
    started = time.time() - _uptime(program.pid)
    assert "error" not in Panel(free, "two").ask("attach", pid=program.pid, started=started)


def _uptime(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - of the system
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def test_tells_why_it_can_t_be_attached(free: Kernel) -> None:
    error = Panel(free, "one").ask("attach", pid=os.getppid())["error"]
    assert error["message"]
    assert error["name"] != "LiveKernelError"


def test_binds_and_lists_what_could_be_bound(kernel: Kernel) -> None:
    panel = Panel(kernel, "one")
    panel.wait_for("attached")
    found = panel.ask("places")
    places = found["places"]
    by_kind = {place["how"] for place in places}
    assert by_kind == {"frame", "thread", "module"}
    assert {"how": "frame", "what": "--default"}.items() <= places[-1].items()
    assert "__main__" in [place["what"] for place in places if place["how"] == "module"]
    threads = [place["label"] for place in places if place["how"] == "thread"]
    assert "MainThread" in threads
    answer = panel.ask("bind", how="module", what="json")
    assert answer["text"].startswith("Cells see module json")
    kernel.wait(lambda: "module json" in panel.state["bound"], what="the other place")
    assert kernel.run("dumps").result is not None
    error = panel.ask("bind", how="module", what="no.such")["error"]
    assert (error["name"], error["remedy"] != "") == ("ModuleUnknown", False)


def test_lists_frames_and_tasks(kernel: Kernel, program: Program) -> None:
    with Target("aio_idle") as app:
        panel = Panel(kernel, "one")
        panel.ask("attach", pid=app.pid)
        places = panel.ask("places")["places"]
        assert any(place["how"] == "task" for place in places)
        frames = [place for place in places if place["how"] == "frame"]
        assert frames[0]["detail"].rpartition(":")[2].isdecimal()


def test_a_deed_waits_for_the_cell_that_runs(kernel: Kernel) -> None:
    panel = Panel(kernel, "one")
    panel.wait_for("attached")
    cell = kernel.begin("input_is_over = False\nwhile not input_is_over: pass")
    kernel.wait(lambda: cell.contents("execute_input"), what="the cell runs")
    number = panel.begin("detach")
    kernel.wait(lambda: [d for d in panel.told if d.get("progress") == number], what="it waits")
    assert panel.ask("places")["places"], "while a cell runs"
    kernel.interrupt()
    panel.answer(number)
    cell.finish()
    assert panel.wait_for("detached")["target"] is None


def test_is_told_of_a_blocked_target_and_wakes_it(free: Kernel) -> None:
    with Target("asleep") as sleeper:
        panel = Panel(free, "one")
        assert panel.ask("wake")["error"]["name"] == "NoTarget"
        number = panel.begin("attach", pid=sleeper.pid)
        free.wait(lambda: panel.state.get("blocked"), what="it is blocked")
        assert panel.state["state"] == "injecting"
        blocked = panel.state["blocked"]
        assert blocked["wake"], blocked
        panel.ask("wake")
        assert "error" not in panel.answer(number)
        assert "blocked" not in panel.wait_for("attached")


def test_gives_up_a_blocked_target(free: Kernel) -> None:
    with Target("asleep") as sleeper:
        panel = Panel(free, "one")
        number = panel.begin("attach", pid=sleeper.pid)
        free.wait(lambda: panel.state.get("blocked"), what="it is blocked")
        panel.ask("detach")
        assert panel.answer(number)["error"]["name"] == "TargetBlocked"
        panel.wait_for("detached")


def test_is_told_of_the_program_s_end(free: Kernel) -> None:
    panel = Panel(free, "one")
    with Target("idle") as program:
        panel.ask("attach", pid=program.pid)
        program.process.kill()
        state = panel.wait_for("lost")
    assert state["target"]["pid"] == program.pid
    assert state["failure"]["message"]


def test_figures_come_while_somebody_looks(
    kernel: Kernel, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = Panel(kernel, "one")

    def figures() -> list[Message]:
        return [data["usage"] for data in panel.told if "usage" in data]

    kernel.wait(lambda: len(figures()) > 1, what="two figures")
    assert figures()[-1]["memory"] > 1_000_000
    assert figures()[-1]["threads"] >= 3
    assert figures()[-1]["cpu"] >= 0
    panel.close()
    assert kernel.ask("comm_info_request")["comms"] == {}
    count = len(panel.told)
    # Nothing is to come, for longer than figures are apart: a cell's second and a half tells.
    kernel.run("import time; time.sleep(1.5)")
    assert len(panel.told) == count


def test_many_front_ends_see_the_same(kernel: Kernel) -> None:
    several = [Panel(kernel, f"panel-{number}") for number in range(3)]
    for panel in several:
        panel.wait_for("attached")
    several[0].ask("detach")
    for panel in several:
        panel.wait_for("detached")
    names = kernel.ask("comm_info_request", target_name="live-kernel")["comms"]
    assert set(names) == {panel.name for panel in several}
    assert kernel.ask("comm_info_request", target_name="jupyter.widget")["comms"] == {}


def test_of_too_many_the_oldest_is_closed(free: Kernel) -> None:
    several = [Panel(free, f"panel-{number}") for number in range(panels.MOST + 1)]
    several[-1].wait_for("detached")
    closed = [m["content"]["comm_id"] for m in free.messages if m["msg_type"] == "comm_close"]
    assert closed == ["panel-0"]
    assert len(free.ask("comm_info_request")["comms"]) == panels.MOST


def test_what_makes_no_sense_is_answered(kernel: Kernel, program: Program) -> None:
    panel = Panel(kernel, "one")
    wrong: list[Any] = [None, 7, [], {"do": "run", "code": "word = 'hacked'"}, {"do": {}}]
    for number, data in enumerate(wrong):
        panel.say(data)
        kernel.wait(
            lambda number=number: len([d for d in panel.told if "error" in d]) > number,  # type: ignore[misc]
            what=f"the refusal of {data}",
        )
    assert all(d["error"]["name"] == "CommandMisused" for d in panel.told if "error" in d)
    for content in ({"comm_id": 7}, {"comm_id": "x" * 1000}, {}):
        kernel.send("comm_open", {"target_name": "live-kernel", "data": {}, **content})
    kernel.send("comm_msg", {"comm_id": "nobody's", "data": {"do": "detach"}})
    assert kernel.value("word") == "start"
    assert set(kernel.ask("comm_info_request")["comms"]) == {"one"}


def test_none_of_it_reaches_the_program(free: Kernel, program: Program) -> None:
    before = program.snapshot()
    panel = Panel(free, "one")
    panel.ask("attach", pid=program.pid)
    panel.say({"do": "look"})
    panel.ask("bind", how="frame", what="--default")
    panel.ask("detach")
    program.assert_unharmed_since(before)


def test_is_closed_with_the_kernel_and_opened_after_a_restart(kernel: Kernel) -> None:
    Panel(kernel, "one").wait_for("attached")
    kernel.restart()
    assert kernel.ask("comm_info_request")["comms"] == {}
    Panel(kernel, "two").wait_for("attached")


def test_deeds_are_on_record(free: Kernel, program: Program) -> None:
    Panel(free, "one").ask("attach", pid=program.pid)
    entries = [json.loads(line) for line in free.run("%log --json").stdout.splitlines()]
    codes = [entry.get("code") for entry in entries]
    assert f"%attach {program.pid}" in codes


def test_looking_is_no_use(program: Program) -> None:
    """A front-end that only shows a target does not keep the kernel from leaving it."""
    with Kernel("--pid", program.pid, "--idle", "1s") as kernel:
        panel = Panel(kernel, "one")
        panel.wait_for("attached")

        def is_left() -> bool:
            panel.begin("look")
            kernel.take_in(0.1)
            return bool(panel.state["state"] == "detached")

        eventually(is_left, what="it is left")
