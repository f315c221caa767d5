"""`%%local`: cells in a stock ipykernel beside the launcher, as if it were the only kernel.

Runs in pytest: real launchers, most of them without any target, whose local kernel
is real too. Rule: no local kernel outlives its launcher, whatever becomes of that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kernels import Cell, Kernel, Message
from loading import loaded_by
from targets import Target, eventually, older_launcher

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A launcher without a target; its local kernel is started by the first test."""
    with Kernel() as kernel:
        yield kernel


def local(kernel: Kernel, code: str, **options: object) -> Cell:
    return kernel.run("%%local\n" + code, **options)


def begin(kernel: Kernel, code: str, **options: object) -> Cell:
    return kernel.begin("%%local\n" + code, **options)


def pid_of(kernel: Kernel) -> int:
    """The local kernel's process."""
    return int(local(kernel, "import os; os.getpid()").result or 0)


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# -- what a cell shows


def test_streams_and_a_result_are_those_of_the_cell(kernel: Kernel) -> None:
    cell = local(kernel, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (cell.status, cell.stdout, cell.stderr, cell.result) == ("ok", "out\n", "err\n", "42")
    kinds = [m["msg_type"] for m in cell.messages if m["channel"] == "iopub"]
    assert kinds[:2] == ["status", "execute_input"]
    assert kinds.count("status") == 2
    assert kinds.count("execute_input") == 1
    assert kinds[-1] == "status"


def test_it_counts_as_the_notebook_does(kernel: Kernel) -> None:
    kernel.run("%status")
    cell = local(kernel, "'numbered'")
    (result,) = cell.contents("execute_result")
    count = cell.reply["execution_count"]
    assert result["execution_count"] == count
    assert local(kernel, f"Out[{count}]").result == "'numbered'"
    assert f"Cell In[{count + 2}], line 1" in local(kernel, "1 / 0").traceback


def test_rich_display_updates_and_clearing_come_through(kernel: Kernel) -> None:
    cell = local(
        kernel,
        "from IPython.display import display, HTML, clear_output\n"
        "handle = display(HTML('<b>one</b>'), display_id='it')\n"
        "handle.update(HTML('<b>two</b>'))\n"
        "clear_output(wait=True)",
    )
    (shown,) = cell.contents("display_data")
    (updated,) = cell.contents("update_display_data")
    assert shown["data"]["text/html"] == "<b>one</b>"
    assert updated["data"]["text/html"] == "<b>two</b>"
    assert shown["transient"]["display_id"] == updated["transient"]["display_id"] == "it"
    assert cell.contents("clear_output") == [{"wait": True}]


def test_a_figure_is_shown(kernel: Kernel) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    cell = local(kernel, code, timeout=60)
    assert [set(data) for data in cell.displays] == [{"image/png", "text/plain"}]


def test_a_flood_of_displays_comes_whole_and_in_order(kernel: Kernel) -> None:
    cell = local(kernel, "for number in range(3000): display(number)", timeout=50)
    assert [int(data["text/plain"]) for data in cell.displays] == list(range(3000))
    *_, last = [m for m in cell.messages if m["channel"] == "iopub"]
    assert last["content"] == {"execution_state": "idle"}


def test_a_cell_waits_until_its_output_is_taken_and_can_be_interrupted(kernel: Kernel) -> None:
    """The front-end reads nothing for a while: what the cell makes piles up nowhere."""
    launcher = psutil.Process(kernel.launcher_pid)
    before = launcher.memory_info().rss
    cell = begin(kernel, "while True: display('x' * 10**4)")
    cell.wait_for("x")
    process = psutil.Process(launcher.children()[0].pid)
    spent = -1.0

    def rests() -> bool:
        nonlocal spent
        spent, last = sum(process.cpu_times()[:2]), spent
        return spent == last

    eventually(rests, every=0.5, what="a cell that waits")
    assert launcher.memory_info().rss - before < 100_000_000
    kernel.interrupt()
    assert cell.finish(timeout=40).error[0] == "KeyboardInterrupt"
    assert local(kernel, "'alive'").result == "'alive'"


def test_an_error_is_told_once(kernel: Kernel) -> None:
    cell = local(kernel, "def f():\n    raise ValueError('no')\nf()")
    assert cell.error == ("ValueError", "no")
    assert len(cell.contents("error")) == 1
    assert "in f()" in cell.traceback


def test_an_error_that_the_cell_outlives_is_shown_in_its_place(kernel: Kernel) -> None:
    code = "try:\n    1 / 0\nexcept Exception:\n    get_ipython().showtraceback()\nprint('on')"
    cell = local(kernel, code)
    shown = [m["msg_type"] for m in cell.messages if m["msg_type"] in ("error", "stream")]
    assert (cell.status, shown) == ("ok", ["error", "stream"])


def test_an_error_aborts_what_was_sent_behind_it(kernel: Kernel) -> None:
    cells = [begin(kernel, code) for code in ("import time; time.sleep(0.2); 1 / 0", "2")]
    assert [cell.finish().status for cell in cells] == ["error", "aborted"]
    assert local(kernel, "3").result == "3"


def test_magics_help_and_commands_are_its_own(kernel: Kernel) -> None:
    assert "loop" in local(kernel, "%timeit -n1 -r1 1").stdout
    assert local(kernel, "!echo from a shell").stdout.strip() == "from a shell"
    (page,) = local(kernel, "len?").payload
    assert "Return the number of items" in page["data"]["text/plain"]


def test_expressions_and_silence_are_passed_on(kernel: Kernel) -> None:
    cell = local(kernel, "x = 5", user_expressions={"twice": "x * 2", "bad": "nothing"})
    assert cell.expressions["twice"]["data"] == {"text/plain": "10"}
    assert cell.expressions["bad"]["ename"] == "NameError"
    count = cell.reply["execution_count"]
    silent = local(kernel, "y = 6\ny", silent=True)
    assert (silent.result, silent.reply["execution_count"]) == (None, count)
    assert local(kernel, "x + y").result == "11"


def test_what_a_thread_writes_later_goes_to_its_cell(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    cell = local(
        kernel,
        "import threading\ndef later():\n"
        f"    with open({str(gate)!r}) as gate:\n        print(gate.read(), flush=True)\n"
        "thread = threading.Thread(target=later)\nthread.start()",
    )
    gate.write_text("late")
    kernel.wait(lambda: "late" in cell.stdout, what="the thread's line")


def test_its_cells_are_history(kernel: Kernel) -> None:
    local(kernel, "remembered = 1")
    reply = kernel.ask(
        "history_request", hist_access_type="tail", n=1, output=False, raw=True, unique=False
    )
    assert reply["history"][-1][-1] == "%%local\nremembered = 1"


def test_its_first_line_holds_nothing_else(kernel: Kernel) -> None:
    assert "takes nothing on its own line" in kernel.run("%%local x = 1\nx").error[1]
    assert kernel.run("%%local").status == "ok"


def test_exit_ends_the_local_kernel_alone(kernel: Kernel) -> None:
    pid = pid_of(kernel)
    cell = local(kernel, "exit")
    assert (cell.status, cell.payload) == ("ok", [])
    assert pid_of(kernel) != pid
    eventually(lambda: has_ended(pid), what="the end of the local kernel")


# -- input, interrupt


def test_it_asks_who_sent_the_cell(kernel: Kernel) -> None:
    kernel.answers.extend(["Ada", "secret"])
    cell = local(
        kernel, "import getpass\n(input('name? '), getpass.getpass('word? '))", allow_stdin=True
    )
    assert cell.result == "('Ada', 'secret')"
    assert [(p["prompt"], p["password"]) for p in kernel.prompts[-2:]] == [
        ("name? ", False),
        ("word? ", True),
    ]
    assert local(kernel, "input()").error[0] == "StdinNotImplementedError"


def test_an_interrupt_ends_its_wait_for_input(kernel: Kernel) -> None:
    count = len(kernel.prompts)
    cell = begin(kernel, "input('never? ')", allow_stdin=True)
    kernel.wait(lambda: len(kernel.prompts) > count, what="the prompt")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"


def test_an_interrupt_reaches_the_cell_and_what_it_started(kernel: Kernel) -> None:
    cell = begin(kernel, "print('on'); import time; time.sleep(600)")
    cell.wait_for("on")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    cell = begin(kernel, "!echo on; sleep 600")
    cell.wait_for("on")
    kernel.interrupt()
    cell.finish()
    assert local(kernel, "'alive'").result == "'alive'"


# -- questions about code


def test_completion_and_inspection_are_its_own(kernel: Kernel) -> None:
    local(kernel, "import collections\nremarkable = collections.Counter('aab')")
    code = "%%local\nx = remarkable.most_"
    reply = kernel.ask("complete_request", code=code, cursor_pos=len(code))
    matches = [code[: reply["cursor_start"]] + match for match in reply["matches"]]
    assert matches == ["%%local\nx = remarkable.most_common"]
    assert reply["cursor_end"] == len(code)
    code = "%%local\nremarkable"
    reply = kernel.ask("inspect_request", code=code, cursor_pos=len(code), detail_level=0)
    assert reply["found"]
    assert "Counter" in reply["data"]["text/plain"]
    assert kernel.complete("%%loc") == ["%%local"]


def test_its_help_is_there_before_it_is(kernel: Kernel) -> None:
    for name in ("%%local", "%pull", "%push"):
        (page,) = kernel.run(f"{name}?").payload
        assert page["data"]["text/plain"].startswith(name)


# -- widgets


def test_a_widget_of_its_own_is_heard(kernel: Kernel) -> None:
    cell = local(
        kernel,
        "import ipywidgets\nslider = ipywidgets.IntSlider()\n"
        "slider.observe(lambda change: print('now', change['new']), 'value')\nslider",
        timeout=60,
    )
    opened: list[Message] = cell.contents("comm_open")
    comm = next(c for c in opened if c["data"]["state"].get("_model_name") == "IntSliderModel")
    state = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
    message = kernel.client.session.msg("comm_msg", {"comm_id": comm["comm_id"], "data": state})
    kernel.client.shell_channel.send(message)
    moved = Cell(kernel, message["header"]["msg_id"])
    kernel.wait(lambda: "now 7" in moved.stdout, what="the slider's callback")

    def states() -> list[str]:
        return [content["execution_state"] for content in moved.contents("status")]

    kernel.wait(lambda: states() == ["busy", "idle"], what="busy and idle")
    assert local(kernel, "slider.value").result == "7"


def test_output_of_a_forked_child(kernel: Kernel) -> None:
    """It comes on a socket at which the system lets in nobody but our own user."""
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "child = os.fork()\n"
        "if not child: print('of the child', flush=True); os._exit(0)\n"
        "status = os.waitpid(child, 0)"
    )
    cell = local(kernel, code)
    kernel.wait(lambda: "of the child" in cell.stdout, what="the child's output")


# -- its life


def test_it_is_reached_by_its_launcher_alone(kernel: Kernel) -> None:
    """Its channels have no names any more, and it has no port."""
    process = psutil.Process(pid_of(kernel))
    assert process.net_connections("inet") == []
    named = {each.laddr for each in process.net_connections("unix") if each.laddr}
    assert [path for path in named if Path(path).exists()] == []
    assert {path.name for path in kernel.place.iterdir()} <= {"kernel.json", "launcher.log"}


def stand_in(place: Path, text: str) -> None:
    """What the local kernel finds in place of ipykernel, with `place` in PYTHONPATH."""
    (place / "ipykernel").mkdir()
    (place / "ipykernel" / "__init__.py").touch()
    (place / "ipykernel" / "kernelapp.py").write_text(text)


def test_its_connection_file_is_private(tmp_path: Path) -> None:
    stand_in(
        tmp_path,
        "import os, stat, sys\n"
        "path = sys.argv[sys.argv.index('-f') + 1]\n"
        "for place in (path, os.path.dirname(path)):\n"
        "    print(oct(stat.S_IMODE(os.stat(place).st_mode)), flush=True)\n"
        "sys.exit()\n",
    )
    with Kernel(env={"PYTHONPATH": str(tmp_path)}) as kernel:
        local(kernel, "1")
        assert kernel.log().split()[:2] == ["0o600", "0o700"]


def test_it_is_not_started_before_it_is_needed() -> None:
    with Kernel() as kernel:
        kernel.run("%status")
        assert psutil.Process(kernel.launcher_pid).children() == []


def test_the_launcher_begins_without_what_it_needs() -> None:
    loaded = loaded_by("import live_kernel.launcher.kernel")
    assert "live_kernel.launcher.kernel" in loaded
    assert not loaded & {"jupyter_client", "ipykernel", "subprocess", "shutil"}
    assert not loaded & {"live_kernel.launcher.local_kernel", "live_kernel.launcher.moving"}


@pytest.mark.attach
def test_it_runs_beside_a_target_in_one_cell_with_other_commands() -> None:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.run("%pull word\n\n%%local\nimport os\n(word, os.getpid())")
        assert cell.status == "ok", cell
        assert cell.result is not None
        word, pid = eval(cell.result)
        assert word == "start"
        assert pid not in (target.pid, kernel.launcher_pid)
        assert kernel.value("os.getpid() if 'os' in vars() else 'of the target'") == "of the target"


@pytest.mark.older
def test_an_older_python_has_one_of_its_own() -> None:
    python = older_launcher()
    with Target("stock") as target, Kernel("--pid", target.pid, python=python) as kernel:
        code = "import sys\nsys.version_info < (3, 14), counts"
        cell = kernel.run(f"%pull counts\n%%local\n{code}")
        assert cell.result == "(True, {'cup': 3, 'plate': [1.5, None, True]})"
        local(kernel, "large = bytearray(10**6)")
        assert kernel.run("%push large\nlen(large)").result == "1000000"


def test_a_kernel_that_died_is_told_of_and_replaced() -> None:
    with Kernel() as kernel:
        first = pid_of(kernel)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not psutil.pid_exists(first), what="its end, which the launcher notices")
        cell = local(kernel, "import os; os.getpid()")
        assert f"(pid {first}) was killed by SIGKILL. A new one has been started" in cell.stderr
        assert cell.result != str(first)
        dying = local(kernel, "os.kill(os.getpid(), 9)")
        assert dying.error[0] == "LocalKernelLost"
        assert "was killed by SIGKILL" in dying.error[1]
        assert local(kernel, "'again'").stderr == ""


