"""Every test program, before and after: nothing has changed but what may."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gauges import held, value
from kernels import Kernel
from snapshots import AGENT, Program, differences, landings, memory
from targets import eventually

from live_kernel.handle import Handle, attach

pytestmark = [pytest.mark.attach, pytest.mark.harm]

PROGRAMS = (
    "idle",
    "frame",
    "busy",
    "aio_idle",
    "aio_busy",
    "threaded",
    "forker",
    "patched_stdout",
    "no_stdout",
    "audited",
    "own_import",
    "many_fds",
    "leaving",
    "gevented",
)

PLAIN = [
    "print('text')",
    "import sys; sys.stderr.write('text')",
    "mine = [n for n in range(3)]\nmine",
    "def f(): return mine\nf()",
    "class C: pass\nC()",
    "display(1, display_id='a').update(2)",
    "1 / 0",
    "x =",
    "import json, textwrap, email.message",
    "input()",
    "raise SystemExit",
    "del mine",
]
"""What cells do that leave the program's own names alone."""

MORE = [
    "import asyncio\nawait asyncio.sleep(0.001)",
    "import threading\nt = threading.Thread(target=print, args=('x',)); t.start(); t.join()",
    "task = asyncio.create_task(asyncio.sleep(600))\nawait asyncio.sleep(0)",
    "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(1) as pool: pool.submit(print, 1).result()",
]
"""With threads and an event loop of the cell's own."""


def of_gevent(name: str) -> str | None:
    """The interpreter for that program, None for the usual; skips where there is no gevent."""
    if name != "gevented":
        return None
    if sys.version_info[:2] != (3, 14):
        pytest.skip("gevent is installed for another Python than the target's")
    return sys.executable


def exercise(handle: Handle, cells: list[str]) -> None:
    for code in cells:
        handle.run(code)
    handle.complete("sys.")
    handle.complete("import js")


# -- what is left


@pytest.mark.parametrize("name", PROGRAMS)
def test_attach_and_detach(name: str) -> None:
    """Without a cell: nothing but the agent's modules, and those of Python's that it needs."""
    with Program(name, of_gevent(name)) as program:
        before = program.snapshot()
        with attach(program.pid):
            during = program.snapshot()
        program.assert_unharmed_since(before)
        assert differences(before, during).keys() <= {
            "threads",
            "native threads",
            "threads of the agent",
            "hooks of threads",
            "signal masks",
            "priorities",
            "descriptors",
            "descriptors' flags",
            "atexit",
        }, "what there is while attached"


@pytest.mark.parametrize("name", PROGRAMS)
def test_cells(name: str) -> None:
    with Program(name, of_gevent(name)) as program:
        before = program.snapshot()
        with attach(program.pid) as handle:
            exercise(handle, PLAIN)
        program.assert_unharmed_since(before)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "gevented"])
def test_cells_with_threads_and_loops(name: str) -> None:
    """Not in gevent's world, where the loops that one makes in passing are gevent's."""
    with Program(name) as program:
        before = program.snapshot()
        with attach(program.pid) as handle:
            exercise(handle, PLAIN + MORE)
        program.assert_unharmed_since(before)


@pytest.mark.parametrize("name", PROGRAMS)
def test_everything_through_a_kernel(name: str) -> None:
    """With interrupts, questions, help and commands; and a restart in the middle."""
    with Program(name, of_gevent(name)) as program:
        before = program.snapshot()
        with Kernel("--pid", program.pid, answers=["Ada"]) as kernel:
            for code in PLAIN:
                kernel.run(code)
            assert kernel.run("input('Who? ')", allow_stdin=True).result == "'Ada'"
            cell = kernel.begin("print('here', flush=True)\nwhile True: pass")
            cell.wait_for("here")
            kernel.complete("pri")
            kernel.interrupt()
            cell.finish()
            kernel.run("print?")
            kernel.run("%status")
            kernel.restart()
            kernel.run("1 + 1")
        program.assert_unharmed_since(before, interrupted=True)
        assert landings(kernel.place) == []


