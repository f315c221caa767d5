"""Killing, stopping and starving each party at each step, by a table.

Runs in pytest (a chosen part), and as `make faults`: all of it, again and again, with the counts.
A step is reached exactly: either at a named function, at whose begin (or end) the process is held
(programs/points), or in a state of the program that lasts. Rule: after a fault the program goes
on, unharmed, whoever waited is told, and nobody and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from kernels import Cell, Kernel
from snapshots import Program, landings
from targets import PROGRAMS, ROOT, eventually, python315

from live_kernel.attach import slot
from live_kernel.attach.processes import found_again

POINTS = PROGRAMS / "points"
KILL, STOP, FULL = "SIGKILL", "SIGSTOP", "full disk"

CLEAN_WITHIN = 2.0
"""Seconds after a death in which the program is as it was; a loaded machine gets twice as long."""

FREE_WITHIN = 8.0
"""Seconds after which nothing stands still because of a launcher that does: five, and some more."""

TOLD_WITHIN = 20.0


# -- the table


@dataclass(frozen=True)
class Step:
    """Where a fault happens.

    `cells`: what the front-end sends; the last one is what goes on. `point`: a function, at which
    `holder` is held, "" for none; else `here` says what it is known by: text on the screen, a
    prompt, or that a thread of the program stands still. `program`: what is attached to. `faults`:
    which are tried, by party.
    """

    name: str
    faults: dict[str, tuple[str, ...]]
    cells: tuple[str, ...] = ()
    point: str = ""
    holder: str = ""
    here: str = "here"
    program: str = "ticking"
    ends_by: str = ""
    """A message of Jupyter's on the control channel in the place of a last cell."""


ATTACH = ("%attach {pid}\nword",)

IN_LAUNCHER = {
    "no directory yet": "landing.py:PrivateDirectory._make",
    "directory made": "landing.py:Landing._listen",
    "nothing written": "injector.py:inject",
    "script written, no bundle": "payload.py:bundle",
    "all written": "injector.py:_call_here",
    "scheduled": "injector.py:_call_here:end",
    "agent says hello": "entering.py:Entering._introduce",
    "agent is ready": "landing.py:PrivateDirectory.close",
    "files removed": "landing.py:remove:end",
    "attached": "target.py:Target.on_attached",
    "first cell leaves": "attachment.py:Attachment.run",
}
"""Steps of the attach at which the launcher is held."""

IN_TARGET = {
    "bootstrap runs": "<string>:_start",
    "bundle is opened": "<string>:_enter",
    "modules are loaded": "entry.py:_load",
    "half of them are": "streams.py:<module>",
    "session begins": "session.py:Session.__init__",
    "says hello": "channel.py:Channel.__init__",
    "waits for welcome": "session.py:Session._await_welcome",
    "second channel": "session.py:Session._second_channel",
    "is to be ready": "session.py:Session.serve",
    "control loop": "session.py:Session._control_loop",
    "cells loop": "session.py:Session._cells_loop",
    "cell arrives": "session.py:Session._run",
}
"""Steps of the attach at which a thread of the target is held."""

WAKING = {
    "helper has its order": "waker.py:carry_out",
    "helper holds the thread": "waker.py:_wake",
    "helper is about to write": "waker.py:_write",
    "helper has written": "waker.py:_write:end",
}
FOREIGN = {
    "other Python begins": "<string>:_main",
    "other Python compiles": "<string>:_bundle",
    "other Python writes": "<string>:_bundle:end",
    "other Python has called": "<string>:_main:end",
}
LOCAL = {
    "local kernel begins": "__main__.py:_end_with_parent",
    "local kernel is bridged": "bridge.py:connect:end",
    "local kernel answers": "local_kernel.py:LocalKernel._be_ready_if_whole",
}
LEAVING_LAUNCHER = {
    "launcher detaches": "attachment.py:Attachment.detach",
    "launcher has detached": "attachment.py:Attachment.detach:end",
}
LEAVING_TARGET = {
    "agent begins to leave": "session.py:Session._close",
    "agent has stopped cells": "session.py:Session._stop:end",
    "agent undoes": "ledger.py:Ledger.close",
    "agent says goodbye": "session.py:Session._say_goodbye",
    "agent has gone": "session.py:Session._close:end",
}

