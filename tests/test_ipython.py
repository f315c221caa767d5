"""IPython's language in cells of a live program, and what is left of it: nothing.

Runs in pytest, against real targets: one without IPython, to which it is lent,
and one that has its own. Rule: after a detach the program is as it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel, plain
from snapshots import Program, differences, memory
from targets import Target, eventually, found

from live_kernel.handle import Handle, attach

pytestmark = pytest.mark.attach

BARE = "without IPython"
EQUIPPED = "with IPython"


def python(kind: str) -> str:
    """An interpreter for a target with an IPython of its own, or without one."""
    path = found("python314") if kind == BARE else sys.executable
    if path is None or (kind == EQUIPPED and sys.version_info[:2] != (3, 14)):
        pytest.skip(f"no CPython 3.14 {kind} here")
    return path


@pytest.fixture(params=[BARE, EQUIPPED], scope="module")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with Target("idle", python(request.param)) as target:
        yield target


class Session:
    """A handle, and what its cells have shown."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.events: list[dict[str, Any]] = []

    def run(self, code: str) -> dict[str, Any]:
        self.events = []
        return self._handle.run(code, self.events.append)

    def ok(self, code: str) -> str:
        """Run a cell that must succeed. Returns what it wrote and showed, as text."""
        outcome = self.run(code)
        assert outcome["status"] == "ok", "\n".join(outcome["error"]["traceback"])
        return self.text

    def error(self, code: str) -> tuple[str, str]:
        outcome = self.run(code)
        assert outcome["status"] == "error", self.events
        return outcome["error"]["ename"], plain("\n".join(outcome["error"]["traceback"]))

    @property
    def text(self) -> str:
        return "".join(
            event.get("text") or event.get("data", {}).get("text/plain", "")
            for event in self.events
        )

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.fixture
def session(target: Target) -> Iterator[Session]:
    with attach(target.pid) as handle:
        yield Session(handle)


@contextmanager
def attached(target: Target) -> Iterator[Session]:
    with attach(target.pid) as handle:
        yield Session(handle)


# -- commands


def test_a_command_runs_beside_the_launcher_in_the_targets_directory(
    target: Target, session: Session
) -> None:
    assert session.ok("!pwd; echo $PPID") == f"{Path.cwd()}\n{os.getpid()}\n"
    assert session.ok("_exit_code") == "0"


def test_what_a_command_writes_keeps_its_stream_and_its_place(session: Session) -> None:
    session.ok("print('before')\n!echo out; echo err >&2\nprint('after')")
    streams = dict.fromkeys(("stdout", "stderr"), "")
    for event in session.events:
        streams[event["name"]] += event["text"]
    assert streams == {"stdout": "before\nout\nafter\n", "stderr": "err\n"}


