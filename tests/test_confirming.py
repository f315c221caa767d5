"""`--confirm`: each cell asks first, in every front-end that can ask; and the banner of a guard."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import pytest
from kernels import Kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from snapshots import Program
from targets import ROOT, Target
from terminals import Terminal
from test_cli import live_kernel as command
from test_comms import opened, tell

import live_kernel
from live_kernel.errors import NotConfirmed
from live_kernel.launcher.guarding import first_lines

pytestmark = [pytest.mark.attach, pytest.mark.client]


@pytest.fixture
def kernel(program: Program) -> Iterator[Kernel]:
    with Kernel("--pid", program.pid, "--confirm") as started:
        yield started


def asked(kernel: Kernel) -> str:
    """The question that was asked last."""
    return str(kernel.prompts[-1]["prompt"])


def answered(kernel: Kernel, code: str, answer: str) -> str:
    """What becomes of a cell that is answered so: its value, or the name of its error."""
    kernel.answers.append(answer)
    count = len(kernel.prompts)
    cell = kernel.run(code, allow_stdin=True)
    assert len(kernel.prompts) == count + 1, cell
    return cell.result or "None" if cell.status == "ok" else cell.error[0]


def test_the_question_says_what_is_run_where(kernel: Kernel, program: Program) -> None:
    assert answered(kernel, "word\n" + "# a line\n" * 9 + "word", "y") == "'start'"
    question = asked(kernel)
    assert f"Run this in pid {program.pid} (python " in question
    assert "of user " in question
    assert question.count("# a line") == 5
    assert "… and 5 more lines" in question
    assert question.endswith("[y/N; a: also all that follows, until the kernel detaches] ")


def test_lines_are_shown_as_they_are_and_cut() -> None:
    assert first_lines("\n\nif x:\n    y()\n") == "    if x:\n        y()"
    assert "\x1b" not in first_lines("a\x1b[2J")
    assert len(first_lines("x" * 500)) < 110
    assert first_lines("a\n" * 7).endswith("… and 1 more line")


def test_whatever_is_no_yes_is_a_no(program: Program) -> None:
    before = program.snapshot()
    with Kernel("--pid", program.pid, "--confirm") as kernel:
        for answer in ("", "n", "no", "yess", "Y es"):
            assert answered(kernel, "word = 'changed'", answer) == "NotConfirmed"
        assert answered(kernel, "word", "YES ") == "'start'"
        kernel.run("%detach")
        program.assert_unharmed_since(before)


def test_yes_to_all_holds_until_the_kernel_detaches(kernel: Kernel, program: Program) -> None:
    assert answered(kernel, "1", "a") == "1"
    assert kernel.value("2") == 2
    assert kernel.run("3", silent=True, user_expressions={"x": "4"}).status == "ok"
    kernel.run("%detach")
    kernel.run(f"%attach {program.pid} --confirm")
    assert answered(kernel, "5", "y") == "5"
    assert answered(kernel, "6", "n") == "NotConfirmed"


def test_what_asks_and_what_does_not(kernel: Kernel) -> None:
    for look in (
        "%status",
        "%threads",
        "%frame",
        "%watch",
        "%trace total for 20ms",
        "%breaks",
        "%ps",
    ):
        assert kernel.run(look, allow_stdin=True).status == "ok", look
    kernel.run("%%local\n1 + 1", allow_stdin=True)
    assert kernel.prompts == []
    for code in (
        "%watch len(orders) for 20ms",
        "%trace total if orders",
        "%break total",
        "%break --log word total",
        "%%patch total\ndef total(): return 5",
        "%pull word",
        "%enter",
        "%%main\nword",
        "!echo",
        "%threads\nword",
    ):
        assert answered(kernel, code, "n") == "NotConfirmed", code
    assert answered(kernel, "%status\n%%main --at-most 2s\nword\n", "y") == "'start'"
    assert answered(kernel, "%pull word\nword", "y") == "'start'"  # one cell, one question
    assert kernel.run("%%local\nword").result == "'start'"


def test_an_interrupt_is_a_no(kernel: Kernel) -> None:
    cell = kernel.begin("word = 'changed'", allow_stdin=True)
    kernel.wait(lambda: kernel.prompts, what="the question")
    kernel.interrupt()
    assert cell.finish().error == (
        "NotConfirmed",
        "The cell was not run: nobody has said yes to it.",
    )
    assert answered(kernel, "word", "y") == "'start'"


def test_an_answer_that_comes_when_the_program_was_left(kernel: Kernel, program: Program) -> None:
    cell = kernel.begin("word = 'changed'", allow_stdin=True)
    kernel.wait(lambda: kernel.prompts, what="the question")
    kernel.run("%status")  # beside it
    program.expected_to_end = True
    program.process.kill()
    program.wait()
    kernel.wait(lambda: "lost" in kernel.run("%status").stdout, what="its end")
    kernel.client.input("y")
    assert cell.finish().error[0] in ("AgentLost", "NotConfirmed")


def test_a_front_end_that_can_not_ask(kernel: Kernel) -> None:
    cell = kernel.run("word")
    assert cell.error[0] == "NotConfirmed"
    assert "can't ask" in cell.error[1]
    assert "in a notebook, a console" in cell.traceback
    assert "without --confirm" in cell.traceback


def test_what_front_ends_run_by_themselves(kernel: Kernel) -> None:
    """Silent cells, and expressions beside a cell: nobody would know what he is asked about."""
    silent = kernel.run("word = 'changed'", silent=True, allow_stdin=True)
    assert silent.reply["ename"] == "NotConfirmed"
    kernel.answers.append("y")
    cell = kernel.run("word", allow_stdin=True, user_expressions={"x": "orders.clear()"})
    assert cell.result == "'start'"
    assert cell.expressions["x"]["ename"] == "NotConfirmed"
    assert answered(kernel, "len(orders)", "y") == "2"


def test_widgets_wait_for_a_yes_to_all() -> None:
    with Target("idle", sys.executable) as program, Kernel("--pid", program.pid) as kernel:
        kernel.run(f"%attach {program.pid} --confirm")
        code = (
            "import comm\ngot = []\nwidget = comm.create_comm(target_name='view')\n"
            "widget.on_msg(lambda m: got.append(1))"
        )
        kernel.answers.append("y")
        name = opened(kernel.run(code, allow_stdin=True))["comm_id"]
        assert "asks before each cell" in tell(kernel, name, {}).stderr
        assert tell(kernel, name, {}).stderr == ""
        assert answered(kernel, "got", "a") == "[]"
        tell(kernel, name, {})
        assert kernel.value("got") == [1]


def test_by_a_variable_and_over_a_restart(program: Program) -> None:
    with Kernel("--pid", program.pid, env={"LIVE_KERNEL_CONFIRM": "1"}) as kernel:
        assert answered(kernel, "word", "y") == "'start'"
    with Kernel() as kernel:
        kernel.run(f"%attach --confirm {program.pid}")
        kernel.restart()
        assert answered(kernel, "word", "n") == "NotConfirmed"
        kernel.run(f"%attach {program.pid}")
        assert kernel.value("word") == "start"


# -- real clients


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nbclient_is_refused(
    program: Program, kernelspecs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspecs))
    monkeypatch.setenv("LIVE_KERNEL_TARGET", str(program.pid))
    monkeypatch.setenv("LIVE_KERNEL_CONFIRM", "1")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("word = 'changed'")],
        metadata={"kernelspec": {"name": "live-attach", "display_name": "x", "language": "python"}},
    )
    with pytest.raises(CellExecutionError, match="LIVE_KERNEL_CONFIRM"):
        NotebookClient(notebook, timeout=30).execute()


def guard(place: Path, more: str) -> dict[str, str]:
    """The environment with a guard for the program `idle`."""
    file = place / "config.toml"
    text = f'[[guard]]\nmatch = "programs/idle"\nbanner = "PRODUCTION: idle"\n{more}'
    file.write_text(text)
    return {"LIVE_KERNEL_CONFIG": str(file)}


def console(
    kernelspecs: Path, env: Mapping[str, str], record: Path, *arguments: object
) -> Terminal:
    """`live-kernel attach` in a terminal."""
    whole = {
        "JUPYTER_PATH": str(kernelspecs),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(record.parent / "ipython"),
        "TERM": "xterm-256color",
    }
    words = [sys.executable, "-m", "live_kernel", "attach", *map(str, arguments)]
    return Terminal(words, whole | dict(env), record)


@pytest.mark.console
def test_the_console_says_where_one_is_and_asks(
    program: Program, kernelspecs: Path, tmp_path: Path, artefacts: Path
) -> None:
    env = guard(tmp_path, "confirm = true\n")
    with console(kernelspecs, env, artefacts / "screen.txt", program.pid) as terminal:
        terminal.wait_for(" PRODUCTION: idle  In [1]:", "asks before each cell")
        assert "48;" in terminal.coloured().rpartition(" PRODUCTION: idle ")[0].splitlines()[-1]
        terminal.enter("word")
        terminal.wait_for("Run this in pid", "[y/N;")
        terminal.enter("y")
        terminal.wait_for("Out[1]: 'start'", " PRODUCTION: idle  In [2]:")
        terminal.enter("word = 'changed'")
        terminal.wait_for("[y/N;", times=2)
        terminal.type("C-c")
        terminal.wait_for("NotConfirmed", "In [3]:")
        terminal.enter("%threads")
        terminal.wait_for("MainThread", "In [4]:")
        terminal.enter("exit")
        assert terminal.wait_for_end() == 0
    assert "word is changed" not in program.lines()


@pytest.mark.console
def test_a_console_that_only_looks(program: Program, kernelspecs: Path, artefacts: Path) -> None:
    arguments = (program.pid, "--observe", "--idle", "1h")
    with console(kernelspecs, {}, artefacts / "screen.txt", *arguments) as terminal:
        prompt = f" pid {program.pid} (only looks)  In [1]:"
        terminal.wait_for(prompt, "only looks, and runs no cells (--observe)", "after 1 h")
        terminal.enter("word = 'changed'")
        terminal.wait_for("OnlyLooks", "start a kernel without --observe", "In [2]:")
        terminal.enter("%watch word for 200ms")
        terminal.wait_for("its time is over", "In [3]:")
        terminal.enter("exit")
        assert terminal.wait_for_end() == 0
    assert "word is changed" not in program.lines()


# -- scripts


def test_exec_asks_at_a_terminal_or_takes_a_yes(
    program: Program, tmp_path: Path, artefacts: Path
) -> None:
    env = guard(tmp_path, "confirm = true\n")
    done = command("exec", program.pid, "word = 'changed'", env=env)
    assert done.returncode == 22
    assert "PRODUCTION: idle  asks before each cell" in done.stderr
    assert "--yes" in done.stderr
    assert command("exec", "--yes", program.pid, "word", env=env).stdout == "'start'\n"
    words = [sys.executable, "-m", "live_kernel", "exec", str(program.pid), "word"]
    whole = env | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    for answer, status in (("n", 22), ("y", 0)):
        with Terminal(words, whole, artefacts / f"{answer}.txt") as terminal:
            terminal.wait_for("PRODUCTION: idle", "Run this in pid", "[y/N]")
            terminal.enter(answer)
            assert terminal.wait_for_end() == status
            assert ("'start'" in terminal.screen()) is (answer == "y")


def test_the_api_asks_a_function(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE_KERNEL_CONFIRM", "1")
    with live_kernel.attach(program.pid) as handle:
        assert handle.rails.confirm == "LIVE_KERNEL_CONFIRM"
        with pytest.raises(NotConfirmed, match="nobody is here to be asked"):
            handle.run("word = 'changed'")
    said: list[str] = []
    with live_kernel.attach(
        program.pid, confirm=lambda question: not said.append(question)
    ) as sure:
        assert sure.run("assert word == 'start'")["status"] == "ok"
    assert "assert word" in said[0]
    never = live_kernel.attach(program.pid, confirm=lambda _: False)
    with never, pytest.raises(NotConfirmed, match="you have not said yes"):
        never.run("1")