PYTHON = "print('here', flush=True)\nwhile True: pass"
FLOOD = "print('here', flush=True)\nwhile True: print('x' * 100)"
QUESTION = "print('here', flush=True)\ninput()"
STATES: dict[str, tuple[str, ...]] = {
    "nothing": ("1", "print('here')"),
    "Python": (PYTHON,),
    "a flood": (FLOOD,),
    "a question": (QUESTION,),
    "an await": ("import asyncio\nprint('here', flush=True)\nawait asyncio.sleep(600)",),
    "a short sleep": ("import time\nprint('here', flush=True)\ntime.sleep(1)",),
    "threads of its own": (
        "import threading\ngo = True\n"
        "def f():\n    while go: print('x', flush=True)\n"
        "try:\n    threading.Thread(target=f).start()\n    print('here', flush=True)\n"
        "    while True: pass\nfinally: go = False",
    ),
    "%watch": ("%watch word every 0.1s for 10min --beside", "print('here')"),
    "%trace": ("%trace tick -n 1000000 for 10min", "print('here')"),
    "%%local": ("%%local\nimport time\nprint('here', flush=True)\ntime.sleep(600)",),
    "!command": ("!echo here; sleep 600; sleep 600",),
}
"""What goes on meanwhile: cells, of which the last one says that it does."""

HOLDING: dict[str, tuple[tuple[str, ...], str]] = {
    "%%main Python": ((f"%%main\n{PYTHON}",), "here"),
    "%%main flood": ((f"%%main\n{FLOOD}",), "here"),
    "%%main question": ((f"%%main\n{QUESTION}",), "here"),
    "breakpoint": (("%break tick if name == 'main'", "1"), "still"),
    "%enter": (("%break tick if name == 'main'", "1", "%enter main"), "prompt"),
    "%enter evaluates": (
        ("%break tick if name == 'main'", "1", "%enter main"),
        "!while True: pass",
    ),
}
"""What holds the program's main thread, and by what it is known."""


def steps() -> Iterator[Step]:
    """The whole table."""
    both = (KILL, STOP)
    for name, point in IN_LAUNCHER.items():
        faults = {"launcher": (*both, FULL), "target": both, "front-end": (KILL,)}
        yield Step(f"attach: {name}", faults, ATTACH, point, "launcher")
    for name, point in IN_TARGET.items():
        faults = {"launcher": both, "target": (*both, FULL)}
        yield Step(f"attach: {name}", faults, ATTACH, point, "target")
    for name, point in WAKING.items():
        faults = {"launcher": both, "target": (KILL,), "helper": both}
        cells = ("%attach --wake {pid}\nword",)
        yield Step(f"attach: {name}", faults, cells, point, "helper", program="asleep")
    for name, point in FOREIGN.items():
        faults = {"launcher": both, "target": both, "helper": (*both, FULL)}
        yield Step(f"attach: {name}", faults, ATTACH, point, "helper", program="3.15")
    for name, point in LOCAL.items():
        faults = {"launcher": (*both, FULL), "helper": (KILL,)}
        holder = "launcher" if point.startswith("local") else "helper"
        yield Step(f"cell: {name}", faults, ("%%local\n6 * 7",), point, holder)
    for name, cells in STATES.items():
        faults = {"launcher": (*both, FULL), "target": (*both, FULL), "front-end": both}
        if name in ("%%local", "!command"):
            faults |= {"helper": both, "target": (KILL,)}
        yield Step(f"cell: {name}", faults, cells)
    for name, (cells, here) in HOLDING.items():
        faults = {"launcher": both, "target": both, "front-end": (KILL,)}
        yield Step(f"holds: {name}", faults, cells, here=here)
    for place, points in (("launcher", LEAVING_LAUNCHER), ("target", LEAVING_TARGET)):
        for name, point in points.items():
            faults = {"launcher": (*both, FULL), "target": both}
            yield Step(f"detach: {name}", faults, ("1", "%detach"), point, place)
        for name, point in points.items():
            yield Step(
                f"restart: {name}", faults, (PYTHON,), point, place, ends_by="shutdown_request"
            )


@dataclass(frozen=True)
class Case:
    step: Step
    party: str
    fault: str

    def __str__(self) -> str:
        return f"{self.step.name} - {self.party} - {self.fault}"


