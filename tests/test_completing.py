"""Completion in the user's shell: what is offered, and in real shells."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kernels import Kernel
from supervised_programs import Supervised
from targets import ROOT, Target, eventually, found
from terminals import Terminal

pytestmark = pytest.mark.attach


def offered(*words: str, shell: str = "zsh") -> dict[str, str]:
    """What is offered for the last of the words, each with its explanation."""
    env = os.environ | {
        "COMP_WORDS": " ".join(["live-kernel", *words]),
        # fish gives the word itself, the others its number.
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
        "_LIVE_KERNEL_COMPLETE": f"{shell}_complete",
    }
    code = "import sys; sys.argv[0] = 'live-kernel'; from live_kernel.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    if shell == "zsh":
        return dict(zip(lines[1::3], lines[2::3], strict=True))
    pairs = (line.partition(",")[2].partition("\t") for line in lines)
    return {value: explanation for value, _, explanation in pairs}


@pytest.fixture
def tag() -> str:
    return f"tab-{secrets.token_hex(4)}"


@pytest.fixture
def target(tag: str) -> Iterator[Target]:
    with Target("idle", args=[tag]) as running:
        yield running


# -- what is offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("before", [["attach"], ["exec"], ["attach", "--wake"], ["doctor"]])
def test_pids_with_their_command_lines(
    shell: str, before: list[str], target: Target, tag: str
) -> None:
    all_of_them = offered(*before, "", shell=shell)
    assert tag in all_of_them[str(target.pid)]
    begun = str(target.pid)[:-1]
    assert all(each.startswith(begun) for each in offered(*before, begun, shell=shell))


def test_words_that_stand_in_one_command_line_alone(target: Target, tag: str) -> None:
    assert f"pid {target.pid}: " in offered("attach", tag[:6])[tag]
    with Target("idle", args=[tag]):
        assert tag not in offered("attach", tag[:6])


def test_no_word_is_offered_that_a_shell_would_run(tag: str) -> None:
    evil = [
        f"{tag}$(touch x)",
        f"{tag};ls",
        f"{tag}`id`",
        f"{tag}\nls",
        f"{tag}\x1b[31m",
        f"{tag}~",
    ]
    with Target("idle", args=[*evil, f"{tag}-good"]) as target:
        assert list(offered("attach", tag)) == [f"{tag}-good"]
        explained = offered("attach", str(target.pid))[str(target.pid)]
        assert explained.isprintable()


def test_names_of_supervised_programs() -> None:
    with Supervised("idle", args=["x"]) as program:
        for command in ("attach", "exec", "restart", "stop"):
            assert program.name in offered(command, program.name[:9])
        assert str(program.program.pid) in offered("attach", "")


def test_kernels_and_shells_and_programs(kernel: Kernel) -> None:
    eventually(lambda: str(kernel.launcher_pid) in offered("follow", ""))
    assert set(offered("completion", "")) == {"bash", "zsh", "fish"}
    assert "bash" in offered("run", "bas")
    assert {"attach", "ps", "run", "runs", "completion"} <= set(offered(""))


# -- in real shells


SETS_UP = {
    "bash": ["bash", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config"],
}
LOADS = {
    # On a busy machine it would ask first whether so many are to be listed.
    "bash": "bind 'set completion-query-items 0'; eval \"$(live-kernel completion bash)\"",
    "zsh": 'autoload -U compinit; compinit -u; eval "$(live-kernel completion zsh)"',
    "fish": "live-kernel completion fish | source",
}


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """The command, as an installation puts it on PATH; and a home of the test's own."""
    script = tmp_path / "bin" / "live-kernel"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'live-kernel'\n"
        "from live_kernel.cli import main\nmain()\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "TERM": "xterm",
    }


def shell_at(shell: str, env: Mapping[str, str], record: Path) -> Terminal:
    path = found(shell) or shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    return Terminal([path, *SETS_UP[shell][1:]], env, record)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_in_a_real_shell(
    shell: str, target: Target, tag: str, on_path: dict[str, str], artefacts: Path
) -> None:
    with shell_at(shell, on_path, artefacts / "screen.txt") as terminal:
        terminal.enter(f"{LOADS[shell]}; echo loa''ded")
        terminal.wait_for("loaded")
        # One alone is put in.
        terminal.type(f"live-kernel attach {tag[:7]}")
        terminal.type("Tab")
        terminal.wait_for(f"live-kernel attach {tag}")
        terminal.type("C-u")
        with Target("idle", args=[f"{tag}-second"]) as second:
            terminal.type("live-kernel attach ")
            terminal.type("Tab", "Tab")
            # Several are listed, and explained.
            terminal.wait_for(str(target.pid), str(second.pid), "idle.py")
        terminal.type("C-c")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_installed_where_the_shell_looks(
    shell: str, tmp_path: Path, on_path: dict[str, str]
) -> None:
    done = subprocess.run(
        ["live-kernel", "completion", "--install", shell],
        env=os.environ | on_path, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    path = Path(done.stdout.split()[2])
    assert path.is_relative_to(tmp_path)
    printed = subprocess.run(
        ["live-kernel", "completion", shell],
        env=os.environ | on_path, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert path.read_text().strip() == printed.stdout.strip()
