"""Everything that a kernel offers, used on one program, as a table of steps.

Runs in pytest and in `make traces`. A step is a cell, or a request of a front-end. Rule: every
command of the kernel and every request that it answers is used by a step
(`test_traces.py` holds that), and a step that does not come to what it should is told, lest an
exercise that does nothing passes for one that leaves no trace.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from kernels import Cell, Kernel

from live_kernel.launcher import commands

LOOP, THREAD, PACKAGES, MAIN = "loop", "thread", "packages", "main"
"""What a step may need of the program: an event loop that runs, another thread of Python's, the
packages of our own environment, a main thread that comes to Python code by itself or is roused.
"""


@dataclass(frozen=True)
class Step:
    """A cell. `needs`: without that in the program it is done too, and may fail.

    `ends`: how it must end where there is all that it needs. `answers`: what the user types.
    `interrupt_at`: the text that it prints before it is interrupted.
    """

    code: str
    needs: tuple[str, ...] = ()
    ends: str = "ok"
    answers: tuple[str, ...] | None = None
    interrupt_at: str = ""


def cell(code: str, *needs: str, ends: str = "ok") -> Step:
    return Step(code, needs, ends)


def asked(code: str, *answers: str, needs: tuple[str, ...] = (), ends: str = "ok") -> Step:
    return Step(code, needs, ends, answers)


def interrupted(code: str, *needs: str) -> Step:
    return Step(code, needs, "error", interrupt_at="here")


PLAIN = (
    cell("print('text')"),
    cell("import sys; sys.stderr.write('text')"),
    cell("_mine = [n for n in range(3)]\n_mine"),
    cell("def _f(): return _mine\n_f()"),
    cell("class _C: pass\n_C()"),
    cell("display(1, display_id='a').update(2)"),
    cell("from IPython.display import HTML, JSON\nHTML('<b>1</b>')"),
    cell("1 / 0", ends="error"),
    cell("x =", ends="error"),
    cell("import json, textwrap, email.message, functools"),
    cell("import warnings; warnings.warn('of a cell')"),
    cell("input()", ends="error"),
    asked("input('Who? ')", "Ada"),
    asked("import getpass; getpass.getpass()", "secret"),
    cell("raise SystemExit", ends="error"),
    cell("help(textwrap.dedent)"),
    cell("textwrap.dedent?"),
    cell("textwrap.dedent??"),
    cell("sys.ex*?"),
    cell("sys.stdout = sys.stdout"),
    cell("del _mine"),
)

CONCURRENT = (
    cell("import asyncio\nawait asyncio.sleep(0.001)"),
    cell("import asyncio\n_t = asyncio.create_task(asyncio.sleep(600))\nawait asyncio.sleep(0)"),
    cell(
        "import threading\n_t = threading.Thread(target=print, args=('x',)); _t.start(); _t.join()"
    ),
    cell("_t = threading.Thread(target=lambda: 1 / 0); _t.start(); _t.join()"),
    cell(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(1) as _p: _p.submit(print, 1).result()"
    ),
    cell("_g = threading.Timer(0.3, print, ['late']); _g.start()"),
    cell("async def _numbers():\n    yield 1\n[n async for n in _numbers()]"),
)

LOOKS = (
    *map(cell, ("%status", "%ps", "%threads", "%stack", "%tasks", "%where", "%frame", "%limits")),
    cell("%limits repr 10MB\n%limits default"),
    cell("%idle 1h\n%idle off"),
    cell("%log"),
    cell("%follow on\n%follow\n%follow off"),
    cell("%children"),
    cell("%attach --tree"),
    cell("%module json"),
    cell("%frame --default"),
    cell("%up", ends=""),
    cell("%down", ends=""),
    cell("%frame 0", ends=""),
    cell("%frame --default"),
    cell("%thread {thread}", THREAD),
    cell("1 + 1"),
    cell("%task {task}", LOOP),
    cell("1 + 1"),
    cell("%frame --default"),
)

PLACES = (
    cell("%%main\nprint('main'); display(2); 3", MAIN),
    cell("%%main\n1 / 0", MAIN, ends="error"),
    cell("%%main --at-most 0.2s\nwhile True: pass", MAIN, ends="error"),
    asked("%%main\ninput('On the main thread? ')", "yes", needs=(MAIN,)),
    asked("%%main\nbreakpoint()\n_x = 1", "n", "c", needs=(MAIN,)),
    cell("%%main\n%timeit -n1 -r1 pass", MAIN),
    cell("%%loop\nprint('loop')", LOOP),
    cell("%%thread {thread}\nprint('thread')", THREAD),
    cell("%%own\nprint('own')"),
    cell("%place main --at-most 2s", MAIN),
    cell("print('still there')", MAIN),
    cell("%place own"),
    interrupted("%%main\nprint('here', flush=True)\nwhile True: pass", MAIN),
    interrupted("print('here', flush=True)\nwhile True: pass"),
    interrupted("import time\nprint('here', flush=True)\ntime.sleep(3)"),
    interrupted("print('here', flush=True)\nawait asyncio.sleep(600)"),
)

LASTING = (
    cell("import textwrap\ndef _call():\n    return [textwrap.dedent(' x') for _ in range(3)]"),
    cell("%watch len(sys.modules) every 20ms for 0.1s --here"),
    cell("%watch len(sys.modules) every 20ms --beside"),
    cell("%watch"),
    cell("%unwatch all"),
    cell("%trace textwrap.dedent -n 3 --beside"),
    cell("_call()"),
    cell("%trace textwrap.dedent -n all for 100s --beside"),
    cell("%trace"),
    cell("%untrace all"),
    cell("def _dedent(text): return 'patched'\n_call()"),
    cell("%patch textwrap.dedent _dedent"),
    cell("_call()"),
    cell("%patch"),
    cell("%unpatch all"),
    cell("%%patch textwrap.indent\ndef indent(text, prefix): return 'left to the detach'"),
    cell("%break textwrap.shorten"),
    cell("%break --log text textwrap.dedent"),
    cell("_call()"),
    cell("%breaks"),
    cell("%unbreak"),
    cell("%break textwrap.dedent if text == ' x'"),
    asked("textwrap.dedent(' x')", "p text", "n", "w", "c"),
    cell("%unbreak all"),
    cell("%break textwrap.fill"),
    asked("%enter main", "w", "p 1 + 1", "c", needs=(MAIN,)),
    asked("breakpoint()\n_y = 1\n_y", "l", "n", "p _y", "c"),
    cell("%watch 1 every 50ms --beside"),
    cell("%trace textwrap.wrap -n all --beside"),
)
"""The last three of them, the last patch and a breakpoint are left to the detach."""

KEPT = (
    cell("%session"),
    cell("%session show"),
    cell("%session save", ends="error"),
    cell("%session clear", ends="error"),
    cell("%break textwrap.shorten"),
    cell("%session save {place}/session.json"),
    cell("%unbreak all"),
    cell("%session restore {place}/session.json"),
)
"""What is set up is kept, and set up again; without a notebook, in a file that is named."""

BESIDE = (
    cell("%%local\nhere = [1, 2]"),
    cell("%push here as _there"),
    cell("%pull _there as back"),
    cell("%%local\nassert back == here"),
    cell("!echo beside"),
)

IPYTHON = (
    cell("%timeit -n1 -r1 pass"),
    cell("%%time\npass"),
    cell("%who"),
    cell("%whos"),
    cell("%prun -q 1 + 1", ends=""),
    cell("%%capture _captured\nprint('captured')"),
    cell("%precision 3"),
    cell("get_ipython()"),
    cell("%lsmagic"),
    cell("def _broken():\n    return 1 / 0\n_broken()", ends="error"),
    asked("%debug", "w", "p 1", "q", ends=""),
    cell("%pdb on"),
    cell("%pdb off"),
    cell("%xmode Minimal"),
    cell("%reset -f", ends=""),
    cell("import sys, textwrap, threading, asyncio, time"),
)

LIBRARIES = (
    cell("%matplotlib inline", PACKAGES),
    cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()", PACKAGES),
    cell("plt.figure(); plt.plot([2, 1])", PACKAGES),
    cell("import numpy, pandas\npandas.DataFrame({'a': numpy.arange(3)})", PACKAGES),
    cell("_big = numpy.zeros(1 << 19)", PACKAGES),
    cell("%pull _big", PACKAGES),
    cell("import rich\nrich.print('[b]x[/b]')", PACKAGES),
    cell("import plotly.graph_objects as go\ngo.Figure()", PACKAGES),
    cell("import ipywidgets\n_slider = ipywidgets.IntSlider(); _slider", PACKAGES),
    cell("_slider.value = 3", PACKAGES),
    cell("import tqdm\nfor _ in tqdm.tqdm(range(3)): pass", PACKAGES),
)
"""For a program that has these loaded, since a library that is imported stays."""

STEPS = (*PLAIN, *CONCURRENT, *LOOKS, *PLACES, *LASTING, *KEPT, *BESIDE, *IPYTHON)

QUIET = (*PLAIN, *LOOKS, *LASTING, *KEPT, *BESIDE)
"""Of these, what leaves threads and loops of gevent's world alone."""


