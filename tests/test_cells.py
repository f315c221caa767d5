"""Cells through a Jupyter client: what they print, show, raise, ask and keep."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import eventually

pytestmark = [pytest.mark.attach, pytest.mark.client]


class Shared:
    """One program and one kernel for many tests; a kernel that is left busy is replaced."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._kernel: Kernel | None = None

    def kernel(self) -> Kernel:
        if self._kernel is None:
            self._kernel = Kernel("--pid", self.program.pid).__enter__()
        return self._kernel

    def check(self) -> None:
        assert self._kernel is not None
        try:
            assert self._kernel.run("", 5).status == "ok"
        except AssertionError:
            self.close(RuntimeError)
            raise

    def close(self, kind: type[BaseException] | None = None) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.__exit__(kind)


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with Program("idle") as program:
        sharing = Shared(program)
        yield sharing
        sharing.close()


@pytest.fixture
def kernel(shared: Shared) -> Iterator[Kernel]:
    shared.kernel().answers.clear()
    yield shared.kernel()
    shared.check()


@pytest.fixture
def program(shared: Shared) -> Program:
    return shared.program


# -- values


def test_value_of_the_last_expression(kernel: Kernel) -> None:
    cell = kernel.run("x = 3\nx + 4")
    assert cell.result == "7"
    (content,) = cell.contents("execute_result")
    assert content["execution_count"] == cell.reply["execution_count"]


@pytest.mark.parametrize(
    "code", ["x = 3", "None", "3;", "3; ", "if 1:\n    3", "", "# nothing", "\n\n"]
)
def test_no_value(kernel: Kernel, code: str) -> None:
    cell = kernel.run(code)
    assert (cell.status, cell.result) == ("ok", None)


def test_history_of_values(kernel: Kernel) -> None:
    first = kernel.run("'one'").reply["execution_count"]
    kernel.run("'two'")
    assert kernel.run("_, __").result == "('two', 'one')"
    assert kernel.value(f"Out[{first}]") == "one"
    assert kernel.value(f"_{first}") == "one"
    assert kernel.value(f"In[{first}]") == "'one'"


def test_count_goes_up_by_one(kernel: Kernel) -> None:
    counts = [kernel.run("1").reply["execution_count"] for _ in range(3)]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    assert kernel.run("1", store_history=False).reply["execution_count"] == counts[2]
    assert kernel.run("1", silent=True).reply["execution_count"] == counts[2]
    assert kernel.run("1").reply["execution_count"] == counts[2] + 1


def test_silent(kernel: Kernel) -> None:
    cell = kernel.run("quiet = 5\nquiet", silent=True)
    assert cell.status == "ok"
    assert not cell.contents("execute_input", "execute_result")
    assert kernel.value("quiet") == 5
    failed = kernel.run("1 / 0", silent=True)
    assert failed.status == "error"
    assert not failed.contents("error")


def test_user_expressions(kernel: Kernel) -> None:
    cell = kernel.run("x = 1", user_expressions={"a": "x + 1", "b": "nope"})
    assert cell.expressions["a"]["status"] == "ok"
    assert cell.expressions["a"]["data"] == {"text/plain": "2"}
    assert cell.expressions["b"]["status"] == "error"
    assert cell.expressions["b"]["ename"] == "NameError"


def test_execute_input_tells_the_code(kernel: Kernel) -> None:
    (content,) = kernel.run("1 + 1").contents("execute_input")
    assert content["code"] == "1 + 1"


def test_busy_and_idle_stand_around_everything(kernel: Kernel) -> None:
    cell = kernel.run("print(1)\n2")
    kinds = [m["msg_type"] for m in cell.messages if m["channel"] == "iopub"]
    assert kinds == ["status", "execute_input", "stream", "execute_result", "status"]
    assert [c["execution_state"] for c in cell.contents("status")] == ["busy", "idle"]


# -- output


def test_both_streams(kernel: Kernel) -> None:
    cell = kernel.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (cell.stdout, cell.stderr) == ("out\n", "err\n")


