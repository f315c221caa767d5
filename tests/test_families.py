"""Families of processes: %children, %attach --tree, `live-kernel ps --tree`."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
import replaced
from kernels import Kernel
from snapshots import Program
from targets import ROOT

from live_kernel.attach import families
from live_kernel.attach.families import Member
from live_kernel.launcher.commands.families import meant
from live_kernel.launcher.showing.families import branches

pytestmark = [pytest.mark.attach, pytest.mark.client]


def members(*depths: int) -> list[Member]:
    def one(pid: int) -> Any:
        return cast("Any", SimpleNamespace(process=SimpleNamespace(pid=pid)))

    return [Member(one(100 + number), depth) for number, depth in enumerate(depths)]


def test_branches() -> None:
    lines = branches(members(0, 1, 2, 2, 1, 2, 0))
    assert lines == ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ ", "   └─ ", ""]


@pytest.mark.parametrize(
    ("answer", "pid"), [("2", "101"), ("101", "101"), ("0", ""), ("9", ""), ("x", ""), ("", "")]
)
def test_what_an_answer_means(answer: str, pid: str) -> None:
    assert meant(answer, members(0, 1, 1)) == pid


def test_a_family_is_in_order() -> None:
    with replaced.served(2) as family:
        found = families.of(family.pid)
        assert [each.depth for each in found] == [0, 1, 1]
        assert [each.pid for each in found] == [family.pid, *family.workers()]
        assert families.of(2**22 + 1) == []


def test_the_children_of_the_target() -> None:
    with replaced.served(2) as family, Kernel("--pid", family.pid) as kernel:
        first, second = family.workers()
        with Kernel("--pid", first) as other:
            other.run("1")
            shown = kernel.run("%children").text
            rows = {line.split()[0]: line for line in shown.splitlines() if line[:1].isdigit()}
            assert rows.keys() == {str(first), str(second)}
            assert "3.14" in rows[str(first)]
            assert "yes" in rows[str(first)]
            assert rows[str(first)].endswith(str(other.launcher_pid))
            assert f"%attach {first}" in shown
        kernel.run(f"%attach {first}")
        assert "has no children" in kernel.run("%children").stdout
        kernel.run("%detach")
        assert kernel.run("%children").error[0] == "NoTarget"


def test_choosing_in_the_tree() -> None:
    with replaced.served(2) as family, Kernel("--pid", family.pid) as kernel:
        first, second = family.workers()
        kernel.answers.append("3")
        cell = kernel.run("%attach --tree\n__import__('os').getpid()", allow_stdin=True)
        assert cell.result == str(second)
        assert "├─ " in cell.text
        assert "└─ " in cell.text
        kernel.answers.append(str(first))
        cell = kernel.run(f"%attach --tree {family.pid}", allow_stdin=True)
        assert f"Attached to pid {first}" in cell.notes
        kernel.answers.append("")
        assert kernel.run("%attach --tree", allow_stdin=True).status == "ok"
        kernel.answers.append("nobody")
        assert "neither a number" in kernel.run("%attach --tree", allow_stdin=True).error[1]
        assert "%attach PID goes to one" in kernel.run("%attach --tree").stdout
        assert kernel.run("%attach --tree 4194999").error[0] == "TargetNotFound"


def test_without_a_target_all_are_shown(program: Program) -> None:
    with Kernel() as kernel:
        assert str(program.pid) in kernel.run("%attach --tree").text


def test_the_command_lines_tree() -> None:
    with replaced.served(2) as family:
        words = [sys.executable, "-m", "live_kernel", "ps", "--tree"]
        shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        lines = shown.splitlines()
        (at,) = [n for n, line in enumerate(lines) if line.split()[:1] == [str(family.pid)]]
        first, second = family.workers()
        assert lines[at + 1].split()[0] == str(first)
        assert "├─ " in lines[at + 1]
        assert lines[at + 2].split()[0] == str(second)
        assert "└─ " in lines[at + 2]
