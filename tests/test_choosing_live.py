"""Which program a kernel attaches to: each source of the choice, and which goes first."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import eventually

pytestmark = [pytest.mark.attach, pytest.mark.client]

PID = "__import__('os').getpid()"

_RUN = secrets.token_hex(4)  # other tests may run on this machine, with programs of their own
FIRST, SECOND = f"the-first-of-{_RUN}", f"the-second-of-{_RUN}"


@pytest.fixture
def one() -> Iterator[Program]:
    with Program("idle", args=[f"{FIRST}-two"]) as program:
        yield program


@pytest.fixture
def two() -> Iterator[Program]:
    with Program("idle", args=[f"{SECOND}-two"]) as program:
        yield program


def notebook(directory: Path, target: object) -> Path:
    """A notebook whose metadata names a target."""
    file = directory / "some.ipynb"
    metadata: dict[str, Any] = {"live_kernel": {"target": target}} if target else {}
    content = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(content))
    return file


# -- each source


def test_pid_on_the_command_line(one: Program) -> None:
    with Kernel("--pid", one.pid) as kernel:
        assert kernel.value(PID) == one.pid


def test_text_on_the_command_line(one: Program, two: Program) -> None:
    with Kernel("--match", SECOND) as kernel:
        assert kernel.value(PID) == two.pid


def test_quietly(one: Program) -> None:
    """The first cell has its own output alone; what is chosen later is told as ever."""
    with Kernel("--pid", one.pid, "--quiet") as kernel:
        assert not kernel.run("word").notes
        kernel.run("%detach")
        assert "Attached to" in kernel.run(f"%attach {one.pid}").text


def test_as_the_console_passes_it_on(one: Program) -> None:
    """`jupyter console --kernel live-attach -- --pid N`: the `--` may come along."""
    with Kernel("--", "--pid", one.pid) as kernel:
        assert kernel.value(PID) == one.pid


def test_pid_in_the_environment(one: Program) -> None:
    with Kernel(env={"LIVE_KERNEL_TARGET": str(one.pid)}) as kernel:
        assert kernel.value(PID) == one.pid


def test_text_in_the_environment(one: Program, two: Program) -> None:
    with Kernel(env={"LIVE_KERNEL_TARGET": f" {FIRST} "}) as kernel:
        assert kernel.value(PID) == one.pid


@pytest.mark.parametrize("as_text", [True, False])
def test_metadata_of_the_notebook(one: Program, tmp_path: Path, as_text: bool) -> None:
    file = notebook(tmp_path, FIRST if as_text else one.pid)
    with Kernel(notebook=file) as kernel:
        assert kernel.value(PID) == one.pid


@pytest.mark.parametrize("name", ["none.ipynb", "console-1", ""])
def test_no_notebook_there(tmp_path: Path, name: str) -> None:
    with Kernel(notebook=tmp_path / name) as kernel:
        assert kernel.run("1").error[0] == "NoTarget"


def test_attach_by_hand(one: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.run(f"%attach {one.pid}")
        assert cell.status == "ok"
        assert f"Attached to pid {one.pid} (" in cell.notes
        assert kernel.value(PID) == one.pid


def test_attach_by_text_and_go_on_in_the_same_cell(one: Program, two: Program) -> None:
    with Kernel() as kernel:
        assert kernel.run(f"\n%attach {SECOND}\n\n{PID}").result == str(two.pid)


# -- which goes first


def test_command_line_environment_notebook(one: Program, two: Program, tmp_path: Path) -> None:
    file = notebook(tmp_path, SECOND)
    env = {"LIVE_KERNEL_TARGET": str(two.pid)}
    with Kernel("--pid", one.pid, env=env, notebook=file) as kernel:
        assert kernel.value(PID) == one.pid


def test_environment_before_the_notebook(one: Program, two: Program, tmp_path: Path) -> None:
    file = notebook(tmp_path, SECOND)
    with Kernel(env={"LIVE_KERNEL_TARGET": str(one.pid)}, notebook=file) as kernel:
        assert kernel.value(PID) == one.pid


def test_notebook_before_what_was_attached_in_passing(
    one: Program, two: Program, tmp_path: Path
) -> None:
    """Metadata that was changed holds at the next restart; `%attach` would go before it."""
    file = notebook(tmp_path, FIRST)
    with Kernel(notebook=file) as kernel:
        assert kernel.value(PID) == one.pid
        notebook(tmp_path, SECOND)
        kernel.restart()
        assert kernel.value(PID) == two.pid
        kernel.run(f"%attach {one.pid}")
        kernel.restart()
        assert kernel.value(PID) == one.pid


# -- nothing was chosen


def test_error_with_a_table_where_nobody_can_be_asked(one: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.run("1 + 1")
        assert cell.error[0] == "NoTarget"
        assert "%attach" in cell.traceback
        (table,) = cell.displays
        row = next(line for line in table["text/plain"].splitlines() if str(one.pid) in line)
        assert f"{FIRST}-two" in row
        assert "3.14." in row
        assert f">{one.pid}<" in table["text/html"]
        assert kernel.prompts == []


def test_prompt_where_somebody_can_be_asked(one: Program) -> None:
    with Kernel(answers=[str(one.pid)]) as kernel:
        cell = kernel.run(f"word, {PID}", allow_stdin=True)
        assert cell.result == f"('start', {one.pid})"
        assert "Attach to" in kernel.prompts[0]["prompt"]
        assert str(one.pid) in cell.displays[0]["text/plain"], "the table is shown above it"
        kernel.restart()
        assert kernel.value(PID) == one.pid


def test_prompt_takes_text(one: Program, two: Program) -> None:
    with Kernel(answers=[SECOND]) as kernel:
        assert kernel.run(PID, allow_stdin=True).result == str(two.pid)


def test_prompt_comes_again_after_a_wrong_answer(one: Program) -> None:
    with Kernel(answers=["no such program", "", str(one.pid)]) as kernel:
        assert kernel.run("1", allow_stdin=True).error[0] == "NoTarget"
        assert kernel.run("1", allow_stdin=True).error[0] == "NoTarget"
        assert kernel.run(PID, allow_stdin=True).result == str(one.pid)
        assert len(kernel.prompts) == 3


def test_interrupt_at_the_prompt(one: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.begin("1", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="the prompt")
        kernel.interrupt()
        assert cell.finish().status == "error"
        kernel.run(f"%attach {one.pid}")
        assert kernel.value(PID) == one.pid


def test_probes_of_a_front_end_before_anything_is_attached(one: Program) -> None:
    """Silent cells, empty cells, completion and inspection are no reason to ask or complain."""
    with Kernel() as kernel:
        for options in ({"silent": True}, {"store_history": False, "silent": True}):
            cell = kernel.run("%config InlineBackend", allow_stdin=True, **options)
            assert cell.status == "ok"
            assert not cell.contents("error", "display_data")
        assert kernel.run("", allow_stdin=True).status == "ok"
        assert kernel.complete("impor") == []
        assert kernel.ask("inspect_request", code="x", cursor_pos=1, detail_level=0) == {
            "status": "ok",
            "found": False,
            "data": {},
            "metadata": {},
        }
        assert kernel.prompts == []
        assert kernel.ask("comm_info_request")["comms"] == {}


def test_commands_without_a_target(one: Program) -> None:
    with Kernel() as kernel:
        assert "detached" in kernel.run("%status").stdout
        assert "Nothing is attached" in kernel.run("%detach").stdout
        assert str(one.pid) in kernel.run("%ps").displays[0]["text/plain"]
        assert "1" in kernel.run("%ps --all").displays[0]["text/plain"].split()
        cell = kernel.run("%attach")
        assert cell.error[0] == "NoTarget"
        assert str(one.pid) in cell.displays[0]["text/plain"]
        assert kernel.complete("%att") == ["%attach"]
        assert str(one.pid) in kernel.complete("%attach ")


# -- a choice that can't be used


def complains(cell: Cell, *texts: str) -> None:
    assert cell.status == "error"
    for text in texts:
        assert text in cell.traceback, cell


def test_pid_that_is_nobody() -> None:
    with Kernel("--pid", 2**22) as kernel:
        assert kernel.ask("kernel_info_request")["status"] == "ok"
        complains(kernel.run("1"), str(2**22), "--pid")


def test_text_that_fits_several(one: Program, two: Program) -> None:
    with Kernel(env={"LIVE_KERNEL_TARGET": "-of-two"}) as kernel:
        complains(kernel.run("1"), "LIVE_KERNEL_TARGET", str(one.pid), str(two.pid))


def test_text_in_the_metadata_that_fits_nobody(tmp_path: Path, one: Program) -> None:
    file = notebook(tmp_path, "nobody is called that")
    with Kernel(notebook=file) as kernel:
        complains(kernel.run("1"), "the metadata of some.ipynb")
        assert kernel.run(f"%attach {one.pid}\n{PID}").result == str(one.pid)


@pytest.mark.parametrize("target", [[], {"a": 1}, None, "  "])
def test_metadata_of_another_kind(tmp_path: Path, target: object) -> None:
    with Kernel(notebook=notebook(tmp_path, target)) as kernel:
        assert kernel.run("1").status == "error"


def test_choice_that_can_be_made_up_for_at_the_prompt(one: Program) -> None:
    with Kernel("--pid", 2**22, answers=[str(one.pid)]) as kernel:
        cell = kernel.run(PID, allow_stdin=True)
        assert cell.result == str(one.pid)


def test_program_that_may_not_be_attached_to() -> None:
    options = ["-X", "disable-remote-debug"]
    with Program("idle", options=options) as program, Kernel("--pid", program.pid) as kernel:
        complains(kernel.run("1"), "DebuggingDisabled", "disable-remote-debug")


def test_what_is_attached_stands_in_the_banner(one: Program) -> None:
    with Kernel("--pid", one.pid) as kernel:
        eventually(
            lambda: f"pid {one.pid}" in kernel.ask("kernel_info_request")["banner"],
            what="the banner names the program",
        )
