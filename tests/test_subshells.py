"""Subshells: cells beside one another, with one namespace, each answered where it was asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import Cell, Kernel
from snapshots import Program

pytestmark = [pytest.mark.attach, pytest.mark.client]


@pytest.fixture
def program() -> Iterator[Program]:
    with Program("idle") as running:
        before = running.snapshot()
        yield running
        running.assert_unharmed_since(before, interrupted=True)


def created(kernel: Kernel) -> str:
    reply = kernel.ask("create_subshell_request", "control")
    assert reply["status"] == "ok"
    return str(reply["subshell_id"])


def listed(kernel: Kernel) -> list[str]:
    ids: list[str] = kernel.ask("list_subshell_request", "control")["subshell_id"]
    return ids


def waiting(kernel: Kernel, code: str, **options: object) -> Cell:
    """A cell that has begun, and goes on when `goes_on` is set."""
    cell = kernel.begin(f"print('begun', flush=True)\n{code}", **options)  # type: ignore[arg-type]
    cell.wait_for("begun")
    return cell


def test_a_kernel_says_that_it_has_them(kernel: Kernel) -> None:
    assert "kernel subshells" in kernel.ask("kernel_info_request")["supported_features"]


def test_one_is_listed_from_its_creation_to_its_deletion(kernel: Kernel) -> None:
    assert listed(kernel) == []
    first, second = created(kernel), created(kernel)
    assert listed(kernel) == [first, second]
    assert kernel.ask("delete_subshell_request", "control", subshell_id=first)["status"] == "ok"
    assert listed(kernel) == [second]


def test_a_long_cell_does_not_block_another_shell(kernel: Kernel) -> None:
    kernel.run("import threading; goes_on = threading.Event()")
    subshell = created(kernel)
    long = waiting(kernel, "goes_on.wait()\n'done'")
    other = kernel.begin("mine = 1\ngoes_on.set()\n'other'", subshell=subshell).finish()
    assert other.result == "'other'"
    assert long.finish().result == "'done'"
    assert kernel.value("mine") == 1
    assert other.reply["execution_count"] == long.reply["execution_count"] + 1


def test_cells_beside_one_another_see_and_change_the_program(kernel: Kernel) -> None:
    kernel.run("import threading; goes_on = threading.Event()")
    subshell = created(kernel)
    long = waiting(kernel, "word = 'from main'\ngoes_on.wait()\ndef late(): return word\nlate()")
    other = kernel.begin("word = 'from sub'\n[word for _ in '1'], total()", subshell=subshell)
    assert other.finish().result == "(['from sub'], 42)"
    kernel.begin("goes_on.set()", subshell=subshell).finish()
    assert long.finish().result == "'from sub'"


def test_output_goes_to_the_cell_that_writes_it(kernel: Kernel) -> None:
    kernel.run("import threading; both = threading.Barrier(2, timeout=10)")
    subshell = created(kernel)
    code = "for {0} in range(300):\n    both.wait()\n    print({0!r}, {0})"  # they share names
    cells = [kernel.begin(code.format("a")), kernel.begin(code.format("b"), subshell=subshell)]
    for cell, name in zip(cells, "ab", strict=True):
        cell.finish()
        assert cell.stdout == "".join(f"{name} {n}\n" for n in range(300)), name


def test_a_failure_aborts_what_waits_in_its_own_shell(kernel: Kernel) -> None:
    kernel.run("import threading; goes_on = threading.Event()")
    subshell = created(kernel)
    fails = waiting(kernel, "goes_on.wait()\n1 / 0")
    behind = kernel.begin("'behind'")
    holds = waiting(kernel, "goes_on.wait()", subshell=subshell)
    beside = kernel.begin("'beside'", subshell=subshell)
    third = created(kernel)
    kernel.begin("goes_on.set()", subshell=third).finish()
    assert fails.finish().error[0] == "ZeroDivisionError"
    assert behind.finish().status == "aborted"
    assert holds.finish().status == "ok"
    assert beside.finish().result == "'beside'"


def test_an_interrupt_stops_the_cells_of_all_shells(kernel: Kernel) -> None:
    subshell = created(kernel)
    cells = [
        waiting(kernel, "while True: pass"),
        waiting(kernel, "while True: pass", subshell=subshell),
    ]
    kernel.interrupt()
    for cell in cells:
        assert cell.finish().error == ("KeyboardInterrupt", "")
    assert kernel.begin("1 + 1", subshell=subshell).finish().result == "2"


def test_one_that_is_gone_answers_with_an_error(kernel: Kernel) -> None:
    subshell = created(kernel)
    kernel.ask("delete_subshell_request", "control", subshell_id=subshell)
    cell = kernel.begin("1", subshell=subshell).finish()
    assert cell.reply["ename"] == "UnknownSubshellError"
    assert subshell in cell.reply["evalue"]
    again = kernel.ask("delete_subshell_request", "control", subshell_id=subshell)
    assert (again["status"], again["ename"]) == ("error", "UnknownSubshellError")
    assert kernel.ask("is_complete_request", code="1")["status"] == "complete"


def test_one_that_is_deleted_ends_after_its_cell(kernel: Kernel, program: Program) -> None:
    kernel.run("import threading; goes_on = threading.Event()")
    subshell = created(kernel)
    cell = waiting(kernel, "goes_on.wait()\n'whole'", subshell=subshell)
    threads = len(program.from_outside()["native threads"])  # its own is there by now
    behind = kernel.begin("'never'", subshell=subshell)
    kernel.ask("delete_subshell_request", "control", subshell_id=subshell)
    assert behind.finish().status == "aborted"
    kernel.run("goes_on.set()")
    assert cell.finish().result == "'whole'"
    kernel.wait(lambda: len(program.from_outside()["native threads"]) == threads - 1)


def test_they_outlive_their_target(kernel: Kernel) -> None:
    """One that was created stays the kernel's: it has a thread in the next target."""
    subshell = created(kernel)
    with Program("idle") as other:
        kernel.run(f"%attach {other.pid}")
        cell = kernel.begin("import os; os.getpid()", subshell=subshell).finish()
        assert cell.result == str(other.pid)
        kernel.run("%detach")


def test_two_cells_ask_for_input_at_the_same_time(kernel: Kernel) -> None:
    subshell = created(kernel)
    first = kernel.begin("input('first: ')", allow_stdin=True)
    second = kernel.begin("input('second: ')", allow_stdin=True, subshell=subshell)
    kernel.wait(lambda: len(kernel.prompts) == 2, what="both prompts")
    for message in [m for m in kernel.messages if m["msg_type"] == "input_request"]:
        answer = kernel.client.session.msg(
            "input_reply", {"value": f"to {message['content']['prompt']}"}, parent=message
        )
        kernel.client.stdin_channel.send(answer)
    assert first.finish().result == "'to first: '"
    assert second.finish().result == "'to second: '"


def test_before_an_attach_each_shell_says_what_is_missing() -> None:
    with Kernel() as kernel:
        cell = kernel.begin("1", subshell=created(kernel)).finish()
        assert cell.error[0] == "NoTarget"