def test_output_stays_out_of_the_program(kernel: Kernel, program: Program) -> None:
    kernel.run("print('for the notebook')")
    kernel.run("word = 'after print'")
    program.wait_for("word is after print")
    assert not [line for line in program.lines() if "notebook" in line]


def test_output_comes_while_the_cell_runs(kernel: Kernel) -> None:
    cell = kernel.begin("print('first')\ninput_gate = False\nwhile not input_gate: pass")
    cell.wait_for("first")
    assert not cell.is_done
    kernel.interrupt()
    cell.finish()


def test_long_output_is_whole(kernel: Kernel) -> None:
    cell = kernel.run("for n in range(20_000): print(n)")
    assert cell.stdout == "".join(f"{n}\n" for n in range(20_000))
    assert len(cell.contents("stream")) < 200, "not a message a line"


def test_any_text(kernel: Kernel) -> None:
    text = "ünï\u2028\x00\x1b[31m \U0001f600 '\"\\ \r\n"
    assert kernel.run(f"print({text!r}, end='')").stdout == text
    assert kernel.run("print('a\\ud800b', end='')").stdout == "a?b"


def test_a_cell_with_bytes_that_are_no_text(kernel: Kernel) -> None:
    """As a terminal sends them to a console, and the console to us."""
    assert kernel.run("'a\udcffb'").result == "'a\ufffdb'"


def test_stdout_is_as_code_expects_it(kernel: Kernel) -> None:
    cell = kernel.run(
        "import sys, io\n"
        "assert sys.stdout.writable() and not sys.stdout.isatty()\n"
        "sys.stdout.writelines(['a', 'b'])\n"
        "sys.stdout.flush()\n"
        "print(sys.stdout.encoding)\n"
        "try: sys.stdout.write(b'bytes')\n"
        "except TypeError as error: print(error)"
    )
    assert cell.stdout.startswith("abutf-8\nwrite() argument must be str")


def test_bytes_are_output_as_well(kernel: Kernel, program: Program) -> None:
    cell = kernel.run("import sys\nsys.stdout.buffer.write('bytes ü'.encode())\nprint(' and text')")
    assert cell.stdout == "bytes ü and text\n"
    assert not [line for line in program.lines() if "bytes" in line]


def test_redirection_inside_a_cell(kernel: Kernel) -> None:
    cell = kernel.run(
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as file: print('inner')\n"
        "print('outer')\n"
        "file.getvalue()"
    )
    assert (cell.stdout, cell.result) == ("outer\n", "'inner\\n'")


def test_streams_are_given_back(kernel: Kernel, program: Program) -> None:
    before = program.from_inside()["stdio"]
    kernel.run("print(1)")
    kernel.run("1 / 0")
    eventually(lambda: program.from_inside()["stdio"] == before)


# -- displays


def test_display(kernel: Kernel) -> None:
    cell = kernel.run("display('a', 2)\ndisplay({'text/html': '<b>'}, raw=True)")
    assert cell.displays == [{"text/plain": "'a'"}, {"text/plain": "2"}, {"text/html": "<b>"}]


def test_update_of_a_display(kernel: Kernel) -> None:
    cell = kernel.run("handle = display('first', display_id='here')\nhandle.update('second')")
    assert cell.displays == [{"text/plain": "'first'"}]
    (shown,) = (c for c in cell.contents("display_data") if c["data"] in cell.displays)
    assert shown["transient"] == {"display_id": "here"}
    (update,) = cell.contents("update_display_data")
    assert update["data"] == {"text/plain": "'second'"}
    assert update["transient"] == {"display_id": "here"}
    later = kernel.run("handle.update('third')")
    assert later.contents("update_display_data")[0]["data"] == {"text/plain": "'third'"}