class Exercise:
    """Uses everything on the program with this pid.

    `has`: what it has of what steps need. `failed` holds, in words, what did not come to what
    it should have; `commands` and `requests` what was used.
    """

    def __init__(
        self,
        pid: int,
        has: frozenset[str] = frozenset({MAIN}),
        steps: tuple[Step, ...] = STEPS,
        thread: str = "main",
        task: str = "1",
        wake: bool = False,
    ) -> None:
        self._pid, self._has, self._steps = pid, has, steps
        self._names = {"thread": thread, "task": task}
        self._wake = wake
        self.failed: list[str] = []
        self.commands: set[str] = set()
        self.requests: set[str] = set()
        self.done = 0

    def run(self, before_the_end: Callable[[Kernel], object] = lambda _: None) -> None:
        """From attach to detach; in between the kernel is restarted, and attached anew."""
        words = ("--pid", self._pid, *(["--wake"] if self._wake else []))
        with tempfile.TemporaryDirectory(prefix="lk-") as place, Kernel(*words) as kernel:
            self._names["place"] = place
            for step in self._steps:
                self._do(kernel, step)
            self._requests(kernel)
            before_the_end(kernel)
            kernel.restart()
            self._do(kernel, cell("1 + 1"))
            self._do(kernel, cell("%detach"))
            self._do(kernel, cell(f"%attach {self._pid}{' --wake' * self._wake}"))
            self._do(kernel, cell("%break textwrap.dedent\n%watch 1 every 50ms --beside", ends=""))

    def _do(self, kernel: Kernel, step: Step) -> None:
        code = step.code
        for name, value in self._names.items():
            code = code.replace(f"{{{name}}}", value)
        self.commands |= {name for name, _ in commands.split(code)[0]}
        if step.answers is not None:
            kernel.answers.extend(step.answers)
        run = kernel.begin(code, allow_stdin=step.answers is not None)
        try:
            if step.interrupt_at:
                kernel.wait(lambda: step.interrupt_at in run.stdout or run.is_done, 5)
                kernel.interrupt()
            run.finish(15)
        except AssertionError:
            kernel.interrupt()
            run.finish()
            self._tell(step, f"did not end by itself: {run.status}")
        else:
            self._judge(step, run)
        kernel.answers.clear()
        self.done += 1
        self.after_each(kernel, step)

    after_each: Callable[[Kernel, Step], object] = staticmethod(lambda kernel, step: None)

    def _judge(self, step: Step, run: Cell) -> None:
        if self._has.issuperset(step.needs) and step.ends not in ("", run.status):
            self._tell(step, f"{run.status}: {run.text[-500:]}")

    def _tell(self, step: Step, what: str) -> None:
        if self._has.issuperset(step.needs):
            self.failed.append(f"{step.code!r}: {what}")

    def _requests(self, kernel: Kernel) -> None:
        """What front-ends ask for beside cells."""
        ask = self._ask
        ask(kernel, "kernel_info_request")
        ask(kernel, "connect_request")
        ask(kernel, "comm_info_request")
        ask(kernel, "history_request", hist_access_type="tail", n=3, output=False, raw=True)
        ask(kernel, "is_complete_request", code="for x in y:")
        ask(kernel, "usage_request", "control")
        ask(kernel, "debug_request", "control", type="request", seq=1, command="initialize")
        for code in ("sys.", "import js", "%att", "%frame ", "%%thread ", "textwrap.de", "open('/"):
            ask(kernel, "complete_request", code=code, cursor_pos=len(code))
        for code in ("textwrap.dedent", "sys", "%timeit", "print"):
            ask(kernel, "inspect_request", code=code, cursor_pos=len(code), detail_level=1)
        self._comms(kernel)
        self._subshells(kernel)
        ask(kernel, "interrupt_request", "control")
        self.requests |= {"execute_request", "shutdown_request"}  # cells, the restart

    def _ask(self, kernel: Kernel, kind: str, channel: str = "shell", **content: object) -> None:
        self.requests.add(kind)
        reply = kernel.ask(kind, channel, **content)
        if reply["status"] not in ("ok", "incomplete"):
            self.failed.append(f"{kind}: {reply}")

    def _comms(self, kernel: Kernel) -> None:
        kernel.send("comm_open", {"comm_id": "one", "target_name": "nobody's", "data": {}})
        kernel.send("comm_msg", {"comm_id": "one", "data": {}})
        kernel.send("comm_close", {"comm_id": "one", "data": {}})
        self.requests |= {"comm_open", "comm_msg", "comm_close"}

    def _subshells(self, kernel: Kernel) -> None:
        created = kernel.ask("create_subshell_request", "control")
        name = created["subshell_id"]
        held = kernel.begin("import time\nprint('here', flush=True)\ntime.sleep(3)")
        held.wait_for("here")
        run = kernel.begin("print('beside')", subshell=name).finish()
        self._judge(cell("print('beside')"), run)
        self._ask(kernel, "list_subshell_request", "control")
        kernel.interrupt()
        held.finish()
        self._ask(kernel, "delete_subshell_request", "control", subshell_id=name)
        self.requests.add("create_subshell_request")
