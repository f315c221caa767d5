"""Completion in the launcher: magics and what stands behind them, processes, symbols.

Runs in pytest: with a target that answers what it is told to, then through real
kernels. Rule: the table of magics is that of the IPython which is installed.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Kernel
from targets import ROOT, Target

from live_kernel.attach import processes
from live_kernel.launcher import magic_names
from live_kernel.launcher.completion import Completion, item
from live_kernel.launcher.inspection import docstring_page, is_explained
from live_kernel.launcher.local import Local
from live_kernel.launcher.questions import Questions
from live_kernel.launcher.reactor import Reactor


@pytest.fixture(scope="module")
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes that could be attached to."""
    titles = {42: "python shop.py", 421: "python -m worker", 7: "python3.14 shop.py --port 80"}
    found = [
        SimpleNamespace(process=SimpleNamespace(pid=p, title=t), error=None)
        for p, t in titles.items()
    ]
    monkeypatch.setattr(processes, "candidates", lambda **_: found)


class Completed:
    """A reply, and what the target was asked for it."""

    def __init__(
        self, reactor: Reactor, code: str, answer: dict[str, Any] | None = None, cursor: int = -1
    ) -> None:
        self.asked: list[tuple[str, int]] = []
        replies: list[dict[str, Any]] = []

        def target(code: str, cursor: int, answered: Any) -> None:
            self.asked.append((code, cursor))
            answered(answer or {})

        where = len(code) if cursor == -1 else cursor
        completion = Completion(reactor, Local(reactor, Questions()), self._offers)
        completion.ask(code, where, target, replies.append)
        assert reactor.run_until(lambda: bool(replies), 10)
        (self.reply,) = replies
        self.matches: list[str] = self.reply["matches"]
        self.span = (self.reply["cursor_start"], self.reply["cursor_end"])
        self.types = self.reply["metadata"].get("_jupyter_types_experimental", [])
        assert [each["text"] for each in self.types] == self.matches
        assert all((each["start"], each["end"]) == self.span for each in self.types)

    def _offers(self, kind: str, answered: Any) -> None:
        pairs = {
            "threads": ["worker-1", "4243"],
            "stacks": ["worker-1", "4243"],
            "tasks": ["fetch", "2"],
        }
        answered({"offers": [pairs.get(kind, ["run", "run() at a.py:1"]), "no pair", [1, 2]]})


def found(*texts: str, start: int = 0, end: int = 0, kind: str = "path") -> dict[str, Any]:
    """An answer of a target."""
    return {"types": [item(text, kind) for text in texts], "start": start, "end": end}


# -- names


@pytest.mark.parametrize(
    ("code", "start", "expected"),
    [
        ("%ti", 0, ["%time", "%%time", "%timeit", "%%timeit"]),
        ("%%ca", 0, ["%%capture"]),
        ("  %at", 2, ["%attach"]),
        ("x = %ti", 4, ["%time", "%timeit"]),
        ("x = 1\n%de", 6, ["%debug", "%detach"]),
        ("x = 1\n%%ca", 6, []),
        ("%nothing", 0, []),
    ],
)
def test_names_of_magics(reactor: Reactor, code: str, start: int, expected: list[str]) -> None:
    done = Completed(reactor, code)
    assert done.matches == expected
    assert done.span == (start, len(code))
    assert {each["type"] for each in done.types} <= {"magic"}


def test_every_command_of_ours_is_among_them(reactor: Reactor) -> None:
    assert {"%attach", "%detach", "%ps", "%status"} <= set(Completed(reactor, "%").matches)


def test_magics_that_only_the_target_has(reactor: Reactor) -> None:
    answer = found("%autoreload", "%%cython", kind="magic")
    done = Completed(reactor, "%auto", answer)
    assert "%autoreload" in done.matches
    assert done.asked == [("%auto", 5)]
    assert Completed(reactor, "%%cy", answer).matches == ["%%cython"]
    assert Completed(reactor, "1\n%%cy", answer).matches == []


def test_a_word_alone_may_be_a_magic(reactor: Reactor) -> None:
    done = Completed(reactor, "tim", found("time", end=3, kind="module"))
    assert done.matches == ["time", "%time", "%timeit", "%%time", "%%timeit"]
    assert Completed(reactor, "whos").span == (0, 4)
    assert Completed(reactor, "x = 1\ntim", found("time", start=6)).matches == ["time"]


@pytest.mark.parametrize("code", ["", "attach", "x %at", "x = 5 % at", "a.b", "f(%", "'%ti"])
def test_other_code_is_completed_by_the_target(reactor: Reactor, code: str) -> None:
    done = Completed(reactor, code, found("word", start=len(code), end=len(code)))
    assert done.matches[:1] == ["word"]
    assert done.asked == [(code, len(code))]


@settings(deadline=None, max_examples=100)
@given(st.text("%!= \\\n\"'ab{/", max_size=12), st.integers(-3, 20))
def test_every_request_is_answered_once(reactor: Reactor, code: str, cursor: int) -> None:
    Completed(reactor, code, found("x"), cursor)