def test_representations(kernel: Kernel) -> None:
    cell = kernel.run(
        "class Rich:\n"
        "    def __repr__(self): return 'text'\n"
        "    def _repr_html_(self): return '<i>text</i>'\n"
        "    def _repr_png_(self): return b'\\x89PNG'\n"
        "    def _repr_latex_(self): raise RuntimeError('no LaTeX today')\n"
        "    def _repr_mimebundle_(self, include=None, exclude=None):\n"
        "        return {'application/x-own': {'a': 1}}, {'application/x-own': {'b': 2}}\n"
        "Rich()"
    )
    (content,) = cell.contents("execute_result")
    assert content["data"] == {
        "text/plain": "text",
        "text/html": "<i>text</i>",
        "image/png": "iVBORw==",
        "application/x-own": {"a": 1},
    }
    assert content["metadata"] == {"application/x-own": {"b": 2}}
    assert "no LaTeX today" in cell.stderr


def test_repr_that_raises(kernel: Kernel) -> None:
    cell = kernel.run("class Bad:\n    def __repr__(self): 1 / 0\nBad()")
    assert "ZeroDivisionError" in cell.text
    assert kernel.run("1").result == "1"


# -- errors


def test_traceback(kernel: Kernel) -> None:
    cell = kernel.run(
        "def outer():\n    inner()\ndef inner():\n    raise ValueError('so')\nouter()"
    )
    assert cell.error == ("ValueError", "so")
    count = cell.reply["execution_count"]
    lines = cell.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'  File "<In [{count}]>", line 5, in <module>' in lines
    assert f'  File "<In [{count}]>", line 4, in inner' in lines
    assert "    raise ValueError('so')" in lines
    assert lines[-1] == "ValueError: so"
    assert "live_kernel" not in cell.traceback


def test_traceback_through_an_earlier_cell(kernel: Kernel) -> None:
    first = kernel.run("def fails(x):\n    return 1 / x").reply["execution_count"]
    cell = kernel.run("fails(0)")
    assert f'File "<In [{first}]>", line 2, in fails' in cell.traceback
    assert "return 1 / x" in cell.traceback


def test_chained_and_grouped(kernel: Kernel) -> None:
    cell = kernel.run(
        "try: 1 / 0\nexcept Exception as e: raise ExceptionGroup('both', [ValueError(1), e]) from e"
    )
    assert cell.error[0] == "ExceptionGroup"
    for text in ("ZeroDivisionError", "direct cause", "ValueError: 1", "both (2 sub-exceptions)"):
        assert text in cell.traceback
    assert "live_kernel" not in cell.traceback


@pytest.mark.parametrize("code", ["x =", "return 1", "'open", "await", "x = 1\n  y"])
def test_syntax_error(kernel: Kernel, code: str) -> None:
    cell = kernel.run(code)
    assert cell.error[0] in ("SyntaxError", "IndentationError")
    assert "live_kernel" not in cell.traceback


def test_hostile_exception(kernel: Kernel) -> None:
    cell = kernel.run("class Bad(Exception):\n    def __str__(self): 1 / 0\nraise Bad")
    assert cell.error[0] == "Bad"
    assert kernel.run("1").result == "1"


def test_recursion(kernel: Kernel) -> None:
    cell = kernel.run("def down(): down()\ndown()")
    assert cell.error[0] == "RecursionError"
    assert kernel.run("1").result == "1"


def test_system_exit_touches_nothing(kernel: Kernel, program: Program) -> None:
    for code in ("raise SystemExit(3)", "import sys\nsys.exit('bye')"):
        assert kernel.run(code).error[0] == "SystemExit"
    assert kernel.run("1").result == "1"
    assert program.alive()


def test_error_aborts_what_is_queued_behind(kernel: Kernel) -> None:
    first = kernel.begin("import time\ntime.sleep(0.2)\n1 / 0")
    behind = [kernel.begin("'aborted'"), kernel.begin("'too'")]
    assert first.finish().status == "error"
    for cell in behind:
        cell.finish()
        assert cell.status == "aborted"
        assert not cell.contents("execute_input", "execute_result")
    assert kernel.run("'runs'").result == "'runs'"


def test_no_abort_where_none_is_wanted(kernel: Kernel) -> None:
    first = kernel.begin("import time\ntime.sleep(0.1)\n1 / 0", stop_on_error=False)
    behind = kernel.begin("'runs'")
    assert first.finish().status == "error"
    assert behind.finish().result == "'runs'"