def test_a_kernel_that_cannot_start_says_so(tmp_path: Path) -> None:
    stand_in(tmp_path, "import sys; sys.exit(3)")
    with Kernel(env={"PYTHONPATH": str(tmp_path)}) as kernel:
        cell = local(kernel, "1")
        assert cell.error[0] == "LocalKernelLost"
        assert "exited with status 3 before it was ready" in cell.error[1]
        assert kernel.run("%status").status == "ok"


def test_an_interrupt_ends_the_wait_for_its_start(tmp_path: Path) -> None:
    stand_in(tmp_path, "import time; time.sleep(600)")
    with Kernel(env={"PYTHONPATH": str(tmp_path)}) as kernel:
        cell = begin(kernel, "1")
        eventually(psutil.Process(kernel.launcher_pid).children, what="the local kernel")
        kernel.interrupt()
        assert "Interrupted while" in cell.finish().error[1]


def test_a_restart_ends_it() -> None:
    with Kernel() as kernel:
        pid = pid_of(kernel)
        local(kernel, "kept = 1")
        kernel.restart()
        assert has_ended(pid)
        assert local(kernel, "kept").error[0] == "NameError"


def test_a_shutdown_ends_it_in_peace(tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    with Kernel() as kernel:
        pid = pid_of(kernel)
        local(kernel, f"import atexit, pathlib\natexit.register(pathlib.Path({str(mark)!r}).touch)")
        assert kernel.shutdown() < 2
        assert has_ended(pid)
        assert mark.exists()


def test_a_shutdown_ends_it_in_the_middle_of_a_cell() -> None:
    with Kernel() as kernel:
        pid = pid_of(kernel)
        begin(kernel, "print('on')\nwhile True: pass").wait_for("on")
        assert kernel.shutdown() < 2
        assert has_ended(pid)


@pytest.mark.parametrize("code", ["pass", "while True: sum(range(10**8))"])
def test_it_ends_with_a_launcher_that_is_killed(code: str) -> None:
    """Even if it holds its interpreter lock all the time. No file is left (see `Kernel`)."""
    with Kernel() as kernel:
        pid = pid_of(kernel)
        begin(kernel, f"print('on', flush=True)\n{code}").wait_for("on")
        kernel.kill()
        eventually(lambda: has_ended(pid), what="the end of the local kernel")
        (kernel.place / "kernel.json").unlink()