def test_output_comes_while_the_command_runs(session: Session, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    seen: list[str] = []

    def show(event: dict[str, Any]) -> None:
        seen.append(event.get("text", ""))
        if seen == ["first\n"]:
            gate.write_text("go")

    outcome = session._handle.run(f"!echo first; cat {gate}; echo; echo last", show)
    assert outcome["status"] == "ok"
    assert "".join(seen) == "first\ngo\nlast\n"


def test_values_go_into_a_command(session: Session) -> None:
    assert session.ok("a = 'x y'\n!echo {a} $a {len(a)} '$a'") == ("x y x y 3 $a\n")
    assert session.ok("!echo {word} ${{HOME}} $$a") == f"start {os.environ['HOME']}\n"
    assert session.ok("def f(inner):\n    !echo {inner}\nf(3)") == "3\n"


def test_output_as_lines(session: Session) -> None:
    assert session.ok("x = !echo a; echo b >&2; exit 7\nlist(x), _exit_code") == ("(['a', 'b'], 7)")


def test_the_environment_is_the_programs(session: Session) -> None:
    session.ok("import os; os.environ['OF_THE_CELL'] = 'yes'")
    assert session.ok("!echo $OF_THE_CELL") == "yes\n"
    session.ok("del os.environ['OF_THE_CELL']")


def test_a_command_that_is_none(session: Session) -> None:
    assert "not found" in session.ok("!no-such-command-anywhere")
    assert session.ok("_exit_code") == "127"


def test_no_command_in_the_background(session: Session) -> None:
    assert session.error("!sleep 100 &")[0] == "OSError"


def test_the_target_forks_nothing(target: Target, session: Session) -> None:
    children = Path(f"/proc/{target.pid}/task/{target.pid}/children")
    seen: list[str] = []

    def show(event: dict[str, Any]) -> None:
        seen.append(children.read_text() + event.get("text", ""))

    session._handle.run("!echo $PPID", show)
    assert seen == [f"{os.getpid()}\n"]
    session._handle.run("%%bash\necho $PPID", show)
    assert seen[1:] == [f"{os.getpid()}\n"]


# -- magics


def test_magics_that_time(session: Session) -> None:
    assert "1 loop each" in session.ok("%timeit -n1 -r2 total()")
    assert "1 loop each" in session.ok("%%timeit -n1 -r1 x = total()\nx + total()")
    assert "Wall time" in session.ok("%time total()")
    assert "42" in session.text
    assert "function calls" in session.ok("%prun total()")


def test_magics_see_and_change_what_cells_do(target: Target, session: Session) -> None:
    count = len(target.lines())
    session.ok("%time word = 'by time'")
    target.wait_for("word is by time", after=count)
    session.ok("%%time\nword = 'by a cell'\nown = 1")
    target.wait_for("word is by a cell", after=count)
    session.ok("%%capture\nword = 'start'")
    target.wait_for("word is start", after=count)
    assert session.ok("own") == "1"
    assert session.ok("import sys; hasattr(sys.modules['__main__'], 'own')") == "False"


def test_who_lists_the_names_of_the_cells(session: Session) -> None:
    session.ok("mine = 41\n1")
    assert session.ok("%who").split() == ["mine"]
    assert "mine" in session.ok("%whos")
    assert session.ok("%who_ls") == "['mine']"


def test_capture(target: Target, session: Session) -> None:
    text = session.ok(
        "%%capture got\nimport sys\nprint('out'); print('err', file=sys.stderr)\n"
        "display('shown')\n!echo from outside\n6 * 7"
    )
    assert text == ""
    assert session.ok("got.stdout, got.stderr, len(got.outputs)") == (
        "('out\\nfrom outside\\n', 'err\\n', 2)"
    )
    assert session.ok("got.show()").startswith("out\nfrom outside\n")
    assert "42" in session.text


def test_capture_keeps_nothing_of_the_program() -> None:
    with Target("threaded") as target, attached(target) as session:
        session.ok("import threading, sys, time")
        code = "%%capture got\nimport _thread\n"
        code += "_thread.start_new_thread(sys.modules['__main__'].print, ('the program', ))\n"
        session.ok(code)
        assert "the program" not in session.ok("got.stdout")


@pytest.mark.parametrize("program", ["aio_idle", "idle"])
def test_magics_that_await(program: str) -> None:
    with Target(program) as target, attached(target) as session:
        session.ok("import asyncio")
        assert "Wall time" in session.ok("%%time\nawait asyncio.sleep(0, 3)")
        assert session.text.startswith("3")
        session.ok("%%capture got\nprint(await asyncio.sleep(0, 4))")
        assert session.ok("got.stdout") == "'4\\n'"
        assert session.error("%%time\nawait asyncio.sleep(0)\n1 / 0")[0] == "ZeroDivisionError"


def test_notes_of_magics_last_for_the_session(session: Session) -> None:
    session.ok("%bookmark here")
    assert "here" in session.ok("%bookmark -l")


def test_run(session: Session, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nmade = sys.argv[1:]\nprint(__name__)\n")
    assert session.ok(f"%run {script} a b") == "__main__\n"
    assert session.ok("made") == "['a', 'b']"
    assert session.ok("sys = __import__('sys'); sys.modules['__main__'].word") == "'start'"


def test_scripts(session: Session) -> None:
    assert session.ok("%%bash\nx=3\necho $x {braces}") == "3 {braces}\n"
    assert session.ok("%%script cat\nas it is") == "as it is\n"
    name, text = session.error("%%sh\nexit 3")
    assert name == "CalledProcessError"
    assert "exit status 3" in text
    session.ok("%%sh --out got --no-raise-error\necho kept; exit 4")
    assert session.ok("got, _exit_code") == "('kept\\n', 4)"


def test_pip_works_on_the_targets_environment(session: Session) -> None:
    text = session.ok("%pip --version")
    assert "environment of the live program" in text
    assert session.ok("import sys; sys.executable").strip("'") in text or "pip " in text


def test_history_is_what_was_typed(session: Session) -> None:
    session.ok("1 + 1")
    session.ok("%who_ls")
    assert session.ok("%history") == "1 + 1\n%who_ls\n%history\n"
    assert session.ok("In[2]") == "'%who_ls'"


def test_extensions_are_told_of_cells(session: Session) -> None:
    session.ok("""
import sys, types
told = []
def load(shell): shell.events.register("pre_run_cell", lambda info: told.append(info.raw_cell))
sys.modules["lk_extension"] = types.ModuleType("lk_extension")
sys.modules["lk_extension"].load_ipython_extension = load
%load_ext lk_extension""")
    assert session.ok("told[-1]") == "'told[-1]'"
    session.ok("del sys.modules['lk_extension']")


def test_an_unknown_magic_has_ipythons_words(session: Session) -> None:
    expected = "UsageError: Line magic function `%nonsense` not found."
    assert session.error("%nonsense") == ("UsageError", expected)
    expected = "UsageError: Cell magic `%%nonsense` not found."
    assert session.error("%%nonsense\n1") == ("UsageError", expected)


def test_our_commands_are_among_the_magics(session: Session) -> None:
    text = session.ok("%lsmagic")
    assert {"%attach", "%detach", "%ps", "%status", "%timeit"} <= set(text.split())
    assert "beginning of a cell" in session.error("if True:\n    %detach")[1]


@pytest.mark.parametrize("magic", ["%cd /", "%env A=1", "%set_env A 1", "%edit", "%gui qt"])
def test_what_would_change_the_program_is_refused(session: Session, magic: str) -> None:
    name, text = session.error(magic)
    assert name == "UsageError"
    assert "live program" in text


def test_reset_forgets_the_names_of_the_cells_only(session: Session) -> None:
    session.ok("mine = 1")
    session.ok("%reset -f")
    assert session.error("mine")[0] == "NameError"
    assert session.ok("word, 1 + 1") == "('start', 2)"


@pytest.mark.parametrize(
    "magic", ["%pushd /", "%popd", "%store word", "%connect_info", "%qtconsole"]
)
def test_refusals_say_why(session: Session, magic: str) -> None:
    before = session.ok("import os; os.getcwd()")
    name, text = session.error(magic)
    assert name == "UsageError"
    assert "is not for cells in a live program: " in text
    assert session.ok("os.getcwd()") == before


def test_a_magic_without_its_sign(session: Session) -> None:
    session.ok("mine = 41")
    assert session.ok("who").split() == ["mine"]
    assert "mine" in session.ok("whos int")
    assert session.ok("pwd") == repr(str(Path.cwd()))
    assert session.ok("who = 'a name like any other'\n") == ""
    assert session.ok("who") == "'a name like any other'"
    assert session.ok("_") == "'a name like any other'"
    assert session.error("cd /")[0] == "UsageError"
    assert "CPU times" in session.ok("time mine + 1")


def test_history_by_count_pattern_and_session(session: Session) -> None:
    for code in ("first = 1", "second = 2", "1 + 1"):
        session.ok(code)
    assert session.ok("%history -l 2") == "second = 2\n1 + 1\n"
    assert session.ok("%history -g *nd*").split()[:4] == ["2:", "second", "=", "2"]
    assert "earlier sessions" in session.error("%history ~1/1")[1]
    session.ok("5 + 5")
    assert session.ok("%rerun -l 1").endswith("=== Output: ===\n10")
    session.ok("%recall 2")
    assert session.events[0]["text"] == "second = 2"


def test_a_macro_runs_by_its_name(session: Session) -> None:
    session.ok("count = 1")
    session.ok("count += 1")
    session.ok("%macro -q again 2")
    assert session.ok("again") == ""
    assert session.kinds() == []
    assert session.ok("count") == "3"
    assert "count += 1" in session.ok("print(again)")


def test_xdel_forgets_a_name_of_the_cells(session: Session) -> None:
    session.ok("mine = other = [1]")
    session.ok("%xdel mine")
    assert session.error("other")[0] == "NameError"
    assert session.ok("%xdel word") == "NameError: name 'word' is not defined\n"
    assert session.ok("word") == "'start'"


def test_reset_of_inputs_and_outputs(session: Session) -> None:
    session.ok("mine = 5\nmine")
    session.ok("%reset -f out")
    session.ok("%reset -f in")
    assert session.ok("mine") == "5"


def test_rehashx_and_aliases(session: Session) -> None:
    session.ok("%rehashx")
    assert session.ok("%echo {1 + 1}") == "2\n"
    session.ok("%alias twice echo %s %s")
    assert session.ok("%twice a b") == "a b\n"
    session.ok("%unalias twice")


def test_files(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "written.py"
    assert session.ok(f"%%writefile {file}\nmade = 1\n").startswith("Writing")
    session.ok(f"%%writefile -a {file}\nmade += 1\n")
    assert file.read_text() == "made = 1\nmade += 1\n"
    session.ok(f"%less {file}")
    assert session.events[0]["data"]["text/plain"] == file.read_text()
    session.ok(f"%load {file}")
    assert session.events[0]["text"].endswith(file.read_text())
    session.ok(f"%run -i {file}")
    assert session.ok("made") == "2"
    session.ok(f"%save -f {file} 1")
    assert "%%writefile" in file.read_text()


def test_modes_of_tracebacks(session: Session) -> None:
    session.ok("def f(secret):\n    return 1 / secret")
    session.ok("%xmode Minimal")
    assert session.error("f(0)")[1] == "ZeroDivisionError: division by zero"
    session.ok("%xmode Verbose")
    assert "    secret = 0" in session.error("f(0)")[1]
    session.ok("%xmode Context")
    assert "secret = 0" not in session.error("f(0)")[1]


def test_completion_has_no_settings_of_ipythons(session: Session) -> None:
    assert "no effect" in session.ok("%config IPCompleter.use_jedi = False")
    session.ok("%config DisplayFormatter.active_types = ['text/plain']")


def test_pip_says_nothing_of_restarting_the_kernel(session: Session) -> None:
    assert "restart the kernel" not in session.ok("%pip --version")


MIME = {"html": "text/html", "markdown": "text/markdown", "latex": "text/latex",
        "svg": "image/svg+xml", "javascript": "application/javascript"}  # fmt: skip


@pytest.mark.parametrize("magic", MIME)
def test_cells_in_other_languages(session: Session, magic: str) -> None:
    session.ok(f"%%{magic}\n<svg></svg>")
    assert MIME[magic] in session.events[0]["data"]


# -- help, display, errors


def test_python_help_is_the_cells_output(session: Session) -> None:
    session.ok("def f(a):\n    'Does it.'")
    assert "Does it." in session.ok("help(f)")
    assert "Here is a list of the Python keywords." in session.ok("help('keywords')")
    assert "class str" in session.ok("help(str)")
    assert session.error("help(1, 2)")[0] == "TypeError"
    assert session.ok("help").startswith("Type help()")


def test_help_in_the_middle_of_a_cell_goes_to_the_pager(session: Session) -> None:
    session.ok("a = 1\nword?\na + 1")
    assert session.kinds() == ["page", "result"]
    assert "start" in session.events[0]["data"]["text/plain"]


def test_ipythons_own_display_needs_no_shell(session: Session) -> None:
    session.ok(
        "from IPython.display import clear_output, display, HTML, Markdown, update_display\n"
        "clear_output(wait=True)\n"
        "handle = display(HTML('<b>1</b>'), display_id=True)\nhandle.update(Markdown('*2*'))"
    )
    assert session.kinds() == ["clear", "display", "update"]
    assert session.events[0]["wait"] is True
    assert session.events[1]["data"]["text/html"] == "<b>1</b>"
    assert session.events[2]["data"]["text/markdown"] == "*2*"
    assert session.events[1]["transient"] == session.events[2]["transient"]
    assert session.ok("get_ipython()") == "<IPython in a live program>"
    assert session.ok("type(get_ipython()).__name__") == "'Interface'"


def test_registered_formatters_are_asked(session: Session) -> None:
    session.ok("%precision 3")
    assert session.ok("1 / 3") == "0.333"
    session.ok(
        "html = get_ipython().display_formatter.formatters['text/html']\n"
        "html.for_type(int, lambda value: f'<b>{value}</b>')"
    )
    session.ok("7")
    assert session.events[0]["data"] == {"text/plain": "7", "text/html": "<b>7</b>"}


@pytest.mark.root
def test_commands_have_no_more_rights_than_the_target() -> None:
    wrap = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Target("idle", wrap=wrap, cwd="/tmp") as target, attached(target) as session:
        assert session.ok("!id -u; id -G; pwd") == "65534\n65534\n/tmp\n"


DRAWING = """
import time
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.plot([1])
print("ready", flush=True)
while True:
    time.sleep(0.005)
"""


def test_a_program_that_draws_keeps_its_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    program = tmp_path / "drawing.py"
    program.write_text(DRAWING)
    with Target(program, python(EQUIPPED)) as target, attached(target) as session:
        session.ok("%matplotlib inline")
        session.ok("plt.figure(); plt.plot([2]);")
        assert session.kinds() == ["display"]
        assert "image/png" in session.events[0]["data"]
        assert session.ok("plt.get_fignums(), plt.get_backend()") == "([1], 'agg')"


def test_figures_are_shown_inline() -> None:
    pytest.importorskip("matplotlib")
    with Target("idle", python(EQUIPPED)) as target:
        with attached(target) as session:
            session.ok("import matplotlib; before = dict.get(matplotlib.rcParams, 'backend')")
            session.ok("%matplotlib inline")
            session.ok("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
            assert "image/png" in session.events[0]["data"]
        with attached(target) as session:
            assert "inline" not in session.ok("import matplotlib; matplotlib.get_backend()")


def test_get_ipython_is_what_libraries_look_for(session: Session) -> None:
    session.ok("%precision 3")
    assert session.ok("type(get_ipython()).__name__") == "'ZMQInteractiveShell'"
    session.ok("import IPython")
    assert session.ok("IPython.get_ipython() is get_ipython()") == "True"
    assert session.ok("'IPKernelApp' in get_ipython().config") == "True"
    assert session.ok("get_ipython().user_ns is globals()") == "True"


def test_an_error_shows_what_the_user_typed(session: Session) -> None:
    _, text = session.error("def f():\n    !true\n    1 / 0\n%time f()")
    assert "\n    1 / 0\n" in text or "1 / 0" in text
    _, text = session.error("x = !true\nx.y")
    assert "x.y" in text
    name, text = session.error("x = !true\n1 +")
    assert name == "SyntaxError"
    assert "1 +" in text


def test_the_last_error_can_be_shown_again(session: Session) -> None:
    session.error("1 / 0")
    session.ok("%tb")
    (event,) = session.events
    assert event["event"] == "error"
    assert event["error"]["ename"] == "ZeroDivisionError"


# -- through the kernel


@pytest.mark.client
def test_debug_asks_the_front_end() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("def f(secret):\n    return 1 / secret\nf(0)")
        kernel.answers.extend(["p secret + 7", "up", "q"])
        cell = kernel.run("%debug", allow_stdin=True)
        assert cell.status == "ok", cell
        assert "7" in cell.stdout
        assert "<module>" in cell.stdout
        assert {prompt["prompt"] for prompt in kernel.prompts} == {"ipdb> "}


@pytest.mark.client
def test_payloads() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        (payload,) = kernel.run("x = 1\nword?").payload
        assert payload["source"] == "page"
        (payload,) = kernel.run("get_ipython().set_next_input('next', replace=True)").payload
        assert payload == {"source": "set_next_input", "text": "next", "replace": True}
        (payload,) = kernel.run("%attach?").payload
        assert "pid" in payload["data"]["text/plain"]


@pytest.mark.client
def test_help_on_magics_loads_no_ipython() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        for code in ("%timeit?", "%%timeit?", "?%timeit"):
            (payload,) = kernel.run(code).payload
            assert "Time execution" in payload["data"]["text/plain"]
        (payload,) = kernel.run("?").payload
        assert "object?" in payload["data"]["text/plain"]
        (payload,) = kernel.run("word.start*?").payload
        assert payload["data"]["text/plain"] == "word.startswith"
        reply = kernel.ask("inspect_request", code="x = %timeit 1", cursor_pos=8, detail_level=0)
        assert "Time execution" in reply["data"]["text/plain"]
        assert kernel.run("%nonsense?").stdout == "Object `%nonsense` not found.\n"
        kernel.run("import sys")
        loaded = kernel.value("[n for n in sys.modules if n.partition('.')[0] == 'IPython']")
        assert "IPython.core.interactiveshell" in loaded  # by the last of them, which is nobody's


@pytest.mark.client
def test_an_interrupt_ends_the_command_and_the_cell() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.begin("!echo $$; exec sleep 1000\nprint('not reached')")
        kernel.wait(lambda: cell.stdout.endswith("\n"))
        pid = int(cell.stdout)
        kernel.interrupt()
        assert cell.finish().error[0] == "KeyboardInterrupt"
        assert "not reached" not in cell.text
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        assert kernel.run("1 + 1").result == "2"
        assert target.alive()


@pytest.mark.client
def test_a_command_ends_with_the_kernel() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.begin("!echo $$; exec sleep 1000")
        kernel.wait(lambda: cell.stdout.endswith("\n"))
        pid = int(cell.stdout)
        kernel.shutdown()
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        assert target.alive()


@pytest.mark.client
def test_help_asks_the_front_end() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        kernel.answers.extend(["len", "q"])
        cell = kernel.run("help()", allow_stdin=True)
        assert cell.status == "ok", cell
        assert "Return the number of items in a container." in cell.stdout
        assert {prompt["prompt"] for prompt in kernel.prompts} == {"help> "}
        assert kernel.run("help()").error[0] == "StdinNotImplementedError"


# -- harm


@pytest.mark.harm
def test_help_chooses_no_pager_for_the_program() -> None:
    with Target("idle") as target, attached(target) as session:
        session.ok("import pydoc")
        before = session.ok("pydoc.pager.__name__, pydoc.help is pydoc.help")
        for code in ("help(str)", "help('topics')", "help('keywords')", "str?"):
            session.ok(code)
        assert session.ok("pydoc.pager.__name__, pydoc.help is pydoc.help") == before
        assert before.startswith("('pager'")


EVERYTHING = """
%time 1
%timeit -n1 -r1 1
%prun -q 1
%who
%whos
%history
%lsmagic
%load_ext autoreload
%autoreload 2
%xmode plain
%precision 3
%pinfo2 word
%psearch wor*
%rehashx
%macro -q again 1
again
%config
%config IPCompleter.use_jedi = False
who
%less {place}/log.py
%alias here pwd
!true
x = !true
from IPython.display import HTML, clear_output, display
display(HTML('x')); clear_output()
get_ipython().display_formatter.formatters
%logstart -q {place}/new.py
"""


@pytest.mark.harm
@pytest.mark.parametrize("kind", [BARE, EQUIPPED])
def test_everything_is_undone(kind: str, tmp_path: Path) -> None:
    with Program("idle", python(kind)) as program:
        with attach(program.pid) as handle:
            Session(handle).ok("import json")  # what a plain cell may leave behind
        before = program.after_leaving()
        (tmp_path / "log.py").touch()
        with attach(program.pid) as handle:
            session = Session(handle)
            for line in EVERYTHING.format(place=tmp_path).strip().splitlines():
                session.ok(line)
            session.ok("%%capture c\n1")
            session.error("%nonsense")
            session.error("1 / 0")
            session.ok("%tb")
        # %autoreload imports ctypes, for which libffi keeps a descriptor: see staying.py.
        after = program.after_leaving()
        left = differences(before, after, interrupted=True, has_ipython=kind == EQUIPPED)
        assert not left, left


CHANGES_MEANWHILE = """
import os, sys, threading

def change():
    while "IPython" not in sys.modules:
        pass
    os.environ["OF_THE_PROGRAM"] = "yes"
    sys.path.append("/of/the/program")

thread = threading.Thread(target=change)
thread.start()
"""


@pytest.mark.harm
def test_what_the_program_changes_while_ipython_starts_stays() -> None:
    """As a thread of the program would: this one is seen in the middle of the import."""
    with Target("idle", python(BARE)) as target:
        with attached(target) as session:
            session.ok(CHANGES_MEANWHILE)
            session.ok("%time 1")
            session.ok("thread.join()")
        with attached(target) as session:
            session.ok("import os, sys")
            assert session.ok("os.environ.get('OF_THE_PROGRAM')") == "'yes'"
            assert session.ok("sys.path[-1]") == "'/of/the/program'"


@pytest.mark.harm
def test_a_program_with_an_ipython_keeps_its_own() -> None:
    with Target("embedded", python(EQUIPPED)) as target:
        with attached(target) as session:
            session.ok("%time word = 'w'")
            assert session.ok("get_ipython() is shell") == "False"
            session.ok("import threading, IPython")
            session.ok("from IPython.core.interactiveshell import InteractiveShell")
            session.ok(
                "import _thread\nfound = []\n"
                "def ask(): found.append(InteractiveShell.instance() is shell)\n"
                "_thread.start_new_thread(ask, ())\n"
                "import time\nwhile not found: time.sleep(0.001)"
            )
            assert session.ok("found") == "[True]"
            session.ok("word = 'look'")
            target.wait_for("look: taught True, own True")
        count = len(target.lines())
        target.send("look")
        target.wait_for("look: taught False, own True", after=count)


@pytest.mark.harm
def test_a_plain_cell_loads_no_ipython() -> None:
    with Target("idle", python(EQUIPPED)) as target, attached(target) as session:
        session.ok("x = 1\ndisplay(x)\nx")
        session.ok("!true")
        assert session.ok("import sys; [n for n in sys.modules if 'IPython' in n]") == "[]"


@pytest.mark.harm
@pytest.mark.parametrize("kind", [BARE, EQUIPPED])
def test_what_a_magic_costs_is_bounded(kind: str) -> None:
    with Target("idle", python(kind)) as target:
        start = memory(target.pid)
        with attached(target) as session:
            count = int(session.ok("import sys; len(sys.modules)"))
            plain_cell = memory(target.pid) - start
            session.ok("%time 1")
            magic = memory(target.pid) - start
            more = int(session.ok("len(sys.modules)"))
        figures = f"{plain_cell:,} bytes and {count} modules, {magic:,} and {more} with a magic"
        print(kind, figures)
        assert plain_cell < 10_000_000, figures
        assert magic < 50_000_000, figures