# -- input


def test_input(kernel: Kernel) -> None:
    kernel.answers.append("Ada")
    cell = kernel.run("name = input('Who? ')\nname", allow_stdin=True)
    assert kernel.prompts[-1] == {"prompt": "Who? ", "password": False}
    assert cell.result == "'Ada'"


def test_several_inputs(kernel: Kernel) -> None:
    kernel.answers.extend(["1", "", "ü"])
    assert kernel.run("[input(), input(), input()]", allow_stdin=True).result == "['1', '', 'ü']"


def test_reading_stdin(kernel: Kernel) -> None:
    kernel.answers.append("a line")
    cell = kernel.run("import sys\nsys.stdin.readline()", allow_stdin=True)
    assert cell.result == "'a line\\n'"


def test_getpass(kernel: Kernel) -> None:
    kernel.answers.append("secret")
    cell = kernel.run("import getpass\ngetpass.getpass('Key: ')", allow_stdin=True)
    assert cell.result == "'secret'"
    assert kernel.prompts[-1] == {"prompt": "Key: ", "password": True}


def test_input_without_anyone_to_ask(kernel: Kernel) -> None:
    assert kernel.run("input()").error[0] == "StdinNotImplementedError"


def test_output_before_a_question_is_seen(kernel: Kernel) -> None:
    count = len(kernel.prompts)
    cell = kernel.begin("print('Look:')\ninput()", allow_stdin=True)
    cell.wait_for("Look:")
    kernel.wait(lambda: kernel.prompts[count:], what="the question")
    kernel.client.input("seen")
    assert cell.finish().result == "'seen'"


# -- await


def test_await_in_a_loop_of_our_own(kernel: Kernel, program: Program) -> None:
    cell = kernel.run(
        "import asyncio\nawait asyncio.sleep(0.01)\nfirst = asyncio.get_running_loop()"
    )
    assert cell.status == "ok"
    assert kernel.run(
        "asyncio.get_running_loop() is first\nawait asyncio.sleep(0, 'done')"
    ).result == ("'done'")
    assert kernel.value("__import__('asyncio').sleep and (await asyncio.sleep(0, first)) is first")


def test_task_of_an_earlier_cell_goes_on(kernel: Kernel) -> None:
    kernel.run(
        "import asyncio\n"
        "async def count():\n"
        "    global counted\n"
        "    for counted in range(5): await asyncio.sleep(0.001)\n"
        "task = asyncio.create_task(count())\n"
        "await asyncio.sleep(0)"
    )
    assert kernel.run("await task\ncounted").result == "4"


def test_async_for_and_with(kernel: Kernel) -> None:
    cell = kernel.run(
        "import asyncio, contextlib\n"
        "async def numbers():\n"
        "    for n in range(3): yield n\n"
        "@contextlib.asynccontextmanager\n"
        "async def context(): yield 'inside'\n"
        "async with context() as where: print(where)\n"
        "[n async for n in numbers()]"
    )
    assert (cell.stdout, cell.result) == ("inside\n", "[0, 1, 2]")


def test_error_in_an_awaited_task(kernel: Kernel) -> None:
    cell = kernel.run("async def fails(): 1 / 0\nawait fails()")
    assert cell.error[0] == "ZeroDivisionError"
    assert "live_kernel" not in cell.traceback
    assert "asyncio" not in cell.traceback


def test_await_in_the_loop_of_the_program() -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("import asyncio")
        assert kernel.value("asyncio.get_running_loop() is app.loop") is True
        cell = kernel.run("await asyncio.sleep(0)\nasyncio.get_running_loop() is app.loop")
        assert cell.result == "True"
        assert kernel.run("await app.fetch(21)").result == "42"
        assert kernel.run("await asyncio.gather(*map(app.fetch, range(3)))").result == "[0, 2, 4]"
        kernel.run("await app.jobs.put('from a cell')")
        program.wait_for("did from a cell")
        assert kernel.run("await asyncio.sleep(0)\n1 / 0").error[0] == "ZeroDivisionError"
        assert kernel.run("await asyncio.sleep(0)\nraise SystemExit").error[0] == "SystemExit"
        kernel.run("await app.jobs.put('still alive')")
        program.wait_for("did still alive")