def test_modules_that_an_attach_loads() -> None:
    """A program that has imported hardly anything is given little, and none of the heavy ones."""
    with Program("idle") as program:
        before = program.snapshot()["modules"]
        with attach(program.pid) as handle:
            handle.run("1 + 1")
            loaded = set(program.snapshot()["modules"]) - set(before)
        ours = {name for name in loaded if AGENT.fullmatch(name)}
        assert ours
        heavy = {"threading", "asyncio", "ctypes", "inspect", "ast", "typing", "logging", "socket"}
        assert not (loaded - ours) & heavy
        assert all(name.partition(".")[0] in sys.stdlib_module_names for name in loaded - ours)


def test_program_keeps_its_own_pace() -> None:
    """Idle agents do nothing: the program's own work is the same with ten of them."""
    with Program("aio_busy") as program:
        handles = [attach(program.pid) for _ in range(10)]
        first = int(value(handles[0], "served"))
        eventually(lambda: int(value(handles[0], "served")) > first + 50)
        for handle in handles:
            handle.detach()
        assert program.lines() == ["ready"], "nothing went wrong"


def test_hooks_of_the_program_see_nothing_of_ours() -> None:
    """An import hook and an audit hook of the program, while cells run and fail."""
    with Program("own_import") as program, attach(program.pid) as handle:
        exercise(handle, PLAIN)
        assert "json" in value(handle, "imported")
        assert value(handle, "[n for n in imported if 'live_kernel' in n]") == "[]"


# -- what is changed on purpose stays


def test_what_cells_change_in_the_program_stays() -> None:
    with Program("idle") as program:
        with attach(program.pid) as handle:
            handle.run("word = 'changed'\nimport os\nos.environ['LEFT'] = 'by a cell'")
        program.wait_for("word is changed")
        assert program.from_inside()["environment"]["LEFT"] == "by a cell"


def test_coroutines_that_nobody_has_awaited_are_no_word_to_the_program() -> None:
    """Python warns of them on stderr, which is the program's by the time they go."""
    with Program("aio_idle") as program, attach(program.pid) as handle:
        handle.run("forgotten = app.fetch(3)")
        handle.run("app.fetch(4)")
        handle.run("begun = app.fetch(5); begun.send(None)")
        handle.detach()
        program.after_leaving()
        assert program.errors() == []


def test_functions_that_cells_leave_in_the_program_go_on_working() -> None:
    with Program("idle") as program:
        with attach(program.pid) as handle:
            handle.run("twice = 2\nimport math\ndef total(): return twice * math.floor(21.5)")
        with attach(program.pid) as handle:
            assert value(handle, "total()") == "42"


def test_streams_that_the_program_replaces_meanwhile_are_its_own() -> None:
    with Program("idle") as program:
        with attach(program.pid) as handle:
            handle.run("import io, sys\nsys.modules['__main__'].kept = sys.stdout = io.StringIO()")
            handle.run("print('to the notebook')")
            assert value(handle, "type(kept).__name__") == "'StringIO'"
            handle.run("import sys\nsys.stdout = sys.__stdout__\ndel sys.modules['__main__'].kept")
        assert program.lines() == ["ready"]


# -- over and over


_THREE_ARENAS = 3 << 20


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["idle", "aio_busy"])
def test_two_hundred_rounds(name: str) -> None:
    """Attach, run, detach: neither threads nor descriptors nor memory grow."""
    with Program(name) as program:
        cells = ["mine = 'x' * 1_000_000", "print(len(mine))", "1 / 0", "await asyncio.sleep(0)"]

        def round_trip() -> None:
            with attach(program.pid) as handle:
                handle.run("import asyncio")
                for code in cells:
                    handle.run(code)

        def growth() -> int:
            """Bytes that two hundred rounds add to the program's memory."""
            size = memory(program.pid)
            for _ in range(200):
                round_trip()
            program.wait_until_left()
            return memory(program.pid) - size

        ours = descriptors_of_ours()
        for _ in range(40):  # caches fill, arenas find their size
            round_trip()
        before, before_it = program.after_leaving(), held(program)
        more = growth()  # before the witness looks, who takes memory himself
        # A leak of one object a round would show; CPython itself keeps a few bytes of each script.
        objects, blocks = (
            now - then for now, then in zip(held(program)[:2], before_it[:2], strict=True)
        )
        assert objects < 100, f"{objects} objects more"
        assert blocks < 1000, f"{blocks} blocks more"
        if more >= _THREE_ARENAS:  # one may have been opened late; what leaks goes on to
            more = growth()
        assert more < _THREE_ARENAS, f"{more} bytes more"
        program.assert_unharmed_since(before)
        assert descriptors_of_ours() == ours


