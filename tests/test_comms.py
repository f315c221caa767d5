"""Comms and widgets: objects in the target that speak with their views in a front-end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from kernels import Cell, Kernel, Message
from snapshots import Program
from targets import Target

pytestmark = [pytest.mark.attach, pytest.mark.client]


@pytest.fixture
def program() -> Iterator[Target]:
    """It runs on a Python that has ipywidgets."""
    with Target("idle", sys.executable) as running:
        yield running


@pytest.fixture
def kernel(program: Target) -> Iterator[Kernel]:
    with Kernel("--pid", program.pid) as started:
        yield started


def opened(cell: Cell) -> Message:
    """What the first comm that a cell opened said."""
    return cell.contents("comm_open")[0]


def tell(kernel: Kernel, comm: str, data: Message, **options: Any) -> Cell:
    """Say something on a comm, and wait until that is dealt with."""
    request = kernel.send("comm_msg", {"comm_id": comm, "data": data}, **options)
    said = Cell(kernel, request)
    kernel.wait(lambda: said.contents("status")[1:], what="idle")
    assert [content["execution_state"] for content in said.contents("status")] == ["busy", "idle"]
    return said


OPEN = "import comm\nwidget = comm.create_comm(target_name='view', data={'size': 3})"


def test_a_cell_opens_one_and_a_front_end_answers(kernel: Kernel) -> None:
    cell = kernel.run(f"{OPEN}\ngot = []\nwidget.on_msg(lambda m: got.append(m['content']))")
    content = opened(cell)
    assert (content["target_name"], content["data"]) == ("view", {"size": 3})
    name = content["comm_id"]
    assert kernel.ask("comm_info_request")["comms"] == {name: {"target_name": "view"}}
    assert kernel.ask("comm_info_request", target_name="other")["comms"] == {}
    tell(kernel, name, {"n": 1})
    assert kernel.value("got[0]['data']['n']") == 1


def test_what_a_callback_writes_belongs_to_its_message(kernel: Kernel) -> None:
    cell = kernel.run(
        f"{OPEN}\nwidget.on_msg(lambda m: (print('called'), widget.send({{'b': 2}})))"
    )
    said = tell(kernel, opened(cell)["comm_id"], {})
    assert said.stdout == "called\n"
    assert said.contents("comm_msg")[0]["data"] == {"b": 2}


def test_what_a_callback_raises_is_told_there(kernel: Kernel, program: Target) -> None:
    cell = kernel.run(f"{OPEN}\nwidget.on_msg(lambda m: 1 / 0)")
    said = tell(kernel, opened(cell)["comm_id"], {})
    assert "ZeroDivisionError" in said.stderr
    assert program.errors() == []


def test_buffers_travel_both_ways(kernel: Kernel) -> None:
    code = """
def back(message):
    received = [bytes(each) for each in message['buffers']]
    widget.send({'sizes': list(map(len, received))}, buffers=[*received, memoryview(b'end')])