def cases() -> list[Case]:
    """Each combination that makes sense."""
    return [
        Case(step, party, fault)
        for step in steps()
        for party, faults in step.faults.items()
        for fault in faults
    ]


# -- points


class Point:
    """A socket at which a process tells that it is held at a function (see programs/points)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._place = tempfile.mkdtemp(prefix="lk-", dir="/tmp")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._place}/points")
        self._listener.listen()
        self._listener.setblocking(False)
        self._held: socket.socket | None = None
        self.pid = 0
        """Of the process that is held."""

    @property
    def env(self) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{POINTS}:{PROGRAMS / 'witness'}",
            "POINT": self.name,
            "POINTS": f"{self._place}/points",
        }

    def is_reached(self) -> bool:
        """Is a process held there? Only one is: others pass."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                if self._held is not None:
                    connection.close()
                    continue
                connection.settimeout(10)
                self.pid = int(connection.makefile().readline())
                self._held = connection
        return self._held is not None

    def let_go(self) -> None:
        """Let the process go on, and every other one that comes."""
        self._listener.close()
        if self._held is not None:
            self._held.close()

    def close(self) -> None:
        self.let_go()
        shutil.rmtree(self._place)


# -- parties


class Faulty(Program):
    """The program of a step, maybe held at a point."""

    def __init__(self, step: Step, point: Point | None) -> None:
        env = {} if point is None or step.holder != "target" else point.env
        python = None
        name = step.program
        if name == "3.15":
            name, python = "ticking", python315()
        if env:
            env["WITNESS_CODE"] = str(PROGRAMS / "witness" / "sitecustomize.py")
        super().__init__(name, python, env=env)

    def moves(self, within: float, name: str = "main") -> float:
        """Seconds until its thread has told a step (nothing, for a program that sleeps)."""
        if "ticking" not in self.command[-1]:
            return 0.0
        count, begun = len(self.lines()), time.monotonic()
        eventually(
            lambda: any(line.startswith(name) for line in self.lines()[count:]),
            within,
            f"the program's {name} thread goes on",
        )
        return time.monotonic() - begun

    def stands_still(self) -> bool:
        """Does the main thread write no more? (The other one does, all the time.)"""
        count = len(self.lines())
        eventually(lambda: sum("beside" in n for n in self.lines()[count:]) > 20)
        return not any(line.startswith("main") for line in self.lines()[count:])