def descriptors_of_ours() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_many_cells_in_one_session() -> None:
    """What a session keeps is what the user made it keep."""
    with Program("idle") as program, attach(program.pid) as handle:
        code = "for n in range(100): print(n)"
        for _ in range(100):
            handle.run(code)
        size = memory(program.pid)
        for _ in range(1000):
            handle.run(code)
        grown = memory(program.pid) - size
        assert grown < 3 << 20, f"{grown:,} bytes in 1000 cells"


# -- the tests' own eyes

LOADED = (
    "json, warnings, linecache, signal, socket, subprocess, random, decimal, asyncio, bdb, "
    "threading, locale, textwrap"
)
"""What the program has loaded when harm is done to it."""

ON_MAIN = "%%main\nimport signal, socket, sys, threading; hook = vars(threading)['kept'] = print; "
"""Before what is done on the main thread."""


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ("import sys, io; sys.stdout = io.StringIO()", {"stdio", "sys"}),
        ("import faulthandler; faulthandler.register(10, open('/dev/null'))", {"status"}),
        ("import os; os.environ['NEW'] = '1'", {"environment"}),
        ("import os; os.umask(0o77)", {"status"}),
        ("import os; os.open('/dev/null', 0)", {"descriptors"}),
        ("import sys; sys.path.append('x')", {"path"}),
        ("import sys; sys.meta_path.append(None)", {"meta_path"}),
        ("import builtins; builtins.new = 1", {"builtins"}),
        ("import warnings; warnings.simplefilter('error')", {"warnings"}),
        ("import sys; sys.setswitchinterval(0.1)", {"interpreter's limits"}),
        ("import gc; gc.disable()", {"gc"}),
        ("import atexit; atexit.register(print)", {"atexit"}),
        ("import linecache; linecache.cache['x'] = (1, None, [], 'x')", {"linecache"}),
        ("import sys; sys.modules['__main__'].new = 1", {"names of __main__"}),
        ("import sys; sys.modules['new'] = sys", {"modules"}),
        ("import sys; sys.modules['textwrap'] = sys", {"modules"}),
        ("import sys; sys.excepthook = print", {"sys"}),
        ("import threading; threading.excepthook = print", {"threading"}),
        ("import threading; threading.Thread(target=threading.Event().wait).start()", {"threads"}),
        ("import sys; sys.monitoring.use_tool_id(3, 'x')", {"monitoring"}),
        ("import os; os.chdir('/')", {"directory"}),
        ("import subprocess; p = subprocess.Popen(['sleep', '9'])", {"children"}),
        ("import socket; socket.setdefaulttimeout(3)", {"socket timeout"}),
        ("import socket; s = vars(socket)['kept'] = socket.socket()", {"descriptors"}),
        ("import os; os.set_blocking(0, False)", {"descriptors' flags"}),
        ("import signal; signal.siginterrupt(17, False)", {"dispositions"}),
        ("import signal; signal.setitimer(signal.ITIMER_REAL, 999)", {"timers"}),
        ("import threading; threading.Thread.run = print", {"attributes", "Thread"}),
        ("import json; json.dumps = print", {"attributes"}),
        ("import json; json.JSONEncoder.default = print", {"attributes"}),
        ("import json; json.decoder._CONSTANTS['x'] = 1", {"sizes"}),
        ("import sys; sys.path_hooks.append(print)", {"path_hooks"}),
        ("import sys; sys.path_importer_cache.clear()", {"importer cache"}),
        ("import sys; sys.unraisablehook = print", {"sys"}),
        ("import sys; sys.displayhook = print", {"sys"}),
        ("import sys; sys.setrecursionlimit(999)", {"interpreter's limits"}),
        ("import sys; sys.set_int_max_str_digits(0)", {"interpreter's limits"}),
        ("import sys; sys.setdlopenflags(1)", {"dlopen flags"}),
        ("import sys; sys.addaudithook(lambda *_: None)", {"audit hooks"}),
        ("import sys; sys.stdin = None", {"stdio"}),
        ("import sys; sys.__stderr__ = None", {"original stdio"}),
        ("import os; os.register_at_fork(before=print)", {"fork hooks"}),
        ("import gc; gc.callbacks.append(print)", {"gc's callbacks"}),
        ("import gc; gc.set_debug(gc.DEBUG_SAVEALL)", {"gc"}),
        ("import gc; gc.set_threshold(1)", {"gc"}),
        ("import faulthandler; faulthandler.enable(3)", {"faulthandler", "dispositions"}),
        ("import tracemalloc; tracemalloc.start()", {"tracemalloc"}),
        ("import random; random.random()", {"random"}),
        ("import decimal; decimal.DefaultContext.prec = 3", {"decimal"}),
        ("import locale; locale.setlocale(locale.LC_CTYPE, 'C')", {"locale"}),
        ("import threading; threading.stack_size(1 << 20)", {"stack size"}),
        ("import mmap; vars(mmap)['kept'] = mmap.mmap(-1, 4096, prot=7)", {"mappings"}),
        (ON_MAIN + "import os; os.nice(1)", {"priorities"}),
        ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", {"limits"}),
        ("import asyncio; asyncio.kept = asyncio.new_event_loop()", {"event loops"}),
        ("import asyncio; asyncio.kept.set_debug(True)", {"event loops"}),
        ("import asyncio; asyncio.events._event_loop_policy = 1", {"asyncio policy"}),
        ("import bdb; bdb.Breakpoint('x', 1)", {"breakpoints"}),
        ("from sys import monitoring as m; m.set_events(3, 1)", {"monitored"}),
        ("from sys import monitoring as m; m.set_local_events(3, CODE, 2)", {"monitored"}),
        (ON_MAIN + "sys.settrace(hook)", {"hooks of threads"}),
        (ON_MAIN + "sys.setprofile(hook)", {"hooks of threads"}),
        (ON_MAIN + "sys.set_asyncgen_hooks(hook)", {"hooks of threads"}),
        (ON_MAIN + "sys.set_coroutine_origin_tracking_depth(3)", {"hooks of threads"}),
        (ON_MAIN + "threading.current_thread().name = 'other'", {"known threads"}),
        (ON_MAIN + "signal.signal(10, lambda *_: None)", {"handlers", "dispositions"}),
        (
            ON_MAIN + "s = socket.socket(); s.setblocking(False); signal.set_wakeup_fd(s.detach())",
            {"wakeup descriptor"},
        ),
        (ON_MAIN + "signal.pthread_sigmask(0, [10])", {"signal masks"}),
        ("import sys; [*sys._current_frames().values()][-1].f_trace = print", {"traced frames"}),
    ],
    ids=lambda value: value.rpartition("; ")[2][:40] if isinstance(value, str) else "",
)
def test_harm_is_seen(harmed: tuple[Program, Handle], damage: str, seen: set[str]) -> None:
    """What a cell really does to a program shows up: the snapshots are not blind."""
    program, handle = harmed
    before = program.snapshot()
    outcome: dict[str, Any] = handle.run(damage)
    assert outcome["status"] == "ok", outcome
    assert seen <= differences(before, program.snapshot()).keys()


@pytest.fixture(scope="module")
def harmed() -> Iterator[tuple[Program, Handle]]:
    """A program to which much is done, bit by bit, and who does it."""
    with Program("threaded", env={"WITNESS_OF_AUDITS": "1"}) as program:
        program.expected_errors = True
        with attach(program.pid) as handle:
            handle.run(f"import {LOADED}\nCODE = json.load.__code__")
            yield program, handle
