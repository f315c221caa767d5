"""Which program a kernel is meant for: the order of the sources, and what is remembered.

No process is looked at: `named` is answered by the tests. Rule: nothing that
stands in an environment, a notebook or a file makes the launcher fail.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.attach import processes
from live_kernel.attach.processes import Process
from live_kernel.errors import LiveKernelError, NoTarget, TargetNotFound
from live_kernel.launcher.choosing import (
    Choice,
    Memory,
    first_choice,
    from_environment,
    from_notebook,
    named,
)
from live_kernel.launcher.rails import Rails


def process(pid: int = 42, start_time: int = 7) -> Process:
    command = ("python", "app.py")
    return Process(pid, start_time, 1, "python", command, "", "", 0, 0, "root", "S", "CPython")


class System:
    """The processes that there are, as `processes` tells of them."""

    def __init__(self) -> None:
        self.there = {42: process()}

    def identify(self, pid: int) -> Process:
        if pid not in self.there:
            raise TargetNotFound(pid, f"no process {pid}")
        return self.there[pid]

    def matching(self, text: str) -> Process:
        found = [one for one in self.there.values() if text in " ".join(one.cmdline)]
        if len(found) != 1:
            raise NoTarget(f"{len(found)} processes have {text!r}")
        return found[0]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    made = System()
    monkeypatch.setattr(processes, "identify", made.identify)
    monkeypatch.setattr(processes, "matching", made.matching)
    return made


@pytest.fixture
def connection_file(tmp_path: Path) -> Path:
    return tmp_path / "kernel-1234.json"


@pytest.fixture
def memory(connection_file: Path) -> Memory:
    return Memory(connection_file)


# -- one choice


def test_digits_are_a_pid_and_anything_else_is_text(system: System) -> None:
    assert named("42").pid == 42
    assert named("app").pid == 42
    for text in ("43", "other", "42 ", "-42", "4_2", "0x2a", "²"):
        with pytest.raises(LiveKernelError):
            named(text)


@pytest.mark.parametrize("text", ["9" * 30, "9" * 5000, "0"])
def test_a_number_that_is_no_pid_is_nobody(text: str) -> None:
    """The real look, which asks the system."""
    with pytest.raises(LiveKernelError):
        named(text)


def test_an_error_names_the_source_that_nobody_sees(system: System) -> None:
    with pytest.raises(TargetNotFound, match="LIVE_KERNEL_TARGET: no process 43") as caught:
        Choice("43", "LIVE_KERNEL_TARGET").resolve()
    assert caught.value.pid == 43
    with pytest.raises(TargetNotFound, match=r"^no process 43$"):
        Choice("43", "%attach").resolve()


def test_a_pid_that_is_another_process_now_is_not_taken(system: System) -> None:
    choice = Choice("42", "attached before the restart", 7)
    assert choice.resolve() == process()
    system.there[42] = process(start_time=8)
    with pytest.raises(TargetNotFound, match="another process now") as caught:
        choice.resolve()
    assert caught.value.remedy


# -- sources


def test_the_environment() -> None:
    choice = from_environment({"LIVE_KERNEL_TARGET": " app.py "})
    assert choice == Choice("app.py", "LIVE_KERNEL_TARGET")
    assert from_environment({}) is None
    assert from_environment({"LIVE_KERNEL_TARGET": "  "}) is None


def write_notebook(path: Path, target: Any) -> dict[str, str]:
    """A notebook with this target in its metadata, and the environment that names it."""
    notebook = {"cells": [], "metadata": {"live_kernel": {"target": target}}, "nbformat": 4}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return {"JPY_SESSION_NAME": str(path)}


def test_the_notebook(tmp_path: Path) -> None:
    environment = write_notebook(tmp_path / "ünruhe.ipynb", " bestellungen-dienst ")
    choice = from_notebook(environment)
    assert choice is not None
    assert choice.text == "bestellungen-dienst"
    assert "ünruhe.ipynb" in choice.source
    assert "metadata" in choice.source


def test_a_pid_in_the_notebook_may_be_a_number(tmp_path: Path) -> None:
    choice = from_notebook(write_notebook(tmp_path / "n.ipynb", 42))
    assert choice is not None
    assert choice.text == "42"


@pytest.mark.parametrize("target", ["", "  ", None, [], {}, True, 1.5], ids=repr)
def test_a_target_that_is_none(tmp_path: Path, target: Any) -> None:
    assert from_notebook(write_notebook(tmp_path / "n.ipynb", target)) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"metadata":[]}', b'{"metadata":{"live_kernel":5}}', b"\xff\xfe"],
)
def test_a_notebook_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    assert from_notebook({"JPY_SESSION_NAME": str(path)}) is None


def test_sessions_without_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "directory.ipynb").mkdir()
    (tmp_path / "console").write_text("{}")
    for name in ("", "console", "directory.ipynb", "missing.ipynb", "x" * 5000 + ".ipynb"):
        assert from_notebook({"JPY_SESSION_NAME": str(tmp_path / name)}) is None
    assert from_notebook({}) is None


# -- memory


def test_what_was_attached_is_remembered(system: System, memory: Memory) -> None:
    assert memory.recall(pinned=True) is memory.recall(pinned=False) is None
    for pinned in (False, True):
        memory.remember(process(), "42", pinned)
        assert memory.recall(not pinned) is None
        kept = memory.recall(pinned)
        assert kept is not None
        assert (kept.text, kept.start_time) == ("42", 7)
        assert "before the restart" in kept.source
    memory.forget()
    assert memory.recall(pinned=True) is None
    memory.forget()


def test_the_memory_is_beside_the_connection_file_and_private(
    memory: Memory, connection_file: Path
) -> None:
    memory.remember(process(), "42", pinned=True)
    (file,) = connection_file.parent.iterdir()
    assert file.stem == connection_file.stem
    assert file.stat().st_mode & 0o777 == 0o600
    assert Memory(connection_file).recall(pinned=True) is not None
    assert Memory(connection_file.with_name("kernel-other.json")).recall(pinned=True) is None


def test_what_is_remembered_last_holds(memory: Memory, system: System) -> None:
    memory.remember(process(), "a text that is much longer than the next", pinned=True)
    memory.remember(process(42, 7), "42", pinned=True)
    kept = memory.recall(pinned=True)
    assert kept is not None
    assert kept.text == "42"


def test_chosen_by_text_it_is_sought_by_text_once_it_has_ended(
    system: System, memory: Memory
) -> None:
    memory.remember(process(), "app.py", pinned=True)
    kept = memory.recall(pinned=True)
    assert kept is not None
    assert kept.text == "42"
    system.there = {43: process(43, 8)}
    kept = memory.recall(pinned=True)
    assert kept is not None
    assert kept.resolve().pid == 43


def test_chosen_by_pid_it_is_not_sought_again(system: System, memory: Memory) -> None:
    memory.remember(process(), "42", pinned=True)
    system.there = {43: process(43, 8)}
    kept = memory.recall(pinned=True)
    assert kept is not None
    with pytest.raises(TargetNotFound):
        kept.resolve()


def test_a_memory_that_cannot_be_kept_is_no_failure(tmp_path: Path, system: System) -> None:
    """Jupyter may remove the directory of the connection file, or its disk be full."""
    for file in (tmp_path / "gone" / "kernel.json", Path("/proc/kernel.json")):
        memory = Memory(file)
        memory.remember(process(), "42", pinned=True)
        assert memory.recall(pinned=True) is None
        memory.forget()


RECORD = {"text": "42", "source": "", "start_time": 7, "pattern": "42", "pinned": True}
odd = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
records = st.fixed_dictionaries({}, optional=dict.fromkeys(RECORD, odd))


@settings(deadline=None, max_examples=60)
@given(st.binary() | odd | records | records.map(lambda changes: RECORD | changes))
def test_a_damaged_memory_is_none(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = tmp_path_factory.mktemp("memory") / "kernel.live-kernel"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "identify", System().identify)
        patch.setattr(processes, "matching", System().matching)
        kept = Memory(file.with_suffix(".json")).recall(pinned=True)
    if kept is not None:
        assert isinstance(content, dict)
        assert kept.text
        assert (kept.text, kept.start_time) in (
            (content["text"], content["start_time"]),
            (content["pattern"], None),
        )


# -- their order


def subsets(of: Iterable[str]) -> list[tuple[str, ...]]:
    words = list(of)
    return [
        chosen for count in range(len(words) + 1) for chosen in itertools.combinations(words, count)
    ]


ORDER = ("pinned", "command line", "environment", "notebook", "kept")


@pytest.mark.parametrize("present", [s for s in subsets(ORDER) if not {"pinned", "kept"} <= set(s)])
def test_the_first_source_that_says_something_holds(
    present: tuple[str, ...], tmp_path: Path, memory: Memory, system: System
) -> None:
    environment = {}
    if "environment" in present:
        environment["LIVE_KERNEL_TARGET"] = "environment"
    if "notebook" in present:
        environment |= write_notebook(tmp_path / "n.ipynb", "notebook")
    for kind in {"pinned", "kept"} & set(present):
        system.there[42] = process()
        memory.remember(process(), kind, pinned=kind == "pinned")
    given = Choice("command line", "--match") if "command line" in present else None
    choice = first_choice(given, environment, memory)
    if not present:
        assert choice is None
    else:
        assert choice is not None
        remembered = present[0] in ("pinned", "kept")
        assert choice.text == ("42" if remembered else present[0])
        assert (choice.start_time == 7) is remembered


@pytest.mark.parametrize(
    "rails",
    [
        Rails(),
        Rails(observe="%attach --observe"),
        Rails(confirm="%attach --confirm", idle=300.0, idle_by="%attach --idle"),
    ],
)
def test_rails_of_attach_are_kept_over_a_restart(
    tmp_path: Path, system: System, rails: Rails
) -> None:
    memory = Memory(tmp_path / "kernel.json")
    for text in ("42", "app.py"):
        memory.remember(process(), text, True, rails)
        choice = memory.recall(pinned=True)
        assert choice is not None
        assert choice.rails == rails


@pytest.mark.parametrize("kept", [[], "yes", {"observe": True}, [True, "", 0, "", "", ""]])
def test_rails_that_are_not_understood_only_look(tmp_path: Path, kept: object) -> None:
    memory = Memory(tmp_path / "kernel.json")
    memory.remember(process(), "42", True)
    file = tmp_path / "kernel.live-kernel"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rails": kept}))
    choice = memory.recall(pinned=True)
    assert choice is not None
    assert choice.rails.observe
    assert not choice.rails.confirm
