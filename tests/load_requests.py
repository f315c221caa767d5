"""Load by requests: subshells, comms, completions, history, queues, breakpoints, traces, watches.

See `loads.py`. Rule: however many come at once, an interrupt among them is answered in time.
"""

from __future__ import annotations

import sys
import time

from gauges import Row, nothing_more, within
from kernels import Cell
from loads import PATIENCE, Listener, attached, case
from targets import eventually


def _send(kernel: Listener, kind: str, content: dict[str, object], times: int) -> list[str]:
    """Send requests without waiting for their answers, which are taken in meanwhile."""
    sent = []
    for number in range(times):
        sent.append(kernel.send(kind, content))
        if number % 50 == 49:
            kernel.take_in()
    return sent


@case("subshells opened and closed", times=500, few=50)
def subshells(times: int) -> Row:
    """Each runs a cell and goes."""
    with attached("subshells opened and closed") as (kernel, gauges, row):

        def open_and_close() -> None:
            name = kernel.ask("create_subshell_request", "control")["subshell_id"]
            assert kernel.begin("1", subshell=name).finish(PATIENCE).status == "ok"
            kernel.ask("delete_subshell_request", "control", subshell_id=name)
            kernel.messages.clear()

        for _ in range(max(20, times // 10)):
            open_and_close()
        gauges.start_again()
        for _ in range(times):
            open_and_close()
        row.done = f"{times:,}, one after the other, each with a cell"
        cell = kernel.begin("while True: pass")
        nothing_more(gauges, but=("mappings of the target", "mappings of the launcher"))
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        within(gauges.growth, launcher=4 + times / 300, target=4 + times / 300)
    return row


@case("comms opened and closed", times=1000, few=40)
def comms(times: int) -> Row:
    """Opened by a cell, spoken to by the front-end with a buffer, and closed."""
    with attached("comms opened and closed", python=sys.executable) as (kernel, gauges, row):

        def open_and_close() -> None:
            cell = kernel.run("import comm; c = comm.create_comm(target_name='view')", PATIENCE)
            name = cell.contents("comm_open")[0]["comm_id"]
            content = {"comm_id": name, "data": {}}
            kernel.send("comm_msg", content, buffers=[b"x" * 100_000])
            kernel.send("comm_close", content)
            assert kernel.run("del c", PATIENCE).status == "ok"
            kernel.messages.clear()

        for _ in range(max(20, times // 10)):
            open_and_close()
        gauges.start_again()
        for _ in range(times):
            open_and_close()
        row.done = f"{times:,}, each with a message of 100 kB"
        assert kernel.ask("comm_info_request")["comms"] == {}
        row.interrupted.append(kernel.seconds_to_interrupt(kernel.begin("while True: pass")))
        within(gauges.growth, launcher=8 + times / 150, target=8 + times / 150)
    return row


@case("completions at once", times=10_000, few=500)
def completions(times: int) -> Row:
    """While a cell runs, asked as fast as they can be sent; and an interrupt among them."""
    with attached("completions at once") as (kernel, gauges, row):
        cell = kernel.begin("import time\nwhile True: time.sleep(0.01)")
        content: dict[str, object] = {"code": "orders[0].tot", "cursor_pos": 13}
        sent = _send(kernel, "complete_request", content, times // 2)
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        sent += _send(kernel, "complete_request", content, times - len(sent))
        matches = kernel.reply_to(sent[-1])["matches"] if times else []
        assert matches == ["total"], matches
        row.done = f"{times:,} requests"
        within(gauges.peak, launcher=100 + times / 500, target=50)
    return row


@case("a long history", times=5000, few=500)
def history(times: int) -> Row:
    """So many inputs are kept already, and are searched while a cell runs."""
    with attached("a long history") as (kernel, _, row):
        for number in range(times):
            last = kernel.begin(f"{number} + 1")
            if number % 100 == 99:
                kernel.reply_to(last.request)
                kernel.messages.clear()
        cell = kernel.begin("while True: pass")
        for _ in range(20):
            kernel.send(
                "history_request",
                {"hist_access_type": "search", "pattern": "*9*", "output": False, "raw": True},
            )
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        content = {"hist_access_type": "range", "session": 0, "start": 1, "output": False}
        lines = kernel.ask("history_request", stop=times, raw=True, **content)["history"]
        assert len(lines) > times - 200, len(lines)
        row.done = f"{times:,} inputs, then searched"
        row.outcome = f"{len(lines):,} came back"
    return row


def _seconds_to_abort(kernel: Listener, last: Cell) -> float:
    """Until the last of a queue is answered, as aborted; and the kernel goes on answering."""

    def has_come() -> bool:
        """Among the latest messages: to look at all takes longer each time."""
        return any(
            m["msg_type"] == "execute_reply" and m["parent_header"]["msg_id"] == last.request
            for m in kernel.messages[-50:]
        )

    begun = time.monotonic()
    kernel.wait(has_come, 4 * PATIENCE, "the last reply")
    seconds = time.monotonic() - begun
    assert last.status == "aborted"
    assert kernel.still_answers()
    return seconds


@case("a queue of cells", times=10_000, few=4000)
def queue(times: int) -> Row:
    """All sent at once behind a cell that has no end; then interrupted, which aborts them."""
    with attached("a queue of cells") as (kernel, gauges, row):
        first = kernel.begin("while True: pass")
        cells = [kernel.begin("1 + 1") for _ in range(times)]
        row.interrupted.append(kernel.seconds_to_interrupt(first))
        seconds = _seconds_to_abort(kernel, cells[-1])
        row.done = f"{times:,} cells behind one that is interrupted"
        row.outcome = f"all aborted {seconds:.1f} s later"
        within(gauges.peak, launcher=50 + times / 50, target=50)
    return row


@case("a queue that is run", times=10_000, few=500)
def run_queue(times: int) -> Row:
    """All sent at once, and run; an interrupt in their midst ends it."""
    with attached("a queue that is run") as (kernel, gauges, row):
        cells = [kernel.begin("import time; time.sleep(0.001)") for _ in range(times)]
        cells[10].finish(PATIENCE)
        begun = time.monotonic()

        def is_stopped() -> bool:
            """One that comes between two cells interrupts neither, and has to be repeated."""
            kernel.interrupt()
            ended = ("error", "aborted")
            return any(m["content"].get("status") in ended for m in kernel.messages[-50:])

        eventually(is_stopped, PATIENCE)
        row.interrupted.append(time.monotonic() - begun)
        seconds = row.interrupted[-1] + _seconds_to_abort(kernel, cells[-1])
        row.outcome = f"all others aborted {seconds:.1f} s later"
        row.done = f"{times:,} cells"
        within(gauges.peak, launcher=50 + times / 50, target=50)
    return row


@case("breakpoints", times=2000, few=200)
def breakpoints(times: int) -> Row:
    """Set and removed, and at last all at one line that is passed again and again."""
    with attached("breakpoints", "hot") as (kernel, gauges, row):

        def set_and_remove(count: int) -> None:
            for _ in range(count):
                assert kernel.run("%break work if number < 0", PATIENCE).status == "ok"
                assert kernel.run("%unbreak all", PATIENCE).status == "ok"
                kernel.messages.clear()

        set_and_remove(max(20, times // 20))
        gauges.start_again()
        set_and_remove(times // 2)
        row.done = f"{times // 2:,} set and removed"
        row.interrupted.append(kernel.seconds_to_interrupt(kernel.begin("while True: pass")))
        each = gauges.growth["target"] / (times // 2)
        row.outcome = f"{each:.0f} bytes of the target each"
        within(gauges.growth, launcher=4 + times / 500, target=4 + times / 500)
    return row


@case("a trace of a hot function", times=30, few=2)
def trace(times: int) -> Row:
    """Without a limit, of a function that is called as fast as can be."""
    with attached("a trace of a hot function", "hot") as (kernel, gauges, row):
        cell = kernel.begin(f"%trace work -n all for {times}s --here")
        kernel.read_for(times / 2)
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        row.done = f"for {times // 2} s, or a million calls"
        assert kernel.still_answers()
        within(gauges.peak, launcher=50, target=50)
    return row


@case("watches at the shortest interval", times=20, few=2)
def watch(times: int) -> Row:
    """Fifty of them, beside cells."""
    with attached("watches at the shortest interval") as (kernel, gauges, row):
        for number in range(50):
            code = f"%watch len(orders) + {number} every 50ms for 1h --beside"
            assert kernel.run(code, PATIENCE).status == "ok", kernel.messages[-3:]
        kernel.read_for(times / 4)
        gauges.start_again()
        kernel.read_for(times)
        cell = kernel.begin("while True: pass")
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        row.done = f"50 of them for {times} s"
        assert kernel.run("%unwatch all", PATIENCE).status == "ok"
        within(gauges.growth, launcher=10, target=10)
    return row