@pytest.mark.parametrize("types", [None, 3, ["x"], [{}], [{"text": 3}], [{"text": "a"}]])
def test_a_target_may_answer_anything(reactor: Reactor, types: Any) -> None:
    for code in ("ab", "%ti", "%run a", "%load_ext a", "!ls a"):
        Completed(reactor, code, {"types": types, "start": "x", "end": None})


# -- arguments


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%matplotlib in", ["inline"]),
        ("%autoreload ", ["0", "1", "2", "3", "all", "complete", "explicit", "now", "off"]),
        ("%xmode M", ["Minimal"]),
        ("%ps --", ["--all"]),
        ("%pip inst", ["install"]),
        ("%pwd ", []),
        ("%status x", []),
        ("%cd ", []),
    ],
)
def test_words_behind_magics(reactor: Reactor, code: str, expected: list[str]) -> None:
    done = Completed(reactor, code, found("never"))
    assert done.matches == expected
    assert done.asked == []


@pytest.mark.parametrize(
    ("code", "asked", "expected", "start"),
    [
        ("%run ", '"', ["sub/", "s.py"], 5),
        ("%run -i s", '"s', ["sub/", "s.py"], 8),
        ("%run sub/s", '"sub/s', ["sub/", "s.py"], 9),
        ("%load ~/s", '"~/s', ["sub/", "s.py", "s.txt"], 8),
        ("%%writefile s", '"s', ["sub/", "s.py", "s.txt"], 12),
        ("!cat sub/s", '"sub/s', ["sub/", "s.py", "s.txt"], 9),
        ("x = !cat s", '"s', ["sub/", "s.py", "s.txt"], 9),
    ],
)
def test_files_are_the_targets(
    reactor: Reactor, code: str, asked: str, expected: list[str], start: int
) -> None:
    answer = found("sub/", "s.py", "s.txt", start=asked.rfind("/") + 1 or 1)
    done = Completed(reactor, code, answer)
    assert done.asked == [(asked, len(asked))]
    assert done.matches == expected
    assert done.span == (start, len(code))


def test_extensions(reactor: Reactor) -> None:
    done = Completed(reactor, "%load_ext au", found("audit", start=7, kind="module"))
    assert done.asked == [("import au", 9)]
    assert done.matches == ["autoreload", "audit"]
    assert done.span == (10, 12)
    dotted = Completed(reactor, "%load_ext pkg.mo", found("mod", start=11, kind="module"))
    assert dotted.span == (14, 16)


@pytest.mark.parametrize("code", ["%timeit f", "%%timeit f", "%mine f", "!echo {f"])
def test_python_behind_magics_is_the_targets(reactor: Reactor, code: str) -> None:
    done = Completed(reactor, code, found("f", start=len(code) - 1, end=len(code)))
    assert done.asked == [(code, len(code))]
    assert done.matches == ["f"]


# -- processes


@pytest.mark.parametrize(
    ("code", "expected", "start"),
    [
        ("%attach ", ["42", "421", "7"], 8),
        ("%attach 42", ["42", "421"], 8),
        ("x\n%attach 4", ["42", "421"], 10),
        ("%attach sh", ["shop.py"], 8),
        ("%attach x", [], 8),
    ],
)
@pytest.mark.usefixtures("running")
def test_processes(reactor: Reactor, code: str, expected: list[str], start: int) -> None:
    done = Completed(reactor, code)
    assert done.matches == expected
    assert done.span == (start, len(code))
    assert done.asked == []


@pytest.mark.usefixtures("running")
def test_a_process_is_shown_with_its_command_line(reactor: Reactor) -> None:
    done = Completed(reactor, "%attach 42")
    assert [each["type"] for each in done.types] == ["python shop.py", "python -m worker"]


# -- symbols


@pytest.mark.parametrize(
    ("code", "expected", "start"),
    [
        ("\\alpha", ["\N{GREEK SMALL LETTER ALPHA}"], 0),
        ("x = \\alph", ["\\alpha"], 4),
        ("\\GREEK SMALL LETTER BETA", ["\N{GREEK SMALL LETTER BETA}"], 0),
    ],
)
def test_symbols(reactor: Reactor, code: str, expected: list[str], start: int) -> None:
    done = Completed(reactor, code)
    assert done.matches == expected
    assert done.span == (start, len(code))


def test_what_is_no_symbol_is_the_targets(reactor: Reactor) -> None:
    done = Completed(reactor, "open('C:\\fi", found("file", start=9, end=11))
    assert done.matches == ["file"]


# -- the table


LISTING = """
import json
from IPython.core.interactiveshell import InteractiveShell
from ipykernel.zmqshell import KernelMagics
magics = InteractiveShell().magics_manager.magics
line = [*magics["line"], *KernelMagics.magics["line"]]
print("\\n" + json.dumps({"line": line, "cell": list(magics["cell"])}))
"""