class FrontEnd:
    """A front-end in a process of its own, which has started the launcher."""

    def __init__(self, *arguments: object, env: dict[str, str], cells: list[str]) -> None:
        order = {"arguments": list(map(str, arguments)), "env": env, "cells": cells}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / "front_end.py"), json.dumps(order)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.pid = self.process.pid
        self.text, self.prompts = "", 0
        self.place = Path()
        self.launcher_pid = 0
        self._reader = threading.Thread(target=self._read_loop)
        self._reader.start()

    def _read_loop(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                self.text = (self.text + told.get("text", ""))[-10_000:]
                self.prompts += "prompt" in told
                if "place" in told:
                    self.place, self.launcher_pid = Path(told["place"]), told["launcher"]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.place.name:
            shutil.rmtree(self.place, ignore_errors=True)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Whoever loses its parent becomes our child, by which it is found."""
    subreaper, prctl = 36, ctypes.CDLL(None).prctl
    prctl(subreaper, 1)
    try:
        yield
    finally:
        prctl(subreaper, 0)


def descendants(but: set[int]) -> list[psutil.Process]:
    """Processes that we have started or adopted, and that live."""
    children = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                children.append(process)
            elif process.ppid() == os.getpid() and process.pid not in but:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
    return [process for process in children if process.pid not in but]


def _end_all(but: set[int]) -> None:
    """Whoever is left, so that the next case finds nobody."""
    for process in descendants(but):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


# -- one case


@dataclass
class Scene:
    """A step that has been reached, with everybody in it."""

    case: Case
    program: Faulty
    point: Point | None
    kernel: Kernel | None = None
    front_end: FrontEnd | None = None
    cell: Cell | None = None
    faults: list[Callable[[], object]] = field(default_factory=list)

    @property
    def launcher_pid(self) -> int:
        owner = self.kernel or self.front_end
        assert owner is not None
        return owner.launcher_pid

    @property
    def place(self) -> Path:
        owner = self.kernel or self.front_end
        assert owner is not None
        return owner.place

    @property
    def pid(self) -> int:
        """Of the party that the fault is for."""
        if self.case.party == "launcher":
            return self.launcher_pid
        if self.case.party == "target":
            return self.program.pid
        if self.case.party == "front-end":
            assert self.front_end is not None
            return self.front_end.pid
        return self._helper()

    def _helper(self) -> int:
        if self.point is not None and self.case.step.holder == "helper":
            return self.point.pid
        return eventually(self._only_child)

    def _only_child(self) -> int:
        """The launcher's, 0 where there are several yet: watchdogs that put themselves away."""
        children = psutil.Process(self.launcher_pid).children()
        pids = [each.pid for each in children if each.status() != psutil.STATUS_ZOMBIE]
        return pids[0] if len(pids) == 1 else 0


def run(case: Case) -> float:
    """Try one combination. Returns the seconds after which the program was as before.

    Raises AssertionError where somebody was lost.
    """
    step = case.step
    with contextlib.ExitStack() as stack:
        stack.enter_context(adopting_orphans())
        point = Point(step.point) if step.point else None
        if point is not None:
            stack.callback(point.close)
        program = stack.enter_context(Faulty(step, point))
        before = program.snapshot()
        scene = Scene(case, program, point)
        stack.callback(_end_all, {program.pid})
        _reach(scene, stack)
        begun = time.monotonic()
        seconds = {KILL: _kill, STOP: _stop, FULL: _starve}[case.fault](scene)
        if not (case.party == "target" and case.fault == KILL):
            program.assert_unharmed_since(before, interrupted=True)
            assert slot.waiting_script(found_again(program.pid, _start_time(program.pid))) == ""
        _assert_nothing_left(scene)
        if case.fault == KILL and case.party in ("launcher", "front-end"):
            seconds = time.monotonic() - begun
            assert seconds < 2 * CLEAN_WITHIN + 1
    return seconds


def _start_time(pid: int) -> int:
    from live_kernel.attach import proc

    return proc.stat(pid).start_time


def _reach(scene: Scene, stack: contextlib.ExitStack) -> None:
    """Come to the step."""
    case, step, program = scene.case, scene.case.step, scene.program
    env = dict(scene.point.env) if scene.point is not None and step.holder != "target" else {}
    cells = [code.format(pid=program.pid) if "{pid}" in code else code for code in step.cells]
    arguments = () if "%attach" in cells[0] else ("--pid", program.pid)
    if case.party == "front-end":
        scene.front_end = FrontEnd(*arguments, env=env, cells=cells)
        stack.callback(scene.front_end.close)
    else:
        kernel = scene.kernel = stack.enter_context(Kernel(*arguments, env=env))
        for code in cells[:-1]:
            kernel.run(code)
        scene.cell = kernel.begin(cells[-1], allow_stdin=True)
        if step.ends_by:
            scene.cell.wait_for("here")
            kernel.client.session.send(
                kernel.client.control_channel.socket, step.ends_by, {"restart": True}
            )
    _wait(scene, lambda: _is_there(scene))
    if step.here.startswith("!"):
        assert scene.kernel is not None or scene.front_end is not None
        _evaluate(scene, step.here)


def _evaluate(scene: Scene, code: str) -> None:
    """Type this at the prompt, which is not answered then."""
    if scene.kernel is not None:
        scene.kernel.client.input(code)
        _wait(scene, lambda: _uses_processor(scene.program.pid))


def _uses_processor(pid: int) -> bool:
    process = psutil.Process(pid)
    before = process.cpu_times().user
    eventually(lambda: process.cpu_times().user > before + 0.1)
    return True


def _wait(scene: Scene, condition: Callable[[], object]) -> None:
    if scene.kernel is not None:
        scene.kernel.wait(condition, what=f"{scene.case}: the step")
    else:
        eventually(condition, 30, f"{scene.case}: the step")


def _is_there(scene: Scene) -> bool:
    step = scene.case.step
    if scene.point is not None:
        return scene.point.is_reached()
    front = scene.front_end
    text = front.text if front is not None else scene.cell.text  # type: ignore[union-attr]
    if step.here == "still":
        return scene.program.stands_still()
    if step.here == "prompt" or step.here.startswith("!"):
        return bool(front.prompts if front is not None else scene.kernel.prompts)  # type: ignore[union-attr]
    return step.here in text


# -- the faults


def _kill(scene: Scene) -> float:
    begun = time.monotonic()
    os.kill(scene.pid, signal.SIGKILL)
    if scene.point is not None:
        scene.point.let_go()
    told = {"launcher": _launcher_is_dead, "target": _target_is_dead}
    told |= {"front-end": _front_end_is_dead, "helper": _goes_on}
    told[scene.case.party](scene)
    if scene.case.party in ("launcher", "front-end"):
        scene.program.moves(2 * CLEAN_WITHIN)
    return time.monotonic() - begun


def _launcher_is_dead(scene: Scene) -> None:
    assert scene.kernel is not None
    eventually(lambda: not scene.kernel.is_running())  # type: ignore[union-attr]


def _front_end_is_dead(scene: Scene) -> None:
    """The launcher goes with it."""
    assert scene.front_end is not None
    eventually(lambda: not psutil.pid_exists(scene.launcher_pid) or _is_zombie(scene.launcher_pid))


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def _target_is_dead(scene: Scene) -> None:
    """Whoever waits for it is told who has ended, and how."""
    program, cell = scene.program, scene.cell
    program.expected_to_end = True
    assert cell is not None
    assert scene.kernel is not None
    if scene.case.step.ends_by:
        eventually(lambda: not scene.kernel.is_running())  # type: ignore[union-attr]
        return
    is_beside = any(word in scene.case.step.name for word in ("%%local", "detach", "local kernel"))
    if not is_beside:
        scene.kernel.wait(lambda: cell.is_done, what="the end of the cell")
        if cell.status == "error":
            assert f"pid {program.pid}" in cell.error[1], cell
    assert scene.kernel.ask("kernel_info_request", "control")["status"] == "ok"
    if is_beside and not cell.is_done:
        scene.kernel.interrupt()
        cell.finish()
    with Program("frame") as other:
        assert scene.kernel.run(f"%attach {other.pid}\nword").result == "'start'"
        scene.kernel.run("%detach")


def _goes_on(scene: Scene) -> None:
    """The kernel is there, and whatever waited is told, or goes on without."""
    assert scene.kernel is not None
    assert scene.cell is not None
    scene.cell.finish()
    assert scene.kernel.run(f"%attach {scene.program.pid}\n40 + 2").result == "42"
    scene.kernel.run("%detach")


def _stop(scene: Scene) -> float:
    """Stop it, see that the others go on, and let it go on too."""
    begun = time.monotonic()
    pid = scene.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: _is_stopped(pid))
        if scene.point is not None:
            scene.point.let_go()
        if scene.case.party == "target":
            _target_stands(scene)
        else:
            within = FREE_WITHIN if scene.case.party == "launcher" else TOLD_WITHIN
            seconds = scene.program.moves(within)
        if scene.case.party == "front-end":
            _stays_small(scene.launcher_pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    if scene.case.party == "front-end":
        os.kill(pid, signal.SIGKILL)
        _front_end_is_dead(scene)
    else:
        _comes_back(scene)
    return time.monotonic() - begun if scene.case.party == "target" else seconds


def _is_stopped(pid: int) -> bool:
    """Or has it ended just before?"""
    return _is_zombie(pid) or bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def _target_stands(scene: Scene) -> None:
    """The kernel is there; a cell that waits for the program says why."""
    assert scene.kernel is not None
    assert scene.cell is not None
    cell = scene.cell
    if scene.case.step.ends_by:
        eventually(lambda: not scene.kernel.is_running())  # type: ignore[union-attr]
        return
    assert scene.kernel.ask("kernel_info_request", "control")["status"] == "ok"
    scene.kernel.wait(
        lambda: cell.is_done or "stopped" in cell.text, TOLD_WITHIN, "being told that it stands"
    )
    assert not cell.is_done or cell.status == "ok" or f"pid {scene.program.pid}" in cell.error[1], (
        cell
    )


MOST = 1 << 28
"""Bytes that a launcher may hold for a front-end that takes nothing."""


def _stays_small(launcher: int) -> None:
    """Watch its memory for a while, in which a flood would fill it."""
    process, until = psutil.Process(launcher), time.monotonic() + 3
    while time.monotonic() < until:
        assert process.memory_info().rss < MOST
        time.sleep(0.1)


def _comes_back(scene: Scene) -> None:
    """After a stop or a full disk: the cell ends, and the kernel works as before."""
    kernel, cell = scene.kernel, scene.cell
    assert kernel is not None
    assert cell is not None
    if scene.case.step.ends_by:
        eventually(lambda: not kernel.is_running())
        return
    deadline = time.monotonic() + 2 * TOLD_WITHIN
    while not cell.is_done:
        assert time.monotonic() < deadline, cell
        if scene.case.step.point == "":
            kernel.interrupt()
        with contextlib.suppress(AssertionError):
            kernel.wait(lambda: cell.is_done, 2)
    if cell.status == "error":
        assert any(cell.error), cell
    after = kernel.run("40 + 2", timeout=2 * TOLD_WITHIN)
    if after.status == "error":
        after = kernel.run(f"%attach {scene.program.pid}\n40 + 2", timeout=2 * TOLD_WITHIN)
    assert after.result == "42", after
    kernel.run("%unbreak all")
    kernel.run("%detach")


def _starve(scene: Scene) -> float:
    """No file of the process may grow, from now on, as on a disk that is full."""
    begun, pid = time.monotonic(), scene.pid
    limit = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        if scene.point is not None:
            scene.point.let_go()
        if scene.case.step.point and not scene.case.step.ends_by:
            assert scene.cell is not None
            scene.cell.finish(2 * TOLD_WITHIN)
        elif scene.kernel is not None and not scene.case.step.ends_by:
            scene.program.moves(TOLD_WITHIN)
            assert scene.kernel.ask("kernel_info_request", "control")["status"] == "ok"
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    _comes_back(scene)
    return time.monotonic() - begun


def _assert_nothing_left(scene: Scene) -> None:
    """No file in the runtime directory, and no process that nobody waits for."""
    eventually(lambda: not landings(scene.place), 2 * CLEAN_WITHIN, "an empty runtime directory")
    known = {scene.program.pid}
    if scene.kernel is not None and scene.kernel.is_running():
        known.add(scene.launcher_pid)
    if scene.front_end is not None and scene.case.fault != KILL:
        scene.front_end.close()
    if scene.kernel is not None and not scene.kernel.is_running():
        scene.kernel.forget()

    def nobody_left() -> bool:
        left = [each for each in descendants(known) if each.ppid() not in known]
        assert not left, left
        return True

    eventually(nobody_left, 2 * CLEAN_WITHIN)


# -- all of it


def main() -> None:
    """`python tests/faults.py [ROUNDS [WORD…]]`: of all cases, or those with a word of these."""
    os.environ["LIVE_KERNEL_JOURNAL"] = "off"  # the user's own is not for this
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    words = sys.argv[2:]
    chosen = [case for case in cases() if not words or any(word in str(case) for word in words)]
    tried: Counter[tuple[str, str, str]] = Counter()
    lost: Counter[tuple[str, str, str]] = Counter()
    worst: dict[tuple[str, str, str], float] = {}
    for number in range(rounds):
        for case in chosen:
            key = case.step.name.partition(":")[0], case.party, case.fault
            tried[key] += 1
            begun = time.monotonic()
            try:
                seconds = run(case)
            except Exception as error:
                lost[key] += 1
                print(f"lost, in round {number + 1}: {case}\n{error}", flush=True)
            else:
                worst[key] = max(worst.get(key, 0.0), seconds)
            if os.environ.get("FAULTS_TOLD"):
                print(f"{time.monotonic() - begun:5.1f} s  {case}", flush=True)
    print("| step | party | fault | tried | survived | lost | worst s |")
    print("|---|---|---|---|---|---|---|")
    for key, count in tried.items():
        survived = count - lost[key]
        row = [*key, count, survived, lost[key], f"{worst.get(key, 0):.1f}"]
        print(f"| {' | '.join(map(str, row))} |")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