widget.on_msg(back)
"""
    cell = kernel.run(OPEN + code)
    said = tell(kernel, opened(cell)["comm_id"], {}, buffers=[b"one", b"", bytes(300_000)])
    (answer,) = [m for m in said.messages if m["msg_type"] == "comm_msg"]
    assert answer["content"]["data"] == {"sizes": [3, 0, 300_000]}
    assert [bytes(each) for each in answer["buffers"]] == [b"one", b"", bytes(300_000), b"end"]


def test_a_front_end_opens_one(kernel: Kernel) -> None:
    kernel.run(
        "import comm\nkept = []\n"
        "comm.get_comm_manager().register_target('logic', lambda c, m: kept.append((c, m)))"
    )
    for name, target in (("a", "logic"), ("b", "nobody's")):
        request = kernel.send("comm_open", {"comm_id": name, "target_name": target, "data": {}})
        kernel.wait(lambda request=request: Cell(kernel, request).contents("status")[1:])  # type: ignore[misc]
    assert kernel.value("kept[0][0].comm_id") == "a"
    assert kernel.ask("comm_info_request")["comms"] == {"a": {"target_name": "logic"}}
    assert [m["content"]["comm_id"] for m in kernel.messages if m["msg_type"] == "comm_close"] == [
        "b"
    ]


def test_either_side_closes_one(kernel: Kernel) -> None:
    first = opened(kernel.run(OPEN))["comm_id"]
    assert kernel.run("widget.close()").contents("comm_close")[0]["comm_id"] == first
    code = f"{OPEN}\nclosed = []\nwidget.on_close(lambda m: closed.append(1))"
    second = opened(kernel.run(code))["comm_id"]
    kernel.send("comm_close", {"comm_id": second, "data": {}})
    kernel.wait(lambda: kernel.ask("comm_info_request")["comms"] == {})
    assert kernel.value("closed") == [1]


def test_a_cell_that_awaits_gets_its_answer(kernel: Kernel) -> None:
    """Though the shell is busy with that cell, and others wait behind it."""
    cell = kernel.begin(
        f"""{OPEN}
import asyncio
reply = asyncio.get_running_loop().create_future()
widget.on_msg(lambda m: reply.set_result(m['content']['data']['n']))
await asyncio.wait_for(reply, 10)
"""
    )
    behind = kernel.begin("'behind'")
    kernel.wait(lambda: cell.contents("comm_open"))
    tell(kernel, opened(cell)["comm_id"], {"n": 7})
    assert cell.finish().result == "7"
    assert behind.finish().result == "'behind'"


def test_while_a_cell_computes_a_message_waits_its_turn(kernel: Kernel) -> None:
    cell = kernel.run(
        f"{OPEN}\ngot = []\nwidget.on_msg(lambda m: got.append(m['content']['data']['n']))\n"
        "import threading; goes_on = threading.Event()"
    )
    name = opened(cell)["comm_id"]
    subshell = kernel.ask("create_subshell_request", "control")["subshell_id"]
    computes = kernel.begin("print('begun', flush=True)\ngoes_on.wait()\nlist(got)")
    computes.wait_for("begun")
    for number in (1, 2, 3):
        kernel.send("comm_msg", {"comm_id": name, "data": {"n": number}})
    behind = kernel.begin("got")
    kernel.begin("goes_on.set()", subshell=subshell).finish()
    assert computes.finish().result == "[]"
    assert behind.finish().result == "[1, 2, 3]"


def test_a_message_to_a_subshell_does_not_wait(kernel: Kernel) -> None:
    """So JupyterLab sends what its widgets say."""
    cell = kernel.run(
        f"{OPEN}\nimport threading; goes_on = threading.Event()\n"
        "widget.on_msg(lambda m: goes_on.set())"
    )
    subshell = kernel.ask("create_subshell_request", "control")["subshell_id"]
    computes = kernel.begin("print('begun', flush=True)\ngoes_on.wait(10)")
    computes.wait_for("begun")
    tell(kernel, opened(cell)["comm_id"], {}, subshell=subshell)
    assert computes.finish().result == "True"


def test_comms_are_closed_when_the_target_is_left(kernel: Kernel) -> None:
    name = opened(kernel.run(OPEN))["comm_id"]
    kernel.run("%detach")
    closed = [m["content"]["comm_id"] for m in kernel.messages if m["msg_type"] == "comm_close"]
    assert closed == [name]
    assert kernel.ask("comm_info_request")["comms"] == {}
    said = tell(kernel, name, {})
    assert said.text.strip() == ""


def test_nothing_is_loaded_for_a_message_that_nobody_expects() -> None:
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        tell(kernel, "unknown", {"n": 1})
        assert kernel.value("'comm' in __import__('sys').modules") is False


# -- ipywidgets

SLIDER = """
import ipywidgets
from IPython.display import display
slider = ipywidgets.IntSlider(value=5, description='Size')
changes = []
slider.observe(lambda change: (changes.append(change['new']), print('now', change['new'])), 'value')
"""


def model_of(kernel: Kernel, name: str) -> str:
    return str(kernel.value(f"{name}.model_id"))


def test_a_slider_is_shown_and_moved(kernel: Kernel) -> None:
    kernel.run(SLIDER)
    shown = kernel.run("slider")
    data = shown.contents("execute_result")[0]["data"]
    model = model_of(kernel, "slider")
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == model
    state = {"method": "update", "state": {"value": 8}, "buffer_paths": []}
    said = tell(kernel, model, state)
    assert said.stdout == "now 8\n"
    assert kernel.value("slider.value, changes") == (8, [8])
    moved = kernel.run("slider.value = 2")
    assert moved.contents("comm_msg")[0]["data"]["state"]["value"] == 2


def test_a_button_that_fails_tells_so(kernel: Kernel, program: Target) -> None:
    kernel.run(f"{SLIDER}\nbutton = ipywidgets.Button()\nbutton.on_click(lambda b: 1 / 0)")
    event = {"method": "custom", "content": {"event": "click"}}
    said = tell(kernel, model_of(kernel, "button"), event)
    assert "ZeroDivisionError" in said.text
    assert program.errors() == []


def test_a_front_end_asks_for_all_states(kernel: Kernel) -> None:
    """As JupyterLab does on opening a notebook that has widgets."""
    kernel.run(SLIDER)
    content = {"comm_id": "x", "target_name": "jupyter.widget.control", "data": {}}
    kernel.send("comm_open", content, metadata={"version": "1.0.0"})
    said = tell(kernel, "x", {"method": "request_states"})
    (answer,) = said.contents("comm_msg")
    assert said.stderr == ""
    assert answer["data"]["method"] == "update_states"
    assert model_of(kernel, "slider") in answer["data"]["states"]


def test_a_thread_moves_a_widget_after_its_cell(kernel: Kernel) -> None:
    cell = kernel.run(
        f"""{SLIDER}