def installed(place: Path) -> dict[str, set[str]]:
    """The magics of the IPython that is installed, and of its kernel."""
    environment = os.environ | {"IPYTHONDIR": str(place)}
    command = [sys.executable, "-c", LISTING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {kind: set(names) for kind, names in json.loads(done.stdout.splitlines()[-1]).items()}


def refused() -> set[str]:
    """The magics that the agent refuses, as its source says."""
    tree = ast.parse((ROOT / "live_kernel" / "agent" / "magics.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NOT_HERE":
            return set(ast.literal_eval(node.value))
    raise AssertionError("NOT_HERE is gone")


def test_the_table_is_that_of_the_installed_ipython(tmp_path: Path) -> None:
    there = installed(tmp_path)
    assert there["line"] - refused() == magic_names.LINE
    assert there["cell"] == magic_names.CELL
    assert refused() == magic_names.REFUSED


def test_what_is_said_of_a_magic_is_said_of_one_that_there_is() -> None:
    told = {*magic_names.CHOICES, *magic_names.FILES, *magic_names.OF_EXTENSIONS}
    told |= magic_names.OF_CODE
    known = magic_names.LINE | magic_names.CELL | {"ps", "autoreload"}
    assert told - known == set()


def test_every_magic_is_explained() -> None:
    for name in ("%" + name for name in magic_names.LINE - magic_names.MADE_LATE):
        assert is_explained(name)
        assert "Docstring:" in docstring_page(name)
    for name in ("%%" + name for name in magic_names.CELL - magic_names.MADE_LATE):
        assert "Docstring:" in docstring_page(name)
    assert not is_explained("%cat")
    assert not is_explained("timeit")


# -- through the kernel


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    (place / "sub").mkdir()
    (place / "sub" / "inner.py").write_text("")
    (place / "notes.txt").write_text("")
    (place / "beside_the_program.py").write_text("raise AssertionError('imported')\n")
    return place


@pytest.fixture(scope="module")
def kernel(place: Path) -> Iterator[Kernel]:
    with Target("idle", cwd=place) as target, Kernel("--pid", target.pid) as kernel:
        assert kernel.run(f"import sys; sys.path.append({str(place)!r})").status == "ok"
        yield kernel


@pytest.mark.client
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%run ", ["sub/", "beside_the_program.py"]),
        ("%run sub/", ["inner.py"]),
        ("!cat no", ["notes.txt"]),
        ("open('sub/in", ["inner.py"]),
        ("%load_ext beside", ["beside_the_program"]),
        ("import beside", ["beside_the_program"]),
        ("%timeit wor", ["word"]),
        ("%%time\nwor", ["word"]),
        ("%ti", ["%time", "%%time", "%timeit", "%%timeit"]),
    ],
)
def test_in_the_targets_directory(kernel: Kernel, code: str, expected: list[str]) -> None:
    assert sorted(kernel.complete(code)) == sorted(expected)


@pytest.mark.client
def test_this_process_is_offered_with_its_command_line() -> None:
    with Target("idle") as target, Kernel() as kernel:
        code = f"%attach {target.pid}"
        reply = kernel.ask("complete_request", code=code, cursor_pos=len(code))
        (offered,) = reply["metadata"]["_jupyter_types_experimental"]
        assert offered["text"] == str(target.pid)
        assert "idle.py" in offered["type"]
        assert kernel.complete("%deta") == ["%detach"]
        assert kernel.complete("open('") == []  # there is no program whose files they could be


@pytest.mark.client
def test_while_a_cell_runs_and_without_loading_ipython(kernel: Kernel, place: Path) -> None:
    gate = place / "gate"
    os.mkfifo(gate)
    cell = kernel.begin(f"print('begun'); open({str(gate)!r}).read()")
    kernel.wait(lambda: "begun" in cell.stdout)
    assert kernel.complete("%run sub/") == ["inner.py"]
    assert kernel.complete("word.upp") == ["upper"]
    assert "%time" in kernel.complete("%")
    gate.write_text("go")
    assert cell.finish().status == "ok"
    gate.unlink()
    assert kernel.value("[n for n in sys.modules if n.partition('.')[0] == 'IPython']") == []


@pytest.mark.client
def test_magics_of_an_extension_are_offered_once_it_is_loaded(kernel: Kernel) -> None:
    assert "%autoreload" not in kernel.complete("%autore")
    assert kernel.run("%load_ext autoreload").status == "ok"
    assert kernel.complete("%autore") == ["%autoreload"]


@pytest.mark.parametrize(
    ("code", "matches"),
    [
        ("%thread wo", ["worker-1"]),
        ("%stack ", ["worker-1"]),
        ("%task f", ["fetch"]),
        ("%frame ", ["--default", "run"]),
        ("%frame --", ["--default"]),
        ("%frame 3 wor", []),
        ("%up ", []),
    ],
)
def test_what_the_target_offers_stands_behind_the_commands_that_look(
    reactor: Reactor, code: str, matches: list[str]
) -> None:
    completed = Completed(reactor, code)
    assert completed.matches == matches
    assert completed.asked == []