def test_program_serves_while_cells_await() -> None:
    with Program("aio_busy") as program, Kernel("--pid", program.pid) as kernel:
        served = kernel.value("served")
        kernel.run("import asyncio\nfor _ in range(20):\n    await asyncio.sleep(0.005)")
        assert kernel.value("served") > served
        assert kernel.value("slowest") < 2
        assert program.lines() == ["ready"], program.told()


def test_the_programs_loop_waits_for_no_front_end() -> None:
    """A cell in it prints more than the link holds, to a kernel that reads nothing."""
    code = (
        "import asyncio\nawait asyncio.sleep(0)\n"
        "await app.jobs.put('begun')\nawait asyncio.sleep(0.3)\n"
        "for number in range(200): print(number, '-' * 20_000)\n"
        "await app.jobs.put('printed')\nawait app.fetch(1)"
    )
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
        cell = kernel.begin(code)
        program.wait_for("did begun")
        os.kill(kernel.launcher_pid, signal.SIGSTOP)
        try:
            program.wait_for("did printed")
        finally:
            os.kill(kernel.launcher_pid, signal.SIGCONT)
        done = cell.finish()
        assert done.result == "2"
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines] == [str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("input('?')", "input() would hold up the program's event loop"),
        ("!true", "a command would hold up the program's event loop"),
    ],
)
def test_what_would_hold_up_the_programs_loop_is_refused(code: str, text: str) -> None:
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run(f"import asyncio\nawait asyncio.sleep(0)\n{code}", allow_stdin=True)
        assert cell.error[0] == "RuntimeError"
        assert text in cell.error[1]
        assert kernel.run(code.replace("input('?')", "1")).status == "ok"
        system = "await asyncio.to_thread(get_ipython().system, 'echo said')"
        assert kernel.run(f"import asyncio\n{system}").stdout == "said\n"


def test_await_that_prints_and_shows() -> None:
    """What a coroutine of the cell writes is the cell's, though it runs in the program's thread."""
    with Program("aio_idle") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run(
            "import asyncio\nprint('before')\nawait asyncio.sleep(0.01)\nprint('after')\n"
            "display(1)\n2"
        )
        assert (cell.stdout, cell.displays, cell.result) == (
            "before\nafter\n",
            [{"text/plain": "1"}],
            "2",
        )
        assert program.lines() == ["ready"]


# -- threads


def test_output_of_threads_that_the_cell_starts(kernel: Kernel, program: Program) -> None:
    cell = kernel.run(
        "import threading\n"
        "def speak(n): print('thread', n)\n"
        "threads = [threading.Thread(target=speak, args=(n,)) for n in range(3)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()"
    )
    assert sorted(cell.stdout.splitlines()) == ["thread 0", "thread 1", "thread 2"]
    assert "thread" not in " ".join(program.lines())


def test_output_of_the_first_threads_there_ever_were() -> None:
    """In a program that has not even loaded `threading`."""
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        assert "threading" not in program.from_inside()["modules"]
        cell = kernel.run(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(1) as pool: pool.submit(print, 'mine')"
        )
        assert cell.stdout == "mine\n"
        assert program.lines() == ["ready"]


def test_output_of_a_pool(kernel: Kernel) -> None:
    cell = kernel.run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool: list(pool.map(print, 'ab'))"
    )
    assert sorted(cell.stdout.split()) == ["a", "b"]


def test_output_of_threads_of_the_program_stays_with_it() -> None:
    with Program("threaded") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.begin(
            "import time\nfor n in range(30):\n    print('cell', n)\n    time.sleep(0.01)"
        )
        cell.wait_for("cell 0")
        count = len(program.lines())
        cell.finish()
        assert cell.stdout == "".join(f"cell {n}\n" for n in range(30))
        meanwhile = program.lines()[count:]
        for name in ("one", "two", "three"):
            assert [line for line in meanwhile if line.startswith(name)], name
        assert not [line for line in program.lines() if "cell" in line or "another" in line]
        for name in ("one", "two", "three"):
            numbers = [int(line.split()[1]) for line in program.lines() if line.startswith(name)]
            assert numbers == list(range(1, len(numbers) + 1)), "no line was lost"


