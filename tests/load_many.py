"""Load by numbers: many cells, many clients, many kernels, many programs.

See `loads.py`. Rule: each of many is as well served as one, and what one leaves grows nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import zmq
from gauges import MB, Gauges, Row, nothing_more, ours, value, within
from jupyter_client.blocking.client import BlockingKernelClient
from loads import PATIENCE, Listener, attached, case, published
from snapshots import Program
from targets import eventually

from live_kernel.handle import Handle, attach

CELL = "for n in range(10): print(n)\nmine = [n] * 1000\nmine[0]"
WARMING = 1000
"""Cells after which a session has what it keeps: signatures, cells that may still write."""


@case("short cells in one session", times=10_000, few=150)
def short_cells(times: int) -> Row:
    """What a session keeps of a cell is its source and its value, as IPython does."""
    with attached("short cells in one session") as (kernel, gauges, row):
        warming = min(WARMING, times // 3)
        for _ in range(warming):
            assert kernel.run(CELL).status == "ok"
            kernel.messages.clear()
        gauges.start_again()
        for _ in range(times - warming):
            assert kernel.run(CELL).status == "ok"
            kernel.messages.clear()
        counted = times - warming
        row.done = f"{times:,} cells"
        each = {name: size / counted for name, size in gauges.growth.items()}
        row.outcome = f"{each['launcher']:.0f} and {each['target']:.0f} bytes a cell"
        limit = 4 * MB + 2000 * counted
        assert gauges.growth["target"] < limit, row.outcome
        assert gauges.growth["launcher"] < limit, row.outcome
        nothing_more(gauges, but=("mappings of the target", "mappings of the launcher"))
        row.interrupted.append(kernel.seconds_to_interrupt(kernel.begin("while True: pass")))
    return row


@contextlib.contextmanager
def clients(kernel: Listener, count: int) -> Iterator[list[BlockingKernelClient]]:
    """So many more front-ends, which have all been welcomed."""
    made = []
    try:
        for _ in range(count):
            client = BlockingKernelClient()  # of its own session: the others are other people
            client.load_connection_info(kernel.manager.get_connection_info(session=False))
            made.append(client)
            client.start_channels(hb=False)
        for client in made:
            while client.get_iopub_msg(timeout=PATIENCE)["msg_type"] != "iopub_welcome":
                pass
        yield made
    finally:
        for client in made:
            client.stop_channels()


@case("clients of one kernel", times=50, few=6)
def many_clients(times: int) -> Row:
    """Each runs cells and completes, and each sees what all have run."""
    with attached("clients of one kernel") as (kernel, gauges, row):
        rounds = 5
        with clients(kernel, times) as all_of_them:
            sent = {}
            for turn in range(rounds):
                for number, client in enumerate(all_of_them):
                    code = f"print('of', {number}, {turn}); {number} * {turn}"
                    sent[client.execute(code)] = f"of {number} {turn}\n"
                    client.complete("orders[0].tot")
            for client in all_of_them:
                kinds = Counter(
                    client.get_shell_msg(timeout=PATIENCE)["msg_type"] for _ in range(2 * rounds)
                )
                assert kinds == {"execute_reply": rounds, "complete_reply": rounds}, kinds
                assert _outputs(client, len(sent)) == sent
            long = all_of_them[0].execute("while True: pass")
            eventually(lambda: _is_busy(all_of_them[-1], long), PATIENCE)
            begun = time.monotonic()
            last = all_of_them[-1]
            last.session.send(last.control_channel.socket, "interrupt_request", {})
            all_of_them[0].get_shell_msg(timeout=PATIENCE)
            row.interrupted.append(time.monotonic() - begun)
            kernel.messages.clear()
            kernel.take_in()
        row.done = f"{times} clients, {rounds} cells and completions each"
        row.outcome = f"each has seen all {len(sent)} outputs"
        within(gauges.peak, launcher=100, target=50)
    return row


def _outputs(client: BlockingKernelClient, count: int) -> dict[str, str]:
    """The outputs of cells that a client sees, by their requests, up to that many."""
    seen: dict[str, str] = {}
    idle = 0
    while idle < 2 * count:
        message = client.get_iopub_msg(timeout=PATIENCE)
        request = message["parent_header"].get("msg_id", "")
        if message["msg_type"] == "stream":
            seen[request] = seen.get(request, "") + message["content"]["text"]
        elif message["msg_type"] == "status":
            idle += message["content"]["execution_state"] == "idle"
    return seen


def _is_busy(client: BlockingKernelClient, request: str) -> bool:
    message = client.get_iopub_msg(timeout=PATIENCE)
    return message["parent_header"].get("msg_id") == request


_PICTURES = """\
import os
for _ in range(300): display({'image/png': os.urandom(10**6)}, raw=True)"""


@case("a front-end that takes nothing", times=1, few=1)
def taking_nothing(times: int) -> Row:
    """One is connected and never reads: the others wait for it, and then no longer."""
    with attached("a front-end that takes nothing") as (kernel, gauges, row):
        for _ in range(times):
            socket = zmq.Context.instance().socket(zmq.SUB)
            socket.rcvhwm, socket.rcvbuf, socket.linger = 1, 4096, 0
            socket.subscribe(b"")
            info = kernel.manager.get_connection_info()
            socket.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
            published(socket)
            begun = time.monotonic()
            cell = kernel.begin(_PICTURES)
            cell.finish(120)
            waited = time.monotonic() - begun
            socket.close()
        row.done = "300 MB of pictures"
        row.outcome = f"the other one had them all within {waited:.0f} s"
        assert waited > 5, "nobody was waited for"
        within(gauges.peak, launcher=200, target=50)
    return row


@case("kernels on one program", times=30, few=3)
def many_kernels(times: int) -> Row:
    """Each has names and cells of its own; they go one by one, and the rest stays."""
    row = Row("kernels on one program", f"{times} kernels")
    with Program("idle") as program, ExitStack() as stack:
        before = program.snapshot()
        kernels = [stack.enter_context(Listener("--pid", program.pid)) for _ in range(times)]
        for number, kernel in enumerate(kernels):
            assert kernel.run(f"mine = {number}", PATIENCE).status == "ok"
        pids = [kernel.launcher_pid for kernel in kernels]
        with Gauges(launcher=pids, target=program.pid, frontend=ours()) as gauges:
            for number, kernel in enumerate(kernels):
                assert kernel.value("mine") == number
            long = [kernel.begin("import time\nwhile True: time.sleep(0.01)") for kernel in kernels]
            row.interrupted += [
                kernel.seconds_to_interrupt(cell)
                for kernel, cell in zip(kernels, long, strict=True)
            ]
            row.measured(gauges)
        threads = gauges.held["threads of the target"]
        assert threads <= 0, threads
        while kernels:
            kernels.pop(0).close()
            for number, kernel in enumerate(kernels, times - len(kernels)):
                assert kernel.value("mine") == number
        program.assert_unharmed_since(before, interrupted=True)
    row.outcome = "independent to the last"
    return row


@case("programs at once", times=60, few=4)
def many_programs(times: int) -> Row:
    """So many kernels, each in a program of its own, started together."""
    row = Row("programs at once", f"{times} kernels, {times} programs")
    with ExitStack() as stack:
        programs = [stack.enter_context(Program("idle")) for _ in range(times)]
        kernels = [Listener("--pid", program.pid) for program in programs]
        begun = time.monotonic()
        for kernel in kernels:
            stack.enter_context(kernel)
        cells = [kernel.begin("import os; os.getpid()") for kernel in kernels]
        for kernel, cell, program in zip(kernels, cells, programs, strict=True):
            cell.finish(PATIENCE)
            assert cell.result == str(program.pid), kernel.told()
        row.outcome = f"all attached within {time.monotonic() - begun:.0f} s"
        long = [kernel.begin("while True: pass") for kernel in kernels]
        pids = [kernel.launcher_pid for kernel in kernels]
        targets = [program.pid for program in programs]
        with Gauges(launcher=pids, target=targets, frontend=ours()) as gauges:
            row.interrupted += [
                kernel.seconds_to_interrupt(cell)
                for kernel, cell in zip(kernels, long, strict=True)
            ]
            row.measured(gauges)
    return row


@case("programs in one process", times=60, few=6)
def many_handles(times: int) -> Row:
    """So many handles of the public API, all in this process."""
    row = Row("programs in one process", f"{times} handles, {times} programs")
    with ExitStack() as stack:
        programs = [stack.enter_context(Program("idle")) for _ in range(times)]
        targets = [program.pid for program in programs]
        attach(targets[0]).detach()
        before = [program.after_leaving() for program in programs]
        with Gauges(launcher=ours(), target=targets) as gauges:
            handles: list[Handle] = [attach(pid) for pid in targets]
            for handle, pid in zip(handles, targets, strict=True):
                assert value(handle, "__import__('os').getpid()") == str(pid)
            for handle in handles:
                handle.detach()
            for program, snapshot in zip(programs, before, strict=True):
                program.assert_unharmed_since(snapshot)
            row.measured(gauges)
        nothing_more(gauges, but=("mappings of the target", "mappings of the launcher"))
        within(row.growth, launcher=20, target=10 * times)
    row.outcome = "as it should be"
    return row
