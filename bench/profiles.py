"""`python -m bench.profiles`: where the time goes of a start, and of a cell's round trip.

    python -m bench.profiles [spawn] [idle] [busy]

Runs in a process of its own; `make profile`. py-spy looks at the launcher and at the target
from outside, a thousand times a second, and counts which code has the interpreter lock: what
waits, be it for the other side, a disk or a lock, is not in it. A table and a flame graph go to
.artefacts/profiles. Rule: both sides are in one picture, each with its part. Sampling stops a
process for a moment each time: the parts are right, the times are not.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from . import flames, runs, targets
from .flames import Stacks
from .machine import ROOT
from .peers import OURS, Workshop
from .targets import Target
from .wire import Client

PLACE = ROOT / ".artefacts" / "profiles"
STARTS = 10
SECONDS = 6.0
SPY = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "1000"]
SPY += ["--format", "raw", "--function", "--threads", "--gil", "--output"]

_WITHOUT_STOPPING = "--nonblocking"
"""Less exact; but a kernel does not enter a program that is held by somebody at that moment."""

_THREAD = re.compile(r"thread \((\d+)\)(?:: (.*))?")
_MACHINERY = re.compile(r"\(<frozen (importlib|runpy)")
_MODULE = re.compile(r"<module> \((.*?)(?:/__init__)?\.py:\d+\)")
_IMPORT = re.compile(r"import time: +(\d+) \| +\d+ \| *(\S+)")


class NotSampled(Exception):
    """py-spy could not look into a process. What it said about it follows."""

    def __init__(self, side: str, pid: int, said: str) -> None:
        super().__init__(f"py-spy can't look into the {side}, process {pid}: {said}")


# -- sampling


@contextmanager
def sampled(
    target: int, side: str, into: Stacks, *more: str, skip_main: bool = False
) -> Iterator[None]:
    """Count the stacks of a process while the block runs; `side` becomes their outermost frame.

    `more`: further options for py-spy. Raises NotSampled.
    """
    with tempfile.NamedTemporaryFile(prefix="live-kernel-bench-") as file:
        command = [*SPY, file.name, "--pid", str(target), *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as spy:
            assert spy.stdout is not None
            try:
                said: list[str] = []
                while not said or "Sampling process" not in said[-1]:
                    said.append(spy.stdout.readline().decode(errors="replace"))
                    if not said[-1]:
                        raise NotSampled(side, target, "".join(said).partition("\n\n")[0])
                yield
            finally:
                spy.send_signal(signal.SIGINT)  # then it writes what it has
                spy.communicate()
        into.update(cleaned(Path(file.name).read_text(), side, target if skip_main else 0))


def cleaned(text: str, side: str, without: int = 0) -> Stacks:
    """Stacks without numbers of threads and the import system; without one thread, if told."""
    stacks: Stacks = Counter()
    for stack, count in flames.parsed(text).items():
        thread = _THREAD.fullmatch(stack[0])
        if thread and int(thread[1]) == without:
            continue
        frames = (_named(frame) for frame in stack[1:] if not _MACHINERY.search(frame))
        stacks[(side, *frames)] += count
    return stacks


def _named(frame: str) -> str:
    module = _MODULE.fullmatch(frame)
    return f"import {module[1].replace('/', '.')}" if module else frame


# -- a start


def profile_spawn(shop: Workshop) -> str:
    """A launcher that starts, enters a program and runs a cell; with what it imports."""
    stacks: Stacks = Counter()
    out, imports = shop.place / "stacks.txt", shop.place / "imports.txt"
    _install(shop, "sampled", [*SPY, str(out), "--", sys.executable])
    told = f'exec "$0" "$@" 2>{shlex.quote(str(imports))}'
    _install(shop, "told", ["sh", "-c", told, sys.executable, "-X", "importtime"])
    with targets.idle(shop.environment) as first:
        shop.spawn(OURS, first)
    for _ in range(STARTS):
        with (
            targets.idle(shop.environment) as target,
            sampled(target.pid, "target", stacks, _WITHOUT_STOPPING),
        ):
            shop.spawn("sampled", target)
        stacks.update(cleaned(out.read_text(), "launcher"))
    _keep("spawn", f"{STARTS} starts, to the first result", stacks)
    with targets.idle(shop.environment) as target:
        shop.spawn("told", target)
    return "\n\n".join([_timeline(shop), flames.table(stacks), _imports(imports.read_text())])


def _install(shop: Workshop, name: str, python: list[str]) -> None:
    """A kernelspec of ours that is started by other words."""
    argv = [*python, "-m", "live_kernel", "kernel", "-f", "{connection_file}"]
    folder = shop.place / "kernels" / name
    folder.mkdir()
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def _timeline(shop: Workshop) -> str:
    """When what has happened, without a profiler; beside what a Python alone takes."""

    def started(code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=shop.environment)
        return time.perf_counter() - begun

    def spawned() -> float:
        with targets.idle(shop.environment) as target:
            return shop.spawn(OURS, target)

    moments: dict[str, Callable[[], float]] = {
        "a bare Python, start to end": lambda: started("pass"),
        "the same with `import zmq`": lambda: started("import zmq"),
        "the same with `import live_kernel.launcher.kernel`": lambda: started(
            "import live_kernel.launcher.kernel"
        ),
        "from asking for a kernel to the first result": spawned,
    }
    lines = [
        f"{statistics.median(measure() for _ in range(STARTS)) * 1e3:>7.0f} ms  {name}"
        for name, measure in moments.items()
    ]
    return "\n".join(["medians, not sampled:", *lines])


def _imports(text: str, most: int = 20) -> str:
    """The modules that cost most by themselves, and the sum of all."""
    found = [(int(line[1]), line[2]) for line in _IMPORT.finditer(text)]
    lines = [f"{micros / 1e3:>7.1f} ms  {name}" for micros, name in sorted(found)[: -most - 1 : -1]]
    whole = sum(micros for micros, _ in found) / 1e3
    return "\n".join(
        [f"{whole:>7.1f} ms  for all {len(found)} imports of the launcher; thereof", *lines]
    )


# -- cells


def profile_idle(shop: Workshop) -> str:
    """Cells one after the other, in a target that sleeps."""
    with targets.idle(shop.environment) as target:
        return _profile_cells(shop, "idle", target, 0.0)


def profile_busy(shop: Workshop) -> str:
    """Cells a moment apart, in a target whose main thread computes; that thread is left out."""
    with targets.busy(shop.environment) as target:
        return _profile_cells(shop, "busy", target, 0.01)


def _profile_cells(shop: Workshop, name: str, target: Target, pause: float) -> str:
    stacks: Stacks = Counter()
    with shop.kernel(OURS, target) as client:
        launcher = _launcher()
        with (
            sampled(launcher, "launcher", stacks),
            sampled(target.pid, "target", stacks, skip_main=True),
        ):
            cells = _run_cells(client, pause)
    _keep(name, f"{cells} cells in the {name} target", stacks)
    return flames.table(stacks)


def _launcher() -> int:
    """The launcher among the processes that this one has started."""
    for process in psutil.Process().children(recursive=True):
        if "live_kernel" in process.cmdline():
            return process.pid
    raise RuntimeError("the launcher is not among our processes")


def _run_cells(client: Client, pause: float) -> int:
    """Cells for some seconds; how many there were."""
    until, cells = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        client.run("6 * 7")
        cells += 1
        time.sleep(pause)
    return cells


# -- what is kept


PROFILES: dict[str, Callable[[Workshop], str]] = {
    "spawn": profile_spawn,
    "idle": profile_idle,
    "busy": profile_busy,
}


def _keep(name: str, title: str, stacks: Stacks) -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    (PLACE / f"{name}.svg").write_text(flames.graph(title, stacks))


def main() -> int:
    """Make the profiles that are asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.profiles")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROFILES))
    given = parser.parse_args()
    runs.check_names(parser, given.names, PROFILES)
    runs.prepare()
    for name in given.names or PROFILES:
        with tempfile.TemporaryDirectory(prefix="live-kernel-bench-") as place:
            text = PROFILES[name](Workshop(Path(place)))
        (PLACE / f"{name}.txt").write_text(text + "\n")
        print(f"{name.upper()}\n\n{text}\n")
    print(f"tables and flame graphs are in {PLACE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