import threading
goes_on = threading.Event()
def work():
    goes_on.wait()
    slider.value = 9
thread = threading.Thread(target=work)
thread.start()
"""
    )
    assert cell.status == "ok"
    kernel.run("goes_on.set(); thread.join()")
    states = [
        m["content"]["data"]["state"]
        for m in kernel.messages
        if m["msg_type"] == "comm_msg" and m["content"]["data"].get("method") == "update"
    ]
    assert {"value": 9} in states


def test_output_is_captured_by_a_widget(kernel: Kernel) -> None:
    cell = kernel.run(f"{SLIDER}\nout = ipywidgets.Output()\nwith out:\n    print('inside')")
    captured = [
        c["data"]["state"]["msg_id"]
        for c in cell.contents("comm_msg")
        if "msg_id" in c["data"].get("state", {})
    ]
    assert captured == [cell.request, ""]
    assert cell.stdout == "inside\n"


def test_interact(kernel: Kernel) -> None:
    cell = kernel.run(
        "import ipywidgets\n@ipywidgets.interact(n=(0, 10))\ndef shown(n=4):\n    return n * 2"
    )
    assert cell.status == "ok", cell
    assert any(
        "IntSlider" in str(c["data"].get("text/plain"))
        or "application/vnd.jupyter.widget-view+json" in c["data"]
        for c in cell.contents("display_data")
    )


def test_the_programs_own_widgets_are_its_own() -> None:
    with Target("widgets", sys.executable) as program:

        def told(line: str) -> list[str]:
            program.send(line)
            return program.wait_for(line).split()[1:]

        before = told("before")
        with Kernel("--pid", program.pid) as kernel:
            kernel.run(SLIDER)
            assert kernel.value("slider.comm is not None, own.value") == (True, 3)
            assert kernel.run("own.value = 4").contents("comm_msg") == []
            assert int(told("while")[2]) > int(before[2])
        assert told("after") == [*before[:3], "4"]