def test_program_that_has_replaced_stdout() -> None:
    with Program("patched_stdout") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run("import time\nprint('mine')\ntime.sleep(0.05)\nprint('mine too')")
        assert cell.stdout == "mine\nmine too\n"
        lines = kernel.value("''.join(recorder.texts).splitlines()")
        assert lines == [f"line {n}" for n in range(1, len(lines) + 1)]
        assert kernel.value("__import__('sys').stdout is not recorder")
        assert kernel.value("type(recorder).__name__") == "Recorder"


def test_program_without_stdout() -> None:
    with Program("no_stdout") as program, Kernel("--pid", program.pid) as kernel:
        cell = kernel.run("print('here')\nimport sys\nsys.stderr.write('there\\n')\n3")
        assert (cell.stdout, cell.stderr, cell.result) == ("here\n", "there\n", "3")
        kernel.run("word = 'tell'")
        program.wait_for("told")


# -- completion and inspection


def test_completion_on_live_objects(kernel: Kernel, program: Program) -> None:
    assert "orders" in kernel.complete("ord")
    assert "orders[0].secret" in [
        "orders[0]." + m.removeprefix("orders[0].") for m in kernel.complete("orders[0].sec")
    ]
    assert "property run" not in program.lines()
    assert kernel.complete("no_such_name_at_all") == []


def test_completion_while_a_cell_runs(kernel: Kernel) -> None:
    cell = kernel.begin("running = True\nwhile running: pass")
    eventually(lambda: "running" in kernel.complete("runn"))
    assert not cell.is_done
    reply = kernel.ask("inspect_request", code="orders", cursor_pos=6, detail_level=0)
    assert reply["found"]
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"


def test_inspection(kernel: Kernel, program: Program) -> None:
    reply = kernel.ask("inspect_request", code="total", cursor_pos=3, detail_level=0)
    assert reply["found"]
    assert "total()" in reply["data"]["text/plain"]
    assert not kernel.ask("inspect_request", code="nope", cursor_pos=2, detail_level=0)["found"]
    kernel.ask("inspect_request", code="orders[0].secret", cursor_pos=16, detail_level=1)
    assert "property run" not in program.lines()


def test_help_goes_to_the_pager(kernel: Kernel) -> None:
    for code in ("total?", "?total", "total??"):
        cell = kernel.run(code)
        assert [each["source"] for each in cell.payload] == ["page"], code
        assert "total" in cell.payload[0]["data"]["text/plain"]
    assert "not found" in kernel.run("nope?").stdout
    (page,) = kernel.run("%attach?").payload
    assert "PID" in page["data"]["text/plain"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1", "complete"),
        ("for x in y:", "incomplete"),
        ("x = (", "incomplete"),
        ("x = )", "invalid"),
        ("await x", "complete"),
        ("%attach 1", "complete"),
        ("async with x as y:", "incomplete"),
        ("await f(", "incomplete"),
    ],
)
def test_is_complete(kernel: Kernel, code: str, status: str) -> None:
    assert kernel.ask("is_complete_request", code=code)["status"] == status


def test_indentation_of_the_next_line(kernel: Kernel) -> None:
    assert kernel.ask("is_complete_request", code="for x in y:")["indent"] == "    "
    code = "if a:\n    if b:"
    assert kernel.ask("is_complete_request", code=code)["indent"] == "        "


# -- the rest of the protocol


def test_kernel_info(kernel: Kernel) -> None:
    reply = kernel.ask("kernel_info_request")
    assert reply["implementation"] == "live-kernel"
    assert reply["language_info"]["name"] == "python"
    assert reply["language_info"]["version"].startswith("3.14.")
    assert "pid" in reply["banner"]


def test_history(kernel: Kernel) -> None:
    kernel.run("'the last one'")
    reply = kernel.ask(
        "history_request", output=False, raw=True, hist_access_type="tail", n=1, session=0
    )
    assert [entry[2] for entry in reply["history"]] == ["'the last one'"]


def test_comms_and_ports(kernel: Kernel) -> None:
    assert kernel.ask("comm_info_request")["comms"] == {}
    assert kernel.ask("connect_request")["shell_port"] == kernel.manager.shell_port


def test_unknown_request_is_survived(kernel: Kernel) -> None:
    kernel.client.shell_channel.send(kernel.client.session.msg("debug_request", {}))
    kernel.client.shell_channel.send(kernel.client.session.msg("no_such_thing", {}))
    assert kernel.run("1").result == "1"


def test_status(kernel: Kernel, program: Program) -> None:
    cell = kernel.run("%status")
    for text in ("attached", f"pid {program.pid}", "idle.py", "module __main__"):
        assert text in cell.stdout


def test_ps(kernel: Kernel, program: Program) -> None:
    (data,) = kernel.run("%ps").displays
    assert str(program.pid) in data["text/plain"]
    assert f">{program.pid}<" in data["text/html"]


@pytest.mark.parametrize("code", ["exit", "quit", "exit()", "quit()"])
def test_exit_asks_the_front_end_and_keeps_the_kernel(kernel: Kernel, code: str) -> None:
    cell = kernel.run(code)
    assert cell.payload == [{"source": "ask_exit", "keepkernel": True}]
    assert kernel.run("1").result == "1"


def test_a_notebook_of_many_cells(kernel: Kernel) -> None:
    cells: list[Cell] = [kernel.begin(f"{n} * 2") for n in range(50)]
    assert [cell.finish().result for cell in cells] == [str(n * 2) for n in range(50)]


def test_large_result(kernel: Kernel) -> None:
    cell = kernel.run("display({'text/html': 'x' * 10_000_000}, raw=True)")
    assert len(cell.displays[0]["text/html"]) == 10_000_000


def test_fork_in_a_cell(kernel: Kernel, program: Program) -> None:
    """The child is let go at the end of the cell; it carries no agent, and answers nothing."""
    cell = kernel.run(
        "import os, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "child = os.fork()\n"
        "if child == 0: print('from the child')\n"
        "else: status = os.waitpid(child, 0)[1]\n"
        "status"
    )
    assert cell.result == "0"
    assert "from the child" not in cell.stdout
    assert kernel.run("'goes on'").result == "'goes on'"


def test_fork_by_the_program() -> None:
    with Program("forker") as program, Kernel("--pid", program.pid) as kernel:
        kernel.run("forks = 1")
        line = program.wait_for("child threads=")
        assert line == "child threads=1 sockets=1 TextIOWrapper", "only the witness's socket"
        program.wait_for("child ended 0")
        cell = kernel.begin(
            "import time\nforks = 2\nwhile done < 2: time.sleep(0.001)\nprint(done)"
        )
        assert cell.finish().stdout == "2\n"
        program.wait_for("child ended 0", after=len(program.lines()) - 1)
        assert [line for line in program.lines() if "SplitStream" in line] == []


def test_subprocess_in_a_cell(kernel: Kernel) -> None:
    cell = kernel.run(
        "import subprocess\nsubprocess.run(['echo', 'hi'], capture_output=True).stdout"
    )
    assert cell.result == "b'hi\\n'"


def test_message_for_json(kernel: Kernel) -> None:
    cell = kernel.run("{'a': float('nan')}\n")
    json.dumps(cell.contents("execute_result"), allow_nan=False)


def test_source_of_a_cell_is_found(kernel: Kernel) -> None:
    cell = kernel.run(
        "def mine():\n    return 'source'\nimport inspect\nprint(inspect.getsource(mine))"
    )
    assert cell.stdout == "def mine():\n    return 'source'\n\n"


def test_directory_and_file(kernel: Kernel, program: Program) -> None:
    assert kernel.value("__name__") == "__main__"
    assert Path(kernel.value("__file__")).name == "idle.py"
